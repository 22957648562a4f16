//! Deciders and chains that are wrong, each with its message, place and remedy, beside those that are
//! right.

use super::findings;

const RULE: &str = "[[rule]]\nid = \"r\"\nask = [\"exec\"]\npath = \"/x\"\ndeciders = \"d\"\n";
/// A webhook without fault, but for its end.
const HOOK: &str = "webhook = \"https://desk.example.com/x\"\nsecret = \"/s\"";
const DURATION: &str = "write a number and `s`, `m`, `h` or `d`: \"60s\", \"10m\"";

/// What is shown for a decider of these lines, from line 9 on, that a rule asks.
fn decider(lines: &str) -> String {
    findings(&format!("[[decider]]\nname = \"d\"\n{lines}\n{RULE}"))
}

/// What is shown for a rule of these lines, from line 9 on; behind it stand four deciders.
fn rule(lines: &str) -> String {
    findings(&format!(
        "[[rule]]\nid = \"r\"\n{lines}\n\
         [[decider]]\nname = \"hash\"\nsha256 = \"{:064}\"\n\
         [[decider]]\nname = \"name\"\nhost = \"example.com\"\n\
         [[decider]]\nname = \"few\"\nat_most = \"1/s\"\n\
         [[decider]]\nname = \"script\"\ncommand = \"/c\"\n",
        0
    ))
}

/// What is shown for a rule that asks about `exec`, with this line in line 11.
fn asking(line: &str) -> String {
    rule(&format!("ask = [\"exec\"]\npath = \"/x\"\n{line}"))
}

/// The only error is this one, there.
fn refused(shown: &str, at: &str, message: &str, help: &str) {
    assert_eq!(shown.matches(": error: ").count(), 1, "{message}: {shown}");
    assert!(shown.contains(&format!("policy.toml:{at}: error: {message}\n")), "{message}: {shown}");
    assert!(shown.contains(&format!("  help: {help}\n")), "{help}: {shown}");
}

#[test]
fn a_decider_is_one_thing() {
    refused(
        &decider(""),
        "7:1",
        "`[[decider]]` has no `sha256`, `host`, `at_most`, `command` or `webhook`",
        "say what it is: `sha256 = [\"...\"]`; a person needs none, and is named `human`",
    );
    let expected = r#"policy.toml:10:1: error: a decider cannot have both `at_most` and `command`
  10 | command = "/c"
     | ^^^^^^^
  policy.toml:9:1: `at_most` is here
  9 | at_most = "1/s"
    | ^^^^^^^
  help: make two deciders of it, and name both in the rule's `deciders`
"#;
    assert_eq!(decider("at_most = \"1/s\"\ncommand = \"/c\""), expected);
    for one in ["at_most = \"1/s\"", "command = \"/c\""] {
        assert_eq!(decider(one), "", "{one}");
    }
}

#[test]
fn keys_are_known_and_belong_to_the_kind() {
    refused(
        &decider("comand = \"/c\"\nat_most = \"1/s\""),
        "9:1",
        "unknown key `comand` in `[[decider]]`",
        "did you mean `command`?",
    );
    for (line, kinds) in [
        ("timeout = \"5s\"", "`command` or `webhook`"),
        ("secret = \"/s\"", "`webhook`"),
        ("ca = \"/c\"", "`webhook`"),
        ("retries = 1", "`webhook`"),
    ] {
        let key = line.split(' ').next().unwrap();
        let message = format!("`{key}` belongs to deciders with {kinds}");
        refused(&decider(&format!("at_most = \"1/s\"\n{line}")), "10:1", &message, "leave it out");
        let hook = if key == "secret" { HOOK.to_owned() } else { format!("{HOOK}\n{line}") };
        assert_eq!(decider(&hook), "", "{line}");
    }
    let single = findings("[decider]\nname = \"d\"\n");
    refused(
        &single,
        "7:1",
        "`decider` must be a list of tables, and is a table",
        "write `[[decider]]`, with two brackets",
    );
}

#[test]
fn names_of_deciders_are_there_once_and_plain() {
    let named = |line: &str| findings(&format!("[[decider]]\n{line}\nat_most = \"1/s\"\n"));
    refused(
        &named(""),
        "7:1",
        "`[[decider]]` has no `name`",
        "add `name = \"...\"`: rules name it in `deciders`",
    );
    for bad in ["", "a b", "../x", "a//b", "ä", &"x".repeat(129)] {
        refused(
            &named(&format!("name = \"{bad}\"")),
            "8:8",
            &format!("`{bad}` cannot be used as name"),
            "use letters, digits, `-`, `_` and `.`, with single slashes between parts",
        );
    }
    let expected = r#"policy.toml:8:8: error: the name `human` is taken
  8 | name = "human"
    |        ^^^^^^^ it is the person who answers, and needs no declaration
  help: choose another name
"#;
    assert_eq!(named("name = \"human\""), expected);
    let twice = "[[decider]]\nname = \"d\"\nat_most = \"1/s\"\n".repeat(2) + RULE;
    let expected = r#"policy.toml:11:8: error: two deciders have the name `d`
  11 | name = "d"
     |        ^^^
  policy.toml:8:8: the other one is here
  8 | name = "d"
    |        ^^^
  help: names are unique over the policy and all that it extends
"#;
    assert_eq!(findings(&twice), expected);
}

#[test]
fn a_decider_that_no_rule_asks_is_hinted_at() {
    let unused = "[[decider]]\nname = \"d\"\nat_most = \"1/s\"\n";
    let expected = r#"policy.toml:8:8: hint: no rule asks the decider `d`
  8 | name = "d"
    |        ^^^
  help: name it in the `deciders` of a rule, or remove it
"#;
    assert_eq!(findings(unused), expected);
    assert_eq!(findings(&format!("{unused}{RULE}")), "");
}

#[test]
fn digests_have_64_hexadecimal_digits() {
    let help = "write the 64 hexadecimal digits that `sha256sum FILE` prints";
    for bad in ["", "abc", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64), &"é".repeat(32)] {
        let message = format!("`{bad}` is no SHA-256 digest");
        refused(&decider(&format!("sha256 = \"{bad}\"")), "9:10", &message, help);
    }
    for fine in ["0", "a", "F"] {
        assert_eq!(decider(&format!("sha256 = [\"{}\"]", fine.repeat(64))), "");
    }
    refused(
        &decider("sha256 = []"),
        "9:10",
        "`sha256` is an empty list",
        "name something or leave it out",
    );
}

#[test]
fn hosts_are_names_and_not_addresses() {
    let host = |text: &str| {
        findings(&format!(
            "[[decider]]\nname = \"d\"\nhost = [\"{text}\"]\n\
             [[rule]]\nid = \"r\"\nask = [\"connect\"]\nto = \"*:443\"\ndeciders = \"d\"\n"
        ))
    };
    for address in ["10.0.0.1", "::1", "[2001:db8::1]", "127.1", "2130706433", "a.0x7f"] {
        refused(
            &host(address),
            "9:9",
            &format!("`{address}` is an address, and `host` takes names"),
            "addresses need nobody to resolve them: list them in a rule's `to`",
        );
    }
    let long = [&"a".repeat(63); 4].map(String::as_str).join(".");
    for nothing in [
        "",
        "*.example.com",
        "a..b",
        "example.com.",
        "-a.com",
        "a-.com",
        "a_b.com",
        "https://a.com",
        "a.com:443",
        "bücher.example",
        &"a".repeat(64),
        &long,
    ] {
        refused(
            &host(nothing),
            "9:9",
            &format!("`{nothing}` is no host name"),
            "write a whole DNS name without scheme, port or `*`, such as `api.example.com`; \
             other letters as `xn--...`",
        );
    }
    let longest = &long[..253];
    for fine in ["localhost", "a-b.1c.example", "xn--bcher-kva.example", "1.a", "A.COM", longest] {
        assert_eq!(host(fine), "", "{fine}");
    }
}

#[test]
fn budgets_of_deciders_are_written_as_those_of_rules() {
    for bad in ["0/h", "10/week", "10", "+1/s", "/h"] {
        refused(
            &decider(&format!("at_most = \"{bad}\"")),
            "9:11",
            &format!("`{bad}` is no budget"),
            "write uses and window, from 1: \"100/min\"; windows are `s`, `min`, `hour`, `day`",
        );
    }
    for fine in ["1/s", "10/m", "10/min", "10/h", "10/hour", "10/d", "10/day"] {
        assert_eq!(decider(&format!("at_most = \"{fine}\"")), "", "{fine}");
    }
}

#[test]
fn paths_of_deciders_are_absolute() {
    let secret = |path: &str| format!("webhook = \"https://a.example/\"\nsecret = \"{path}\"");
    for (lines, at, key) in [
        ("command = [\"ticket\", \"/x\"]".to_owned(), "9:12", "command"),
        (secret("ticket"), "10:10", "secret"),
        (format!("{HOOK}\nca = \"ticket\""), "11:6", "ca"),
    ] {
        refused(
            &decider(&lines),
            at,
            "`ticket` is not absolute",
            &format!("start the path of `{key}` with `/`: the daemon runs in no folder"),
        );
        assert_eq!(decider(&lines.replace("ticket", "/ticket")), "");
    }
    for (lines, at) in [
        ("command = \"/a\\u0000\"".to_owned(), "9:11"),
        ("command = [\"/a\", \"\\u0000\"]".to_owned(), "9:18"),
        (secret("/s\\u0000"), "10:10"),
    ] {
        let message = "paths and arguments have no NUL byte";
        refused(&decider(&lines), at, message, "leave `\\u0000` out");
    }
}

#[test]
fn webhooks_are_encrypted_unless_they_stay_on_this_machine() {
    let hook = |url: &str| decider(&format!("webhook = \"{url}\"\nsecret = \"/s\""));
    for plain in ["http://desk.example.com/x", "http://127.0.0.2/", "http://localhost/x"] {
        refused(
            &hook(plain),
            "9:11",
            &format!("`{plain}` leaves this machine without encryption"),
            "write `https://`; `http://` is for 127.0.0.1 and [::1]",
        );
    }
    for user in ["https://me:secret@desk.example.com/", "http://localhost@desk.example.com/"] {
        refused(
            &hook(user),
            "9:11",
            "the URL of a webhook has no user or password",
            "leave out all before `@`; `secret` says who asks",
        );
    }
    for nothing in [
        "",
        "desk.example.com/x",
        "ftp://desk.example.com/",
        "HTTPS://desk.example.com/",
        "https://",
        "https:///x",
        "https://a b/",
        "https://a.example/#x",
        "https://a.example/é",
        "https://a.example:0/",
        "https://a.example:/",
        "https://a.example:65536/",
        "https://a.example:+1/",
        "https://::1/",
        "https://[10.0.0.1]/",
        "https://127.1/",
        "http://127.0.0.1^desk.example.com/",
    ] {
        refused(
            &hook(nothing),
            "9:11",
            &format!("`{nothing}` is no URL of a webhook"),
            "write `https://`, a host and a path: \"https://desk.example.com/execlayer\"",
        );
    }
    for fine in [
        "https://desk.example.com",
        "https://desk.example.com:8443/x?y=%20@z",
        "https://10.0.0.1/x",
        "https://[2001:db8::1]/x",
        "http://127.0.0.1:8080/x",
        "http://[::1]/x",
        "http://[::1]:8080/x",
    ] {
        assert_eq!(hook(fine), "", "{fine}");
    }
    refused(
        &decider("webhook = \"https://desk.example.com/\""),
        "7:1",
        "`[[decider]]` has no `secret`",
        "add `secret = \"/...\"`: a file with what signs questions and answers, on both sides",
    );
}

#[test]
fn durations_and_retries_have_bounds() {
    type Shown<'s> = &'s dyn Fn(&str) -> String;
    let command = |line: &str| decider(&format!("command = \"/c\"\n\n{line}"));
    let hook = |line: &str| decider(&format!("{HOOK}\n{line}"));
    let timeout = |value: &str| format!("timeout = \"{value}\"");
    let remember = |value: &str| asking(&format!("remember = \"{value}\""));
    let rows: [(Shown<'_>, &str, &str, &str); 4] = [
        (&|value| command(&timeout(value)), "timeout", "300s", "301s"),
        (&|value| hook(&timeout(value)), "timeout", "60s", "2m"),
        (&|value| asking(&timeout(value)), "timeout", "24h", "2d"),
        (&remember, "remember", "30d", "721h"),
    ];
    for (shown, key, most, over) in rows {
        let at = if key == "timeout" { "11:11" } else { "11:12" };
        let message = format!("`{key}` is {over}, and must be {most} or less");
        refused(&shown(over), at, &message, &format!("write a duration from `1s` to `{most}`"));
        refused(&shown("0s"), at, "`0s` is no duration", DURATION);
        for fine in [most, "1s"] {
            assert!(!shown(fine).contains(": error: "), "{key} {fine}");
        }
    }
    let help = "what cannot be reached does not know, and the next decider is asked";
    refused(&hook("retries = 6"), "11:11", "`retries` is 6, and must be 5 or less", help);
    for fine in ["retries = 5", "retries = 0"] {
        assert_eq!(hook(fine), "");
    }
}

#[test]
fn chains_name_what_is_there_once_and_reach_it() {
    refused(
        &asking("deciders = [\"scirpt\"]"),
        "11:13",
        "there is no decider `scirpt`",
        "did you mean `script`?",
    );
    refused(
        &asking("deciders = [\"humna\"]"),
        "11:13",
        "there is no decider `humna`",
        "did you mean `human`?",
    );
    refused(
        &asking("deciders = [\"committee\"]"),
        "11:13",
        "there is no decider `committee`",
        "declare it with `[[decider]]` and `name = \"committee\"`",
    );
    refused(
        &asking("deciders = [\"few\", \"script\", \"few\"]"),
        "11:30",
        "the decider `few` is asked twice",
        "leave one out: what it does not know, it does not know twice",
    );
    refused(
        &asking("deciders = [\"human\", \"script\"]"),
        "11:22",
        "the decider `script` is never reached",
        "put `human` last",
    );
    refused(
        &asking("deciders = []"),
        "11:12",
        "`deciders` is an empty list",
        "name something or leave it out",
    );
    let fine = asking("deciders = [\"hash\", \"few\", \"script\", \"human\"]");
    assert!(!fine.contains(": error: "), "{fine}");
}

#[test]
fn a_chain_has_eight_deciders_at_most() {
    let chain = |count: usize| {
        let names: Vec<String> = (0..count).map(|number| format!("\"d{number}\"")).collect();
        let deciders =
            names.iter().map(|name| format!("[[decider]]\nname = {name}\ncommand = \"/c\"\n"));
        let rule = RULE.replace("\"d\"", &format!("[{}]", names.join(", ")));
        findings(&(rule + &deciders.collect::<String>()))
    };
    assert_eq!(chain(8), "");
    let shown = chain(9);
    let help = "join some: `sha256` and `host` take lists";
    refused(&shown, "11:61", "the chain has 9 deciders; 8 are allowed", help);
    assert!(shown.contains("^^^^ the first that is too many"), "{shown}");
}

#[test]
fn a_decider_knows_what_the_rule_asks_about() {
    let both = "path = \"/x\"\nto = \"*:443\"\n";
    for (operations, name, key, operation) in [
        ("\"exec\", \"read\"", "hash", "sha256", "exec"),
        ("\"connect\"", "hash", "sha256", "exec"),
        ("\"connect\", \"exec\"", "name", "host", "connect"),
        ("\"read\"", "name", "host", "connect"),
    ] {
        let subject = match operations {
            "\"connect\"" => "\nto = \"*:443\"\n",
            "\"connect\", \"exec\"" => both,
            _ => "\npath = \"/x\"\n",
        };
        refused(
            &rule(&format!("ask = [{operations}]\n{subject}deciders = \"{name}\"")),
            "12:12",
            &format!(
                "the decider `{name}` (`{key}`) knows about `{operation}` only, \
                 and this rule asks about more"
            ),
            &format!("make a rule of its own with `ask = [\"{operation}\"]`"),
        );
    }
    for fine in [
        "ask = [\"exec\"]\npath = \"/x\"\ndeciders = \"hash\"".to_owned(),
        "ask = [\"connect\"]\nto = \"*:443\"\ndeciders = \"name\"".to_owned(),
        format!("ask = [\"connect\", \"exec\"]\n{both}deciders = [\"few\", \"script\", \"human\"]"),
    ] {
        assert!(!rule(&fine).contains(": error: "), "{fine}");
    }
}

#[test]
fn only_rules_that_ask_say_how() {
    for line in ["timeout = \"5s\"", "remember = \"5s\"", "deciders = \"few\""] {
        for effect in ["allow", "deny"] {
            let key = line.split(' ').next().unwrap();
            refused(
                &rule(&format!("{effect} = [\"exec\"]\npath = \"/x\"\n{line}")),
                "11:1",
                &format!("`{key}` belongs to rules with `ask`"),
                "leave it out, or make the rule `ask`",
            );
        }
        assert!(!asking(line).contains(": error: "), "{line}");
    }
}
