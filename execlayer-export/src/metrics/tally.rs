//! Counts what records say, as they come. Must not keep records.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use execlayer_audit::read::{ReadError, Tail};
use prometheus_client::metrics::histogram::Histogram;
use serde_json::Value;

use crate::{
    deliver::{head, identity},
    format::Record,
};

/// Time series of verdicts; more rules than these share one.
const MAX_SERIES: usize = 4_096;
/// In place of rules and agents beyond that.
const OTHERS: &str = "(others)";
/// Seconds that calls are held.
const BUCKETS: [f64; 9] = [0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0];
const PAUSE: Duration = Duration::from_secs(1);
const MOST: usize = 1_000;
const BYTES: usize = 1 << 20;

/// What a verdict is counted by.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Series {
    pub(super) agent: String,
    pub(super) operation: String,
    pub(super) verdict: String,
    pub(super) rule: String,
    pub(super) enforced: bool,
}

/// What was counted since this process started.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    pub(super) verdicts: BTreeMap<Series, u64>,
    /// By agent and cause.
    pub(super) lost: BTreeMap<(String, String), u64>,
    /// By what became of the question.
    pub(super) answers: BTreeMap<String, u64>,
    /// Seconds.
    pub(super) held: Histogram,
    /// Records in the log, as far as they were read.
    pub(super) size: u64,
    /// They can be read.
    pub(super) is_readable: bool,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            verdicts: BTreeMap::new(),
            lost: BTreeMap::new(),
            answers: BTreeMap::new(),
            held: Histogram::new(BUCKETS),
            size: 0,
            is_readable: true,
        }
    }
}

impl Tally {
    pub(super) fn count(&mut self, record: &Record) {
        let text =
            |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let number = |name: &str| record.get(name).and_then(Value::as_u64);
        match text("kind").as_str() {
            "verdict" | "question" | "repeat" | "call" => {
                let mut series = Series {
                    agent: text("agent"),
                    operation: text("operation"),
                    verdict: text("verdict"),
                    rule: text("rule"),
                    enforced: record.get("enforced").and_then(Value::as_bool).unwrap_or(true),
                };
                if self.verdicts.len() >= MAX_SERIES && !self.verdicts.contains_key(&series) {
                    OTHERS.clone_into(&mut series.agent);
                    OTHERS.clone_into(&mut series.rule);
                }
                *self.verdicts.entry(series).or_default() += number("count").unwrap_or(1);
            }
            "answer" => {
                *self.answers.entry(text("answer")).or_default() += 1;
                if let Some(milliseconds) = number("held_ms") {
                    self.held.observe(Duration::from_millis(milliseconds).as_secs_f64());
                }
            }
            "lost" => {
                let of = (text("agent"), text("cause"));
                *self.lost.entry(of).or_default() += number("lost").unwrap_or_default();
            }
            _ => {}
        }
    }
}

/// Reads records as they come.
#[derive(Debug, Default)]
pub struct Watch(Mutex<Tally>);

impl Watch {
    pub(super) fn now(&self) -> Tally {
        self.tally().clone()
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts from now on, for good.
    pub fn run(&self, log: &Path) {
        let mut place = None;
        loop {
            let (size, is_moving) = match turn(&mut place, log, &mut |record| {
                self.tally().count(record);
            }) {
                Ok((size, is_moving)) => (Some(size), is_moving),
                Err(problem) => {
                    tracing::debug!("the metrics stand still: {problem}");
                    (None, false)
                }
            };
            let mut tally = self.tally();
            tally.size = size.unwrap_or(tally.size);
            tally.is_readable = size.is_some();
            drop(tally);
            if !is_moving {
                thread::sleep(PAUSE);
            }
        }
    }
}

/// A log, by its folder, and what of it was counted.
type Place = Option<((u64, u64), Tail)>;

/// Counts what is new; the log's size by then, and whether there was something.
fn turn(
    place: &mut Place,
    log: &Path,
    count: &mut dyn FnMut(&Record),
) -> Result<(u64, bool), String> {
    let now = identity(log)?;
    let mut tail = match place.take() {
        Some((before, tail)) if before == now => tail,
        // What another log has is new; of the first one it is what comes.
        Some(_another) => Tail::from(log, 0),
        None => Tail::from(log, head(log)?.map_or(0, |(size, _note)| size)),
    };
    let read = tail.read(MOST, BYTES);
    let chunk = match read {
        Ok(chunk) => chunk,
        // It lost its end.
        Err(ReadError::Shorter { size }) => {
            *place = Some((now, Tail::from(log, size)));
            return Ok((size, false));
        }
        Err(error) => {
            *place = Some((now, tail));
            return Err(error.to_string());
        }
    };
    for line in &chunk.records {
        if let Ok(record) = serde_json::from_slice(line) {
            count(&record);
        }
    }
    let size = tail.next();
    *place = Some((now, tail));
    Ok((size, !chunk.records.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::{MAX_SERIES, OTHERS, Tally};

    fn count(tally: &mut Tally, record: serde_json::Value) {
        tally.count(record.as_object().unwrap());
    }

    #[test]
    fn repeats_count_as_often_as_they_stand_for_and_rules_beyond_the_bound_share_a_series() {
        let mut tally = Tally::default();
        let denied = |rule: &str, kind: &str, count: u64| {
            serde_json::json!({ "kind": kind, "agent": "a", "operation": "open", "verdict": "deny",
                "enforced": true, "rule": rule, "count": count })
        };
        count(&mut tally, denied("r", "verdict", 1));
        count(&mut tally, denied("r", "repeat", 70));
        count(&mut tally, serde_json::json!({ "kind": "policy", "agent": "a" }));
        assert_eq!(tally.verdicts.values().copied().collect::<Vec<_>>(), [71]);
        for rule in 0..2 * MAX_SERIES {
            count(&mut tally, denied(&rule.to_string(), "verdict", 1));
        }
        assert_eq!(tally.verdicts.len(), MAX_SERIES + 1);
        let others: u64 = tally
            .verdicts
            .iter()
            .filter(|(series, _count)| series.rule == OTHERS)
            .map(|(_series, count)| count)
            .sum();
        assert_eq!(others, MAX_SERIES as u64 + 1);
    }
}
