//! Arguments, messages, run, exit code. Everything else is in the library.

use std::process::ExitCode;

use clap::Parser;
use execlayer_agent::{
    api, canary, courier, error::Exit, export, options::Options, pipeline, terminal,
};

fn main() -> ExitCode {
    let roles = [canary::run_child, courier::run_child, export::run_role, api::run_role];
    if let Some(code) = roles.into_iter().find_map(|role| role()) {
        return code;
    }
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(error) => {
            let is_help = !error.use_stderr();
            // Nobody is left to be told that the terminal is gone.
            let _ = error.print();
            return if is_help { Exit::Done } else { Exit::Usage }.into();
        }
    };
    if terminal::messages_to_stderr(options.verbose).is_err() {
        return Exit::Failed.into();
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!("cannot start: {error}");
            return Exit::Failed.into();
        }
    };
    match runtime.block_on(pipeline::run(options)) {
        Ok(()) => Exit::Done.into(),
        Err(error) => {
            terminal::report(&error, error.help().as_deref());
            error.exit().into()
        }
    }
}
