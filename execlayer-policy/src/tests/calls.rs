//! Rules about calls of tools: what they say, and what is refused of them.

use execlayer_common::{
    call::{Name, Number, Request, Value},
    verdict::Verdict,
};

use super::{findings, policy, with_rules};
use crate::evaluate::evaluate_call;

fn rule(rest: &str) -> String {
    format!("[[rule]]\nid = \"r\"\n{rest}\n")
}

/// Whether a call is allowed by a rule that allows calls of any tool in this context.
fn allows(context: &str, given: &[(&str, Value<'_>)]) -> bool {
    is(&rule(&format!("allow = [\"call\"]\naction = \"**\"\ncontext = {{ {context} }}")), given)
}

/// Whether a call is allowed where one rule allows all, and one denies them in this context.
fn denies(context: &str, given: &[(&str, Value<'_>)]) -> bool {
    let all = "[[rule]]\nid = \"all\"\nallow = [\"call\"]\naction = \"**\"\n";
    let deny = rule(&format!("deny = [\"call\"]\naction = \"**\"\ncontext = {{ {context} }}"));
    !is(&format!("{all}{deny}"), given)
}

fn is(rules: &str, given: &[(&str, Value<'_>)]) -> bool {
    let values: Vec<_> =
        given.iter().map(|(name, value)| (Name::new(name).unwrap(), *value)).collect();
    let call = Request::new(b"Tool", b"").unwrap().with(&values).unwrap();
    matches!(evaluate_call(&policy(&with_rules(rules)), &call, &mut |_, _| true), Verdict::Allow(_))
}

const fn text(text: &str) -> Value<'_> {
    Value::Text(text.as_bytes())
}

fn number(text: &str) -> Value<'static> {
    Value::Number(Number::parse(text).unwrap())
}

#[test]
fn each_kind_of_test_holds_for_its_values() {
    let ab: &[&[u8]] = &[b"a1", b"b"];
    for (context, holds, fails) in [
        ("v = \"ma*\"", text("main"), text("next")),
        ("v = [\"main\", \"release/**\"]", text("release/1/2"), text("mainly")),
        ("v = true", Value::Flag(true), Value::Flag(false)),
        ("v = 12.50", number("12.5"), number("12.500001")),
        ("v = 0x10", number("16"), number("10")),
        ("v = { at_least = 1, at_most = 2 }", number("2"), number("2.0000000000001")),
        ("v = { above = 0.1 }", number("0.10000000000000001"), number("0.1")),
        ("v = { below = -1_000 }", number("-1000.5"), number("-1e3")),
        ("v = { every = [\"a*\", \"b\"] }", Value::List(ab), Value::List(&[b"a1", b"c"])),
        ("v = { some = \"b\" }", Value::List(ab), Value::List(&[b"a1"])),
    ] {
        for (value, is_held) in [(holds, true), (fails, false)] {
            assert_eq!(allows(context, &[("v", value)]), is_held, "{context} {value:?}");
            assert_eq!(denies(context, &[("v", value)]), is_held, "{context} {value:?}");
        }
        // What is not known counts against whoever calls.
        for unknown in [&[][..], &[("w", holds)]] {
            assert!(!allows(context, unknown) && denies(context, unknown), "{context}");
        }
        for other in [text("x"), number("1"), Value::Flag(true), Value::List(&[])] {
            if std::mem::discriminant(&other) != std::mem::discriminant(&holds) {
                assert!(!allows(context, &[("v", other)]) && denies(context, &[("v", other)]));
            }
        }
    }
    for (given, values) in [(true, &[("v", text("x"))][..]), (false, &[])] {
        let (same, other) =
            (format!("v = {{ given = {given} }}"), format!("v = {{ given = {} }}", !given));
        assert!(allows(&same, values) && denies(&same, values));
        assert!(!allows(&other, values) && !denies(&other, values));
    }
}

#[test]
fn all_tests_of_a_rule_must_hold() {
    let both = "a = true, b = { at_most = 3 }";
    let give = |a, b| [("a", Value::Flag(a)), ("b", number(b))];
    assert!(allows(both, &give(true, "3")));
    assert!(!allows(both, &give(true, "4")) && !allows(both, &give(false, "3")));
    assert!(!denies(both, &give(true, "4")), "one that fails is enough for a denial not to hold");
    assert!(denies(both, &[("a", Value::Flag(true))]), "and one that is not known is not");
}

#[test]
fn what_is_no_rule_about_calls_is_refused() {
    for (rest, message) in [
        ("allow = [\"call\"]", "has no `action`"),
        (
            "allow = [\"read\"]\npath = \"/a\"\naction = \"Bash\"",
            "`action` needs `call` among the operations",
        ),
        ("allow = [\"call\", \"read\"]\naction = \"Bash\"\npath = \"/a\"", "is about nothing else"),
        ("allow = [\"read\"]\npath = \"/a\"\nresource = \"x\"", "`resource` needs an `action`"),
        ("allow = [\"read\"]\npath = \"/a\"\ncontext = { a = 1 }", "`context` needs an `action`"),
        ("allow = [\"call\"]\naction = \"\"", "the pattern is empty"),
        ("allow = [\"call\"]\naction = \"a\\\\x00\"", "no tool's name has a byte 0"),
        ("allow = [\"call\"]\naction = \"a[\\x00]\"", "no tool's name has a byte 0"),
        ("allow = [\"call\"]\naction = \"a\"\ncontext = {}", "`context` is empty"),
        (
            "allow = [\"call\"]\naction = \"a\"\ncontext = { \"a b\" = 1 }",
            "`a b` cannot name a context value",
        ),
        (
            "allow = [\"call\"]\naction = \"a\"\ncontext = { a = 1979-05-27 }",
            "must be a test of a context value",
        ),
        ("allow = [\"call\"]\naction = \"a\"\ncontext = { a = [] }", "`a` is an empty list"),
        ("allow = [\"call\"]\naction = \"a\"\ncontext = { a = [1] }", "must be a list of patterns"),
        ("allow = [\"call\"]\naction = \"a\"\ncontext = { a = {} }", "`a` is not one test"),
        (
            "allow = [\"call\"]\naction = \"a\"\ncontext = { a = { given = true, below = 1 } }",
            "`a` is not one test",
        ),
        (
            "allow = [\"call\"]\naction = \"a\"\ncontext = { a = { at_last = 1 } }",
            "did you mean `at_least`?",
        ),
        (
            "allow = [\"call\"]\naction = \"a\"\ncontext = { a = { above = 1, below = 1 } }",
            "no number is what `a` must be",
        ),
        (
            "allow = [\"call\"]\naction = \"a\"\ncontext = { a = 0.0000000001 }",
            "cannot be compared with exactly",
        ),
        (
            "allow = [\"call\"]\naction = \"a\"\ncontext = { a = nan }",
            "cannot be compared with exactly",
        ),
        (
            "ask = [\"call\"]\naction = \"a\"\ndeciders = [\"robot\"]",
            "only a person answers for a call of a tool",
        ),
    ] {
        let shown = findings(&rule(rest));
        assert!(shown.contains(message), "{rest}\n{shown}");
    }
    let many = (0..33).map(|n| format!("a{n} = 1")).collect::<Vec<_>>().join(", ");
    let shown =
        findings(&rule(&format!("allow = [\"call\"]\naction = \"a\"\ncontext = {{ {many} }}")));
    assert!(shown.contains("`MAX_CONTEXT_TESTS`"), "{shown}");
    let many: String = (0..65)
        .map(|n| format!("[[rule]]\nid = \"r{n}\"\nallow = [\"call\"]\naction = \"a\"\ncontext = {{ a{n} = 1 }}\n"))
        .collect();
    assert!(findings(&many).contains("`MAX_CONTEXT_NAMES`"));
    let list = |count| (0..count).map(|n| format!("\"a{n}\"")).collect::<Vec<_>>().join(", ");
    let pairs = |actions, resources| {
        let (actions, resources) = (list(actions), list(resources));
        findings(&rule(&format!(
            "allow = [\"call\"]\naction = [{actions}]\nresource = [{resources}]"
        )))
    };
    assert_eq!(pairs(64, 64), "");
    assert!(pairs(64, 65).contains("makes 4160 patterns; 4096 are allowed (`MAX_RULE_CALLS`)"));
}

#[test]
fn rules_whose_texts_look_alike_are_not_the_same() {
    let rules = |first: &str, second: &str| {
        findings(&format!(
            "[[rule]]\nid = \"r\"\nallow = [\"call\"]\n{first}\n[[rule]]\nid = \"s\"\ndeny = [\"call\"]\n{second}\n"
        ))
    };
    let (first, second) =
        ("action = \"a b\"\nresource = \"c\"", "action = \"a\"\nresource = \"b c\"");
    assert_eq!(rules(first, second), "");
    assert!(rules(first, first).contains("contradicts rule `r`"));
}

#[test]
fn a_text_may_end_in_the_slash_that_a_path_never_ends_in() {
    for (resource, about) in [
        ("/srv/secret/**", "/srv/secret/"),
        ("/srv/secret/*", "/srv/secret/"),
        ("/*", "/"),
        ("/{,*}**", "/"),
        ("https://host/**", "https://host/"),
        ("/a/**/b", "/a/b"),
    ] {
        let rules = rule(&format!("allow = [\"call\"]\naction = \"R\"\nresource = \"{resource}\""));
        let call = Request::new(b"R", about.as_bytes()).unwrap();
        let verdict = evaluate_call(&policy(&with_rules(&rules)), &call, &mut |_, _| true);
        assert!(matches!(verdict, Verdict::Allow(_)), "{resource} {about}");
    }
}

#[test]
fn a_star_in_a_tools_name_does_not_reach_what_it_is_called_about() {
    let rules = rule("allow = [\"call\"]\naction = \"mcp__**\"\nresource = \"x\"");
    let policy = policy(&with_rules(&rules));
    for (action, resource, allowed) in [
        ("mcp__a/b", "x", true),
        ("mcp__", "x", true),
        ("mcp__a", "\0x", false),
        ("mcp_", "x", false),
    ] {
        let call = Request::new(action.as_bytes(), resource.as_bytes()).unwrap();
        let verdict = evaluate_call(&policy, &call, &mut |_, _| true);
        assert_eq!(matches!(verdict, Verdict::Allow(_)), allowed, "{action} {resource:?}");
    }
}
