//! One rule: patterns understood, user known. Must not compare rules.

use std::sync::Arc;

use execlayer_common::{access::Access, provenance::Asking};

use crate::{
    check::{Options, calls, features, names},
    checked::{Condition, Place, Rule, Written},
    diagnostic::Diagnostic,
    parse::{
        glob::{self, Kind, PatternError, Variables},
        inet::{self, Destination},
        policy::{self, User},
        text::Text,
    },
    source::{Sources, Span},
};

/// The checked rule and the place of its id; `None` if the parser found it incomplete.
pub(super) fn check(
    rule: &policy::Rule,
    asking: Option<Asking>,
    sources: &Sources,
    variables: &Variables,
    options: &Options<'_>,
    out: &mut Vec<Diagnostic>,
) -> Option<(Rule, Span)> {
    let paths = paths(&rule.paths, sources, variables, out);
    let except = self::paths(&rule.except, sources, variables, out);
    let to = Addresses::check(rule, sources, variables, out);
    let features = features::named(rule, out);
    let (calls, context) = calls::check(rule, sources, variables, out);
    let uid = match &rule.when.user {
        Some(User::Id(uid)) => Some(*uid),
        Some(User::Name(name)) => user(name, options, out),
        None => None,
    };
    let reason = rule.reason.as_ref().map(|reason| {
        if reason.value.chars().any(|c| c.is_control() && c != '\n') {
            let message = "a reason is shown in terminals and has no control characters";
            out.push(Diagnostic::error(reason.span, message));
        }
        reason.value.clone()
    });
    let transition = rule.transition.as_ref().map(|agent| {
        names::spelling(agent, "name", out);
        agent.value.clone()
    });
    let at = sources.position(rule.span.source, rule.span.start);
    let id = rule.id.as_ref()?;
    let checked = Rule {
        id: id.value.clone(),
        place: Place { file: rule.span.source.0, line: at.line, column: at.column },
        effect: rule.effect?.0,
        access: rule.access,
        paths,
        except,
        inet: to.inet,
        local: to.local,
        unix: to.unix,
        features,
        calls,
        when: Condition { uid, between: rule.when.between, at_most: rule.when.at_most },
        context,
        reason,
        transition,
        asking,
    };
    Some((checked, id.span))
}

/// What `to` lists, by what it is matched with.
#[derive(Default)]
struct Addresses {
    inet: Vec<Written>,
    local: Vec<Written>,
    unix: Vec<Written>,
}

impl Addresses {
    fn check(
        rule: &policy::Rule,
        sources: &Sources,
        variables: &Variables,
        out: &mut Vec<Diagnostic>,
    ) -> Self {
        let (connects, binds) =
            (rule.access.contains(Access::CONNECT), rule.access.contains(Access::BIND));
        let mut to = Self::default();
        for item in &rule.to {
            match understood(item, sources, out, |value| inet::parse(value, variables)) {
                Some(Destination::Inet { text, remote, local }) => {
                    let text: Arc<str> = text.into();
                    if connects {
                        to.inet.push(Written { text: Arc::clone(&text), pattern: remote });
                    }
                    if binds {
                        to.local.push(Written { text, pattern: local });
                    }
                }
                Some(Destination::Unix { text, .. }) if binds && !text.starts_with('@') => {
                    out.push(
                        Diagnostic::error(item.span, "`bind` is not about paths of sockets")
                            .label("binding to a path makes a file")
                            .help("allow or deny `create` with a `path`; here, `unix:@name` names an abstract socket"),
                    );
                }
                Some(Destination::Unix { text, pattern }) => {
                    to.unix.push(Written { text: text.into(), pattern });
                }
                None => {}
            }
        }
        to
    }
}

/// Path patterns; those that are wrong are reported and left out.
pub(super) fn paths(
    texts: &[Text],
    sources: &Sources,
    variables: &Variables,
    out: &mut Vec<Diagnostic>,
) -> Vec<Written> {
    let parse = |text: &Text, out: &mut Vec<Diagnostic>| {
        let glob =
            understood(text, sources, out, |value| glob::parse(value, variables, Kind::Path))?;
        Some(Written { text: glob.text.into(), pattern: glob.pattern })
    };
    texts.iter().filter_map(|text| parse(text, out)).collect()
}

/// What `parse` makes of a text; its error is placed in the file.
pub(super) fn understood<T>(
    text: &Text,
    sources: &Sources,
    out: &mut Vec<Diagnostic>,
    parse: impl FnOnce(&str) -> Result<T, PatternError>,
) -> Option<T> {
    if let Some(span) = text.character_escape(sources) {
        out.push(
            Diagnostic::error(span, "this is a character of two bytes, not one byte")
                .help("in double quotes TOML reads `\\x`: write the pattern in single quotes"),
        );
        return None;
    }
    match parse(&text.value) {
        Ok(parsed) => Some(parsed),
        Err(PatternError { bytes, message, help }) => {
            let span = text.locate(sources, bytes);
            out.push(Diagnostic::error(span, message).help_if(help));
            None
        }
    }
}

fn user(name: &Text, options: &Options<'_>, out: &mut Vec<Diagnostic>) -> Option<u32> {
    let uid = (options.resolve_user)(&name.value);
    if uid.is_none() {
        out.push(
            Diagnostic::error(name.span, format!("the user `{}` is not known here", name.value))
                .help("give the user's number, which is also the same on every machine"),
        );
    }
    uid
}
