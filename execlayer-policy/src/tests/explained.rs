//! Policies in plain words.

use super::{policy, with_rules};
use crate::explain::explain;

#[test]
fn rules_are_told_in_the_order_of_their_strength_and_gaps_are_named() {
    let text = with_rules(
        r#"[[rule]]
id = "tools"
allow = ["exec"]
path = "/usr/bin/**"
when = { user = 1000, between = "08:00-20:00", at_most = "100/min" }

[[rule]]
id = "push"
ask = ["connect"]
to = ["tcp:*:443", "unix:/run/x"]

[[rule]]
id = "keys"
deny = ["read", "write"]
path = "/**/*.pem"
except = "/etc/ssl/**"
reason = "Keys are private."
"#,
    );
    let expected = "Policy `p`, version 1, for the agent `a`.
It governs what `execlayer run` starts with it, and all that these start.
What it denies fails. Denials are recorded.

Denied, whatever else is allowed:
  keys
    read, change `/**/*.pem`
    but not `/etc/ssl/**`
    because: Keys are private.
    (policy.toml:18)

Asked about, and denied unless the answer is yes:
  push
    connect to `tcp:*:443`, `unix:/run/x`
    asks human
    (policy.toml:13)

Allowed, unless a rule above says otherwise:
  tools
    run `/usr/bin/**`
    only for user 1000, from 08:00 to 20:00 UTC, at most 100 times a minute
    (policy.toml:7)
  executable-memory-by-default
    use `executable-memory`
    (policy.toml:4)
  inherited-descriptors-by-default
    use `inherited-descriptors`
    (policy.toml:4)

Everything else is denied:
  running any other program
  it can read no file and list no folder at all
  it can change no file at all
  it can make no file at all
  it can delete no file at all
  it can rename nothing at all
  connecting to any other address, and every protocol but TCP and UDP
  it can be reached at no network address at all
  connecting to any other unix socket
  using any other feature of the kernel that is judged by name
  no call of a tool that asks first is allowed

No rule can allow:
  CAP_SYS_ADMIN: mounts, namespaces and much else
";
    let told = explain(&policy(&text));
    assert!(told.starts_with(expected), "{told}");
}

#[test]
fn accesses_are_told_once_and_addresses_by_what_is_done_there() {
    let rule = |access: &str, rest: &str| {
        let text = format!("[[rule]]\nid = \"r\"\nallow = [{access}]\n{rest}\n");
        let told = explain(&policy(&with_rules(&text)));
        told.split_once("  r\n").unwrap().1.split_once("    (").unwrap().0.to_owned()
    };
    let table = [
        ("\"read\", \"modify\"", "path = \"/a\"", "    read, modify in every way `/a`\n"),
        (
            "\"modify\", \"mknod\", \"ioctl\"",
            "path = \"/a\"",
            "    modify in every way, make devices at, control `/a`\n",
        ),
        ("\"append\", \"rename\"", "path = \"/a\"", "    add to, rename `/a`\n"),
        ("\"bind\"", "to = [\"*:80\", \"unix:@a\"]", "    be reached at `*:80`, `unix:@a`\n"),
        (
            "\"bind\", \"connect\"",
            "to = \"*:80\"",
            "    connect to `*:80`\n    be reached at `*:80`\n",
        ),
        ("\"use\"", "feature = [\"keyring\", \"vsock\"]", "    use `keyring`, `vsock`\n"),
    ];
    for (access, rest, told) in table {
        assert_eq!(rule(access, rest), told, "{access}");
    }
}

#[test]
fn selectors_and_monitor_mode_are_told() {
    let text = "name = \"p\"\nversion = 2\n[agent]\nname = \"a\"\nmode = \"monitor\"\nrecord = \"all\"\n\
                cgroup = [\"/x/*\"]\nexe = \"/usr/bin/a\"\n";
    let told = explain(&policy(text));
    assert!(
        told.contains("tasks in the control groups `/x/*`, tasks that execute `/usr/bin/a`"),
        "{told}"
    );
    assert!(told.contains("It only watches"), "{told}");
    assert!(told.contains("Every verdict is recorded."), "{told}");
    assert!(told.contains("it can run no program at all"), "{told}");
    assert!(told.contains("it can connect to no network address at all"), "{told}");
}
