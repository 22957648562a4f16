//! The reference evaluator as a subject. Must not use an image.

use std::collections::HashMap;

use anyhow::Result;
use execlayer_common::access::Operation;
use execlayer_common::verdict::RuleIndex;
use execlayer_policy::{
    cases::Act,
    checked::Budget,
    evaluate::{Facts, evaluate, evaluate_call, selects},
};

use crate::{
    prepare::Prepared,
    subject::{Answer, Silence, Subject},
};

/// The checked policy, read by the book.
#[derive(Debug, Default)]
pub struct Reference {
    uses: HashMap<RuleIndex, u32>,
}

impl Subject for Reference {
    fn name(&self) -> &'static str {
        "reference evaluator"
    }

    fn install(&mut self, _prepared: &Prepared) -> Result<()> {
        self.refill()
    }

    fn refill(&mut self) -> Result<()> {
        self.uses.clear();
        Ok(())
    }

    fn judge(
        &mut self,
        prepared: &Prepared,
        act: &Act,
        facts: Facts,
    ) -> Result<Result<Answer, Silence>> {
        let policy = prepared.policy();
        if matches!(act.operation, Operation::SelectCgroup | Operation::SelectExe) {
            return Ok(Ok(Answer::Selected(selects(policy, act.operation, &act.subject))));
        }
        let uses = &mut self.uses;
        let mut spend = |rule, budget: Budget| {
            let used = uses.entry(rule).or_default();
            let left = *used < budget.uses;
            *used += u32::from(left);
            left
        };
        let called = act.as_call(|call| {
            evaluate_call(policy, &call.by(facts.uid).at(facts.minute, 0), &mut spend)
        });
        let verdict = called.unwrap_or_else(|| {
            evaluate(policy, act.operation, &act.subject, act.wanted, facts, &mut spend)
        });
        Ok(Ok(Answer::Verdict(verdict)))
    }
}
