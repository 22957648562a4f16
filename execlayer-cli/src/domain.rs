//! A domain: a policy in force, and a scope whose programs it governs. Owns the way from what was
//! compiled to the open scope; must not know what runs in it.

use std::path::{Path, PathBuf};

use execlayer_api::{Installed, Outcome, Profile, Request, Scope, Summary, places};
use execlayer_bundle::UnsignedBundle;
use execlayer_policy::Lowered;

use crate::{
    daemon::{self, AskError, Places, Start},
    error::{CliError, Exit},
    files, keys,
};

/// How often a daemon may end between two questions.
const TRIES: u32 = 3;

/// A bundle on its way to the daemon, which keeps a copy of its own.
#[derive(Debug)]
pub(crate) struct BundleFile {
    path: PathBuf,
    digest: String,
}

impl Drop for BundleFile {
    fn drop(&mut self) {
        // A leftover harms nobody.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Signs with the local key, and writes the bundle where the daemon can read it. With the agent's name.
pub(crate) fn sign(state_dir: &Path, lowered: Lowered) -> Result<(BundleFile, String), CliError> {
    let agent = lowered.provenance.agent.clone();
    let key = keys::local(state_dir)?;
    let bundle = UnsignedBundle::new(lowered.image.words().to_vec(), lowered.provenance)
        .map_err(|error| CliError::new(Exit::Policy, error.to_string()))?;
    let signed = keys::sign(&bundle, &key)?;
    let folder = state_dir.join(places::LOCAL_BUNDLES);
    files::own_folder(&folder, 0o700)?;
    let folder = folder.canonicalize().map_err(|error| files::cannot("read", &folder, &error))?;
    // A file for each run: two of them must not exchange each other's policy.
    let path = folder.join(format!("{}.bundle", std::process::id()));
    files::write_whole(&path, signed.bytes(), 0o600)?;
    Ok((BundleFile { path, digest: signed.digest().to_owned() }, agent))
}

/// Puts the policy in force and opens a scope; starts a daemon if there is none. Programs that run
/// under another policy of this agent are a failure, if `in_use` says which. The scope is below this process' own
/// cgroup if `below_owner`.
pub(crate) fn open(
    start: &Start<'_>,
    bundle: &BundleFile,
    agent: &str,
    in_use: Option<&dyn Fn() -> CliError>,
    below_owner: bool,
) -> Result<Scope, CliError> {
    let mut tries = 0;
    loop {
        tries += 1;
        daemon::find_or_start(start)?;
        match install(start.places, bundle, agent, in_use, below_owner) {
            // An ephemeral daemon may end between two questions: the next one starts another.
            Err(Step::Asked(error)) if error.is_gone() && tries < TRIES => {}
            Err(Step::Asked(error)) => return Err(CliError::from(error)),
            Err(Step::Failed(error)) => return Err(error),
            Ok(scope) => return Ok(scope),
        }
    }
}

enum Step {
    Asked(AskError),
    Failed(CliError),
}

impl From<AskError> for Step {
    fn from(error: AskError) -> Self {
        Self::Asked(error)
    }
}

fn install(
    places: &Places,
    bundle: &BundleFile,
    agent: &str,
    in_use: Option<&dyn Fn() -> CliError>,
    below_owner: bool,
) -> Result<Scope, Step> {
    if let Some(error) = in_use
        && is_in_use(places, bundle, agent)?
    {
        return Err(Step::Failed(error()));
    }
    let request = Request::Install { path: bundle.path.display().to_string() };
    match daemon::ask(places, &request)? {
        Outcome::Installed(Installed { .. }) => {}
        other => return Err(Step::Failed(daemon::unexpected(&other))),
    }
    let request =
        Request::OpenScope { agent: agent.to_owned(), owner_pid: std::process::id(), below_owner };
    match daemon::ask(places, &request)? {
        Outcome::Scope(scope) => Ok(scope),
        other => Err(Step::Failed(daemon::unexpected(&other))),
    }
}

/// Whether the policy of programs that run already would change.
fn is_in_use(places: &Places, bundle: &BundleFile, agent: &str) -> Result<bool, Step> {
    let status = match daemon::ask(places, &Request::Status {})? {
        Outcome::Status(status) => status,
        other => return Err(Step::Failed(daemon::unexpected(&other))),
    };
    let changes = |profile: &Profile| {
        profile.agent == agent && profile.governed_tasks > 0 && profile.digest != bundle.digest
    };
    Ok(status.profiles.iter().any(changes))
}

pub(crate) fn close(places: &Places, scope: &Scope) -> Result<Summary, CliError> {
    match daemon::ask(places, &Request::CloseScope { id: scope.id })? {
        Outcome::Summary(summary) => Ok(summary),
        other => Err(daemon::unexpected(&other)),
    }
}
