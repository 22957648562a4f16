//! Metrics in the OpenMetrics text format: what the records say, what the daemon says of itself, and how the sinks are.
//! Must not be reachable from other machines, nor grow without bound.

mod collect;
mod serve;
mod status;
mod tally;

pub use serve::{Place, PlaceError, Server, Shown, serve};
pub use tally::Watch;
