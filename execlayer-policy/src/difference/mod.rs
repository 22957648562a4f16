//! What another image of a policy decides otherwise. Decided by walking both images together over every
//! subject there is, so that no difference is missed and none is only one of text. Must not know what rules
//! are called.

mod compare;
mod contexts;
mod grammar;
mod lane;
#[cfg(test)]
mod tests;
mod walk;

use execlayer_common::{
    access::{Access, Operation},
    automaton::Table as _,
    image::{self, ImageError},
    provenance::Provenance,
    verdict::{RuleIndex, Verdict},
};

pub use self::contexts::Outcome;
use crate::image_world::View;

/// What two images decide differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Whether each only records what it would deny: the old one, the new one.
    pub monitors: [bool; 2],
    /// Every pair of different verdicts that there is, once.
    pub changes: Vec<Change>,
}

/// Two verdicts about the same call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What is done.
    pub operation: Operation,
    /// What is wanted, each bit alone. For selectors [`Access::GOVERN`]: whether a task is governed. Alone, too,
    /// [`Access::ENTER`]: where a program leads, which can be allowed on both sides.
    pub access: Access,
    /// What the old image says, by its rules' numbers.
    pub before: Verdict,
    /// What the new image says, by its own.
    pub after: Verdict,
    /// When it is so; `None` if always.
    pub when: Option<When>,
    /// One of the shortest subjects of which it is so.
    pub subject: Vec<u8>,
}

/// One of the moments and callers for which two verdicts differ. `None`: whatever it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct When {
    /// Effective uid.
    pub uid: Option<u32>,
    /// Minute of the UTC day.
    pub minute: Option<u16>,
    /// Which budgets have a use left.
    pub budgets: Vec<(Budget, bool)>,
    /// What a call's context comes to: one of the rules that ask this of it, whether that is the new image's, and the
    /// outcome.
    pub contexts: Vec<(RuleIndex, bool, Outcome)>,
}

/// A budget as both images know it: the first one of so many uses, the second one, and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Budget {
    /// Uses.
    pub uses: u32,
    /// Seconds.
    pub window: u32,
    /// How many budgets with the same uses and seconds bear on the same subject before it.
    pub before: u32,
}

/// Why a difference cannot be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DifferenceError {
    /// One of them is no image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// Too much to walk through.
    #[error(
        "the two are too large together where they decide about `{operation}`; what costs most are \
         patterns that begin with `/**/`"
    )]
    TooLarge {
        /// [`Operation::name`].
        operation: &'static str,
    },
    /// Too many conditions on one subject.
    #[error(
        "more than {limit} combinations of users, times, budgets and contexts bear on one subject"
    )]
    Moments {
        /// How many there may be.
        limit: usize,
    },
}

/// An image, and what its rules' numbers stand for.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// Its words.
    pub image: &'a [u32],
    /// Where its rules come from, and where they lead.
    pub provenance: &'a Provenance,
}

impl<'a> Side<'a> {
    /// The agent to whose policy the rule that decided leads.
    fn target(self, verdict: Verdict) -> Option<&'a str> {
        let rule = self.provenance.rules.get(usize::from(verdict.rule()?.0))?;
        rule.transition.as_deref()
    }
}

/// Compares two images.
///
/// # Errors
///
/// A [`DifferenceError`] if one is no image, or if it would take too long. Nothing is left out silently.
pub fn difference(old: Side<'_>, new: Side<'_>) -> Result<Difference, DifferenceError> {
    let sides = [old, new];
    for side in sides {
        image::check_header(side.image)?;
    }
    let mut changes = Vec::new();
    for operation in Operation::ALL {
        changes.extend(walk::walk(sides, operation)?);
    }
    let monitors =
        sides.map(|side| View(side.image).word(image::H_FLAGS) & image::FLAG_MONITOR != 0);
    Ok(Difference { monitors, changes })
}
