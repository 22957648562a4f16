//! One file per subject of judgement; each gathers facts and hands them to the gate.

pub mod change;
pub mod code;
pub mod device;
pub mod exec;
pub mod file;
pub mod guard;
pub mod inet;
pub mod inode;
pub mod leave;
pub mod socket;
pub mod task;
pub mod unix;
