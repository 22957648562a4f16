//! What both sides of the kernel boundary need, and nothing else: the shared ABI, every limit, the
//! automaton's table format and the decision. `no_std`; does no I/O and allocates nothing.
//!
//! Entry rule: if only one side needs it, it does not belong here. The one exception is
//! [`provenance`], which crosses the boundary between the author's tools and the daemon.
#![no_std]
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

pub mod access;
pub mod adoption;
pub mod automaton;
pub mod call;
pub mod context;
pub mod decide;
pub mod event;
pub mod feature;
pub mod fields;
pub mod hooks;
pub mod image;
pub mod label;
pub mod limits;
#[cfg(feature = "provenance")]
pub mod provenance;
pub mod question;
pub mod reason;
pub mod slot;
pub mod subject;
pub mod verdict;
