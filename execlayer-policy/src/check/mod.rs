//! The stage check: a policy's files to a [`CheckedPolicy`], the only place that makes one. Owns the
//! order of the checks; must not know the syntax of TOML or globs.

mod agent;
mod calls;
mod conflicts;
mod deciders;
mod extends;
mod features;
mod hints;
mod limits;
mod names;
mod rules;
mod transitions;

use execlayer_common::access::Access;

use crate::{
    checked::{CheckedPolicy, Mode, Record, Rule},
    diagnostic::{Diagnostic, Severity},
    parse::Policy,
    source::{Loader, Sources, Span},
};

/// What the author gives besides the files.
pub struct Options<'o> {
    /// Values of variables; they win over the files'.
    pub variables: Vec<(String, String)>,
    /// The number of a user by name, for `when = { user = "..." }`.
    pub resolve_user: &'o dyn Fn(&str) -> Option<u32>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self { variables: Vec::new(), resolve_user: &|_| None }
    }
}

impl std::fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("variables", &self.variables).finish_non_exhaustive()
    }
}

/// What came of a check.
#[derive(Debug)]
pub struct Outcome {
    /// The policy, if nothing is an error.
    pub policy: Option<CheckedPolicy>,
    /// Every finding, in the order of the files.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts that spans point into.
    pub sources: Sources,
}

impl Outcome {
    /// Findings that keep the policy from being compiled.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(|found| found.severity == Severity::Error)
    }
}

/// Reads the policy `name` with all that it extends, and checks it.
pub fn check(name: &str, loader: &mut dyn Loader, options: &Options<'_>) -> Outcome {
    let mut sources = Sources::default();
    let mut found = Vec::new();
    let files = extends::load(name, loader, &mut sources, &mut found);
    // Behind a syntax error things look missing that are there.
    let readable = !files.is_empty() && files.iter().all(|file| !file.broken);
    let policy = if readable { resolve(&files, &sources, options, &mut found) } else { None };
    Diagnostic::arrange(&mut found);
    let failed = found.iter().any(|finding| finding.severity == Severity::Error);
    Outcome { policy: policy.filter(|_| !failed), diagnostics: found, sources }
}

/// The checked policy of files in their order: what is extended comes first, the policy itself last.
fn resolve(
    files: &[Policy],
    sources: &Sources,
    options: &Options<'_>,
    out: &mut Vec<Diagnostic>,
) -> Option<CheckedPolicy> {
    let main = files.last()?;
    let variables = names::variables(files, options, out);
    names::check(files, out);
    let agent = agent::check(main, sources, &variables, out);
    limits::rules(files, out);
    let mut deciders = deciders::Deciders::new(files, out);
    let mut rules: Vec<(Rule, Span)> = files
        .iter()
        .flat_map(|file| &file.rules)
        .filter_map(|rule| {
            let asking = deciders.asking(rule, out);
            rules::check(rule, asking, sources, &variables, options, out)
        })
        .collect();
    limits::conditions(&rules, out);
    limits::context(&rules, out);
    conflicts::check(&rules, out);
    features::rings(&rules, out);
    transitions::check(&rules, agent.name.as_deref(), out);
    hints::check(&rules, out);
    if let Some(agent) = &main.agent {
        rules.extend(features::defaults(&rules, sources, agent.span));
    }
    let (mode, record) =
        main.agent.as_ref().map_or((Mode::Enforce, Record::Denied), |a| (a.mode, a.record));
    Some(CheckedPolicy {
        name: main.name.as_ref()?.value.clone(),
        version: main.version?,
        agent: agent.name?,
        mode,
        record,
        cgroups: agent.cgroups,
        executables: agent.executables,
        accepts_from: agent.accepts_from,
        files: sources.names(),
        deciders: deciders.named(),
        rules: rules.into_iter().map(|(rule, _)| rule).collect(),
    })
}

/// What is asked about files.
pub(crate) const ABOUT_FILES: Access =
    Access::EXEC.union(Access::of(execlayer_common::access::Operation::File));
