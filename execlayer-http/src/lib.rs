//! The evaluation API over HTTP: sockets, limits, who may ask what, and how it is said. It faces agents and operators,
//! and reaches whoever judges only through [`backend::Backend`]. Must not judge, record or answer anything itself.
#![forbid(unsafe_code)]

mod authzen;
pub mod backend;
mod body;
pub mod caller;
pub mod context;
mod events;
mod openapi;
pub mod problem;
mod routes;
pub mod server;
pub mod tls;
pub mod token;
pub mod types;

pub use openapi::document;
