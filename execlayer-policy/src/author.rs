//! Policies that a program writes: rules about calls of tools, added one by one. What comes of them is policy text,
//! which is checked and compiled as if a person had written it, and can be kept, reviewed and signed as such.
//!
//! ```
//! use execlayer_policy::{
//!     author::{Draft, Rule, Test},
//!     engine::{Name, Request, Value, Verdict},
//! };
//!
//! let bundle = Draft::new("payments", "shop-agent")
//!     .rule(Rule::allow("small").action("pay").context("amount", Test::at_most(100)))
//!     .rule(Rule::ask("large").action("pay").context("amount", Test::above(100)))
//!     .build()?;
//! let values = [(Name::new("amount")?, Value::Number(250.into()))];
//! let request = Request::new(b"pay", b"invoice 7")?.with(&values)?;
//! match bundle.evaluate(&request) {
//!     Verdict::Ask(_) => {}
//!     other => panic!("{other:?}"),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::{collections::BTreeMap, fmt::Write as _};

use execlayer_engine::PolicyBundle;

use crate::{
    check::{Options, check},
    diagnostic::Style,
    lower::{Lowered, lower},
};

/// A policy that is being written.
#[derive(Clone, Debug)]
pub struct Draft {
    text: String,
}

/// Why a draft is no policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// What is wrong with it, in words, with lines of [`Draft::text`].
    #[error("{0}")]
    Findings(String),
    /// It cannot be compiled.
    #[error("{0}; {help}", help = .0.help())]
    Lower(#[from] crate::LowerError),
}

impl Draft {
    /// A policy without rules, version 1, for that agent.
    #[must_use]
    pub fn new(name: &str, agent: &str) -> Self {
        let (name, agent) = (quoted(name), quoted(agent));
        Self { text: format!("name = {name}\nversion = 1\n\n[agent]\nname = {agent}\n") }
    }

    /// With one more rule.
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Self {
        self.text.push_str(&rule.text);
        for (key, values) in [("action", rule.actions), ("resource", rule.resources)] {
            if !values.is_empty() {
                let _ = writeln!(self.text, "{key} = [{}]", values.join(", "));
            }
        }
        for (key, tests) in [("context", rule.context), ("when", rule.when)] {
            if !tests.is_empty() {
                let _ = writeln!(self.text, "{key} = {{ {} }}", tests.join(", "));
            }
        }
        self
    }

    /// The policy as a person would have written it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Checks and compiles it.
    ///
    /// # Errors
    ///
    /// A [`DraftError`] that names what is wrong, and the rules.
    pub fn build(&self) -> Result<PolicyBundle, DraftError> {
        const NAME: &str = "draft";
        let mut files = BTreeMap::from([(NAME.to_owned(), self.text.clone())]);
        let outcome = check(NAME, &mut files, &Options::default());
        let Some(policy) = &outcome.policy else {
            let errors = outcome.errors().map(|error| error.render(&outcome.sources, Style::Plain));
            return Err(DraftError::Findings(errors.collect()));
        };
        let Lowered { image, provenance, .. } = lower(policy)?;
        // INVARIANT(image): what `lower` makes is an image with its own provenance.
        PolicyBundle::new(image.words(), provenance)
            .map_err(|error| DraftError::Findings(error.to_string()))
    }
}

/// A rule about calls of tools.
#[derive(Clone, Debug)]
pub struct Rule {
    text: String,
    actions: Vec<String>,
    resources: Vec<String>,
    context: Vec<String>,
    when: Vec<String>,
}

impl Rule {
    /// A rule that allows; its id is unique in the policy.
    #[must_use]
    pub fn allow(id: &str) -> Self {
        Self::new("allow", id)
    }

    /// A rule that asks.
    #[must_use]
    pub fn ask(id: &str) -> Self {
        Self::new("ask", id)
    }

    /// A rule that denies.
    #[must_use]
    pub fn deny(id: &str) -> Self {
        Self::new("deny", id)
    }

    fn new(effect: &str, id: &str) -> Self {
        let text = format!("\n[[rule]]\nid = {}\n{effect} = [\"call\"]\n", quoted(id));
        let (actions, resources, context, when) = Default::default();
        Self { text, actions, resources, context, when }
    }

    /// About the tools whose name this pattern matches, too.
    #[must_use]
    pub fn action(mut self, pattern: &str) -> Self {
        self.actions.push(quoted(pattern));
        self
    }

    /// About calls whose resource this pattern matches, too; about any if none is given.
    #[must_use]
    pub fn resource(mut self, pattern: &str) -> Self {
        self.resources.push(quoted(pattern));
        self
    }

    /// Only if the context value of this name is as the test asks.
    #[must_use]
    pub fn context(mut self, name: &str, test: Test) -> Self {
        self.context.push(format!("{} = {}", quoted(name), test.0));
        self
    }

    /// Only for the user with this number.
    #[must_use]
    pub fn user(mut self, uid: u32) -> Self {
        self.when.push(format!("user = {uid}"));
        self
    }

    /// Only in this span of the UTC day, such as `08:00-18:00`.
    #[must_use]
    pub fn between(mut self, span: &str) -> Self {
        self.when.push(format!("between = {}", quoted(span)));
        self
    }

    /// Only so often, such as `100/min`. Of rules that allow.
    #[must_use]
    pub fn at_most(mut self, budget: &str) -> Self {
        self.when.push(format!("at_most = {}", quoted(budget)));
        self
    }

    /// For people and agents.
    #[must_use]
    pub fn reason(mut self, reason: &str) -> Self {
        let _ = writeln!(self.text, "reason = {}", quoted(reason));
        self
    }
}

/// What a rule asks of a context value.
#[derive(Clone, Debug)]
pub struct Test(String);

impl Test {
    /// A text that this pattern matches.
    #[must_use]
    pub fn is(pattern: &str) -> Self {
        Self(quoted(pattern))
    }

    /// A text that one of these patterns matches.
    #[must_use]
    pub fn is_one_of(patterns: &[&str]) -> Self {
        Self(list(patterns))
    }

    /// True, or false.
    #[must_use]
    pub fn flag(flag: bool) -> Self {
        Self(flag.to_string())
    }

    /// This number or less.
    #[must_use]
    pub fn at_most(number: i64) -> Self {
        Self(format!("{{ at_most = {number} }}"))
    }

    /// This number or more.
    #[must_use]
    pub fn at_least(number: i64) -> Self {
        Self(format!("{{ at_least = {number} }}"))
    }

    /// More than this number.
    #[must_use]
    pub fn above(number: i64) -> Self {
        Self(format!("{{ above = {number} }}"))
    }

    /// A list of texts, each of which one of these patterns matches.
    #[must_use]
    pub fn every(patterns: &[&str]) -> Self {
        Self(format!("{{ every = {} }}", list(patterns)))
    }

    /// A list of texts, one of which one of these patterns matches.
    #[must_use]
    pub fn some(patterns: &[&str]) -> Self {
        Self(format!("{{ some = {} }}", list(patterns)))
    }

    /// Given at all, or not.
    #[must_use]
    pub fn given(given: bool) -> Self {
        Self(format!("{{ given = {given} }}"))
    }
}

fn list(patterns: &[&str]) -> String {
    format!("[{}]", patterns.iter().map(|pattern| quoted(pattern)).collect::<Vec<_>>().join(", "))
}

/// A basic string (TOML 1.0, "String").
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use execlayer_engine::{Request, Verdict};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_draft_that_is_wrong_says_where() {
        let draft = Draft::new("p", "a").rule(Rule::allow("r")).rule(Rule::deny("r").action("x"));
        let error = draft.build().unwrap_err().to_string();
        assert!(error.contains("draft:7:1: error: `[[rule]]` has no `action`"), "{error}");
        assert!(error.contains("two rules have the id `r`"), "{error}");
    }

    proptest! {
        #[test]
        fn whatever_is_written_into_a_draft_is_what_it_means(resource in ".*") {
            // Signs of patterns stand for themselves behind a backslash.
            let escaped = resource.chars().flat_map(|c| {
                r"*?[]{},\$".contains(c).then_some('\\').into_iter().chain([c])
            }).collect::<String>();
            prop_assume!(!resource.is_empty());
            let draft = Draft::new("p", "a").rule(Rule::allow("r").action("t").resource(&escaped));
            let bundle = draft.build().unwrap();
            for (about, is_allowed) in [(resource.clone(), true), (resource + "x", false)] {
                let verdict = bundle.evaluate(&Request::new(b"t", about.as_bytes()).unwrap());
                prop_assert_eq!(matches!(verdict, Verdict::Allow(_)), is_allowed, "{:?}", about);
            }
        }
    }
}
