//! What `allow`, `deny` and `ask` list: names of operations to access bits. Owns those names and what is
//! said about names that are none; must not know about subjects.

use execlayer_common::{access::Access, image::Effect};

use super::{
    fields::{Fields, list},
    text::Text,
};
use crate::{
    diagnostic::{Diagnostic, MAX_FINDINGS},
    suggest::suggestion,
};

/// Acts that are judged as another one.
const COVERED: [(&str, &str); 9] = [
    ("listen", "bind"),
    ("accept", "bind"),
    ("send", "connect"),
    ("mmap", "exec"),
    ("mprotect", "exec"),
    ("truncate", "write"),
    ("unlink", "delete"),
    ("setxattr", "xattr"),
    ("removexattr", "xattr"),
];
/// Acts about which no rule says anything.
const SETTLED: [(&str, &str); 2] = [
    ("ptrace", "leave it out: under every policy, only processes of the same policy are traced"),
    ("signal", "leave it out: under every policy, the gate's daemon gets no signal"),
];

/// The access bits of a key's list; what is wrong is reported and left out.
pub(super) fn parse(
    fields: &Fields<'_>,
    key: &str,
    effect: Effect,
    out: &mut Vec<Diagnostic>,
) -> Access {
    let mut access = Access::default();
    for name in fields.texts(key, out) {
        let Some(bits) = bits(&name.value) else {
            // Looking for the nearest name takes time.
            if out.len() < MAX_FINDINGS {
                out.push(unknown(&name));
            }
            continue;
        };
        if effect == Effect::Ask && !Access::ASKABLE.contains(bits) {
            out.push(unaskable(&name, bits));
        }
        access = access.union(bits);
    }
    access
}

/// The bits of a name. Writing includes appending: whoever may change a file anywhere may add to its
/// end, and whoever may not change it may not add to it either.
fn bits(name: &str) -> Option<Access> {
    let known = Access::NAMES.into_iter().chain(Access::GROUPS).find(|(known, _)| *known == name);
    known.map(|(_, bits)| if bits == Access::WRITE { bits.union(Access::APPEND) } else { bits })
}

fn unknown(name: &Text) -> Diagnostic {
    let text = name.value.as_str();
    if let Some((_, other)) = COVERED.iter().find(|(act, _)| *act == text) {
        let message = format!("`{text}` is no operation of its own");
        return Diagnostic::error(name.span, message)
            .help(format!("write `{other}`, which covers it"));
    }
    if let Some((_, help)) = SETTLED.iter().find(|(act, _)| *act == text) {
        return Diagnostic::error(name.span, format!("no rule is about `{text}`")).help(*help);
    }
    let names = || Access::NAMES.iter().chain(&Access::GROUPS).map(|(name, _)| *name);
    let help = suggestion(text, names())
        .unwrap_or_else(|| format!("operations are {}", list(&names().collect::<Vec<_>>())));
    Diagnostic::error(name.span, format!("unknown operation `{text}`")).help(help)
}

fn unaskable(name: &Text, bits: Access) -> Diagnostic {
    let names = |wanted: bool| -> Vec<&str> {
        let all = Access::NAMES.iter().filter(|(_, bit)| Access::ASKABLE.contains(*bit) == wanted);
        let all = all.filter(|(_, bit)| wanted || bits.contains(*bit));
        all.map(|(name, _)| *name).collect()
    };
    let text = name.value.as_str();
    let cannot = names(false);
    let message = if cannot == [text] {
        format!("`{text}` cannot be asked about")
    } else {
        format!("`{text}` has {}, which cannot be asked about", list(&cannot))
    };
    Diagnostic::error(name.span, message)
        .label("the kernel cannot hold such a call until somebody answers")
        .help(format!("allow or deny it; asked about can be {}", list(&names(true))))
}
