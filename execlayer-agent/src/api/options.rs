//! The command line of `execlayerd api`. Names and defaults only: must not act on any of it.

use std::{net::SocketAddr, path::PathBuf};

use clap::Parser;
use execlayer_api::places;

/// Serves the evaluation API: agents that ask before they act are judged by the policy that the kernel enforces on them.
///
/// Needs no privileges: it reaches the daemon through a socket of its own (`execlayerd --api-user`), and reads the audit
/// trail if it may. Over its unix socket the kernel says who asks; over TCP a token does.
#[derive(Clone, Debug, Parser)]
#[command(name = "execlayerd api", bin_name = "execlayerd api", version)]
pub struct Options {
    /// Where it listens, for everybody on this machine
    #[arg(long, value_name = "FILE", default_value = places::API_SOCKET)]
    pub socket: PathBuf,
    /// Where it listens, too, for whoever has a token: 127.0.0.1:PORT, [::1]:PORT, or with TLS any address
    #[arg(long, value_name = "ADDRESS", requires = "tokens")]
    pub tcp: Option<SocketAddr>,
    /// Tokens: a line each of SHA-256 in hex, `read`, `answer`, `administer` (with commas) or `agent=NAME`, and a name
    #[arg(long, value_name = "FILE")]
    pub tokens: Option<PathBuf>,
    /// Certificates of the TCP listener (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_certificates: Option<PathBuf>,
    /// Private key of the TCP listener (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_certificates")]
    pub tls_key: Option<PathBuf>,
    /// Group whose members may see what is in force, asked and recorded. Root may do everything
    #[arg(long, value_name = "GROUP")]
    pub read_group: Option<String>,
    /// Group whose members may answer questions (see `execlayerd --api-answers`)
    #[arg(long, value_name = "GROUP")]
    pub answer_group: Option<String>,
    /// Group whose members may put signed policies in force (see `execlayerd --api-answers`)
    #[arg(long, value_name = "GROUP")]
    pub administer_group: Option<String>,
    /// Where the daemon's sockets are
    #[arg(long, value_name = "DIR", default_value = places::RUN_DIR)]
    pub run_dir: PathBuf,
    /// Where the audit trail is
    #[arg(long, value_name = "DIR", default_value = places::AUDIT)]
    pub audit: PathBuf,
    /// Say more on standard error
    #[arg(long, short)]
    pub verbose: bool,
}

impl Options {
    /// What of them does not fit together.
    ///
    /// # Errors
    ///
    /// In words, with what to do.
    pub fn check(&self) -> Result<(), String> {
        match self.tcp {
            Some(address) if !address.ip().is_loopback() && self.tls_key.is_none() => Err(format!(
                "{address} is not this machine alone, and tokens would be sent in the clear: give --tls-certificates and --tls-key"
            )),
            None if self.tls_key.is_some() => {
                Err("TLS is for the TCP listener: give --tcp, too".to_owned())
            }
            _ => Ok(()),
        }
    }
}
