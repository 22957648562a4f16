//! One file per subject of judgement; each gathers facts and hands them to the gate.

pub mod exec;
pub mod file;
pub mod guard;
pub mod inet;
pub mod task;
pub mod unix;
