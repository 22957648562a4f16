//! What deploy/ asks for by name is in the exposition: names of metrics, of labels, and values of labels. Needs no
//! consumer; tests/consumers/ asks real ones.
#![cfg(test)]

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde_json::Value;

#[path = "consumers/endpoint.rs"]
mod endpoint;

/// Labels that Prometheus adds.
const ADDED: [&str; 2] = ["instance", "job"];

/// Labels and their values, of each name.
type Exposed = BTreeMap<String, BTreeMap<String, Vec<String>>>;

fn files() -> Vec<(String, String)> {
    let deploy = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    ["prometheus", "grafana"]
        .iter()
        .flat_map(|folder| fs::read_dir(deploy.join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.display().to_string(), fs::read_to_string(path).unwrap()))
        .collect()
}

fn exposed(text: &str) -> Exposed {
    let mut exposed = Exposed::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let labels = exposed.entry(name.to_owned()).or_default();
        for (label, value) in pairs(line.get(name.len()..).unwrap(), "=") {
            labels.entry(label).or_default().push(value);
        }
    }
    exposed
}

/// Each `label="value"` of the braces that a text begins with; none if it does not.
fn pairs(text: &str, operator: &str) -> Vec<(String, String)> {
    let Some(inner) = text.strip_prefix('{') else { return Vec::new() };
    let mut pairs = Vec::new();
    let mut rest = inner;
    while let Some((label, after)) = rest.split_once('"') {
        if label.contains('}') {
            break;
        }
        // Up to the quote that ends it.
        let mut escaped = false;
        let is_end = |c: char| {
            let end = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            end
        };
        let end = after.find(is_end).unwrap();
        let label = label.trim_matches([',', ' ']);
        if let Some(label) = label.strip_suffix(operator)
            && !label.ends_with(['!', '=', '~'])
        {
            pairs.push((label.to_owned(), after.get(..end).unwrap().to_owned()));
        }
        rest = after.get(end + 1..).unwrap();
    }
    pairs
}

/// Every name of a metric in a text, with what follows it.
fn names(text: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    for (at, prefix) in text.match_indices("execlayer_") {
        let rest = text.get(at..).unwrap();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        assert!(end > prefix.len(), "{}", rest.get(..40).unwrap_or(rest));
        found.push(rest.split_at(end));
    }
    found
}

#[test]
fn every_metric_that_deploy_names_is_exposed_with_the_labels_that_are_asked_for() {
    let exposed = exposed(&endpoint::Endpoint::new().text());
    assert!(exposed["execlayer_verdicts_total"]["verdict"].contains(&"deny".to_owned()));
    let mut count = 0;
    for (file, text) in files() {
        // In JSON an expression's quotes are escaped.
        let text = text.replace("\\\"", "\"");
        for (name, after) in names(&text) {
            let Some(labels) = exposed.get(name) else { panic!("{file}: {name} is not exposed") };
            for operator in ["=", "=~"] {
                for (label, value) in pairs(after, operator) {
                    if ADDED.contains(&label.as_str()) {
                        continue;
                    }
                    let Some(values) = labels.get(&label) else {
                        panic!("{file}: {name} has no label {label}")
                    };
                    let is_there = operator == "=~" || values.contains(&value);
                    assert!(is_there, "{file}: {name} with {label}={value} is not exposed");
                }
            }
            count += 1;
        }
    }
    assert!(count > 30, "{count} names were found");
}

#[test]
fn the_dashboard_is_json_with_an_expression_in_every_panel_that_has_targets() {
    let files = files();
    let (_path, text) = files.iter().find(|(path, _text)| path.ends_with(".json")).unwrap();
    let dashboard: Value = serde_json::from_str(text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut count = 0;
    for target in panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten() {
        assert!(!target["expr"].as_str().unwrap().is_empty());
        count += 1;
    }
    assert!(count > 20);
}
