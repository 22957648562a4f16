//! What was denied, those alike counted together. Bounded: what finds no room is counted too.

use std::{collections::BTreeMap, rc::Rc};

use execlayer_api::{DeniedRow, DeniedVerdict, Summary, text};
use execlayer_common::{access::Operation, provenance::Provenance, reason::Reason};

use crate::{
    kernel::events::{Decision, Observed},
    record::line,
};

/// Denials that differ; more than a summary shows, so that the most frequent are among them.
const MAX_ROWS: usize = 4_096;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    operation: Operation,
    access: u32,
    subject: Vec<u8>,
    profile: u32,
    generation: u32,
    rule: Option<u16>,
    reason: Reason,
    monitor: bool,
}

#[derive(Debug)]
struct Row {
    count: u64,
    first: Observed,
}

/// The count.
#[derive(Debug, Default)]
pub struct Tally {
    rows: BTreeMap<Key, Row>,
    no_room: u64,
    allowed: u64,
}

impl Tally {
    /// Counts one event. A provisional denial counts: in nearly every case the file did not exist, and
    /// a denial too many in the summary is better than one that is missing.
    pub fn count(&mut self, observed: &Observed) {
        match observed.decision {
            Decision::Allow => self.allowed += 1,
            _ => self.deny(observed),
        }
    }

    fn deny(&mut self, observed: &Observed) {
        let key = Key {
            operation: observed.operation,
            access: observed.access.0,
            subject: observed.subject.clone(),
            profile: observed.profile,
            generation: observed.generation,
            rule: observed.rule.map(|rule| rule.0),
            reason: observed.reason,
            monitor: observed.monitor,
        };
        let is_full = self.rows.len() >= MAX_ROWS;
        if let Some(row) = self.rows.get_mut(&key) {
            row.count += 1;
        } else if is_full {
            self.no_room += 1;
        } else {
            self.rows.insert(key, Row { count: 1, first: observed.clone() });
        }
    }

    /// The summary, most frequent first. `provenance` names rules, `lost` is of the whole profile.
    #[must_use]
    pub fn summary<'a>(
        &self,
        provenance: impl Fn(u32, u32) -> Option<&'a Rc<Provenance>>,
        lost: u64,
    ) -> Summary {
        let mut rows: Vec<&Row> = self.rows.values().collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.count));
        let hidden = rows.len().saturating_sub(Summary::MAX_ROWS);
        let denied = rows.into_iter().take(Summary::MAX_ROWS).map(|row| {
            let seen = &row.first;
            let known = provenance(seen.profile, seen.generation).map(Rc::as_ref);
            let rule = line::rule_of(seen, known);
            DeniedRow {
                count: row.count,
                operation: seen.operation.name().to_owned(),
                access: line::access_texts(seen.access),
                subject: text::printable(seen.operation, &seen.subject),
                rule: rule.id.map(str::to_owned),
                file: rule.file.map(str::to_owned),
                line: rule.line,
                reason: seen.reason.name().to_owned(),
                message: rule.message.map(str::to_owned),
                verdict: if seen.monitor {
                    DeniedVerdict::Monitored
                } else {
                    DeniedVerdict::Denied
                },
            }
        });
        let more = u64::try_from(hidden).unwrap_or(u64::MAX).saturating_add(self.no_room);
        Summary { denied: denied.collect(), more, allowed: self.allowed, lost }
    }
}

#[cfg(test)]
mod tests {
    use execlayer_api::Summary;

    use super::{MAX_ROWS, Tally};
    use crate::kernel::events::{Decision, Observed, decode, tests::denied};

    fn seen(subject: &str) -> Observed {
        decode(&denied(subject.as_bytes(), b"/bin/x")).unwrap().observed()
    }

    #[test]
    fn equal_denials_are_one_row_and_the_most_frequent_comes_first() {
        let mut tally = Tally::default();
        tally.count(&seen("/a"));
        tally.count(&seen("/b"));
        tally.count(&seen("/b"));
        let mut monitored = seen("/b");
        monitored.monitor = true;
        tally.count(&monitored);
        let summary = tally.summary(|_, _| None, 3);
        let rows: Vec<_> =
            summary.denied.iter().map(|row| (row.subject.as_str(), row.count)).collect();
        assert_eq!(rows, [("/b", 2), ("/a", 1), ("/b", 1)]);
        assert_eq!((summary.lost, summary.more, summary.allowed), (3, 0, 0));
    }

    #[test]
    fn allowed_calls_and_provisional_denials_are_counted() {
        let mut tally = Tally::default();
        let mut event = seen("/a");
        event.provisional = true;
        tally.count(&event);
        event.decision = Decision::Allow;
        tally.count(&event);
        let summary = tally.summary(|_, _| None, 0);
        assert_eq!((summary.denied.len(), summary.allowed), (1, 1));
    }

    #[test]
    fn rows_beyond_the_bound_are_counted_not_kept() {
        let mut tally = Tally::default();
        for number in 0..MAX_ROWS + 5 {
            tally.count(&seen(&format!("/{number}")));
        }
        tally.count(&seen("/0"));
        let summary = tally.summary(|_, _| None, 0);
        assert_eq!(summary.denied.len(), Summary::MAX_ROWS);
        assert_eq!(summary.denied[0].count, 2);
        assert_eq!(summary.more, (MAX_ROWS - Summary::MAX_ROWS + 5) as u64);
    }
}
