//! Who asks, and what that may be. The one table of routes and what each needs; must not know what a route does.

/// Whoever asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A governed process, or whoever has an agent's token.
    Agent {
        /// The agent.
        name: String,
        /// Its process tree; 0 if none is known.
        session: u64,
        /// The process; 0 if none is known.
        pid: u32,
        /// Its effective uid.
        uid: u32,
    },
    /// A person or a program that nothing governs.
    Operator {
        /// For the audit trail.
        name: String,
        /// What it may do.
        roles: Roles,
        /// The process; 0 if none is known.
        pid: u32,
        /// Its effective uid.
        uid: u32,
    },
    /// Somebody without any right.
    Nobody {
        /// Why, and what to do about it.
        why: String,
    },
}

/// What an operator may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    /// See what is in force, what is asked and what is recorded, and evaluate as any agent.
    pub read: bool,
    /// Answer questions.
    pub answer: bool,
    /// Put policies in force.
    pub administer: bool,
}

impl Roles {
    /// All of them.
    pub const ALL: Self = Self { read: true, answer: true, administer: true };

    /// Of a member of groups, of which there may be one for each role: `read`, `answer`, `administer`.
    #[must_use]
    pub fn of(is_in: impl Fn(&str) -> bool, groups: [Option<&str>; 3]) -> Self {
        let [read, answer, administer] = groups.map(|group| group.is_some_and(&is_in));
        Self { read: read || answer || administer, answer, administer }
    }

    /// Whether it is none.
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Self::default()
    }
}

/// What a route needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    Nothing,
    /// An agent about itself, or the role `read`.
    Own,
    /// The role `read`.
    Read,
    /// The role `answer`, which no agent can have.
    Answer,
    /// The role `administer`, which no agent can have.
    Administer,
}

impl Need {
    /// Whether `caller` has it.
    #[must_use]
    pub fn is_met(self, caller: &Caller) -> bool {
        match (self, caller) {
            (Self::Nothing, _) => true,
            (_, Caller::Nobody { .. }) => false,
            (Self::Own, Caller::Agent { .. }) => true,
            (_, Caller::Agent { .. }) => false,
            (Self::Own | Self::Read, Caller::Operator { roles, .. }) => roles.read,
            (Self::Answer, Caller::Operator { roles, .. }) => roles.answer,
            (Self::Administer, Caller::Operator { roles, .. }) => roles.administer,
        }
    }
}

/// Every route: method, path, what it needs. A request that is not in it is refused.
pub const ROUTES: [(&str, &str, Need); 15] = [
    ("GET", "/healthz", Need::Nothing),
    ("GET", "/readyz", Need::Nothing),
    ("GET", "/v1/openapi.json", Need::Nothing),
    ("POST", "/v1/evaluate", Need::Own),
    ("POST", "/access/v1/evaluation", Need::Own),
    ("POST", "/access/v1/evaluations", Need::Own),
    ("GET", "/v1/questions", Need::Own),
    ("GET", "/v1/questions/{id}", Need::Own),
    ("POST", "/v1/questions/{id}/answer", Need::Answer),
    ("GET", "/v1/events", Need::Own),
    ("GET", "/v1/audit", Need::Own),
    ("GET", "/v1/policies", Need::Read),
    ("PUT", "/v1/policies", Need::Administer),
    ("GET", "/v1/status", Need::Read),
    ("GET", "/metrics", Need::Read),
];

/// What a method of a path needs; `None` if it is not there.
#[must_use]
pub fn need(method: &str, path: &str) -> Option<Need> {
    // A HEAD is a GET whose body is not sent.
    let method = if method == "HEAD" { "GET" } else { method };
    let mut routes = ROUTES.iter();
    routes.find(|(known, at, _)| *known == method && *at == path).map(|(_, _, need)| *need)
}

#[cfg(test)]
mod tests {
    use super::{Caller, Need, ROUTES, Roles, need};

    #[test]
    fn no_agent_can_answer_or_administer_whatever_it_is() {
        let agent = Caller::Agent { name: "coder".to_owned(), session: 1, pid: 1, uid: 0 };
        let nobody = Caller::Nobody { why: String::new() };
        for (method, path, needs) in ROUTES {
            assert_eq!(need(method, path), Some(needs));
            let changes = method == "PUT" || path.ends_with("/answer");
            assert!(!(changes && needs.is_met(&agent)), "{method} {path}");
            let may = matches!(needs, Need::Nothing | Need::Own);
            assert_eq!(needs.is_met(&agent), may, "{method} {path}");
            assert_eq!(needs.is_met(&nobody), needs == Need::Nothing, "{method} {path}");
        }
    }

    #[test]
    fn a_role_gives_what_it_says_and_nothing_else() {
        let none = Roles::default();
        for (roles, met) in [
            (none, [true, false, false, false, false]),
            (Roles { read: true, ..none }, [true, true, true, false, false]),
            (Roles { answer: true, ..none }, [true, false, false, true, false]),
            (Roles { administer: true, ..none }, [true, false, false, false, true]),
            (Roles::ALL, [true; 5]),
        ] {
            let operator = Caller::Operator { name: "desk".to_owned(), roles, pid: 1, uid: 7 };
            let needs = [Need::Nothing, Need::Own, Need::Read, Need::Answer, Need::Administer];
            assert_eq!(needs.map(|need| need.is_met(&operator)), met, "{roles:?}");
        }
    }
}
