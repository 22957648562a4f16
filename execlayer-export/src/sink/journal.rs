//! The systemd journal, over its own protocol (systemd.io, Native Journal Protocol): a datagram an entry. Must not wait
//! longer than a moment: the journal takes what it has room for.

use std::{
    io,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
};

use super::{Item, PATIENCE, Sink, Trouble};
use crate::format::journal;

/// The journal's socket.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    socket: Option<UnixDatagram>,
}

impl Journal {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), socket: None }
    }

    fn send_entry(&mut self, entry: &[(String, Vec<u8>)]) -> Result<(), Trouble> {
        let datagram = journal::datagram(entry);
        let sent = self.connected().and_then(|socket| socket.send(&datagram));
        match sent {
            Ok(_all) => Ok(()),
            // KERNEL: unix_dgram_sendmsg, more than the socket's buffer (net/unix/af_unix.c, 6.1).
            Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => {
                Err(Trouble::Refused(format!("{} bytes are too many", datagram.len())))
            }
            Err(error) => {
                self.socket = None;
                Err(Trouble::of(&self.path.display().to_string(), &error))
            }
        }
    }

    fn connected(&mut self) -> io::Result<&UnixDatagram> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(&self.path)?;
                socket.set_write_timeout(Some(PATIENCE))?;
                socket
            }
        };
        Ok(self.socket.insert(socket))
    }
}

impl Sink for Journal {
    fn send(&mut self, items: &[Item]) -> Result<(), Trouble> {
        items.iter().try_for_each(|item| self.send_entry(&journal::fields(&item.fields)))
    }

    fn send_head(&mut self, size: u64, note: &str) -> Result<(), Trouble> {
        let message = format!("the audit trail's head covers {size} records");
        let text = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
        self.send_entry(&[
            text("MESSAGE", &message),
            text("PRIORITY", "6"),
            text("SYSLOG_IDENTIFIER", "execlayer"),
            text("EXECLAYER_KIND", "checkpoint"),
            text("EXECLAYER_SIZE", &size.to_string()),
            text("EXECLAYER_CHECKPOINT", note),
        ])
    }
}
