//! What `decide` costs in user space, by criterion. Before each act's times a line of JSON says what is
//! timed: `cargo xtask bench` joins both by their names. Asserts no time.

use std::{hint::black_box, time::Duration};

use anyhow::Result;
use criterion::{BenchmarkId, Criterion};
use harness::{
    measured::{self, RULES},
    subject::Subject as _,
    user::UserImage,
};

/// Criterion's group for whole judgements.
const JUDGE: &str = "judge";
/// Its group for what the masks alone allow.
const AT_ONCE: &str = "at once";

fn main() -> Result<()> {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .nresamples(20_000)
        .configure_from_args();
    let acts = measured::acts();
    for rules in RULES {
        let prepared = measured::policy(rules)?;
        let mut image = UserImage::default();
        image.install(&prepared)?;
        for measured in &acts {
            let (act, facts) = (&measured.act, measured.facts);
            let id = || BenchmarkId::new(&measured.name, rules);
            println!("{}", measured.describe(rules, &prepared, image.verdict(act, facts))?);
            criterion.benchmark_group(JUDGE).bench_function(id(), |bencher| {
                bencher.iter(|| image.verdict(black_box(act), black_box(facts)));
            });
            if image.allowed_at_once(act, facts) {
                criterion.benchmark_group(AT_ONCE).bench_function(id(), |bencher| {
                    bencher.iter(|| image.allowed_at_once(black_box(act), black_box(facts)));
                });
            }
        }
    }
    criterion.final_summary();
    Ok(())
}
