//! What an `ask` rule says about its questions. Must not know which deciders there are.

use execlayer_common::image::Effect;

use super::{
    duration::{self, Most},
    fields::Fields,
    policy::Asking,
};
use crate::diagnostic::Diagnostic;

const TIMEOUT: Most = Most(86_400, "24h");
const REMEMBER: Most = Most(30 * 86_400, "30d");

/// `timeout`, `remember` and `deciders`, which only rules that ask have.
pub(super) fn parse(
    fields: &Fields<'_>,
    effect: Option<Effect>,
    out: &mut Vec<Diagnostic>,
) -> Asking {
    if effect.is_some_and(|effect| effect != Effect::Ask) {
        for key in ["timeout", "remember", "deciders"] {
            if let Some(span) = fields.key(key) {
                out.push(
                    Diagnostic::error(span, format!("`{key}` belongs to rules with `ask`"))
                        .help("leave it out, or make the rule `ask`"),
                );
            }
        }
        // So that a decider that only this rule names is not called unused.
        return Asking { deciders: fields.texts("deciders", out), ..Asking::default() };
    }
    Asking {
        timeout: duration::seconds(fields, "timeout", TIMEOUT, out),
        remember: duration::seconds(fields, "remember", REMEMBER, out),
        deciders: fields.texts("deciders", out),
    }
}
