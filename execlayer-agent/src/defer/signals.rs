//! Whether a stopped process is about to end: a signal that would end it cannot reach it while it is
//! stopped. Must not send any.

use std::{fs, io};

/// SIGHUP, SIGINT, SIGQUIT, SIGKILL, SIGTERM: what people and service managers end processes with.
const ENDING: [u32; 5] = [1, 2, 3, 9, 15];

/// Whether the process is gone, or has a signal pending that ends it.
pub(super) fn is_ending(tgid: u32) -> bool {
    // A process' name is any bytes.
    match fs::read(format!("/proc/{tgid}/status")) {
        Ok(status) => says_ending(&String::from_utf8_lossy(&status)),
        // Anything else says nothing about the process: time will.
        Err(error) => {
            error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
        }
    }
}

/// Whether the process is stopped.
pub(super) fn is_stopped(tgid: u32) -> bool {
    let status = fs::read(format!("/proc/{tgid}/status")).unwrap_or_default();
    status.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"State:\tT"))
}

fn says_ending(status: &str) -> bool {
    let mask = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
    };
    let pending = mask("SigPnd:") | mask("ShdPnd:");
    let ends = pending & !mask("SigCgt:") & !mask("SigIgn:") & !mask("SigBlk:");
    // A leader that has left before its threads looks dead, and is not.
    let is_alone = status.lines().any(|line| line.trim_end() == "Threads:\t1");
    let is_dead =
        |line: &str| line.starts_with("State:\tX") || line.starts_with("State:\tZ") && is_alone;
    ENDING.iter().any(|signal| ends & 1 << (signal - 1) != 0) || status.lines().any(is_dead)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(pending: u64, caught: u64) -> String {
        format!(
            "State:\tT (stopped)\nSigPnd:\t0\nShdPnd:\t{pending:016x}\nSigBlk:\t0\nSigIgn:\t0\nSigCgt:\t{caught:016x}\n"
        )
    }

    #[test]
    fn a_signal_ends_a_process_that_does_not_handle_it() {
        let term = 1 << 14;
        assert!(says_ending(&status(term, 0)));
        assert!(!says_ending(&status(term, term)));
        assert!(!says_ending(&status(1 << 17, 0)), "SIGCONT ends nobody");
        assert!(!says_ending(&status(0, 0)));
        assert!(says_ending("State:\tZ (zombie)\nThreads:\t1\n"));
        assert!(!says_ending("State:\tZ (zombie)\nThreads:\t3\n"), "its threads live on");
    }

    #[test]
    fn this_process_goes_on_and_one_that_never_was_does_not() {
        assert!(!is_ending(std::process::id()) && !is_stopped(std::process::id()));
        assert!(is_ending(u32::MAX));
    }
}
