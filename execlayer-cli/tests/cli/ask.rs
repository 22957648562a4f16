//! Claims about `ask`, at a terminal of the tests' own.

use std::sync::{Arc, Mutex};

use execlayer_api::{About, ErrorCode, Outcome, Question, Remember, Request, Response, Whose};

use crate::{
    harness::{Daemon, Place, answer, question, refusal},
    pty::Pty,
};

const PROMPT: &str = "[q] quit: ";

/// What the daemon lists.
type Open = Arc<Mutex<Vec<Question>>>;

/// The tool at a terminal, and a daemon whose questions end when they are answered.
struct Talk {
    _place: Place,
    daemon: Daemon,
    open: Open,
    pty: Pty,
}

impl Talk {
    /// `typed` is typed before the tool starts.
    fn start(questions: Vec<Question>, typed: &str) -> Self {
        let place = Place::new();
        let open: Open = Arc::new(Mutex::new(questions));
        let list = Arc::clone(&open);
        let daemon = Daemon::listen(&place.at("run"), move |request| match request {
            Request::Questions {} => {
                Some(Response::Done(Outcome::Questions(list.lock().unwrap().clone())))
            }
            Request::Answer { id, .. } => {
                let mut list = list.lock().unwrap();
                let count = list.len();
                list.retain(|question| question.id != *id);
                if list.len() == count {
                    return Some(refusal(ErrorCode::UnknownQuestion, "no such question", "look"));
                }
                answer(request, "".as_ref())
            }
            other => answer(other, "".as_ref()),
        });
        let mut command = place.tool(&["ask", "--run-dir", "run", "--agent", "tester"]);
        command.env("TERM", "dumb");
        let pty = Pty::start(command, typed);
        Self { _place: place, daemon, open, pty }
    }

    fn until(&mut self, part: &str) -> String {
        self.pty.until(part)
    }

    fn say(&mut self, text: &str) {
        self.pty.say(text);
    }

    fn end(mut self) -> Vec<(u64, bool, Remember)> {
        assert_eq!(self.pty.child.wait().unwrap().code(), Some(0));
        let answers = self.daemon.asked().into_iter().filter_map(|request| match request {
            Request::Answer { id, allow, remember, .. } => Some((id, allow, remember)),
            _ => None,
        });
        answers.collect()
    }
}

fn numbered(id: u64) -> Question {
    Question { id, ..question() }
}

#[test]
fn a_question_is_said_in_plain_words() {
    let exec = Question {
        access: vec!["exec".into()],
        subject: "/usr/bin/x\x1b[2J".into(),
        command: vec!["sh".into(), "-c".into(), "x\ty".into()],
        digest: Some("ab12".into()),
        asked: "lint".into(),
        calls: 3,
        held: false,
        ..question()
    };
    let mut talk = Talk::start(vec![exec], "");
    let text = talk.until(PROMPT);
    for part in [
        "question 7 of agent `tester`",
        "/usr/bin/git (process 42, uid 1000)",
        r"sh -c 'x\u{9}y'",
        r"wants to execute /usr/bin/x\u{1b}[2J",
        "ab12",
        "rule `web` (policy.toml:3)",
        "Someone should know where to.",
        "lint, and you",
        "56 s left; 3 equal calls wait",
        "failed already; a yes is for the next try",
        "[y] yes, once  [t] yes, for 10 minutes  [n] no (default)  [s] skip",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains('\x1b'), "{text:?}");
    talk.say("q\n");
    assert_eq!(talk.end(), []);
}

#[test]
fn each_key_does_what_the_prompt_says() {
    let other = Question { agent: "other".into(), ..numbered(99) };
    let questions = [other].into_iter().chain((1..=5).map(numbered)).collect();
    let mut talk = Talk::start(questions, "");
    for (keys, id) in [("y\n", 1), ("t\n", 2), ("\n", 3), ("s\n", 4), ("maybe\n", 5)] {
        let text = talk.until(PROMPT);
        assert!(text.contains(&format!("question {id} ")), "{text}");
        talk.say(keys);
    }
    talk.until("none of y, t, n, s and q");
    talk.until(PROMPT);
    talk.say("N\n");
    talk.until("5: is denied");
    talk.until("no call waits; Ctrl-C ends");
    talk.open.lock().unwrap().push(numbered(6));
    assert!(talk.until(PROMPT).contains("question 6 "));
    talk.say("q\n");
    let (scope, about) = (Whose::Tree, About::Subject);
    let expected = [
        (1, true, Remember::Once),
        (2, true, Remember::For { seconds: 600, scope, about }),
        (3, false, Remember::Once),
        (5, false, Remember::Once),
    ];
    assert_eq!(talk.end(), expected);
}

#[test]
fn what_is_typed_before_a_question_is_shown_answers_nothing() {
    let mut talk = Talk::start(vec![numbered(1), numbered(2)], "y\ny\ny");
    talk.until(PROMPT);
    // The second line is there before the second question.
    talk.say("n\ny\ny\n");
    talk.until("1: is denied");
    talk.until("question 2 ");
    talk.until(PROMPT);
    talk.say("\n");
    talk.until("2: is denied");
    talk.until("no call waits");
    talk.open.lock().unwrap().push(numbered(3));
    talk.until(PROMPT);
    talk.say("q\n");
    assert_eq!(talk.end(), [(1, false, Remember::Once), (2, false, Remember::Once)]);
}

#[test]
fn an_answer_to_a_question_that_has_ended_is_nobodys() {
    let mut talk = Talk::start(vec![numbered(1)], "");
    talk.until(PROMPT);
    // The number is that of another question now, as after a new start of the daemon.
    *talk.open.lock().unwrap() = vec![Question { subject: "/etc/shadow".into(), ..numbered(1) }];
    talk.say("y\n");
    talk.until("question 1 has ended meanwhile; nothing was answered");
    *talk.open.lock().unwrap() = vec![numbered(2)];
    talk.until(PROMPT);
    talk.open.lock().unwrap().clear();
    talk.say("y\n");
    talk.until("question 2 has ended meanwhile; nothing was answered");
    talk.until("no call waits");
    talk.open.lock().unwrap().push(numbered(3));
    talk.until(PROMPT);
    talk.say("q\n");
    assert_eq!(talk.end(), []);
}

#[test]
fn the_end_of_input_answers_nothing() {
    for keys in ["\x04", "y\x04\x04"] {
        let mut talk = Talk::start(vec![numbered(1)], "");
        talk.until(PROMPT);
        talk.say(keys);
        assert_eq!(talk.end(), [], "{keys:?}");
    }
}

#[test]
fn without_a_terminal_there_is_nobody_to_ask() {
    let place = Place::new();
    let daemon = Daemon::listen(&place.at("run"), |request| answer(request, "".as_ref()));
    let called = place.call(&["ask", "--run-dir", "run"]);
    assert_eq!(called.code, Some(1));
    assert!(called.err.contains("approve") && called.err.contains("deny"), "{called:?}");
    assert_eq!(daemon.asked(), []);
}
