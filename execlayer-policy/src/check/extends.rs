//! `extends`: which files belong to a policy, and in which order. Must not look at their rules.

use execlayer_common::limits::MAX_EXTENDS;

use crate::{
    diagnostic::{Diagnostic, Severity},
    parse::{self, Policy},
    source::{LoadError, Loader, SourceId, Sources, Span},
};

const WHERE: &str = "names are relative to the folder of policies, as in `baseline/linux-dev`";

/// Parses the policy and all that it extends; what is extended stands before what extends it.
pub(super) fn load(
    name: &str,
    loader: &mut dyn Loader,
    sources: &mut Sources,
    out: &mut Vec<Diagnostic>,
) -> Vec<Policy> {
    let mut walk = Walk { loader, sources, out, chain: Vec::new(), files: Vec::new(), full: false };
    walk.visit(name, None);
    walk.files
}

struct Walk<'w> {
    loader: &'w mut dyn Loader,
    sources: &'w mut Sources,
    out: &'w mut Vec<Diagnostic>,
    /// From the policy to the file that is being read.
    chain: Vec<SourceId>,
    files: Vec<Policy>,
    full: bool,
}

impl Walk<'_> {
    fn visit(&mut self, name: &str, at: Option<Span>) {
        let loaded = match self.loader.load(name) {
            Ok(loaded) => loaded,
            Err(error) => {
                let help = match error {
                    LoadError::Missing(_) => Some(WHERE.to_owned()),
                    LoadError::TooLarge(..) => Some("split it with `extends`".to_owned()),
                    LoadError::Unreadable(..) => None,
                };
                self.fail(at, error.to_string(), help);
                return;
            }
        };
        if let Some(known) = self.sources.find(&loaded.name) {
            if self.chain.contains(&known) {
                self.fail_circle(known, at);
            }
            // Extended twice by different ways: once is enough.
            return;
        }
        // The policy itself is not pulled in.
        if self.sources.names().len() > MAX_EXTENDS {
            if !self.full {
                self.full = true;
                let message = format!("more than {MAX_EXTENDS} files are extended (`MAX_EXTENDS`)");
                self.fail(at, message, Some("join some of them".to_owned()));
            }
            return;
        }
        let file = loaded.name.clone();
        match self.sources.add(loaded) {
            Ok(source) => self.read(source),
            Err(error) => {
                let help = "policies are UTF-8 text of moderate size";
                self.fail(at, format!("`{file}` is no policy: {error}"), Some(help.to_owned()));
            }
        }
    }

    fn read(&mut self, source: SourceId) {
        let policy = parse::parse(self.sources, source, self.out);
        self.chain.push(source);
        for name in &policy.extends {
            if is_relative(&name.value) {
                self.visit(&name.value, Some(name.span));
            } else {
                let message = format!("`{}` is no name of a policy", name.value);
                self.fail(Some(name.span), message, Some(WHERE.to_owned()));
            }
        }
        self.chain.pop();
        self.files.push(policy);
    }

    fn fail_circle(&mut self, known: SourceId, at: Option<Span>) {
        let from = self.chain.iter().position(|&id| id == known).unwrap_or(0);
        let circle = self.chain.iter().skip(from).chain([&known]);
        let names: Vec<String> = circle.map(|&id| format!("`{}`", self.sources.name(id))).collect();
        let message = format!("policies extend each other in a circle: {}", names.join(" -> "));
        self.fail(at, message, Some("take one of them out of `extends`".to_owned()));
    }

    fn fail(&mut self, at: Option<Span>, message: String, help: Option<String>) {
        self.out.push(Diagnostic::new(Severity::Error, at, message).help_if(help));
    }
}

/// Whether a name stays inside the folder of policies.
fn is_relative(name: &str) -> bool {
    !name.contains('\\')
        && name
            .split('/')
            .all(|part| !matches!(part, "" | "." | "..") && !part.chars().any(char::is_control))
}
