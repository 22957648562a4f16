//! The same policy of ten conditions, and the same calls, judged by this engine, by Cedar and by a Rego engine, side by
//! side in one run. Owns what is compared and how it is timed; prints one JSON object. Must not assert a time.
//!
//! Each engine gets its policy compiled and its request built beforehand, in whatever form it judges fastest. A sample
//! is the mean of a batch of evaluations, because a clock costs as much as an evaluation; percentiles are those of
//! samples.

mod cedar;
mod ours;
mod rego;
mod timing;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

/// A call: what it is about, and whether the policy allows it.
pub(crate) struct Call {
    pub(crate) name: &'static str,
    pub(crate) action: &'static str,
    pub(crate) resource: &'static str,
    pub(crate) uid: u32,
    pub(crate) minute: u16,
    pub(crate) amount: i64,
    pub(crate) files: i64,
    pub(crate) branch: &'static str,
    pub(crate) environment: &'static str,
    pub(crate) confirmed: bool,
    pub(crate) dry_run: bool,
    pub(crate) allowed: bool,
}

const ALLOWED: Call = Call {
    name: "all ten hold",
    action: "deploy",
    resource: "service/billing",
    uid: 1000,
    minute: 600,
    amount: 40,
    files: 3,
    branch: "release/7",
    environment: "staging",
    confirmed: true,
    dry_run: false,
    allowed: true,
};

/// The calls.
pub(crate) const CALLS: [Call; 3] = [
    ALLOWED,
    Call { name: "the last one fails", dry_run: true, allowed: false, ..ALLOWED },
    Call { name: "another tool", action: "delete", allowed: false, ..ALLOWED },
];

/// What judges.
pub(crate) trait Engine {
    /// Whether it allows the call with this number in [`CALLS`].
    fn judge(&mut self, call: usize) -> Result<bool>;
}

fn main() -> Result<()> {
    let mut out = Vec::new();
    for rules in [10, 1_000, 10_000] {
        let mut engines: Vec<(&str, Box<dyn Engine>)> = vec![("execlayer", Box::new(ours::Ours::new(rules)?))];
        if rules == 10 {
            engines.push(("cedar-policy", Box::new(cedar::Cedar::new(rules)?)));
            engines.push(("regorus", Box::new(rego::Rego::new(rules)?)));
        }
        for (number, call) in CALLS.iter().enumerate() {
            for (name, engine) in &mut engines {
                ensure!(engine.judge(number)? == call.allowed, "{name} judges `{}` otherwise", call.name);
                let timed = timing::time(&mut || engine.judge(number))?;
                out.push(json!({ "engine": name, "rules": rules, "call": call.name, "timed": timed }));
            }
        }
    }
    let spread = ours::spread()?;
    let threads = ours::threads()?;
    println!("{}", Value::from(json!({ "calls": out, "spread": spread, "threads": threads })));
    Ok(())
}
