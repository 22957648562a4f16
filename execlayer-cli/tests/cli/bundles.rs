//! Claims about keys and bundles.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::harness::Place;

/// A place with the keys `one` and `two`, and a bundle that `one` signed.
fn place() -> Place {
    let place = Place::new();
    place.succeed(&["keys", "new", "one", "--comment", "the first"]);
    place.succeed(&["keys", "new", "two"]);
    compile(&place, "small.bundle");
    place
}

fn compile(place: &Place, output: &str) {
    let variable = "WORKSPACE=/srv/app";
    place.succeed(&["compile", "small", "--var", variable, "--key", "one.key", "-o", output]);
}

#[test]
fn a_new_key_is_closed_to_others_and_never_overwritten() {
    let place = place();
    let mode = |name| fs::metadata(place.at(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("one.key"), 0o600);
    let before = fs::read(place.at("one.key")).unwrap();
    let called = place.call(&["keys", "new", "one"]);
    assert_eq!(called.code, Some(1));
    assert!(called.err.contains("never overwritten"), "{called:?}");
    assert_eq!(fs::read(place.at("one.key")).unwrap(), before);
    assert_ne!(fs::read(place.at("two.key")).unwrap(), before);
}

#[test]
fn keys_are_listed_with_id_file_and_comment() {
    let place = place();
    let id = place.succeed(&["keys", "new", "three", "--comment", "for fun"]).out;
    let out = place.succeed(&["keys", "list", "three.pub", "one.pub"]).out;
    assert!(out.contains(id.trim()) && out.contains("for fun") && out.contains("the first"));
    assert_eq!(out.lines().count(), 3, "{out}");
    let folder = place.at("").display().to_string();
    assert_eq!(place.succeed(&["keys", "list", &folder]).out.lines().count(), 4);
}

#[test]
fn the_same_policy_and_key_give_the_same_bundle() {
    let place = place();
    compile(&place, "again.bundle");
    assert_eq!(
        fs::read(place.at("small.bundle")).unwrap(),
        fs::read(place.at("again.bundle")).unwrap()
    );
}

#[test]
fn a_bundle_is_verified_by_the_key_that_signed_it_and_by_no_other() {
    let place = place();
    let called = place.succeed(&["verify", "small.bundle", "--trust", "one.pub"]);
    assert!(called.out.contains("ok: policy `small` version 3"), "{called:?}");
    let called = place.call(&["verify", "small.bundle", "--trust", "two.pub"]);
    assert_eq!(called.code, Some(1));
    assert!(called.out.is_empty() && called.err.contains("trusted key"), "{called:?}");
    let called = place.call(&["verify", "small.bundle", "--trust", "one.key"]);
    assert_eq!(called.code, Some(1));
    assert!(called.err.contains("private key"), "{called:?}");
}

#[test]
fn a_bundle_that_was_changed_or_cut_is_refused() {
    let place = place();
    let bytes = fs::read(place.at("small.bundle")).unwrap();
    fs::write(place.at("cut.bundle"), &bytes[..bytes.len() / 2]).unwrap();
    let called = place.call(&["verify", "cut.bundle", "--trust", "one.pub"]);
    assert!(called.code == Some(1) && called.err.contains("cut short"), "{called:?}");
    let mut changed = bytes;
    let at = changed.len() / 2;
    changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
    fs::write(place.at("changed.bundle"), &changed).unwrap();
    let called = place.call(&["verify", "changed.bundle", "--trust", "one.pub"]);
    assert!(called.code == Some(1) && called.err.contains("does not fit"), "{called:?}");
}

#[test]
fn inspect_says_first_whether_the_content_is_verified() {
    let place = place();
    let first = |arguments: &[&str]| {
        let out = place.succeed(arguments).out;
        assert!(out.contains("no-keys") && out.contains("small/policy.toml:"), "{out}");
        out.lines().next().unwrap().to_owned()
    };
    assert_eq!(first(&["inspect", "small.bundle", "--trust", "one.pub"]), "verified");
    let not = first(&["inspect", "small.bundle", "--trust", "two.pub"]);
    assert!(not.starts_with("NOT VERIFIED"), "{not}");
    let out = place.succeed(&["inspect", "small.bundle", "--listing"]).out;
    assert!(out.contains("lane:"), "{out}");
}

#[test]
fn another_key_signs_only_what_is_verified() {
    let place = place();
    let sign = |trust: &str| {
        place.call(&[
            "sign",
            "small.bundle",
            "--trust",
            trust,
            "--key",
            "two.key",
            "-o",
            "two.bundle",
        ])
    };
    assert_eq!(sign("two.pub").code, Some(1));
    assert!(!place.at("two.bundle").exists());
    assert_eq!(sign("one.pub").code, Some(0));
    place.succeed(&["verify", "two.bundle", "--trust", "two.pub"]);
    assert_eq!(place.call(&["verify", "two.bundle", "--trust", "one.pub"]).code, Some(1));
}

#[test]
fn a_private_key_that_others_can_read_is_refused_with_the_remedy() {
    let place = place();
    fs::set_permissions(place.at("one.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let variable = "WORKSPACE=/srv/app";
    let called =
        place.call(&["compile", "small", "--var", variable, "--key", "one.key", "-o", "x.bundle"]);
    assert_eq!(called.code, Some(1));
    assert!(called.err.contains("chmod 0600"), "{called:?}");
    assert!(!place.at("x.bundle").exists());
}

#[test]
fn a_locked_key_signs_for_whoever_knows_the_passphrase() {
    let place = Place::new();
    let file = place.write("passphrase", "correct horse\n");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let with = |file: &str, arguments: &[&str]| {
        let output = place.tool(arguments).env("EXECLAYER_PASSPHRASE_FILE", file).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let made = with("passphrase", &["keys", "new", "locked", "--passphrase"]);
    assert_eq!(made.0, Some(0), "{made:?}");
    let text = fs::read_to_string(place.at("locked.key")).unwrap();
    assert!(text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"), "{text}");
    let compile = [
        "compile",
        "small",
        "--var",
        "WORKSPACE=/srv/app",
        "--key",
        "locked.key",
        "-o",
        "x.bundle",
    ];
    assert_eq!(with("passphrase", &compile).0, Some(0));
    place.succeed(&["verify", "x.bundle", "--trust", "locked.pub"]);
    place.write("passphrase", "wrong horse\n");
    let refused = with("passphrase", &compile);
    assert!(refused.0 == Some(1) && refused.1.contains("does not open it"), "{refused:?}");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let refused = with("passphrase", &compile);
    assert!(refused.0 == Some(1) && refused.1.contains("others could know"), "{refused:?}");
}

#[test]
fn a_key_gets_a_passphrase_and_loses_it_and_stays_the_same_key() {
    let place = place();
    let file = place.write("passphrase", "p");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let public = fs::read_to_string(place.at("one.pub")).unwrap();
    let key = |arguments: &[&str]| {
        let called = [&["keys"], arguments].concat();
        let mut tool = place.tool(&called);
        for variable in ["EXECLAYER_PASSPHRASE_FILE", "EXECLAYER_NEW_PASSPHRASE_FILE"] {
            tool.env(variable, &file);
        }
        let output = tool.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let word = |text: &str| text.split(' ').nth(1).map(|key| key.trim().to_owned());
    assert_eq!(key(&["export", "one.key"]), public);
    key(&["passphrase", "one.key"]);
    let text = fs::read_to_string(place.at("one.key")).unwrap();
    assert!(text.contains("ENCRYPTED"), "{text}");
    let mode = fs::metadata(place.at("one.key")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    assert_eq!(word(&key(&["export", "one.key"])), word(&public));
    key(&["passphrase", "one.key", "--none"]);
    assert_eq!(word(&key(&["export", "one.key"])), word(&public));
    let pem = key(&["export", "one.pub", "--pem"]);
    assert!(pem.starts_with("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA"), "{pem}");
}
