//! A record of the audit trail in the formats of others. Pure: must not read, send or wait.
//!
//! Whatever a record holds, each of them gives a valid event: a field that is missing, `null` or of another type than
//! docs/formats.md says is left out of the place it has there, and a field that has no place goes where the format keeps
//! what is its sender's own.

use serde_json::{Map, Value};

pub mod cef;
pub mod ecs;
pub mod journal;
pub mod ocsf;
pub mod otlp;
mod reading;
pub mod said;

/// One record of the audit trail (docs/formats.md, "Audit trail (format 2)").
pub type Record = Map<String, Value>;

/// What the formats call this product, and its maker.
const PRODUCT: &str = "ExecLayer";
