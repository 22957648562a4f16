//! `root`: who may sign what, from a draft to a signed file. Must not decide it: a person writes the draft.

use std::path::{Path, PathBuf};

use execlayer_bundle::{
    limits::MAX_ROOT_BYTES,
    root::{self, ANY, FORMAT, Quorum, Role, Root},
    sign::sign_root,
};

use crate::{
    error::{CliError, Exit},
    files, keys,
    output::Screen,
};

/// Makes the root, which says who may sign what, and how many of them it takes
///
/// A root is written as a draft in JSON, signed by as many of its root keys as it asks for, and put in
/// force with `execlayer install`, or as /etc/execlayer/root.json where a device is set up. From then on
/// only the next version replaces it, signed by enough of the old keys and of the new ones.
#[derive(Debug, clap::Subcommand)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  execlayer root draft release.pub security.pub platform.pub > root.draft
  execlayer root sign root.draft --key release.key --output root.json
  execlayer sign root.json --add --key security.key --output root.json"
)]
pub(crate) enum Command {
    Draft(DraftArgs),
    Next(NextArgs),
    Sign(SignArgs),
}

/// Prints a first root of these keys, as a draft to be edited
///
/// Each key may replace the root and sign every policy, more than half of them together. Edit who may do
/// what: `roles` name a policy and an agent, or `*` for all.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Example:
  execlayer root draft release.pub security.pub > root.draft"
)]
pub(crate) struct DraftArgs {
    /// Files of public keys
    #[arg(value_name = "KEY", required = true)]
    keys: Vec<PathBuf>,
}

/// Prints the root that follows a signed one, as a draft to be edited
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  execlayer root next root.json > root-2.draft
  execlayer root next root.json --add release-2.pub --remove 0f12 > root-2.draft"
)]
pub(crate) struct NextArgs {
    /// File of the signed root
    #[arg(value_name = "ROOT")]
    root: PathBuf,
    /// Public key that takes the place of the one that `--remove` names, or is added to the keys, to be given
    /// something to do
    #[arg(long, value_name = "KEY")]
    add: Option<PathBuf>,
    /// Key that may do nothing any more: its id, or the beginning of it
    #[arg(long, value_name = "ID")]
    remove: Option<String>,
}

/// Signs a draft
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Example:
  execlayer root sign root.draft --key release.key --output root.json"
)]
pub(crate) struct SignArgs {
    /// File of the draft
    #[arg(value_name = "DRAFT")]
    draft: PathBuf,
    /// File of the private key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// File of the signed root
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

pub(crate) fn run(command: &Command, screen: &Screen) -> Result<Exit, CliError> {
    match command {
        Command::Draft(args) => draft(args, screen),
        Command::Next(args) => next(args, screen),
        Command::Sign(args) => sign(args, screen),
    }
}

fn draft(args: &DraftArgs, screen: &Screen) -> Result<Exit, CliError> {
    let keys: Vec<_> =
        args.keys.iter().map(|path| keys::read_public(path)).collect::<Result<_, _>>()?;
    let ids: Vec<String> = keys.iter().map(|key| key.id().to_string()).collect();
    let threshold = u32::try_from(ids.len() / 2 + 1).unwrap_or(u32::MAX);
    let any = || ANY.to_owned();
    let draft = Root {
        format: FORMAT,
        version: 1,
        issued: None,
        keys: keys.iter().map(|key| key.to_text().trim_end().to_owned()).collect(),
        root: Quorum { keys: ids.clone(), threshold },
        roles: vec![Role { policy: any(), agent: any(), keys: ids, threshold }],
        local: false,
    };
    screen.print_json(&draft)?;
    Ok(Exit::Done)
}

fn next(args: &NextArgs, screen: &Screen) -> Result<Exit, CliError> {
    let bytes = files::read_or_fail(&args.root, MAX_ROOT_BYTES)?;
    let refused =
        |why: String| CliError::failure(format!("`{}` is refused: {why}", args.root.display()));
    let current = root::verify(&bytes, None).map_err(|error| refused(error.to_string()))?;
    let mut root = current.root().clone();
    root.version = root.version.saturating_add(1);
    root.issued = None;
    let added = args.add.as_deref().map(keys::read_public).transpose()?;
    let removed = args.remove.as_deref().map(|id| the_one(&root, id)).transpose()?;
    let new = added.as_ref().map(|key| key.id().to_string());
    if let Some(removed) = &removed {
        root.keys.retain(|line| keys::id_of_line(line).as_ref() != Some(removed));
        let lists = root.roles.iter_mut().map(|role| &mut role.keys);
        for list in lists.chain([&mut root.root.keys]) {
            match (list.iter().position(|id| id == removed), &new) {
                (Some(at), Some(new)) if !list.contains(new) => {
                    list.splice(at..=at, [new.clone()]);
                }
                (Some(at), _) => drop(list.remove(at)),
                (None, _) => {}
            }
        }
    }
    if let Some(key) = &added {
        root.keys.push(key.to_text().trim_end().to_owned());
    }
    screen.print_json(&root)?;
    Ok(Exit::Done)
}

/// The key of the root whose id begins so.
fn the_one(root: &Root, beginning: &str) -> Result<String, CliError> {
    let ids = root.keys.iter().filter_map(|line| keys::id_of_line(line));
    let mut found: Vec<String> = ids.filter(|id| id.starts_with(beginning)).collect();
    match (found.len(), found.pop()) {
        (1, Some(id)) => Ok(id),
        (0, _) => Err(CliError::failure(format!("the root has no key `{beginning}`"))),
        (count, _) => {
            Err(CliError::failure(format!("{count} keys of the root begin with `{beginning}`")))
        }
    }
}

fn sign(args: &SignArgs, screen: &Screen) -> Result<Exit, CliError> {
    let root = read_draft(&args.draft)?;
    let key = keys::read_private(&args.key)?;
    let signed = sign_root(&root, &key)
        .map_err(|error| CliError::failure(format!("`{}`: {error}", args.draft.display())))?;
    files::write_whole(&args.output, signed.bytes(), 0o644)?;
    screen.note(&format!("wrote `{}`, signed with key {}", args.output.display(), key.id()));
    let missing = root.root.threshold.saturating_sub(1);
    if missing > 0 {
        screen.note(&format!(
            "{missing} more of its root keys must sign it: `execlayer sign {} --add`",
            args.output.display()
        ));
    }
    Ok(Exit::Done)
}

fn read_draft(path: &Path) -> Result<Root, CliError> {
    let bytes = files::read_or_fail(path, MAX_ROOT_BYTES)?;
    serde_json::from_slice(&bytes)
        .map_err(|error| CliError::failure(format!("`{}` is no draft: {error}", path.display())))
}
