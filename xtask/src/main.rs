//! The list of verbs. What a verb does lives in its own file; nothing is done here.

mod arch;
mod bench;
mod build;
mod ci;
mod demo;
mod dist;
mod fuzz;
mod paths;
mod setup;
mod shell;
mod test;
mod tidy;
mod vm;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Set-up, builds, guests and checks of ExecLayer")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Install what a build or a test needs: packages, toolchain parts, guest kernels
    Setup(setup::Arguments),
    /// Build the kernel programs, then the daemon and the tool
    Build(build::Arguments),
    /// Set up, build, and run every test on the host and in the guests
    Test(test::Arguments),
    /// Run the guest tests on stock kernels under QEMU
    Vm(vm::Arguments),
    /// Measure what the gate costs
    Bench(bench::Arguments),
    /// Pack a Debian package
    Dist(dist::Arguments),
    /// Show the gate at work: an agent under the shipped policy, and what became of it
    Demo(demo::Arguments),
    /// Try every decoder of foreign bytes with a fuzzer
    Fuzz(fuzz::Arguments),
    /// Check formatting, lints and house rules, then run the tests
    Ci(ci::Arguments),
    /// Check the house rules
    Tidy(tidy::Arguments),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().verb {
        Verb::Setup(arguments) => setup::verb(&arguments),
        Verb::Build(arguments) => build::verb(&arguments),
        Verb::Test(arguments) => test::verb(&arguments),
        Verb::Vm(arguments) => vm::verb(&arguments),
        Verb::Bench(arguments) => bench::verb(&arguments),
        Verb::Dist(arguments) => dist::verb(&arguments),
        Verb::Demo(arguments) => demo::verb(&arguments),
        Verb::Fuzz(arguments) => fuzz::verb(&arguments),
        Verb::Ci(arguments) => ci::verb(&arguments),
        Verb::Tidy(arguments) => tidy::verb(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !error.is::<shell::AlreadyReported>() {
                eprintln!("error: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}
