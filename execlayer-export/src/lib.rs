//! What leaves the machine: the audit trail's records in the formats of others, its signed heads, and metrics. Runs as a
//! user that owns nothing. Must not write to the trail, nor keep the daemon waiting.
#![forbid(unsafe_code)]

pub mod format;
