//! What the tool's `locked.rs`, which is read here, says its errors with.

/// Why something failed.
#[derive(Debug)]
pub(crate) struct CliError(pub(crate) String);

impl CliError {
    /// It failed, and this is why.
    pub(crate) fn failure(why: String) -> Self {
        Self(why)
    }
}
