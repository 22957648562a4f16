//! Policy text to kernel image, in three stages, each with a type that only it can make:
//! parse (text to `Policy`), check ([`CheckedPolicy`]), lower (image and provenance). Beside them
//! the reference evaluator over the checked policy. Pure: no I/O, no async; files come in through
//! `source::Sources`. Never linked into the daemon.
#![forbid(unsafe_code)]

pub mod checked;
pub mod pattern;

pub use checked::CheckedPolicy;
