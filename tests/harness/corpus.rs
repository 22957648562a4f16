//! The corpus: files of suites, each a policy and cases about it. Owns the file format around the
//! cases; the cases' own format is [`execlayer_policy::cases`]'. Must not judge.
//!
//! A suite is `name`, `rules` (only rules) or `policy` (a whole one), `variables`, `files` (what it
//! extends), `repeat` (rules written many times, `#` is the number) and `case`. A case may say what
//! policies' own cases cannot: `reason`, the reason of the denial; `after`, acts that are judged before
//! the one that counts; and `before`, how often that one itself is. In `do`, `{a*9}` is nine times `a`.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result, anyhow, bail, ensure};
use execlayer_common::{reason::Reason, verdict::Verdict};
use execlayer_policy::{
    cases::{Act, Case, Expect, parse_cases},
    diagnostic::Style,
    source::Loaded,
};
use serde::Deserialize;

use crate::{
    prepare::{HEADER, Prepared},
    subject::Answer,
};

/// A policy and what is claimed about it.
#[derive(Debug)]
pub struct Suite {
    /// The file's name, without its folder.
    pub file: String,
    /// The suite's name.
    pub name: String,
    /// The policy.
    pub prepared: Prepared,
    /// The claims.
    pub claims: Vec<Claim>,
}

/// A case of the corpus.
#[derive(Debug)]
pub struct Claim {
    /// As a policy's author could write it.
    pub case: Case,
    /// Other acts that are judged before.
    pub first: Vec<Act>,
    /// Times that the act itself is judged before it counts.
    pub times: usize,
    /// The reason that a denial must have.
    pub reason: Option<Reason>,
}

impl Claim {
    /// What is judged before the act, by the same user at the same time.
    pub fn before(&self) -> impl ExactSizeIterator<Item = &Act> {
        let count = self.first.len() + self.times;
        (0..count).map(|turn| self.first.get(turn).unwrap_or(&self.case.act))
    }

    /// What is wrong with an answer, if anything is.
    ///
    /// # Errors
    ///
    /// What was said and what is expected.
    pub fn check(&self, prepared: &Prepared, answer: Answer) -> Result<()> {
        let expect = self.case.expect;
        let verdict = match answer {
            Answer::Selected(selected) => {
                let expected = expect == Expect::Selected;
                ensure!(selected == expected, "selected: {selected}, expected: {expected}");
                return Ok(());
            }
            Answer::Verdict(verdict) => verdict,
        };
        let right = matches!(
            (verdict, expect),
            (Verdict::Allow(_), Expect::Allow)
                | (Verdict::Ask(_), Expect::Ask)
                | (Verdict::Deny(..), Expect::Deny)
        );
        ensure!(right, "{verdict:?}, expected {expect:?}");
        let rule = verdict.rule().map(|rule| prepared.rule_id(rule.0));
        ensure!(
            rule == self.case.rule.as_deref(),
            "{verdict:?} names rule {rule:?}, expected {:?}",
            self.case.rule
        );
        if let Verdict::Deny(reason, _) = verdict {
            let expected = self.reason.unwrap_or(Reason::Rule);
            ensure!(reason == expected, "denied as {reason:?}, expected {expected:?}");
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileText {
    suite: Vec<SuiteText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SuiteText {
    name: String,
    rules: Option<String>,
    policy: Option<String>,
    repeat: Option<Repeat>,
    #[serde(default)]
    variables: BTreeMap<String, String>,
    #[serde(default)]
    files: BTreeMap<String, String>,
    case: Vec<toml::Table>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Repeat {
    times: u32,
    rules: String,
}

/// Reads every `.toml` file of a folder, in the order of their names.
///
/// # Errors
///
/// A file cannot be read, a policy does not check, or two suites or cases of a file share a name.
pub fn load(folder: &Path) -> Result<Vec<Suite>> {
    let entries = fs::read_dir(folder).with_context(|| format!("no `{}`", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|end| end == "toml"));
    paths.sort();
    ensure!(!paths.is_empty(), "`{}` has no corpus", folder.display());
    let mut suites = Vec::new();
    for path in paths {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read `{file}`"))?;
        let parsed: FileText = toml::from_str(&text).with_context(|| format!("in `{file}`"))?;
        for suite in parsed.suite {
            let name = suite.name.clone();
            let read = suite.read(&file).with_context(|| format!("`{file}`, suite `{name}`"))?;
            suites.push(read);
        }
    }
    Ok(suites)
}

impl SuiteText {
    fn read(mut self, file: &str) -> Result<Suite> {
        let text = match (self.policy.take(), self.rules.take()) {
            (Some(policy), None) => policy,
            (None, Some(rules)) => format!("{HEADER}{rules}"),
            _ => bail!("a suite has either `policy` or `rules`"),
        };
        self.files.insert("policy".to_owned(), text + &self.repeated());
        let variables: Vec<_> = std::mem::take(&mut self.variables).into_iter().collect();
        let files = std::mem::take(&mut self.files);
        let prepared = Prepared::from_files(files, "policy", &variables)?;
        let claims = claims(self.case)?;
        Ok(Suite { file: file.to_owned(), name: self.name, prepared, claims })
    }

    fn repeated(&self) -> String {
        let Some(repeat) = &self.repeat else { return String::new() };
        let rules = |number: u32| repeat.rules.replace('#', &number.to_string());
        (0..repeat.times).map(|number| format!("\n{}", rules(number))).collect()
    }
}

/// Takes the corpus' own keys out of the cases and lets the policy crate read the rest.
fn claims(mut tables: Vec<toml::Table>) -> Result<Vec<Claim>> {
    let mut own = Vec::new();
    let mut extra = Vec::new();
    for table in &mut tables {
        let times = match table.remove("before") {
            None => 0,
            Some(value) => value
                .as_integer()
                .and_then(|times| usize::try_from(times).ok())
                .ok_or_else(|| anyhow!("`before` is no count: {value}"))?,
        };
        let reason = match table.remove("reason") {
            None => None,
            Some(value) => Some(reason(value.as_str().unwrap_or_default())?),
        };
        if let Some(toml::Value::String(act)) = table.get_mut("do") {
            *act = expand(act)?;
        }
        let after = match table.remove("after") {
            None => Vec::new(),
            Some(value) => value.try_into::<Vec<String>>().context("`after` is no list of acts")?,
        };
        own.push((after.len(), times, reason));
        // An act is read as a part of a case, so each of these is made one.
        for act in after {
            let name = format!("extra {}", extra.len());
            extra.push(toml::Table::from_iter(
                [("name", name), ("do", act), ("expect", "allow".to_owned())]
                    .map(|(key, value)| (key.to_owned(), toml::Value::String(value))),
            ));
        }
    }
    let count = tables.len() + extra.len();
    let cases = tables.into_iter().chain(extra).map(toml::Value::Table).collect();
    let text =
        toml::to_string(&toml::Table::from_iter([("case".to_owned(), toml::Value::Array(cases))]))?;
    let file = parse_cases(Loaded { name: "cases".to_owned(), bytes: text.into_bytes() });
    if !file.diagnostics.is_empty() {
        let findings: Vec<String> = file
            .diagnostics
            .iter()
            .map(|found| found.render(&file.sources, Style::Plain))
            .collect();
        bail!("the cases do not parse:\n{}", findings.join("\n"));
    }
    ensure!(file.cases.len() == count, "cases were lost");
    let mut cases = file.cases;
    let mut extra = cases.split_off(own.len()).into_iter().map(|case| case.act);
    let both = cases.into_iter().zip(own);
    Ok(both
        .map(|(case, (after, times, reason))| {
            let first = extra.by_ref().take(after).collect();
            Claim { case, first, times, reason }
        })
        .collect())
}

fn reason(name: &str) -> Result<Reason> {
    let found = Reason::ALL.into_iter().find(|reason| reason.name() == name);
    found.ok_or_else(|| anyhow!("`{name}` is no reason"))
}

/// Writes `{a*9}` out.
fn expand(text: &str) -> Result<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, tail)) = rest.split_once('{') {
        out.push_str(before);
        let (inside, behind) =
            tail.split_once('}').ok_or_else(|| anyhow!("`{text}` has a `{{` that never closes"))?;
        let (what, times) =
            inside.split_once('*').ok_or_else(|| anyhow!("`{inside}` is no repetition"))?;
        out.push_str(&what.repeat(times.parse().with_context(|| format!("`{inside}`"))?));
        rest = behind;
    }
    out.push_str(rest);
    Ok(out)
}
