//! The other role of this executable, `execlayerd export`: what leaves the machine, in a process of its own without
//! privileges. Must not know what that is.

use std::{env, process::ExitCode};

use clap::Parser;
use execlayer_export::{options::Options, run::run};

use crate::{error::Exit, terminal};

const WORD: &str = "export";

/// If this process was started to export, does so.
pub fn run_role() -> Option<ExitCode> {
    let mut arguments = env::args_os();
    let program = arguments.next()?;
    if arguments.next()? != WORD {
        return None;
    }
    let options = match Options::try_parse_from([program].into_iter().chain(arguments)) {
        Ok(options) => options,
        Err(error) => {
            let is_help = !error.use_stderr();
            // Nobody is left to be told that the terminal is gone.
            let _ = error.print();
            return Some(if is_help { Exit::Done } else { Exit::Usage }.into());
        }
    };
    if terminal::messages_to_stderr(options.verbose).is_err() {
        return Some(Exit::Failed.into());
    }
    Some(match run(&options) {
        Ok(()) => Exit::Done.into(),
        Err(error) => {
            terminal::report(&error, None);
            if error.is_usage() { Exit::Usage } else { Exit::Failed }.into()
        }
    })
}
