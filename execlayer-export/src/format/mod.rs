//! A record of the audit trail in the formats of others. Pure: must not read, send or wait.

pub mod cef;
pub mod ecs;
pub mod journal;
pub mod ocsf;
pub mod otlp;
