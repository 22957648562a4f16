//! What leaves the machine: the audit trail's records in the formats of others, its signed heads, and metrics. Runs as a
//! user that owns nothing. Must not write to the trail, nor keep the daemon waiting.
#![forbid(unsafe_code)]

pub mod counts;
pub mod cursor;
pub mod deliver;
pub mod format;
pub mod http;
pub mod metrics;
pub mod options;
pub mod publish;
pub mod run;
pub mod settings;
pub mod sink;
