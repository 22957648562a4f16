//! The commands: one file each. Owns their list; must not hold what one of them does.

mod ask;
mod audit;
mod check;
mod compile;
mod completions;
mod decide;
mod doctor;
mod explain_policy;
mod grants;
mod hook;
mod inspect;
mod install;
mod keys;
mod man;
mod order;
mod pending;
mod root;
mod run;
mod scope_exec;
mod selftest;
mod selftest_act;
mod sign;
mod status;
mod test;
mod unload;
mod verify;
mod why;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{
    error::{CliError, EXIT_CODES},
    output::Screen,
};

/// Puts a gate under AI agents: what a policy does not allow, the kernel denies
///
/// A policy says which programs an agent may execute, which files it may open and where it may
/// connect. `execlayer` checks and compiles policies, signs them, and runs programs under them; the
/// daemon `execlayerd` puts them in force in the kernel.
///
/// Try it:
///   execlayer check policies/coding-agent
///   sudo execlayer run --policy policies/coding-agent --user "$USER" -- bash
#[derive(Debug, Parser)]
#[command(name = "execlayer", version, verbatim_doc_comment, after_long_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Check(check::Args),
    ExplainPolicy(explain_policy::Args),
    Test(test::Args),
    Compile(compile::Args),
    Install(install::Args),
    Status(status::Args),
    Unload(unload::Args),
    Pending(pending::Args),
    Approve(decide::Approve),
    Deny(decide::Deny),
    Ask(ask::Args),
    Grants(grants::Args),
    Revoke(grants::Revoke),
    Why(why::Args),
    Hook(hook::Args),
    #[command(subcommand)]
    Audit(audit::Command),
    Doctor(doctor::Args),
    #[command(name = "selftest")]
    SelfTest(selftest::Args),
    #[command(subcommand)]
    Keys(keys::Command),
    #[command(subcommand)]
    Root(root::Command),
    Sign(sign::Args),
    Order(order::Args),
    Verify(verify::Args),
    Inspect(inspect::Args),
    Completions(completions::Args),
    Man(man::Args),
    #[command(hide = true)]
    ScopeExec(scope_exec::Args),
    #[command(hide = true, name = "selftest-act")]
    SelfTestAct(selftest_act::Args),
}

impl Cli {
    pub(crate) fn run(self, screen: &Screen) -> Result<ExitCode, CliError> {
        let exit = match self.command {
            Command::Run(args) => return run::run(&args, screen),
            Command::Hook(args) => return Ok(hook::run(args)),
            Command::ScopeExec(args) => return Err(scope_exec::run(&args)),
            Command::Check(args) => check::run(&args, screen),
            Command::ExplainPolicy(args) => explain_policy::run(&args, screen),
            Command::Test(args) => test::run(&args, screen),
            Command::Compile(args) => compile::run(&args, screen),
            Command::Install(args) => install::run(&args, screen),
            Command::Status(args) => status::run(&args, screen),
            Command::Unload(args) => unload::run(&args, screen),
            Command::Pending(args) => pending::run(&args, screen),
            Command::Approve(args) => decide::approve(&args, screen),
            Command::Deny(args) => decide::deny(&args, screen),
            Command::Ask(args) => ask::run(&args, screen),
            Command::Grants(args) => grants::run(&args, screen),
            Command::Revoke(args) => grants::revoke(&args, screen),
            Command::Why(args) => why::run(&args, screen),
            Command::Audit(command) => audit::run(&command, screen),
            Command::Doctor(args) => doctor::run(&args, screen),
            Command::SelfTest(args) => selftest::run(&args, screen),
            Command::SelfTestAct(args) => selftest_act::run(&args, screen),
            Command::Keys(command) => keys::run(&command, screen),
            Command::Root(command) => root::run(&command, screen),
            Command::Sign(args) => sign::run(&args, screen),
            Command::Order(args) => order::run(&args, screen),
            Command::Verify(args) => verify::run(&args, screen),
            Command::Inspect(args) => inspect::run(&args, screen),
            Command::Completions(args) => completions::run(&args, screen),
            Command::Man(args) => man::run(&args, screen),
        };
        exit.map(ExitCode::from)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_that_is_shown_teaches_with_an_example() {
        fn visit(command: &mut clap::Command) {
            command.build();
            for sub in command.get_subcommands_mut().filter(|sub| !sub.is_hide_set()) {
                let name = sub.get_name().to_owned();
                if name == "help" {
                    continue;
                }
                let help = sub.render_long_help().to_string();
                assert!(help.contains("Example"), "{name}: {help}");
                visit(sub);
            }
        }
        visit(&mut Cli::command());
    }
}
