//! What a person types: one line at a time, and only what was typed after a question was shown. Must
//! not know what is asked.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::termios::{FlushArg, tcflush},
};

use crate::error::CliError;

/// Bytes of a line that count.
const LINE: usize = 256;
/// Nobody reads a question faster: a key pressed within this time was meant for something else.
const READING: Duration = Duration::from_millis(250);

/// The terminal of a person.
#[derive(Debug)]
pub(crate) struct Terminal(());

impl Terminal {
    /// Only if both a person's input and what they see are a terminal's.
    pub(crate) fn open() -> Option<Self> {
        (io::stdin().is_terminal() && io::stdout().is_terminal()).then_some(Self(()))
    }

    /// Throws away what was typed before now, whole lines or not.
    pub(crate) fn forget_typed(&self) -> Result<(), CliError> {
        std::thread::sleep(READING);
        tcflush(io::stdin(), FlushArg::TCIFLUSH).map_err(unusable)
    }

    /// The next line, without its end. `None` at the end of input, also in the middle of a line.
    pub(crate) fn line(&self) -> Result<Option<String>, CliError> {
        // Byte by byte past any buffer: lines behind this one must stay where `forget_typed` finds them.
        let mut line = Vec::new();
        loop {
            let mut byte = [0];
            match nix::unistd::read(io::stdin(), &mut byte) {
                // A terminal that is gone.
                Ok(0) | Err(Errno::EIO) => return Ok(None),
                Ok(_) if matches!(byte, [b'\n' | b'\r']) => {
                    return Ok(Some(String::from_utf8_lossy(&line).into_owned()));
                }
                Ok(_) if line.len() < LINE => line.extend(byte),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(unusable(error)),
            }
        }
    }
}

fn unusable(error: Errno) -> CliError {
    CliError::failure(format!("the terminal cannot be used: {error}"))
}
