//! Judges calls of tools by a compiled policy, in the process that asks: no system call, no allocation, no lock.
//! The decision is the kernel's own ([`execlayer_common::decide`]); what is here is where it gets its subject,
//! context and budgets. Must not parse policy text, verify signatures or do I/O.
//!
//! A [`PolicyBundle`] is an image and what its rules' numbers stand for. [`Live`] is the one in force, which can be
//! replaced while others judge by it. Policies are compiled by `execlayer-policy`, which also has the example.
#![forbid(unsafe_code)]

mod budgets;
mod bundle;
mod live;
#[cfg(loom)]
mod model;
mod names;
mod shortcuts;
mod world;

pub use execlayer_common::{
    call::{Name, NameError, Number, Request, RequestError, Value},
    image::ImageError,
    reason::Reason,
    verdict::{RuleIndex, Verdict},
};

pub use self::{
    bundle::{BundleError, PolicyBundle},
    live::Live,
};
