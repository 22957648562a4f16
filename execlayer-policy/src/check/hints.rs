//! What is legal and probably not meant: asks that cannot be held, directories without themselves.

use std::collections::HashSet;

use execlayer_common::{access::Access, image::Effect};

use crate::{
    check::about_files, checked::Rule, diagnostic::Diagnostic, parse::Policy, source::Span,
};

pub(super) fn check(files: &[Policy], rules: &[(Rule, Span)], out: &mut Vec<Diagnostic>) {
    asks(files, rules, out);
    directories(rules, out);
}

/// One finding for all asks, so that it is not read over.
fn asks(files: &[Policy], rules: &[(Rule, Span)], out: &mut Vec<Diagnostic>) {
    let asking = || rules.iter().filter(|(rule, _)| rule.effect == Effect::Ask);
    let Some((_, span)) = asking().next() else { return };
    let ids: Vec<String> = asking().map(|(rule, _)| format!("`{}`", rule.id)).collect();
    let message = format!(
        "denied with reason `ask-not-held` until this version can hold calls: {}",
        shortened(&ids)
    );
    let help = "the rules stay as they are; once calls are held, these will be asked about";
    out.push(Diagnostic::warning(*span, message).help(help));
    if let Some(span) = files.iter().flat_map(|file| &file.rules).flat_map(|r| &r.holding).next() {
        let message = "`timeout` and `remember` have no effect until this version can hold calls";
        out.push(Diagnostic::hint(*span, message));
    }
}

fn shortened(ids: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown = ids.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match ids.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// `allow read` of `/d/**` where nothing lets anybody list `/d` itself.
fn directories(rules: &[(Rule, Span)], out: &mut Vec<Diagnostic>) {
    let reads = |rule: &Rule| {
        rule.effect == Effect::Allow
            && about_files(rule.access)
            && rule.access.contains(Access::READ)
    };
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
