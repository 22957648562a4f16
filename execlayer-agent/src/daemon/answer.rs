//! Calls of the tool and their answers. Decides who may ask what; what is asked is done elsewhere.

use std::{collections::BTreeMap, path::PathBuf};

use execlayer_api::{
    Audit, ErrorCode, Failure, Hello, Outcome, Profile, Program, Request, Response, Scope, ScopeId,
    Status,
};
use execlayer_common::hooks::{self, Attach};

use super::{Daemon, failure};
use crate::{
    RELEASE,
    control::Call,
    scopes::ScopeError,
    state::Concern,
    why::{About, Query},
};

impl Daemon {
    /// Answers a call.
    pub fn answer(&mut self, call: Call) {
        let Call { pid, uid, request, reply } = call;
        let response = match self.refusal(pid, uid, &request) {
            Some(failure) => Response::Error(failure),
            None => match self.handle(request, &Caller::of(pid, uid)) {
                Ok(outcome) => Response::Done(outcome),
                Err(failure) => Response::Error(failure),
            },
        };
        // A client that does not wait for its answer gets none.
        drop(reply.send(response));
    }

    /// Answers somebody who wants to know what was denied to it, or how the daemon is.
    pub fn answer_query(&mut self, query: Query) {
        let response = match query.about {
            About::Denials => match self.why(query.pid) {
                Ok(denials) => Response::Done(Outcome::Why(denials)),
                Err(failure) => Response::Error(failure),
            },
            About::State => match self.refusal(query.pid, 0, &Request::Status {}) {
                Some(failure) => Response::Error(failure),
                None => Response::Done(Outcome::Status(Box::new(self.status()))),
            },
        };
        // A client that does not wait for its answer gets none.
        drop(query.reply.send(response));
    }

    fn refusal(&self, pid: i32, uid: u32, request: &Request) -> Option<Failure> {
        match self.gate.label(pid) {
            Ok(None) if uid == 0 || is_for_everybody(request) => None,
            Ok(None) => Some(failure(ErrorCode::Forbidden, "only root may ask for this")),
            Ok(Some(_)) => {
                tracing::warn!("the governed process {pid} tried to use the control socket");
                Some(failure(ErrorCode::Forbidden, "a governed process may not use this socket"))
            }
            Err(error) => {
                let message = format!("cannot tell whether the caller is governed: {error}");
                Some(failure(ErrorCode::Internal, message))
            }
        }
    }

    fn handle(&mut self, request: Request, by: &Caller) -> Result<Outcome, Failure> {
        if self.stopping && !matches!(request, Request::Status {} | Request::Hello {}) {
            return Err(failure(ErrorCode::Unavailable, "the daemon is stopping"));
        }
        match request {
            Request::Hello {} => Ok(Outcome::Hello(Hello {
                release: RELEASE.to_owned(),
                pid: std::process::id(),
                ephemeral: self.options.ephemeral,
                state: self.health.state(),
            })),
            Request::Install { path } => self.install(&PathBuf::from(path)),
            Request::OpenScope { agent, owner_pid, below_owner } => {
                self.open_scope(&agent, owner_pid, below_owner)
            }
            Request::CloseScope { id } => self.close_scope(id),
            Request::Status {} => Ok(Outcome::Status(Box::new(self.status()))),
            Request::Questions {} => Ok(Outcome::Questions(self.questions())),
            Request::Answer { id, allow, remember, message } => self
                .answer_question(id, allow, remember, message.as_deref(), by)
                .map(Outcome::Answered),
            Request::Grants {} => Ok(Outcome::Grants(self.grants())),
            Request::Revoke { id } => self.revoke(id, &by.name).map(Outcome::Revoked),
            Request::Why { pid } => {
                self.why(i32::try_from(pid).unwrap_or_default()).map(Outcome::Why)
            }
            Request::Stop { force } => {
                if !self.options.ephemeral && !force {
                    let mut refused =
                        failure(ErrorCode::NotEphemeral, "this daemon runs as a service");
                    refused.help = Some("with force it ends, and nothing is enforced".into());
                    return Err(refused);
                }
                self.stopped_by = Some(by.name.clone());
                self.stop();
                Ok(Outcome::Stopping {})
            }
        }
    }

    fn open_scope(
        &mut self,
        agent: &str,
        owner: u32,
        below_owner: bool,
    ) -> Result<Outcome, Failure> {
        let Some(profile) = self.profiles.of(agent) else {
            let message = format!("no policy of agent `{agent}` is installed");
            return Err(failure(ErrorCode::UnknownAgent, message));
        };
        let lost = self.gate.counts(profile).unwrap_or_default().lost;
        let opened = self.scopes.open(self.gate.as_mut(), profile, owner, below_owner, lost);
        let (id, cgroup) = opened.map_err(|error| {
            let code = match error {
                ScopeError::Full => ErrorCode::Limit,
                ScopeError::NoOwner(_) | ScopeError::NoPlace(_) => ErrorCode::BadRequest,
                ScopeError::Cgroup { .. } | ScopeError::Map(_) => ErrorCode::Internal,
            };
            failure(code, error.to_string())
        })?;
        self.places.note(cgroup.id, &cgroup.path);
        Ok(Outcome::Scope(Scope { id, cgroup: cgroup.path.to_string_lossy().into_owned() }))
    }

    fn close_scope(&mut self, id: ScopeId) -> Result<Outcome, Failure> {
        let Some(closed) = self.scopes.close(self.gate.as_mut(), id) else {
            return Err(failure(ErrorCode::UnknownScope, format!("there is no scope {id}")));
        };
        let lost = self.gate.counts(closed.profile).unwrap_or_default().lost;
        let lost = lost.saturating_sub(closed.lost_before);
        let names = |profile, generation| self.profiles.provenance(profile, generation);
        Ok(Outcome::Summary(closed.tally.summary(names, lost)))
    }

    pub(super) fn status(&mut self) -> Status {
        let governed = self.gate.governed().unwrap_or_else(|error| {
            self.health.raise(Concern::Maps, format!("cannot count governed tasks: {error}"));
            BTreeMap::new()
        });
        let profiles = self.profiles.iter().map(|(number, installed)| Profile {
            number,
            agent: installed.provenance.agent.clone(),
            policy: installed.provenance.policy.clone(),
            version: installed.provenance.version,
            generation: installed.generation.number(),
            digest: installed.digest.clone(),
            mode: installed.mode,
            rules: u32::try_from(installed.provenance.rules.len()).unwrap_or(u32::MAX),
            image_bytes: installed.generation.image_bytes(),
            table_bytes: installed.generation.table_bytes(),
            governed_tasks: governed.get(&number).copied().unwrap_or_default(),
            lost_events: self.gate.counts(number).unwrap_or_default().lost,
            expires: installed.terms.not_after,
        });
        Status {
            profiles: profiles.collect(),
            release: RELEASE.to_owned(),
            pid: std::process::id(),
            started: self.started,
            ephemeral: self.options.ephemeral,
            state: self.health.state(),
            degraded: self.health.reasons(),
            kernel: self.kernel.clone(),
            programs: programs(self.gate.attached()),
            scopes: u32::try_from(self.scopes.count()).unwrap_or(u32::MAX),
            unknown_events: self.unknown_events,
            canary: self.canary.clone(),
            audit: self.audit(),
            questions: u32::try_from(self.questions().len()).unwrap_or(u32::MAX),
        }
    }
}

impl Daemon {
    fn audit(&self) -> Audit {
        Audit {
            folder: self.trail.name(),
            origin: self.trail.origin().to_owned(),
            records: self.trail.size(),
            signed: self.trail.signed(),
            unwritten: self.trail.unwritten(),
        }
    }
}

/// Whether whoever can reach the socket may ask for it: what is in force, and answers.
fn is_for_everybody(request: &Request) -> bool {
    match request {
        Request::Hello {}
        | Request::Status {}
        | Request::Questions {}
        | Request::Answer { .. }
        | Request::Grants {}
        | Request::Why { .. } => true,
        Request::Revoke { .. }
        | Request::Install { .. }
        | Request::OpenScope { .. }
        | Request::CloseScope { .. }
        | Request::Stop { .. } => false,
    }
}

/// Whoever asks.
#[derive(Debug)]
pub(super) struct Caller {
    /// For the audit trail.
    pub(super) name: String,
    pub(super) is_root: bool,
}

impl Caller {
    /// Somebody who speaks through the evaluation API.
    pub(super) fn through_api(name: &str) -> Self {
        Self { name: format!("{name} (API)"), is_root: false }
    }

    fn of(pid: i32, uid: u32) -> Self {
        let user = nix::unistd::User::from_uid(uid.into()).ok().flatten();
        let name = user.map_or_else(|| uid.to_string(), |user| user.name);
        Self { name: format!("{name} (uid {uid}, process {pid})"), is_root: uid == 0 }
    }
}

fn programs(attached: &[&str]) -> Vec<Program> {
    let hook = |attach: &Attach| match attach {
        Attach::Lsm(hook) => (*hook).to_owned(),
        Attach::LsmWith(hook, count) => format!("{hook}, with {count} arguments"),
        Attach::LsmFrom(hook, (major, minor)) => format!("{hook}, from {major}.{minor} on"),
        Attach::Tracepoint(name) => format!("tracepoint {name}"),
        Attach::TaskIterator => "task iterator, on demand".to_owned(),
    };
    let all = hooks::PROGRAMS.iter();
    all.map(|(name, attach)| Program {
        name: (*name).to_owned(),
        hook: hook(attach),
        attached: attached.contains(name),
    })
    .collect()
}
