//! Judges by an image in user space, with the kernel's decision function. Owns where subject, facts
//! and loops come from here; must not decide anything itself.

use core::cell::RefCell;

use execlayer_common::{
    access::{Access, Operation},
    automaton::{self, FREE, Table},
    decide::{self, Body, Kept, World},
    image::Effect,
    verdict::Verdict,
};

use crate::evaluate::Facts;

/// An image's words; those outside of it read as free.
#[derive(Clone, Copy, Debug)]
pub struct View<'a>(pub &'a [u32]);

impl Table for View<'_> {
    fn word(&self, index: u32) -> u32 {
        self.0.get(index as usize).copied().unwrap_or(FREE)
    }
}

/// Judges one subject. `budgets` uses the budget with this number once, and says whether it had a use
/// left among so many for each window of so many seconds.
pub fn judge_image(
    words: &[u32],
    operation: Operation,
    subject: &[u8],
    wanted: Access,
    facts: Facts,
    budgets: &mut dyn FnMut(u32, u32, u32) -> bool,
) -> Verdict {
    let world = ImageWorld::new(View(words), subject, facts, budgets);
    decide::judge(&world, operation, wanted)
}

/// [`judge_image`] of a call of a tool, where `contexts` says whether the tests of context at an index hold for a rule
/// with that effect.
pub(crate) fn judge_call(
    words: &[u32],
    subject: &[u8],
    facts: Facts,
    budgets: &mut dyn FnMut(u32, u32, u32) -> bool,
    contexts: &dyn Fn(u32, u32) -> bool,
) -> Verdict {
    let world = ImageWorld { contexts, ..ImageWorld::new(View(words), subject, facts, budgets) };
    decide::judge(&world, Operation::Call, Access::CALL)
}

/// Whether the image's selectors for `operation` select `subject`.
#[must_use]
pub fn selects_image(words: &[u32], operation: Operation, subject: &[u8]) -> bool {
    let facts = Facts { uid: 0, minute: 0 };
    // A selector has no condition.
    let world = ImageWorld::new(View(words), subject, facts, |_, _, _| false);
    decide::selects(&world, operation)
}

/// One subject before one image: what the decision needs from its surroundings.
pub struct ImageWorld<'a, T, B> {
    table: T,
    subject: &'a [u8],
    facts: Facts,
    budgets: RefCell<B>,
    contexts: &'a dyn Fn(u32, u32) -> bool,
    kept: Kept,
}

impl<'a, T: Table, B: FnMut(u32, u32, u32) -> bool> ImageWorld<'a, T, B> {
    /// `budgets` as in [`judge_image`].
    pub fn new(table: T, subject: &'a [u8], facts: Facts, budgets: B) -> Self {
        let (budgets, kept) = (RefCell::new(budgets), Kept::default());
        // Nothing is known of a context.
        let contexts = &|_, effect| effect != Effect::Allow as u32;
        Self { table, subject, facts, budgets, contexts, kept }
    }

    /// Where each lane goes on for what lies below the subject, after [`decide::matches_below`].
    #[must_use]
    pub fn below(&self) -> [u32; execlayer_common::limits::MAX_LANES as usize] {
        self.kept.below()
    }
}

impl<T: Table, B> Table for ImageWorld<'_, T, B> {
    fn word(&self, index: u32) -> u32 {
        self.table.word(index)
    }
}

impl<T: Table, B: FnMut(u32, u32, u32) -> bool> World for ImageWorld<'_, T, B> {
    const HAS_CONTEXT: bool = true;

    fn context(&self, tests: u32, effect: u32) -> bool {
        (self.contexts)(tests, effect)
    }

    fn run(&self, start: u32, backward: bool) -> u32 {
        if backward {
            automaton::walk(&self.table, start, self.subject.iter().rev())
        } else {
            automaton::walk(&self.table, start, self.subject.iter())
        }
    }

    fn keep_none(&self) {
        self.kept.clear();
    }

    fn keep(&self, set: u32) {
        self.kept.push(set);
    }

    fn kept(&self, number: u32) -> u32 {
        self.kept.get(number)
    }

    fn goes_on(&self, number: u32, state: u32) {
        self.kept.goes_on(number, state);
    }

    fn uid(&self) -> u32 {
        self.facts.uid
    }

    fn minute(&self) -> u32 {
        u32::from(self.facts.minute)
    }

    fn spend(&self, number: u32, uses: u32, window: u32) -> bool {
        (*self.budgets.borrow_mut())(number, uses, window)
    }

    fn repeat<R: Body<Self>>(&self, count: u32, body: &mut R) {
        for index in 0..count {
            if !body.turn(self, index) {
                break;
            }
        }
    }
}
