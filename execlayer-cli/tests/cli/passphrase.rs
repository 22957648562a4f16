//! A passphrase that is typed: unseen, and the terminal as it was whatever ends or stops the tool.

use std::{os::unix::process::ExitStatusExt, process::Command};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    harness::{Place, TOOL},
    pty::Pty,
};

const PROMPT: &str = "New passphrase of `k.key`: ";

/// A program in a session of its own, whose terminal is the test's.
fn at_terminal(place: &Place, words: &[&str]) -> Pty {
    // Whoever started the tests may ignore the signals that are tried.
    let mut command: Command =
        place.command("env".as_ref(), &["--default-signal", "setsid", "--ctty"]);
    command.args(words).env_remove("EXECLAYER_PASSPHRASE_FILE");
    Pty::start(command, "")
}

fn asked(place: &Place) -> Pty {
    let mut pty = at_terminal(place, &[TOOL, "keys", "new", "k", "--passphrase"]);
    pty.until(PROMPT);
    assert!(!pty.shows_typed(), "what is typed is shown");
    pty
}

#[test]
fn what_is_typed_unseen_locks_a_key() {
    let place = Place::new();
    let mut pty = asked(&place);
    pty.say("correct horse\n");
    let shown = pty.until("The same again: ");
    pty.say("correct horse\n");
    assert!(pty.child.wait().unwrap().success());
    assert!(!shown.contains("horse") && pty.shows_typed());
    assert!(std::fs::read_to_string(place.at("k.key")).unwrap().contains("ENCRYPTED"));
}

#[test]
fn a_key_that_ends_the_tool_leaves_a_terminal_that_shows_what_is_typed() {
    for (key, signal) in [("half\x03", Signal::SIGINT), ("\x1c", Signal::SIGQUIT)] {
        let place = Place::new();
        let mut pty = asked(&place);
        pty.say(key);
        let status = pty.child.wait().unwrap();
        assert_eq!(status.signal(), Some(signal as i32), "{status:?}");
        assert!(pty.shows_typed(), "{signal}");
        assert!(!place.at("k.key").exists());
    }
}

#[test]
fn a_signal_that_ends_the_tool_leaves_a_terminal_that_shows_what_is_typed() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT] {
        let mut pty = asked(&Place::new());
        kill(Pid::from_raw(i32::try_from(pty.child.id()).unwrap()), signal).unwrap();
        let status = pty.child.wait().unwrap();
        assert_eq!(status.signal(), Some(signal as i32), "{status:?}");
        assert!(pty.shows_typed(), "{signal}");
    }
}

#[test]
fn a_stopped_tool_leaves_the_terminal_to_others_and_asks_again() {
    let place = Place::new();
    let script = "set -m; \"$0\" keys new k --passphrase; echo code $?; read -r go; fg; echo end";
    let mut pty = at_terminal(&place, &["sh", "-c", script, TOOL]);
    pty.until(PROMPT);
    assert!(!pty.shows_typed());
    pty.say("half\x1a");
    // 128 and SIGTSTP's number.
    pty.until("code 148");
    assert!(pty.shows_typed(), "another program's lines are not shown");
    pty.say("go\n");
    pty.until(PROMPT);
    assert!(!pty.shows_typed(), "it goes on, and shows what is typed");
    pty.say("correct horse\n");
    pty.until("The same again: ");
    // What was typed before it stopped is not part of it.
    pty.say("correct horse\n");
    pty.until("end");
    assert!(pty.child.wait().unwrap().success() && place.at("k.key").exists());
    assert!(pty.shows_typed());
}
