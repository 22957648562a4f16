//! `keys`: new ones, and those that are trusted. Must not delete or replace one.

use std::path::PathBuf;

use crate::{
    error::{CliError, Exit},
    files, keys, locked,
    output::{Screen, Table},
    passphrase,
};

/// Makes, locks, lists and exports signing keys
#[derive(Debug, clap::Subcommand)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  execlayer keys new release
  sudo execlayer keys list

A key that is lost, stolen or replaced is taken out of the root: `execlayer root next --help`."
)]
pub(crate) enum Command {
    New(NewArgs),
    Passphrase(PassphraseArgs),
    Export(ExportArgs),
    List(ListArgs),
}

/// Makes a key: NAME.key signs, NAME.pub is what daemons trust
///
/// The private key's file is readable for its owner only; with `--passphrase` it is of use only to who knows
/// that, too (PKCS #8 in PEM, as openssl writes it). Where nobody types, EXECLAYER_PASSPHRASE_FILE names a
/// file with it. To have a daemon accept what the key signs,
/// put NAME.pub into /etc/execlayer/keys.d on its machine.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Example:
  execlayer keys new release --comment 'releases of the platform team'
  execlayer keys new release --passphrase
  sudo install -m 0644 release.pub /etc/execlayer/keys.d/"
)]
pub(crate) struct NewArgs {
    /// Path of the two files, without their endings
    #[arg(value_name = "NAME")]
    name: PathBuf,
    /// Text that helps people to know the key
    #[arg(long, default_value = "", hide_default_value = true)]
    comment: String,
    /// Lock it with a passphrase, which is asked for
    #[arg(long)]
    passphrase: bool,
}

/// Sets or changes the passphrase of a private key
///
/// The file is replaced as a whole. An old passphrase is asked for first, then the new one twice. Where nobody
/// types, EXECLAYER_PASSPHRASE_FILE names a file with the old one, EXECLAYER_NEW_PASSPHRASE_FILE with the new one.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Example:
  execlayer keys passphrase release.key"
)]
pub(crate) struct PassphraseArgs {
    /// File of the private key
    #[arg(value_name = "KEY")]
    key: PathBuf,
    /// Leave it without one: only the file's mode protects it then
    #[arg(long)]
    none: bool,
}

/// Prints the public half of a key
///
/// As a line for /etc/execlayer/keys.d, or in PEM (RFC 8410) for other tools.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  execlayer keys export release.key > release.pub
  execlayer keys export release.pub --pem | openssl pkey -pubin -text"
)]
pub(crate) struct ExportArgs {
    /// File of the private key (`.key`) or of the public one
    #[arg(value_name = "KEY")]
    key: PathBuf,
    /// In PEM
    #[arg(long)]
    pem: bool,
}

/// Lists trusted keys
///
/// Those are the keys in /etc/execlayer/keys.d, and this machine's own key with which `execlayer run`
/// signs.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Example:
  sudo execlayer keys list"
)]
pub(crate) struct ListArgs {
    /// File of a public key or folder of such files, instead of the usual places
    #[arg(value_name = "PATH")]
    places: Vec<PathBuf>,
}

pub(crate) fn run(command: &Command, screen: &Screen) -> Result<Exit, CliError> {
    match command {
        Command::New(args) => new(args, screen),
        Command::Passphrase(args) => change_passphrase(args, screen),
        Command::Export(args) => export(args, screen),
        Command::List(args) => list(args, screen),
    }
}

fn new(args: &NewArgs, screen: &Screen) -> Result<Exit, CliError> {
    let ending = |ending: &str| {
        let mut path = args.name.clone().into_os_string();
        path.push(ending);
        PathBuf::from(path)
    };
    let key = keys::make(&args.comment)?;
    let (private, public) = (ending(".key"), ending(".pub"));
    let secret = match args.passphrase {
        true => locked::lock(
            &key,
            &passphrase::new_for(&format!("`{}`", private.display()), passphrase::VARIABLE)?,
        )?,
        false => key.to_secret_text(),
    };
    for (path, text, mode) in
        [(&private, secret, 0o600), (&public, key.public().to_text().into(), 0o644)]
    {
        if !files::write_once(path, text.as_bytes(), mode)? {
            return Err(CliError::failure(format!("`{}` is there already", path.display()))
                .help("choose another name: a key is never overwritten"));
        }
    }
    screen.note(&format!("wrote `{}` and `{}`", private.display(), public.display()));
    screen.print(&key.id().to_string())?;
    Ok(Exit::Done)
}

fn change_passphrase(args: &PassphraseArgs, screen: &Screen) -> Result<Exit, CliError> {
    let key = keys::read_private(&args.key)?;
    let shown = format!("`{}`", args.key.display());
    let text = match args.none {
        true => key.to_secret_text(),
        false => locked::lock(&key, &passphrase::new_for(&shown, passphrase::NEW_VARIABLE)?)?,
    };
    files::write_whole(&args.key, text.as_bytes(), 0o600)?;
    if !args.none && !key.public().comment().is_empty() {
        screen.note("its comment has no place there: it stays in the public key's file");
    }
    screen.note(&format!(
        "{shown} is {}",
        if args.none { "protected by its mode only" } else { "locked" }
    ));
    Ok(Exit::Done)
}

fn export(args: &ExportArgs, screen: &Screen) -> Result<Exit, CliError> {
    let key = keys::read_either(&args.key)?;
    screen.print(&if args.pem { locked::public_pem(&key)? } else { key.to_text() })?;
    Ok(Exit::Done)
}

fn list(args: &ListArgs, screen: &Screen) -> Result<Exit, CliError> {
    let mut table = Table::new(&["key", "file", "comment"]);
    let files = keys::trusted_files(&args.places)?;
    for path in &files {
        let key = keys::read_public(path)?;
        table.row([key.id().to_string(), path.display().to_string(), key.comment().to_owned()]);
    }
    if files.is_empty() {
        screen.note("no key is trusted: `execlayer keys new` makes one");
    } else {
        screen.print(&table.render(screen.on_output))?;
    }
    Ok(Exit::Done)
}
