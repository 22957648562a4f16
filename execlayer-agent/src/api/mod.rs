//! The third role of this executable, `execlayerd api`: the evaluation API, in a process of its own without privileges.
//! Owns what is judged, recorded and asked about; how it is said on sockets is `execlayer_http`'s.

pub mod judge;
pub mod link;
pub mod policies;
