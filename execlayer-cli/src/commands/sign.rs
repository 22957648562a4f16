//! `sign`: a verified bundle, signed by another key. Must not sign what it could not verify.

use std::path::PathBuf;

use execlayer_bundle::{UnsignedBundle, limits::MAX_BUNDLE_BYTES, verify};

use crate::{
    error::{CliError, Exit},
    files, keys,
    output::Screen,
};

/// Signs a bundle with another key, once its own signature is verified
///
/// For the step from one trust to the next: a policy's author signs with a key of theirs, and a
/// release key signs what was reviewed. `execlayer compile --key` signs a policy in the first place.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Example:
  execlayer sign tested.bundle --trust author.pub --key release.key --output release.bundle"
)]
pub(crate) struct Args {
    /// File of the bundle
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// File of the private key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// File of the newly signed bundle
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Public key, or folder of such, that must have signed it [default: the keys this machine trusts]
    #[arg(long, value_name = "PATH")]
    trust: Vec<PathBuf>,
}

pub(crate) fn run(args: &Args, screen: &Screen) -> Result<Exit, CliError> {
    let bytes = files::read_or_fail(&args.bundle, MAX_BUNDLE_BYTES)?;
    let trusted = keys::trusted(&args.trust)?;
    let shown = args.bundle.display();
    let refused = |error| CliError::failure(format!("`{shown}` is refused: {error}"));
    let (image, provenance, _) = verify(&bytes, &trusted).map_err(refused)?.into_parts();
    let bundle = UnsignedBundle::new(image, provenance).map_err(refused)?;
    let key = keys::read_private(&args.key)?;
    let signed = keys::sign(&bundle, &key)?;
    files::write_whole(&args.output, signed.bytes(), 0o644)?;
    screen.note(&format!("wrote `{}`, signed with key {}", args.output.display(), key.id()));
    Ok(Exit::Done)
}
