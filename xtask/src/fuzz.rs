//! `cargo xtask fuzz`: the targets of `fuzz/` under libFuzzer, one after another, each for a while.
//!
//! Builds with the flags that cargo-fuzz gives the compiler, but without cargo-fuzz, which takes minutes to build, and
//! without AddressSanitizer, which takes a nightly compiler: what is tried forbids unsafe code, but for the daemon's
//! door to the kernel, which no target goes through. Folders and programs are where cargo-fuzz looks for them, so
//! that `cargo fuzz run envelope` works beside this.

use crate::{paths, setup, shell};
use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const TRIPLE: &str = "x86_64-unknown-linux-gnu";
const FLAGS: &[&str] = &[
    "--cfg",
    "fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
];
/// What one input may take, and how long it may be.
const LIMITS: &[&str] = &["-rss_limit_mb=512", "-timeout=10", "-max_len=16384"];

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only this target; may be given more than once
    #[arg(long = "target", value_name = "NAME")]
    targets: Vec<String>,
    /// How long each target runs
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u32,
}

impl Default for Arguments {
    fn default() -> Self {
        Self { targets: Vec::new(), seconds: 60 }
    }
}

pub(crate) fn verb(arguments: &Arguments) -> Result<()> {
    let folder = paths::workspace().join("fuzz");
    let all = targets(&folder)?;
    if let Some(unknown) = arguments.targets.iter().find(|name| !all.contains(name)) {
        bail!("there is no target `{unknown}`; there are: {}", all.join(", "));
    }
    setup::fuzzer()?;
    let programs = shell::step("building the targets", || build(&folder))?;
    for name in all {
        if arguments.targets.is_empty() || arguments.targets.contains(&name) {
            let what = format!("target `{name}` for {} s", arguments.seconds);
            shell::step(&what, || run(&folder, &programs, &name, arguments.seconds))?;
        }
    }
    Ok(())
}

fn targets(folder: &Path) -> Result<Vec<String>> {
    let files = folder.join("fuzz_targets");
    let mut names = Vec::new();
    for entry in fs::read_dir(&files).with_context(|| format!("no `{}`", files.display()))? {
        let path = entry?.path();
        names.extend(path.file_stem().and_then(OsStr::to_str).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// The folder of the programs.
fn build(folder: &Path) -> Result<PathBuf> {
    let target = paths::target().join("fuzz");
    shell::progress(
        Command::new("cargo")
            .current_dir(folder)
            .args(["build", "--quiet", "--locked", "--release", "--bins", "--target", TRIPLE])
            .env("CARGO_TARGET_DIR", &target)
            .env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\x1f")),
    )?;
    Ok(target.join(TRIPLE).join("release"))
}

fn run(folder: &Path, programs: &Path, name: &str, seconds: u32) -> Result<()> {
    let made = |kind: &str| -> Result<PathBuf> {
        let made = folder.join(kind).join(name);
        fs::create_dir_all(&made).with_context(|| format!("cannot make `{}`", made.display()))?;
        Ok(made)
    };
    // The program writes its seeds there.
    let (corpus, artifacts) = (made("corpus")?, made("artifacts")?);
    let program = programs.join(name);
    let found = shell::progress(
        Command::new(&program)
            .args(LIMITS)
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-artifact_prefix={}/", artifacts.display()))
            .arg("-print_final_stats=1")
            .arg(&corpus),
    );
    found.with_context(|| {
        format!(
            "what it was found with is in `{}`; `{} FILE` tries it again, and a copy in `fuzz/found/{name}` has every \
             test run try it",
            artifacts.display(),
            program.display()
        )
    })
}
