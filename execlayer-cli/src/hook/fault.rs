//! What ends a hook without a verdict: one line for the agent, and the exit code that blocks. Must not
//! let anything end otherwise.

use std::{
    borrow::Cow,
    fmt,
    io::{self, Write},
};

use crate::{error::Exit, output::printable, words};

/// Characters of a reason: it may quote what others said.
const LONGEST: usize = 600;

/// Why there is no verdict.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault(Cow<'static, str>);

impl Fault {
    pub(crate) fn new(why: impl Into<Cow<'static, str>>) -> Self {
        Self(why.into())
    }

    /// One line on standard error, written at once: an agent that is given none may not block. Should the
    /// deadline pass at this moment there are two, but never half of one.
    pub(crate) fn print(&self) {
        let why = printable(&words::shortened(&self.0, LONGEST));
        let line = format!("execlayer hook: {why}; the call is blocked\n");
        // Nobody is left to tell if this fails.
        let _ = io::stderr().lock().write_all(line.as_bytes());
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Makes every panic of this process end it with the exit code that blocks, unwinding or not.
pub(crate) fn block_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        Fault::new(format!("internal error at {place}")).print();
        std::process::exit(i32::from(Exit::Usage as u8));
    }));
}
