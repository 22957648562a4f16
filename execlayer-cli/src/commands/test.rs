//! `test`: the cases of a policy, judged twice: by the reference evaluator and by the compiled image.
//! Must not judge itself.

use std::path::PathBuf;

use execlayer_common::verdict::{RuleIndex, Verdict};
use execlayer_policy::{
    CheckedPolicy,
    cases::{self, Case, CaseFile, Expect},
    diagnostic::{DiagnosticRecord, Severity},
    evaluate::{evaluate, selects},
    image_world::{judge_image, selects_image},
    source::Loaded,
};
use serde::Serialize;

use crate::{
    compile::{self, PolicyArgs},
    error::{CliError, Exit},
    files,
    output::Screen,
};

/// Runs the test cases of a policy
///
/// Cases are the unit tests of a policy: what is done, and what is expected to come of it. They are
/// judged by the meaning of the policy's text and by the image that the kernel would walk; if the two
/// disagree, that is an error of execlayer and not of the policy.
///
/// Exits with 4 if a case does not go as expected.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  execlayer test policies/coding-agent
  execlayer test my-policy.toml my-cases.toml --json

A file of cases:
  [[case]]
  name = \"git may run\"
  do = \"exec /usr/bin/git\"
  expect = \"allow\"

  [[case]]
  name = \"ssh keys stay private\"
  do = \"read /home/me/.ssh/id_ed25519\"
  expect = \"deny\"
  rule = \"no-private-keys\""
)]
pub(crate) struct Args {
    #[command(flatten)]
    policy: PolicyArgs,
    /// File of the cases [default: `cases.toml` beside the policy]
    #[arg(value_name = "CASES")]
    cases: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Record {
    passed: usize,
    failed: usize,
    failures: Vec<DiagnosticRecord>,
}

/// Bytes of a file of cases.
const MAX_CASES_BYTES: usize = execlayer_common::limits::MAX_POLICY_BYTES;

pub(crate) fn run(args: &Args, screen: &Screen) -> Result<Exit, CliError> {
    let PolicyArgs { policy: name, filling } = &args.policy;
    let (policy, main) = compile::checked_or_fail(name, filling, screen)?;
    let path = args.cases.clone().unwrap_or_else(|| main.with_file_name("cases.toml"));
    let file = read(&path, screen)?;
    let lowered = compile::lower_or_fail(&policy)?;
    for case in &file.cases {
        agree(&policy, lowered.image.words(), case)?;
    }
    let report = cases::run(&policy, &file);
    if args.json {
        screen.print_json(&Record {
            passed: report.passed,
            failed: report.failures.len(),
            failures: report.failures.iter().map(|f| f.record(&file.sources)).collect(),
        })?;
    } else {
        let paint = screen.on_output;
        let text = compile::render(report.failures.iter(), &file.sources, paint);
        if !text.is_empty() {
            screen.print(&format!("{text}\n"))?;
        }
        let failed = report.failures.len();
        let (colour, word) =
            if failed == 0 { (paint.green(), "ok") } else { (paint.red(), "FAILED") };
        let passed = report.passed;
        screen
            .print(&format!("{colour}{word}{}: {passed} passed, {failed} failed", paint.reset()))?;
    }
    Ok(if report.failures.is_empty() { Exit::Done } else { Exit::Expectation })
}

fn read(path: &std::path::Path, screen: &Screen) -> Result<CaseFile, CliError> {
    let shown = path.display();
    let bytes = files::read_or_fail(path, MAX_CASES_BYTES)
        .map_err(|error| error.help("name the file of cases, or write one beside the policy"))?;
    let file = cases::parse_cases(Loaded { name: shown.to_string(), bytes });
    let text = compile::render(file.diagnostics.iter(), &file.sources, screen.on_error);
    if !text.is_empty() {
        screen.note(&text);
    }
    let errors = file.diagnostics.iter().filter(|found| found.severity == Severity::Error).count();
    match errors {
        0 => Ok(file),
        _ => Err(CliError::new(Exit::Policy, format!("`{shown}` has {errors} errors"))),
    }
}

/// Whether text and image mean the same.
fn agree(policy: &CheckedPolicy, image: &[u32], case: &Case) -> Result<(), CliError> {
    let act = &case.act;
    let (text, image) = if matches!(case.expect, Expect::Selected | Expect::Ignored) {
        let text = selects(policy, act.operation, &act.subject);
        let image = selects_image(image, act.operation, &act.subject);
        (format!("selected: {text}"), format!("selected: {image}"))
    } else {
        (words(by_text(policy, case)), words(by_image(policy, image, case)))
    };
    if text == image {
        return Ok(());
    }
    Err(CliError::failure(format!(
        "internal error: case `{}` is judged differently by the policy's text ({text}) and by its \
         image ({image})",
        case.name
    ))
    .help("please report this with the policy and the case; do not rely on the policy until then"))
}

fn by_text(policy: &CheckedPolicy, case: &Case) -> Verdict {
    let act = &case.act;
    evaluate(policy, act.operation, &act.subject, act.wanted, case.facts, &mut |rule, _| {
        has_uses_left(policy, case, usize::from(rule.0))
    })
}

fn by_image(policy: &CheckedPolicy, image: &[u32], case: &Case) -> Verdict {
    let act = &case.act;
    // Budgets are numbered in the order of their rules.
    let rules = policy.rules().iter().enumerate().filter(|(_, rule)| rule.when.at_most.is_some());
    let rules: Vec<usize> = rules.map(|(number, _)| number).collect();
    judge_image(image, act.operation, &act.subject, act.wanted, case.facts, &mut |budget, _, _| {
        rules.get(budget as usize).is_some_and(|&rule| has_uses_left(policy, case, rule))
    })
}

fn has_uses_left(policy: &CheckedPolicy, case: &Case, rule: usize) -> bool {
    policy.rules().get(rule).is_some_and(|rule| !case.spent.contains(&rule.id))
}

fn words(verdict: Verdict) -> String {
    let name = match verdict {
        Verdict::Allow(_) => "allow",
        Verdict::Ask(_) => "ask",
        Verdict::Deny(reason, _) => reason.name(),
    };
    match verdict.rule() {
        Some(RuleIndex(number)) => format!("{name} by rule number {number}"),
        None => name.to_owned(),
    }
}
