//! A deterministic automaton with sparse rows. Owns the canonical form of a row; must not know how it
//! is made, minimised or packed.

/// States are numbers; state 0 is dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dfa {
    pub(super) start: u32,
    /// By state: 0, or the number of its decision set plus one.
    pub(super) accepts: Vec<u32>,
    /// By state: where every byte leads that is not excepted.
    pub(super) defaults: Vec<u32>,
    /// By state: where its exceptions end.
    ends: Vec<usize>,
    exceptions: Vec<Exception>,
}

/// A byte that does not lead where the others lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exception {
    pub(super) byte: u8,
    pub(super) target: u32,
}

pub(super) const DEAD: u32 = 0;

impl Dfa {
    /// The automaton with the dead state only.
    pub(super) fn new() -> Self {
        Self {
            start: DEAD,
            accepts: vec![0],
            defaults: vec![DEAD],
            ends: vec![0],
            exceptions: Vec::new(),
        }
    }

    /// Adds the next state. Exceptions ascend, and none leads where the default leads.
    pub(super) fn push(
        &mut self,
        accept: u32,
        default: u32,
        exceptions: impl Iterator<Item = Exception>,
    ) {
        self.accepts.push(accept);
        self.defaults.push(default);
        self.exceptions.extend(exceptions);
        self.ends.push(self.exceptions.len());
    }

    pub(super) fn len(&self) -> usize {
        self.accepts.len()
    }

    pub(super) fn exceptions(&self, state: u32) -> &[Exception] {
        let at = state as usize;
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.exceptions[start..self.ends[at]]
    }

    /// Every state that `state` leads to, with repetitions.
    pub(super) fn targets(&self, state: u32) -> impl Iterator<Item = u32> + '_ {
        let default = self.defaults[state as usize];
        self.exceptions(state).iter().map(|exception| exception.target).chain([default])
    }

    /// Whether a byte of some state leads nowhere although others of it go on.
    pub(super) fn excepts_dead(&self) -> bool {
        self.exceptions.iter().any(|exception| exception.target == DEAD)
    }

    /// Whether no byte leaves `state`.
    pub(super) fn is_absorbing(&self, state: u32) -> bool {
        self.defaults[state as usize] == state && self.exceptions(state).is_empty()
    }

    #[cfg(test)]
    pub(super) fn next(&self, state: u32, byte: u8) -> u32 {
        let excepted = self.exceptions(state).iter().find(|exception| exception.byte == byte);
        excepted.map_or(self.defaults[state as usize], |exception| exception.target)
    }

    /// What `subject`, read in the lane's direction, is accepted as.
    #[cfg(test)]
    pub(super) fn accepts(&self, subject: impl Iterator<Item = u8>) -> u32 {
        self.accepts[subject.fold(self.start, |state, byte| self.next(state, byte)) as usize]
    }
}

/// A row in the making, brought into the form that only depends on where each byte leads: the default
/// is where most bytes lead, of several such targets the one that the lowest byte leads to.
#[derive(Debug, Default)]
pub(super) struct Row {
    default: u32,
    exceptions: Vec<Exception>,
    counts: Vec<Count>,
}

#[derive(Debug)]
struct Count {
    target: u32,
    bytes: usize,
    first: u8,
}

impl Row {
    /// Every byte leads to `default` but those in `exceptions`, which ascend.
    pub(super) fn set(&mut self, default: u32, exceptions: impl Iterator<Item = Exception>) {
        self.default = default;
        self.exceptions.clear();
        self.exceptions.extend(exceptions);
        if self.exceptions.len() >= 128 {
            self.rebase();
        }
        let default = self.default;
        self.exceptions.retain(|exception| exception.target != default);
    }

    pub(super) fn common(&self) -> u32 {
        self.default
    }

    pub(super) fn exceptions(&self) -> &[Exception] {
        &self.exceptions
    }

    /// With 128 exceptions or more, another target may have as many bytes as the default.
    fn rebase(&mut self) {
        let mut targets = [self.default; 256];
        for exception in &self.exceptions {
            targets[usize::from(exception.byte)] = exception.target;
        }
        self.counts.clear();
        for (byte, &target) in (0..=u8::MAX).zip(&targets) {
            match self.counts.iter_mut().find(|count| count.target == target) {
                Some(count) => count.bytes += 1,
                None => self.counts.push(Count { target, bytes: 1, first: byte }),
            }
        }
        let most = self.counts.iter().max_by_key(|c| (c.bytes, u8::MAX - c.first));
        self.default = most.map_or(self.default, |count| count.target);
        self.exceptions.clear();
        let all = (0..=u8::MAX).zip(&targets).map(|(byte, &target)| Exception { byte, target });
        self.exceptions.extend(all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(targets: &[u32; 256], default: u32) -> Row {
        let mut row = Row::default();
        let all = (0..=u8::MAX).zip(targets).map(|(byte, &target)| Exception { byte, target });
        row.set(default, all.filter(|exception| exception.target != default));
        row
    }

    #[test]
    fn a_row_does_not_depend_on_the_default_that_it_was_written_with() {
        for boundary in [1, 100, 127, 128, 129, 200, 255] {
            let targets: [u32; 256] = core::array::from_fn(|byte| 5 + u32::from(byte >= boundary));
            let (one, other) = (row(&targets, 5), row(&targets, 6));
            assert_eq!(one.common(), other.common(), "{boundary}");
            assert_eq!(one.exceptions(), other.exceptions(), "{boundary}");
            assert_eq!(one.common(), if boundary >= 128 { 5 } else { 6 });
        }
    }
}
