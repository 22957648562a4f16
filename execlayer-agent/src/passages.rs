//! Ways from one policy to another: which rules of the policies in force lead where, and which lead nowhere. A way is
//! there if a rule of the one leads it and the other accepts it. Must not touch the kernel.

use std::collections::{BTreeMap, BTreeSet};

use execlayer_common::provenance::Provenance;

/// A policy in force, or about to be.
#[derive(Clone, Copy, Debug)]
pub struct Policy<'a> {
    /// Its agent's profile.
    pub profile: u32,
    /// Its generation.
    pub generation: u32,
    /// Its rules.
    pub provenance: &'a Provenance,
}

impl<'a> Policy<'a> {
    /// Rules that lead away, and the agents to whose policies.
    fn leading(self) -> impl Iterator<Item = (u16, &'a str)> {
        let rules = (0..).zip(&self.provenance.rules);
        rules.filter_map(|(number, rule)| Some((number, rule.transition.as_deref()?)))
    }

    const fn way(self, rule: u16) -> u64 {
        (self.generation as u64) << 16 | rule as u64
    }
}

/// What the kernel is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passages {
    /// Bitmap of the profiles (bit 0 is profile 1) that have rules which lead away.
    pub leading: u64,
    /// `generation << 16 | rule` to the profile that can be entered.
    pub ways: BTreeMap<u64, u32>,
}

impl Passages {
    /// The ways between these policies.
    #[must_use]
    pub fn between(policies: &[Policy<'_>]) -> Self {
        let mut found = Self::default();
        for policy in policies {
            for (rule, agent) in policy.leading() {
                found.leading |= bit(policy.profile);
                if let Some(target) = target(policies, policy, agent) {
                    found.ways.insert(policy.way(rule), target);
                }
            }
        }
        found
    }

    /// What holds both before and after a policy takes the place of the one that its profile has, of whose generation
    /// calls are still judged: nobody is led where one of the two does not accept it.
    #[must_use]
    pub fn while_changing(&self, next: &Self, profile: u32, generation: Option<u32>) -> Self {
        let mut ways = next.ways.clone();
        ways.retain(|way, target| *target != profile || self.ways.contains_key(way));
        let replaced = self.ways.iter().filter(|(way, _)| Some(generation_of(**way)) == generation);
        ways.extend(replaced);
        Self { leading: self.leading | next.leading, ways }
    }

    /// With the ways of a policy that is judged by, and whose rules nobody knows; none to `closed`.
    pub fn keep(&mut self, known: &Self, profile: u32, generation: u32, closed: Option<u32>) {
        self.leading |= known.leading & bit(profile);
        let ways = known.ways.iter().filter(|(way, _)| generation_of(**way) == generation);
        self.ways.extend(ways.filter(|(_, target)| Some(**target) != closed));
    }
}

const fn bit(profile: u32) -> u64 {
    1 << (profile.wrapping_sub(1) & 63)
}

const fn generation_of(way: u64) -> u32 {
    (way >> 16) as u32
}

fn target(policies: &[Policy<'_>], from: &Policy<'_>, agent: &str) -> Option<u32> {
    let target = policies.iter().find(|policy| policy.provenance.agent == agent)?;
    let accepts = target.provenance.accepts_from.contains(&from.provenance.agent);
    accepts.then_some(target.profile)
}

/// Rules that lead nowhere, in words: what they are about is not executed.
#[must_use]
pub fn broken(policies: &[Policy<'_>]) -> Vec<String> {
    let mut out = Vec::new();
    for policy in policies {
        for (rule, agent) in policy.leading() {
            if target(policies, policy, agent).is_some() {
                continue;
            }
            let id = policy.provenance.rules.get(usize::from(rule)).map_or("", |rule| &rule.id);
            let from = &policy.provenance.agent;
            let why = if policies.iter().any(|policy| policy.provenance.agent == agent) {
                format!("whose policy does not accept programs from `{from}`")
            } else {
                "which has no policy in force".to_owned()
            };
            out.push(format!("rule `{id}` of `{from}` leads to `{agent}`, {why}"));
        }
    }
    out
}

/// An order in which policies come into force after those that they lead to, as far as there is one.
#[must_use]
pub fn order(policies: &[Option<&Provenance>]) -> Vec<usize> {
    let mut order = Vec::with_capacity(policies.len());
    let mut seen = BTreeSet::new();
    for start in 0..policies.len() {
        visit(policies, start, &mut seen, &mut order);
    }
    order
}

fn visit(
    policies: &[Option<&Provenance>],
    at: usize,
    seen: &mut BTreeSet<usize>,
    order: &mut Vec<usize>,
) {
    if !seen.insert(at) {
        return;
    }
    let rules = policies.get(at).copied().flatten().map_or(&[][..], |policy| &policy.rules);
    for agent in rules.iter().filter_map(|rule| rule.transition.as_deref()) {
        let leads_to = |policy: &Option<&Provenance>| policy.is_some_and(|it| it.agent == agent);
        if let Some(target) = policies.iter().position(leads_to) {
            visit(policies, target, seen, order);
        }
    }
    order.push(at);
}

#[cfg(test)]
mod tests;
