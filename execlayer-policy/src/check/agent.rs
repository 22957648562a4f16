//! `[agent]` of the policy itself: who it is for and which tasks it selects.

use crate::{
    check::{names, rules},
    checked::Written,
    diagnostic::Diagnostic,
    parse::{Policy, glob::Variables},
    source::{Sources, Span},
};

/// What `[agent]` says.
#[derive(Debug, Default)]
pub(super) struct Agent {
    pub(super) name: Option<String>,
    pub(super) cgroups: Vec<Written>,
    pub(super) executables: Vec<Written>,
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
    }
}
