//! What can be asked, what can be answered, and who answers. Must not know any subject.

use anyhow::Result;
use execlayer_common::verdict::Verdict;
use execlayer_policy::{cases::Act, evaluate::Facts};

use crate::prepare::Prepared;

/// What a subject says about an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To an act of a governed task.
    Verdict(Verdict),
    /// To the question whether a task is governed.
    Selected(bool),
}

/// Why a subject says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Silence {
    /// The subject's bytes do not fit into what carries them.
    TooLong,
    /// No kernel judges what a tool says of itself.
    NotKernels,
}

/// One that decides.
pub trait Subject {
    /// For messages.
    fn name(&self) -> &'static str;

    /// Makes the policy the one that is judged by, with fresh budgets.
    ///
    /// # Errors
    ///
    /// The policy could not be put where it is judged.
    fn install(&mut self, prepared: &Prepared) -> Result<()>;

    /// Makes all budgets fresh.
    ///
    /// # Errors
    ///
    /// They could not be reached.
    fn refill(&mut self) -> Result<()>;

    /// Judges an act under the policy that was installed last, and spends its budgets.
    ///
    /// # Errors
    ///
    /// There was no answer, or one that is no verdict.
    fn judge(
        &mut self,
        prepared: &Prepared,
        act: &Act,
        facts: Facts,
    ) -> Result<Result<Answer, Silence>>;
}
