//! `inspect`: what a bundle says about itself, and whether it is verified. Must not let the first
//! pass for the second.

use std::path::PathBuf;

use execlayer_bundle::{
    BundleError, Kind, Terms, UnverifiedClaims, kind, limits::MAX_BUNDLE_BYTES, order, root,
    unverified_claims, verify,
};
use execlayer_policy::{asking, lower::listing};

use crate::{
    error::{CliError, Exit},
    files, keys,
    output::{Screen, Table, printable, size, to_json},
    time,
};

/// Shows what is in a bundle
///
/// Works without any key; the first line says whether the content is verified or only claimed.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  execlayer inspect coding-agent.bundle --trust release.pub
  execlayer inspect coding-agent.bundle --listing | less"
)]
pub(crate) struct Args {
    /// File of the bundle
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// Public key, or folder of such, that is trusted [default: the keys this machine trusts]
    #[arg(long, value_name = "PATH")]
    trust: Vec<PathBuf>,
    /// Print the image in words: lanes, decision sets, conditions
    #[arg(long)]
    listing: bool,
}

pub(crate) fn run(args: &Args, screen: &Screen) -> Result<Exit, CliError> {
    let bytes = files::read_or_fail(&args.bundle, MAX_BUNDLE_BYTES)?;
    let unread = |error: BundleError| {
        CliError::failure(format!("`{}` cannot be read: {error}", args.bundle.display()))
    };
    match kind(&bytes).map_err(unread)? {
        Kind::Policy => {}
        Kind::Root => {
            let head = verdict(root::verify(&bytes, None), screen);
            let root = root::unverified(&bytes).map_err(unread)?;
            screen.print(&format!("{head} as a first root\n{}", to_json(&root)?))?;
            return Ok(Exit::Done);
        }
        Kind::Rollback => {
            let trusted = keys::trusted(&args.trust)?;
            let head = verdict(order::verify(&bytes, &trusted), screen);
            let order = order::unverified(&bytes).map_err(unread)?;
            screen.print(&format!("{head}\n{}", to_json(&order)?))?;
            return Ok(Exit::Done);
        }
    }
    let claims = unverified_claims(&bytes).map_err(unread)?;
    let trust = keys::trusted(&args.trust)
        .map_err(|_no_keys| "the trusted keys cannot be read".to_owned())
        .and_then(|trusted| verify(&bytes, &trusted).map_err(|error| error.to_string()));
    let head = verdict(trust, screen);
    let body = if args.listing {
        let text = listing(&claims.image, &claims.provenance);
        printable_lines(&text.map_err(|error| CliError::failure(error.to_string()))?)
    } else {
        facts(&claims, screen)
    };
    screen.print(&format!("{head}\n{body}"))?;
    Ok(Exit::Done)
}

fn verdict<T>(verified: Result<T, impl ToString>, screen: &Screen) -> String {
    let paint = screen.on_output;
    match verified {
        Ok(_) => format!("{}verified{}", paint.green(), paint.reset()),
        Err(why) => {
            format!("{}NOT VERIFIED{}: {}", paint.red(), paint.reset(), printable(&why.to_string()))
        }
    }
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
    ] {
        if !value.is_empty() {
            text.push_str(&format!("{name:<12} {}\n", printable(&value)));
        }
    }
    for decider in &provenance.deciders {
        text.push_str(&format!("{:<12} {}\n", "decider", printable(&asking::decider(decider))));
    }
    let mut table = Table::new(&["number", "rule", "place", "asking", "reason"]);
    for (number, rule) in provenance.rules.iter().enumerate() {
        let file = provenance.files.get(rule.file as usize).map_or("", String::as_str);
        table.row([
            number.to_string(),
            rule.id.clone(),
            format!("{file}:{}", rule.line),
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
