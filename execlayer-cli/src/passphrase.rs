//! Passphrases: from a file that only its owner reads, or typed unseen. Must not know what they lock.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Read, Write},
    os::fd::AsFd,
    path::Path,
};

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::{error::CliError, files};

/// Names the file, for where nobody types.
pub(crate) const VARIABLE: &str = "EXECLAYER_PASSPHRASE_FILE";
/// The same, of the passphrase that takes its place.
pub(crate) const NEW_VARIABLE: &str = "EXECLAYER_NEW_PASSPHRASE_FILE";
const TERMINAL: &str = "/dev/tty";
/// Bytes of a passphrase.
const LIMIT: usize = 1_024;

/// The passphrase that opens `what`.
pub(crate) fn of(what: &str) -> Result<Zeroizing<String>, CliError> {
    match from_file(VARIABLE)? {
        Some(passphrase) => Ok(passphrase),
        None => Unseen::open(what, VARIABLE)?.ask(&format!("Passphrase of {what}: ")),
    }
}

/// A new one for `what`, from the file that `variable` names, or typed twice.
pub(crate) fn new_for(what: &str, variable: &str) -> Result<Zeroizing<String>, CliError> {
    let passphrase = match from_file(variable)? {
        Some(passphrase) => passphrase,
        None => {
            let mut terminal = Unseen::open(what, variable)?;
            let passphrase = terminal.ask(&format!("New passphrase of {what}: "))?;
            if *terminal.ask("The same again: ")? != *passphrase {
                return Err(CliError::failure("the two differ"));
            }
            passphrase
        }
    };
    if passphrase.is_empty() {
        return Err(CliError::failure("a passphrase has at least one character"));
    }
    Ok(passphrase)
}

fn from_file(variable: &str) -> Result<Option<Zeroizing<String>>, CliError> {
    let Some(path) = std::env::var_os(variable).filter(|path| !path.is_empty()) else {
        return Ok(None);
    };
    let bytes = Zeroizing::new(files::read_private(Path::new(&path), LIMIT)?);
    let wrong =
        || CliError::failure(format!("the file that {variable} names is not one line of text"));
    let text = std::str::from_utf8(&bytes).map_err(|_not_text| wrong())?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    if line.contains('\n') {
        return Err(wrong());
    }
    Ok(Some(Zeroizing::new(line.to_owned())))
}

/// The terminal, without what is typed being shown. As before when it is dropped.
struct Unseen {
    terminal: File,
    before: Termios,
}

impl Unseen {
    fn open(what: &str, variable: &str) -> Result<Self, CliError> {
        let terminal = OpenOptions::new().read(true).write(true).open(TERMINAL);
        let terminal = terminal.map_err(|_no_terminal| {
            CliError::failure(format!("nobody can be asked for the passphrase of {what}"))
                .help(format!("name a file with it that only you can read: {variable}=FILE"))
        })?;
        let before = tcgetattr(terminal.as_fd()).map_err(unusable)?;
        let mut unseen = before.clone();
        unseen.local_flags.remove(LocalFlags::ECHO);
        unseen.local_flags.insert(LocalFlags::ECHONL);
        // What was typed before was meant for something else.
        tcsetattr(terminal.as_fd(), SetArg::TCSAFLUSH, &unseen).map_err(unusable)?;
        Ok(Self { terminal, before })
    }

    fn ask(&mut self, prompt: &str) -> Result<Zeroizing<String>, CliError> {
        let failed = |error| files::cannot("use", Path::new(TERMINAL), &error);
        self.terminal.write_all(prompt.as_bytes()).map_err(failed)?;
        let mut line = Zeroizing::new(String::with_capacity(LIMIT));
        BufReader::with_capacity(1, &self.terminal)
            .take(LIMIT as u64)
            .read_line(&mut line)
            .map_err(failed)?;
        // A line that has no end was cut, or given up.
        match line.strip_suffix('\n') {
            Some(text) => Ok(Zeroizing::new(text.to_owned())),
            None => Err(CliError::failure("no passphrase was given")),
        }
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing any more.
        let _ = tcsetattr(self.terminal.as_fd(), SetArg::TCSAFLUSH, &self.before);
    }
}

fn unusable(error: nix::errno::Errno) -> CliError {
    CliError::failure(format!("the terminal cannot be used: {error}"))
}
