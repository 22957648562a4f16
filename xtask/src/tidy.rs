//! `cargo xtask tidy`: stub.
#[derive(Default, clap::Args)]
pub(crate) struct Arguments {}
pub(crate) fn verb(_: &Arguments) -> anyhow::Result<()> { Ok(()) }
