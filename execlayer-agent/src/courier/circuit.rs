//! Which webhooks are let alone for a while since they keep failing. Must not wait or ask.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Failures in a row that open a circuit.
const FAILURES: u32 = 3;
/// How long it stays open before one task may try.
const OPEN: Duration = Duration::from_secs(30);

#[derive(Debug)]
struct Circuit {
    failures: u32,
    not_before: Instant,
}

/// One circuit for each URL that failed last time.
#[derive(Debug, Default)]
pub(super) struct Circuits(Mutex<BTreeMap<String, Circuit>>);

impl Circuits {
    /// Whether the URL may be asked now. The first to ask after a pause has the next pause begin, so
    /// that it stays alone until it has told what came of it.
    pub(super) fn may_ask(&self, url: &str, now: Instant) -> bool {
        let mut circuits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match circuits.get_mut(url) {
            Some(circuit) if circuit.failures >= FAILURES => {
                let may = now >= circuit.not_before;
                if may {
                    circuit.not_before = now + OPEN;
                }
                may
            }
            _ => true,
        }
    }

    /// What came of it.
    pub(super) fn tell(&self, url: &str, is_working: bool, now: Instant) {
        let mut circuits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if is_working {
            circuits.remove(url);
            return;
        }
        let new = Circuit { failures: 0, not_before: now };
        let circuit = circuits.entry(url.to_owned()).or_insert(new);
        circuit.failures = circuit.failures.saturating_add(1);
        circuit.not_before = now + OPEN;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{Circuits, FAILURES, OPEN};

    #[test]
    fn a_circuit_opens_after_failures_in_a_row_and_one_trial_closes_it() {
        let (circuits, start) = (Circuits::default(), Instant::now());
        for _ in 1..FAILURES {
            circuits.tell("a", false, start);
        }
        circuits.tell("a", true, start);
        for _ in 0..FAILURES {
            assert!(circuits.may_ask("a", start));
            circuits.tell("a", false, start);
        }
        assert!(!circuits.may_ask("a", start) && circuits.may_ask("b", start));
        let later = start + OPEN;
        assert!(circuits.may_ask("a", later));
        assert!(!circuits.may_ask("a", later), "a second trial at once");
        circuits.tell("a", false, later);
        assert!(!circuits.may_ask("a", later + OPEN / 2));
        let last = later + OPEN;
        assert!(circuits.may_ask("a", last));
        circuits.tell("a", true, last);
        assert!(circuits.may_ask("a", last) && circuits.may_ask("a", last));
    }
}
