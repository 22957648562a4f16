//! Cases: what a policy is expected to decide, as its author's unit tests. Owns their format, which is
//! also the corpus's; must not know how a subject other than the reference evaluator decides.

mod act;
mod given;
mod run;

use std::collections::HashMap;

use execlayer_common::access::Operation;
use toml::de::{DeTable, DeValue};

pub use self::{
    act::{Act, Given},
    run::{Report, run},
};
use crate::{
    diagnostic::{Diagnostic, Severity},
    evaluate::Facts,
    parse::{
        fields::{Fields, Value, place, wrong_type},
        syntax::document,
        text::Text,
        when::parse_time,
    },
    source::{Loaded, Sources, Span},
};

const KEYS: [&str; 2] = ["policy", "case"];
const CASE_KEYS: [&str; 8] = ["name", "do", "expect", "rule", "uid", "at", "spent", "context"];
/// Who acts, and when, if a case does not say: an ordinary user at noon.
const USUAL: Facts = Facts { uid: 1000, minute: 12 * 60 };

/// What a case expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The call goes on.
    Allow,
    /// The call is asked about.
    Ask,
    /// The call fails.
    Deny,
    /// The task is governed by the policy.
    Selected,
    /// The task is not governed by the policy.
    Ignored,
}

impl Expect {
    /// Names as they stand in a file of cases.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("allow", Self::Allow),
        ("ask", Self::Ask),
        ("deny", Self::Deny),
        ("selected", Self::Selected),
        ("ignored", Self::Ignored),
    ];

    const fn is_selection(self) -> bool {
        matches!(self, Self::Selected | Self::Ignored)
    }
}

/// One case.
#[derive(Clone, Debug)]
pub struct Case {
    /// A claim; unique in its file.
    pub name: String,
    /// What is done.
    pub act: Act,
    /// What is expected.
    pub expect: Expect,
    /// The rule that is expected to decide.
    pub rule: Option<String>,
    /// Who acts, and when.
    pub facts: Facts,
    /// Rules whose budget is used up.
    pub spent: Vec<String>,
    /// Where the expectation stands.
    pub span: Span,
}

/// A file of cases.
#[derive(Debug)]
pub struct CaseFile {
    /// Text of the policy, where the file brings its own.
    pub policy: Option<String>,
    /// The cases, in the order of the file; those with errors are missing.
    pub cases: Vec<Case>,
    /// What is wrong with the file.
    pub diagnostics: Vec<Diagnostic>,
    /// The text that spans point into.
    pub sources: Sources,
}

/// Parses a file of cases.
#[must_use]
pub fn parse_cases(file: Loaded) -> CaseFile {
    let mut sources = Sources::default();
    let mut found = Vec::new();
    let (mut policy, mut cases) = (None, Vec::new());
    let name = file.name.clone();
    match sources.add(file) {
        Err(error) => found.push(Diagnostic::new(
            Severity::Error,
            None,
            format!("`{name}` is no file of cases: {error}"),
        )),
        Ok(source) => {
            let text = sources.text(source);
            let mut storage = String::new();
            let document = document(&text, &mut storage, source, &mut found);
            let start = Span { source, start: 0, end: 0 };
            let top =
                Fields::new(document.table.get_ref(), "a file of cases", start, &KEYS, &mut found);
            policy = top.text("policy", &mut found).map(|text| text.value);
            cases = read(&top, &sources, &mut found);
            unique(&cases, &mut found);
            if cases.is_empty() && found.is_empty() {
                found.push(
                    Diagnostic::error(start, "the file has no cases")
                        .help("add `[[case]]` with `name`, `do` and `expect`"),
                );
            }
        }
    }
    Diagnostic::arrange(&mut found);
    let cases = cases.into_iter().map(|(case, _)| case).collect();
    CaseFile { policy, cases, diagnostics: found, sources }
}

fn read(top: &Fields<'_>, sources: &Sources, out: &mut Vec<Diagnostic>) -> Vec<(Case, Span)> {
    let Some(value) = top.value("case") else { return Vec::new() };
    let DeValue::Array(array) = value.value else {
        let help = "write `[[case]]`, with two brackets";
        out.push(wrong_type(&value, "case", "a list of tables").help(help));
        return Vec::new();
    };
    let mut cases = Vec::new();
    for item in array.iter() {
        let span = place(value.span.source, item);
        match item.get_ref() {
            DeValue::Table(table) => cases.extend(one(table, span, sources, out)),
            other => {
                out.push(wrong_type(&Value { value: other, span }, "case", "a list of tables"));
            }
        }
    }
    cases
}

fn one(
    table: &DeTable<'_>,
    span: Span,
    sources: &Sources,
    out: &mut Vec<Diagnostic>,
) -> Option<(Case, Span)> {
    let fields = Fields::new(table, "`[[case]]`", span, &CASE_KEYS, out);
    for (key, help) in [
        ("name", "say what the case claims: `name = \"git may run\"`"),
        ("do", "say what is done: `do = \"read /workspace/a\"`"),
        ("expect", "say what is expected: `expect = \"allow\"`"),
    ] {
        if fields.key(key).is_none() {
            fields.missing(key, help, out);
        }
    }
    let name = fields.text("name", out);
    let act = fields.text("do", out).and_then(|text| act(&text, sources, out));
    let context = given::parse(&fields, out);
    let expect = fields.word("expect", &Expect::NAMES, out);
    let rule = fields.text("rule", out).map(|rule| rule.value);
    let uid = fields.number("uid", 0, out).and_then(|uid| u32::try_from(uid).ok());
    let minute = fields.text("at", out).and_then(|text| {
        let minute = parse_time(&text.value);
        if minute.is_none() {
            let message = format!("`{}` is no time of the day", text.value);
            out.push(Diagnostic::error(text.span, message).help("write it in UTC: \"08:30\""));
        }
        minute
    });
    let spent = fields.texts("spent", out).into_iter().map(|rule| rule.value).collect();
    let facts = Facts { uid: uid.unwrap_or(USUAL.uid), minute: minute.unwrap_or(USUAL.minute) };
    let (name, mut act, expect) = (name?, act?, expect?);
    act.context = context;
    let span = fields.value("expect")?.span;
    if act.operation != Operation::Call
        && let Some(at) = fields.key("context")
    {
        out.push(Diagnostic::error(at, "only a call of a tool has a context").help("leave it out"));
        return None;
    }
    if act.is_selection() != expect.is_selection() {
        let help = "`select-cgroup` and `select-exe` go with `selected` and `ignored`";
        out.push(Diagnostic::error(span, "nobody can expect this of that act").help(help));
        return None;
    }
    Some((Case { name: name.value, act, expect, rule, facts, spent, span }, name.span))
}

fn act(text: &Text, sources: &Sources, out: &mut Vec<Diagnostic>) -> Option<Act> {
    if let Some(span) = text.character_escape(sources) {
        out.push(
            Diagnostic::error(span, "this is a character of two bytes, not one byte")
                .help("in double quotes TOML reads `\\x`: write the act in single quotes"),
        );
        return None;
    }
    match Act::parse(&text.value) {
        Ok(act) => Some(act),
        Err((message, help)) => {
            out.push(Diagnostic::error(text.span, message).help(help));
            None
        }
    }
}

fn unique(cases: &[(Case, Span)], out: &mut Vec<Diagnostic>) {
    let mut seen: HashMap<&str, Span> = HashMap::new();
    for (case, span) in cases {
        if let Some(first) = seen.insert(&case.name, *span) {
            out.push(
                Diagnostic::error(*span, format!("two cases are called `{}`", case.name))
                    .related(first, "the other one is here"),
            );
        }
    }
}
