//! A ring of `io_uring` with room for one act at a time. Must not know what is done in it.

use crate::raw::{address_mut, call, get, map_at, put};
use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::libc::{self, MAP_SHARED, PROT_READ, PROT_WRITE};

/// Submission by a thread of the kernel's.
pub(super) const SQPOLL: u32 = 2;
/// On an entry: by a worker of the kernel's.
pub(super) const ASYNC: u8 = 1 << 4;

/// What an entry says, as in struct io_uring_sqe.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Entry {
    pub(super) opcode: u8,
    pub(super) flags: u8,
    pub(super) fd: i32,
    pub(super) second: usize,
    pub(super) address: usize,
    pub(super) length: u32,
    pub(super) more: u32,
}

#[derive(Debug)]
pub(super) struct Queue {
    pub(super) fd: usize,
    polled: bool,
    tail: usize,
    array: usize,
    head_of_done: usize,
    tail_of_done: usize,
    done: usize,
    entries: usize,
}

impl Queue {
    /// The ring's descriptor, and where the kernel says that its parts are.
    pub(super) fn set_up(flags: u32) -> Result<(usize, [u32; 30]), Errno> {
        let mut parameters = [0_u32; 30];
        parameters[2] = flags;
        let fd = call(libc::SYS_io_uring_setup, [1, address_mut(&mut parameters)])?;
        Ok((fd, parameters))
    }

    pub(super) fn new(flags: u32) -> Result<Result<Self, Errno>> {
        let (fd, parameters) = match Self::set_up(flags) {
            Ok(made) => made,
            Err(error) => return Ok(Err(error)),
        };
        let part =
            |number: usize| parameters.get(number).map(|part| *part as usize).context("part");
        // One mapping has both queues since 5.4; the entries have their own.
        let memory = |offset| map_at(4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd as i32, offset);
        let (queues, entries) = (memory(0)?, memory(0x1000_0000)?);
        Ok(Ok(Self {
            fd,
            polled: flags & SQPOLL != 0,
            tail: queues + part(11)?,
            array: queues + part(16)?,
            head_of_done: queues + part(20)?,
            tail_of_done: queues + part(21)?,
            done: queues + part(25)?,
            entries,
        }))
    }

    /// Does one act and waits for its end.
    pub(super) fn does(&self, entry: Entry) -> Result<Result<(), Errno>> {
        for word in 0..8 {
            put(self.entries + word * 8, 0_u64);
        }
        put(self.entries, entry.opcode);
        put(self.entries + 1, entry.flags);
        put(self.entries + 4, entry.fd);
        put(self.entries + 8, entry.second);
        put(self.entries + 16, entry.address);
        put(self.entries + 24, entry.length);
        put(self.entries + 28, entry.more);
        put(self.array, 0_u32);
        let tail: u32 = get(self.tail);
        std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
        put(self.tail, tail.wrapping_add(1));
        const GETEVENTS: usize = 1;
        const SQ_WAKEUP: usize = 2;
        let how = if self.polled { GETEVENTS | SQ_WAKEUP } else { GETEVENTS };
        call(libc::SYS_io_uring_enter, [self.fd, 1, 1, how, 0, 0])?;
        let (head, tail): (u32, u32) = (get(self.head_of_done), get(self.tail_of_done));
        ensure!(tail == head.wrapping_add(1), "nothing was done");
        // Two results have room, for a queue of one entry.
        let result: i32 = get(self.done + (head as usize & 1) * 16 + 8);
        put(self.head_of_done, tail);
        Ok(if result < 0 { Err(Errno::from_raw(-result)) } else { Ok(()) })
    }
}
