//! The trail on a disk: what is written is what a verifier finds, and what a crash or a hand did is seen.

use std::{
    fs,
    io::{BufRead, Write},
    path::{Path, PathBuf},
};

use execlayer_audit::{LogKey, verify::Verification};

use super::{Found, Settings, Sync, Trail, TrailError, Weight, open};

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("state")).unwrap();
        Self { folder }
    }

    fn settings(&self) -> Settings {
        Settings {
            folder: self.log(),
            state_dir: self.folder.path().join("state"),
            sync: Sync::Checkpoint,
            checkpoint: 3_600,
            segment: 4_096,
            keep_days: None,
            keep_bytes: None,
        }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("audit")
    }

    fn open(&self) -> (Trail, Found) {
        open(self.settings()).unwrap()
    }

    /// A log of so many records, closed as a daemon closes it that ends.
    fn written(&self, count: u64) -> Found {
        let (mut trail, found) = self.open();
        write(&mut trail, count);
        trail.checkpoint().unwrap();
        found
    }

    fn key(&self) -> LogKey {
        LogKey::parse(&fs::read_to_string(self.log().join("log.pub")).unwrap()).unwrap()
    }

    /// Findings in words, and how many records are proved.
    fn verify(&self) -> (Vec<String>, u64) {
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        let mut heads = vec![("checkpoint".to_owned(), read(&self.log().join("checkpoint")))];
        let (mut segments, mut lines) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(self.log().join("records")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if let Some(first) = execlayer_audit::segment::first_of(name) {
                segments.push(first);
            } else {
                heads.push((path.display().to_string(), read(&path)));
            }
        }
        segments.sort_unstable();
        for first in segments {
            let reader = super::closed::reader(&self.log(), first).unwrap();
            lines.extend(reader.lines().map(Result::unwrap));
        }
        let mut walk = Verification::new(&heads, &self.key());
        let mut leaf = |seq: u64| {
            let name = execlayer_audit::Tile::full(0, seq / 256);
            let hashes = name.hashes_of(&fs::read(self.log().join(name.path())).ok()?)?;
            hashes.get((seq % 256) as usize).copied()
        };
        lines.iter().for_each(|line| walk.line(line.as_bytes(), &mut leaf));
        let report = walk.finish(&mut leaf);
        (report.findings.iter().map(ToString::to_string).collect(), report.proved)
    }
}

const EVENT: Option<Weight> = Some(Weight { profile: 3, events: 1, of_ring: false });

fn write(trail: &mut Trail, count: u64) {
    for number in 0..count {
        trail.append(format!("{{\"n\":{number}}}").as_bytes(), EVENT).unwrap();
    }
}

fn segments(place: &Place) -> Vec<String> {
    let entries = fs::read_dir(place.log().join("records")).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_is_written_is_proved_over_several_segments_and_daemons() {
    let place = Place::new();
    let first = place.written(700);
    assert_eq!((first.size, first.unsigned, &first.set_aside), (0, 0, &None));
    let again = place.written(900);
    assert_eq!(again, Found { origin: first.origin, size: 700, ..Found::default() });
    assert_eq!(place.verify(), (vec![], 1_600));
    let names = segments(&place);
    assert!(names.len() > 4 && names[0] == "00000000000000000000.checkpoint", "{names:?}");
    assert!(
        names.iter().all(|name| name.split_once('.').unwrap().0.parse::<u64>().unwrap() % 256 == 0)
    );
    let state = fs::read_to_string(place.folder.path().join("state/audit.checkpoint")).unwrap();
    assert_eq!(state, fs::read_to_string(place.log().join("checkpoint")).unwrap());
}

#[test]
fn tiles_that_are_not_full_are_there_for_the_newest_head_only() {
    let place = Place::new();
    place.written(70);
    assert!(place.log().join("tile/0/000.p/70").exists());
    place.written(200);
    assert!(!place.log().join("tile/0/000.p").exists());
    for tile in ["tile/0/000", "tile/0/001.p/14", "tile/1/000.p/1"] {
        assert!(place.log().join(tile).exists(), "{tile}");
    }
}

#[test]
fn a_daemon_that_was_killed_leaves_a_log_that_goes_on() {
    let place = Place::new();
    place.written(300);
    let (mut trail, _found) = place.open();
    write(&mut trail, 20);
    trail.flush().unwrap();
    write(&mut trail, 5);
    drop(trail);
    let newest = place.log().join("records").join(segments(&place).last().unwrap());
    fs::OpenOptions::new()
        .append(true)
        .open(&newest)
        .unwrap()
        .write_all(b"{\"seq\":320,\"n")
        .unwrap();
    let (trail, found) = place.open();
    assert_eq!((found.size, found.unsigned, found.torn, found.set_aside), (320, 20, 13, None));
    drop(trail);
    assert_eq!(place.verify(), (vec![], 320));
}

#[test]
fn lost_tiles_are_computed_again() {
    let place = Place::new();
    place.written(1_000);
    fs::remove_file(place.log().join("tile/0/001")).unwrap();
    fs::write(place.log().join("tile/0/002"), [0; 8_192]).unwrap();
    assert_eq!(place.written(10).set_aside, None);
    assert_eq!(place.verify(), (vec![], 1_010));
    assert_ne!(fs::read(place.log().join("tile/0/002")).unwrap(), [0; 8_192]);
}

/// What a change to a log of 1,000 records does: why it is set aside.
fn set_aside(change: impl FnOnce(&Place)) -> String {
    let place = Place::new();
    let before = place.written(1_000);
    change(&place);
    let after = place.written(1);
    assert_ne!(before.origin, after.origin, "no head of the old log is signed again");
    assert_eq!(after.before.map(|head| head.size), Some(1_000));
    assert_eq!((after.size, place.verify()), (0, (vec![], 1)));
    after.set_aside.unwrap()
}

#[test]
fn a_log_that_was_changed_is_set_aside_and_another_begins() {
    let last = |place: &Place| place.log().join("records").join(segments(place).last().unwrap());
    let said = set_aside(|place| {
        let path = last(place);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("\"n\":999", "\"n\":998")).unwrap();
    });
    assert!(said.contains("do not fit what was signed: it is now in `"), "{said}");
    let said = set_aside(|place| {
        let path = last(place);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.split_inclusive('\n').take(10).collect::<String>()).unwrap();
    });
    assert!(said.contains("and 1000 were signed"), "{said}");
    let said = set_aside(|place| fs::remove_file(place.log().join("checkpoint")).unwrap());
    assert!(said.contains("its checkpoint is gone"), "{said}");
    let said = set_aside(|place| fs::remove_dir_all(place.log()).unwrap());
    assert!(said.contains("its 1000 records are gone"), "{said}");
    let said = set_aside(|place| {
        let other = Place::new();
        other.written(2_000);
        fs::remove_dir_all(place.log()).unwrap();
        fs::rename(other.log(), place.log()).unwrap();
    });
    assert!(said.contains("signed by"), "{said}");
}

#[test]
fn an_older_copy_of_a_log_is_no_log() {
    let said = set_aside(|place| {
        // The state directory knows of more than the copy has.
        let (old, state) = (Place::new(), place.folder.path().join("state"));
        fs::copy(state.join("audit.key"), old.folder.path().join("state/audit.key")).unwrap();
        old.written(10);
        fs::remove_dir_all(place.log()).unwrap();
        fs::rename(old.log(), place.log()).unwrap();
    });
    assert!(said.contains("and this device wrote"), "{said}");
}

#[test]
fn a_key_that_cannot_be_read_is_set_aside_with_its_log() {
    let place = Place::new();
    let before = place.written(10);
    fs::write(place.folder.path().join("state/audit.key"), "no key").unwrap();
    let after = place.written(1);
    assert!(
        after.set_aside.as_ref().unwrap().contains("the device's key was set aside"),
        "{after:?}"
    );
    assert_ne!(before.origin, after.origin);
    assert_eq!(place.verify(), (vec![], 1));
}

#[test]
fn two_do_not_write_one_log() {
    let place = Place::new();
    let (_trail, _found) = place.open();
    assert!(matches!(open(place.settings()), Err(TrailError::InUse(_))));
}

#[test]
fn what_cannot_be_written_is_counted_and_never_was_part_of_the_log() {
    let place = Place::new();
    let (mut trail, _found) = place.open();
    write(&mut trail, 3);
    trail.flush().unwrap();
    // A file that somebody removed is not made anew: its records would be missing from it.
    let path = place.log().join("records").join(&segments(&place)[0]);
    let text = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    trail.forget_file();
    write(&mut trail, 2);
    assert!(trail.flush().is_err());
    assert_eq!((trail.unwritten(), trail.take_unwritten(Some(3))), (2, 2));
    assert_eq!(trail.take_unwritten(Some(3)), 0, "said once");
    assert_eq!(trail.account(3).events, 3, "what is in the log is accounted for, and nothing else");
    fs::write(&path, &text).unwrap();
    write(&mut trail, 1);
    trail.checkpoint().unwrap();
    assert_eq!(place.verify(), (vec![], 4));
}

#[test]
fn a_record_that_is_too_long_is_counted() {
    let place = Place::new();
    let (mut trail, _found) = place.open();
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(65_535));
    assert!(trail.append(long.as_bytes(), None).is_err());
    assert_eq!(trail.unwritten(), 1);
    let fits = format!("{{\"a\":\"{}\"}}", "x".repeat(65_300));
    trail.append(fits.as_bytes(), None).unwrap();
    trail.checkpoint().unwrap();
    assert_eq!(place.verify(), (vec![], 1));
}

#[test]
fn what_is_accounted_for_outlives_a_kill_and_not_the_gate() {
    let place = Place::new();
    let (mut trail, _found) = place.open();
    assert!(!trail.begin_accounts(41), "another gate");
    write(&mut trail, 3);
    trail.checkpoint().unwrap();
    let line = |fields: &str| format!("{{\"format\":2,\"kind\":{fields}}}");
    let records = [
        line("\"verdict\",\"profile\":3"),
        line("\"question\",\"profile\":3"),
        line("\"repeat\",\"profile\":3,\"count\":10"),
        line("\"lost\",\"profile\":3,\"cause\":\"ring\",\"lost\":100"),
        line("\"lost\",\"profile\":null,\"cause\":\"write\",\"lost\":9"),
        line("\"gate\",\"what\":\"up\""),
    ];
    for (record, events) in records.iter().zip([1, 1, 10, 100, 0, 0]) {
        let weight = Weight { profile: 3, events, of_ring: events == 100 };
        trail.append(record.as_bytes(), (events != 0).then_some(weight)).unwrap();
    }
    trail.flush().unwrap();
    let account = trail.account(3);
    assert_eq!((account.events, account.of_ring), (115, 100));
    drop(trail);
    let (mut trail, _found) = place.open();
    assert!(trail.begin_accounts(41));
    assert_eq!(trail.account(3), account, "also of records that no head covered");
    assert!(!trail.begin_accounts(42));
    assert_eq!(trail.account(3).events, 0);
}

/// Compresses all that is closed.
fn compress(trail: &mut Trail) {
    while !trail.closed.is_idle() {
        assert_eq!(trail.tend_closed().unwrap(), None);
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

#[test]
fn closed_segments_are_compressed_also_those_that_a_crash_left() {
    let place = Place::new();
    let (mut trail, _found) = place.open();
    write(&mut trail, 1_000);
    trail.checkpoint().unwrap();
    let plain = segments(&place);
    drop(trail);
    let (mut trail, _found) = place.open();
    // As if the frame had been written and the plain file not been removed.
    let half = place.log().join("records/00000000000000000000.jsonl.lz4.new");
    fs::write(&half, "half").unwrap();
    compress(&mut trail);
    let packed = segments(&place);
    assert_eq!(packed.len(), plain.len());
    assert_eq!(
        packed.iter().filter(|name| name.ends_with(".jsonl")).count(),
        1,
        "the open one: {packed:?}"
    );
    assert_eq!(place.verify(), (vec![], 1_000));
    drop(trail);
    // What is in them is what tiles are computed from again.
    fs::remove_file(place.log().join("tile/0/000")).unwrap();
    assert_eq!(place.written(300).set_aside, None);
    assert_eq!(place.verify(), (vec![], 1_300));
}

#[test]
fn the_oldest_closed_segments_are_removed_when_there_is_more_than_is_kept() {
    let place = Place::new();
    let mut settings = place.settings();
    let (mut trail, _found) = open(settings.clone()).unwrap();
    write(&mut trail, 2_000);
    trail.checkpoint().unwrap();
    assert_eq!(super::closed::due(&settings, 1_792, 0).unwrap(), None, "nothing is asked for");
    settings.keep_bytes = Some(9_000);
    let due = super::closed::due(&settings, 1_792, 0).unwrap().unwrap();
    assert!(due.before.is_multiple_of(256) && due.before > 256, "{due:?}");
    trail.append(b"{\"kind\":\"removed\"}", None).unwrap();
    trail.remove(&due).unwrap();
    let left = segments(&place);
    let first = left.iter().filter_map(|name| execlayer_audit::segment::first_of(name)).min();
    assert_eq!(first, Some(due.before));
    assert_eq!(
        left.iter().filter(|name| name.ends_with(".checkpoint")).count(),
        7,
        "heads stay: {left:?}"
    );
    assert_eq!(super::closed::due(&settings, 1_792, 0).unwrap(), None, "once");
    let (findings, proved) = place.verify();
    assert_eq!(findings, [format!("records 0 to {} ({}) are missing", due.before - 1, due.before)]);
    assert_eq!(proved, 2_001, "the tiles prove the rest");
    drop(trail);
    let (_trail, found) = place.open();
    assert_eq!((found.size, found.set_aside), (2_001, None));
}

#[test]
fn segments_are_removed_by_their_age() {
    let place = Place::new();
    place.written(600);
    let mut settings = place.settings();
    settings.keep_days = Some(2);
    let now = crate::record::time::now();
    assert_eq!(super::closed::due(&settings, 512, now).unwrap(), None);
    let due = super::closed::due(&settings, 512, now + 3 * 24 * 60 * 60).unwrap().unwrap();
    assert_eq!(due.before, 512, "never the open one");
}

#[test]
fn what_a_daemon_left_that_was_killed_while_it_began_is_begun_anew() {
    for left in [0, 1, 2] {
        let place = Place::new();
        if left > 0 {
            fs::create_dir_all(place.log().join("records")).unwrap();
            fs::write(place.log().join("log.pub"), "x").unwrap();
        }
        if left > 1 {
            fs::write(place.log().join("records/00000000000000000000.jsonl"), "").unwrap();
        }
        assert_eq!(place.written(3).set_aside, None, "{left}");
        assert_eq!(place.verify(), (vec![], 3));
    }
}

#[test]
fn files_that_are_damaged_or_no_files_are_set_aside_and_keep_no_daemon_from_starting() {
    let said = set_aside(|place| {
        let path = place.log().join("records").join(segments(place).last().unwrap());
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/null", path).unwrap();
    });
    assert!(said.contains("and 1000 were signed"), "{said}");
    let said = set_aside(|place| {
        let path = place.log().join("checkpoint");
        fs::remove_file(&path).unwrap();
        fs::create_dir(path).unwrap();
    });
    assert!(said.contains("cannot be read"), "{said}");
}

#[test]
fn what_a_lost_power_left_behind_the_newest_head_is_cut_off() {
    let place = Place::new();
    place.written(70);
    let newest = place.log().join("records").join(segments(&place).last().unwrap());
    let mut file = fs::OpenOptions::new().append(true).open(&newest).unwrap();
    file.write_all(
        &[&b"{\"seq\":70,\"a\":1}\n"[..], &[0; 100], b"\n{\"seq\":72,}\n{\"se"].concat(),
    )
    .unwrap();
    fs::create_dir_all(place.log().join("tile/0/000.p")).unwrap();
    fs::write(place.log().join("tile/0/000.p/90"), [0; 90 * 32]).unwrap();
    let (trail, found) = place.open();
    assert_eq!((found.size, found.unsigned, found.torn, found.set_aside), (71, 1, 117, None));
    drop(trail);
    assert_eq!(place.verify(), (vec![], 71));
    assert!(!place.log().join("tile/0/000.p/90").exists());
}
