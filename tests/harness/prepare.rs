//! Policy text through every stage to what the subjects judge by. Must not read files.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow, bail};
use execlayer_common::{image, provenance::Provenance};
use execlayer_policy::{
    CheckedPolicy,
    check::{Options, check},
    diagnostic::Style,
    lower::lower,
};

/// A policy in every form that a subject needs.
#[derive(Debug)]
pub struct Prepared {
    policy: CheckedPolicy,
    words: Vec<u32>,
    provenance: Provenance,
}

/// Written before a policy that is only rules.
pub const HEADER: &str = "name = \"rules\"\nversion = 1\n\n[agent]\nname = \"corpus\"\n\n";

impl Prepared {
    /// Takes a policy that consists of rules only.
    ///
    /// # Errors
    ///
    /// What [`Prepared::from_files`] says.
    pub fn from_rules(rules: &str) -> Result<Self> {
        let text = format!("{HEADER}{rules}");
        Self::from_files(BTreeMap::from([("policy".to_owned(), text)]), "policy", &[])
    }

    /// Takes the policy `name` of some files.
    ///
    /// # Errors
    ///
    /// The findings of `check`, or why the policy could not be lowered.
    pub fn from_files(
        mut files: BTreeMap<String, String>,
        name: &str,
        variables: &[(String, String)],
    ) -> Result<Self> {
        let options = Options { variables: variables.to_vec(), ..Options::default() };
        let outcome = check(name, &mut files, &options);
        let Some(policy) = outcome.policy else {
            let findings: Vec<String> = outcome
                .diagnostics
                .iter()
                .map(|finding| finding.render(&outcome.sources, Style::Plain))
                .collect();
            bail!("the policy does not check:\n{}", findings.join("\n"));
        };
        let lowered = lower(&policy).map_err(|error| anyhow!("{error}"))?;
        Self::from_image(policy, lowered.image.words().to_vec(), lowered.provenance)
    }

    /// Takes a policy and an image of it that somebody made.
    ///
    /// # Errors
    ///
    /// The image would not be installed.
    pub fn from_image(
        policy: CheckedPolicy,
        words: Vec<u32>,
        provenance: Provenance,
    ) -> Result<Self> {
        image::check_header(&words)
            .map_err(|error| anyhow!("{error}"))
            .context("installing would refuse the image")?;
        Ok(Self { policy, words, provenance })
    }

    /// Where the image's rules come from.
    #[must_use]
    pub const fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// What the reference evaluator reads.
    #[must_use]
    pub const fn policy(&self) -> &CheckedPolicy {
        &self.policy
    }

    /// What the kernel walks.
    #[must_use]
    pub fn words(&self) -> &[u32] {
        &self.words
    }

    /// Budgets of the policy.
    #[must_use]
    pub fn budgets(&self) -> u32 {
        self.words.get(image::H_BUDGET_COUNT as usize).copied().unwrap_or(0)
    }

    /// The id of a rule, for messages.
    #[must_use]
    pub fn rule_id(&self, number: u16) -> &str {
        self.policy.rules().get(usize::from(number)).map_or("no such rule", |rule| &rule.id)
    }
}
