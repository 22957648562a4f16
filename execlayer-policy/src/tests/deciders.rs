//! Deciders and chains that are right, down to what the daemon gets.

use execlayer_common::provenance::{Asking, Decider, DeciderKind};

use super::{findings, outcome_of, policy, rendered, with_rules};
use crate::{explain::explain, lower};

const UPPER: &str = "9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08";
const LOWER: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const FIRST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

fn full() -> String {
    format!(
        r#"[[decider]]
name = "approved-builds"
sha256 = ["{UPPER}", "{FIRST}", "{LOWER}"]

[[decider]]
name = "our-hosts"
host = ["API.example.com", "a.example.com"]

[[decider]]
name = "ten-an-hour"
at_most = "10/h"

[[decider]]
name = "ticket"
command = ["/usr/lib/execlayer/ticket", "--strict"]

[[decider]]
name = "security-desk"
webhook = "https://desk.example.com/execlayer"
secret = "/etc/execlayer/desk.secret"
ca = "/etc/execlayer/desk-ca.pem"
timeout = "60s"
retries = 0

[[rule]]
id = "programs"
allow = ["exec"]
path = "/usr/bin/**"

[[rule]]
id = "tools"
ask = ["exec"]
path = "/opt/tools/**"
deciders = ["approved-builds", "ticket", "human"]
timeout = "60s"
remember = "10m"

[[rule]]
id = "web"
ask = ["connect"]
to = "*:443"
deciders = ["our-hosts", "ten-an-hour", "security-desk", "ticket"]

[[rule]]
id = "notes"
ask = ["read"]
path = "/notes/**"
timeout = "24h"
remember = "30d"
"#
    )
}

fn decider(name: &str, kind: DeciderKind) -> Decider {
    Decider { name: name.to_owned(), kind }
}

#[test]
fn the_daemon_gets_the_deciders_that_rules_name_and_each_rules_chain() {
    assert_eq!(findings(&full()), "");
    let provenance = lower(&policy(&with_rules(&full()))).unwrap().provenance;
    let strings = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    assert_eq!(
        provenance.deciders,
        [
            decider("approved-builds", DeciderKind::Sha256 { digests: strings(&[FIRST, LOWER]) }),
            decider(
                "ticket",
                DeciderKind::Command {
                    argv: strings(&["/usr/lib/execlayer/ticket", "--strict"]),
                    timeout: 10
                }
            ),
            decider("human", DeciderKind::Human {}),
            decider(
                "our-hosts",
                DeciderKind::Host { hosts: strings(&["a.example.com", "api.example.com"]) }
            ),
            decider("ten-an-hour", DeciderKind::Budget { uses: 10, window: 3_600 }),
            decider(
                "security-desk",
                DeciderKind::Webhook {
                    url: "https://desk.example.com/execlayer".to_owned(),
                    secret: "/etc/execlayer/desk.secret".to_owned(),
                    ca: Some("/etc/execlayer/desk-ca.pem".to_owned()),
                    timeout: 60,
                    retries: 0
                }
            ),
        ]
    );
    let asking: Vec<_> = provenance.rules.into_iter().map(|rule| rule.asking).collect();
    let chain = |timeout, remember, deciders: &[u32]| {
        Some(Asking { timeout, remember, deciders: deciders.to_vec() })
    };
    assert_eq!(
        asking,
        [
            None,
            chain(Some(60), Some(600), &[0, 1, 2]),
            chain(None, None, &[3, 4, 5, 1]),
            chain(Some(86_400), Some(2_592_000), &[]),
            None,
            // The rule of a feature.
            None,
        ]
    );
}

#[test]
fn a_person_is_among_the_deciders_only_where_a_chain_says_so() {
    let rule = |line: &str| {
        let text = format!("[[rule]]\nid = \"r\"\nask = [\"exec\"]\npath = \"/x\"\n{line}\n");
        lower(&policy(&with_rules(&text))).unwrap().provenance
    };
    let silent = rule("");
    assert!(silent.deciders.is_empty());
    assert_eq!(silent.rules[0].asking.as_ref().unwrap().deciders, [0; 0]);
    for line in ["deciders = [\"human\"]", "deciders = \"human\""] {
        let said = rule(line);
        assert_eq!(said.deciders, [decider("human", DeciderKind::Human {})]);
        assert_eq!(said.rules[0].asking.as_ref().unwrap().deciders, [0]);
    }
}

#[test]
fn what_a_decider_does_not_say_has_a_default() {
    let text = "[[decider]]\nname = \"d\"\nwebhook = \"https://[2001:db8::1]:8443\"\nsecret = \"/s\"\n\
                [[rule]]\nid = \"r\"\nask = [\"exec\"]\npath = \"/x\"\ndeciders = \"d\"\n";
    let policy = policy(&with_rules(text));
    let DeciderKind::Webhook { ca, timeout, retries, .. } = &policy.deciders()[0].kind else {
        panic!("{:?}", policy.deciders());
    };
    assert_eq!((ca, timeout, retries), (&None, &5, &2));
}

#[test]
fn deciders_are_inherited_as_rules_are() {
    let base = "name = \"b\"\nversion = 1\n[[decider]]\nname = \"c\"\ncommand = \"/c\"\n";
    let main = "name = \"m\"\nversion = 1\nextends = \"b\"\n[agent]\nname = \"a\"\n\
                [[rule]]\nid = \"r\"\nask = [\"exec\"]\npath = \"/x\"\ndeciders = \"c\"\n";
    let outcome = outcome_of(&[("main", main), ("b", base)]);
    assert_eq!(rendered(&outcome), "");
    assert_eq!(outcome.policy.unwrap().deciders()[0].name, "c");
    let again = format!("{main}[[decider]]\nname = \"c\"\nat_most = \"1/s\"\n");
    let expected = r#"main:12:8: error: two deciders have the name `c`
  12 | name = "c"
     |        ^^^
  b:4:8: the other one is here
  4 | name = "c"
    |        ^^^
  help: names are unique over the policy and all that it extends
"#;
    assert_eq!(rendered(&outcome_of(&[("main", &again), ("b", base)])), expected);
}

#[test]
fn chains_are_told_with_the_policy_and_with_the_image() {
    let policy = policy(&with_rules(&full()));
    let lowered = lower(&policy).unwrap();
    let listing = lower::listing(lowered.image.words(), &lowered.provenance).unwrap();
    let told = explain(&policy);
    for line in [
        "asks approved-builds, then ticket, then human; denied after 1m; a yes holds 10m",
        "asks our-hosts, then ten-an-hour, then security-desk, then ticket",
        "asks human; denied after 1d; a yes holds 30d",
        "approved-builds: files by their SHA-256, 2 digests",
        "human: a person with `execlayer approve` and `execlayer deny`",
        "our-hosts: addresses of `a.example.com`, `api.example.com`",
        "ten-an-hour: 10 calls in 1h",
        "ticket: the program `/usr/lib/execlayer/ticket --strict`, up to 10s",
        "security-desk: the webhook `https://desk.example.com/execlayer`, up to 1m and 0 retries",
    ] {
        assert!(told.contains(&format!("  {line}\n")), "{line}: {told}");
        assert!(listing.contains(&format!(" {line}\n")), "{line}: {listing}");
    }
    let mut broken = lowered.provenance;
    broken.deciders.clear();
    let listing = lower::listing(lowered.image.words(), &broken).unwrap();
    assert!(listing.contains("asks ?, then ?, then ?;"), "an index is not trusted: {listing}");
}
