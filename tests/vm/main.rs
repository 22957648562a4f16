//! The guest tests, and the init that boots their guest. `cargo xtask vm` runs it.
//!
//! To add tests: write `tests/vm/NAME.rs` with functions `fn claim() -> Result<()>`, list them in
//! it with [`tests!`], add `mod NAME;` and `NAME::TESTS` below. A test's name is `NAME::claim`.
//!
//! Each test runs as root in a process and a cgroup of its own. When it ends, whatever it left
//! running is killed. What is pinned in `/sys/fs/bpf` stays for the next test, unless that is `fresh`. It fails with an error
//! (use `anyhow::ensure!`), a panic, a signal or at its time limit; what it printed is then shown.
//! Asserting before, during and after the act that is judged is the rule. `/opt/execlayer` holds
//! `bin/execlayerd`, `bin/execlayer`, `policies/` and `corpus/`; user `agent` has uid 1000.
//! [`gate`] starts the daemon and runs programs under a policy; [`attempts`] are system calls that
//! are made ungoverned, governed and ungoverned again; [`bypass`] has those of ways around the gate. [`cost`] and [`hold::cost`] are no tests:
//! `cargo xtask bench` runs them.
//! Counts that differ between the tiers ask [`framework::full`].

mod adopt;
mod api;
mod attempts;
mod audit;
mod beside;
#[cfg(target_arch = "x86_64")]
mod bypass;
mod components;
mod corpus;
mod cost;
mod foreign;
mod framework;
#[cfg(target_arch = "x86_64")]
mod fuzz;
mod gate;
mod hold;
mod inherit;
mod limits;
mod names;
mod net;
mod platform;
mod power;
mod pressure;
mod raw;
mod reboot;
mod restart;
mod run;
mod selftest;
mod service;
mod signed;
mod smoke;
mod stress;
mod swap;
mod trail;
mod transition;
mod transparent;

use framework::Test;
use std::process::ExitCode;

/// Every module's tests that are run on every architecture.
const ALL: &[&[Test]] = &[
    platform::TESTS,
    smoke::TESTS,
    restart::TESTS,
    run::TESTS,
    selftest::TESTS,
    service::TESTS,
    limits::TESTS,
    reboot::TESTS,
    signed::TESTS,
    power::TESTS,
    api::TESTS,
    audit::TESTS,
    names::TESTS,
    components::TESTS,
    net::TESTS,
    inherit::TESTS,
    adopt::TESTS,
    hold::basic::TESTS,
    hold::deciders::TESTS,
    hold::odd::TESTS,
    hold::own::TESTS,
    hold::remembered::TESTS,
    hold::same::TESTS,
    hold::many::TESTS,
    hold::subjects::crowd::TESTS,
    hold::subjects::chains::TESTS,
    hold::subjects::kin::TESTS,
    hold::subjects::places::TESTS,
    hold::subjects::terminals::TESTS,
    transparent::TESTS,
    beside::TESTS,
    foreign::TESTS,
    pressure::TESTS,
    corpus::TESTS,
    stress::TESTS,
    swap::TESTS,
    transition::TESTS,
];

/// Those that make system calls which arm64 does not have.
#[cfg(target_arch = "x86_64")]
const OF_X86: &[&[Test]] = &[
    bypass::made::TESTS,
    bypass::moved::TESTS,
    bypass::attributes::TESTS,
    bypass::content::TESTS,
    bypass::others::TESTS,
    bypass::leave::TESTS,
    bypass::code::TESTS,
    bypass::send::TESTS,
    bypass::serve::TESTS,
    bypass::family::TESTS,
    bypass::service::TESTS,
    bypass::ring::TESTS,
    bypass::own::TESTS,
    fuzz::TESTS,
];
#[cfg(not(target_arch = "x86_64"))]
const OF_X86: &[&[Test]] = &[];

/// Every module's attempts.
const ATTEMPTS: &[&[attempts::Set]] = &[
    &[("names", names::ATTEMPTS), ("net", net::ATTEMPTS)],
    #[cfg(target_arch = "x86_64")]
    bypass::SETS,
];

fn main() -> ExitCode {
    #[cfg(target_arch = "x86_64")]
    if let Some(code) = fuzz::role() {
        return code;
    }
    if let Some(code) = attempts::role(ATTEMPTS)
        .or_else(stress::role)
        .or_else(foreign::actor::role)
        .or_else(cost::role)
        .or_else(components::role)
        .or_else(hold::many::crowd::role)
        .or_else(hold::cost::role)
    {
        return code;
    }
    framework::main(ALL, OF_X86)
}
