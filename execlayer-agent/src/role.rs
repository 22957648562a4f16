//! Another role of this executable: its word on the command line, its options, its messages and its exit code. Must not
//! know what a role does.

use std::{env, error::Error, process::ExitCode};

use clap::Parser;

use crate::{error::Exit, terminal};

/// If the first argument is `word`, runs that role.
pub(crate) fn run<O: Parser, E: Error + 'static>(
    word: &str,
    is_verbose: impl Fn(&O) -> bool,
    run: impl FnOnce(O) -> Result<(), E>,
    is_usage: impl Fn(&E) -> bool,
) -> Option<ExitCode> {
    let mut arguments = env::args_os();
    let program = arguments.next()?;
    if arguments.next()? != word {
        return None;
    }
    let options = match O::try_parse_from([program].into_iter().chain(arguments)) {
        Ok(options) => options,
        Err(error) => {
            let is_help = !error.use_stderr();
            // Nobody is left to be told that the terminal is gone.
            let _ = error.print();
            return Some(if is_help { Exit::Done } else { Exit::Usage }.into());
        }
    };
    if terminal::messages_to_stderr(is_verbose(&options)).is_err() {
        return Some(Exit::Failed.into());
    }
    Some(match run(options) {
        Ok(()) => Exit::Done.into(),
        Err(error) => {
            terminal::report(&error, None);
            if is_usage(&error) { Exit::Usage } else { Exit::Failed }.into()
        }
    })
}
