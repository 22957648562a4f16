//! Questions of the daemon: taken from records, ended by time and people, written into the log. How one
//! is settled is `defer`'s.

use std::{io, time::Duration};

use execlayer_api::{Answered, ErrorCode, Failure, Question};
use execlayer_common::question::STATE_OPEN;

use super::{Daemon, failure};
use crate::{
    defer::{self, Ending, Pending},
    kernel::events::Observed,
    record::{line, text, time},
    state::Concern,
};

const SECOND: u64 = 1_000_000_000;
/// Looks for questions that came while the daemon ended, and how long lies between them.
const LAST_LOOKS: u32 = 10;
const LAST_PAUSE: Duration = Duration::from_millis(10);

impl Daemon {
    /// From now on questions are taken, if calls are held at all. Who waits since an earlier daemon asks
    /// again.
    pub(super) fn begin_questions(&mut self) {
        self.beat();
        match defer::ask_all_again(self.gate.holding()) {
            Ok(0) => {}
            Ok(asked) => tracing::info!("{asked} calls that were held ask again"),
            Err(error) => self.note_questions(error),
        }
    }

    /// Nothing more is asked; what is open is denied, and who waits goes on.
    pub(super) fn end_questions(&mut self) {
        let ended = self.gate.holding().tell(execlayer_common::question::daemon::BEAT, 0);
        self.note_questions_if(ended);
        let open: Vec<u64> = self.deferred.open().map(|(id, _pending)| id).collect();
        for id in open {
            self.end(id, Ending::Denied, "execlayerd is ending", None);
        }
        // Who was about to ask while this began, and whose record nobody took, asks again: in vain.
        for _ in 0..LAST_LOOKS {
            match self.gate.holding().questions() {
                Ok(left) if left.iter().all(|(_key, question)| question.state != STATE_OPEN) => {
                    break;
                }
                Ok(_open) => {
                    let asked = defer::ask_all_again(self.gate.holding()).map(|_count| ());
                    self.note_questions_if(asked);
                }
                Err(error) => return self.note_questions(error),
            }
            std::thread::sleep(LAST_PAUSE);
        }
    }

    /// A record that is a question.
    pub(super) fn take_question(&mut self, observed: Observed) {
        let Some((id, key)) = observed.question else { return };
        let patience = u64::from(self.options.hold.unwrap_or_default());
        let deadline = observed.time.saturating_add(patience.saturating_mul(SECOND));
        self.deferred.ask(id, Pending { key, observed, deadline });
    }

    /// Every second.
    pub(super) fn tick_questions(&mut self) {
        if self.stopping {
            return;
        }
        self.beat();
        let now = time::boot();
        for (id, ending) in self.deferred.due(now) {
            self.end(id, ending, "execlayerd", None);
        }
        let released = self.deferred.release(self.gate.holding(), now);
        self.note_questions_if(released);
        match self.deferred.reconcile(self.gate.holding(), now) {
            Ok(0) => {}
            Ok(asked) => tracing::warn!("{asked} questions without a record are asked again"),
            Err(error) => self.note_questions(error),
        }
    }

    /// What is open, for whoever answers.
    pub(super) fn questions(&self) -> Vec<Question> {
        let now = time::boot();
        let question = |(id, pending): (u64, &Pending)| {
            let observed = &pending.observed;
            let known = self.profiles.provenance(observed.profile, observed.generation);
            let rule = line::rule_of(observed, known.map(AsRef::as_ref));
            Question {
                id,
                agent: known.map_or_else(String::new, |known| known.agent.clone()),
                pid: observed.tgid,
                uid: observed.uid,
                program: text::escaped(&observed.exe),
                operation: observed.operation.name().to_owned(),
                access: line::access_names(observed.access)
                    .into_iter()
                    .map(str::to_owned)
                    .collect(),
                subject: line::subject(observed),
                rule: rule.id.map(str::to_owned),
                file: rule.file.map(str::to_owned),
                line: rule.line,
                message: rule.message.map(str::to_owned),
                command: Vec::new(),
                digest: None,
                asked: "human".to_owned(),
                held: true,
                calls: 1,
                remember: None,
                waits: now.saturating_sub(observed.time) / SECOND,
                left: pending.deadline.saturating_sub(now) / SECOND,
            }
        };
        self.deferred.open().map(question).collect()
    }

    /// Somebody's answer.
    pub(super) fn answer_question(
        &mut self,
        id: u64,
        allow: bool,
        message: Option<&str>,
        by: &str,
    ) -> Result<Answered, Failure> {
        let ending = if allow { Ending::Allowed } else { Ending::Denied };
        if self.end(id, ending, by, message) {
            return Ok(Answered { id, allowed: allow, calls: 1, grant: None });
        }
        let mut refused =
            failure(ErrorCode::UnknownQuestion, format!("there is no open question {id}"));
        refused.help = Some("`execlayer pending` lists those that are".to_owned());
        Err(refused)
    }

    /// Ends a question; whether it was there.
    fn end(&mut self, id: u64, ending: Ending, by: &str, message: Option<&str>) -> bool {
        let now = time::boot();
        let Some(pending) = self.deferred.settle(id, ending) else { return false };
        let held = now.saturating_sub(pending.observed.time) / 1_000_000;
        let real = now.saturating_add(self.offset);
        self.write(line::answer(id, ending.name(), by, message, held, real));
        let released = self.deferred.release(self.gate.holding(), now);
        self.note_questions_if(released);
        true
    }

    fn beat(&mut self) {
        let now = if self.options.hold.is_some() { time::boot() } else { 0 };
        let beaten = self.gate.holding().tell(execlayer_common::question::daemon::BEAT, now);
        self.note_questions_if(beaten);
    }

    fn note_questions_if(&mut self, done: io::Result<()>) {
        if let Err(error) = done {
            self.note_questions(error);
        }
    }

    fn note_questions(&mut self, error: io::Error) {
        self.health.raise(Concern::Maps, format!("cannot reach the kernel's questions: {error}"));
    }
}
