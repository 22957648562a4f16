//! Policy text: what is wrong is said at its place, and what is right means the same to the reference evaluator and
//! as an image. A NUL ends the text; what follows is one more subject.

use std::collections::BTreeMap;

use execlayer_bundle::UnsignedBundle;
use execlayer_common::{
    access::{Access, Operation},
    verdict::Verdict,
};
use execlayer_policy::{
    CheckedPolicy,
    check::{Options, Outcome, check},
    checked::{Rule, Written},
    diagnostic::{Diagnostic, Style},
    difference::{Side, difference},
    evaluate::{Facts, evaluate, selects},
    image_world::{judge_image, selects_image},
    lower,
    lower::listing,
    source::{Sources, Span},
};

use crate::{image::judged, seeds};

/// What every policy can extend here.
const BASE: &str = "name = \"base\"\nversion = 1\n[vars]\nV = \"/v\"\n[[rule]]\nid = \"base\"\n\
                    deny = [\"write\"]\npath = \"/etc/**\"\n";
/// Words of an image that is compared with itself.
const SMALL: usize = 3_000;

pub(crate) fn body(bytes: &[u8]) {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    let (text, subject) = (&bytes[..end], bytes.get(end + 1..).unwrap_or_default());
    let Ok(text) = str::from_utf8(text) else { return };
    let mut files = BTreeMap::from([
        ("policy.toml".to_owned(), text.to_owned()),
        ("base".to_owned(), BASE.to_owned()),
    ]);
    let outcome = check("policy.toml", &mut files, &Options::default());
    findings(&outcome.diagnostics, &outcome.sources);
    let has_errors = outcome.errors().next().is_some();
    let Outcome { policy, .. } = outcome;
    assert_eq!(policy.is_none(), has_errors, "no policy and no error, or both");
    let Some(policy) = policy else { return };
    let lowered = match lower(&policy) {
        Ok(lowered) => lowered,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let words = lowered.image.words();
    UnsignedBundle::new(words.to_vec(), lowered.provenance.clone())
        .expect("the daemon refuses what the compiler made");
    judged(words, subject, 0);
    assert!(listing(words, &lowered.provenance).is_ok());
    acts(&policy, words, subject);
    let side = Side { image: words, provenance: &lowered.provenance };
    if words.len() < SMALL
        && let Ok(difference) = difference(side, side)
    {
        assert_eq!(difference.changes, [], "it differs from itself");
    }
}

/// Whether each finding is about text that is there, and can be shown.
pub(crate) fn findings(found: &[Diagnostic], sources: &Sources) {
    for finding in found {
        let places = finding.related.iter().map(|(span, _)| *span).chain(finding.span);
        places.for_each(|span| place(span, sources, &finding.message));
        for style in [Style::Plain, Style::Colour] {
            assert!(!finding.render(sources, style).is_empty());
        }
        assert_eq!(finding.record(sources).message, finding.message);
    }
}

fn place(span: Span, sources: &Sources, message: &str) {
    let text = sources.text(span.source);
    let (start, end) = (span.start as usize, span.end as usize);
    assert!(start <= end && end <= text.len(), "{start}..{end} of {}: {message}", text.len());
    assert!(
        text.is_char_boundary(start) && text.is_char_boundary(end),
        "{start}..{end}: {message}"
    );
}

/// The reference evaluator and the image say the same of what the policy itself names, and of one subject more.
fn acts(policy: &CheckedPolicy, words: &[u32], subject: &[u8]) {
    for (operation, written) in subjects(policy) {
        for subject in [written.as_bytes(), subject] {
            act(policy, words, operation, subject);
        }
    }
}

/// What the policy's patterns look like as subjects: many match themselves.
fn subjects(policy: &CheckedPolicy) -> Vec<(Operation, String)> {
    let mut all = Vec::new();
    let mut add = |operation, list: &'_ [Written]| {
        all.extend(list.iter().take(4).map(|written| (operation, written.text.to_string())));
    };
    for rule in policy.rules().iter().take(16) {
        let Rule { paths, except, inet, local, unix, features, calls, .. } = rule;
        for (operation, list) in [
            (Operation::Exec, paths),
            (Operation::File, paths),
            (Operation::File, except),
            (Operation::Inet, inet),
            (Operation::Inet, local),
            (Operation::Unix, unix),
            (Operation::Feature, features),
            (Operation::Call, calls),
        ] {
            add(operation, list);
        }
    }
    add(Operation::SelectCgroup, policy.cgroups());
    add(Operation::SelectExe, policy.executables());
    all
}

fn act(policy: &CheckedPolicy, words: &[u32], operation: Operation, subject: &[u8]) {
    if matches!(operation, Operation::SelectCgroup | Operation::SelectExe) {
        let (book, image) =
            (selects(policy, operation, subject), selects_image(words, operation, subject));
        assert_eq!(book, image, "{operation:?} {}", subject.escape_ascii());
        return;
    }
    let all = Access::of(operation);
    let bits = (0..u32::BITS).map(|bit| Access(1 << bit)).filter(|bit| all.contains(*bit));
    for wanted in bits.chain([all, Access::READ.union(Access::WRITE).intersection(all)]) {
        for (is_left, minute) in [(true, 0), (false, 800)] {
            let facts = Facts { uid: 1_001, minute };
            let book = evaluate(policy, operation, subject, wanted, facts, &mut |_, _| is_left);
            let image: Verdict =
                judge_image(words, operation, subject, wanted, facts, &mut |_, _, _| is_left);
            assert_eq!(book, image, "{operation:?} {wanted:?} {}", subject.escape_ascii());
        }
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let subjects: [&[u8]; 3] = [b"/workspace/src/main.rs", b"/etc/passwd", b"t4\x7f\0\0\x01\0\x50"];
    let texts = seeds::policies();
    let text = |(number, text): (usize, String)| {
        [text.as_bytes(), b"\0", subjects[number % subjects.len()]].concat()
    };
    let mut all: Vec<Vec<u8>> = texts.into_iter().enumerate().map(text).collect();
    let extends = "name = \"a\"\nversion = 1\nextends = [\"base\"]\n[agent]\nname = \"b\"\n\
                   cgroup = [\"/c/**\"]\n[[rule]]\nid = \"r\"\nallow = [\"read\"]\npath = \"${V}/*\"\n";
    all.push(extends.as_bytes().to_vec());
    all
}
