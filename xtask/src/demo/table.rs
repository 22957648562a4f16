//! The table at the demo's end: what was allowed and denied, and by which rule. Reads the records
//! and nothing else.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Rows of one rule's allowed calls are counted, not shown: the loader alone opens dozens of files.
pub(super) fn render(lines: &[String]) -> Result<String> {
    let mut allowed: BTreeMap<String, (u32, String)> = BTreeMap::new();
    let mut denied: Vec<Row> = Vec::new();
    for line in lines {
        let event: Value =
            serde_json::from_str(line).with_context(|| format!("not an event: {line}"))?;
        if event["kind"] != "verdict" || event["agent"] != "demo-agent" {
            continue;
        }
        let row = Row::of(&event);
        if event["verdict"] == "allow" {
            let entry = allowed.entry(row.rule.clone()).or_insert((0, row.what()));
            entry.0 += 1;
        } else if !denied.contains(&row) {
            denied.push(row);
        }
    }
    ensure!(!allowed.is_empty() && !denied.is_empty(), "the session left no events");
    let mut text = String::from("denied:\n");
    for row in &denied {
        writeln!(text, "  {:<58} {:<26} {}", row.what(), row.rule, row.place)?;
        if !row.message.is_empty() {
            writeln!(text, "      {}", row.message)?;
        }
    }
    text.push_str("allowed:\n");
    for (rule, (count, example)) in &allowed {
        writeln!(text, "  {count:>5} by {rule:<26} e.g. {example}")?;
    }
    Ok(text)
}

#[derive(PartialEq)]
struct Row {
    operation: String,
    subject: String,
    rule: String,
    place: String,
    message: String,
}

impl Row {
    fn of(event: &Value) -> Self {
        let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
        let access: Vec<&str> =
            event["access"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let rule = match event["rule"].as_str() {
            Some(rule) => rule.to_owned(),
            None => format!("({})", text("reason")),
        };
        let place = match event["line"].as_u64() {
            Some(line) => format!("{}:{line}", text("file")),
            None => String::new(),
        };
        Self {
            operation: access.join("+"),
            subject: text("subject"),
            rule,
            place,
            message: text("message"),
        }
    }

    fn what(&self) -> String {
        format!("{} {}", self.operation, self.subject)
    }
}
