//! What the outsider tells the governed processes: where the visitors are, and when to stop. Must not know
//! names.

use super::at;
use crate::raw::{get, map, put};
use anyhow::Result;
use nix::libc;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;

const SIZE: usize = 4096;

/// Memory that is shared by a file: a word to stop, and one for each visitor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Board(usize);

impl Board {
    pub(super) fn make() -> Result<Self> {
        fs::write(at("board"), [0; SIZE])?;
        fs::set_permissions(at("board"), fs::Permissions::from_mode(0o666))?;
        Self::open()
    }

    pub(super) fn open() -> Result<Self> {
        let file = File::options().read(true).write(true).open(at("board"))?;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        Ok(Self(map(SIZE, protection, libc::MAP_SHARED, file.as_raw_fd())?))
    }

    pub(super) fn stop(self) {
        put::<u64>(self.0, 1);
    }

    pub(super) fn is_over(self) -> bool {
        get::<u64>(self.0) != 0
    }

    /// Counts a visitor's moves; while it is odd, the visitor has a forbidden name.
    pub(super) fn moves(self, visitor: usize) -> u64 {
        get(self.word(visitor))
    }

    /// After a move to a forbidden name, and before one away from it.
    pub(super) fn moved(self, visitor: usize) {
        put(self.word(visitor), self.moves(visitor) + 1);
    }

    fn word(self, visitor: usize) -> usize {
        self.0 + (1 + visitor % 2) * size_of::<u64>()
    }
}
