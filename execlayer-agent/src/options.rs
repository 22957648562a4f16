//! The command line. Names and defaults only: must not act on any of it.

use std::path::PathBuf;

use clap::Parser;
use execlayer_api::places;

use crate::record::trail::{Settings, Sync, Unwritten};

/// Enforces policies on agents, in the kernel.
///
/// `execlayerd export` is another role: it sends the audit trail away and serves metrics, without privileges.
#[derive(Clone, Debug, Parser)]
#[command(name = "execlayerd", version, about)]
pub struct Options {
    /// End, and take everything down, when nothing is governed any more
    #[arg(long)]
    pub ephemeral: bool,
    /// Remove what a service left in the kernel, and end: nothing is enforced after this
    #[arg(long, conflicts_with = "ephemeral")]
    pub unload: bool,
    /// Signed bundle to put in force from the start; may be repeated. If it is refused, nothing
    /// starts
    #[arg(long, value_name = "FILE")]
    pub bundle: Vec<PathBuf>,
    /// What survives a restart
    #[arg(long, value_name = "DIR", default_value = places::STATE_DIR)]
    pub state_dir: PathBuf,
    /// Where the control socket is
    #[arg(long, value_name = "DIR", default_value = places::RUN_DIR)]
    pub run_dir: PathBuf,
    /// Public keys whose bundles are accepted
    #[arg(long, value_name = "DIR", default_value = places::KEYS_DIR)]
    pub keys_dir: PathBuf,
    /// Signed files that a service takes by itself: bundles, roots, orders to go back
    #[arg(long, value_name = "DIR", default_value = places::BUNDLES_DIR)]
    pub bundles_dir: PathBuf,
    /// Root with which the daemon begins, signed: who may sign what. With one, the keys in `--keys-dir`
    /// count no more
    #[arg(long, value_name = "FILE", default_value = places::ROOT)]
    pub root: PathBuf,
    /// Where the audit trail is written
    #[arg(long, value_name = "DIR", default_value = places::AUDIT)]
    pub audit: PathBuf,
    /// When its records are made to survive a lost power
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Sync::Interval)]
    pub audit_sync: Sync,
    /// Seconds after which its head is signed again, if there is something new
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 10,
        value_parser = clap::value_parser!(u64).range(1..=3_600)
    )]
    pub audit_checkpoint: u64,
    /// Size from which on its file of records is closed and another is begun
    #[arg(
        long,
        value_name = "MIB",
        default_value_t = 16,
        value_parser = clap::value_parser!(u64).range(1..=1_024)
    )]
    pub audit_segment: u64,
    /// Days after which closed files of records are removed
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u64).range(1..=36_500))]
    pub audit_keep_days: Option<u64>,
    /// Size of closed files of records beyond which the oldest are removed
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=1 << 30))]
    pub audit_keep: Option<u64>,
    /// What becomes of calls that must be recorded while records cannot be written
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = Unwritten::Count)]
    pub audit_failure: Unwritten,
    /// Arguments whose name has this in it are secrets: their values are not recorded. May be repeated; passwords, tokens
    /// and the like are taken out anyway
    #[arg(long, value_name = "NAME")]
    pub redact: Vec<String>,
    /// Where the bpf file system is
    #[arg(long, value_name = "DIR", default_value = "/sys/fs/bpf")]
    pub bpffs: PathBuf,
    /// Where the cgroup2 file system is; found by itself if not given
    #[arg(long, value_name = "DIR")]
    pub cgroup_root: Option<PathBuf>,
    /// Seconds after which a call that a policy asks about is denied, where its rule has no `timeout`
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 60,
        value_parser = clap::value_parser!(u32).range(1..=86_400)
    )]
    pub hold: u32,
    /// Hold no calls: those that a policy asks about are denied at once
    #[arg(long, conflicts_with = "hold")]
    pub no_hold: bool,
    /// Group whose members may answer questions and look at what is in force; without it only root
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
    /// Group whose members may ask how the daemon is; the audit trail's folder is to be theirs to read, too
    #[arg(long, value_name = "GROUP")]
    pub audit_group: Option<String>,
    /// User of the process that serves the evaluation API (`execlayerd api`); without it there is no API
    #[arg(long, value_name = "USER")]
    pub api_user: Option<String>,
    /// Let operators answer questions and install bundles through the API, too. Who they are is that process' word
    #[arg(long, requires = "api_user")]
    pub api_answers: bool,
    /// Say more on standard error
    #[arg(long, short)]
    pub verbose: bool,
}

impl Options {
    /// How the audit trail is kept.
    #[must_use]
    pub fn trail(&self) -> Settings {
        Settings {
            folder: self.audit.clone(),
            state_dir: self.state_dir.clone(),
            sync: self.audit_sync,
            checkpoint: self.audit_checkpoint,
            segment: self.audit_segment << 20,
            keep_days: self.audit_keep_days,
            keep_bytes: self.audit_keep.map(|mebibytes| mebibytes << 20),
        }
    }
}
