//! What the daemon writes down, and what it says is missing.

use std::fs;

use execlayer_api::State;
use execlayer_common::{
    event::{self, Counts},
    question::daemon as words,
};

use super::Bench;
use crate::{
    kernel::{events::tests::denied, fake::Fake},
    record::trail::Unwritten,
    state::Concern,
};

#[test]
fn losses_are_written_once_each_and_degrade() {
    let mut gate = Fake::default();
    gate.counts.insert(0, Counts { events: 3, lost: 3, put: 0 });
    let mut bench = Bench::over(tempfile::tempdir().unwrap(), false, gate);
    bench.daemon.tick();
    bench.daemon.tick();
    let lines = bench.lines();
    let [_up, lost, degraded] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((&degraded["kind"], &degraded["what"]), (&"state".into(), &"degraded".into()));
    assert_eq!(
        (&lost["kind"], &lost["lost"], &lost["cause"]),
        (&"lost".into(), &3.into(), &"ring".into())
    );
    assert_eq!(bench.status().state, State::Degraded);
}

#[test]
fn what_a_killed_daemon_took_and_did_not_write_is_missing_and_said_to_be() {
    let mut bench = Bench::new(false);
    let record = denied(b"/x", b"/y");
    let room = event::room(record.len() as u64);
    let counts = |events| Counts { events, lost: 0, put: events * room };
    for _ in 0..2 {
        bench.daemon.observe(&record);
    }
    bench.daemon.settle();
    bench.daemon.observe(&record);
    let mut gate = std::mem::take(bench.daemon.gate.as_fake());
    // It was killed: the third was in its memory only, and two more in the ring buffer.
    let folder = bench.ended();
    gate.counts.insert(1, counts(5));
    let mut bench = Bench::over(folder, false, gate);
    bench.daemon.observe(&record);
    bench.daemon.observe(&record);
    bench.daemon.tick();
    bench.daemon.tick();
    let lines = bench.lines();
    let lost: Vec<_> = lines.iter().filter(|line| line["kind"] == "lost").collect();
    assert_eq!(lost.len(), 1, "{lines:?}");
    assert_eq!((&lost[0]["lost"], &lost[0]["cause"]), (&1.into(), &"daemon".into()));
    assert_eq!(lines.iter().filter(|line| line["kind"] == "verdict").count(), 4);
    let taken = bench.daemon.gate.as_fake().words[&(words::TAKEN + 1)];
    assert_eq!(taken, 5 * room, "also what was taken by the one before");
}

#[test]
fn a_flood_of_one_verdict_is_a_few_records_and_a_count() {
    let mut bench = Bench::new(false);
    let record = denied(b"/x", b"/y");
    bench.daemon.gate.as_fake().counts.insert(1, Counts { events: 1_000, lost: 0, put: 0 });
    // A tick ago the kernel had counted them all; the while is over by the next one, which looks for what is missing.
    bench.daemon.tick();
    for _ in 0..1_000 {
        bench.daemon.observe(&record);
    }
    bench.daemon.tick();
    let lines = bench.lines();
    let of = |kind: &str| lines.iter().filter(|line| line["kind"] == kind).collect::<Vec<_>>();
    assert_eq!((of("verdict").len(), of("lost").len()), (20, 0));
    let [repeat] = of("repeat")[..] else { panic!("{lines:?}") };
    assert_eq!((&repeat["count"], &repeat["subject"]), (&980.into(), &"/x".into()));
}

#[test]
fn a_log_that_cannot_be_written_degrades() {
    let mut bench = Bench::new(false);
    bench.daemon.settle();
    let (path, records) = (bench.records(), fs::read(bench.records()).unwrap());
    bench.daemon.gate.as_fake().counts.insert(1, Counts { events: 1, lost: 0, put: 0 });
    bench.daemon.tick();
    bench.daemon.trail.forget_file();
    fs::remove_file(&path).unwrap();
    bench.daemon.observe(&denied(b"/x", b"/y"));
    bench.daemon.settle();
    let status = bench.status();
    assert_eq!((status.state, status.audit.unwritten), (State::Degraded, 1));
    assert!(status.degraded[0].contains("(1 records are missing)"), "{:?}", status.degraded);
    fs::write(&path, records).unwrap();
    bench.daemon.tick();
    let lines = bench.lines();
    let [_up, lost, degraded] = &lines[..] else { panic!("{lines:?}") };
    assert!(degraded["reasons"][0].as_str().unwrap().contains("missing"), "{degraded}");
    assert_eq!((&lost["kind"], &lost["cause"]), (&"lost".into(), &"write".into()));
    assert_eq!((&lost["profile"], &lost["lost"], &lost["seq"]), (&1.into(), &1.into(), &2.into()));
    let degraded = bench.status().degraded;
    let missing = "events are missing from the audit trail: it says how many";
    assert_eq!(degraded, [missing], "the next record that is written mends");
}

#[test]
fn what_must_be_recorded_is_denied_for_as_long_as_nothing_can_be() {
    for (setting, denied_then) in [(Unwritten::Deny, 1), (Unwritten::Count, 0)] {
        let mut bench = Bench::new(false);
        bench.daemon.options.audit_failure = setting;
        bench.daemon.tick();
        let word = |bench: &mut Bench| {
            bench.daemon.gate.as_fake().words.get(&words::UNRECORDED).copied().unwrap_or_default()
        };
        assert_eq!(word(&mut bench), 0);
        let (path, records) = (bench.records(), fs::read(bench.records()).unwrap());
        bench.daemon.trail.forget_file();
        fs::remove_file(&path).unwrap();
        bench.daemon.observe(&denied(b"/x", b"/y"));
        bench.daemon.settle();
        assert_eq!(word(&mut bench), denied_then);
        // A head that can be signed says nothing about records.
        bench.daemon.note_trail(Ok(true));
        assert_eq!(word(&mut bench), denied_then);
        fs::write(&path, records).unwrap();
        bench.daemon.observe(&denied(b"/x", b"/y"));
        bench.daemon.settle();
        assert_eq!(word(&mut bench), 0);
    }
}

#[test]
fn how_the_daemon_fares_is_recorded_when_it_changes() {
    let mut bench = Bench::new(false);
    bench.daemon.canary_passed(vec!["exec was denied".into()]);
    for why in ["first", "second"] {
        bench.daemon.health.raise(Concern::Ways, why.into());
        bench.daemon.tick();
    }
    bench.daemon.health.clear(Concern::Ways);
    bench.daemon.tick();
    bench.daemon.tick();
    bench.daemon.stop();
    let lines = bench.lines();
    let states: Vec<_> = lines
        .iter()
        .filter(|line| line["kind"] == "state")
        .map(|line| (line["what"].as_str().unwrap(), line["reasons"].to_string()))
        .collect();
    let said = |what, reasons: &str| (what, reasons.to_owned());
    let expected = [
        said("tried", r#"["exec was denied"]"#),
        said("degraded", r#"["first"]"#),
        said("mended", "[]"),
        said("stopped", r#"["execlayerd"]"#),
    ];
    assert_eq!(states, expected);
}

#[test]
fn a_trail_that_somebody_changed_degrades_and_the_new_one_says_so() {
    let mut bench = Bench::new(false);
    bench.daemon.stop();
    let path = bench.records();
    let folder = bench.ended();
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"up\"", "\"UP\"")).unwrap();
    let mut bench = Bench::over(folder, false, Fake::default());
    let status = bench.status();
    assert_eq!((status.state, status.degraded.len()), (State::Degraded, 1));
    assert!(status.degraded[0].contains("the audit trail was set aside"), "{:?}", status.degraded);
    let first = fs::read_to_string(bench.records()).unwrap();
    let first: serde_json::Value = serde_json::from_str(first.lines().next().unwrap()).unwrap();
    assert_eq!((&first["kind"], &first["before"]["size"]), (&"trail".into(), &3.into()));
    assert!(first["set_aside"].as_str().unwrap().contains("do not fit what was signed"), "{first}");
}
