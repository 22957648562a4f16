//! Operations that a rule cannot list, each with the message and the remedy.

use super::findings;

/// What is shown for a rule with this line; it is line 9.
fn rule(line: &str) -> String {
    findings(&format!("[[rule]]\nid = \"r\"\n{line}\npath = \"/x\"\n"))
}

#[test]
fn acts_that_go_by_another_name_are_told_it() {
    let expected = r#"policy.toml:9:9: error: `truncate` is no operation of its own
  9 | deny = ["truncate"]
    |         ^^^^^^^^^^
  help: write `write`, which covers it
"#;
    assert_eq!(rule("deny = [\"truncate\"]"), expected);
    for (act, name) in
        [("listen", "bind"), ("mmap", "exec"), ("setxattr", "xattr"), ("unlink", "delete")]
    {
        let shown = rule(&format!("deny = [\"{act}\"]"));
        assert!(shown.contains(&format!("error: `{act}` is no operation of its own")), "{shown}");
        assert!(shown.contains(&format!("help: write `{name}`, which covers it")), "{shown}");
    }
}

#[test]
fn acts_that_no_rule_changes_are_refused_and_not_swallowed() {
    let expected = r#"policy.toml:9:10: error: no rule is about `ptrace`
  9 | allow = ["ptrace"]
    |          ^^^^^^^^
  help: leave it out: under every policy, only processes of the same policy are traced
"#;
    assert_eq!(rule("allow = [\"ptrace\"]"), expected);
    let shown = rule("deny = [\"signal\"]");
    assert!(shown.contains("error: no rule is about `signal`"), "{shown}");
    assert!(shown.contains("the gate's daemon gets no signal"), "{shown}");
}

#[test]
fn unknown_operations_are_reported_with_the_nearest_or_all() {
    let shown = rule("allow = [\"*\"]");
    assert!(shown.contains("error: unknown operation `*`"), "{shown}");
    assert!(shown.contains("help: operations are `exec`, `read`, "), "{shown}");
    assert!(shown.ends_with("`bind`, `use`, `call`, `modify`\n"), "{shown}");
    for (slip, name) in [("modfiy", "modify"), ("renmae", "rename"), ("iotcl", "ioctl")] {
        let shown = rule(&format!("allow = [\"{slip}\"]"));
        assert!(shown.contains(&format!("help: did you mean `{name}`?")), "{shown}");
    }
}

#[test]
fn what_cannot_be_held_cannot_be_asked_about() {
    let expected = r#"policy.toml:9:8: error: `ioctl` cannot be asked about
  9 | ask = ["ioctl"]
    |        ^^^^^^^ the kernel cannot hold such a call until somebody answers
  help: allow or deny it; asked about can be `exec`, `read`, `write`, `append`, `create`, `connect`, `delete`, `rename`, `link`, `symlink`, `mkdir`, `rmdir`, `mknod`, `chmod`, `chown`, `bind`, `call`
"#;
    assert_eq!(rule("ask = [\"ioctl\"]"), expected);
    for (name, message) in [
        ("utime", "`utime` cannot be asked about"),
        ("xattr", "`xattr` cannot be asked about"),
        ("modify", "`modify` has `utime`, `xattr`, which cannot be asked about"),
    ] {
        let shown = rule(&format!("ask = [\"read\", \"{name}\"]"));
        assert!(shown.contains(&format!("error: {message}\n")), "{shown}");
    }
    let shown = findings("[[rule]]\nid = \"r\"\nask = [\"use\"]\nfeature = \"vsock\"\n");
    assert!(shown.contains("error: `use` cannot be asked about"), "{shown}");
    assert_eq!(rule("ask = [\"read\", \"write\", \"delete\", \"rename\", \"chown\"]"), "");
}

#[test]
fn sockets_with_a_path_are_made_and_not_bound_to() {
    let to = |access: &str, to: &str| {
        findings(&format!("[[rule]]\nid = \"r\"\nallow = [{access}]\nto = {to}\n"))
    };
    let expected = r#"policy.toml:10:17: error: `bind` is not about paths of sockets
  10 | to = ["*:8080", "unix:/run/x"]
     |                 ^^^^^^^^^^^^^ binding to a path makes a file
  help: allow or deny `create` with a `path`; here, `unix:@name` names an abstract socket
"#;
    let list = "[\"*:8080\", \"unix:/run/x\"]";
    assert_eq!(to("\"bind\"", list), expected);
    assert_eq!(to("\"bind\", \"connect\"", list), expected);
    assert_eq!(to("\"connect\"", list), "");
    assert_eq!(to("\"bind\", \"connect\"", "[\"*:8080\", \"unix:@x\"]"), "");
}
