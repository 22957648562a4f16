//! Policy text to kernel image, in three stages, each with a type that only it can make:
//! parse (text to `Policy`), check ([`CheckedPolicy`]), lower (image and provenance). Beside them
//! the reference evaluator over the checked policy. Pure: no I/O, no async; files come in through
//! [`source::Loader`]. Never linked into the daemon.
#![forbid(unsafe_code)]

pub mod asking;
pub mod author;
pub mod cases;
pub mod check;
pub mod checked;
pub mod diagnostic;
pub mod difference;
pub mod evaluate;
pub mod explain;
pub mod image_world;
pub mod lower;
mod parse;
pub mod pattern;
pub mod source;
mod suggest;
#[cfg(test)]
mod tests;

pub use execlayer_engine as engine;

pub use check::check;
pub use checked::CheckedPolicy;
pub use lower::{Image, LowerError, Lowered, lower};
pub use parse::path_pattern;
