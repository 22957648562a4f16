//! Passphrases: from a file that only its owner reads, or typed unseen. Must not know what they lock.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    os::fd::AsFd,
    path::Path,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, Signal, raise},
        signalfd::{SfdFlags, SignalFd},
        termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr},
    },
    unistd::read,
};
use zeroize::Zeroizing;

use crate::{error::CliError, files};

/// Names the file, for where nobody types.
pub(crate) const VARIABLE: &str = "EXECLAYER_PASSPHRASE_FILE";
/// The same, of the passphrase that takes its place.
pub(crate) const NEW_VARIABLE: &str = "EXECLAYER_NEW_PASSPHRASE_FILE";
const TERMINAL: &str = "/dev/tty";
/// Bytes of a passphrase.
const LIMIT: usize = 1_024;
/// What ends or stops the tool, unless something else was made of it. The terminal shows what is typed before it does.
const SIGNALS: [Signal; 5] =
    [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGTSTP];

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

/// The terminal, without what is typed being shown. As before when it is dropped, and while a signal does what it does.
struct Unseen {
    terminal: File,
    before: Termios,
    unseen: Termios,
    caught: SigSet,
    signals: SignalFd,
    /// What was held back before, and stays so.
    mask: SigSet,
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
        let mask = SigSet::thread_get_mask().map_err(unusable)?;
        let caught = SIGNALS.into_iter().filter(|&signal| !mask.contains(signal)).collect();
        let signals = SignalFd::with_flags(&caught, SfdFlags::SFD_CLOEXEC).map_err(unusable)?;
        caught.thread_block().map_err(unusable)?;
        let unseen = Self { terminal, before, unseen, caught, signals, mask };
        unseen.hide().map_err(unusable)?;
        Ok(unseen)
    }

    fn hide(&self) -> nix::Result<()> {
        // What was typed before was meant for something else.
        tcsetattr(self.terminal.as_fd(), SetArg::TCSAFLUSH, &self.unseen)
    }

    fn ask(&mut self, prompt: &str) -> Result<Zeroizing<String>, CliError> {
        let mut line = Zeroizing::new(Vec::with_capacity(LIMIT));
        self.prompt(prompt)?;
        while line.len() < LIMIT {
            if let Some(signal) = self.signal_or_typed().map_err(unusable)? {
                self.obey(signal).map_err(unusable)?;
                line = Zeroizing::new(Vec::with_capacity(LIMIT));
                self.prompt(prompt)?;
                continue;
            }
            let mut byte = Zeroizing::new([0]);
            match read(&self.terminal, byte.as_mut_slice()).map_err(unusable)? {
                0 => break,
                _ if *byte == *b"\n" => {
                    let text = std::str::from_utf8(&line).map_err(|_not_text| {
                        CliError::failure("what was typed is not text in UTF-8")
                    })?;
                    return Ok(Zeroizing::new(text.to_owned()));
                }
                _ => line.extend_from_slice(byte.as_slice()),
            }
        }
        // A line that has no end was cut, or given up.
        Err(CliError::failure("no passphrase was given"))
    }

    fn prompt(&mut self, prompt: &str) -> Result<(), CliError> {
        let written = self.terminal.write_all(prompt.as_bytes());
        written.map_err(|error| files::cannot("use", Path::new(TERMINAL), &error))
    }

    /// Waits for a signal, or until something can be read: then there is none.
    fn signal_or_typed(&self) -> nix::Result<Option<Signal>> {
        let readable = |descriptor| PollFd::new(descriptor, PollFlags::POLLIN);
        let mut both = [readable(self.signals.as_fd()), readable(self.terminal.as_fd())];
        loop {
            match poll(&mut both, PollTimeout::NONE) {
                // A process that was stopped goes on.
                Err(Errno::EINTR) => {}
                done => {
                    done?;
                    break;
                }
            };
        }
        if !both.first().and_then(PollFd::any).unwrap_or_default() {
            return Ok(None);
        }
        let info = self.signals.read_signal()?.ok_or(Errno::EIO)?;
        Signal::try_from(i32::try_from(info.ssi_signo).map_err(|_too_large| Errno::EINVAL)?)
            .map(Some)
    }

    /// Lets a signal do what it does, with the terminal as it was. Comes back if it only stopped the tool, or nothing.
    fn obey(&self, signal: Signal) -> nix::Result<()> {
        tcsetattr(self.terminal.as_fd(), SetArg::TCSAFLUSH, &self.before)?;
        raise(signal)?;
        self.mask.thread_set_mask()?;
        self.caught.thread_block()?;
        self.hide()
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing any more, and a mask that could be set can be set back.
        let _ = tcsetattr(self.terminal.as_fd(), SetArg::TCSAFLUSH, &self.before);
        let _ = self.mask.thread_set_mask();
    }
}

fn unusable(error: Errno) -> CliError {
    CliError::failure(format!("the terminal cannot be used: {error}"))
}
