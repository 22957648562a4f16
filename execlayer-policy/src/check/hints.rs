//! What is legal and probably not meant: directories without themselves. Must not find errors.

use std::collections::HashSet;

use execlayer_common::{access::Access, image::Effect};

use crate::{checked::Rule, diagnostic::Diagnostic, source::Span};

/// `allow read` of `/d/**` where nothing lets anybody list `/d` itself.
pub(super) fn check(rules: &[(Rule, Span)], out: &mut Vec<Diagnostic>) {
    let reads = |rule: &Rule| rule.effect == Effect::Allow && rule.access.contains(Access::READ);
    let texts: HashSet<&str> = rules
        .iter()
        .filter(|(rule, _)| reads(rule))
        .flat_map(|(rule, _)| rule.paths.iter().map(|written| written.text.as_ref()))
        .collect();
    for (rule, span) in rules.iter().filter(|(rule, _)| reads(rule)) {
        for written in &rule.paths {
            let Some(directory) = written.text.strip_suffix("/**") else { continue };
            let plain = !directory.is_empty() && !directory.contains(['*', '?', '[', '{', '\\']);
            let listed = || {
                texts.contains(directory)
                    || texts.contains(format!("{directory}{{,/**}}").as_str())
                    || directory.match_indices('/').any(|(at, _)| {
                        let above = directory.get(..at).unwrap_or_default();
                        texts.contains(format!("{above}/**").as_str())
                            || texts.contains(format!("{above}{{,/**}}").as_str())
                    })
            };
            if plain && !listed() {
                let message = format!(
                    "rule `{}` allows reading below `{directory}` and not listing `{directory}` itself",
                    rule.id
                );
                let help = format!("write `{directory}{{,/**}}` for both");
                out.push(Diagnostic::hint(*span, message).help(help));
            }
        }
    }
}
