//! What `decide` costs in the kernel, by the kernel's own clock around runs of the program `judge`.
//! Prints one JSON object a line: the machine first, then each act, or why nothing runs here. Asserts
//! no time.

use std::fs;

use anyhow::{Context, Result};
use harness::{
    kernel::{KernelImage, Run},
    measured::{self, Measured, RULES},
    subject::{Answer, Subject as _},
};
use serde_json::{Value, json};

/// KERNEL: 0 is off, 1 on, 2 on and noisy (Documentation/admin-guide/sysctl/net.rst).
const JIT: &str = "/proc/sys/net/core/bpf_jit_enable";
const RELEASE: &str = "/proc/sys/kernel/osrelease";
/// Runs in a row that the kernel takes the mean of.
const REPEAT: u32 = 20_000;
/// How often; the kinds of runs take turns, so that all see the same machine.
const ROUNDS: usize = 21;

fn main() -> Result<()> {
    let read = |path: &str| -> Result<String> {
        Ok(fs::read_to_string(path).with_context(|| format!("no `{path}`"))?.trim().to_owned())
    };
    println!(
        "{}",
        json!({
            "kernel": read(RELEASE)?,
            "bpf_jit_enable": read(JIT)?,
            "repeat": REPEAT,
            "rounds": ROUNDS,
            "unit": "ns",
        })
    );
    let mut kernel = match KernelImage::try_load() {
        Ok(kernel) => kernel,
        Err(error) => {
            println!("{}", json!({ "not_run_here": format!("{error:#}") }));
            return Ok(());
        }
    };
    for rules in RULES {
        let prepared = measured::policy(rules)?;
        kernel.install(&prepared)?;
        for measured in measured::acts() {
            let answer = kernel.judge(&prepared, &measured.act, measured.facts)?;
            let Ok(Answer::Verdict(verdict)) = answer else {
                anyhow::bail!("{}: {answer:?} is no verdict", measured.name);
            };
            let mut line = measured.describe(rules, &prepared, verdict)?;
            time(&mut kernel, &measured, &mut line)?;
            println!("{line}");
        }
    }
    Ok(())
}

/// Adds the times to an act's line.
fn time(kernel: &mut KernelImage, measured: &Measured, line: &mut Value) -> Result<()> {
    let (act, facts) = (&measured.act, measured.facts);
    let mut runs = vec![("nothing", Run::Nothing, Vec::new()), ("judge", Run::Judge, Vec::new())];
    if kernel.allowed_at_once(act, facts)? {
        runs.push(("at_once", Run::AtOnce, Vec::new()));
    }
    for _ in 0..ROUNDS {
        for (_, run, times) in &mut runs {
            times.push(kernel.time(act, facts, *run, REPEAT)?.as_nanos());
        }
    }
    for (name, _, mut times) in runs {
        times.sort_unstable();
        let at = |index: usize| times.get(index).copied().and_then(|time| u64::try_from(time).ok());
        line[name] =
            json!({ "median": at(ROUNDS / 2), "lowest": at(0), "highest": at(ROUNDS - 1) });
    }
    Ok(())
}
