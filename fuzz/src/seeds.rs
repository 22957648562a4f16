//! What several targets start from: the shipped policies, the suites of the test corpus, and what they are compiled
//! to. Must be the same every time.

use std::{collections::BTreeMap, fs, path::Path};

use execlayer_bundle::UnsignedBundle;
use execlayer_policy::{
    Lowered,
    check::{Options, check},
    lower,
};

/// Bytes of a policy that is taken: small ones go further.
const LARGEST: usize = 3_000;

fn top() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// A file of the checkout.
pub(crate) fn file(name: &str) -> String {
    let path = top().join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The texts of small policies: what the shipped ones have at their beginning, and the corpus' suites.
pub(crate) fn policies() -> Vec<String> {
    let mut texts: Vec<String> = ["coding-agent", "baseline/linux-dev"]
        .iter()
        .flat_map(|name| parts(&file(&format!("policies/{name}/policy.toml"))))
        .collect();
    for path in corpus() {
        let suites: toml::Table = fs::read_to_string(&path).unwrap().parse().unwrap();
        for suite in suites["suite"].as_array().unwrap() {
            texts.extend(suite.get("policy").and_then(|text| text.as_str()).map(str::to_owned));
            let rules = suite.get("rules").and_then(|text| text.as_str());
            texts.extend(rules.map(|rules| format!("{HEADER}{rules}")));
        }
    }
    texts.retain(|text| text.len() <= LARGEST);
    texts
}

const HEADER: &str = "name = \"rules\"\nversion = 1\n\n[agent]\nname = \"corpus\"\n\n";

/// A long policy as several short ones: its head, each time with other rules.
fn parts(text: &str) -> Vec<String> {
    let mut rules = text.split("[[rule]]");
    let head = rules.next().unwrap_or_default();
    let rules: Vec<&str> = rules.collect();
    let part =
        |part: &[&str]| part.iter().fold(head.to_owned(), |text, rule| text + "[[rule]]" + rule);
    rules.chunks(4).map(part).collect()
}

fn corpus() -> Vec<std::path::PathBuf> {
    let folder = fs::read_dir(top().join("tests/corpus")).unwrap();
    let mut paths: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "toml"));
    paths.sort();
    paths
}

/// A policy, compiled; nothing if it is refused.
pub(crate) fn compiled(text: &str) -> Option<Lowered> {
    let mut files = BTreeMap::from([("policy.toml".to_owned(), text.to_owned())]);
    let policy = check("policy.toml", &mut files, &Options::default()).policy?;
    Some(lower(&policy).unwrap())
}

/// What is signed of a few policies.
pub(crate) fn bundles() -> Vec<UnsignedBundle> {
    let all: Vec<UnsignedBundle> = policies()
        .iter()
        .filter_map(|text| compiled(text))
        .map(|lowered| {
            UnsignedBundle::new(lowered.image.words().to_vec(), lowered.provenance).unwrap()
        })
        .filter(|bundle| bundle.image().len() < 2_000)
        .collect();
    all.into_iter().step_by(8).collect()
}
