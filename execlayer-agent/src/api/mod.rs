//! The third role of this executable, `execlayerd api`: the evaluation API, in a process of its own without privileges.
//! Owns what is judged, recorded and asked about; how it is said on sockets is `execlayer_http`'s.

pub mod backend;
mod bounds;
pub mod judge;
pub mod link;
mod metrics;
pub mod options;
pub mod policies;
pub mod run;
mod trail;

use std::process::ExitCode;

use self::{options::Options, run::run};
use crate::role;

/// If this process was started to serve the API, does so.
pub fn run_role() -> Option<ExitCode> {
    role::run::<Options, _>("api", |options| options.verbose, run, |error| error.is_usage())
}
