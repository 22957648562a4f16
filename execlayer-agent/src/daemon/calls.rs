//! What the process that serves the evaluation API asks. Decides what it may be told and do; judging calls is that
//! process' work, by the policies that it is given here. A person's answer through it counts only where the options say
//! so, because who that person is, is its word.

use std::{collections::BTreeMap, rc::Rc};

use base64ct::{Base64, Encoding as _};
use execlayer_api::{
    Answered, ErrorCode, Failure, Outcome, Remember,
    link::{Ask, Asked as Put, Ended, Head, Judged, Process, Recorded, Reply, Said, Told, Whole},
};
use execlayer_common::{
    access::{Access, Operation},
    call::SEPARATOR,
    limits::{MAX_ACTION, MAX_RESOURCE},
    question::Key,
    reason::Reason,
    verdict::RuleIndex,
};

use super::{
    DAEMON, Daemon, failure,
    held::{SECOND, asking},
};
use crate::{
    control::{Call, Link},
    defer::{self, Ending, Pending, Stage},
    kernel::events::{Asked, Decision, Observed, ToolCall},
    profiles::Installed,
    record::{line, time},
    scopes::process,
    tools::{MAX_OPEN, Same},
};

impl Daemon {
    /// Answers a call of the process that serves the API.
    pub fn answer_link(&mut self, call: Call<Link>) {
        let Call { pid, request, reply, .. } = call;
        let response = match self.gate.label(pid) {
            Ok(None) => self.handle_link(request).map_or_else(Reply::Error, Reply::Done),
            Ok(Some(_)) => Reply::Error(failure(
                ErrorCode::Forbidden,
                "a governed process may not use this socket",
            )),
            Err(error) => {
                let message = format!("cannot tell whether the caller is governed: {error}");
                Reply::Error(failure(ErrorCode::Internal, message))
            }
        };
        // A client that does not wait for its answer gets none.
        drop(reply.send(response));
    }

    fn handle_link(&mut self, request: Ask) -> Result<Told, Failure> {
        if self.stopping {
            return Err(failure(ErrorCode::Unavailable, "the daemon is stopping"));
        }
        match request {
            Ask::Policies {} => {
                Ok(Told::Policies(self.profiles.iter().map(|(_, policy)| head(policy)).collect()))
            }
            Ask::Policy { agent } => self.whole(&agent).map(|whole| Told::Policy(Box::new(whole))),
            Ask::Who { pid } => self.who(pid).map(Told::Process),
            Ask::Record { calls } => self.record(&calls).map(Told::Recorded),
            Ask::Hold { call } => self.hold_call(&call).map(Told::Asked),
            Ask::Questions {} => Ok(Told::Questions(self.questions())),
            Ask::Question { id, is_asker } => {
                self.question(id, is_asker).map(|ended| Told::Question(Box::new(ended)))
            }
            Ask::Answer { id, allow, message, by } => {
                self.may_act()?;
                let by = super::answer::Caller::through_api(&by);
                self.answer_question(id, allow, Remember::AsRule, message.as_deref(), &by)
                    .map(Told::Answered)
            }
            Ask::Status {} => Ok(Told::Status(Box::new(self.status()))),
            Ask::Install { bundle, by } => {
                self.may_act()?;
                let bytes = Base64::decode_vec(&bundle).map_err(|_no_base64| {
                    failure(ErrorCode::BadRequest, "the bundle is not base64")
                })?;
                tracing::info!("a bundle comes through the API from {by}");
                match self.take(&bytes)? {
                    Outcome::Installed(installed) => Ok(Told::Installed(installed)),
                    _ => Err(failure(ErrorCode::BadRequest, "this is signed, and no policy")),
                }
            }
        }
    }

    fn may_act(&self) -> Result<(), Failure> {
        if self.options.api_answers {
            return Ok(());
        }
        let mut refused = failure(
            ErrorCode::Forbidden,
            "the daemon takes no answers and no bundles through the API",
        );
        refused.help = Some(
            "answer with `execlayer approve` or `deny`, or start execlayerd with --api-answers"
                .to_owned(),
        );
        Err(refused)
    }

    fn whole(&self, agent: &str) -> Result<Whole, Failure> {
        let (_profile, policy) = self.policy(agent)?;
        let Some(image) = &policy.image else {
            return Err(failure(ErrorCode::Unavailable, "this daemon keeps no images"));
        };
        let bytes: Vec<u8> = image.iter().flat_map(|word| word.to_le_bytes()).collect();
        let provenance = serde_json::to_string(&*policy.provenance)
            .map_err(|error| failure(ErrorCode::Internal, error.to_string()))?;
        Ok(Whole { head: head(policy), image: Base64::encode_string(&bytes), provenance })
    }

    fn policy(&self, agent: &str) -> Result<(u32, &Installed), Failure> {
        let found = self.profiles.iter().find(|(_, policy)| policy.provenance.agent == agent);
        found.ok_or_else(|| {
            let message = format!("no policy of agent `{agent}` is installed");
            failure(ErrorCode::UnknownAgent, message)
        })
    }

    fn who(&self, pid: u32) -> Result<Process, Failure> {
        match self.gate.label(i32::try_from(pid).unwrap_or_default()) {
            Ok(None) => Ok(Process { agent: None, session: 0 }),
            Ok(Some(label)) => match self.profiles.agent(label.profile) {
                Some(agent) => {
                    Ok(Process { agent: Some(agent.to_owned()), session: label.session })
                }
                None => {
                    let message = format!("nobody can name the policy of process {pid}");
                    Err(failure(ErrorCode::UnknownAgent, message))
                }
            },
            Err(error) => {
                let message = format!("cannot tell whether process {pid} is governed: {error}");
                Err(failure(ErrorCode::Internal, message))
            }
        }
    }

    fn record(&mut self, calls: &[Judged]) -> Result<Recorded, Failure> {
        for call in calls {
            let seen = self.seen(call)?;
            let known = self.profiles.provenance(seen.profile, seen.generation).cloned();
            self.denials.observe(&seen, known.as_deref(), self.offset);
            if self.call_repeats.is_written_out(&seen) {
                self.write_event(&seen, None);
            }
        }
        self.settle();
        Ok(Recorded { is_denied: self.is_unrecorded })
    }

    /// What the trail is told of a call.
    fn seen(&self, call: &Judged) -> Result<Observed, Failure> {
        let bad = |message: &str| Err(failure(ErrorCode::BadRequest, message));
        let (action, resource) = (call.action.as_bytes(), call.resource.as_bytes());
        if action.is_empty()
            || action.len() > MAX_ACTION
            || action.contains(&SEPARATOR)
            || resource.len() > MAX_RESOURCE
        {
            return bad("this is no call of a tool");
        }
        // Whoever reads the trail must be able to read this.
        let context: Result<BTreeMap<String, serde_json::Value>, _> =
            serde_json::from_str(&call.context);
        if context.is_err() {
            return bad("the context is no object that can be read");
        }
        let Some(reason) = Reason::named(&call.reason) else {
            return bad("there is no such reason");
        };
        let (profile, policy) = self.policy(&call.agent)?;
        let from_proc = process::Look::at(call.pid, |pid| {
            let label = self.gate.label(i32::try_from(pid).unwrap_or_default());
            label.ok().flatten().is_some_and(|label| label.session == call.session)
        });
        let now = time::boot();
        let process::Look { ppid, gid, start, comm, exe, argv, cwd, ancestors } = from_proc;
        Ok(Observed {
            time: now,
            profile,
            generation: call.generation,
            rule: call.rule.map(RuleIndex),
            access: Access::CALL,
            operation: Operation::Call,
            decision: match call.verdict {
                Said::Allow => Decision::Allow,
                Said::Ask => Decision::Ask,
                Said::Deny => Decision::Deny,
            },
            reason,
            monitor: policy.mode == execlayer_api::Mode::Monitor,
            provisional: false,
            pid: call.pid,
            tgid: call.pid,
            ppid,
            uid: call.uid,
            gid,
            start,
            session: call.session,
            cgroup: 0,
            comm,
            subject: [action, &[SEPARATOR], resource].concat(),
            exe,
            cwd,
            argv,
            ancestors,
            asked: None,
            answer: None,
            tool: Some(Box::new(ToolCall {
                context: call.context.clone(),
                call: call.call.clone(),
                agent_session: call.agent_session.clone(),
            })),
        })
    }

    fn hold_call(&mut self, call: &Judged) -> Result<Put, Failure> {
        let now = time::boot();
        let same = Same {
            digest: call.digest.clone(),
            session: call.session,
            generation: call.generation,
        };
        self.must_record()?;
        let (_profile, policy) = self.policy(&call.agent)?;
        if policy.generation.number() != call.generation {
            let message = format!("agent `{}` has another policy by now: ask again", call.agent);
            return Err(failure(ErrorCode::Unavailable, message));
        }
        if let Some((id, allowed)) = self.tools.answered(&same, now) {
            let mut seen = self.seen(call)?;
            seen.answer = Some(id);
            seen.decision = if allowed { Decision::Allow } else { Decision::Deny };
            seen.reason = if allowed { Reason::None } else { Reason::Answered };
            self.write_event(&seen, None);
            self.settle();
            return Ok(Put { id, left: 0, answer: Some(allowed) });
        }
        if let Some(id) = self.tools.same(&same) {
            let deadline = self.tools.get(id).map_or(now, |pending| pending.deadline);
            let left = deadline.saturating_sub(now) / SECOND;
            return Ok(Put { id, left, answer: None });
        }
        let observed = self.seen(call)?;
        if self.tools.count_of(observed.profile) >= MAX_OPEN {
            let message = format!("agent `{}` has {MAX_OPEN} open questions", call.agent);
            return Err(failure(ErrorCode::Limit, message));
        }
        let known = self.profiles.provenance(observed.profile, observed.generation).cloned();
        let asking = asking(&observed, known.as_deref());
        let patience = asking.and_then(|asking| asking.timeout).unwrap_or(self.options.hold);
        let patience = if self.options.no_hold { 0 } else { patience };
        let asked = numbered_later();
        let pending = Pending {
            deadline: now.saturating_add(u64::from(patience).saturating_mul(SECOND)),
            same: defer::Same::of(&observed, &asked, true),
            asked,
            observed,
            stage: Stage::Human,
            position: 0,
            digest: None,
            repeats: 0,
        };
        let id = self.tools.ask(pending, same);
        if let Some(seen) = self.tools.get(id).map(|pending| pending.observed.clone()) {
            self.write_event(&seen, None);
        }
        self.settle();
        if patience == 0 {
            self.end_call(id, Ending::Denied, DAEMON, Some("nothing is held"));
            return Ok(Put { id, left: 0, answer: Some(false) });
        }
        Ok(Put { id, left: u64::from(patience), answer: None })
    }

    fn must_record(&self) -> Result<(), Failure> {
        if !self.is_unrecorded {
            return Ok(());
        }
        let message = "records cannot be written, and what must be recorded is denied";
        Err(failure(ErrorCode::Unavailable, message))
    }

    fn question(&mut self, id: u64, is_asker: bool) -> Result<Ended, Failure> {
        let now = time::boot();
        if let Some(pending) = self.tools.get(id).or_else(|| self.deferred.get(id)) {
            let session = pending.observed.session;
            let question = self.view(id, pending, now);
            return Ok(Ended { question, session, allowed: None, ending: None, message: None });
        }
        let Some((over, is_good)) = self.tools.over(id, is_asker) else {
            let message = format!("there is no question {id}, or it ended long ago");
            return Err(failure(ErrorCode::UnknownQuestion, message));
        };
        let (pending, message) = (over.pending.clone(), over.message.clone());
        let ending = over.ending;
        self.must_record()?;
        let said = if !is_asker || ending != Ending::Allowed {
            ending.name()
        } else if !self.is_in_force(&pending.observed) {
            "replaced"
        } else if !is_good {
            // Somebody else of its tree made the same call, and went on by it.
            "used"
        } else {
            ending.name()
        };
        Ok(Ended {
            question: self.view(id, &pending, now),
            session: pending.observed.session,
            allowed: Some(said == Ending::Allowed.name()),
            ending: Some(said.to_owned()),
            message,
        })
    }

    /// Somebody's answer to a call of a tool.
    pub(super) fn answer_call(
        &mut self,
        id: u64,
        allow: bool,
        remember: Remember,
        message: Option<&str>,
        by: &str,
    ) -> Result<Answered, Failure> {
        if let Remember::For { .. } = remember {
            let message = "an answer about a call of a tool is remembered only as its rule says";
            return Err(failure(ErrorCode::BadRequest, message));
        }
        let ending = if allow { Ending::Allowed } else { Ending::Denied };
        self.end_call(id, ending, by, message);
        Ok(Answered { id, allowed: allow, calls: 1, grant: None })
    }

    fn end_call(&mut self, id: u64, ending: Ending, by: &str, message: Option<&str>) {
        let now = time::boot();
        let Some(pending) = self.tools.get(id) else { return };
        let observed = &pending.observed;
        let known = self.profiles.provenance(observed.profile, observed.generation);
        let asking = asking(observed, known.map(Rc::as_ref));
        let remembered =
            asking.and_then(|asking| asking.remember).filter(|_| ending == Ending::Allowed);
        let remembered = remembered.map(|seconds| u64::from(seconds).saturating_mul(SECOND));
        let held = now.saturating_sub(observed.time) / 1_000_000;
        let _over = self.tools.end(id, ending, message, (now, remembered));
        let real = now.saturating_add(self.offset);
        self.write(line::answer(id, ending.name(), by, message, None, held, real), None);
        self.settle();
    }

    /// Whether it was judged by the policy that is in force.
    fn is_in_force(&self, observed: &Observed) -> bool {
        let current = self.profiles.in_force(observed.profile);
        current.is_some_and(|(generation, _digest)| generation == observed.generation)
    }

    /// Every second.
    pub(super) fn tick_calls(&mut self) {
        // What the new policy says of the call is known when it is made again.
        let is_old =
            |(id, pending): (u64, &Pending)| (!self.is_in_force(&pending.observed)).then_some(id);
        let old: Vec<u64> = self.tools.open().filter_map(is_old).collect();
        for id in old {
            self.end_call(id, Ending::Denied, DAEMON, Some("another policy came: ask again"));
        }
        for id in self.tools.due(time::boot()) {
            self.end_call(id, Ending::TimedOut, DAEMON, None);
        }
    }

    /// The daemon ends.
    pub(super) fn end_calls(&mut self) {
        let open: Vec<u64> = self.tools.open().map(|(id, _pending)| id).collect();
        for id in open {
            self.end_call(id, Ending::Denied, DAEMON, Some("execlayerd is ending"));
        }
    }
}

fn head(policy: &Installed) -> Head {
    Head {
        agent: policy.provenance.agent.clone(),
        policy: policy.provenance.policy.clone(),
        version: policy.provenance.version,
        digest: policy.digest.clone(),
        generation: policy.generation.number(),
    }
}

/// What stands where the kernel's key of a question would.
fn numbered_later() -> Asked {
    let key = Key { tid: 0, operation: 0, access: 0, reserved: 0, start: 0, subject: [0; 2] };
    Asked { id: 0, key, grant: [0; 2], is_held: true, is_measurable: false }
}
