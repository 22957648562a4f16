//! Tells the service manager how the daemon fares (systemd's sd_notify protocol). Without one nobody listens, and
//! nothing is said. Must not decide anything.

use std::time::Duration;

use sd_notify::NotifyState;

/// The gate stands, and calls are answered.
pub fn ready(kernel: &str) {
    let status = format!("the gate stands on kernel {kernel}");
    tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

/// The loop turns. A manager that waits for this in vain starts the daemon again; the gate that is pinned stands
/// meanwhile.
pub fn alive() {
    if sd_notify::watchdog_enabled().is_some() {
        tell(&[NotifyState::Watchdog]);
    }
}

/// The daemon is about to end.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Says so if the manager is more impatient than the loop.
pub fn check_patience(turn: Duration) {
    if let Some(patience) = sd_notify::watchdog_enabled()
        && patience < turn * 3
    {
        tracing::warn!("the watchdog's {patience:?} are too short: the loop turns every {turn:?}");
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("the service manager cannot be told: {error}");
    }
}
