//! Record: what was observed, with names put to its numbers, as one JSON object a line, and kept so
//! that nothing vanishes unseen. Must not decide or aggregate anything.

pub mod event;
pub mod line;
pub mod place;
pub mod redact;
pub mod repeats;
pub mod time;
pub mod trail;

pub use trail::Trail;
