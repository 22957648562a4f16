//! Claims about rules that lead from one policy to another, as the daemon keeps them.

use std::collections::BTreeMap;

use execlayer_common::slot::Slot;

use super::*;
use crate::passages::Passages;

impl Bench {
    /// A bundle whose rule `b` leads to `leads_to`, and that accepts what comes from `accepts`.
    fn leading(&self, agent: &str, leads_to: Option<&str>, accepts: &[&str]) -> PathBuf {
        self.bundle_with(agent, None, |provenance| {
            provenance.rules[1].transition = leads_to.map(str::to_owned);
            provenance.accepts_from = accepts.iter().map(|agent| (*agent).to_owned()).collect();
        })
    }

    fn passages(&mut self) -> Passages {
        self.daemon.gate.as_fake().passages.clone()
    }

    fn generation(&mut self, profile: u32) -> u64 {
        Slot(self.daemon.gate.as_fake().slots[&profile]).generation().into()
    }
}

#[test]
fn a_rule_that_leads_nowhere_is_shown_until_it_leads_somewhere() {
    if !is_root() {
        return;
    }
    let mut bench = Bench::new(true);
    let (a, closed) = (bench.leading("a", Some("b"), &[]), bench.leading("b", None, &[]));
    bench.install(&a).unwrap();
    let nowhere = "programs that cannot be executed: rule `b` of `a` leads to `b`, which has no policy in force";
    assert_eq!(bench.status().degraded, [nowhere]);
    assert_eq!(bench.passages(), Passages { leading: 1, ways: BTreeMap::new() });
    bench.install(&closed).unwrap();
    let refused = "programs that cannot be executed: rule `b` of `a` leads to `b`, whose policy does not accept programs from `a`";
    assert_eq!(bench.status().degraded, [refused]);

    let open = bench.leading("b", None, &["a"]);
    bench.install(&open).unwrap();
    assert_eq!(bench.status().degraded, Vec::<String>::new());
    let way = bench.generation(1) << 16 | 1;
    assert_eq!(bench.passages(), Passages { leading: 1, ways: BTreeMap::from([(way, 2)]) });

    let stays = bench.leading("a", None, &[]);
    bench.install(&stays).unwrap();
    assert_eq!(bench.passages(), Passages::default());
}

/// The policy of `a` in force, with a rule that leads to that of `b`, which accepts it; and its bundle.
fn led() -> Option<(Bench, PathBuf)> {
    if !is_root() {
        return None;
    }
    let mut bench = Bench::new(true);
    let (b, a) = (bench.leading("b", None, &["a"]), bench.leading("a", Some("b"), &[]));
    bench.install(&b).unwrap();
    bench.install(&a).unwrap();
    Some((bench, a))
}

#[test]
fn a_new_version_leads_before_it_is_in_force_and_the_old_one_until_then() {
    let Some((mut bench, a)) = led() else { return };
    let old = bench.generation(2) << 16 | 1;
    bench.daemon.gate.as_fake().passages_before.clear();
    bench.install(&a).unwrap();
    let new = bench.generation(2) << 16 | 1;
    let fake = bench.daemon.gate.as_fake();
    let ways: Vec<Vec<u64>> = fake
        .passages_before
        .iter()
        .chain([&fake.passages])
        .map(|passages| passages.ways.keys().copied().collect())
        .collect();
    assert_eq!(ways, [vec![old], vec![old, new], vec![new]]);
}

#[test]
fn a_switch_that_fails_leaves_the_ways_as_they_were() {
    let Some((mut bench, a)) = led() else { return };
    let before = bench.passages();
    for step in ["set_slot", "put_table", "set_passages"] {
        bench.daemon.gate.as_fake().failing.insert(step);
        assert_eq!(code(bench.install(&a)), ErrorCode::Internal, "{step}");
        bench.daemon.gate.as_fake().failing.remove(step);
        assert_eq!(bench.passages(), before, "{step}");
    }
}
