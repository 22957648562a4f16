//! The ring buffer that the kernel writes records to, and beside it what the programs say about
//! themselves, if they were built for that. Must not know what is in a record.

use std::io;

use aya::maps::{MapData, RingBuf};
use tokio::io::{Interest, unix::AsyncFd};

use super::diagnostics::Diagnostics;

/// The reading end.
pub struct Ring {
    ring: AsyncFd<RingBuf<MapData>>,
    diagnostics: Diagnostics,
}

impl Ring {
    /// Needs a running tokio reactor.
    pub(super) fn new(ring: RingBuf<MapData>, diagnostics: Diagnostics) -> io::Result<Self> {
        // SAFETY: `ring` owns the map's descriptor and never replaces or closes it before it is
        // dropped, and the registration is dropped with it; `as_raw_fd` returns that descriptor.
        let ring = unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE) };
        Ok(Self { ring: ring.map_err(io::Error::from)?, diagnostics })
    }

    /// Waits until there is something to read.
    ///
    /// # Errors
    ///
    /// If the reactor is gone.
    pub async fn ready(&self) -> io::Result<()> {
        // Cleared before reading: what comes while the ring is read wakes the next wait.
        self.ring.readable().await?.clear_ready();
        Ok(())
    }

    /// The next record, if there is one.
    pub fn next(&mut self, read: &mut dyn FnMut(&[u8])) -> bool {
        match self.ring.get_mut().next() {
            Some(record) => {
                read(&record);
                true
            }
            None => {
                self.diagnostics.print();
                false
            }
        }
    }
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ring")
    }
}
