//! `compile`: a policy to a signed bundle, or only to the numbers that say how large it is. Must not
//! write anything that is not signed.

use std::path::PathBuf;

use execlayer_api::time;
use execlayer_bundle::{Terms, UnsignedBundle};
use execlayer_common::limits::{CLASS_WORDS, MAX_LANES, MAX_RULES};
use execlayer_policy::lower::{Report, listing};

use crate::{
    compile::{self, PolicyArgs},
    error::{CliError, Exit},
    files, keys,
    output::{Screen, Table, size},
};

/// Compiles a policy and signs it
///
/// Prints how large the image is and how near to the limits it comes. With `--key` and `--output` it
/// also writes the signed bundle that the daemon takes. Nothing is written unsigned.
///
/// The same policy gives the same bytes.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  execlayer compile policies/coding-agent
  execlayer compile policies/coding-agent --key release.key --output coding-agent.bundle
  execlayer compile policies/coding-agent --listing | less"
)]
pub(crate) struct Args {
    #[command(flatten)]
    policy: PolicyArgs,
    /// File of the signed bundle
    #[arg(long, short, value_name = "FILE", requires = "key")]
    output: Option<PathBuf>,
    /// File of the private key that signs it (`execlayer keys new` makes one)
    #[arg(long, value_name = "FILE", requires = "output")]
    key: Option<PathBuf>,
    #[command(flatten)]
    terms: TermsArgs,
    /// Print the image in words: lanes, decision sets, conditions
    #[arg(long)]
    listing: bool,
}

/// Where and when the bundle may be put in force. Times are written as 2027-01-31, 2027-01-31T12:00:00Z or
/// seconds since 1970.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Terms of the bundle")]
struct TermsArgs {
    /// When it is signed: a machine without a clock learns from it that it is later
    #[arg(long, value_name = "TIME", value_parser = time::parse, requires = "key")]
    issued: Option<u64>,
    /// Not put in force before this
    #[arg(long, value_name = "TIME", value_parser = time::parse, requires = "key")]
    not_before: Option<u64>,
    /// Not put in force after this; what is in force then stays so, and `status` says it
    #[arg(long, value_name = "TIME", value_parser = time::parse, requires = "key")]
    not_after: Option<u64>,
    /// Oldest version of the daemon that may take it, as 1.2.3
    #[arg(long, value_name = "VERSION", value_parser = version, requires = "key")]
    least_agent: Option<[u32; 3]>,
    /// Name of a machine that it is for; may be repeated
    #[arg(long = "machine", value_name = "NAME", requires = "key")]
    machines: Vec<String>,
}

fn version(text: &str) -> Result<[u32; 3], String> {
    let numbers: Vec<u32> = text.split('.').filter_map(|part| part.parse().ok()).collect();
    numbers.try_into().map_err(|_other| "write it as three numbers, such as 1.2.3".to_owned())
}

pub(crate) fn run(args: &Args, screen: &Screen) -> Result<Exit, CliError> {
    let PolicyArgs { policy, filling } = &args.policy;
    let (_, lowered) = compile::lowered_or_fail(policy, filling, screen)?;
    let text = if args.listing {
        listing(lowered.image.words(), &lowered.provenance)
            .map_err(|error| CliError::failure(format!("internal error: {error}")))?
    } else {
        numbers(&lowered.report, lowered.provenance.rules.len(), screen)
    };
    let bundle = UnsignedBundle::new(lowered.image.words().to_vec(), lowered.provenance)
        .and_then(|bundle| {
            let TermsArgs { issued, not_before, not_after, least_agent, machines } = &args.terms;
            bundle.under(Terms {
                issued: *issued,
                not_before: *not_before,
                not_after: *not_after,
                least_agent: *least_agent,
                machines: machines.clone(),
            })
        })
        .map_err(|error| CliError::new(Exit::Policy, error.to_string()))?;
    if let (Some(output), Some(key)) = (&args.output, &args.key) {
        let key = keys::read_private(key)?;
        let signed = keys::sign(&bundle, &key)?;
        files::write_whole(output, signed.bytes(), 0o644)?;
        screen.note(&format!(
            "wrote `{}`: {}, signed with key {}",
            output.display(),
            size(signed.bytes().len() as u64),
            key.id()
        ));
    }
    screen.print(&text)?;
    Ok(Exit::Done)
}

fn numbers(report: &Report, rules: usize, screen: &Screen) -> String {
    let class = CLASS_WORDS.get(usize::from(report.class)).copied().unwrap_or(0);
    let percent = |part: u32, whole: u32| u64::from(part) * 100 / u64::from(whole.max(1));
    let mut text = format!(
        "rules {rules} of {MAX_RULES}, decision sets {}, conditions {}, budgets {}\n\
         image {} ({} words, {}% of them cells) in a table of {}\n\n",
        report.sets,
        report.conditions,
        report.budgets,
        size(u64::from(report.bytes())),
        report.words,
        percent(report.cells, report.words),
        size(u64::from(class) * 4),
    );
    let mut table = Table::new(&["operation", "lane", "walked", "rules", "states", "built"]);
    let mut before = None;
    let mut number = 0;
    for lane in &report.lanes {
        number = if before == Some(lane.operation) { number + 1 } else { 1 };
        before = Some(lane.operation);
        table.row([
            lane.operation.name().to_owned(),
            format!("{number} of at most {MAX_LANES}"),
            if lane.backward { "backward" } else { "forward" }.to_owned(),
            lane.rules.to_string(),
            lane.states.to_string(),
            lane.built.to_string(),
        ]);
    }
    text.push_str(&table.render(screen.on_output));
    text
}
