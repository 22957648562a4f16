//! Programs of others that take what this crate gives: rsyslog, and Prometheus with its `promtool`. `cargo xtask test`
//! fetches them and names their folder; without it these tests say that they did not run. Everything is on loopback
//! addresses and in folders of the tests' own. Must not need a program that is installed.
#![cfg(test)]

use std::path::PathBuf;

mod child;
mod endpoint;
mod prometheus;
mod rsyslog;
mod syslog;

/// Where the consumers are unpacked; none, after saying so, if nobody said.
fn consumers() -> Option<PathBuf> {
    let folder = std::env::var_os("EXECLAYER_CONSUMERS").map(PathBuf::from);
    if folder.is_none() {
        println!("not run: `cargo xtask test` sets EXECLAYER_CONSUMERS");
    }
    folder
}

/// A file of the checkout.
fn checkout(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}
