//! High-water marks: the newest version of each policy that was in force, and the newest time that anything
//! signed has named. Written before a switch, so that no lost power makes an older policy new again. Must not
//! know what is in a policy.

use std::{fs, io, path::Path};

use execlayer_bundle::order::Rollback;
use serde::{Deserialize, Serialize};

use crate::{store, trust};

/// In the state directory.
pub const FILE: &str = "marks.json";
const FORMAT: u32 = 1;
const MAX_BYTES: usize = 16 << 20;

/// A version of a policy, and the SHA-256 of what was signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edition {
    /// The policy's version.
    pub version: u64,
    /// In hex; empty after an order to go back: then any content of that version will do.
    pub digest: String,
}

/// Of one policy of one agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mark {
    agent: String,
    policy: String,
    edition: Edition,
    /// What was in force before, while a switch is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<Before>,
    /// What an order gave up, and what governs on until something else is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    given_up: Option<Edition>,
}

/// What a switch leaves behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Before {
    /// There was no mark.
    Nothing,
    /// This was the mark.
    Edition(Edition),
}

/// Why a policy may not be put in force, although it is signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A newer one was in force.
    #[error("version {found} is older than version {mark}, which was in force")]
    Older {
        /// The newest that was.
        mark: u64,
        /// The one that is refused.
        found: u64,
    },
    /// The same version was in force with other content.
    #[error("version {0} was in force with other content: a changed policy needs a new version")]
    Changed(u64),
    /// An order that is not about what was in force.
    #[error("the order gives up version {from}, and the newest that was in force is {mark}")]
    Order {
        /// The version that the order names.
        from: u64,
        /// The newest that was in force; 0 if none was.
        mark: u64,
    },
}

/// Every mark.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marks {
    format: u32,
    newest: u64,
    policies: Vec<Mark>,
}

impl Marks {
    /// Reads them. A file that cannot be used is set aside; then what is stored sets new ones, and the second
    /// part says so.
    #[must_use]
    pub fn read(state_dir: &Path) -> (Self, Option<String>) {
        let path = state_dir.join(FILE);
        let read = trust::open_regular(&path)
            .and_then(|mut file| Self::parse(&trust::read_bounded(&mut file, MAX_BYTES)?));
        match read {
            Ok(marks) => (marks, None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (Self::default(), None),
            Err(error) => {
                let aside = path.with_extension("json.corrupt");
                let moved = fs::rename(&path, &aside);
                let moved = moved.map_or_else(
                    |error| format!("it cannot be set aside: {error}"),
                    |()| format!("it is kept as `{}`", aside.display()),
                );
                (Self::default(), Some(format!("`{}`: {error}; {moved}", path.display())))
            }
        }
    }

    /// The marks of a file's bytes.
    ///
    /// # Errors
    ///
    /// Why they are none.
    pub fn parse(bytes: &[u8]) -> io::Result<Self> {
        let marks: Self = serde_json::from_slice(bytes)?;
        match marks.format {
            FORMAT => Ok(marks),
            other => Err(io::Error::other(format!("format {other} is not known here"))),
        }
    }

    /// Writes them; on the disk when it returns.
    ///
    /// # Errors
    ///
    /// If they cannot be written; what was there stays.
    pub fn write(&mut self, state_dir: &Path) -> io::Result<()> {
        self.format = FORMAT;
        store::write_whole(state_dir, FILE, &serde_json::to_vec(self)?)
    }

    /// The newest time that is known, in seconds since 1970: a device's clock may have stood still.
    #[must_use]
    pub fn newest(&self, clock: u64) -> u64 {
        clock.max(self.newest)
    }

    /// Something that was signed names this time.
    pub fn saw(&mut self, time: Option<u64>) {
        self.newest = self.newest.max(time.unwrap_or(0));
    }

    /// Whether this one may come into force.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn judge(&self, agent: &str, policy: &str, new: &Edition) -> Result<(), Refusal> {
        let Some(mark) = self.of(agent, policy) else { return Ok(()) };
        let edition = &mark.edition;
        if new.version < edition.version {
            return Err(Refusal::Older { mark: edition.version, found: new.version });
        }
        let is_other = !edition.digest.is_empty() && edition.digest != new.digest;
        if new.version == edition.version && is_other {
            return Err(Refusal::Changed(new.version));
        }
        Ok(())
    }

    /// Whether this one, which was kept for a restart, may be in force again: also the one that an interrupted
    /// switch was to replace.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn judge_kept(&self, agent: &str, policy: &str, kept: &Edition) -> Result<(), Refusal> {
        match self.of(agent, policy).and_then(|mark| mark.before.as_ref()) {
            Some(Before::Edition(before)) if before == kept => Ok(()),
            _ => self.judge(agent, policy, kept),
        }
    }

    /// Whether these are the very bytes that were signed of what was in force, or on its way there.
    #[must_use]
    pub fn knows(&self, agent: &str, policy: &str, digest: &str) -> bool {
        let Some(mark) = self.of(agent, policy) else { return false };
        let before = match &mark.before {
            Some(Before::Edition(before)) => Some(before),
            Some(Before::Nothing) | None => None,
        };
        let mut known = [Some(&mark.edition), before, mark.given_up.as_ref()].into_iter().flatten();
        !digest.is_empty() && known.any(|edition| edition.digest == digest)
    }

    /// This one, which was kept for a restart, is in force again. An order to go back stands, also one whose version
    /// was on its way into force.
    pub fn restored(&mut self, agent: &str, policy: &str, kept: Edition) {
        match self.mutable(agent, policy) {
            Some(mark) => match mark.before.take() {
                Some(Before::Edition(before)) if mark.edition != kept => mark.edition = before,
                Some(Before::Edition(_) | Before::Nothing) => mark.edition = kept,
                None => {}
            },
            None => self.set(agent, policy, Some(kept), None),
        }
    }

    /// A switch to this one begins.
    pub fn begin(&mut self, agent: &str, policy: &str, new: Edition) {
        let before = match self.of(agent, policy) {
            None => Before::Nothing,
            Some(Mark { before: Some(before), .. }) => before.clone(),
            Some(mark) => Before::Edition(mark.edition.clone()),
        };
        self.set(agent, policy, Some(new), Some(before));
    }

    /// The switch that was begun is done.
    pub fn done(&mut self, agent: &str, policy: &str) {
        if let Some(mark) = self.mutable(agent, policy) {
            mark.before = None;
            mark.given_up = None;
        }
    }

    /// The switch that was begun did not come about.
    pub fn undo(&mut self, agent: &str, policy: &str) {
        match self.of(agent, policy).and_then(|mark| mark.before.clone()) {
            Some(Before::Nothing) => self.set(agent, policy, None, None),
            Some(Before::Edition(edition)) => self.set(agent, policy, Some(edition), None),
            None => {}
        }
    }

    /// Goes back as ordered.
    ///
    /// # Errors
    ///
    /// [`Refusal::Order`].
    pub fn go_back(&mut self, order: &Rollback) -> Result<(), Refusal> {
        let mark = self.newest_of(&order.agent, &order.policy).unwrap_or(0);
        if mark != order.from {
            return Err(Refusal::Order { from: order.from, mark });
        }
        let given_up = self.of(&order.agent, &order.policy).map(|mark| mark.edition.clone());
        let edition = Edition { version: order.to, digest: String::new() };
        self.set(&order.agent, &order.policy, Some(edition), None);
        if let Some(mark) = self.mutable(&order.agent, &order.policy)
            && given_up.as_ref().is_some_and(|edition| !edition.digest.is_empty())
        {
            mark.given_up = given_up;
        }
        self.saw(order.issued);
        Ok(())
    }

    /// The newest version that was in force, or the one that an order went back to.
    #[must_use]
    pub fn newest_of(&self, agent: &str, policy: &str) -> Option<u64> {
        self.of(agent, policy).map(|mark| mark.edition.version)
    }

    fn of(&self, agent: &str, policy: &str) -> Option<&Mark> {
        self.policies.iter().find(|mark| mark.agent == agent && mark.policy == policy)
    }

    fn mutable(&mut self, agent: &str, policy: &str) -> Option<&mut Mark> {
        self.policies.iter_mut().find(|mark| mark.agent == agent && mark.policy == policy)
    }

    fn set(&mut self, agent: &str, policy: &str, to: Option<Edition>, before: Option<Before>) {
        let given_up = self.of(agent, policy).and_then(|mark| mark.given_up.clone());
        self.policies.retain(|mark| mark.agent != agent || mark.policy != policy);
        if let Some(edition) = to {
            let (agent, policy) = (agent.to_owned(), policy.to_owned());
            self.policies.push(Mark { agent, policy, edition, before, given_up });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use execlayer_bundle::order;

    use super::*;

    fn edition(version: u64, digest: &str) -> Edition {
        Edition { version, digest: digest.to_owned() }
    }

    fn at(version: u64, digest: &str) -> Marks {
        let mut marks = Marks::default();
        marks.begin("a", "p", edition(version, digest));
        marks.done("a", "p");
        marks
    }

    fn order(from: u64, to: u64) -> Rollback {
        let (policy, agent) = ("p".to_owned(), "a".to_owned());
        Rollback { format: order::FORMAT, policy, agent, from, to, issued: Some(77) }
    }

    #[test]
    fn an_older_version_and_a_changed_one_are_refused() {
        let marks = at(7, "x");
        assert_eq!(marks.judge("a", "p", &edition(7, "x")), Ok(()));
        assert_eq!(marks.judge("a", "p", &edition(8, "y")), Ok(()));
        assert_eq!(marks.judge("a", "p", &edition(7, "y")), Err(Refusal::Changed(7)));
        let older = Refusal::Older { mark: 7, found: 6 };
        assert_eq!(marks.judge("a", "p", &edition(6, "x")), Err(older));
        assert_eq!(marks.judge("a", "q", &edition(1, "x")), Ok(()), "another policy");
        assert_eq!(marks.judge("b", "p", &edition(1, "x")), Ok(()), "another agent");
    }

    #[test]
    fn an_interrupted_switch_leaves_both_and_no_third() {
        let mut marks = at(7, "x");
        marks.begin("a", "p", edition(9, "z"));
        assert_eq!(marks.judge_kept("a", "p", &edition(7, "x")), Ok(()));
        assert_eq!(marks.judge_kept("a", "p", &edition(9, "z")), Ok(()));
        assert!(marks.judge_kept("a", "p", &edition(7, "y")).is_err());
        assert!(marks.judge_kept("a", "p", &edition(8, "x")).is_err());
        assert!(marks.judge("a", "p", &edition(7, "x")).is_err(), "nobody else may bring it");
        // A second switch over the interrupted one still knows what was really in force.
        marks.begin("a", "p", edition(10, "w"));
        marks.undo("a", "p");
        assert_eq!(marks, at(7, "x"));
        let mut first = Marks::default();
        first.begin("a", "p", edition(1, "x"));
        first.undo("a", "p");
        assert_eq!(first, Marks::default());
    }

    #[test]
    fn an_order_goes_back_once() {
        let mut marks = at(7, "x");
        assert!(marks.knows("a", "p", "x") && !marks.knows("a", "p", ""));
        assert_eq!(marks.go_back(&order(6, 5)), Err(Refusal::Order { from: 6, mark: 7 }));
        marks.go_back(&order(7, 5)).unwrap();
        assert!(marks.knows("a", "p", "x"), "what is given up governs on");
        assert_eq!(marks.judge("a", "p", &edition(5, "any")), Ok(()));
        assert!(marks.judge("a", "p", &edition(4, "any")).is_err());
        assert!(marks.go_back(&order(7, 5)).is_err(), "it is spent");
        assert_eq!(
            Marks::default().go_back(&order(7, 5)),
            Err(Refusal::Order { from: 7, mark: 0 })
        );
        // Power is lost while the older one comes into force, and the newer one is still the one that is kept.
        marks.begin("a", "p", edition(5, "any"));
        marks.restored("a", "p", edition(7, "x"));
        assert_eq!(marks.judge("a", "p", &edition(5, "any")), Ok(()), "the order stands");
        marks.begin("a", "p", edition(5, "any"));
        marks.restored("a", "p", edition(5, "any"));
        assert_eq!(marks.judge("a", "p", &edition(5, "other")), Err(Refusal::Changed(5)));
        assert_eq!(marks.newest(76), 77, "the order says how late it is");
        assert_eq!(marks.newest(78), 78);
    }

    #[test]
    fn marks_are_kept_and_a_file_that_cannot_be_used_is_set_aside() {
        let state = tempfile::tempdir().unwrap();
        let mut marks = at(7, "x");
        marks.write(state.path()).unwrap();
        assert_eq!(Marks::read(state.path()), (marks, None));
        for broken in ["", "{", "[]", "{\"format\":2,\"newest\":0,\"policies\":[]}"] {
            fs::write(state.path().join(FILE), broken).unwrap();
            let (marks, problem) = Marks::read(state.path());
            assert_eq!(marks, Marks::default());
            assert!(problem.unwrap().contains("marks.json.corrupt"), "{broken}");
            assert_eq!(
                fs::read(state.path().join("marks.json.corrupt")).unwrap(),
                broken.as_bytes()
            );
            assert_eq!(Marks::read(state.path()), (Marks::default(), None));
        }
    }
}
