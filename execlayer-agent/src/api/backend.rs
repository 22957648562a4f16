//! What the API's routes are answered with: judged here, recorded and asked about by the daemon. Owns who a caller is
//! and what an agent may see; must not know HTTP.

use std::{os::fd::AsFd as _, sync::Arc, time::Duration};

use base64ct::{Base64, Encoding as _};
use execlayer_api::{
    ErrorCode, Failure, Installed,
    link::{Ask, Asked, Ended, Head, Judged, Process, Recorded, Said, Told},
};
use execlayer_common::reason::Reason;
use execlayer_http::{
    backend::{Backend, Event},
    caller::{Caller, Roles},
    problem::{Code, Problem},
    types::{
        AgentPolicy, Answer, Answered, Decision, Evaluation, Hold, Outcome, Policy, Question,
        Records, Rule,
    },
};
use nix::unistd::{Gid, Group, Uid, User, getgrouplist};
use tokio::{net::UnixStream, sync::mpsc};

use super::{
    bounds::Bounds,
    judge::{Call, Moment, judge},
    link::Link,
    metrics::Counted,
    options::Options,
    policies::{InForce, Policies, Stale},
    trail,
};
use crate::{kernel::peer, record::time};

/// Between two looks at a question that somebody waits for.
const LOOK: Duration = Duration::from_millis(200);
const MINUTES: u64 = 1_440;

/// See the module.
#[derive(Debug)]
pub struct Judge {
    options: Options,
    pub(super) link: Link,
    pub(super) policies: Policies,
    counted: Counted,
    bounds: Bounds,
}

impl Judge {
    /// One that reaches the daemon through `link`.
    #[must_use]
    pub fn new(options: Options, link: Link) -> Self {
        let (policies, counted, bounds) = Default::default();
        Self { options, link, policies, counted, bounds }
    }

    /// What whoever is governed by nothing may do.
    fn operator(&self, pid: u32, uid: u32, gid: u32, is_held: bool) -> Caller {
        if !is_held {
            // It may have ended, or its number be another's by now: an agent would be taken for an operator.
            let why = "before Linux 6.5 nobody who is not governed can be told over this socket: use a token";
            return Caller::Nobody { why: why.to_owned() };
        }
        let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
        let name = user.as_ref().map_or_else(|| uid.to_string(), |user| user.name.clone());
        let roles = if uid == 0 { Roles::ALL } else { self.roles(user.as_ref(), gid) };
        if roles.is_none() {
            let why = format!(
                "process {pid} is governed by no policy, and `{name}` is in no group that may use the API"
            );
            return Caller::Nobody { why };
        }
        let name = format!("{name} (uid {uid}, process {pid})");
        Caller::Operator { name, roles, pid, uid }
    }

    fn roles(&self, user: Option<&User>, gid: u32) -> Roles {
        let named = user.and_then(|user| {
            let name = std::ffi::CString::new(user.name.as_str()).ok()?;
            getgrouplist(&name, user.gid).ok()
        });
        let mut all = named.unwrap_or_default();
        all.push(Gid::from_raw(gid));
        let is_in = |group: &str| {
            let found = Group::from_name(group).ok().flatten();
            found.is_some_and(|group| all.contains(&group.gid))
        };
        let Options { read_group, answer_group, administer_group, .. } = &self.options;
        let groups = [read_group, answer_group, administer_group].map(Option::as_deref);
        Roles::of(is_in, groups)
    }

    /// The policy by which a caller's call is judged.
    fn policy(&self, caller: &Caller, asked: Option<&str>) -> Result<Arc<InForce>, Problem> {
        let agent = match (caller, asked) {
            (Caller::Agent { name, .. }, Some(other)) if other != name => {
                let detail = format!("agent `{name}` can only evaluate as itself");
                return Err(Problem::new(Code::Forbidden, detail));
            }
            (Caller::Agent { name, .. }, _) => name.as_str(),
            (Caller::Operator { .. }, Some(agent)) => agent,
            (Caller::Operator { .. }, None) => {
                let detail = "`agent` is missing: an operator says as which agent";
                return Err(Problem::new(Code::Malformed, detail));
            }
            (Caller::Nobody { why }, _) => {
                return Err(Problem::new(Code::NotGoverned, why.clone()));
            }
        };
        match self.policies.of(agent) {
            Ok(Some(policy)) => Ok(policy),
            Ok(None) => {
                let detail = format!("agent `{agent}` has no policy in force");
                Err(Problem::new(Code::NoPolicy, detail))
            }
            Err(Stale) => Err(Problem::new(Code::Unavailable, "the daemon says nothing now")),
        }
    }

    /// Judges a call; a question that it raises is put to the daemon. What must be recorded is left to the caller.
    async fn one(
        &self,
        caller: &Caller,
        evaluation: Evaluation,
    ) -> Result<(Option<Judged>, Decision), Problem> {
        let policy = self.policy(caller, evaluation.agent.as_deref())?;
        let is_look = evaluation.dry_run;
        // Budgets and questions are the agent's: whoever may only see takes none of them.
        if let Caller::Operator { name, roles, .. } = caller
            && !roles.administer
            && !is_look
        {
            let detail = format!("`{name}` may only look: send `dry_run`");
            return Err(Problem::new(Code::Forbidden, detail));
        }
        let call = call(caller, evaluation);
        let (verdict, judged) =
            judge(&policy, &call, now()).map_err(|what| Problem::new(Code::Malformed, what))?;
        let rule = policy.bundle.rule(verdict);
        let mut decision = Decision {
            decision: outcome(judged.verdict),
            reason: judged.reason.clone(),
            message: rule.and_then(|rule| rule.reason.clone()),
            rule: rule.map(|rule| Rule {
                id: rule.id.clone(),
                file: policy.bundle.file(rule).to_owned(),
                line: rule.line,
            }),
            agent: judged.agent.clone(),
            policy: described(&policy),
            monitored: false,
            would_be: None,
            action_digest: judged.digest.clone(),
            hold: None,
        };
        let said = judged.verdict;
        let is_recorded = said != Said::Allow || policy.bundle.records_all();
        if is_recorded && !is_look && !self.bounds.may_record(&policy.head.agent, now().second) {
            let detail =
                format!("agent `{}` has too many calls that are to be recorded", policy.head.agent);
            return Err(Problem::new(Code::TooMany, detail));
        }
        if said != Said::Allow && policy.bundle.monitors() {
            decision.would_be = Some(decision.decision);
            (decision.decision, decision.monitored) = (Outcome::Allow, true);
        } else if said == Said::Ask && !is_look {
            // The daemon writes down what it asks about.
            self.ask(judged, &mut decision).await?;
            return Ok((None, decision));
        }
        Ok(((is_recorded && !is_look).then_some(judged), decision))
    }

    async fn ask(&self, judged: Judged, decision: &mut Decision) -> Result<(), Problem> {
        let told = self.link.ask(&Ask::Hold { call: Box::new(judged) }).await;
        let Told::Asked(Asked { id, left, answer }) = told.map_err(problem)? else {
            return Err(astray());
        };
        match answer {
            None => {
                let url = format!("/v1/questions/{id}");
                decision.hold = Some(Hold { question: id, expires_in: left, url });
            }
            Some(is_yes) => {
                decision.decision = if is_yes { Outcome::Allow } else { Outcome::Deny };
                decision.reason = Reason::Answered.name().to_owned();
            }
        }
        Ok(())
    }

    async fn ended(&self, id: u64, is_asker: bool) -> Result<Ended, Problem> {
        match self.link.ask(&Ask::Question { id, is_asker }).await.map_err(problem)? {
            Told::Question(ended) => Ok(*ended),
            _ => Err(astray()),
        }
    }
}

impl Backend for Judge {
    async fn identify(&self, stream: &UnixStream) -> Result<Caller, Problem> {
        let unknown = |_error| Problem::new(Code::Internal, "the caller cannot be told");
        let cred = stream.peer_cred().map_err(unknown)?;
        let Some(pid) = cred.pid().and_then(|pid| u32::try_from(pid).ok()) else {
            return Err(Problem::new(Code::NotGoverned, "this process cannot be named here"));
        };
        let held = peer::held(stream.as_fd()).map_err(unknown)?;
        let told = self.link.ask(&Ask::Who { pid }).await.map_err(problem)?;
        let Told::Process(Process { agent, session }) = told else { return Err(astray()) };
        if held.as_ref().is_some_and(|held| !held.is_alive()) {
            let detail = format!("process {pid}, which connected, is gone");
            return Err(Problem::new(Code::NotGoverned, detail));
        }
        Ok(match agent {
            Some(name) => Caller::Agent { name, session, pid, uid: cred.uid() },
            None => self.operator(pid, cred.uid(), cred.gid(), held.is_some()),
        })
    }

    async fn evaluate(
        &self,
        caller: &Caller,
        calls: Vec<Evaluation>,
    ) -> Vec<Result<Decision, Problem>> {
        // Each with whether it must be recorded.
        let (mut results, mut calls_to_record) = (Vec::with_capacity(calls.len()), Vec::new());
        for evaluation in calls {
            results.push(match self.one(caller, evaluation).await {
                Ok((judged, decision)) => {
                    let is_recorded = judged.is_some();
                    calls_to_record.extend(judged);
                    (Ok(decision), is_recorded)
                }
                Err(problem) => (Err(problem), false),
            });
        }
        if !calls_to_record.is_empty() {
            let recorded = self.link.ask(&Ask::Record { calls: calls_to_record }).await;
            let waiting = results.iter_mut().filter(|(_result, is_recorded)| *is_recorded);
            for (result, _is_recorded) in waiting {
                match &recorded {
                    Ok(Told::Recorded(Recorded { is_denied })) => {
                        if let Ok(decision) = result
                            && *is_denied
                            && decision.decision == Outcome::Allow
                        {
                            decision.decision = Outcome::Deny;
                            decision.reason = Reason::Unrecorded.name().to_owned();
                        }
                    }
                    Ok(_) => *result = Err(astray()),
                    // What must be recorded, and was not, is nothing that was decided.
                    Err(failure) => *result = Err(problem(failure.clone())),
                }
            }
        }
        let results: Vec<_> = results.into_iter().map(|(result, _is_recorded)| result).collect();
        for result in &results {
            self.counted.count(result);
        }
        results
    }

    async fn questions(&self, caller: &Caller) -> Result<Vec<Question>, Problem> {
        let Told::Questions(open) = self.link.ask(&Ask::Questions {}).await.map_err(problem)?
        else {
            return Err(astray());
        };
        let mine = open.into_iter().filter(|question| is_seen_by(caller, &question.agent));
        Ok(mine.map(|question| view(question, "open".to_owned(), None)).collect())
    }

    async fn question(
        &self,
        caller: &Caller,
        id: u64,
        wait: Duration,
    ) -> Result<Question, Problem> {
        let until = tokio::time::Instant::now() + wait;
        let _place = self.bounds.wait(&name(caller))?;
        loop {
            let mut ended = self.ended(id, false).await?;
            if !is_seen_by(caller, &ended.question.agent) {
                return Err(Problem::new(Code::NotFound, format!("there is no question {id}")));
            }
            if ended.allowed.is_some() || tokio::time::Instant::now() >= until {
                if ended.allowed == Some(true)
                    && matches!(caller, Caller::Agent { session, .. } if *session == ended.session)
                {
                    // Whoever asked goes on now: that is the one use of this answer.
                    ended = self.ended(id, true).await?;
                }
                let state = ended.ending.unwrap_or_else(|| "open".to_owned());
                return Ok(view(ended.question, state, ended.message));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn answer(&self, caller: &Caller, id: u64, answer: Answer) -> Result<Answered, Problem> {
        let Answer { allow, message } = answer;
        let request = Ask::Answer { id, allow, message, by: name(caller) };
        match self.link.ask(&request).await.map_err(problem)? {
            Told::Answered(answered) => {
                Ok(Answered { question: answered.id, allowed: answered.allowed })
            }
            _ => Err(astray()),
        }
    }

    async fn policies(&self) -> Result<Vec<AgentPolicy>, Problem> {
        match self.link.ask(&Ask::Policies {}).await.map_err(problem)? {
            Told::Policies(heads) => Ok(heads
                .into_iter()
                .map(|Head { agent, policy: name, version, digest, .. }| AgentPolicy {
                    agent,
                    policy: Policy { name, version, digest },
                })
                .collect()),
            _ => Err(astray()),
        }
    }

    async fn install(&self, caller: &Caller, bundle: Vec<u8>) -> Result<AgentPolicy, Problem> {
        let request = Ask::Install { bundle: Base64::encode_string(&bundle), by: name(caller) };
        match self.link.ask(&request).await.map_err(problem)? {
            Told::Installed(Installed { agent, policy: name, version, digest, .. }) => {
                Ok(AgentPolicy { agent, policy: Policy { name, version, digest } })
            }
            _ => Err(astray()),
        }
    }

    async fn status(&self) -> Result<serde_json::Value, Problem> {
        match self.link.ask(&Ask::Status {}).await.map_err(problem)? {
            Told::Status(status) => serde_json::to_value(*status)
                .map_err(|error| Problem::new(Code::Internal, error.to_string())),
            _ => Err(astray()),
        }
    }

    async fn records(&self, caller: &Caller, from: u64, limit: usize) -> Result<Records, Problem> {
        trail::page(self.options.audit.clone(), caller.clone(), from, limit).await
    }

    async fn follow(
        &self,
        caller: &Caller,
        from: Option<u64>,
    ) -> Result<mpsc::Receiver<Event>, Problem> {
        let size = match self.link.ask(&Ask::Status {}).await.map_err(problem)? {
            Told::Status(status) => status.audit.records,
            _ => return Err(astray()),
        };
        let place = self.bounds.wait(&name(caller))?;
        let folder = self.options.audit.clone();
        Ok(trail::follow(folder, caller.clone(), from.unwrap_or(size), place))
    }

    fn metrics(&self) -> String {
        self.counted.text()
    }

    fn is_ready(&self) -> bool {
        self.policies.are_fresh()
    }
}

/// Whether a caller may see what is of this agent.
pub(super) fn is_seen_by(caller: &Caller, agent: &str) -> bool {
    match caller {
        Caller::Agent { name, .. } => name == agent,
        Caller::Operator { .. } => true,
        Caller::Nobody { .. } => false,
    }
}

fn call(caller: &Caller, evaluation: Evaluation) -> Call {
    let (session, pid, uid) = match caller {
        Caller::Agent { session, pid, uid, .. } => (*session, *pid, *uid),
        Caller::Operator { pid, uid, .. } => (0, *pid, *uid),
        Caller::Nobody { .. } => (0, 0, u32::MAX),
    };
    Call {
        action: evaluation.action,
        resource: evaluation.resource,
        context: evaluation.context,
        call: evaluation.call,
        agent_session: evaluation.session,
        pid,
        uid,
        session,
        is_look: evaluation.dry_run,
    }
}

fn now() -> Moment {
    let minute = (time::now() / 60) % MINUTES;
    Moment { minute: u16::try_from(minute).unwrap_or_default(), second: time::seconds_since_boot() }
}

fn described(policy: &InForce) -> Policy {
    let head = &policy.head;
    Policy { name: head.policy.clone(), version: head.version, digest: head.digest.clone() }
}

const fn outcome(said: Said) -> Outcome {
    match said {
        Said::Allow => Outcome::Allow,
        Said::Ask => Outcome::Hold,
        Said::Deny => Outcome::Deny,
    }
}

fn name(caller: &Caller) -> String {
    match caller {
        Caller::Agent { name, .. } | Caller::Operator { name, .. } => name.clone(),
        Caller::Nobody { .. } => "nobody".to_owned(),
    }
}

fn view(question: execlayer_api::Question, state: String, message: Option<String>) -> Question {
    Question {
        id: question.id,
        state,
        agent: question.agent,
        pid: question.pid,
        program: question.program,
        operation: question.operation,
        access: question.access,
        subject: question.subject,
        rule: question.rule,
        message: message.or(question.message),
        waits: question.waits,
        expires_in: question.left,
    }
}

fn problem(failure: Failure) -> Problem {
    let code = match failure.code {
        ErrorCode::Forbidden => Code::Forbidden,
        ErrorCode::UnknownQuestion => Code::NotFound,
        ErrorCode::UnknownAgent => Code::NoPolicy,
        ErrorCode::Limit => Code::TooMany,
        ErrorCode::BadRequest => Code::Malformed,
        ErrorCode::Unavailable => Code::Unavailable,
        ErrorCode::BundleRefused | ErrorCode::Overlap => Code::Refused,
        _ => Code::Internal,
    };
    let help = failure.help.map(|help| format!(" ({help})")).unwrap_or_default();
    Problem::new(code, failure.message + &help)
}

fn astray() -> Problem {
    Problem::new(Code::Internal, "the daemon answered something else than was asked")
}
