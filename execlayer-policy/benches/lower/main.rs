//! What lowering costs and what it comes to: time for 10, 1,000 and 10,000 rules, size of the image,
//! and how many bytes of typical subjects are read. Asserts no time.

mod policies;
mod walks;

use std::{hint::black_box, time::Duration};

use criterion::Criterion;
use execlayer_policy::{CheckedPolicy, Lowered, lower};

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    for rules in [10, 1_000, 10_000] {
        let policy = policies::realistic(rules);
        print(&format!("{rules} rules"), &policy);
        criterion.bench_function(&format!("lower/{rules}"), |bencher| {
            bencher.iter(|| lower(black_box(&policy)));
        });
    }
    let agent = policies::shipped("coding-agent");
    print("coding-agent", &agent);
    criterion.bench_function("lower/coding-agent", |bencher| {
        bencher.iter(|| lower(black_box(&agent)));
    });
    criterion.final_summary();
}

fn print(name: &str, policy: &CheckedPolicy) {
    let started = std::time::Instant::now();
    match lower(policy) {
        Ok(Lowered { image, report, .. }) => {
            println!("{name}: lowered in {:?}", started.elapsed());
            for line in report.to_string().lines() {
                println!("{name}: {line}");
            }
            walks::print(name, image.words());
        }
        Err(error) => println!("{name}: refused: {error}"),
    }
    println!("{name}: peak memory of this process so far {} KiB", peak());
}

/// KERNEL: VmHWM of proc_pid_status(5), in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
