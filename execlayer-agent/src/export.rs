//! The other role of this executable, `execlayerd export`: what leaves the machine, in a process of its own without
//! privileges. Must not know what that is.

use std::process::ExitCode;

use execlayer_export::{options::Options, run::run};

use crate::role;

/// If this process was started to export, does so.
pub fn run_role() -> Option<ExitCode> {
    role::run::<Options, _>(
        "export",
        |options| options.verbose,
        |options| run(&options),
        |error| error.is_usage(),
    )
}
