//! Answers that are remembered: the kernel has them by key, this says what they are about. Must not decide
//! which are given.

use std::{collections::BTreeMap, io};

use execlayer_api::{About, Grant, Whose};
use execlayer_common::question::{self, GrantKey, STATE_ALLOW, STATE_DENY};

use crate::kernel::Hold;

const SECOND: u64 = 1_000_000_000;

/// One of them.
#[derive(Clone, Debug)]
struct Remembered {
    key: GrantKey,
    /// ns since boot.
    expires: u64,
    /// Digest of the policy under which it was given.
    digest: String,
    grant: Grant,
}

/// What is to be remembered.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Profile number and generation.
    pub policy: (u32, u32),
    /// Digest of the policy.
    pub digest: String,
    /// Number of the rule that asked.
    pub rule: u32,
    /// [`execlayer_common::access::Operation`] and access bits.
    pub operation: u32,
    /// See `operation`.
    pub access: u32,
    /// [`GrantKey::reserved`].
    pub place: u32,
    /// The process tree.
    pub session: u64,
    /// What the record of the question says of it.
    pub subject: [u64; 2],
    /// For people; its number and its time are filled in here.
    pub grant: Grant,
    /// How long.
    pub seconds: u64,
}

/// All of them, by number.
#[derive(Debug, Default)]
pub struct Grants {
    last: u64,
    known: BTreeMap<u64, Remembered>,
}

impl Grants {
    /// Remembers an answer, in place of one that is about the same.
    ///
    /// # Errors
    ///
    /// What the kernel said: nothing is remembered then.
    pub fn give(&mut self, gate: &mut dyn Hold, wish: Wish, now: u64) -> io::Result<Grant> {
        let Wish { policy: (profile, generation), rule, operation, access, .. } = wish;
        let session = if wish.grant.scope == Whose::Tree { wish.session } else { 0 };
        let key = match wish.grant.about {
            About::Subject => GrantKey {
                profile,
                operation,
                access,
                reserved: wish.place,
                session,
                subject: wish.subject,
            },
            About::Rule => GrantKey {
                profile,
                operation: question::ANY_OPERATION,
                access: 0,
                reserved: 0,
                session,
                subject: [rule.into(), generation.into()],
            },
        };
        let expires = now.saturating_add(wish.seconds.saturating_mul(SECOND));
        let id = self.last.saturating_add(1);
        let state = if wish.grant.allows { STATE_ALLOW } else { STATE_DENY };
        gate.grant(&key, &question::Grant { state, reserved: 0, expires, id })?;
        self.last = id;
        self.known.retain(|_id, known| known.key != key);
        let grant = Grant { id, left: wish.seconds, ..wish.grant };
        self.known
            .insert(id, Remembered { key, expires, digest: wish.digest, grant: grant.clone() });
        Ok(grant)
    }

    /// All of them, oldest first.
    #[must_use]
    pub fn list(&self, now: u64) -> Vec<Grant> {
        let left = |known: &Remembered| known.expires.saturating_sub(now) / SECOND;
        let grant = |known: &Remembered| Grant { left: left(known), ..known.grant.clone() };
        self.known.values().map(grant).collect()
    }

    /// Forgets one; `None` if there is none.
    ///
    /// # Errors
    ///
    /// What the kernel said: it stays then.
    pub fn revoke(&mut self, gate: &mut dyn Hold, id: u64) -> io::Result<Option<Grant>> {
        let Some(known) = self.known.get(&id) else { return Ok(None) };
        gate.revoke(&known.key)?;
        Ok(self.known.remove(&id).map(|known| known.grant))
    }

    /// Forgets what is over: by time, or because the rule that asked is of another policy; those that are
    /// forgotten. The same policy, put in force again, keeps what is about its rules. `in_force`: generation
    /// and digest of a profile's policy.
    ///
    /// # Errors
    ///
    /// The first thing that the kernel said. What failed is tried again the next time.
    pub fn sweep<'a>(
        &mut self,
        gate: &mut dyn Hold,
        now: u64,
        in_force: impl Fn(u32) -> Option<(u32, &'a str)>,
    ) -> io::Result<Vec<Grant>> {
        for known in self.known.values_mut().filter(|known| known.grant.about == About::Rule) {
            let [rule, generation] = known.key.subject;
            match in_force(known.key.profile) {
                Some((now_at, digest))
                    if digest == known.digest && u64::from(now_at) != generation =>
                {
                    let key = GrantKey { subject: [rule, now_at.into()], ..known.key };
                    let state = if known.grant.allows { STATE_ALLOW } else { STATE_DENY };
                    let expires = known.expires;
                    let id = known.grant.id;
                    gate.grant(&key, &question::Grant { state, reserved: 0, expires, id })?;
                    gate.revoke(&known.key)?;
                    known.key = key;
                }
                _ => {}
            }
        }
        let is_over = |known: &Remembered| {
            let is_same =
                in_force(known.key.profile).is_some_and(|(_, digest)| digest == known.digest);
            known.expires <= now || known.grant.about == About::Rule && !is_same
        };
        let over: Vec<u64> =
            self.known.iter().filter(|(_id, known)| is_over(known)).map(|(id, _)| *id).collect();
        let mut ended = Vec::new();
        for id in over {
            ended.extend(self.revoke(gate, id)?);
        }
        Ok(ended)
    }
}

/// Forgets what an earlier daemon remembered: nobody could say what it is about.
///
/// # Errors
///
/// The first thing that the kernel said.
pub fn forget_all(gate: &mut dyn Hold) -> io::Result<usize> {
    let left = gate.grants()?;
    for (key, _grant) in &left {
        gate.revoke(key)?;
    }
    Ok(left.len())
}

#[cfg(test)]
mod tests;
