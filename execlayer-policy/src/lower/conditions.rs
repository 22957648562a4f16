//! Numbers and words of conditions. Owns which rules share one; must not know where they are used or how their
//! tests of context are written.

use std::collections::HashMap;

use execlayer_common::{image, limits};

use super::{
    error::{LowerError, culprits},
    sets::Holds,
};
use crate::checked::{CheckedPolicy, Condition, Rule, Test};

/// The conditions of a policy.
#[derive(Debug, Default)]
pub(super) struct Conditions<'p> {
    /// [`image::CONDITION_WORDS`] words for each, from number 1 on.
    pub(super) words: Vec<u32>,
    pub(super) count: u32,
    pub(super) budgets: u32,
    /// By condition, from number 1 on: its tests of context.
    pub(super) tests: Vec<&'p [Test]>,
    /// By rule.
    numbers: Vec<u16>,
}

impl<'p> Conditions<'p> {
    pub(super) fn new(policy: &'p CheckedPolicy) -> Result<Self, LowerError> {
        let mut shared: HashMap<(Condition, &[Test]), u16> = HashMap::new();
        let mut out = Self::default();
        for rule in &policy.rules {
            let key = (rule.when, &rule.context[..]);
            let known = shared.get(&key).copied();
            // INVARIANT(own budget): rules with equal budgets do not share their uses.
            let number = match known {
                _ if rule.is_always() => 0,
                Some(number) if rule.when.at_most.is_none() => number,
                _ => {
                    out.push(&rule.when);
                    out.tests.push(&rule.context);
                    shared.insert(key, out.count as u16);
                    out.count as u16
                }
            };
            out.numbers.push(number);
        }
        out.check(policy)?;
        Ok(out)
    }

    /// The number of a rule's condition, 0 if it always holds, and what kind it is.
    pub(super) fn of(&self, number: usize, rule: &Rule) -> (u16, Holds) {
        let number = self.numbers.get(number).copied().unwrap_or(0);
        let holds = match rule.when.at_most {
            _ if rule.is_always() => Holds::Always,
            Some(_) => Holds::Budget,
            None => Holds::When,
        };
        (number, holds)
    }

    fn push(&mut self, when: &Condition) {
        let mut words = [0; image::CONDITION_WORDS as usize];
        let [flags, uid, minutes, budget, uses, window] = &mut words;
        if let Some(wanted) = when.uid {
            *flags |= image::CONDITION_UID;
            *uid = wanted;
        }
        if let Some((from, to)) = when.between {
            *flags |= image::CONDITION_TIME;
            *minutes = u32::from(from) | u32::from(to) << 16;
        }
        if let Some(at_most) = when.at_most {
            *flags |= image::CONDITION_BUDGET;
            (*budget, *uses, *window) = (self.budgets, at_most.uses, at_most.window);
            self.budgets += 1;
        }
        self.words.extend(words);
        self.count += 1;
    }

    fn check(&self, policy: &CheckedPolicy) -> Result<(), LowerError> {
        let rules = || (0..=u16::MAX).zip(&policy.rules);
        if self.budgets > limits::MAX_BUDGETS {
            let budgets = rules().filter(|(_, rule)| rule.when.at_most.is_some());
            let over = budgets.skip(limits::MAX_BUDGETS as usize).map(|(number, _)| number);
            return Err(LowerError::Budgets { culprits: culprits(policy, over) });
        }
        if self.count > limits::MAX_CONDITIONS {
            let over = rules().filter(|&(number, _)| {
                u32::from(self.numbers[usize::from(number)]) > limits::MAX_CONDITIONS
            });
            let over = over.map(|(number, _)| number);
            return Err(LowerError::Conditions { culprits: culprits(policy, over) });
        }
        Ok(())
    }
}
