//! The root daemon `execlayerd`: takes verified bundles, puts them in force in the kernel, and
//! writes down what the kernel judged. [`pipeline`] is the flow; [`kernel`] is the one door to the
//! kernel. Never parses policy text and never signs: it does not depend on the crates that could.

pub mod api;
mod attend;
pub mod canary;
pub mod control;
pub mod courier;
pub mod daemon;
pub mod defer;
pub mod denials;
pub mod dropped;
pub mod error;
pub mod export;
pub mod grants;
#[expect(unsafe_code, reason = "the one door to the kernel; every use says why it is sound")]
pub mod kernel;
pub mod manager;
pub mod marks;
pub mod options;
pub mod overlap;
pub mod passages;
pub mod pipeline;
pub mod profiles;
pub mod record;
pub mod resolve;
mod role;
pub mod scopes;
pub mod state;
pub mod store;
pub mod terminal;
pub mod tools;
pub mod trust;
pub mod why;

/// Release of this daemon.
pub const RELEASE: &str = env!("CARGO_PKG_VERSION");
