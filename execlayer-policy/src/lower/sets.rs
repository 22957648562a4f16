//! Decision sets: which rules decide about a subject. Owns which entries of those that match can
//! never matter, and how a set is written; must not know how one was reached.
//!
//! An entry loses the access bits on which a stronger one, or one that would be named before it,
//! always holds too: no verdict and no named rule changes, and far fewer sets differ. That is what
//! makes `/usr/**` absorbing although later rules match below it.

use execlayer_common::{
    image::{self, Effect},
    limits,
};

/// When an entry holds, in the order in which entries that decide alike are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Holds {
    /// Always.
    Always,
    /// If its condition does.
    When,
    /// If its condition does and its budget has a use left.
    Budget,
}

/// A rule's entry, before it is known what stands beside it. Ordered as entries of a set are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) effect: Effect,
    pub(super) holds: Holds,
    pub(super) rule: u16,
    pub(super) condition: u16,
    pub(super) access: u32,
}

impl Entry {
    /// Whether this decides wherever `other` holds, on the access bits that they share.
    fn outdoes(&self, other: &Self) -> bool {
        let key = |entry: &Self| (entry.effect, entry.holds, entry.rule);
        key(self) < key(other)
            && match self.holds {
                Holds::Always => true,
                Holds::When => other.holds == Holds::When && self.condition == other.condition,
                Holds::Budget => false,
            }
    }

    /// Whether nothing is left of this beside `others`.
    pub(super) fn is_outdone(&self, others: &[Self]) -> bool {
        self.left(others) == 0
    }

    fn left(&self, others: &[Self]) -> u32 {
        let stronger = others.iter().filter(|other| other.outdoes(self));
        stronger.fold(self.access, |access, other| access & !other.access)
    }
}

/// Sorts entries, makes one of those of the same rule, and leaves of each what matters.
pub(super) fn reduce(entries: &mut Vec<Entry>) {
    entries.sort_unstable();
    // INVARIANT(own budget): a rule has one entry, so a call uses its budget once.
    entries.dedup_by(|next, first| {
        let same = (next.effect, next.rule) == (first.effect, first.rule);
        if same {
            first.access |= next.access;
        }
        same
    });
    let mut kept: Vec<Entry> = Vec::with_capacity(entries.len().min(16));
    for entry in entries.iter() {
        let access = entry.left(&kept);
        if access != 0 {
            kept.push(Entry { access, ..*entry });
        }
    }
    *entries = kept;
}

/// The words of a decision set of reduced entries.
///
/// # Errors
///
/// The rules, if they are more than a set can hold.
pub(super) fn write(entries: &[Entry], out: &mut Vec<u32>) -> Result<(), Vec<u16>> {
    if entries.len() > limits::MAX_SET_ENTRIES as usize {
        return Err(entries.iter().map(|entry| entry.rule).collect());
    }
    let mask = |effect| {
        let always = entries.iter().filter(|e| e.holds == Holds::Always && e.effect == effect);
        always.fold(0, |mask, entry| mask | entry.access)
    };
    let conditional = entries.iter().any(|entry| entry.holds != Holds::Always);
    let flag = if conditional { image::SET_CONDITIONAL } else { 0 };
    out.clear();
    out.extend([mask(Effect::Deny), mask(Effect::Ask), mask(Effect::Allow)]);
    out.push(entries.len() as u32 | flag);
    for entry in entries {
        out.extend([entry.access, image::entry(entry.effect, entry.condition, entry.rule)]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(effect: Effect, holds: Holds, rule: u16, access: u32) -> Entry {
        let condition = match holds {
            Holds::Always => 0,
            Holds::When => 1,
            Holds::Budget => 2,
        };
        Entry { effect, holds, rule, condition, access }
    }

    #[test]
    fn an_unconditional_deny_takes_its_bits_from_all_weaker_entries() {
        let mut entries = vec![
            entry(Effect::Allow, Holds::Always, 0, 0b111),
            entry(Effect::Ask, Holds::Budget, 1, 0b011),
            entry(Effect::Deny, Holds::Always, 2, 0b001),
        ];
        reduce(&mut entries);
        assert_eq!(
            entries,
            [
                entry(Effect::Deny, Holds::Always, 2, 0b001),
                entry(Effect::Ask, Holds::Budget, 1, 0b010),
                entry(Effect::Allow, Holds::Always, 0, 0b110),
            ]
        );
    }

    #[test]
    fn a_conditional_entry_takes_nothing_from_entries_without_its_condition() {
        let before = vec![
            entry(Effect::Deny, Holds::When, 3, 0b111),
            entry(Effect::Allow, Holds::Always, 0, 0b111),
        ];
        let mut after = before.clone();
        reduce(&mut after);
        assert_eq!(after, before);
    }

    #[test]
    fn of_rules_that_decide_alike_the_lowest_unconditional_one_stays() {
        let mut entries = vec![
            entry(Effect::Allow, Holds::When, 0, 0b1),
            entry(Effect::Allow, Holds::Always, 2, 0b1),
            entry(Effect::Allow, Holds::Always, 1, 0b1),
        ];
        reduce(&mut entries);
        assert_eq!(entries, [entry(Effect::Allow, Holds::Always, 1, 0b1)]);
    }

    #[test]
    fn entries_of_one_rule_become_one() {
        let mut entries = vec![
            entry(Effect::Allow, Holds::Budget, 3, 0b010),
            entry(Effect::Allow, Holds::Budget, 4, 0b111),
            entry(Effect::Allow, Holds::Budget, 3, 0b101),
        ];
        reduce(&mut entries);
        let (one, other) = (
            entry(Effect::Allow, Holds::Budget, 3, 0b111),
            entry(Effect::Allow, Holds::Budget, 4, 0b111),
        );
        assert_eq!(entries, [one, other]);
    }

    #[test]
    fn an_entry_is_not_outdone_by_what_is_left_of_itself() {
        let whole = entry(Effect::Deny, Holds::Always, 3, 0b111);
        assert!(!whole.is_outdone(&[entry(Effect::Deny, Holds::Always, 3, 0b001)]));
        assert!(whole.is_outdone(&[entry(Effect::Deny, Holds::Always, 2, 0b111)]));
    }

    #[test]
    fn words_hold_masks_of_unconditional_entries_only() {
        let entries = [
            entry(Effect::Deny, Holds::When, 7, 0b100),
            entry(Effect::Allow, Holds::Always, 9, 0b010),
        ];
        let mut words = Vec::new();
        assert_eq!(write(&entries, &mut words), Ok(()));
        let flagged = 2 | image::SET_CONDITIONAL;
        let (first, second) = (image::entry(Effect::Deny, 1, 7), image::entry(Effect::Allow, 0, 9));
        assert_eq!(words, [0, 0, 0b010, flagged, 0b100, first, 0b010, second]);
    }

    #[test]
    fn more_rules_than_a_set_holds_are_refused_with_their_numbers() {
        let rules = 0..=limits::MAX_SET_ENTRIES as u16;
        let entries: Vec<Entry> =
            rules.clone().map(|rule| entry(Effect::Allow, Holds::Budget, rule, 1)).collect();
        assert_eq!(write(&entries, &mut Vec::new()), Err(rules.collect()));
        assert_eq!(write(&entries[1..], &mut Vec::new()), Ok(()));
    }
}
