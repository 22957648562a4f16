//! Rules that are wrong, each with the very message, place, caret and remedy.

use super::{findings, outcome, with_rules};

/// What is shown for a rule that allows reading this path, written in line 10 from column 8.
fn path(pattern: &str) -> String {
    findings(&format!("[[rule]]\nid = \"r\"\nallow = [\"read\"]\npath = {pattern}\n"))
}

/// What is shown for a rule that allows connecting to this, written in line 10 from column 6.
fn to(destination: &str) -> String {
    findings(&format!("[[rule]]\nid = \"r\"\nallow = [\"connect\"]\nto = {destination}\n"))
}

#[test]
fn bad_patterns_are_pointed_at() {
    let table: [(&str, &str, &str, &str, &str); 26] = [
        (r#""""#, "9", "", "the pattern is empty", "write an absolute path, or leave it out"),
        (
            r#""/a/[b""#,
            "12",
            "^^",
            "the class `[` never closes",
            "add `]`, or write `\\[` for the character itself",
        ),
        (
            r#""/a[]""#,
            "11",
            "^^",
            "the class is empty",
            "name what it matches; write `\\]` for a closing bracket",
        ),
        (r#""/a[z-a]""#, "12", "^^^", "`z-a` runs backward", "write the lower end first"),
        (
            r#""/a[^b]""#,
            "12",
            "^",
            "`^` does not begin a class here",
            "write `[!...]` for any other byte, or `\\^` for the character itself",
        ),
        (
            r#""/a[!/]""#,
            "11",
            "^^^^",
            "a class never matches `/`",
            "leave `/` and ranges across it out: digits are `0-9`, letters `a-z`",
        ),
        (
            r#""/a[+-:]""#,
            "11",
            "^^^^^",
            "a class never matches `/`",
            "leave `/` and ranges across it out: digits are `0-9`, letters `a-z`",
        ),
        (
            r#""/é[ö]""#,
            "12",
            "^",
            "`ö` is more than one byte",
            "a class matches one byte; write such characters as `{ä,ö}`",
        ),
        (
            r#""/a{b,c""#,
            "11",
            "^^^^",
            "the brace `{` never closes",
            "add `}`, or write `\\{` for the character itself",
        ),
        (
            r#""/a{b}""#,
            "11",
            "^^^",
            "the braces hold only one choice",
            "write `{a,b}` for choices, `${NAME}` for a variable, `\\{` for the character",
        ),
        (r#""/a}""#, "11", "^", "`}` closes nothing", "write `\\}` for the character itself"),
        (
            r#""/a/***""#,
            "12",
            "^^^",
            "three stars in a row mean nothing",
            "`*` stays inside one component, `**` crosses slashes",
        ),
        (
            r#""workspace/**""#,
            "9",
            "^",
            "the path is not absolute",
            "start it with `/`, or with a variable that does: `${HOME}/...`",
        ),
        (
            r#""{/a,b}/c""#,
            "13",
            "^",
            "the path is not absolute",
            "start it with `/`, or with a variable that does: `${HOME}/...`",
        ),
        (
            r#""{/a,}""#,
            "9",
            "^^^^^",
            "the path is not absolute",
            "start it with `/`, or with a variable that does: `${HOME}/...`",
        ),
        (
            r#""**/a""#,
            "9",
            "^^",
            "the path is not absolute",
            "start it with `/`, or with a variable that does: `${HOME}/...`",
        ),
        (
            r#""/a//b""#,
            "12",
            "^",
            "two slashes in a row match no path",
            "the kernel's names have single slashes; leave one out",
        ),
        (
            r#""/a/{b/,c}/d""#,
            "18",
            "^",
            "two slashes in a row match no path",
            "the kernel's names have single slashes; leave one out",
        ),
        (
            r#""/a/""#,
            "11",
            "^",
            "the pattern ends in a slash",
            "a directory is named without it: `/workspace`; what is below it is `/workspace/**`",
        ),
        (
            r#""/a/./b""#,
            "13",
            "^",
            "`.` and `..` match no path",
            "the kernel's names have them resolved; write the path without them",
        ),
        (
            r#""/a/..""#,
            "13",
            "^",
            "`.` and `..` match no path",
            "the kernel's names have them resolved; write the path without them",
        ),
        (r#"'/a\'"#, "11", "^", "the pattern ends in a backslash", "write `\\\\` for a backslash"),
        (
            r#"'/a\xg0'"#,
            "11",
            "^^",
            "`\\x` needs two hexadecimal digits",
            "write a byte as `\\xff`, and the letter x without a backslash",
        ),
        (
            r#"'/a\x00'"#,
            "11",
            "^^^^",
            "no path has a NUL byte",
            "only abstract socket names can: `unix:@name`",
        ),
        (
            r#""/a\xff""#,
            "11",
            "^^^^",
            "this is a character of two bytes, not one byte",
            "in double quotes TOML reads `\\x`: write the pattern in single quotes",
        ),
        (
            r#""${HOEM}/a""#,
            "9",
            "^^^^^^^",
            "the variable `HOEM` has no value",
            "give it a value under `[variables]`, or as an argument: `HOEM=...`",
        ),
    ];
    for (pattern, column, caret, message, help) in table {
        let indent = " ".repeat(column.parse::<usize>().unwrap() - 1);
        let caret = if caret.is_empty() { "^" } else { caret };
        let expected = format!(
            "policy.toml:10:{column}: error: {message}\n  10 | path = {pattern}\n     | {indent}{caret}\n  help: {help}\n"
        );
        assert_eq!(path(pattern), expected);
    }
}

#[test]
fn bad_destinations_are_pointed_at() {
    const FORM: &str = "write address and port: `10.0.0.0/8:5432`, `[2001:db8::]/32:443`, `*:443`, `localhost:8080`, or `unix:/run/x.sock`";
    let with_every = format!("{FORM}; `:*` is every port");
    let port = "ports go from 0 to 65535; write `443`, `8000-8999` or `*`";
    let table: [(&str, usize, usize, &str, &str); 19] = [
        ("10.0.0.1:70000", 16, 5, "`70000` is no port", port),
        ("10.0.0.1:-1", 16, 2, "`` is no port", port),
        ("10.0.0.1:http", 16, 4, "`http` is no port", port),
        ("10.0.0.1:9-2", 16, 3, "`9-2` runs backward", "write `2-9`"),
        ("10.0.0.1", 7, 8, "`10.0.0.1` has no port", &with_every),
        ("10.0.0.1:", 7, 9, "the port is missing", &with_every),
        (":443", 7, 1, "the address is missing", FORM),
        (
            "10.1.2.3/8:443",
            7,
            8,
            "`10.1.2.3/8` has bits set behind its prefix",
            "write `10.0.0.0/8` for the network, `10.1.2.3/32` for the one address",
        ),
        (
            "[2001:db8::1]/32:443",
            8,
            11,
            "`2001:db8::1/32` has bits set behind its prefix",
            "write `2001:db8::/32` for the network, `2001:db8::1/128` for the one address",
        ),
        ("10.0.0.0/33:443", 16, 2, "`33` is no prefix length", "it is a number from 0 to 32"),
        (
            "[2001:db8::]/129:443",
            20,
            3,
            "`129` is no prefix length",
            "it is a number from 0 to 128",
        ),
        (
            "2001:db8::1:443",
            7,
            15,
            "an IPv6 address needs brackets",
            "write `[2001:db8::1]:443`, with the network as `[2001:db8::]/32:443`",
        ),
        ("[2001:db8::1:443", 7, 16, "the address `[` never closes", "write `[2001:db8::1]:443`"),
        (
            "[::ffff:10.0.0.1]:443",
            8,
            15,
            "`::ffff:10.0.0.1` is an IPv4 address written as IPv6",
            "write `10.0.0.1`; it covers both ways to connect",
        ),
        (
            "[::ffff:10.0.0.0]/104:443",
            8,
            15,
            "`::ffff:10.0.0.0` is an IPv4 address written as IPv6",
            "write `10.0.0.0/8`; it covers both ways to connect",
        ),
        (
            "example.com:443",
            7,
            11,
            "`example.com` is no address",
            "names are not resolved, since the kernel sees addresses only: write the address",
        ),
        (
            "10.0.*.1:443",
            7,
            8,
            "`10.0.*.1` is no address",
            "addresses have no globs: write a network such as `10.0.0.0/8`, or `*` for any address",
        ),
        ("10.0.0.256:443", 7, 10, "`10.0.0.256` is no address", FORM),
        (
            "unix:run/x",
            12,
            1,
            "the path is not absolute",
            "start it with `/`, or with a variable that does: `${HOME}/...`",
        ),
    ];
    for (destination, column, width, message, help) in table {
        let (indent, caret) = (" ".repeat(column - 1), "^".repeat(width));
        let expected = format!(
            "policy.toml:10:{column}: error: {message}\n  10 | to = \"{destination}\"\n     | {indent}{caret}\n  help: {help}\n"
        );
        assert_eq!(to(&format!("\"{destination}\"")), expected);
    }
}

#[test]
fn unknown_keys_of_a_rule_are_reported_with_the_nearest_key() {
    let rule = "[[rule]]\nid = \"r\"\nalow = [\"read\"]\npath = \"/x\"\npriority = 3\n";
    let expected = r#"policy.toml:7:1: error: `[[rule]]` has no `allow`, `deny`, `ask` or `transition`
  7 | [[rule]]
    | ^^^^^^^^
  help: say what the rule does: `allow = ["read"]`
policy.toml:9:1: error: unknown key `alow` in `[[rule]]`
  9 | alow = ["read"]
    | ^^^^
  help: did you mean `allow`?
policy.toml:11:1: error: unknown key `priority` in `[[rule]]`
  11 | priority = 3
     | ^^^^^^^^
  help: its keys are `id`, `allow`, `ask`, `deny`, `transition`, `path`, `except`, `to`, `feature`, `action`, `resource`, `context`, `when`, `reason`, `timeout`, `remember`, `deciders`
"#;
    assert_eq!(findings(rule), expected);
}

#[test]
fn an_id_that_stands_twice_is_reported_with_both_places() {
    let rules = "[[rule]]\nid = \"r\"\nallow = [\"exec\"]\npath = \"/x\"\n\n[[rule]]\nid = \"r\"\nallow = [\"exec\"]\npath = \"/y\"\n";
    let expected = r#"policy.toml:13:6: error: two rules have the id `r`
  13 | id = "r"
     |      ^^^
  policy.toml:8:6: the other one is here
  8 | id = "r"
    |      ^^^
  help: ids are unique over the policy and all that it extends
"#;
    assert_eq!(findings(rules), expected);
}

#[test]
fn rules_that_contradict_each_other_are_reported_by_their_ids() {
    let rule = |id: &str, effect: &str, paths: &str, rest: &str| {
        format!("[[rule]]\nid = \"{id}\"\n{effect} = [\"exec\"]\npath = {paths}\n{rest}\n")
    };
    let (both, turned) = ("[\"/x\", \"/y\"]", "[\"/y\", \"/x\"]");
    let expected = r#"policy.toml:13:6: error: rule `b` (deny) contradicts rule `a` (allow)
  13 | id = "b"
     |      ^^^ the same operations and patterns
  policy.toml:8:6: the other one is here
  8 | id = "a"
    |      ^^^
  help: remove one of them, or give one a `when`
"#;
    let allow = rule("a", "allow", both, "");
    assert_eq!(findings(&(allow.clone() + &rule("b", "deny", turned, ""))), expected);
    let other = rule("b", "deny", turned, "when = { user = 7 }");
    assert_eq!(findings(&(allow.clone() + &other)), "", "a condition makes it an exception");
    assert_eq!(findings(&(allow.clone() + &rule("b", "deny", "\"/x\"", ""))), "", "other patterns");
    let repeated = findings(&(allow + &rule("b", "allow", turned, "")));
    assert!(repeated.contains("warning: rule `b` says what rule `a` says already"), "{repeated}");
}

#[test]
fn subjects_must_fit_the_operations() {
    let table = [
        ("allow = [\"read\"]", "`[[rule]]` has no `path`"),
        ("allow = [\"connect\"]", "`[[rule]]` has no `to`"),
        (
            "allow = [\"connect\"]\nto = \"*:1\"\npath = \"/x\"",
            "`path` needs an operation on files",
        ),
        ("allow = [\"bind\"]", "`[[rule]]` has no `to`"),
        ("allow = [\"use\"]", "`[[rule]]` has no `feature`"),
        (
            "allow = [\"use\"]\nfeature = \"vsock\"\npath = \"/x\"",
            "`path` needs an operation on files",
        ),
        (
            "allow = [\"read\"]\npath = \"/x\"\nfeature = \"vsock\"",
            "`feature` needs `use` among the operations",
        ),
        ("allow = [\"use\"]\nfeature = []", "`feature` is an empty list"),
        (
            "allow = [\"read\"]\npath = \"/x\"\nto = \"*:1\"",
            "`to` needs `connect` or `bind` among the operations",
        ),
        (
            "allow = [\"connect\"]\nto = \"*:1\"\nexcept = \"/x\"",
            "`except` needs a `path` to take something from",
        ),
        (
            "allow = [\"read\"]\ndeny = [\"exec\"]\npath = \"/x\"",
            "a rule cannot have both `allow` and `deny`",
        ),
        ("allow = []\npath = \"/x\"", "`allow` is an empty list"),
        ("allow = [\"read\"]\npath = []", "`path` is an empty list"),
    ];
    for (rule, message) in table {
        let shown = findings(&format!("[[rule]]\nid = \"r\"\n{rule}\n"));
        assert_eq!(shown.matches("error: ").count(), 1, "{shown}");
        assert!(shown.contains(message), "{shown}");
    }
    let both = "[[rule]]\nid = \"r\"\nallow = [\"connect\", \"exec\", \"use\"]\npath = \"/x\"\nto = \"*:1\"\nfeature = \"vsock\"\n";
    assert_eq!(findings(both), "", "files, destinations and features in one rule");
}

#[test]
fn conditions_are_refused_with_what_they_can_be() {
    let table = [
        ("allow", "user = \"nobody\"", "the user `nobody` is not known here"),
        ("allow", "user = 4294967295", "4294967295 is no user number"),
        ("allow", "user = -1", "-1 is no user number"),
        ("allow", "user = true", "`user` must be a user number or name, and is a truth value"),
        ("allow", "between = \"25:00-26:00\"", "`25:00-26:00` is no span of the day"),
        ("allow", "between = \"24:00-25:00\"", "`24:00-25:00` is no span of the day"),
        ("allow", "between = \"24:00-08:00\"", "`24:00-08:00` is no span of the day"),
        ("allow", "between = \"08:60-09:00\"", "`08:60-09:00` is no span of the day"),
        ("allow", "between = \"8:00-9:00\"", "`8:00-9:00` is no span of the day"),
        ("allow", "between = \"08:00-08:00\"", "`08:00-08:00` is over as soon as it begins"),
        ("allow", "at_most = \"0/min\"", "`0/min` is no budget"),
        ("allow", "at_most = \"5/week\"", "`5/week` is no budget"),
        ("allow", "at_most = \"+5/s\"", "`+5/s` is no budget"),
        ("deny", "at_most = \"5/s\"", "`at_most` belongs to rules with `allow`"),
        ("ask", "at_most = \"5/s\"", "`at_most` belongs to rules with `allow`"),
        ("allow", "", "`when` is empty"),
        ("allow", "zone = \"UTC\"", "unknown key `zone` in `when`"),
    ];
    for (effect, when, message) in table {
        let rule = format!(
            "[[rule]]\nid = \"r\"\n{effect} = [\"exec\"]\npath = \"/x\"\nwhen = {{ {when} }}\n"
        );
        let shown = findings(&rule);
        assert!(shown.contains(&format!("error: {message}\n")), "{when}: {shown}");
        assert!(shown.contains("\n  help: ") || when.contains("true"), "{shown}");
        assert!(outcome(&with_rules(&rule)).policy.is_none());
    }
}

#[test]
fn durations_belong_to_asks_and_have_units() {
    let rule = |effect: &str, line: &str| {
        findings(&format!("[[rule]]\nid = \"r\"\n{effect} = [\"exec\"]\npath = \"/x\"\n{line}\n"))
    };
    assert!(
        rule("allow", "timeout = \"5s\"").contains("error: `timeout` belongs to rules with `ask`")
    );
    for wrong in ["5", "s", "0s", "-5s", "5 s", "5w", "99999999d"] {
        let shown = rule("ask", &format!("remember = \"{wrong}\""));
        assert!(shown.contains(&format!("error: `{wrong}` is no duration")), "{shown}");
    }
}

#[test]
fn a_directory_without_itself_is_hinted_at() {
    let rule = |paths: &str| {
        findings(&format!("[[rule]]\nid = \"r\"\nallow = [\"read\"]\npath = {paths}\n"))
    };
    let expected = "policy.toml:8:6: hint: rule `r` allows reading below `/workspace` and not listing `/workspace` itself
  8 | id = \"r\"
    |      ^^^
  help: write `/workspace{,/**}` for both
";
    assert_eq!(rule("\"/workspace/**\""), expected);
    for fine in [
        "\"/workspace{,/**}\"",
        "[\"/workspace\", \"/workspace/**\"]",
        "[\"/w{,/**}\", \"/w/x/**\"]",
        "\"/**\"",
    ] {
        assert_eq!(rule(fine), "", "{fine}");
    }
}

#[test]
fn names_that_go_into_events_have_plain_letters() {
    for id in ["", "a b", "../x", "a//b", "ä", "x\\u001b[31m", &"x".repeat(129)] {
        let shown =
            findings(&format!("[[rule]]\nid = \"{id}\"\nallow = [\"exec\"]\npath = \"/x\"\n"));
        assert!(shown.contains("cannot be used as id"), "{shown}");
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
    }
    let shown = findings(
        "[[rule]]\nid = \"r\"\nallow = [\"exec\"]\npath = \"/x\"\nreason = \"\\u001b[2J\"\n",
    );
    assert!(shown.contains("a reason is shown in terminals"), "{shown}");
}
