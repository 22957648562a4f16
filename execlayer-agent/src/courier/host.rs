//! Whether an address is one of those that names resolve to now. Must not ask the server behind it.

use std::{
    io,
    net::{IpAddr, ToSocketAddrs},
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Instant,
};

use super::{Answer, child::Answered, line::RESOLVING};

/// A look-up cannot be ended from outside: those that hang are counted.
const MAX_LOOKUPS: usize = 32;
static LOOKUPS: AtomicUsize = AtomicUsize::new(0);

/// Allows an address that one of the names has, and knows nothing of others.
pub(super) fn ask(hosts: &[String], address: Option<IpAddr>) -> Answered {
    let unknown = |note: String| (Answer::Unknown, note);
    let Some(address) = address.map(|address| address.to_canonical()) else {
        return unknown("the call connects to no internet address".to_owned());
    };
    let until = Instant::now() + RESOLVING;
    let mut failure = None;
    for name in hosts {
        match look_up(name, until) {
            Ok(found) if found.iter().any(|found| found.to_canonical() == address) => {
                return (Answer::Allow, format!("{name} is {address} now"));
            }
            Ok(_) => {}
            Err(error) => failure = Some(format!("cannot resolve {name}: {error}")),
        }
    }
    unknown(failure.unwrap_or_else(|| format!("no name is {address} now")))
}

fn look_up(name: &str, until: Instant) -> io::Result<Vec<IpAddr>> {
    if LOOKUPS.fetch_add(1, Ordering::Relaxed) >= MAX_LOOKUPS {
        LOOKUPS.fetch_sub(1, Ordering::Relaxed);
        return Err(io::Error::other("the resolver is busy"));
    }
    let (sender, receiver) = mpsc::sync_channel(1);
    let name = name.to_owned();
    let started = thread::Builder::new().spawn(move || {
        let found = (name.as_str(), 0).to_socket_addrs();
        LOOKUPS.fetch_sub(1, Ordering::Relaxed);
        // Nobody waits for it if it took too long.
        let _ = sender.send(found.map(|found| found.map(|address| address.ip()).collect()));
    });
    if let Err(error) = started {
        LOOKUPS.fetch_sub(1, Ordering::Relaxed);
        return Err(error);
    }
    match receiver.recv_timeout(until.saturating_duration_since(Instant::now())) {
        Ok(found) => found,
        Err(RecvTimeoutError::Timeout) => Err(io::ErrorKind::TimedOut.into()),
        Err(RecvTimeoutError::Disconnected) => Err(io::Error::other("the look-up ended")),
    }
}

#[cfg(test)]
mod tests {
    use super::ask;
    use crate::courier::Answer;

    #[test]
    fn a_host_allows_its_own_addresses_and_knows_no_others() {
        let hosts = ["does-not-exist.invalid".to_owned(), "127.0.0.2".to_owned()];
        for (address, answer) in [
            (Some("127.0.0.2"), Answer::Allow),
            (Some("::ffff:127.0.0.2"), Answer::Allow),
            (Some("127.0.0.3"), Answer::Unknown),
            (None, Answer::Unknown),
        ] {
            let (said, note) = ask(&hosts, address.map(|address| address.parse().unwrap()));
            assert_eq!(said, answer, "{address:?}: {note}");
        }
        let (said, note) = ask(&["localhost".to_owned()], Some("127.0.0.1".parse().unwrap()));
        assert_eq!((said, note.as_str()), (Answer::Allow, "localhost is 127.0.0.1 now"));
    }
}
