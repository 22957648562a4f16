//! One `[[rule]]`: its keys, and that they fit together. Must not look at other rules or into patterns.

use execlayer_common::{
    access::{Access, Operation},
    image::Effect,
};
use toml::de::DeTable;

use super::{
    asking, context,
    fields::Fields,
    operations,
    policy::{Rule, When},
    when,
};
use crate::{diagnostic::Diagnostic, source::Span};

const KEYS: [&str; 17] = [
    "id",
    "allow",
    "ask",
    "deny",
    "transition",
    "path",
    "except",
    "to",
    "feature",
    "action",
    "resource",
    "context",
    "when",
    "reason",
    "timeout",
    "remember",
    "deciders",
];
const EFFECTS: [(&str, Effect); 3] =
    [("allow", Effect::Allow), ("ask", Effect::Ask), ("deny", Effect::Deny)];

/// What a rule with `transition` cannot have, and what to do instead.
const BESIDE_TRANSITION: [(&str, &str); 4] = [
    ("allow", "leave it out: the rule allows to execute these files, and nothing else"),
    ("ask", "make a rule of its own that asks about `exec` of the same files: it beats this one"),
    ("deny", "make a rule of its own; it beats this one"),
    ("when", "which policy governs a program does not depend on user, time or budget"),
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
        features: fields.texts("feature", out),
        actions: fields.texts("action", out),
        resources: fields.texts("resource", out),
        context: context::parse(&fields, out),
        when: when(&fields, effect.map(|(effect, _)| effect), out),
        reason: fields.text("reason", out),
        transition: fields.text("transition", out),
        asking: asking::parse(&fields, effect.map(|(effect, _)| effect), out),
    };
    subjects(&fields, access, out);
    rule
}

/// The one of `allow`, `ask` and `deny`, and what it lists; a `transition` allows to execute, and is nothing else.
fn effect(fields: &Fields<'_>, out: &mut Vec<Diagnostic>) -> (Option<(Effect, Span)>, Access) {
    if let Some(span) = fields.key("transition") {
        for (other, why) in BESIDE_TRANSITION {
            if let Some(also) = fields.key(other) {
                out.push(
                    Diagnostic::error(also, format!("a rule with `transition` has no `{other}`"))
                        .related(span, "`transition` is here")
                        .help(why),
                );
            }
        }
        return (Some((Effect::Allow, span)), Access::EXEC.union(Access::ENTER));
    }
    let mut given = EFFECTS
        .into_iter()
        .filter_map(|(key, effect)| fields.key(key).map(|span| (key, effect, span)));
    let Some((key, effect, span)) = given.next() else {
        fields.missing(
            "allow`, `deny`, `ask` or `transition",
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
    (Some((effect, span)), operations::parse(fields, key, effect, out))
}

/// A key that says what a rule is about, and the operations that it goes with.
struct Subjects {
    key: &'static str,
    of: Access,
    /// Where it is missing.
    example: &'static str,
    /// Where it is there for nothing.
    needs: &'static str,
    instead: &'static str,
}

const SUBJECTS: [Subjects; 4] = [
    Subjects {
        key: "path",
        of: Access::EXEC.union(Access::of(Operation::File)),
        example: "say which files: `path = \"/workspace/**\"`",
        needs: "`path` needs an operation on files",
        instead: "addresses and sockets are given with `to`, features with `feature`",
    },
    Subjects {
        key: "to",
        of: Access::of(Operation::Inet),
        example: "say where to: `to = \"127.0.0.1:8080\"`",
        needs: "`to` needs `connect` or `bind` among the operations",
        instead: "add one of them, or give files with `path`",
    },
    Subjects {
        key: "feature",
        of: Access::of(Operation::Feature),
        example: "say which: `feature = \"netlink-route\"`",
        needs: "`feature` needs `use` among the operations",
        instead: "add `use`: `allow = [\"use\"]`",
    },
    Subjects {
        key: "action",
        of: Access::CALL,
        example: "say which tools: `action = \"mcp__github__*\"`",
        needs: "`action` needs `call` among the operations",
        instead: "add `call`: `allow = [\"call\"]`",
    },
];

/// That each of these keys is there for what is listed, and only then.
fn subjects(fields: &Fields<'_>, access: Access, out: &mut Vec<Diagnostic>) {
    if access.is_empty() {
        return;
    }
    for Subjects { key, of, example, needs, instead } in SUBJECTS {
        match (fields.key(key), access.intersection(of).is_empty()) {
            (None, false) => fields.missing(key, example, out),
            (Some(span), true) => out.push(Diagnostic::error(span, needs).help(instead)),
            _ => {}
        }
    }
    for key in ["resource", "context"] {
        if let (Some(span), None) = (fields.key(key), fields.key("action")) {
            out.push(
                Diagnostic::error(span, format!("`{key}` needs an `action`"))
                    .help("say which tools: `action = \"*\"` is all whose name has no `/`"),
            );
        }
    }
    // What the kernel judges and what a tool says of itself are not one thing.
    if let Some(span) = fields.key("action")
        && access.contains(Access::CALL)
        && access != Access::CALL
    {
        out.push(
            Diagnostic::error(span, "a rule about calls of tools is about nothing else")
                .help("make two rules of it: one with `call`, one with the rest"),
        );
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
