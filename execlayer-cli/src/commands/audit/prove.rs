//! `audit prove` and `audit check-proof`: one record, shown to be in a log without the log. Must not show more of it.

use std::path::PathBuf;

use execlayer_audit::{Checkpoint, Proof, prove};

use super::Place;
use crate::{
    error::{CliError, Exit},
    files,
    output::Screen,
    trail::{self, Log},
};

/// Proves that a record is in the log
///
/// The proof is one file in the format c2sp.org/tlog-proof: the record, the hashes beside its way up the tree, and the
/// signed head. It holds nothing of any other record.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Example:
  sudo execlayer audit prove 4711 --output 4711.tlog-proof
  execlayer audit check-proof 4711.tlog-proof --key log.pub"
)]
pub(crate) struct Args {
    /// Number of the record
    #[arg(value_name = "SEQ")]
    seq: u64,
    #[command(flatten)]
    place: Place,
    /// File of the proof [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Checks a proof, and prints the record that it proves
///
/// Needs the device's public key and nothing else.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Example:
  execlayer audit check-proof 4711.tlog-proof --key log.pub | jq ."
)]
pub(crate) struct CheckArgs {
    /// File of the proof
    #[arg(value_name = "PROOF")]
    proof: PathBuf,
    /// File of the device's public key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

pub(crate) fn run(args: &Args, screen: &Screen) -> Result<Exit, CliError> {
    let log = Log::at(&args.place.folder)?;
    let key = log.own_key()?;
    let heads = log.heads()?;
    let Some((name, checkpoint)) = heads.into_iter().next() else {
        return Err(CliError::failure("the log has no checkpoint"));
    };
    let head = Checkpoint::open(&checkpoint, &key).map_err(|error| {
        CliError::new(Exit::Tampered, format!("`{name}` does not count: {error}"))
    })?;
    if args.seq >= head.size {
        return Err(CliError::failure(format!(
            "no checkpoint covers record {} yet: the newest one ends before {}",
            args.seq, head.size
        ))
        .help("the daemon signs one every few seconds (--audit-checkpoint)"));
    }
    let record = log.record(args.seq)?;
    let hashes = prove(args.seq, head.size, |tile| {
        log.tile(tile).map_err(|error| {
            CliError::failure(format!("the tile `{}` cannot be used: {error}", tile.path()))
                .help("the daemon computes tiles again when it starts")
        })
    })?;
    let proof = Proof { index: args.seq, hashes, checkpoint, record: Some(record.clone()) };
    proof.verify(&record, &key).map_err(|error| {
        CliError::new(Exit::Tampered, error.to_string()).help("sudo execlayer audit verify")
    })?;
    match &args.output {
        Some(path) => files::write_whole(path, proof.to_text().as_bytes(), 0o644)?,
        None => screen.print(&proof.to_text())?,
    }
    Ok(Exit::Done)
}

pub(crate) fn check(args: &CheckArgs, screen: &Screen) -> Result<Exit, CliError> {
    let key = trail::read_key(&args.key)?;
    let wrong = |error: String| CliError::new(Exit::Tampered, error);
    let proof =
        Proof::parse(&trail::read_text(&args.proof)?).map_err(|error| wrong(error.to_string()))?;
    let Some(record) = &proof.record else {
        return Err(wrong("the proof does not hold the record".to_owned()));
    };
    let head = proof.verify(record, &key).map_err(|error| wrong(error.to_string()))?;
    let origin = crate::output::printable(&head.origin);
    screen.note(&format!("record {} of the {} in `{origin}`", proof.index, head.size));
    screen.print_bytes(record)?;
    screen.print_bytes(b"\n")?;
    Ok(Exit::Done)
}
