//! What a bundle would change, in words: the changes that the policy compiler finds, with the rules' names of both
//! sides. Must not decide what a change is.

use std::{fs, io, path::Path};

use execlayer_api::{places, text};
use execlayer_bundle::{UnverifiedClaims, limits::MAX_BUNDLE_BYTES, unverified_claims};
use execlayer_common::{
    access::{Access, Operation},
    provenance::Provenance,
    verdict::{RuleIndex, Verdict},
};
use execlayer_policy::difference::{Budget, Change, Difference, Outcome, Side, When, difference};
use serde::Serialize;

use crate::{
    error::CliError,
    files,
    output::{Paint, printable},
    words,
};

/// What one bundle changes against another.
#[derive(Debug, Serialize)]
pub(crate) struct Changes {
    /// What it is compared with.
    pub(crate) against: Against,
    /// Whether each only records what it would deny: the other, and this one.
    pub(crate) monitors: [bool; 2],
    pub(crate) accepts_from: Accepts,
    pub(crate) changes: Vec<Told>,
}

/// Agents whose rules may lead to this policy, as far as that changes.
#[derive(Debug, Serialize)]
pub(crate) struct Accepts {
    added: Vec<String>,
    removed: Vec<String>,
}

impl Accepts {
    fn find(old: &Provenance, new: &Provenance) -> Self {
        let only = |these: &Provenance, others: &Provenance| {
            let mut these = these.accepts_from.clone();
            these.retain(|agent| !others.accepts_from.contains(agent));
            these
        };
        Self { added: only(new, old), removed: only(old, new) }
    }

    fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }

    fn write(&self, text: &mut String) {
        let mut line = |agents: &[String], what: &str| {
            if !agents.is_empty() {
                text.push_str(&format!("  {what} {}\n", printable(&agents.join(", "))));
            }
        };
        line(&self.added, "lets in programs to which rules lead of");
        line(&self.removed, "lets in no more what comes from");
    }
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Against {
    pub(crate) policy: String,
    pub(crate) version: u64,
    pub(crate) digest: String,
    pub(crate) is_in_force: bool,
}

/// A change, with the names of its rules.
#[derive(Debug, Serialize)]
pub(crate) struct Told {
    becomes: &'static str,
    operation: &'static str,
    access: Vec<&'static str>,
    /// The same in fewer words.
    #[serde(skip)]
    in_short: Vec<String>,
    /// One of those of which it is so.
    example: String,
    before: Said,
    after: Said,
    #[serde(skip_serializing_if = "Option::is_none")]
    when: Option<String>,
}

#[derive(Debug, Serialize)]
struct Said {
    verdict: &'static str,
    reason: &'static str,
    rule: Option<String>,
    file: Option<String>,
    line: Option<u32>,
    /// The agent to whose policy the rule leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    transition: Option<String>,
}

/// What becomes of a call, in the order in which it is told.
const HEADINGS: [(&str, &str); 6] = [
    ("governed", "Becomes governed"),
    ("not-governed", "Is governed no more"),
    ("allow", "Becomes allowed"),
    ("ask", "Becomes asked about"),
    ("deny", "Becomes denied"),
    ("leads", "Leads elsewhere"),
];

impl Changes {
    /// Compares the bundle with one that is in force, or with another.
    pub(crate) fn find(
        old: &UnverifiedClaims,
        new: &UnverifiedClaims,
        is_in_force: bool,
    ) -> Result<Self, CliError> {
        let Difference { monitors, changes } = difference(side(old), side(new))
            .map_err(|error| CliError::failure(format!("they cannot be compared: {error}")))?;
        let tell = |change: &Change| told(change, &old.provenance, &new.provenance);
        let against = Against {
            policy: old.provenance.policy.clone(),
            version: old.provenance.version,
            digest: old.digest.clone(),
            is_in_force,
        };
        let accepts_from = Accepts::find(&old.provenance, &new.provenance);
        Ok(Self { against, monitors, accepts_from, changes: changes.iter().map(tell).collect() })
    }

    /// In words.
    pub(crate) fn text(&self, paint: Paint) -> String {
        let Against { policy, version, is_in_force, .. } = &self.against;
        let place = if *is_in_force { ", which is in force" } else { "" };
        let mut text = format!("Against `{}` version {version}{place}:\n", printable(policy));
        match self.monitors {
            [false, true] => {
                text.push_str("  nothing is denied any more, only recorded (monitor)\n")
            }
            [true, false] => text.push_str("  what was only recorded before is denied (enforce)\n"),
            _ => {}
        }
        self.accepts_from.write(&mut text);
        if self.changes.is_empty() {
            if self.accepts_from.is_empty() {
                text.push_str("  every call is decided as before\n");
            }
            return text;
        }
        text.push_str(
            "  each with one of the shortest examples; it stands for all that these rules decide\n",
        );
        for (key, heading) in HEADINGS {
            let mut changes = self.changes.iter().filter(|change| change.becomes == key).peekable();
            if changes.peek().is_some() {
                text.push_str(&format!("\n{}{heading}{}\n", paint.bold(), paint.reset()));
            }
            changes.for_each(|change| change.write(&mut text));
        }
        text
    }
}

impl Told {
    fn write(&self, text: &mut String) {
        let what = match self.operation {
            "select-cgroup" => format!("tasks in the control group {}", self.example),
            "select-exe" => format!("tasks that execute {}", self.example),
            _ if self.becomes == "leads" => format!("executing {}", self.example),
            _ => words::act(&self.in_short, &self.example),
        };
        text.push_str(&format!("  {}\n", printable(&what)));
        if !self.access.is_empty() {
            let said = if self.becomes == "leads" { Said::way } else { Said::text };
            text.push_str(&format!("    was {}\n", printable(&said(&self.before))));
            text.push_str(&format!("    now {}\n", printable(&said(&self.after))));
        }
        if let Some(when) = &self.when {
            text.push_str(&format!("    {when}\n"));
        }
    }
}

impl Said {
    fn new(verdict: Verdict, provenance: &Provenance) -> Self {
        let rule = verdict.rule().and_then(|rule| provenance.rules.get(usize::from(rule.0)));
        let file = rule.and_then(|rule| provenance.files.get(rule.file as usize));
        Self {
            verdict: name(verdict),
            reason: verdict.reason().name(),
            rule: rule.map(|rule| rule.id.clone()),
            file: file.cloned(),
            line: rule.map(|rule| rule.line),
            transition: rule.and_then(|rule| rule.transition.clone()),
        }
    }

    /// Where it leads, of changes in that.
    fn way(&self) -> String {
        match &self.transition {
            Some(agent) => {
                let rule = words::rule(self.rule.as_deref(), self.file.as_deref(), self.line);
                format!("to the policy of `{agent}` by {rule}")
            }
            None => "nowhere: it stays under this policy".to_owned(),
        }
    }

    fn text(&self) -> String {
        let what = match self.verdict {
            "allow" => "allowed",
            "ask" => "asked about",
            _ => "denied",
        };
        let rule = words::rule(self.rule.as_deref(), self.file.as_deref(), self.line);
        format!("{what} by {rule}")
    }
}

fn side(claims: &UnverifiedClaims) -> Side<'_> {
    Side { image: &claims.image, provenance: &claims.provenance }
}

fn name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allow(_) => "allow",
        Verdict::Ask(_) => "ask",
        Verdict::Deny(..) => "deny",
    }
}

fn told(change: &Change, old: &Provenance, new: &Provenance) -> Told {
    let becomes = match (change.access, name(change.after)) {
        (Access::GOVERN, "allow") => "governed",
        (Access::GOVERN, _) => "not-governed",
        (Access::ENTER, _) => "leads",
        (_, name) => name,
    };
    Told {
        becomes,
        operation: change.operation.name(),
        access: change.access.names().collect(),
        in_short: in_short(change.access),
        example: example(change),
        before: Said::new(change.before, old),
        after: Said::new(change.after, new),
        when: change.when.as_ref().map(|when| moment(when, old, new)),
    }
}

/// Names of accesses, those of a group by the group's.
fn in_short(access: Access) -> Vec<String> {
    let groups = Access::GROUPS.into_iter().filter(|(_, group)| access.contains(*group));
    let (names, rest) = groups.fold((Vec::new(), access), |(mut names, rest), (name, group)| {
        names.push(name);
        (names, Access(rest.0 & !group.0))
    });
    rest.names().chain(names).map(str::to_owned).collect()
}

fn example(change: &Change) -> String {
    let subject = text::printable(change.operation, &change.subject);
    match change.operation {
        Operation::Unix => format!("unix:{subject}"),
        _ => subject,
    }
}

/// One of the moments and callers of which it is so.
fn moment(when: &When, old: &Provenance, new: &Provenance) -> String {
    let clock = |minute: u16| format!("at {:02}:{:02} UTC", minute / 60, minute % 60);
    let budget = |(budget, is_left): &(Budget, bool)| {
        let Budget { uses, window, before } = budget;
        let which = if *before == 0 { String::new() } else { format!(" (number {})", before + 1) };
        let state = if *is_left { "has a use left" } else { "is used up" };
        format!("the budget of {uses} in {}{which} {state}", words::span(u64::from(*window)))
    };
    let parts =
        when.uid.map(|uid| format!("for uid {uid}")).into_iter().chain(when.minute.map(clock));
    let context = |(rule, is_new, outcome): &(RuleIndex, bool, Outcome)| {
        let side = if *is_new { new } else { old };
        let rule = side.rules.get(usize::from(rule.0)).map_or("?", |rule| rule.id.as_str());
        let rule = printable(rule);
        match outcome {
            Outcome::Holds => format!("where the context is as `{rule}` asks"),
            Outcome::Fails => format!("where the context is not as `{rule}` asks"),
            Outcome::Unknown => format!("where the context lacks what `{rule}` asks about"),
        }
    };
    let parts = parts.chain(when.budgets.iter().map(budget));
    let parts: Vec<String> = parts.chain(when.contexts.iter().map(context)).collect();
    format!("for example {}", parts.join(", "))
}

/// The bundle that a service keeps in force for this agent, as far as the caller may see it.
pub(crate) fn in_force(
    state_dir: &Path,
    agent: &str,
) -> Result<Option<UnverifiedClaims>, CliError> {
    let folder = state_dir.join(places::KEPT_BUNDLES);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) => {
            return match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => Ok(None),
                _ => Err(files::cannot("read", &folder, &error)),
            };
        }
    };
    for entry in entries {
        let path = entry.map_err(|error| files::cannot("read", &folder, &error))?.path();
        if path.extension().is_none_or(|ending| ending != "bundle") {
            continue;
        }
        let bytes = files::read_or_fail(&path, MAX_BUNDLE_BYTES)?;
        // What the daemon keeps it has verified; one that cannot be read is its business.
        if let Ok(claims) = unverified_claims(&bytes)
            && claims.provenance.agent == agent
        {
            return Ok(Some(claims));
        }
    }
    Ok(None)
}
