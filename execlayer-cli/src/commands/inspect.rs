//! `inspect`: what a bundle says about itself, and whether it is verified. Must not let the first
//! pass for the second.

use std::path::{Path, PathBuf};

use execlayer_api::{places, time};
use execlayer_bundle::{
    BundleError, Kind, Terms, UnverifiedClaims, kind, limits::MAX_BUNDLE_BYTES, order, root,
    unverified_claims, verify,
};
use execlayer_common::provenance::Provenance;
use execlayer_policy::{asking, lower::listing};
use serde::Serialize;

use crate::{
    difference::{self, Changes},
    error::{CliError, Exit},
    files, keys,
    output::{Screen, Table, printable, size, to_json},
};

/// Shows what is in a bundle, and what it would change
///
/// Works without any key; the first line says whether the content is verified or only claimed. What it changes
/// is told against the version that is in force here (root sees which), or against another bundle. It is found
/// by comparing what both decide about every call there is, not by comparing their texts.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  execlayer inspect coding-agent.bundle --trust release.pub
  execlayer inspect coding-agent.bundle --against coding-agent-3.bundle
  execlayer inspect coding-agent.bundle --json | jq '.difference.changes'
  execlayer inspect coding-agent.bundle --listing | less"
)]
pub(crate) struct Args {
    /// File of the bundle
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// Public key, or folder of such, that is trusted [default: the keys this machine trusts]
    #[arg(long, value_name = "PATH")]
    trust: Vec<PathBuf>,
    /// Bundle to compare it with [default: the version that is in force]
    #[arg(long, value_name = "BUNDLE")]
    against: Option<PathBuf>,
    /// Folder where the daemon keeps what is in force
    #[arg(long, value_name = "DIR", default_value = places::STATE_DIR)]
    state_dir: PathBuf,
    /// Print one JSON object
    #[arg(long, conflicts_with = "listing")]
    json: bool,
    /// Print the image in words: lanes, decision sets, conditions
    #[arg(long)]
    listing: bool,
}

pub(crate) fn run(args: &Args, screen: &Screen) -> Result<Exit, CliError> {
    let bytes = files::read_or_fail(&args.bundle, MAX_BUNDLE_BYTES)?;
    let unread = unread(&args.bundle);
    match kind(&bytes).map_err(&unread)? {
        Kind::Policy => policy(args, &unverified_claims(&bytes).map_err(unread)?, &bytes, screen),
        Kind::Root => {
            let root = root::unverified(&bytes).map_err(unread)?;
            let trust = Trust::of(root::verify(&bytes, None));
            let head = trust.head(screen) + " as a first root";
            show(args, screen, &Seen { kind: "root", trust, content: &root }, || {
                Ok(format!("{head}\n{}", to_json(&root)?))
            })
        }
        Kind::Rollback => {
            let order = order::unverified(&bytes).map_err(unread)?;
            let trust = Trust::of(order::verify(&bytes, &keys::trusted(&args.trust)?));
            let head = trust.head(screen);
            show(args, screen, &Seen { kind: "order", trust, content: &order }, || {
                Ok(format!("{head}\n{}", to_json(&order)?))
            })
        }
    }
}

/// Words of an image with which comparing takes longer than people wait without a word.
const TAKES_A_MOMENT: usize = 50_000;

fn unread(file: &Path) -> impl Fn(BundleError) -> CliError {
    move |error| CliError::failure(format!("`{}` cannot be read: {error}", file.display()))
}

fn policy(
    args: &Args,
    claims: &UnverifiedClaims,
    bytes: &[u8],
    screen: &Screen,
) -> Result<Exit, CliError> {
    let trust = Trust::of(
        keys::trusted(&args.trust)
            .map_err(|_no_keys| "the trusted keys cannot be read".to_owned())
            .and_then(|trusted| verify(bytes, &trusted).map_err(|error| error.to_string())),
    );
    let head = trust.head(screen);
    if args.listing {
        let text = listing(&claims.image, &claims.provenance);
        let text = text.map_err(|error| CliError::failure(error.to_string()))?;
        screen.print(&format!("{head}\n{}", printable_lines(&text)))?;
        return Ok(Exit::Done);
    }
    let (difference, not_compared) = match changes(args, claims, screen) {
        Ok(difference) => (difference, None),
        // What is in it is worth knowing all the same.
        Err(error) if args.against.is_none() => (None, Some(error.message().to_owned())),
        Err(error) => return Err(error),
    };
    let content = Policy {
        digest: &claims.digest,
        keys: &claims.key_ids,
        terms: &claims.terms,
        image_bytes: claims.image.len() * 4,
        provenance: &claims.provenance,
        difference: difference.as_ref(),
        not_compared: not_compared.as_deref(),
    };
    show(args, screen, &Seen { kind: "policy", trust, content }, || {
        let changes = difference.as_ref().map(|changes| changes.text(screen.on_output));
        let changes = changes.or(not_compared.as_ref().map(|why| format!("{}\n", printable(why))));
        Ok(format!("{head}\n{}\n{}", facts(claims, screen), changes.unwrap_or_default()))
    })
}

/// What it changes against the bundle that is named, or else what is in force.
fn changes(
    args: &Args,
    claims: &UnverifiedClaims,
    screen: &Screen,
) -> Result<Option<Changes>, CliError> {
    let compare = |old: UnverifiedClaims, is_in_force| {
        if old.image.len().max(claims.image.len()) > TAKES_A_MOMENT {
            screen.note("execlayer: comparing two large policies takes some seconds ...");
        }
        Changes::find(&old, claims, is_in_force)
    };
    let Some(path) = &args.against else {
        let old = difference::in_force(&args.state_dir, &claims.provenance.agent)?;
        return old.map(|old| compare(old, true)).transpose();
    };
    let bytes = files::read_or_fail(path, MAX_BUNDLE_BYTES)?;
    let old = unverified_claims(&bytes).map_err(unread(path))?;
    compare(old, false).map(Some)
}

/// What is shown of a file, for programs.
#[derive(Serialize)]
struct Seen<T> {
    kind: &'static str,
    #[serde(flatten)]
    trust: Trust,
    #[serde(flatten)]
    content: T,
}

#[derive(Serialize)]
struct Policy<'a> {
    digest: &'a str,
    keys: &'a [String],
    terms: &'a Terms,
    image_bytes: usize,
    provenance: &'a Provenance,
    /// `null` if there is nothing to compare with, or not for the caller.
    difference: Option<&'a Changes>,
    /// Why it could not be compared with what is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_compared: Option<&'a str>,
}

/// Whether it is verified, and if not, why.
#[derive(Serialize)]
struct Trust {
    verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

impl Trust {
    fn of<T>(verified: Result<T, impl ToString>) -> Self {
        let refused = verified.err().map(|why| why.to_string());
        Self { verified: refused.is_none(), refused }
    }

    fn head(&self, screen: &Screen) -> String {
        let paint = screen.on_output;
        match &self.refused {
            None => format!("{}verified{}", paint.green(), paint.reset()),
            Some(why) => {
                format!("{}NOT VERIFIED{}: {}", paint.red(), paint.reset(), printable(why))
            }
        }
    }
}

fn show(
    args: &Args,
    screen: &Screen,
    seen: &impl Serialize,
    text: impl FnOnce() -> Result<String, CliError>,
) -> Result<Exit, CliError> {
    if args.json {
        screen.print_json(seen)?;
    } else {
        screen.print(&text()?)?;
    }
    Ok(Exit::Done)
}

fn facts(claims: &UnverifiedClaims, screen: &Screen) -> String {
    let provenance = &claims.provenance;
    let list = |items: &[String]| printable(&items.join(", "));
    let mut text = String::new();
    for (name, value) in [
        ("policy", format!("{} version {}", provenance.policy, provenance.version)),
        ("agent", provenance.agent.clone()),
        ("digest", claims.digest.clone()),
        ("keys", list(&claims.key_ids)),
        ("terms", terms(&claims.terms)),
        ("image", size(claims.image.len() as u64 * 4)),
        ("files", list(&provenance.files)),
        ("cgroups", list(&provenance.cgroups)),
        ("executables", list(&provenance.executables)),
        ("accepts from", list(&provenance.accepts_from)),
    ] {
        if !value.is_empty() {
            text.push_str(&format!("{name:<12} {}\n", printable(&value)));
        }
    }
    for decider in &provenance.deciders {
        text.push_str(&format!("{:<12} {}\n", "decider", printable(&asking::decider(decider))));
    }
    let mut table = Table::new(&["number", "rule", "place", "transition", "asking", "reason"]);
    for (number, rule) in provenance.rules.iter().enumerate() {
        let file = provenance.files.get(rule.file as usize).map_or("", String::as_str);
        table.row([
            number.to_string(),
            rule.id.clone(),
            format!("{file}:{}", rule.line),
            rule.transition.clone().unwrap_or_default(),
            rule.asking
                .as_ref()
                .map(|asking| asking::chain(asking, &provenance.deciders))
                .unwrap_or_default(),
            rule.reason.clone().unwrap_or_default(),
        ]);
    }
    text.push('\n');
    text + &table.render(screen.on_output)
}

fn terms(terms: &Terms) -> String {
    let time =
        |what: &str, time: Option<u64>| time.map(|time| format!("{what} {}", time::shown(time)));
    let agent = |[a, b, c]: [u32; 3]| format!("execlayerd {a}.{b}.{c} or later");
    let machines = terms.machines.join(" or ");
    let parts = [
        time("signed", terms.issued),
        time("not before", terms.not_before),
        time("not after", terms.not_after),
        terms.least_agent.map(agent),
        (!machines.is_empty()).then(|| format!("for {machines}")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn printable_lines(text: &str) -> String {
    text.lines().map(|line| printable(line) + "\n").collect()
}
