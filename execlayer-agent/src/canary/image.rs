//! Builds the canary's image by hand: a few exact subjects are denied, everything else is allowed.
//! The daemon cannot compile policy text, and needs none for this. Knows the packed format, not
//! what is done with it.

use execlayer_common::{
    access::{Access, Operation},
    automaton::{DEFAULT, END, FREE, SPAN, absorbing_cell, cell},
    image::{
        Effect, FORMAT, H_CONDITIONS, H_FLAGS, H_FORMAT, H_MAGIC, H_RULE_COUNT, H_WORDS,
        HEADER_WORDS, MAGIC, entry, start_index,
    },
};

/// A state of an automaton that is packed: edges by byte, and where every other byte leads.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    /// Decision set if the subject ends here; 0 for none.
    pub(crate) accepts: u32,
    /// By byte.
    pub(crate) edges: Vec<(u8, usize)>,
    /// Every other byte; `None` is dead.
    pub(crate) default: Option<usize>,
}

/// An image being built.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    words: Vec<u32>,
}

impl Draft {
    pub(crate) fn new(flags: u32, rules: u32) -> Self {
        let mut draft = Self { words: vec![0; HEADER_WORDS as usize] };
        draft.put(H_MAGIC, MAGIC);
        draft.put(H_FORMAT, FORMAT);
        draft.put(H_FLAGS, flags);
        draft.put(H_RULE_COUNT, rules);
        draft
    }

    /// A decision set with one unconditional entry; its index.
    pub(crate) fn set(&mut self, effect: Effect, access: Access, rule: u16) -> u32 {
        let at = self.end();
        let mask = |wanted: Effect| if effect == wanted { access.0 } else { 0 };
        let masks = [Effect::Deny, Effect::Ask, Effect::Allow].map(mask);
        self.words.extend(masks);
        self.words.extend([1, access.0, entry(effect, 0, rule)]);
        at
    }

    /// Packs an automaton, the first state its start, and makes it the operation's only lane.
    pub(crate) fn automaton(&mut self, operation: Operation, states: &[State]) {
        let first = self.end();
        let mut names: Vec<u32> = Vec::with_capacity(states.len());
        for state in states {
            let mut name = first;
            while names.contains(&name) || !self.has_room(name, state) {
                name += 1;
            }
            // What a state owns is taken before the next one is placed; where it leads is not
            // known yet.
            for label in labels(state) {
                self.put(name + label, cell(label, 0));
            }
            names.push(name);
        }
        for (number, (state, &name)) in states.iter().zip(&names).enumerate() {
            let named = |next: usize| names.get(next).copied().unwrap_or(0);
            for &(byte, next) in &state.edges {
                self.put(name + u32::from(byte), cell(u32::from(byte), named(next)));
            }
            match state.default {
                Some(next) if next == number && state.edges.is_empty() => {
                    self.put(name + DEFAULT, absorbing_cell(name));
                }
                Some(next) => self.put(name + DEFAULT, cell(DEFAULT, named(next))),
                None => {}
            }
            if state.accepts != 0 {
                self.put(name + END, cell(END, state.accepts));
            }
        }
        self.put(start_index(operation, 0), names.first().copied().unwrap_or(0));
        // Every word that a state could ask for is inside the image.
        let last = names.iter().max().copied().unwrap_or(first) + SPAN;
        self.reserve(last);
    }

    /// The image.
    pub(crate) fn finish(mut self) -> Vec<u32> {
        let end = self.end();
        self.put(H_CONDITIONS, end);
        self.put(H_WORDS, end);
        self.words
    }

    fn has_room(&self, name: u32, state: &State) -> bool {
        labels(state)
            .all(|label| self.words.get((name + label) as usize).is_none_or(|&word| word == FREE))
    }

    fn end(&self) -> u32 {
        u32::try_from(self.words.len()).unwrap_or(u32::MAX)
    }

    fn reserve(&mut self, index: u32) {
        if self.words.len() <= index as usize {
            self.words.resize(index as usize + 1, FREE);
        }
    }

    fn put(&mut self, index: u32, value: u32) {
        self.reserve(index);
        if let Some(word) = self.words.get_mut(index as usize) {
            *word = value;
        }
    }
}

fn labels(state: &State) -> impl Iterator<Item = u32> + '_ {
    let edges = state.edges.iter().map(|&(byte, _next)| u32::from(byte));
    let end = (state.accepts != 0).then_some(END);
    edges.chain(end).chain(state.default.map(|_next| DEFAULT))
}

/// States that end in `hit` on exactly `subject`, and in `other` on everything else (0: dead).
pub(crate) fn exactly(subject: &[u8], hit: u32, other: u32) -> Vec<State> {
    let last = subject.len() + 1;
    let elsewhere = (other != 0).then_some(last);
    let mut states: Vec<State> = subject
        .iter()
        .zip(1..)
        .map(|(&byte, next)| State {
            accepts: other,
            edges: vec![(byte, next)],
            default: elsewhere,
        })
        .collect();
    states.push(State { accepts: hit, edges: Vec::new(), default: elsewhere });
    if other != 0 {
        states.push(State { accepts: other, edges: Vec::new(), default: Some(last) });
    }
    states
}

#[cfg(test)]
mod tests;
