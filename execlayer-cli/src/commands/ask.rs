//! `ask`: one question at a time, answered at the terminal. Must never apply an answer to another
//! question than the one that was shown.

use std::{collections::BTreeSet, time::Duration};

use execlayer_api::{About, ErrorCode, Question, Remember, Whose};

use crate::{
    daemon::Places,
    error::{CliError, Exit},
    held::{self, Answer, FAILED_ALREADY},
    output::{Screen, printable},
    terminal::Terminal,
    words,
};

/// Between two looks for a question.
const PAUSE: Duration = Duration::from_millis(500);
/// What `t` stands for.
const A_WHILE: u64 = 10 * 60;
/// Characters of a command line: a longer one must not push the question off the screen.
const COMMAND: usize = 400;

const PROMPT: &str =
    "[y] yes, once  [t] yes, for 10 minutes  [n] no (default)  [s] skip  [q] quit: ";

/// Asks at the terminal about each call that is held
///
/// Shows one question at a time and waits for the next. Enter alone is no; what is typed before a
/// question is shown does not count. Whoever quits has answered nothing: time denies what is open.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  sudo execlayer ask
  sudo execlayer ask --agent coding-agent"
)]
pub(crate) struct Args {
    /// Only questions of this agent
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    #[command(flatten)]
    places: Places,
}

/// What a person chose.
enum Choice {
    Answer { allow: bool, remember: Remember },
    Skip,
    Quit,
}

pub(crate) fn run(args: &Args, screen: &Screen) -> Result<Exit, CliError> {
    let terminal = Terminal::open().ok_or_else(|| {
        CliError::failure("there is no terminal to ask at")
            .help("answer with `execlayer approve ID` or `execlayer deny ID`")
            .help("`execlayer pending` lists what is open")
    })?;
    // Skipped, or answered: not shown again as long as the daemon lists them.
    let mut done = BTreeSet::new();
    let mut is_idle = false;
    loop {
        let questions = held::questions(&args.places, args.agent.as_deref())?;
        done.retain(|id| questions.iter().any(|question| question.id == *id));
        let Some(question) = questions.iter().find(|question| !done.contains(&question.id)) else {
            if !is_idle {
                screen.print("no call waits; Ctrl-C ends")?;
                is_idle = true;
            }
            std::thread::sleep(PAUSE);
            continue;
        };
        is_idle = false;
        done.insert(question.id);
        screen.print(&text(question, screen))?;
        terminal.forget_typed()?;
        match choice(&terminal, screen)? {
            Choice::Quit => return Ok(Exit::Done),
            Choice::Skip => {}
            Choice::Answer { allow, remember } => {
                let answer = Answer { allow, remember, message: None };
                give(&args.places, question, &answer, screen)?;
            }
        }
    }
}

fn choice(terminal: &Terminal, screen: &Screen) -> Result<Choice, CliError> {
    loop {
        screen.prompt(PROMPT)?;
        let Some(line) = terminal.line()? else {
            // The shell's own prompt begins on a line of its own.
            screen.print("")?;
            return Ok(Choice::Quit);
        };
        let (allow, remember) = match line.trim().to_lowercase().as_str() {
            "y" | "yes" => (true, Remember::Once),
            "t" => {
                let (scope, about) = (Whose::Tree, About::Subject);
                (true, Remember::For { seconds: A_WHILE, scope, about })
            }
            "" | "n" | "no" => (false, Remember::Once),
            "s" | "skip" => return Ok(Choice::Skip),
            "q" | "quit" => return Ok(Choice::Quit),
            _ => {
                screen.print("that is none of y, t, n, s and q")?;
                continue;
            }
        };
        return Ok(Choice::Answer { allow, remember });
    }
}

fn give(
    places: &Places,
    shown: &Question,
    answer: &Answer<'_>,
    screen: &Screen,
) -> Result<(), CliError> {
    // A daemon that was started anew may count its questions anew.
    let is_open = held::questions(places, None)?.iter().any(|open| is_same(open, shown));
    let gone = format!("question {} has ended meanwhile; nothing was answered", shown.id);
    if !is_open {
        return screen.print(&gone);
    }
    match held::answer(places, shown.id, answer)? {
        Ok(answered) => screen.print(&held::outcome(&answered)),
        Err(failure) if failure.code == ErrorCode::UnknownQuestion => screen.print(&gone),
        Err(failure) => {
            CliError::failure(failure.message).help_if(failure.help).print(screen);
            Ok(())
        }
    }
}

fn is_same(a: &Question, b: &Question) -> bool {
    (a.id, &a.agent, a.pid, &a.program) == (b.id, &b.agent, b.pid, &b.program)
        && (&a.operation, &a.access, &a.subject) == (&b.operation, &b.access, &b.subject)
        && (&a.rule, &a.digest) == (&b.rule, &b.digest)
}

fn text(question: &Question, screen: &Screen) -> String {
    let paint = screen.on_output;
    let (bold, reset) = (paint.bold(), paint.reset());
    let agent = printable(&question.agent);
    let mut text = format!("\n{bold}question {} of agent `{agent}`{reset}\n", question.id);
    let mut say = |name: &str, what: &str| text.push_str(&format!("  {name:<8} {what}\n"));
    let (program, pid, uid) = (printable(&question.program), question.pid, question.uid);
    say("who:", &format!("{program} (process {pid}, uid {uid})"));
    if !question.command.is_empty() {
        say("called:", &words::shortened(&words::command(&question.command), COMMAND));
    }
    let act = words::act(&question.access, &question.subject);
    say("what:", &format!("{bold}wants to {act}{reset}"));
    if let Some(digest) = &question.digest {
        say("sha256:", &printable(digest));
    }
    say("rule:", &words::rule(question.rule.as_deref(), question.file.as_deref(), question.line));
    if let Some(message) = &question.message {
        say("reason:", &printable(message));
    }
    if question.asked != "human" {
        say("asked:", &format!("{}, and you", printable(&question.asked)));
    }
    let calls = match question.calls {
        0 | 1 => String::new(),
        calls => format!("; {calls} equal calls wait"),
    };
    say("time:", &format!("{} left{calls}", words::span(question.left)));
    if !question.held {
        say("note:", FAILED_ALREADY);
    }
    text
}
