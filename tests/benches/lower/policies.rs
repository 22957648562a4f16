//! Policies to compile, by name: a number for a realistic one of so many rules, else a shipped one.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Result, bail};
use execlayer_policy::{
    CheckedPolicy,
    check::{Options, check},
    diagnostic::Style,
    source::{LoadError, Loaded, Loader},
};
use harness::realistic;

/// Where a policy's text comes from.
pub(crate) struct Source {
    name: String,
    loader: Box<dyn Loader>,
}

impl Source {
    pub(crate) fn of(name: &str) -> Result<Self> {
        let loader: Box<dyn Loader> = match name.parse() {
            Ok(rules) => {
                let text = realistic::policy(rules, &[]);
                Box::new(BTreeMap::from([(name.to_owned(), text)]))
            }
            Err(_) => Box::new(Shipped),
        };
        Ok(Self { name: name.to_owned(), loader })
    }

    pub(crate) fn check(&mut self) -> Result<CheckedPolicy> {
        let outcome = check(&self.name, self.loader.as_mut(), &Options::default());
        let Some(policy) = outcome.policy else {
            let findings = outcome.diagnostics.iter().take(3);
            let findings: Vec<String> =
                findings.map(|finding| finding.render(&outcome.sources, Style::Plain)).collect();
            bail!("`{}` does not check:\n{}", self.name, findings.join("\n"));
        };
        Ok(policy)
    }
}

/// The folder of policies that are shipped.
struct Shipped;

impl Loader for Shipped {
    fn load(&mut self, name: &str) -> Result<Loaded, LoadError> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
        let bytes = fs::read(folder.join(name).join("policy.toml"))
            .map_err(|error| LoadError::Unreadable(name.to_owned(), error.to_string()))?;
        Ok(Loaded { name: format!("policies/{name}/policy.toml"), bytes })
    }
}
