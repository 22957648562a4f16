//! What compiling, verifying and comparing cost, and what it comes to: time, memory, size of the image, and how many bytes of
//! typical subjects are read. With `--json`, one line of JSON for each policy of many rules and
//! nothing else. Asserts no time.

mod compile;
mod policies;

use std::{env, hint::black_box, time::Duration};

use anyhow::{Context, Result, anyhow};
use criterion::Criterion;
use execlayer_bundle::{PrivateKey, TrustedKeys, UnsignedBundle, sign, verify};
use execlayer_common::access::Operation;
use execlayer_policy::{
    CheckedPolicy,
    difference::{Side, difference},
    lower,
};
use harness::walks;
use zeroize::Zeroizing;

use policies::Source;

const MANY: [&str; 2] = ["1000", "10000"];
const ALL: [&str; 5] = ["10", "100", "1000", "10000", "coding-agent"];
const SUBJECTS: [&str; 14] = [
    "/usr/lib/x86_64-linux-gnu/libc.so.6",
    "/usr/lib/python3.11/encodings/__init__.py",
    "/usr/share/locale/de/LC_MESSAGES/git.mo",
    "/usr/bin/git",
    "/etc/ld.so.cache",
    "/etc/passwd",
    "/proc/self/status",
    "/dev/null",
    "/workspace/src/main.rs",
    "/workspace/target/debug/deps/libserde-0123456789abcdef.rmeta",
    "/workspace/.git/objects/ab/cdef0123456789",
    "/tmp/cc0a1b2c.s",
    "/home/dev/.ssh/id_ed25519",
    "/srv/app/key.pem",
];

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let Some(at) = arguments.iter().position(|argument| argument == compile::ONE) {
        let name = arguments.get(at + 1).context("which policy?")?;
        println!("{}", compile::here(name)?);
        return Ok(());
    }
    if arguments.iter().any(|argument| argument == "--json") {
        for name in MANY {
            println!("{}", compile::apart(name)?);
        }
        return Ok(());
    }
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    for name in ALL {
        print(name)?;
        let policy = Source::of(name)?.check()?;
        criterion.bench_function(&format!("lower/{name}"), |bencher| {
            bencher.iter(|| lower(black_box(&policy)));
        });
        bundle(&mut criterion, name, &policy)?;
    }
    criterion.final_summary();
    Ok(())
}

/// What the daemon does with the file of a bundle before it asks the kernel, and what `inspect` compares.
fn bundle(criterion: &mut Criterion, name: &str, policy: &CheckedPolicy) -> Result<()> {
    let lowered = lower(policy).map_err(|error| anyhow!("`{name}`: {error}"))?;
    let words = lowered.image.words().to_vec();
    let provenance = lowered.provenance.clone();
    let key = PrivateKey::from_random(Zeroizing::new([7; 32]), "");
    let mut trusted = TrustedKeys::default();
    trusted.add(key.public())?;
    let bundle = sign::sign(&UnsignedBundle::new(words.clone(), lowered.provenance)?, &key)?;
    println!("{name}: bundle of {} bytes", bundle.bytes().len());
    criterion.bench_function(&format!("verify/{name}"), |bencher| {
        bencher.iter(|| verify(black_box(bundle.bytes()), &trusted));
    });
    criterion.bench_function(&format!("difference/{name}"), |bencher| {
        let side = || Side { image: black_box(&words), provenance: &provenance };
        bencher.iter(|| difference(side(), side()));
    });
    Ok(())
}

fn print(name: &str) -> Result<()> {
    let run = compile::apart(name)?;
    println!(
        "{name}: {} rules compiled in {:.3} s, with {} KiB of memory at most",
        run["rules"],
        run["compile_seconds"].as_f64().unwrap_or_default(),
        run["peak_memory_bytes"].as_u64().unwrap_or_default() / 1024
    );
    let policy = Source::of(name)?.check()?;
    let lowered = lower(&policy).map_err(|error| anyhow!("`{name}`: {error}"))?;
    lowered.report.to_string().lines().for_each(|line| println!("{name}: {line}"));
    let (mut bytes, mut read) = (0, 0);
    for subject in SUBJECTS {
        let lanes = walks::read(lowered.image.words(), Operation::File, subject.as_bytes());
        println!("{name}: {subject} ({} bytes): read {lanes:?}", subject.len());
        bytes += subject.len();
        read += lanes.iter().sum::<usize>();
    }
    println!("{name}: read {read} of {bytes} bytes");
    Ok(())
}
