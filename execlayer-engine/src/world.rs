//! One call before one bundle: what the decision needs from its surroundings. Must not decide anything itself.

use std::cell::OnceCell;

use execlayer_common::{
    automaton::{self, Table},
    call::{Request, SEPARATOR, Value},
    context,
    decide::{Body, Kept, World},
    limits::MAX_CONTEXT_NAMES,
};

use crate::{
    budgets::Budgets,
    names::Names,
    shortcuts::{self, Shortcuts},
};

/// See the module.
pub(crate) struct Call<'a, const SPENDS: bool> {
    pub(crate) words: &'a [u32],
    pub(crate) shortcuts: &'a Shortcuts,
    pub(crate) names: &'a Names,
    pub(crate) budgets: &'a Budgets,
    pub(crate) request: &'a Request<'a>,
    pub(crate) kept: Kept,
    /// By name's number in the policy: place in the call's context. Only looked for if a rule asks.
    pub(crate) values: OnceCell<[u8; MAX_CONTEXT_NAMES]>,
}

const NOT_GIVEN: u8 = u8::MAX;

impl<const SPENDS: bool> Call<'_, SPENDS> {
    fn places(&self) -> [u8; MAX_CONTEXT_NAMES] {
        let mut places = [NOT_GIVEN; MAX_CONTEXT_NAMES];
        for (at, (name, _)) in (0_u8..).zip(self.request.context()) {
            let number = self.names.number(name).map(usize::from);
            if let Some(place) = number.and_then(|number| places.get_mut(number)) {
                *place = at;
            }
        }
        places
    }

    fn value(&self, name: u32) -> Option<Value<'_>> {
        let places = self.values.get_or_init(|| self.places());
        let at = usize::from(*places.get(name as usize)?);
        self.request.context().get(at).map(|(_, value)| *value)
    }
}

impl<const SPENDS: bool> Table for Call<'_, SPENDS> {
    #[inline(always)]
    fn word(&self, index: u32) -> u32 {
        shortcuts::word(self.words, index)
    }

    #[inline]
    fn walk_text(&self, start: u32, text: &[u8]) -> u32 {
        self.shortcuts.walk::<false>(self.words, start, text)
    }
}

impl<const SPENDS: bool> World for Call<'_, SPENDS> {
    const HAS_CONTEXT: bool = true;

    #[inline]
    fn run(&self, start: u32, backward: bool) -> u32 {
        let (action, resource) = (self.request.action(), self.request.resource());
        let (first, second) = if backward { (resource, action) } else { (action, resource) };
        let walk = |state: u32, part: &[u8]| match backward {
            true => self.shortcuts.walk::<true>(self.words, state, part),
            false => self.shortcuts.walk::<false>(self.words, state, part),
        };
        let between = walk(start, first);
        if automaton::is_over(between) {
            return between;
        }
        walk(shortcuts::step(self.words, between, SEPARATOR), second)
    }

    fn uid(&self) -> u32 {
        self.request.uid
    }

    fn minute(&self) -> u32 {
        u32::from(self.request.minute)
    }

    fn context(&self, tests: u32, effect: u32) -> bool {
        context::hold(self, tests, effect, |name| self.value(name))
    }

    fn spend(&self, number: u32, uses: u32, window: u32) -> bool {
        let second = self.request.second;
        if SPENDS {
            self.budgets.spend(number, uses, window, second)
        } else {
            self.budgets.is_left(number, uses, window, second)
        }
    }

    #[inline(always)]
    fn repeat<R: Body<Self>>(&self, count: u32, body: &mut R) {
        for index in 0..count {
            if !body.turn(self, index) {
                break;
            }
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
}
