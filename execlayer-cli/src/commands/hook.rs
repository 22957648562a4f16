//! `hook`: a verdict in the words of an agent's own hook. Must not decide it.

use std::{path::PathBuf, process::ExitCode};

use execlayer_api::places;

use crate::hook::{self, Agent, OnHold, Settings};

/// Answers an agent's hook with what the policy says
///
/// Made to be called by the agent before each tool call: reads the call from standard input, asks the
/// daemon, and answers in that agent's own protocol. Whatever goes wrong, it ends with 2 and a reason
/// on standard error, which makes the agent block the call.
///
/// An allow leaves the agent's own permission prompts in place. A hook is no boundary: an agent can
/// be told to run none, and some let a call pass if the hook is killed. The kernel gate is the boundary.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  execlayer hook claude-code
  execlayer hook cursor --deadline 20 --on-hold deny
  echo '{\"hook_event_name\":\"PreToolUse\",\"tool_name\":\"Bash\",\"cwd\":\"/\",
    \"tool_input\":{\"command\":\"git push\"}}' | execlayer hook claude-code"
)]
pub(crate) struct Args {
    /// Whose protocol
    #[arg(value_enum)]
    agent: Agent,
    /// Socket of the daemon's HTTP API [default: /run/execlayer-api/api.sock]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// For everything together; keep it below the timeout that the agent sets its hooks
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 50,
        value_parser = clap::value_parser!(u64).range(1..=3_600)
    )]
    deadline: u64,
    /// What to do about a call that a person is asked about
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = OnHold::Wait)]
    on_hold: OnHold,
}

pub(crate) fn run(args: Args) -> ExitCode {
    let Args { agent, socket, deadline, on_hold } = args;
    let socket = socket.unwrap_or_else(|| PathBuf::from(places::API_SOCKET));
    hook::run(&Settings { agent, socket, deadline, on_hold })
}
