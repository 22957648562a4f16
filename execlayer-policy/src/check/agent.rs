//! `[agent]` of the policy itself: who it is for and which tasks it selects.

use crate::{
    check::{names, rules},
    checked::Written,
    diagnostic::Diagnostic,
    parse::{self, Policy, glob::Variables},
    source::{Sources, Span},
};

/// What `[agent]` says.
#[derive(Debug, Default)]
pub(super) struct Agent {
    pub(super) name: Option<String>,
    pub(super) cgroups: Vec<Written>,
    pub(super) executables: Vec<Written>,
    pub(super) accepts_from: Vec<String>,
}

pub(super) fn check(
    main: &Policy,
    sources: &Sources,
    variables: &Variables,
    out: &mut Vec<Diagnostic>,
) -> Agent {
    let Some(agent) = &main.agent else {
        let start = Span { source: main.source, start: 0, end: 0 };
        out.push(
            Diagnostic::error(start, "the policy has no `[agent]`")
                .help("add `[agent]` with a `name`; only files that others extend do without it"),
        );
        return Agent::default();
    };
    let Some(name) = &agent.name else { return Agent::default() };
    names::spelling(name, "name", out);
    Agent {
        name: Some(name.value.clone()),
        cgroups: rules::paths(&agent.cgroups, sources, variables, out),
        executables: rules::paths(&agent.executables, sources, variables, out),
        accepts_from: accepts_from(agent, out),
    }
}

/// Agents whose rules may lead here, sorted, once each.
fn accepts_from(agent: &parse::policy::Agent, out: &mut Vec<Diagnostic>) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(agent.accepts_from.len());
    for name in &agent.accepts_from {
        names::spelling(name, "name", out);
        if agent.name.as_ref().is_some_and(|own| own.value == name.value) {
            out.push(
                Diagnostic::error(name.span, "an agent does not go from its policy to its policy")
                    .help("leave it out: what its programs start stays under this policy"),
            );
        }
        names.push(name.value.clone());
    }
    names.sort_unstable();
    names.dedup();
    names
}
