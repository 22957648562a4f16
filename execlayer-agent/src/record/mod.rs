//! Record: what was observed, with names put to its numbers, as one JSON object a line. Must not
//! decide or aggregate anything.

pub mod line;
pub mod log;
pub mod time;

pub use log::Log;
