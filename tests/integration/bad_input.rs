//! Bad policies through the built tool: each a clear error at its place, and nothing written.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

use execlayer_common::limits::{MAX_POLICY_BYTES, MAX_RULES};

const HEAD: &str = "name = \"bad\"\nversion = 1\n\n[agent]\nname = \"tester\"\n";
const INVALID: i32 = 3;

/// The tool of this build; it belongs to another package, so it is built here if it is not yet.
fn tool() -> &'static Path {
    static TOOL: OnceLock<PathBuf> = OnceLock::new();
    TOOL.get_or_init(|| {
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--offline", "--package", "execlayer-cli"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .unwrap();
        assert!(status.success(), "the tool does not build");
        // target/debug/deps/integration-...
        let here = env::current_exe().unwrap();
        here.ancestors().nth(2).unwrap().join("execlayer")
    })
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let made = place.call(&["keys", "new", "test"]);
        assert!(made.status.success(), "{made:?}");
        place
    }

    fn call(&self, arguments: &[&str]) -> Output {
        Command::new(tool()).current_dir(self.0.path()).args(arguments).output().unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// What the tool says about `bad.toml`, which must be invalid and leave nothing behind.
    fn refused(&self, bytes: &[u8]) -> String {
        fs::write(self.0.path().join("bad.toml"), bytes).unwrap();
        let before = self.names();
        let arguments =
            ["compile", "bad.toml", "--policies-dir", ".", "--key", "test.key", "-o", "bad.bundle"];
        let compiled = self.call(&arguments);
        let said = String::from_utf8_lossy(&compiled.stderr).into_owned();
        assert_eq!(compiled.status.code(), Some(INVALID), "{said}");
        assert_eq!(self.names(), before, "something was written");
        let checked = self.call(&["check", "bad.toml", "--policies-dir", "."]);
        assert_eq!(checked.status.code(), Some(INVALID), "`check` and `compile` differ: {said}");
        assert!(!said.contains("panicked"), "{said}");
        said
    }
}

fn rule(body: &str) -> String {
    format!("{HEAD}\n[[rule]]\nid = \"r\"\n{body}\n")
}

#[test]
fn every_bad_policy_is_refused_at_its_line_and_nothing_is_written() {
    let place = Place::new();
    let bad = |policy: String, line: usize, words: &[&str]| {
        let said = place.refused(policy.as_bytes());
        let at = format!("bad.toml:{line}:");
        assert!(said.contains(&at), "no `{at}` in:\n{said}");
        for word in words {
            assert!(said.contains(word), "no `{word}` in:\n{said}");
        }
        // The caret under what is meant.
        assert!(said.contains('^'), "no caret in:\n{said}");
    };
    let path = |pattern: &str| rule(&format!("allow = [\"read\"]\npath = {pattern}"));
    let to = |target: &str| rule(&format!("allow = [\"connect\"]\nto = \"{target}\""));
    bad(format!("{HEAD}\n[[rule]\nid = 1\n"), 7, &["TOML"]);
    bad(format!("{HEAD}\ncolour = 1\n"), 7, &["unknown key `colour`"]);
    bad(rule("allow = [\"read\"]\npath = \"/a\"\nwehn = {}"), 11, &["wehn", "when"]);
    bad(rule("alow = [\"read\"]\npath = \"/a\""), 9, &["alow", "allow"]);
    bad(rule("allow = [\"raed\"]\npath = \"/a\""), 9, &["raed", "read"]);
    bad(rule("allow = [\"truncate\"]\npath = \"/a\""), 9, &["truncate", "`write`"]);
    bad(rule("ask = [\"modify\"]\npath = \"/a\""), 9, &["`modify`", "cannot be asked about"]);
    bad(rule("allow = [\"bind\"]\nto = \"unix:/a\""), 10, &["`bind`", "`create`"]);
    bad(rule("allow = [\"use\"]\nfeature = \"io_uring\""), 10, &["io_uring", "`io-uring`"]);
    bad(rule("allow = [\"use\"]\nfeature = \"cap-bpf\""), 10, &["no policy", "CAP_BPF"]);
    bad(rule("allow = [\"read\"]"), 7, &["path"]);
    bad(path("\"\""), 10, &["empty"]);
    bad(path("[]"), 10, &["empty"]);
    bad(path("7"), 10, &["must be a string"]);
    bad(path("\"/a[bc\""), 10, &["never closes"]);
    bad(path("\"/a{b,c\""), 10, &["never closes"]);
    bad(path("\"/a[z-a]\""), 10, &["backward"]);
    bad(path("\"/a***b\""), 10, &["three stars"]);
    bad(path("\"a/b\""), 10, &["not absolute"]);
    bad(path("\"${NO_SUCH}/b\""), 10, &["NO_SUCH", "no value"]);
    bad(path("\"/a/../b\""), 10, &["`..`"]);
    bad(path("\"/a//b\""), 10, &["two slashes"]);
    bad(to("10.0.0.1:70000"), 10, &["70000", "65535"]);
    bad(to("10.0.0.1"), 10, &["no port"]);
    bad(to("10.0.0.1/8:80"), 10, &["10.0.0.0/8"]);
    bad(to("[2001:db8::1]/32:80"), 10, &["2001:db8::/32"]);
    bad(to("10.0.0.0/33:80"), 10, &["33", "32"]);
    bad(to("example.org:443"), 10, &["names are not resolved"]);
    bad(to("10.0.0.1:90-80"), 10, &["backward"]);
    let second = |body: &str| format!("{}\n[[rule]]\n{body}", path("\"/a\""));
    bad(second("id = \"r\"\nallow = [\"read\"]\npath = \"/b\"\n"), 13, &["two rules", "`r`"]);
    bad(second("id = \"s\"\ndeny = [\"read\"]\npath = \"/a\"\n"), 13, &["contradicts", "`r`"]);
    bad(rule("allow = [\"read\"]\ndeny = [\"read\"]\npath = \"/a\""), 10, &["both"]);
    let when = |when: &str| format!("{}when = {when}\n", path("\"/a\""));
    bad(when("{ between = \"25:00-26:00\" }"), 11, &["25:00-26:00"]);
    bad(when("{ at_most = \"0/min\" }"), 11, &["0/min"]);
    bad(when("{ user = -1 }"), 11, &["-1"]);
    bad(when("{ user = \"nobody-has-this-name\" }"), 11, &["nobody-has-this-name"]);
}

#[test]
fn all_errors_of_a_policy_are_said_at_once() {
    let rules = "[[rule]]\nid = \"a\"\nallow = [\"raed\"]\npath = \"/a\"\n\
                 [[rule]]\nid = \"b\"\nallow = [\"read\"]\npath = \"b\"\n\
                 [[rule]]\nid = \"c\"\nallow = [\"connect\"]\nto = \"1.2.3.4:70000\"\n";
    let said = Place::new().refused(format!("{HEAD}\n{rules}").as_bytes());
    for line in [9, 14, 18] {
        assert!(said.contains(&format!("bad.toml:{line}:")), "line {line} is missing in:\n{said}");
    }
}

#[test]
fn files_that_extend_each_other_or_are_missing_are_named() {
    let place = Place::new();
    let other = "name = \"other\"\nversion = 1\nextends = [\"bad\"]\n";
    fs::write(place.0.path().join("other.toml"), other).unwrap();
    let head = |extends: &str| {
        HEAD.replace("version = 1", &format!("version = 1\nextends = [\"{extends}\"]"))
    };
    let said = place.refused(head("other").as_bytes());
    assert!(said.contains("circle"), "{said}");
    let said = place.refused(head("no-such-policy").as_bytes());
    assert!(said.contains("no-such-policy") && said.contains("bad.toml:3:"), "{said}");
    let said = place.refused(head("../../etc/passwd").as_bytes());
    assert!(said.contains("no name of a policy"), "{said}");
    let missing = place.call(&["check", "not-there.toml"]);
    assert_ne!(missing.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("not-there.toml"));
}

#[test]
fn policies_beyond_the_limits_are_refused_by_the_limits_name() {
    let place = Place::new();
    let mut many = HEAD.to_owned();
    for number in 0..100_000 {
        many.push_str(&format!(
            "[[rule]]\nid=\"{number}\"\nallow=[\"read\"]\npath=\"/{number}\"\n"
        ));
    }
    let said = place.refused(many.as_bytes());
    assert!(said.contains("MAX_RULES") && said.contains(&MAX_RULES.to_string()), "{said}");
    let mut large = HEAD.as_bytes().to_vec();
    large.resize(50 << 20, b'#');
    let said = place.refused(&large);
    let limit = MAX_POLICY_BYTES.to_string();
    assert!(said.contains("MAX_POLICY_BYTES") && said.contains(&limit), "{said}");
    let long = format!("\"/{}\"", "a".repeat(5_000));
    let said = place.refused(rule(&format!("allow = [\"read\"]\npath = {long}")).as_bytes());
    assert!(said.contains("MAX_PATTERN_BYTES"), "{said}");
}

#[test]
fn bytes_that_are_no_text_are_refused_at_their_place() {
    let place = Place::new();
    let mut bytes = HEAD.as_bytes().to_vec();
    bytes.extend(b"\n# \xff\n");
    let said = place.refused(&bytes);
    assert!(said.contains("UTF-8") && said.contains("line 7"), "{said}");
    let said = place.refused(&[0; 64]);
    assert!(!said.is_empty());
}

#[test]
fn a_pattern_that_makes_too_many_states_is_refused_with_its_rule() {
    let hard = format!("/srv/*a{}a*", "?".repeat(24));
    let policy = format!(
        "{}\n[[rule]]\nid = \"hard\"\nallow = [\"read\"]\npath = \"{hard}\"\n",
        rule("allow = [\"read\"]\npath = \"/usr/**\"")
    );
    let said = Place::new().refused(policy.as_bytes());
    assert!(said.contains("`hard`") && said.contains("MAX_") && !said.contains("`r`"), "{said}");
}
