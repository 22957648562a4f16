//! The control protocol between the operator's tool and the daemon: what can be said, how it is
//! written, and where the two meet. Pure: must not open, connect or wait for anything.
//!
//! Transport: a unix stream socket ([`places`]), one JSON object a line ([`line`]), each request
//! answered by one response, in order. Every line carries the protocol's version.
#![forbid(unsafe_code)]

pub mod holding;
pub mod line;
pub mod link;
pub mod places;
pub mod remedy;
pub mod request;
pub mod response;
pub mod status;
pub mod text;
pub mod time;

pub use holding::{
    About, Advice, Answered, Denial, Grant, MAX_GRANT, Question, Remember, Revoked, Whose,
};
pub use line::{decode_request, decode_response, encode_request, encode_response};
pub use request::{Request, ScopeId};
pub use response::{
    DeniedRow, DeniedVerdict, ErrorCode, Failure, Hello, Installed, Ordered, Outcome, Response,
    RootInForce, Scope, Summary,
};
pub use status::{Audit, Canary, Mode, Profile, Program, State, Status};

/// Version of the protocol. Both sides refuse any other by name.
pub const VERSION: u32 = 1;
