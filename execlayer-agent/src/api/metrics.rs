//! What was decided through the API, counted. Must not know how it is served.

use execlayer_http::{
    problem::Problem,
    types::{Decision, Outcome},
};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

/// What a count is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    agent: String,
    decision: &'static str,
}

/// Every decision.
#[derive(Debug)]
pub(super) struct Counted {
    registry: Registry,
    decisions: Family<Labels, Counter>,
}

impl Default for Counted {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("execlayer_api");
        let decisions = Family::default();
        registry.register(
            "evaluations",
            "Calls of tools that were to be judged",
            decisions.clone(),
        );
        Self { registry, decisions }
    }
}

impl Counted {
    pub(super) fn count(&self, result: &Result<Decision, Problem>) {
        let (agent, decision) = match result {
            Ok(decision) => (decision.agent.clone(), word(decision.decision)),
            Err(problem) => (String::new(), problem.code.name()),
        };
        self.decisions.get_or_create(&Labels { agent, decision }).inc();
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => text,
            // Writing to a string cannot fail.
            Err(_impossible) => String::new(),
        }
    }
}

const fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Allow => "allow",
        Outcome::Deny => "deny",
        Outcome::Hold => "hold",
    }
}
