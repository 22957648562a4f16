//! `verify`: would a daemon that trusts these keys accept the bundle? Must not answer by any other
//! means than the daemon does.

use std::path::PathBuf;

use execlayer_bundle::{limits::MAX_BUNDLE_BYTES, verify};

use crate::{
    error::{CliError, Exit},
    files, keys,
    output::{Screen, printable},
};

/// Verifies a bundle as the daemon does
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Example:
  execlayer verify coding-agent.bundle --trust release.pub"
)]
pub(crate) struct Args {
    /// File of the bundle
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// Public key, or folder of such, that is trusted [default: the keys this machine trusts]
    #[arg(long, value_name = "PATH")]
    trust: Vec<PathBuf>,
}

pub(crate) fn run(args: &Args, screen: &Screen) -> Result<Exit, CliError> {
    let bytes = files::read_or_fail(&args.bundle, MAX_BUNDLE_BYTES)?;
    let trusted = keys::trusted(&args.trust)?;
    let bundle = verify(&bytes, &trusted).map_err(|error| {
        let no_keys = trusted.is_empty().then(|| {
            "no key is trusted here: name one with `--trust`, or try it as root".to_owned()
        });
        CliError::failure(format!("`{}` is refused: {error}", args.bundle.display()))
            .help_if(no_keys)
    })?;
    let provenance = bundle.provenance();
    let signers: Vec<String> = bundle.signers().iter().map(ToString::to_string).collect();
    let (green, reset) = (screen.on_output.green(), screen.on_output.reset());
    screen.print(&format!(
        "{green}ok{reset}: policy `{}` version {} for agent `{}`, digest {}, signed by {}",
        printable(&provenance.policy),
        provenance.version,
        printable(&provenance.agent),
        bundle.digest(),
        signers.join(", ")
    ))?;
    Ok(Exit::Done)
}
