//! What the task iterator writes, a byte for each task that it changed or could not look at.

/// The task was not governed and is now.
pub const ADOPTED: u8 = b'+';
/// A policy may select the task, and it could not be found out or not be stored.
pub const FAILED: u8 = b'!';
