//! Claims about `audit`, over a log that the tests write themselves.

use std::{collections::BTreeMap, fs, path::Path};

use execlayer_audit::{Checkpoint, Hash, Signer, Tile, Tree, segment};
use zeroize::Zeroizing;

use crate::harness::Place;

const ORIGIN: &str = "host/execlayer/0badcafe";
const COUNT: u64 = 600;
/// Records of the segment that is closed.
const CLOSED: u64 = 512;
const SECRET: u64 = 300;

/// What the records of the log are: one of a trail, one of a policy, and verdicts.
fn fields(seq: u64) -> String {
    let second = seq % 60;
    let time = format!("2027-01-31T12:{:02}:{second:02}.000000000Z", seq / 60);
    match seq {
        0 => format!(r#""format":2,"kind":"trail","time":"{time}","size":0"#),
        1 => format!(
            r#""format":2,"kind":"policy","time":"{time}","agent":"tester","policy":"small","version":3,"digest":"d1","signers":["k1"]"#
        ),
        _ => {
            let (verdict, subject) = match seq {
                SECRET => ("deny", "/root/.ssh/id"),
                _ if seq.is_multiple_of(2) => ("deny", "/etc/shadow"),
                _ => ("allow", "/etc/passwd"),
            };
            format!(
                r#""format":2,"kind":"verdict","time":"{time}","agent":"tester","policy":"small","version":3,"digest":"d1","operation":"open","access":["read"],"subject":"{subject}","verdict":"{verdict}","enforced":true,"rule":"no-keys","file":"policy.toml","line":19,"reason":"rule","message":"Keys stay private.","pid":12,"tgid":12,"ppid":11,"comm":"cat","exe":"/usr/bin/cat","argv":["cat","{subject}"],"ancestors":[{{"pid":11,"comm":"sh"}},{{"pid":7,"comm":"agent"}}],"session":5"#
            )
        }
    }
}

fn signer() -> Signer {
    Signer::from_random(&Zeroizing::new([7; 32]), "host/execlayer").unwrap()
}

fn head(tree: &Tree) -> String {
    let head = Checkpoint { origin: ORIGIN.to_owned(), size: tree.size(), root: tree.root() };
    signer().sign(&head).unwrap()
}

/// Writes the log below `audit`.
fn write_log(place: &Place) {
    let folder = place.at("audit");
    let records = folder.join(segment::FOLDER);
    fs::create_dir_all(&records).unwrap();
    let (mut tree, mut tiles) = (Tree::default(), BTreeMap::new());
    let mut texts = [String::new(), String::new()];
    for seq in 0..COUNT {
        let line = segment::begin(seq) + &fields(seq) + "}";
        tree.append(Hash::of_leaf(line.as_bytes()), |tile, hashes| {
            tiles.insert(tile, Tile::to_bytes(hashes));
        });
        texts[usize::from(seq >= CLOSED)].push_str(&(line + "\n"));
        if tree.size() == CLOSED {
            fs::write(records.join(segment::checkpoint_name(0)), head(&tree)).unwrap();
        }
    }
    tiles.extend(tree.partials().map(|(tile, hashes)| (tile, Tile::to_bytes(hashes))));
    for (tile, bytes) in tiles {
        let path = folder.join(tile.path());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    fs::write(records.join(segment::name(0)), &texts[0]).unwrap();
    fs::write(records.join(segment::name(CLOSED)), &texts[1]).unwrap();
    fs::write(folder.join(segment::CHECKPOINT), head(&tree)).unwrap();
    let key = signer().public().named(ORIGIN).unwrap();
    fs::write(folder.join(segment::PUBLIC_KEY), format!("{key}\n")).unwrap();
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from));
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

fn log() -> Place {
    let place = Place::new();
    write_log(&place);
    place
}

#[test]
fn a_log_is_verified_with_its_public_key_and_nothing_else() {
    let place = log();
    let called = place.succeed(&["audit", "verify", "audit"]);
    assert!(
        called.out.contains("proved:  600") && called.out.contains("nothing was changed"),
        "{called:?}"
    );
    assert!(called.err.contains("--key"), "whose key it was: {called:?}");
    fs::rename(place.at("audit/log.pub"), place.at("kept.pub")).unwrap();
    let called = place.succeed(&["audit", "verify", "audit", "--key", "kept.pub", "--json"]);
    let json = called.json();
    assert_eq!(
        (&json["origin"], &json["records"], &json["proved"]),
        (&ORIGIN.into(), &600.into(), &600.into())
    );
    assert!(called.err.is_empty(), "{called:?}");
}

#[test]
fn what_was_done_to_a_log_is_said_and_it_exits_with_10() {
    let of = |change: fn(&Place), said: &str| {
        let place = log();
        change(&place);
        let called = place.call(&["audit", "verify", "audit"]);
        assert_eq!(called.code, Some(10), "{said}: {called:?}");
        assert!(called.out.contains(said), "{said}: {called:?}");
    };
    let first = |place: &Place| place.at("audit/records/00000000000000000000.jsonl");
    assert!(first(&log()).exists());
    of(
        |place| {
            edit(
                &place.at("audit/records/00000000000000000000.jsonl"),
                "/root/.ssh/id",
                "/root/.ssh/ix",
            )
        },
        "record 300 was changed",
    );
    of(
        |place| fs::remove_file(place.at("audit/records/00000000000000000512.jsonl")).unwrap(),
        "records 512 to 599 (88) are missing",
    );
    of(
        |place| fs::remove_file(place.at("audit/records/00000000000000000000.jsonl")).unwrap(),
        "records 0 to 511 (512) are missing",
    );
    of(|place| edit(&place.at("audit/checkpoint"), "\n600\n", "\n599\n"), "does not count");
    of(
        |place| fs::remove_file(place.at("audit/checkpoint")).unwrap(),
        // The head of the closed segment still counts; the rest is behind it, and unproved.
        "no newest checkpoint",
    );
}

#[test]
fn a_checkpoint_that_was_kept_elsewhere_shows_what_was_cut_off() {
    let place = log();
    fs::copy(place.at("audit/checkpoint"), place.at("kept")).unwrap();
    // The log as it was when its first segment was closed.
    fs::remove_file(place.at("audit/records/00000000000000000512.jsonl")).unwrap();
    fs::copy(
        place.at("audit/records/00000000000000000000.checkpoint"),
        place.at("audit/checkpoint"),
    )
    .unwrap();
    place.succeed(&["audit", "verify", "audit"]);
    let called = place.call(&["audit", "verify", "audit", "--checkpoint", "kept"]);
    assert_eq!(called.code, Some(10));
    assert!(called.out.contains("records 512 to 599 (88) are missing"), "{called:?}");
}

#[test]
fn one_record_is_proved_without_the_log() {
    let place = log();
    place.succeed(&["audit", "prove", "300", "audit", "--output", "300.tlog-proof"]);
    fs::rename(place.at("audit/log.pub"), place.at("kept.pub")).unwrap();
    fs::remove_dir_all(place.at("audit")).unwrap();
    let called = place.succeed(&["audit", "check-proof", "300.tlog-proof", "--key", "kept.pub"]);
    assert_eq!(called.json()["subject"], "/root/.ssh/id");
    assert!(called.err.contains("record 300 of the 600"), "{called:?}");
    edit(&place.at("300.tlog-proof"), "index 300", "index 301");
    let called = place.call(&["audit", "check-proof", "300.tlog-proof", "--key", "kept.pub"]);
    assert_eq!((called.code, called.out.as_str()), (Some(10), ""));
    assert!(called.err.contains("is not number 301"), "{called:?}");
}

#[test]
fn records_are_shown_filtered_counted_and_explained() {
    let place = log();
    let called = place.succeed(&["audit", "show", "audit", "--path", "/root/**"]);
    assert_eq!(called.out.lines().count(), 1, "{called:?}");
    for part in [
        "300",
        "2027-01-31 12:05:00",
        "tester",
        "deny",
        "cat[12]",
        "read /root/.ssh/id",
        "policy.toml:19",
    ] {
        assert!(called.out.contains(part), "{part}: {called:?}");
    }
    let called =
        place.succeed(&["audit", "show", "audit", "--verdict", "allow", "--last", "2", "--json"]);
    let seqs: Vec<_> =
        called.out.lines().map(|line| segment::seq_of(line.as_bytes()).unwrap()).collect();
    assert_eq!(seqs, [597, 599]);
    let top = place.succeed(&["audit", "top", "audit", "--by", "subject", "--json"]).json();
    assert_eq!((&top[0]["what"], &top[0]["count"]), (&"read /etc/shadow".into(), &298.into()));
    assert_eq!((&top[1]["what"], &top[1]["count"]), (&"read /root/.ssh/id".into(), &1.into()));
    let out = place.succeed(&["audit", "explain", "300", "audit"]).out;
    for part in [
        "cat[12] < sh[11] < agent[7]",
        "rule `no-keys` (policy.toml:19)",
        "Keys stay private.",
        "small version 3",
        "d1",
        "since record 1",
        "k1",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
    let out = place.succeed(&["audit", "timeline", "audit", "--path", "/root/**"]).out;
    let expected = "tester, session 5\n  agent[7]\n    sh[11]\n      cat /root/.ssh/id[12]\n        - 12:05:00 deny: read /root/.ssh/id";
    assert!(out.starts_with(expected), "{out}");
}

#[test]
fn what_is_no_log_is_said_to_be_none() {
    let place = Place::new();
    let called = place.call(&["audit", "show", "nowhere"]);
    assert_eq!(called.code, Some(1));
    assert!(called.err.contains("there is no audit trail in `nowhere`"), "{called:?}");
    let place = log();
    let called = place.call(&["audit", "explain", "600", "audit"]);
    assert_eq!(called.code, Some(1));
    assert!(called.err.contains("record 600 is not in"), "{called:?}");
    let called = place.call(&["audit", "show", "audit", "--path", "etc"]);
    assert_eq!(called.code, Some(2), "{called:?}");
}
