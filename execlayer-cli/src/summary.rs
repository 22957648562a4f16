//! The summary at the end of `run`: what was denied, by which rule, and why. Must not know where the
//! numbers come from.

use execlayer_api::{DeniedRow, DeniedVerdict, Summary};
use execlayer_common::reason::Reason;

use crate::{
    output::{Paint, Table},
    words,
};

/// Rows that a person reads; a file has them all.
const SHOWN: usize = 30;
/// Characters of a subject that a person reads.
const WIDTH: usize = 80;

/// The summary for people.
pub(crate) fn text(agent: &str, summary: &Summary, paint: Paint) -> String {
    let mut text = match summary.denied.len() {
        0 => format!("execlayer: nothing was denied to `{agent}`"),
        _ => {
            let count: u64 = summary.denied.iter().map(|row| row.count).sum();
            format!("execlayer: denied to `{agent}`: {count}\n")
        }
    };
    if !summary.denied.is_empty() {
        let mut table = Table::new(&["count", "operation", "subject", "rule", "place", "reason"]);
        for row in summary.denied.iter().take(SHOWN) {
            let place = match (&row.file, row.line) {
                (Some(file), Some(line)) => format!("{file}:{line}"),
                (Some(file), None) => file.clone(),
                (None, _) => String::new(),
            };
            let access = row.access.join("+");
            table.row([
                row.count.to_string(),
                if access.is_empty() { row.operation.clone() } else { access },
                words::shortened(&row.subject, WIDTH),
                row.rule.clone().unwrap_or_default(),
                place,
                reason(row),
            ]);
        }
        text.push_str(&table.render(paint));
    }
    let yellow = |line: String| format!("\n{}{line}{}", paint.yellow(), paint.reset());
    let hidden = summary.more + summary.denied.len().saturating_sub(SHOWN) as u64;
    if hidden > 0 {
        text.push_str(&yellow(format!("and {hidden} kinds of denials more (`--summary-json`)")));
    }
    if summary.lost > 0 {
        text.push_str(&yellow(format!("{} events were lost and are not counted", summary.lost)));
    }
    text
}

fn reason(row: &DeniedRow) -> String {
    let known = Reason::ALL.iter().find(|reason| reason.name() == row.reason);
    let meaning = known.map_or(row.reason.as_str(), |reason| reason.meaning());
    let text = row.message.as_deref().unwrap_or(meaning);
    match row.verdict {
        DeniedVerdict::Denied => text.to_owned(),
        DeniedVerdict::Monitored => format!("{text} (monitored: it passed)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(count: u64, subject: &str) -> DeniedRow {
        DeniedRow {
            count,
            operation: "open".into(),
            access: vec!["read".into(), "write".into()],
            subject: subject.into(),
            rule: None,
            file: None,
            line: None,
            reason: "unlisted".into(),
            message: None,
            verdict: DeniedVerdict::Denied,
        }
    }

    #[test]
    fn each_row_names_subject_rule_place_and_reason() {
        let by_rule = DeniedRow {
            rule: Some("no-keys".into()),
            file: Some("p.toml".into()),
            line: Some(7),
            reason: "rule".into(),
            message: Some("Private keys stay private.".into()),
            ..row(3, "/root/.ssh/id")
        };
        let monitored = DeniedRow { verdict: DeniedVerdict::Monitored, ..row(1, "/etc/shadow") };
        let summary = Summary { denied: vec![by_rule, monitored], more: 2, allowed: 9, lost: 4 };
        assert_eq!(
            text("a", &summary, Paint(false)),
            "execlayer: denied to `a`: 4\n\
             count  operation   subject        rule     place     reason\n    \
                 3  read+write  /root/.ssh/id  no-keys  p.toml:7  Private keys stay private.\n    \
                 1  read+write  /etc/shadow                       no rule allows it (monitored: it passed)\n\n\
             and 2 kinds of denials more (`--summary-json`)\n\
             4 events were lost and are not counted"
        );
    }

    #[test]
    fn a_screen_is_not_flooded() {
        let rows: Vec<DeniedRow> = (0..100).map(|n| row(1, &format!("/{n}"))).collect();
        let summary = Summary { denied: rows, ..Summary::default() };
        let text = text("a", &summary, Paint(false));
        assert!(text.contains("and 70 kinds of denials more"), "{text}");
    }

    #[test]
    fn a_subject_cannot_write_to_the_terminal() {
        let summary = Summary { denied: vec![row(1, "/a\x1b[2J")], ..Summary::default() };
        assert!(!text("a", &summary, Paint(false)).contains('\x1b'));
    }

    #[test]
    fn no_denial_is_said_in_one_line() {
        let text = text("a", &Summary::default(), Paint(false));
        assert_eq!(text, "execlayer: nothing was denied to `a`");
    }
}
