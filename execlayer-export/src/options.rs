//! The command line of `execlayerd export`. Names and defaults only: must not act on any of it.

use std::path::PathBuf;

use clap::Parser;
use execlayer_api::places;

use crate::metrics::Place;

/// Sends the audit trail's records and heads to where operators want them, and serves metrics.
///
/// Needs no privileges: it reads the audit trail, which the group of `execlayerd --audit-group` may, and connects out.
/// Each sink is a file NAME.json in the folder of --sinks, such as:
/// {"to": "syslog+tcp://siem.example:601", "format": "ocsf", "verdicts": ["deny", "ask"]}
#[derive(Clone, Debug, Parser)]
#[command(name = "execlayerd export", bin_name = "execlayerd export", version)]
pub struct Options {
    /// Where the sinks' files are
    #[arg(long, value_name = "DIR", default_value = places::SINKS)]
    pub sinks: PathBuf,
    /// Where the audit trail is
    #[arg(long, value_name = "DIR", default_value = places::AUDIT)]
    pub audit: PathBuf,
    /// Where is written down how far each sink is
    #[arg(long, value_name = "DIR", default_value = places::EXPORT_STATE)]
    pub state_dir: PathBuf,
    /// Where the daemon's sockets are
    #[arg(long, value_name = "DIR", default_value = places::RUN_DIR)]
    pub run_dir: PathBuf,
    /// Serve metrics there: unix:/PATH, 127.0.0.1:PORT or [::1]:PORT
    #[arg(long, value_name = "PLACE")]
    pub metrics: Option<Place>,
    /// Say whether the sinks' files are right, and end
    #[arg(long)]
    pub check: bool,
    /// Send what there is, and end: with 1 if a sink did not take it
    #[arg(long, conflicts_with = "metrics")]
    pub once: bool,
    /// Say more on standard error
    #[arg(long, short)]
    pub verbose: bool,
}
