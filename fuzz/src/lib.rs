//! What must hold whatever bytes come: a body for each decoder of foreign bytes, and the inputs to start
//! from. A body calls what the programs call, panics where a claim does not hold, and is bounded by the size of
//! its input. Called by a fuzzer (`fuzz_targets/`, `cargo xtask fuzz`) and by a test of the workspace
//! (`tests/foreign`). Must not know who calls it.

mod answer;
mod cases;
mod control;
mod envelope;
mod error;
mod evaluation;
mod event;
mod image;
mod key;
mod locked;
mod manifest;
mod marks;
mod policy;
mod provenance;
mod root;
mod seeds;
mod signed;
mod trail;

use std::{env, fs, path::Path};

/// One target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, which is that of its program.
    pub name: &'static str,
    /// What must hold. Panics where it does not.
    pub body: fn(&[u8]),
    /// Inputs to start from: the same ones every time.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "answer", body: answer::body, seeds: answer::seeds },
    Target { name: "cases", body: cases::body, seeds: cases::seeds },
    Target { name: "control", body: control::body, seeds: control::seeds },
    Target { name: "envelope", body: envelope::body, seeds: envelope::seeds },
    Target { name: "evaluation", body: evaluation::body, seeds: evaluation::seeds },
    Target { name: "event", body: event::body, seeds: event::seeds },
    Target { name: "image", body: image::body, seeds: image::seeds },
    Target { name: "key", body: key::body, seeds: key::seeds },
    Target { name: "locked", body: locked::body, seeds: locked::seeds },
    Target { name: "manifest", body: manifest::body, seeds: manifest::seeds },
    Target { name: "marks", body: marks::body, seeds: marks::seeds },
    Target { name: "policy", body: policy::body, seeds: policy::seeds },
    Target { name: "provenance", body: provenance::body, seeds: provenance::seeds },
    Target { name: "root", body: root::body, seeds: root::seeds },
    Target { name: "trail", body: trail::body, seeds: trail::seeds },
];

/// The target with that name.
///
/// # Panics
///
/// If there is none.
#[must_use]
pub fn target(name: &str) -> Target {
    let found = TARGETS.iter().find(|target| target.name == name);
    *found.unwrap_or_else(|| panic!("no target `{name}`"))
}

/// Writes the target's seeds into the corpora that the program was started with: folders among its arguments.
///
/// # Panics
///
/// If they cannot be written.
pub fn plant(name: &str) {
    let folders = env::args_os().skip(1).filter(|word| Path::new(word).is_dir());
    let Some(folder) = folders.into_iter().next() else { return };
    for (number, seed) in (target(name).seeds)().iter().enumerate() {
        let file = Path::new(&folder).join(format!("seed-{number:03}"));
        fs::write(&file, seed).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
}

/// The program of a target. Without a fuzzer it runs the body over the files that it is given.
#[macro_export]
macro_rules! target {
    ($name:ident) => {
        #[cfg(fuzzing)]
        ::libfuzzer_sys::fuzz_target!(init: $crate::plant(stringify!($name)), |bytes: &[u8]| {
            ($crate::target(stringify!($name)).body)(bytes);
        });

        #[cfg(not(fuzzing))]
        fn main() {
            for file in std::env::args_os().skip(1) {
                let bytes = std::fs::read(&file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
                ($crate::target(stringify!($name)).body)(&bytes);
            }
        }
    };
}
