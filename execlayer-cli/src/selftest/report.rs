//! What people and programs are told of a self-test. Must not judge.

use serde::Serialize;

use super::compare::{Counts, Finding, Verdict};
use crate::{
    error::Exit,
    output::{Paint, Table},
    words,
};

/// All of it.
#[derive(Debug, Serialize)]
pub(crate) struct Report<'a> {
    pub(crate) monitor: bool,
    #[serde(flatten)]
    pub(crate) counts: Counts,
    pub(crate) findings: &'a [Finding],
}

impl Report<'_> {
    /// For people.
    pub(crate) fn text(&self, paint: Paint) -> String {
        let table = table(self.findings).render(paint);
        format!("{table}\n{}", summary(self.counts, self.monitor, paint))
    }
}

/// A row for each act.
fn table(findings: &[Finding]) -> Table {
    let mut table = Table::new(&["group", "way around", "tried", "expected", "answered", ""]);
    for finding in findings {
        let result = match finding.verdict {
            Verdict::Stopped => "ok".to_owned(),
            Verdict::WentThrough => "NOT STOPPED".to_owned(),
            Verdict::Otherwise => "stopped otherwise".to_owned(),
            Verdict::TwinStopped => "TOO MUCH STOPPED".to_owned(),
            Verdict::NotTried => "not tried".to_owned(),
        };
        let why = finding.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        let (expected, answered) = (&finding.expected, &finding.answered);
        table.row([
            finding.group.to_owned(),
            finding.name.to_owned(),
            finding.call.to_owned(),
            expected.clone(),
            answered.clone(),
            result + &why,
        ]);
    }
    table
}

fn summary(counts: Counts, monitor: bool, paint: Paint) -> String {
    let (colour, word) = match counts.exit() {
        Exit::Done => (paint.green(), "ok"),
        Exit::WentThrough => (paint.red(), "NOT STOPPED"),
        Exit::NotTried => (paint.yellow(), "not all was tried"),
        _ => (paint.red(), "FAILED"),
    };
    let mut parts = vec![
        format!("{} of {} stopped", counts.stopped, words::count(counts.acts, "act")),
        format!("{} passed", words::count(counts.twins_passed, "allowed twin")),
    ];
    let rest = [
        (counts.went_through, "went through"),
        (counts.otherwise, "stopped otherwise"),
        (counts.twins_stopped, "with a twin that was stopped"),
        (counts.not_tried, "not tried"),
    ];
    let rest = rest.iter().filter(|(count, _)| *count > 0);
    parts.extend(rest.map(|(count, what)| format!("{count} {what}")));
    let monitor = if monitor { " (monitor: nothing was enforced)" } else { "" };
    format!("{colour}{word}{}: {}{monitor}", paint.reset(), parts.join(", "))
}
