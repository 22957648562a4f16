//! One `[[rule]]`: its keys, and that they fit together. Must not look at other rules or into patterns.

use execlayer_common::{access::Access, image::Effect};
use toml::de::DeTable;

use super::{
    asking,
    fields::{Fields, list},
    policy::{Rule, When},
    text::Text,
    when,
};
use crate::{diagnostic::Diagnostic, source::Span, suggest::suggestion};

const KEYS: [&str; 12] = [
    "id", "allow", "ask", "deny", "path", "except", "to", "when", "reason", "timeout", "remember",
    "deciders",
];
const EFFECTS: [(&str, Effect); 3] =
    [("allow", Effect::Allow), ("ask", Effect::Ask), ("deny", Effect::Deny)];
/// Acts that a rule may be about one day and that no program of this version judges.
const NOT_ENFORCED: [&str; 17] = [
    "bind", "chmod", "chown", "delete", "ioctl", "link", "listen", "mkdir", "mknod", "mmap",
    "ptrace", "rename", "rmdir", "setxattr", "signal", "symlink", "truncate",
];

pub(crate) fn parse(table: &DeTable<'_>, span: Span, out: &mut Vec<Diagnostic>) -> Rule {
    let fields = Fields::new(table, "`[[rule]]`", span, &KEYS, out);
    if fields.key("id").is_none() {
        fields.missing("id", "add `id = \"...\"`: events name the rule by it", out);
    }
    let (effect, access) = effect(&fields, out);
    let rule = Rule {
        span,
        id: fields.text("id", out),
        effect,
        access,
        paths: fields.texts("path", out),
        except: fields.texts("except", out),
        to: fields.texts("to", out),
        when: when(&fields, effect.map(|(effect, _)| effect), out),
        reason: fields.text("reason", out),
        asking: asking::parse(&fields, effect.map(|(effect, _)| effect), out),
    };
    subjects(&fields, access, out);
    rule
}

/// The one of `allow`, `ask` and `deny`, and what it lists.
fn effect(fields: &Fields<'_>, out: &mut Vec<Diagnostic>) -> (Option<(Effect, Span)>, Access) {
    let mut given = EFFECTS
        .into_iter()
        .filter_map(|(key, effect)| fields.key(key).map(|span| (key, effect, span)));
    let Some((key, effect, span)) = given.next() else {
        fields.missing(
            "allow`, `deny` or `ask",
            "say what the rule does: `allow = [\"read\"]`",
            out,
        );
        return (None, Access::default());
    };
    for (other, _, also) in given {
        out.push(
            Diagnostic::error(also, format!("a rule cannot have both `{key}` and `{other}`"))
                .related(span, format!("`{key}` is here"))
                .help("make two rules of it; deny beats ask, and ask beats allow"),
        );
    }
    let mut access = Access::default();
    for name in fields.texts(key, out) {
        match bits(&name) {
            Ok(bits) => access = access.union(bits),
            Err(diagnostic) => out.push(*diagnostic),
        }
    }
    (Some((effect, span)), access)
}

/// The access bits of an operation's name. Writing includes appending: whoever may change a file
/// anywhere may add to its end, and whoever may not change it may not add to it either.
fn bits(name: &Text) -> Result<Access, Box<Diagnostic>> {
    let known = Access::NAMES.iter().find(|(known, _)| *known == name.value);
    if let Some(&(_, bits)) = known {
        return Ok(if bits == Access::WRITE { bits.union(Access::APPEND) } else { bits });
    }
    let names: Vec<&str> = Access::NAMES.iter().map(|(name, _)| *name).collect();
    if NOT_ENFORCED.contains(&name.value.as_str()) {
        let message = format!("`{}` is not enforced by this version", name.value);
        return Err(Box::new(Diagnostic::error(name.span, message).help(format!(
            "leave it out; no rule can allow or deny it yet. Enforced are {}",
            list(&names)
        ))));
    }
    let help = suggestion(&name.value, names.iter().copied())
        .unwrap_or_else(|| format!("operations are {}", list(&names)));
    let message = format!("unknown operation `{}`", name.value);
    Err(Box::new(Diagnostic::error(name.span, message).help(help)))
}

/// That `path` and `to` are there for what is listed, and only then.
fn subjects(fields: &Fields<'_>, access: Access, out: &mut Vec<Diagnostic>) {
    let about_files = access.0 & !Access::CONNECT.0 != 0;
    let about_connections = access.contains(Access::CONNECT);
    if access.is_empty() {
        return;
    }
    match fields.key("path") {
        None if about_files => {
            fields.missing("path", "say which files: `path = \"/workspace/**\"`", out);
        }
        Some(span) if !about_files => out.push(
            Diagnostic::error(span, "a rule about `connect` alone has no `path`")
                .help("destinations are given with `to`; unix sockets as `to = \"unix:/run/x\"`"),
        ),
        _ => {}
    }
    match fields.key("to") {
        None if about_connections => {
            fields.missing("to", "say where to: `to = \"127.0.0.1:8080\"`", out);
        }
        Some(span) if !about_connections => out.push(
            Diagnostic::error(span, "`to` needs `connect` among the operations")
                .help("add `connect`, or give files with `path`"),
        ),
        _ => {}
    }
    if let (Some(span), None) = (fields.key("except"), fields.key("path")) {
        out.push(
            Diagnostic::error(span, "`except` needs a `path` to take something from")
                .help("to leave out destinations, deny them in a rule of their own"),
        );
    }
}

fn when(fields: &Fields<'_>, effect: Option<Effect>, out: &mut Vec<Diagnostic>) -> When {
    match fields.table("when", out) {
        Some((table, span)) => when::parse(table, span, effect, out),
        None => When::default(),
    }
}
