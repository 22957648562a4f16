//! The comparison: what each act did ungoverned, what it did in the domain, and what follows. Must not
//! try anything.

use serde::Serialize;

use super::{Act, Outcome, Side, errno_name, trial::Trials};
use crate::error::Exit;

/// What follows for an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    /// It was stopped as it must be, and its twin was not.
    Stopped,
    /// It went through.
    WentThrough,
    /// It was stopped, and not with the gate's answer.
    Otherwise,
    /// What is allowed was stopped, too.
    TwinStopped,
    /// Nothing follows: ungoverned it does not work either.
    NotTried,
}

/// An act and what came of it.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    pub(crate) group: &'static str,
    pub(crate) name: &'static str,
    pub(crate) call: &'static str,
    /// Names of errors, or `done`.
    pub(crate) expected: String,
    pub(crate) answered: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) twin: Option<String>,
    pub(crate) verdict: Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
}

/// Compares both runs of one act.
pub(crate) fn compare(group: &'static str, act: &Act, free: &Trials, governed: &Trials) -> Finding {
    let shut = governed.of(act.name, Side::Shut);
    let twin = act.has_twin.then(|| governed.of(act.name, Side::Open));
    let (verdict, why) = judge(act, free, &shut, twin.as_ref());
    let (name, call) = (act.name, act.call);
    let expected = errno_name(act.expected as i32);
    let twin = twin.as_ref().map(shown);
    Finding { group, name, call, expected, answered: shown(&shut), twin, verdict, why }
}

fn judge(
    act: &Act,
    free: &Trials,
    shut: &Outcome,
    twin: Option<&Outcome>,
) -> (Verdict, Option<String>) {
    for side in act.sides() {
        let outcome = free.of(act.name, *side);
        if outcome != Outcome::Done {
            return (Verdict::NotTried, Some(format!("ungoverned, too: {}", shown(&outcome))));
        }
    }
    match shut {
        Outcome::Done => return (Verdict::WentThrough, None),
        Outcome::Failed(error) if *error == act.expected as i32 => {}
        Outcome::Failed(_) => return (Verdict::Otherwise, None),
        Outcome::Lost(why) => return (Verdict::NotTried, Some(why.clone())),
    }
    match twin {
        None | Some(Outcome::Done) => (Verdict::Stopped, None),
        Some(other) => (Verdict::TwinStopped, Some(format!("its allowed twin: {}", shown(other)))),
    }
}

fn shown(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done => "done".to_owned(),
        Outcome::Failed(error) => errno_name(*error),
        Outcome::Lost(why) => why.clone(),
    }
}

/// How many acts ended in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    pub(crate) acts: u64,
    pub(crate) stopped: u64,
    pub(crate) went_through: u64,
    pub(crate) otherwise: u64,
    pub(crate) twins_stopped: u64,
    pub(crate) not_tried: u64,
    /// Acts with an allowed twin that passed.
    pub(crate) twins_passed: u64,
}

impl Counts {
    pub(crate) fn of(findings: &[Finding]) -> Self {
        let mut counts = Self::default();
        for finding in findings {
            counts.acts += 1;
            *match finding.verdict {
                Verdict::Stopped => &mut counts.stopped,
                Verdict::WentThrough => &mut counts.went_through,
                Verdict::Otherwise => &mut counts.otherwise,
                Verdict::TwinStopped => &mut counts.twins_stopped,
                Verdict::NotTried => &mut counts.not_tried,
            } += 1;
            counts.twins_passed += u64::from(finding.twin.as_deref() == Some("done"));
        }
        counts
    }

    /// The worst counts.
    pub(crate) const fn exit(&self) -> Exit {
        if self.went_through > 0 {
            Exit::WentThrough
        } else if self.otherwise > 0 || self.twins_stopped > 0 {
            Exit::Expectation
        } else if self.not_tried > 0 {
            Exit::NotTried
        } else {
            Exit::Done
        }
    }
}
