//! A sink that fails, refuses and is interrupted, over a log that grows, is cut and replaced.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

use execlayer_audit::segment;

use super::{Delivery, Turn};
use crate::{
    counts::Counts,
    settings::{Begin, Format, Settings, Target, Verdict},
    sink::{Item, Sink, Trouble},
};

/// Remembers what it took; fails every so often, and will not have some.
#[derive(Default)]
struct Other {
    taken: Arc<Mutex<Vec<u64>>>,
    calls: u64,
    fails_each: u64,
    refuses: Option<u64>,
    refuses_all: bool,
}

impl Sink for Other {
    fn send(&mut self, items: &[Item]) -> Result<(), Trouble> {
        self.calls += 1;
        let seqs: Vec<_> = items.iter().filter_map(|item| segment::seq_of(&item.line)).collect();
        if self.fails_each > 0 && self.calls.is_multiple_of(self.fails_each) {
            // Some of them had arrived.
            self.taken.lock().unwrap().extend(seqs.first());
            return Err(Trouble::Later("not now".into()));
        }
        if self.refuses_all || seqs.iter().any(|seq| Some(*seq) == self.refuses) {
            return Err(Trouble::Refused("not that".into()));
        }
        self.taken.lock().unwrap().extend(seqs);
        Ok(())
    }

    fn send_head(&mut self, _size: u64, _note: &str) -> Result<(), Trouble> {
        Err(Trouble::Refused("no heads".into()))
    }
}

fn put(folder: &Path, first: u64, to: u64) {
    let records = folder.join(segment::FOLDER);
    fs::create_dir_all(&records).unwrap();
    let line = |seq: u64| {
        let verdict = ["allow", "deny"][(seq % 2) as usize];
        format!("{}\"kind\":\"verdict\",\"verdict\":\"{verdict}\"}}\n", segment::begin(seq))
    };
    let text: String = (first..to).map(line).collect();
    fs::write(records.join(segment::name(first)), text).unwrap();
}

fn sign(folder: &Path, size: u64) {
    fs::write(folder.join(segment::CHECKPOINT), format!("origin\n{size}\nroot\n")).unwrap();
}

fn settings() -> Settings {
    Settings {
        name: "a".into(),
        target: Target::File("/unused".into()),
        format: Format::Records,
        verdicts: None,
        begin: Begin::Oldest,
        every: 0,
    }
}

struct Bench {
    log: tempfile::TempDir,
    states: tempfile::TempDir,
    counts: Arc<Counts>,
    taken: Arc<Mutex<Vec<u64>>>,
}

impl Bench {
    fn new() -> Self {
        let folder = || tempfile::tempdir().unwrap();
        let (counts, taken) = (Arc::default(), Arc::default());
        Self { log: folder(), states: folder(), counts, taken }
    }

    fn begin(&self, settings: Settings, sink: Other) -> Delivery {
        let sink = Other { taken: Arc::clone(&self.taken), ..sink };
        let places = (self.log.path(), self.states.path());
        Delivery::begin(settings, places, Box::new(sink), Arc::clone(&self.counts)).unwrap()
    }

    fn all(&self, delivery: &mut Delivery) {
        while delivery.turn() != Turn::Idle {}
    }

    fn taken(&self) -> Vec<u64> {
        std::mem::take(&mut self.taken.lock().unwrap())
    }
}

#[test]
fn everything_arrives_in_order_over_failures_and_ends_of_the_process() {
    let bench = Bench::new();
    put(bench.log.path(), 0, 1_280);
    put(bench.log.path(), 1_280, 4_000);
    for _process in 0..20 {
        let mut delivery = bench.begin(settings(), Other { fails_each: 3, ..Other::default() });
        for _turn in 0..4 {
            delivery.turn();
        }
    }
    let taken = bench.taken();
    let mut seen = Vec::new();
    for seq in &taken {
        if !seen.contains(seq) {
            seen.push(*seq);
        }
    }
    assert_eq!(seen, (0..4_000).collect::<Vec<_>>());
    assert!(taken.len() > seen.len(), "what had arrived when it failed came again");
    let of_sink = bench.counts.now()["a"].clone();
    assert_eq!((of_sink.next, of_sink.lost, of_sink.refused), (4_000, 0, 0));
    assert!(of_sink.failures > 0);
}

#[test]
fn a_record_that_nobody_will_have_is_counted_and_the_others_arrive() {
    let bench = Bench::new();
    put(bench.log.path(), 0, 2_000);
    let mut delivery = bench.begin(settings(), Other { refuses: Some(777), ..Other::default() });
    bench.all(&mut delivery);
    let expected: Vec<_> = (0..2_000).filter(|seq| *seq != 777).collect();
    assert_eq!(bench.taken(), expected);
    assert_eq!(bench.counts.now()["a"].refused, 1);
}

#[test]
fn what_was_removed_before_it_was_sent_is_counted() {
    let bench = Bench::new();
    put(bench.log.path(), 0, 256);
    let mut delivery = bench.begin(settings(), Other::default());
    bench.all(&mut delivery);
    fs::remove_file(bench.log.path().join("records").join(segment::name(0))).unwrap();
    put(bench.log.path(), 768, 770);
    bench.all(&mut delivery);
    assert_eq!(bench.taken(), (0..256).chain(768..770).collect::<Vec<_>>());
    assert_eq!(bench.counts.now()["a"].lost, 512);
}

#[test]
fn another_log_in_the_same_place_is_sent_from_its_beginning() {
    let bench = Bench::new();
    put(bench.log.path(), 0, 10);
    let mut delivery = bench.begin(settings(), Other::default());
    bench.all(&mut delivery);
    assert_eq!(bench.taken().len(), 10);
    let records = bench.log.path().join("records");
    fs::rename(&records, bench.log.path().join("set-aside")).unwrap();
    put(bench.log.path(), 0, 3);
    fs::write(records.join(segment::name(0)), "{\"seq\":0,\"other\":1}\n{\"seq\":1,\"a\":1}\n")
        .unwrap();
    bench.all(&mut delivery);
    assert_eq!(bench.taken(), [0, 1]);
}

#[test]
fn a_log_that_lost_its_end_is_sent_again_from_its_last_head_on() {
    let bench = Bench::new();
    put(bench.log.path(), 0, 10);
    sign(bench.log.path(), 6);
    let mut delivery = bench.begin(settings(), Other::default());
    bench.all(&mut delivery);
    assert_eq!(bench.taken().len(), 10);
    put(bench.log.path(), 0, 8);
    let mut delivery = bench.begin(settings(), Other::default());
    bench.all(&mut delivery);
    assert_eq!(bench.taken(), [6, 7]);
}

#[test]
fn only_wanted_verdicts_are_sent_and_a_sink_may_begin_now() {
    let bench = Bench::new();
    put(bench.log.path(), 0, 20);
    sign(bench.log.path(), 12);
    let wanted = Settings { verdicts: Some(vec![Verdict::Deny]), begin: Begin::Now, ..settings() };
    let mut delivery = bench.begin(wanted, Other::default());
    bench.all(&mut delivery);
    assert_eq!(bench.taken(), [13, 15, 17, 19]);
    assert_eq!(bench.counts.now()["a"].next, 20);
}

#[test]
fn a_state_that_is_damaged_is_named() {
    let bench = Bench::new();
    fs::write(bench.states.path().join("a.json"), "{").unwrap();
    let places = (bench.log.path(), bench.states.path());
    let begun =
        Delivery::begin(settings(), places, Box::new(Other::default()), Arc::clone(&bench.counts));
    let problem = begun.err().unwrap().to_string();
    assert!(problem.contains("sink `a`") && problem.contains("line 1"), "{problem}");
}

#[test]
fn a_receiver_that_refuses_everything_does_not_use_up_the_log() {
    let bench = Bench::new();
    put(bench.log.path(), 0, 2_000);
    let mut delivery = bench.begin(settings(), Other { refuses_all: true, ..Other::default() });
    let mut pauses = 0;
    for _ in 0..100 {
        pauses += u64::from(delivery.turn() == Turn::Failed);
    }
    let refused = bench.counts.now()["a"].refused;
    assert!(refused > 3 && refused <= pauses + 3, "{refused} refused, {pauses} pauses");
    assert_eq!(bench.counts.now()["a"].sent, 0);
}

#[test]
fn what_is_missing_is_counted_once_however_often_it_is_tried() {
    let bench = Bench::new();
    put(bench.log.path(), 256, 300);
    let mut delivery = bench.begin(settings(), Other { fails_each: 1, ..Other::default() });
    for _ in 0..5 {
        assert_eq!(delivery.turn(), Turn::Failed);
    }
    let mut delivery = bench.begin(settings(), Other::default());
    bench.all(&mut delivery);
    assert_eq!(bench.counts.now()["a"].lost, 256);
}

#[test]
fn a_sink_that_began_now_notices_another_log_before_it_has_sent_anything() {
    let bench = Bench::new();
    put(bench.log.path(), 0, 20);
    sign(bench.log.path(), 20);
    let now = Settings { begin: Begin::Now, ..settings() };
    drop(bench.begin(now.clone(), Other::default()));
    let records = bench.log.path().join("records");
    fs::write(records.join(segment::name(0)), "{\"seq\":0,\"other\":1}\n").unwrap();
    let mut delivery = bench.begin(now, Other::default());
    bench.all(&mut delivery);
    assert_eq!(bench.taken(), [0]);
}

#[test]
fn a_head_that_comes_later_covers_what_was_sent() {
    let bench = Bench::new();
    put(bench.log.path(), 0, 10);
    let mut delivery = bench.begin(settings(), Other::default());
    bench.all(&mut delivery);
    sign(bench.log.path(), 10);
    bench.all(&mut delivery);
    put(bench.log.path(), 0, 12);
    bench.all(&mut delivery);
    put(bench.log.path(), 0, 11);
    bench.taken();
    let mut delivery = bench.begin(settings(), Other::default());
    bench.all(&mut delivery);
    assert_eq!(bench.taken(), [10], "and nothing before the head");
}

#[test]
fn a_head_that_cannot_be_read_is_trouble_and_not_the_beginning() {
    let bench = Bench::new();
    put(bench.log.path(), 0, 10);
    fs::write(bench.log.path().join(segment::CHECKPOINT), "damaged").unwrap();
    let places = (bench.log.path(), bench.states.path());
    let now = Settings { begin: Begin::Now, ..settings() };
    let begun = Delivery::begin(now, places, Box::new(Other::default()), Arc::clone(&bench.counts));
    assert!(begun.err().unwrap().to_string().contains("no signed head"));
}

#[test]
fn a_record_that_was_cut_off_and_another_in_its_place_are_both_sent() {
    let bench = Bench::new();
    put(bench.log.path(), 0, 10);
    sign(bench.log.path(), 8);
    let mut delivery = bench.begin(settings(), Other::default());
    bench.all(&mut delivery);
    assert_eq!(bench.taken().len(), 10);
    let path = bench.log.path().join("records").join(segment::name(0));
    let text = fs::read_to_string(&path).unwrap();
    let kept: String = text.split_inclusive('\n').take(9).collect();
    fs::write(&path, kept + "{\"seq\":9,\"kind\":\"lost\",\"lost\":1}\n{\"seq\":10,\"a\":1}\n")
        .unwrap();
    bench.all(&mut delivery);
    assert_eq!(bench.taken(), [8, 9, 10], "from the last head on");
}
