//! Whole policies that are right.

use execlayer_common::{
    access::{Access, Operation},
    image::Effect,
    reason::Reason,
    subject::{Inet, Protocol},
    verdict::{RuleIndex, Verdict},
};

use super::{outcome, policy, rendered};
use crate::{
    checked::{Budget, CheckedPolicy, Mode, Record},
    evaluate::{Facts, evaluate, selects},
};

const FULL: &str = r#"
name = "coding-agent"
version = 3

[variables]
WORKSPACE = "/workspace"

[agent]
name = "claude-code"
cgroup = ["/execlayer.slice/claude-code-*"]
exe = "/usr/local/bin/claude"
mode = "monitor"
record = "all"

[[rule]]
id = "workspace"
allow = ["read", "write", "create"]
path = "${WORKSPACE}{,/**}"
except = ["${WORKSPACE}/.git/hooks/**"]

[[rule]]
id = "no-private-keys"
deny = ["read", "write"]
path = ["/home/*/.ssh/**", "/**/*.pem"]
reason = "Private keys stay private. Use the ssh-agent socket."

[[rule]]
id = "model-api"
allow = ["connect"]
to = ["tcp:10.0.0.0/8:5432", "[2001:db8::]/32:443", "unix:/run/postgresql/.s.PGSQL.5432"]
when = { user = 1000, between = "08:00-20:00", at_most = "100/min" }
"#;

const NOON: Facts = Facts { uid: 1000, minute: 12 * 60 };

fn file(policy: &CheckedPolicy, path: &str, wanted: Access) -> Verdict {
    evaluate(policy, Operation::File, path.as_bytes(), wanted, NOON, &mut |_, _| true)
}

#[test]
fn a_full_policy_is_read_as_it_is_written() {
    let policy = policy(FULL);
    assert_eq!(
        (policy.name(), policy.version(), policy.agent()),
        ("coding-agent", 3, "claude-code")
    );
    assert_eq!((policy.mode(), policy.record()), (Mode::Monitor, Record::All));
    assert_eq!(policy.files(), ["policy.toml"]);
    let ids: Vec<_> = policy.rules().iter().map(|rule| (rule.id.as_str(), rule.effect)).collect();
    assert_eq!(
        ids,
        [
            ("workspace", Effect::Allow),
            ("no-private-keys", Effect::Deny),
            ("model-api", Effect::Allow),
            ("executable-memory-by-default", Effect::Allow),
            ("inherited-descriptors-by-default", Effect::Allow)
        ]
    );
    let [workspace, _, api, ..] = policy.rules() else { panic!() };
    assert_eq!((workspace.place.line, workspace.place.column), (15, 1));
    assert_eq!(workspace.paths.first().unwrap().text.as_ref(), "/workspace{,/**}");
    assert!(workspace.access.contains(Access::APPEND), "write includes append");
    assert_eq!((api.inet.len(), api.local.len(), api.unix.len()), (2, 0, 1));
    assert_eq!(api.when.uid, Some(1000));
    assert_eq!(api.when.between, Some((480, 1200)));
    assert_eq!(api.when.at_most, Some(Budget { uses: 100, window: 60 }));
    assert!(selects(&policy, Operation::SelectCgroup, b"/execlayer.slice/claude-code-7"));
    assert!(selects(&policy, Operation::SelectExe, b"/usr/local/bin/claude"));
    assert!(!selects(&policy, Operation::SelectExe, b"/usr/local/bin/claude2"));
}

#[test]
fn a_full_policy_means_what_it_says() {
    let policy = policy(FULL);
    let allow = |rule| Verdict::Allow(RuleIndex(rule));
    let unlisted = Verdict::Deny(Reason::Unlisted, None);
    assert_eq!(file(&policy, "/workspace", Access::READ), allow(0));
    assert_eq!(file(&policy, "/workspace/a/b", Access::WRITE), allow(0));
    assert_eq!(file(&policy, "/workspace/a/b", Access::APPEND), allow(0));
    assert_eq!(file(&policy, "/workspace/.git/hooks/x", Access::READ), unlisted);
    assert_eq!(file(&policy, "/workspacex", Access::READ), unlisted);
    let keys = Verdict::Deny(Reason::Rule, Some(RuleIndex(1)));
    assert_eq!(file(&policy, "/workspace/key.pem", Access::READ), keys);
    assert_eq!(file(&policy, "/home/a/.ssh/id", Access::APPEND), keys);
    let connect = |address, port, uses| {
        let subject = Inet::v4(Protocol::Tcp, address, port);
        evaluate(&policy, Operation::Inet, subject.bytes(), Access::CONNECT, NOON, &mut |_, _| uses)
    };
    assert_eq!(connect([10, 9, 8, 7], 5432, true), allow(2));
    assert_eq!(
        connect([10, 9, 8, 7], 5432, false),
        Verdict::Deny(Reason::BudgetSpent, Some(RuleIndex(2)))
    );
    assert_eq!(connect([11, 9, 8, 7], 5432, true), unlisted);
    assert_eq!(connect([10, 9, 8, 7], 5433, true), unlisted);
}

#[test]
fn a_policy_without_fault_has_no_findings() {
    assert_eq!(rendered(&outcome(FULL)), "");
}
