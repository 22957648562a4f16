//! The same verdict on the same process again and again: after some, the rest of a while is one record with a count. Must not touch
//! questions: each is its own.

use std::collections::HashMap;

use execlayer_common::access::Access;

use crate::kernel::events::Observed;

/// ns of a while.
const WHILE: u64 = 10_000_000_000;
/// Records that are written out in a while; the rest is counted.
const WRITTEN_OUT: u32 = 20;
/// Verdicts that are told apart at a time. More are all written out.
const MAX_KINDS: usize = 256;

/// What makes verdicts the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Kind {
    numbers: [u64; 6],
    decision: &'static str,
    reason: &'static str,
    subject: Vec<u8>,
    exe: Vec<u8>,
}

impl Kind {
    fn of(observed: &Observed) -> Self {
        let Access(access) = observed.access;
        let rule = observed.rule.map_or(u64::MAX, |rule| u64::from(rule.0));
        let place = u64::from(observed.profile) << 32 | u64::from(observed.generation);
        let process = u64::from(observed.tgid);
        let kind = u64::from(access) << 8 | u64::from(observed.operation as u8);
        Self {
            numbers: [place, rule, kind, process, observed.start, u64::from(observed.monitor)],
            decision: observed.decision.name(),
            reason: observed.reason.name(),
            subject: observed.subject.clone(),
            exe: observed.exe.clone(),
        }
    }
}

/// Verdicts of a while that were not written out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeat {
    /// The last of them.
    pub last: Observed,
    /// Time of the first, ns since boot.
    pub since: u64,
    /// How many.
    pub count: u64,
}

#[derive(Debug)]
struct Run {
    began: u64,
    written_out: u32,
    rest: Option<Repeat>,
}

/// What came in the last while.
#[derive(Debug, Default)]
pub struct Repeats {
    runs: HashMap<Kind, Run>,
}

impl Repeats {
    /// Whether a verdict is written out. If not, it is in a later [`Repeat`].
    pub fn is_written_out(&mut self, observed: &Observed) -> bool {
        if observed.asked.is_some() || observed.answer.is_some() {
            return true;
        }
        let kind = Kind::of(observed);
        let is_full = self.runs.len() >= MAX_KINDS;
        let Some(run) = self.runs.get_mut(&kind) else {
            if !is_full {
                let run = Run { began: observed.time, written_out: 1, rest: None };
                self.runs.insert(kind, run);
            }
            return true;
        };
        if run.written_out < WRITTEN_OUT {
            run.written_out += 1;
            return true;
        }
        match &mut run.rest {
            Some(rest) => {
                rest.count += 1;
                rest.last = observed.clone();
            }
            None => {
                run.rest = Some(Repeat { last: observed.clone(), since: observed.time, count: 1 });
            }
        }
        false
    }

    /// What ended by `now` (ns since boot); all of it at the end of time.
    pub fn ended(&mut self, now: u64) -> Vec<Repeat> {
        let is_over = |run: &Run| now.saturating_sub(run.began) >= WHILE;
        self.runs
            .extract_if(|_kind, run| is_over(run))
            .filter_map(|(_kind, run)| run.rest)
            .collect()
    }

    /// Events of a profile that are in no record yet.
    #[must_use]
    pub fn waiting(&self, profile: u32) -> u64 {
        let rests = self.runs.values().filter_map(|run| run.rest.as_ref());
        rests.filter(|rest| rest.last.profile == profile).map(|rest| rest.count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::{Repeats, WHILE, WRITTEN_OUT};
    use crate::kernel::events::{Observed, decode, tests::denied};

    fn observed(subject: &[u8], time: u64) -> Observed {
        let mut observed = decode(&denied(subject, b"/usr/bin/python3")).unwrap().observed();
        observed.time = time;
        observed
    }

    #[test]
    fn the_first_are_written_out_and_the_rest_of_a_while_is_counted() {
        let mut repeats = Repeats::default();
        let written =
            (0..100).filter(|&time| repeats.is_written_out(&observed(b"/a", time))).count();
        assert_eq!(written, WRITTEN_OUT as usize);
        assert!(repeats.is_written_out(&observed(b"/b", 5)), "another subject");
        assert_eq!((repeats.waiting(1), repeats.waiting(2)), (80, 0));
        assert!(repeats.ended(WHILE - 1).is_empty());
        let ended = repeats.ended(WHILE);
        assert_eq!(ended.len(), 1);
        assert_eq!((ended[0].count, ended[0].since, ended[0].last.time), (80, 20, 99));
        assert_eq!(repeats.waiting(1), 0);
        assert!(repeats.is_written_out(&observed(b"/a", WHILE)), "another while");
    }

    #[test]
    fn too_many_kinds_are_all_written_out() {
        let mut repeats = Repeats::default();
        for number in 0..1_000_u32 {
            assert!(repeats.is_written_out(&observed(&number.to_ne_bytes(), 0)));
        }
        assert!((0..100).all(|_| repeats.is_written_out(&observed(b"/x", 0))));
    }

    #[test]
    fn what_a_question_was_answered_with_is_written_out() {
        let mut repeats = Repeats::default();
        let mut answered = observed(b"/a", 0);
        answered.answer = Some(3);
        assert!((0..100).all(|_| repeats.is_written_out(&answered)));
    }
}
