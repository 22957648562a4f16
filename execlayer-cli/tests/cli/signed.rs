//! Claims about roots, several signatures, terms and orders.

use std::fs;

use serde_json::Value;

use crate::harness::Place;

/// A place with the keys `a` to `d`, and a root of the first three that two of them must sign.
fn place() -> Place {
    let place = Place::new();
    for name in ["a", "b", "c", "d"] {
        place.succeed(&["keys", "new", name]);
    }
    let draft = place.succeed(&["root", "draft", "a.pub", "b.pub", "c.pub"]).out;
    fs::write(place.at("root.draft"), draft).unwrap();
    place
}

fn json(place: &Place, file: &str) -> Value {
    serde_json::from_slice(&fs::read(place.at(file)).unwrap()).unwrap()
}

fn id(place: &Place, key: &str) -> String {
    let out = place.succeed(&["keys", "list", key]).out;
    out.lines().last().unwrap().split_whitespace().next().unwrap().to_owned()
}

#[test]
fn a_root_is_drafted_and_signed_by_enough() {
    let place = place();
    let draft = json(&place, "root.draft");
    assert_eq!((&draft["version"], &draft["root"]["threshold"]), (&1.into(), &2.into()));
    let called =
        place.succeed(&["root", "sign", "root.draft", "--key", "a.key", "-o", "root.json"]);
    assert!(called.err.contains("1 more of its root keys"), "{called:?}");
    let shown = place.succeed(&["inspect", "root.json"]).out;
    assert!(shown.starts_with("NOT VERIFIED: 1 of the 2 signatures"), "{shown}");
    // One that is not in it signs, too: that changes nothing.
    for (key, verified) in [("d", false), ("b", true)] {
        let key = format!("{key}.key");
        place.succeed(&["sign", "root.json", "--add", "--key", &key, "-o", "root.json"]);
        let shown = place.succeed(&["inspect", "root.json"]).out;
        assert_eq!(shown.starts_with("verified as a first root"), verified, "{shown}");
    }
}

#[test]
fn a_key_is_exchanged_or_taken_away_in_the_next_root() {
    let place = place();
    place.succeed(&["root", "sign", "root.draft", "--key", "a.key", "-o", "root.json"]);
    let called = place.call(&["root", "next", "root.json"]);
    assert!(called.code == Some(1) && called.err.contains("signatures"), "not signed by enough");
    place.succeed(&["sign", "root.json", "--add", "--key", "b.key", "-o", "root.json"]);
    let (c, d) = (id(&place, "c.pub"), id(&place, "d.pub"));
    let next = place.succeed(&["root", "next", "root.json", "--add", "d.pub", "--remove", &c[..8]]);
    let next = next.json();
    assert_eq!(next["version"], 2);
    let keys = next["root"]["keys"].to_string();
    assert!(keys.contains(&d) && !keys.contains(&c), "{keys}");
    assert_eq!(next["roles"][0]["keys"].as_array().unwrap().len(), 3);
    let fewer = place.succeed(&["root", "next", "root.json", "--remove", &c]).json();
    assert_eq!(fewer["root"]["keys"].as_array().unwrap().len(), 2);
    let called = place.call(&["root", "next", "root.json", "--remove", "zz"]);
    assert!(called.code == Some(1) && called.err.contains("no key `zz`"), "{called:?}");
}

#[test]
fn a_draft_that_contradicts_itself_is_not_signed() {
    let place = place();
    let mut draft = json(&place, "root.draft");
    draft["root"]["threshold"] = 4.into();
    fs::write(place.at("root.draft"), draft.to_string()).unwrap();
    let called = place.call(&["root", "sign", "root.draft", "--key", "a.key", "-o", "root.json"]);
    assert!(called.code == Some(1) && called.err.contains("4 of 3 keys"), "{called:?}");
    assert!(!place.at("root.json").exists());
}

#[test]
fn signatures_are_added_only_to_what_is_verified() {
    let place = place();
    let compile = ["compile", "small", "--var", "WORKSPACE=/srv/app", "--key", "a.key"];
    place.succeed(&[&compile[..], &["-o", "small.bundle"]].concat());
    let add = ["sign", "small.bundle", "--add", "--key", "b.key", "-o", "both.bundle"];
    let called = place.call(&[&add[..], &["--trust", "c.pub"]].concat());
    assert!(called.code == Some(1) && called.err.contains("no trusted key"), "{called:?}");
    place.succeed(&[&add[..], &["--trust", "a.pub"]].concat());
    for key in ["a.pub", "b.pub"] {
        let shown = place.succeed(&["verify", "both.bundle", "--trust", key]).out;
        assert!(shown.contains(&id(&place, key)), "{shown}");
    }
    let called = place.call(&["verify", "both.bundle", "--trust", "c.pub"]);
    assert_eq!(called.code, Some(1));
}

#[test]
fn terms_are_written_as_dates_and_shown() {
    let place = place();
    let compile = ["compile", "small", "--var", "WORKSPACE=/srv/app"];
    let signed = ["--key", "a.key", "-o", "small.bundle"];
    let terms = ["--not-after", "2027-01-31", "--least-agent", "0.1.0", "--machine", "edge-1"];
    place.succeed(&[&compile[..], &signed, &terms].concat());
    let shown = place.succeed(&["inspect", "small.bundle"]).out;
    assert!(
        shown.contains("not after 2027-01-31T00:00:00Z, execlayerd 0.1.0 or later, for edge-1"),
        "{shown}"
    );
    for wrong in [&["--not-after", "31.1.2027"][..], &["--least-agent", "1.2"]] {
        let called = place.call(&[&compile[..], &signed, wrong].concat());
        assert!(called.code == Some(2) && called.err.contains("write it as"), "{called:?}");
    }
    let called = place.call(
        &[&compile[..], &signed, &["--not-before", "2027-02-01", "--not-after", "2027-01-31"]]
            .concat(),
    );
    assert!(called.code == Some(3) && called.err.contains("after the last"), "{called:?}");
    // Terms are signed: without a key they would be for nothing.
    let called = place.call(&[&compile[..], &["--machine", "edge-1"]].concat());
    assert_eq!(called.code, Some(2));
}

#[test]
fn an_order_goes_back_and_nowhere_else() {
    let place = place();
    let order = |from: &str, to: &str| {
        let names =
            ["order", "--policy", "p", "--agent", "a", "--key", "a.key", "-o", "back.order"];
        place.call(&[&names[..], &["--from", from, "--to", to]].concat())
    };
    assert_eq!(order("9", "8").code, Some(0));
    let shown = place.succeed(&["inspect", "back.order", "--trust", "a.pub"]).out;
    assert!(shown.starts_with("verified\n") && shown.contains("\"from\""), "{shown}");
    let shown = place.succeed(&["inspect", "back.order", "--trust", "b.pub"]).out;
    assert!(shown.starts_with("NOT VERIFIED"), "{shown}");
    let called = order("8", "9");
    assert!(called.code == Some(1) && called.err.contains("from 8 to 9"), "{called:?}");
    let called = place.call(&["verify", "back.order", "--trust", "a.pub"]);
    assert!(called.code == Some(1) && called.err.contains("is expected"), "{called:?}");
}
