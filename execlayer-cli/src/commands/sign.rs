//! `sign`: what others signed, signed by another key. Must not sign what it could not verify.

use std::path::PathBuf;

use execlayer_bundle::{
    Kind, TrustedKeys, UnsignedBundle, kind, limits::MAX_BUNDLE_BYTES, root, sign, signed_by,
    verify,
};

use crate::{
    error::{CliError, Exit},
    files, keys,
    output::Screen,
};

/// Signs what others signed, once their signature is verified
///
/// With `--add` beside theirs, for policies, roots and orders that need several signatures. Without it instead
/// of theirs, for the step from one trust to the next: a policy's author signs with a key of theirs, and
/// a release key signs what was reviewed. `execlayer compile --key` signs a policy in the first place.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  execlayer sign tested.bundle --trust author.pub --key release.key --output release.bundle
  execlayer sign root.json --add --key security.key --output root.json"
)]
pub(crate) struct Args {
    /// File that others signed
    #[arg(value_name = "FILE")]
    bundle: PathBuf,
    /// Sign beside the others
    #[arg(long)]
    add: bool,
    /// File of the private key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// File of what is newly signed
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Public key, or folder of such, that must have signed it [default: the keys this machine
    /// trusts, and for a root its own]
    #[arg(long, value_name = "PATH")]
    trust: Vec<PathBuf>,
}

pub(crate) fn run(args: &Args, screen: &Screen) -> Result<Exit, CliError> {
    let bytes = files::read_or_fail(&args.bundle, MAX_BUNDLE_BYTES)?;
    let shown = args.bundle.display();
    let refused = |error| CliError::failure(format!("`{shown}` is refused: {error}"));
    let key = keys::read_private(&args.key)?;
    let signed = if args.add {
        let trusted = match kind(&bytes).map_err(refused)? {
            Kind::Root if args.trust.is_empty() => {
                TrustedKeys::named_by(&root::unverified(&bytes).map_err(refused)?)
                    .map_err(refused)?
            }
            _ => keys::trusted(&args.trust)?,
        };
        if signed_by(&bytes, &trusted).map_err(refused)?.is_empty() {
            return Err(CliError::failure(format!("no trusted key signed `{shown}`"))
                .help("name the key that did with `--trust`"));
        }
        sign::add(&bytes, &key).map_err(refused)?
    } else {
        let trusted = keys::trusted(&args.trust)?;
        let verified = verify(&bytes, &trusted).map_err(refused)?;
        let terms = verified.terms().clone();
        let (image, provenance, _) = verified.into_parts();
        let bundle = UnsignedBundle::new(image, provenance)
            .and_then(|bundle| bundle.under(terms))
            .map_err(refused)?;
        keys::sign(&bundle, &key)?
    };
    files::write_whole(&args.output, signed.bytes(), 0o644)?;
    screen.note(&format!("wrote `{}`, signed with key {}", args.output.display(), key.id()));
    Ok(Exit::Done)
}
