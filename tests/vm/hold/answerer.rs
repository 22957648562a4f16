//! Somebody who answers: a thread of the test that speaks the control protocol. Owns the connection and
//! what was seen and said on it; how a question is answered, each test says.

use anyhow::{Context, Result, bail};
use execlayer_api::{
    ErrorCode, Outcome, Question, Remember, Request, Response, decode_response, encode_request,
    places::{RUN_DIR, SOCKET},
};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

/// Between two looks at what is open.
const PAUSE: Duration = Duration::from_millis(3);

/// What becomes of a question now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Allow,
    Deny,
    /// It stays open, and comes again at the next look.
    Wait,
}

/// What a question was answered with, if the daemon took the answer.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) question: Question,
    pub(crate) allow: bool,
    /// If not, it may have been used all the same: a daemon that is killed says nothing.
    pub(crate) taken: bool,
}

/// One connection to the daemon.
pub(crate) struct Line(BufReader<UnixStream>);

impl Line {
    pub(crate) fn open() -> Result<Self> {
        let socket = UnixStream::connect(Path::new(RUN_DIR).join(SOCKET))?;
        Ok(Self(BufReader::new(socket)))
    }

    pub(crate) fn say(&mut self, request: &Request) -> Result<Response> {
        self.0.get_mut().write_all(&encode_request(request)?)?;
        let mut line = Vec::new();
        self.0.read_until(b'\n', &mut line)?;
        Ok(decode_response(&line)?)
    }

    pub(crate) fn questions(&mut self) -> Result<Vec<Question>> {
        match self.say(&Request::Questions {})? {
            Response::Done(Outcome::Questions(questions)) => Ok(questions),
            other => bail!("asked for questions, the daemon said {other:?}"),
        }
    }

    /// Whether the daemon took the answer: it does not if the question has ended.
    pub(crate) fn answer(&mut self, id: u64, allow: bool) -> Result<bool> {
        let remember = Remember::Once;
        match self.say(&Request::Answer { id, allow, remember, message: None })? {
            Response::Done(Outcome::Answered(_)) => Ok(true),
            Response::Error(failure) if failure.code == ErrorCode::UnknownQuestion => Ok(false),
            other => bail!("question {id} was answered, the daemon said {other:?}"),
        }
    }
}

/// The thread. Without [`Answerer::stop`] it goes on until the test ends.
pub(crate) struct Answerer {
    ending: Arc<AtomicBool>,
    taken: Arc<AtomicUsize>,
    thread: JoinHandle<Vec<Given>>,
}

impl Answerer {
    /// Asks `reply` about each open question, with the time since it was seen first, again and again. A
    /// daemon that is away is waited for.
    pub(crate) fn start(reply: impl FnMut(&Question, Duration) -> Reply + Send + 'static) -> Self {
        let (ending, taken) = (Arc::default(), Arc::default());
        let thread = spawn({
            let (ending, taken) = (Arc::clone(&ending), Arc::clone(&taken));
            move || work(reply, &ending, &taken)
        });
        Self { ending, taken, thread }
    }

    /// Answers every question so, a moment after it came.
    pub(crate) fn always(reply: Reply, after: Duration) -> Self {
        Self::start(move |_question, age| if age >= after { reply } else { Reply::Wait })
    }

    /// Answers that the daemon took.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }

    /// Ends it; what it answered.
    pub(crate) fn stop(self) -> Result<Vec<Given>> {
        self.ending.store(true, Ordering::SeqCst);
        self.thread.join().ok().context("the thread that answers panicked")
    }
}

fn work(
    mut reply: impl FnMut(&Question, Duration) -> Reply,
    ending: &AtomicBool,
    taken: &AtomicUsize,
) -> Vec<Given> {
    let mut given = Vec::new();
    let mut seen: BTreeMap<u64, Instant> = BTreeMap::new();
    let mut line = None;
    while !ending.load(Ordering::SeqCst) {
        // What failed is tried again with a new connection: its daemon may have been killed.
        let mut open = match line.take() {
            Some(open) => open,
            None => match Line::open() {
                Ok(open) => open,
                Err(_) => {
                    sleep(PAUSE);
                    continue;
                }
            },
        };
        let round = (|| {
            let questions = open.questions()?;
            seen.retain(|id, _since| questions.iter().any(|question| question.id == *id));
            for question in questions {
                let age = seen.entry(question.id).or_insert_with(Instant::now).elapsed();
                let allow = match reply(&question, age) {
                    Reply::Wait => continue,
                    reply => reply == Reply::Allow,
                };
                let id = question.id;
                let answered = open.answer(id, allow);
                let is_taken = matches!(answered, Ok(true));
                given.push(Given { question, allow, taken: is_taken });
                taken.fetch_add(usize::from(is_taken), Ordering::SeqCst);
                answered?;
            }
            anyhow::Ok(())
        })();
        line = round.is_ok().then_some(open);
        sleep(PAUSE);
    }
    given
}
