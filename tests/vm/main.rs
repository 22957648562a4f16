//! The guest tests, and the init that boots their guest. `cargo xtask vm` runs it.
//!
//! To add tests: write `tests/vm/NAME.rs` with functions `fn claim() -> Result<()>`, list them in
//! it with [`tests!`], add `mod NAME;` and `NAME::TESTS` below. A test's name is `NAME::claim`.
//!
//! Each test runs as root in a process and a cgroup of its own. When it ends, whatever it left
//! running is killed and whatever it pinned in `/sys/fs/bpf` is removed. It fails with an error
//! (use `anyhow::ensure!`), a panic, a signal or at its time limit; what it printed is then shown.
//! Asserting before, during and after the act that is judged is the rule. `/opt/execlayer` holds
//! `bin/execlayerd`, `bin/execlayer`, `policies/` and `corpus/`; user `agent` has uid 1000.
//! Counts that differ between the tiers ask [`framework::full`].

mod framework;
mod platform;

use framework::Test;
use std::process::ExitCode;

/// Every module's tests.
const ALL: &[&[Test]] = &[platform::TESTS];

fn main() -> ExitCode {
    framework::main(ALL)
}
