//! Files of cases: what they may say, and how failures are shown.

use execlayer_common::{
    access::{Access, Operation},
    subject::{Inet, Protocol},
};

use super::policy;
use crate::{
    cases::{CaseFile, Expect, parse_cases, run},
    diagnostic::{Diagnostic, Style},
    source::Loaded,
};

const POLICY: &str = r#"
name = "p"
version = 1
[agent]
name = "a"
exe = "/usr/bin/a"
[[rule]]
id = "read"
allow = ["read"]
path = "/a/**"
[[rule]]
id = "office"
allow = ["write"]
path = "/a/**"
when = { user = 5, between = "08:00-17:00", at_most = "1/min" }
"#;

fn cases(text: &str) -> CaseFile {
    parse_cases(Loaded { name: "cases.toml".to_owned(), bytes: text.as_bytes().to_vec() })
}

fn shown(file: &CaseFile, found: &[Diagnostic]) -> String {
    found.iter().map(|found| found.render(&file.sources, Style::Plain)).collect()
}

fn case(act: &str, expect: &str, rest: &str) -> String {
    format!("[[case]]\nname = \"c\"\ndo = '{act}'\nexpect = \"{expect}\"\n{rest}\n")
}

fn failures(text: &str) -> String {
    let file = cases(text);
    assert_eq!(shown(&file, &file.diagnostics), "");
    let report = run(&policy(POLICY), &file);
    assert_eq!(report.passed + report.failures.len(), file.cases.len());
    shown(&file, &report.failures)
}

#[test]
fn acts_are_the_subjects_that_the_kernel_side_makes() {
    let act = |text: &str| cases(&case(text, "deny", "")).cases.remove(0).act;
    let read = act(r"read+create /a\xff\\b c");
    assert_eq!(read.operation, Operation::File);
    assert_eq!(read.subject, b"/a\xff\\b c");
    assert_eq!(read.wanted, Access::READ.union(Access::CREATE));
    assert_eq!(act("exec /x").operation, Operation::Exec);
    let inet = act("connect udp:[2001:db8::1]:53");
    let expected =
        Inet::v6(Protocol::Udp, "2001:db8::1".parse::<std::net::Ipv6Addr>().unwrap().octets(), 53);
    assert_eq!((inet.operation, inet.subject.as_slice()), (Operation::Inet, expected.bytes()));
    assert_eq!(
        act("connect tcp:[::ffff:1.2.3.4]:53").subject,
        Inet::v4(Protocol::Tcp, [1, 2, 3, 4], 53).bytes()
    );
    assert_eq!(act(r"connect unix:@a\x00b").subject, b"@a\0b");
    assert_eq!(act("connect unix:/run/x").operation, Operation::Unix);
    let any = Inet::local_v4(Protocol::Tcp, [0, 0, 0, 0], 80);
    assert_eq!(act("bind tcp:0.0.0.0:80").subject, any.bytes());
    assert_eq!(act("bind udp:[::]:80").subject, Inet::local_v6(Protocol::Udp, [0; 16], 80).bytes());
    let name = act("bind unix:@x");
    assert_eq!((name.operation, name.wanted), (Operation::Unix, Access::BIND));
    let ring = act("use io-uring");
    assert_eq!(ring.operation, Operation::Feature);
    assert_eq!((ring.subject.as_slice(), ring.wanted), (&b"io-uring"[..], Access::USE));
    for (name, bit) in Access::NAMES {
        if Access::of(Operation::File).contains(bit) {
            let found = act(&format!("{name} /a"));
            assert_eq!((found.operation, found.wanted), (Operation::File, bit), "{name}");
        }
    }
    let moved = Access::RENAME.union(Access::CREATE).union(Access::DELETE);
    assert_eq!(act("rename+create+delete /a").wanted, moved);
}

#[test]
fn cases_that_hold_pass() {
    let text = case("read /a/b", "allow", "rule = \"read\"")
        + &case("read /b", "deny", "").replace("\"c\"", "\"d\"")
        + &case("write /a/b", "allow", "rule = \"office\"\nuid = 5\nat = \"09:00\"")
            .replace("\"c\"", "\"e\"")
        + &case("write /a/b", "deny", "rule = \"office\"\nuid = 5\nspent = \"office\"")
            .replace("\"c\"", "\"f\"")
        + &case("write /a/b", "deny", "uid = 5\nat = \"17:00\"").replace("\"c\"", "\"g\"")
        + &case("write /a/b", "deny", "").replace("\"c\"", "\"h\"")
        + &case("select-exe /usr/bin/a", "selected", "").replace("\"c\"", "\"i\"")
        + &case("select-cgroup /x", "ignored", "").replace("\"c\"", "\"j\"");
    assert_eq!(failures(&text), "");
    assert_eq!(cases(&text).cases.len(), 8);
    assert_eq!(cases(&text).cases[0].expect, Expect::Allow);
}

#[test]
fn a_case_that_fails_is_pointed_at_with_the_verdict_that_was_found() {
    let expected = r#"cases.toml:4:10: error: case `c`: the verdict is deny (no rule allows it) without a rule
  4 | expect = "allow"
    |          ^^^^^^^ expected this
"#;
    assert_eq!(failures(&case("read /b", "allow", "")), expected);
    let expected = r#"cases.toml:4:10: error: case `c`: the verdict is allow by rule `read`
  4 | expect = "allow"
    |          ^^^^^^^ expected this by rule `office`
"#;
    assert_eq!(failures(&case("read /a/b", "allow", "rule = \"office\"")), expected);
    let shown = failures(&case("select-exe /usr/bin/b", "selected", ""));
    assert!(shown.contains("case `c`: is ignored"), "{shown}");
}

#[test]
fn a_case_that_names_no_rule_of_the_policy_fails_and_does_not_pass() {
    for rest in ["rule = \"raed\"", "spent = [\"raed\"]"] {
        let shown = failures(&case("read /b", "deny", rest));
        assert!(shown.contains("case `c`: the policy has no rule `raed`"), "{shown}");
        assert!(shown.contains("did you mean `read`?"), "{shown}");
    }
}

#[test]
fn wrong_cases_are_reported_together() {
    let table = [
        (case("read", "deny", ""), "`read` says what is done or to what, not both"),
        (case("raed /a", "deny", ""), "`raed` is no operation"),
        (case("read a", "deny", ""), "`a` is no absolute path"),
        (case("read+exec /a", "deny", ""), "`read+exec` cannot be done in one call"),
        (case(r"read /a\xg", "deny", ""), r"`/a\xg` has a broken escape"),
        (case("connect 10.0.0.1:80", "deny", ""), "`10.0.0.1:80` is no destination"),
        (case("connect tcp:10.0.0.1", "deny", ""), "`tcp:10.0.0.1` is no destination"),
        (case("connect unix:run", "deny", ""), "`run` is no socket name"),
        (case("bind unix:/run/x", "deny", ""), "`unix:/run/x` is made and not bound to"),
        (
            case("bind+connect tcp:10.0.0.1:80", "deny", ""),
            "`bind+connect` cannot be done in one call",
        ),
        (case("modify /a", "deny", ""), "`modify` is no operation"),
        (case("use io_uring", "deny", ""), "there is no feature `io_uring`"),
        (case("read /a", "maybe", ""), "`expect` cannot be `maybe`"),
        (case("read /a", "selected", ""), "nobody can expect this of that act"),
        (case("select-exe /a", "allow", ""), "nobody can expect this of that act"),
        (case("read /a", "deny", "at = \"9:00\""), "`9:00` is no time of the day"),
        (case("read /a", "deny", "user = 1"), "unknown key `user` in `[[case]]`"),
        ("[[case]]\n".to_owned(), "`[[case]]` has no `name`"),
        ("[[cases]]\n".to_owned(), "unknown key `cases` in a file of cases"),
        (String::new(), "the file has no cases"),
        (case("read /a", "deny", "") + &case("read /b", "deny", ""), "two cases are called `c`"),
        (
            case("read /a", "deny", "").replace('\'', "\"").replace("/a", "/\\xff"),
            "this is a character of two bytes",
        ),
        ("[[case]]\nname = \"x\n".to_owned(), "broken TOML: invalid basic string"),
    ];
    for (text, message) in table {
        let file = cases(&text);
        let shown = shown(&file, &file.diagnostics);
        assert!(shown.contains(&format!("error: {message}")), "{message}: {shown}");
    }
}

#[test]
fn a_file_of_cases_can_bring_its_policy() {
    let file = cases(&format!("policy = '''{POLICY}'''\n{}", case("read /a/b", "allow", "")));
    assert_eq!(
        file.policy.as_deref(),
        POLICY.strip_prefix('\n'),
        "TOML drops the first line break"
    );
    assert!(run(&policy(&file.policy.clone().unwrap()), &file).failures.is_empty());
}
