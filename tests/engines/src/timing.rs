//! How an evaluation is timed, and what it allocates. Must not know an engine.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use anyhow::Result;
use serde_json::{Value, json};

const SAMPLES: usize = 2_000;
/// Long enough that reading the clock twice is lost in it.
const SAMPLE: Duration = Duration::from_micros(10);

/// Nanoseconds for one evaluation at the median and the 99th percentile, and allocations for one.
pub(crate) fn time(judge: &mut dyn FnMut() -> Result<bool>) -> Result<Value> {
    let batch = batch(judge)?;
    let mut samples = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        let begun = Instant::now();
        for _ in 0..batch {
            black_box(judge()?);
        }
        samples.push(begun.elapsed().as_secs_f64() * 1e9 / batch as f64);
    }
    samples.sort_by(f64::total_cmp);
    let at = |share: f64| samples.get((samples.len() as f64 * share) as usize).copied();
    let allocated = allocation_counter::measure(|| {
        let _ = black_box(judge());
    });
    Ok(json!({
        "p50": at(0.5), "p99": at(0.99), "batch": batch,
        "allocations": allocated.count_total, "bytes": allocated.bytes_total,
    }))
}

/// How many evaluations take at least a sample's time.
fn batch(judge: &mut dyn FnMut() -> Result<bool>) -> Result<u32> {
    let mut batch = 1;
    loop {
        let begun = Instant::now();
        for _ in 0..batch {
            black_box(judge()?);
        }
        if begun.elapsed() >= SAMPLE {
            return Ok(batch);
        }
        batch *= 2;
    }
}
