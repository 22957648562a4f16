//! This engine. Must not know how others write the policy.

use std::{
    hint::black_box,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use execlayer_engine::{Live, Name, PolicyBundle, Request, Value, Verdict};
use execlayer_policy::author::{Draft, Rule, Test};
use serde_json::json;

use crate::{CALLS, Call, Engine};

pub(crate) struct Ours {
    bundle: PolicyBundle,
    requests: Vec<Request<'static>>,
}

impl Ours {
    /// The rule of ten conditions among so many in all.
    pub(crate) fn new(rules: usize) -> Result<Self> {
        // Requests borrow; these live as long as the program.
        let requests = CALLS.iter().map(|call| request(call, Vec::leak(context(call)?)));
        Ok(Self { bundle: bundle(rules)?, requests: requests.collect::<Result<_>>()? })
    }
}

/// Others are about other tools and resources, some of them of the same tool.
fn bundle(rules: usize) -> Result<PolicyBundle> {
    let mut draft = Draft::new("ten", "bench").rule(
        Rule::allow("ten")
            .action("deploy")
            .resource("service/*")
            .user(1000)
            .between("08:00-18:00")
            .context("amount", Test::at_most(100))
            .context("files", Test::at_least(1))
            .context("branch", Test::is("release/*"))
            .context("environment", Test::is_one_of(&["staging", "preview"]))
            .context("confirmed", Test::flag(true))
            .context("dry_run", Test::flag(false)),
    );
    for number in 1..rules {
        let rule = Rule::allow(&format!("r{number}"));
        draft = draft.rule(match number % 3 {
            0 => rule.action("deploy").resource(&format!("job/{number}/**")),
            1 => rule.action(&format!("tool-{number}")),
            _ => rule.action(&format!("mcp__server{}__*", number % 97)).resource(&format!("{number}-*")),
        });
    }
    draft.build().map_err(|error| anyhow!("{error}"))
}

fn context(call: &Call) -> Result<Vec<(Name, Value<'static>)>> {
    let values = [
        ("amount", Value::Number(call.amount.into())),
        ("files", Value::Number(call.files.into())),
        ("branch", Value::Text(call.branch.as_bytes())),
        ("environment", Value::Text(call.environment.as_bytes())),
        ("confirmed", Value::Flag(call.confirmed)),
        ("dry_run", Value::Flag(call.dry_run)),
    ];
    values.into_iter().map(|(name, value)| Ok((Name::new(name)?, value))).collect()
}

fn request<'a>(call: &'a Call, context: &'a [(Name, Value<'a>)]) -> Result<Request<'a>> {
    let request = Request::new(call.action.as_bytes(), call.resource.as_bytes())?.with(context)?;
    Ok(request.by(call.uid).at(call.minute, 0))
}

impl Engine for Ours {
    fn judge(&mut self, call: usize) -> Result<bool> {
        let request = black_box(&self.requests[call]);
        Ok(matches!(self.bundle.evaluate(request), Verdict::Allow(_)))
    }
}

/// Nanoseconds of an evaluation by number of rules, where every evaluation is about another resource: what caches do
/// for a single call they do not do here.
pub(crate) fn spread() -> Result<serde_json::Value> {
    let mut out = Vec::new();
    for rules in [10, 100, 1_000, 10_000] {
        let bundle = bundle(rules)?;
        let names: Vec<(String, String)> = (0..4_096)
            .map(|turn| match turn * 7 % rules {
                0 => ("deploy".to_owned(), "service/billing".to_owned()),
                number if number % 3 == 0 => ("deploy".to_owned(), format!("job/{number}/all")),
                number if number % 3 == 1 => (format!("tool-{number}"), String::new()),
                number => (format!("mcp__server{}__list", number % 97), format!("{number}-a")),
            })
            .collect();
        let context = context(&CALLS[0])?;
        let requests = names
            .iter()
            .map(|(action, resource)| {
                let request = Request::new(action.as_bytes(), resource.as_bytes())?.with(&context)?;
                Ok(request.by(1000).at(600, 0))
            })
            .collect::<Result<Vec<_>>>()?;
        let bytes: usize = names.iter().map(|(action, resource)| action.len() + resource.len() + 1).sum();
        let mut best = f64::MAX;
        for _ in 0..50 {
            let begun = Instant::now();
            for request in &requests {
                let _ = black_box(bundle.evaluate(request));
            }
            best = best.min(begun.elapsed().as_secs_f64() * 1e9 / requests.len() as f64);
        }
        out.push(json!({ "rules": rules, "ns": best, "bytes": bytes as f64 / names.len() as f64 }));
    }
    Ok(out.into())
}

/// Evaluations a second on one and two threads, with and without the policy being replaced all the time.
pub(crate) fn threads() -> Result<serde_json::Value> {
    const TIME: Duration = Duration::from_millis(500);
    let mut out = Vec::new();
    for count in [1, 2] {
        for swapping in [false, true] {
            let live = Live::new(bundle(10)?);
            let (stop, done, swaps) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
            let context = context(&CALLS[0])?;
            let request = request(&CALLS[0], &context)?;
            let mut spare: Vec<PolicyBundle> = Vec::new();
            if swapping {
                spare = (0..2_000).map(|_| bundle(10)).collect::<Result<_>>()?;
            }
            let begun = Instant::now();
            thread::scope(|scope| {
                for _ in 0..count {
                    scope.spawn(|| {
                        let mut own = 0;
                        while !stop.load(Ordering::Relaxed) {
                            for _ in 0..1_000 {
                                let _ = black_box(live.with(|bundle| bundle.evaluate(black_box(&request))));
                            }
                            own += 1_000;
                        }
                        done.fetch_add(own, Ordering::Relaxed);
                    });
                }
                while begun.elapsed() < TIME {
                    if let Some(next) = spare.pop() {
                        let _ = live.replace(next);
                        swaps.fetch_add(1, Ordering::Relaxed);
                    }
                    thread::sleep(Duration::from_micros(200));
                }
                stop.store(true, Ordering::Relaxed);
            });
            let seconds = begun.elapsed().as_secs_f64();
            let rate = done.load(Ordering::Relaxed) as f64 / seconds;
            let swaps = swaps.load(Ordering::Relaxed);
            out.push(json!({ "threads": count, "swaps": swaps, "per_second": rate }));
        }
    }
    Ok(out.into())
}
