//! Questions, grants and denials as the tool is told of them, and what people say about them.

use std::{fs, io::Read as _};

use execlayer_api::{
    About, Answered, Denial, ErrorCode, Failure, Grant, MAX_GRANT, Question, Remember, Revoked,
    Whose, text,
};

use super::{Daemon, SECOND, asking, chain};
use crate::{
    daemon::{answer::Caller, failure},
    defer::{Ending, Pending, Stage},
    grants::Wish,
    record::{line, time},
};

/// Seconds for which a yes holds whose call has failed already.
const RETRY_LIFE: u64 = 60;
/// Bytes of a command line that are shown.
const MAX_COMMAND: u64 = 4_096;

impl Daemon {
    /// What is open, for whoever answers: each question once with its equals.
    pub(in crate::daemon) fn questions(&self) -> Vec<Question> {
        let now = time::boot();
        let leading = self.deferred.open().filter(|(_id, pending)| pending.stage != Stage::Follows);
        let kernels = leading.map(|(id, pending)| self.view(id, pending, now));
        let tools = self.tools.open().map(|(id, pending)| self.view(id, pending, now));
        kernels.chain(tools).collect()
    }

    pub(in crate::daemon) fn view(&self, id: u64, pending: &Pending, now: u64) -> Question {
        let observed = &pending.observed;
        let known = self.profiles.provenance(observed.profile, observed.generation);
        let known = known.map(AsRef::as_ref);
        let rule = line::rule_of(observed, known);
        let chain = chain(observed, known);
        let asked = chain.get(pending.position).map_or("human", |decider| decider.name.as_str());
        let equals = self.deferred.equal_to(id).len() as u64;
        Question {
            id,
            agent: known.map_or_else(String::new, |known| known.agent.clone()),
            pid: observed.tgid,
            uid: observed.uid,
            program: text::escaped(&observed.exe),
            operation: observed.operation.name().to_owned(),
            access: line::access_texts(observed.access),
            subject: line::subject(observed),
            rule: rule.id.map(str::to_owned),
            file: rule.file.map(str::to_owned),
            line: rule.line,
            message: rule.message.map(str::to_owned),
            command: command_of(observed.tgid),
            digest: pending.digest.map(|digest| text::hex(&digest)),
            asked: asked.to_owned(),
            held: pending.asked.is_held,
            calls: equals.max(1) + pending.repeats,
            remember: asking(observed, known).and_then(|asking| asking.remember).map(u64::from),
            waits: now.saturating_sub(observed.time) / SECOND,
            left: pending.deadline.saturating_sub(now) / SECOND,
        }
    }

    /// Somebody's answer.
    pub(in crate::daemon) fn answer_question(
        &mut self,
        id: u64,
        allow: bool,
        remember: Remember,
        message: Option<&str>,
        by: &Caller,
    ) -> Result<Answered, Failure> {
        if self.tools.is_open(id) {
            return self.answer_call(id, allow, remember, message, &by.name);
        }
        let Some(pending) = self.deferred.get(id) else {
            let mut refused =
                failure(ErrorCode::UnknownQuestion, format!("there is no open question {id}"));
            refused.help = Some("`execlayer pending` lists those that are".to_owned());
            return Err(refused);
        };
        let is_peoples = matches!(pending.stage, Stage::Human | Stage::Follows);
        if !by.is_root && !is_peoples {
            let message = format!("question {id} is not put to people now: root may answer it");
            return Err(failure(ErrorCode::Forbidden, message));
        }
        let is_wide = |scope, about| scope == Whose::Profile || about == About::Rule;
        if let Remember::For { scope, about, .. } = remember
            && !by.is_root
            && is_wide(scope, about)
        {
            let message = "only root may answer for every process tree, or for a whole rule";
            return Err(failure(ErrorCode::Forbidden, message));
        }
        let by = by.name.as_str();
        let grant = self.remember(id, allow, remember, by)?;
        let ending = if allow { Ending::Allowed } else { Ending::Denied };
        let is_held = |id: &&u64| self.deferred.get(**id).is_some_and(|one| one.asked.is_held);
        let calls = self.deferred.equal_to(id).iter().filter(is_held).count() as u64;
        self.end_all(id, ending, by, message, grant);
        Ok(Answered { id, allowed: allow, calls, grant })
    }

    /// Remembers an answer to an open question, if it is to be; the grant's number.
    pub(super) fn remember(
        &mut self,
        id: u64,
        allow: bool,
        remember: Remember,
        by: &str,
    ) -> Result<Option<u64>, Failure> {
        let Some(pending) = self.deferred.get(id) else { return Ok(None) };
        let (observed, asked) = (pending.observed.clone(), pending.asked);
        let known = self.profiles.provenance(observed.profile, observed.generation).cloned();
        let by_rule = asking(&observed, known.as_deref()).and_then(|asking| asking.remember);
        let (seconds, scope, about) = match remember {
            Remember::For { seconds, .. } if seconds == 0 || seconds > MAX_GRANT => {
                let message = format!("an answer is remembered for 1 to {MAX_GRANT} seconds");
                return Err(failure(ErrorCode::BadRequest, message));
            }
            Remember::For { seconds, scope, about } => (seconds, scope, about),
            Remember::AsRule if allow && by_rule.is_some() => {
                (by_rule.unwrap_or_default().into(), Whose::Tree, About::Subject)
            }
            // The call has failed: a yes can only be for the next one.
            _ if allow && !asked.is_held => (RETRY_LIFE, Whose::Tree, About::Subject),
            _ => return Ok(None),
        };
        let rule = line::rule_of(&observed, known.as_deref());
        let is_subject = about == About::Subject;
        let grant = Grant {
            id: 0,
            agent: known.as_ref().map_or_else(String::new, |known| known.agent.clone()),
            allows: allow,
            scope,
            session: (scope == Whose::Tree).then_some(observed.session),
            about,
            access: if is_subject { line::access_texts(observed.access) } else { Vec::new() },
            subject: line::subject(&observed),
            rule: rule.id.map(str::to_owned),
            by: by.to_owned(),
            left: seconds,
        };
        let wish = Wish {
            policy: (observed.profile, observed.generation),
            digest: self
                .profiles
                .in_force(observed.profile)
                .filter(|(generation, _digest)| *generation == observed.generation)
                .map_or_else(String::new, |(_generation, digest)| digest.to_owned()),
            rule: observed.rule.map_or(u32::MAX, |rule| rule.0.into()),
            operation: observed.operation as u32,
            access: observed.access.0,
            place: asked.key.reserved,
            session: observed.session,
            subject: asked.grant,
            grant,
            seconds,
        };
        let now = time::boot();
        match self.grants.give(self.gate.holding(), wish, now) {
            Ok(grant) => {
                let real = now.saturating_add(self.offset);
                self.write(line::grant(&grant, "given", by, real), None);
                Ok(Some(grant.id))
            }
            Err(error) => {
                let limit = execlayer_common::limits::MAX_GRANTS;
                let message = format!("cannot remember the answer (at most {limit}): {error}");
                let mut refused = failure(ErrorCode::Limit, message);
                refused.help =
                    Some("`execlayer grants` lists them, `execlayer revoke` ends them".into());
                Err(refused)
            }
        }
    }

    pub(in crate::daemon) fn grants(&self) -> Vec<Grant> {
        self.grants.list(time::boot())
    }

    pub(in crate::daemon) fn revoke(&mut self, id: u64, by: &str) -> Result<Revoked, Failure> {
        match self.grants.revoke(self.gate.holding(), id) {
            Ok(Some(grant)) => {
                let real = time::boot().saturating_add(self.offset);
                self.write(line::grant(&grant, "revoked", by, real), None);
                Ok(Revoked { id })
            }
            Ok(None) => Err(failure(ErrorCode::UnknownGrant, format!("there is no grant {id}"))),
            Err(error) => Err(failure(ErrorCode::Internal, format!("it stays: {error}"))),
        }
    }

    /// What was denied to the process tree of a process.
    ///
    /// # Errors
    ///
    /// If the process is not governed, or that cannot be told.
    pub fn why(&self, pid: i32) -> Result<Vec<Denial>, Failure> {
        match self.gate.label(pid) {
            Ok(Some(label)) => Ok(self.denials.of(label.session)),
            Ok(None) => {
                let message = format!("process {pid} is not governed, or gone");
                Err(failure(ErrorCode::UnknownProcess, message))
            }
            Err(error) => {
                let message = format!("cannot tell whether process {pid} is governed: {error}");
                Err(failure(ErrorCode::Internal, message))
            }
        }
    }
}

/// The command line of a process, as far as it can be read: it may be gone, or have written over it.
fn command_of(tgid: u32) -> Vec<String> {
    let mut bytes = Vec::new();
    // A process can have a command line of any length.
    if let Ok(file) = fs::File::open(format!("/proc/{tgid}/cmdline")) {
        let _unreadable = file.take(MAX_COMMAND).read_to_end(&mut bytes);
    }
    let shown = bytes.strip_suffix(b"\0").unwrap_or(&bytes);
    let words = shown.split(|byte| *byte == 0).filter(|_| !shown.is_empty());
    words.map(text::escaped).collect()
}
