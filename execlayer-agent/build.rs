//! Hands the kernel object to the compiler: what `EXECLAYER_BPF_OBJECT` names, or what
//! `cargo xtask build` left in the target folder. Without either the daemon is built all the same,
//! for host-side tests, and refuses to start. Builds nothing itself.

use std::{env, fs, path::PathBuf, process::ExitCode};

const VARIABLE: &str = "EXECLAYER_BPF_OBJECT";

fn main() -> ExitCode {
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    println!("cargo::rerun-if-changed=build.rs");
    let Some(out) = env::var_os("OUT_DIR").map(|folder| PathBuf::from(folder).join("gate.o"))
    else {
        println!("cargo::error=cargo did not set OUT_DIR");
        return ExitCode::FAILURE;
    };
    let named = env::var_os(VARIABLE).map(PathBuf::from);
    let built = env::var_os("CARGO_MANIFEST_DIR")
        .map(|folder| PathBuf::from(folder).join("../target/bpf/gate.o"));
    if named.is_none()
        && let Some(folder) = built.as_deref().and_then(|file| file.parent())
    {
        // The folder too: the file may come into being later.
        println!("cargo::rerun-if-changed={}", folder.display());
    }
    let object = named.or_else(|| built.filter(|file| file.is_file()));
    let bytes = match &object {
        None => Vec::new(),
        Some(file) => {
            println!("cargo::rerun-if-changed={}", file.display());
            match fs::read(file) {
                Ok(bytes) => bytes,
                Err(error) => {
                    println!("cargo::error=cannot read `{}`: {error}", file.display());
                    return ExitCode::FAILURE;
                }
            }
        }
    };
    if let Err(error) = fs::write(&out, bytes) {
        println!("cargo::error=cannot write `{}`: {error}", out.display());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
