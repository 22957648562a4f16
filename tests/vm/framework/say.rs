//! The lines that the host understands. Each begins with a mark and a verb.

use std::io::Write;
use std::time::Duration;

fn say(what: &str) {
    // A host that does not listen any more has ended the guest already.
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "@vm {what}").and_then(|()| out.flush());
}

pub(super) fn start(test: &str) {
    say(&format!("start {test}"));
}

pub(super) fn output(line: &str) {
    say(&format!("out {line}"));
}

pub(super) fn pass(test: &str, took: Duration) {
    say(&format!("pass {test} {:.1}", took.as_secs_f64()));
}

pub(super) fn fail(test: &str, why: &str) {
    say(&format!("fail {test} {why}"));
}

pub(super) fn note(what: &str) {
    say(&format!("note {what}"));
}

/// The guest's command cannot be run, or it is no place to run tests.
pub(super) fn refused(why: &str) {
    say(&format!("refused {}", why.replace('\n', " ")));
}

/// The guest's command has ended.
pub(super) fn exit(code: i32) {
    say(&format!("exit {code}"));
}
