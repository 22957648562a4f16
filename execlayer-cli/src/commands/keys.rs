//! `keys`: new ones, and those that are trusted. Must not delete or replace one.

use std::path::PathBuf;

use crate::{
    error::{CliError, Exit},
    files, keys,
    output::{Screen, Table},
};

/// Makes and lists signing keys
#[derive(Debug, clap::Subcommand)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  execlayer keys new release
  sudo execlayer keys list"
)]
pub(crate) enum Command {
    New(NewArgs),
    List(ListArgs),
}

/// Makes a key: NAME.key signs, NAME.pub is what daemons trust
///
/// The private key's file is readable for its owner only. To have a daemon accept what the key signs,
/// put NAME.pub into /etc/execlayer/keys.d on its machine.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Example:
  execlayer keys new release --comment 'releases of the platform team'
  sudo install -m 0644 release.pub /etc/execlayer/keys.d/"
)]
pub(crate) struct NewArgs {
    /// Path of the two files, without their endings
    #[arg(value_name = "NAME")]
    name: PathBuf,
    /// Text that helps people to know the key
    #[arg(long, default_value = "", hide_default_value = true)]
    comment: String,
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
    for (path, text, mode) in
        [(&private, key.to_secret_text(), 0o600), (&public, key.public().to_text().into(), 0o644)]
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
