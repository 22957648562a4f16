//! A checked policy in plain words: its rules in the order of their strength, and what is left denied.
//! Must not decide anything.

use std::fmt::Write as _;

use execlayer_common::{
    access::Access,
    call::Number,
    feature::{self, Rules},
    image::Effect,
};

use crate::{
    asking,
    check::ABOUT_FILES,
    checked::{Asks, CheckedPolicy, Condition, Mode, Record, Rule, Test, Written},
};

/// What the accesses to files are called in sentences; each stands for what is not said before it.
const WORDS: [(Access, &str); 18] = [
    (Access::EXEC, "run"),
    (Access::READ, "read"),
    (MODIFY, "modify in every way"),
    (WRITE, "change"),
    (Access::APPEND, "add to"),
    (Access::CREATE, "make"),
    (Access::DELETE, "delete"),
    (Access::RENAME, "rename"),
    (Access::LINK, "link"),
    (Access::SYMLINK, "make symbolic links at"),
    (Access::MKDIR, "make folders at"),
    (Access::RMDIR, "remove folders at"),
    (Access::MKNOD, "make devices at"),
    (Access::CHMOD, "change the mode of"),
    (Access::CHOWN, "change the owner of"),
    (Access::UTIME, "change the times of"),
    (Access::XATTR, "change the attributes of"),
    (Access::IOCTL, "control"),
];
const MODIFY: Access = {
    let [(_, modify)] = Access::GROUPS;
    modify
};
const WRITE: Access = Access::WRITE.union(Access::APPEND);
const HEADINGS: [(Effect, &str); 3] = [
    (Effect::Deny, "Denied, whatever else is allowed"),
    (Effect::Ask, "Asked about, and denied unless the answer is yes"),
    (Effect::Allow, "Allowed, unless a rule above says otherwise"),
];

/// The policy in plain words.
#[must_use]
pub fn explain(policy: &CheckedPolicy) -> String {
    let mut out = String::new();
    head(&mut out, policy);
    for (effect, heading) in HEADINGS {
        let mut rules = policy.rules().iter().filter(|rule| rule.effect == effect).peekable();
        if rules.peek().is_some() {
            let _ = writeln!(out, "\n{heading}:");
        }
        for rule in rules {
            explain_rule(&mut out, policy, rule);
        }
    }
    deciders(&mut out, policy);
    rest(&mut out, policy);
    out
}

fn head(out: &mut String, policy: &CheckedPolicy) {
    let (name, version, agent) = (policy.name(), policy.version(), policy.agent());
    let _ = writeln!(out, "Policy `{name}`, version {version}, for the agent `{agent}`.");
    out.push_str("It governs what `execlayer run` starts with it");
    for (list, what) in [
        (policy.cgroups(), "tasks in the control groups"),
        (policy.executables(), "tasks that execute"),
    ] {
        if !list.is_empty() {
            let _ = write!(out, ", {what} {}", quoted(list, "").join(", "));
        }
    }
    let accepted: Vec<String> =
        policy.accepts_from().iter().map(|agent| format!("`{agent}`")).collect();
    if !accepted.is_empty() {
        let _ = write!(out, ", programs to which rules of {} lead", accepted.join(", "));
    }
    out.push_str(", and all that these start.\n");
    out.push_str(match policy.mode() {
        Mode::Enforce => "What it denies fails.",
        Mode::Monitor => "It only watches: what it denies is recorded, and goes on.",
    });
    out.push_str(match policy.record() {
        Record::Denied => " Denials are recorded.\n",
        Record::All => " Every verdict is recorded.\n",
    });
}

fn explain_rule(out: &mut String, policy: &CheckedPolicy, rule: &Rule) {
    let _ = writeln!(out, "  {}", rule.id);
    list(out, &verbs(rule.access).join(", "), &quoted(&rule.paths, ""));
    list(out, "but not", &quoted(&rule.except, ""));
    if let Some(agent) = &rule.transition {
        let _ = writeln!(out, "    from there on under the policy of the agent `{agent}`");
    }
    for (access, what, inet) in
        [(Access::CONNECT, "connect to", &rule.inet), (Access::BIND, "be reached at", &rule.local)]
    {
        if rule.access.contains(access) {
            list(out, what, &[quoted(inet, ""), quoted(&rule.unix, "unix:")].concat());
        }
    }
    list(out, "use", &quoted(&rule.features, ""));
    list(out, "call", &quoted(&rule.calls, ""));
    if !rule.when.is_always() {
        let _ = writeln!(out, "    {}", condition(rule.when));
    }
    for test in &rule.context {
        let _ = writeln!(out, "    only if {}", asks(test));
    }
    if let Some(asking) = &rule.asking {
        let _ = writeln!(out, "    {}", asking::chain(asking, policy.deciders()));
    }
    if let Some(reason) = &rule.reason {
        let _ = writeln!(out, "    because: {reason}");
    }
    let file = policy.files().get(rule.place.file as usize).map_or("", String::as_str);
    let _ = writeln!(out, "    ({file}:{})", rule.place.line);
}

fn verbs(access: Access) -> Vec<&'static str> {
    let mut left = access.intersection(ABOUT_FILES);
    let mut verbs = Vec::new();
    for (bits, word) in WORDS {
        if left.contains(bits) {
            verbs.push(word);
            left = Access(left.0 & !bits.0);
        }
    }
    verbs
}

fn condition(when: Condition) -> String {
    let mut parts = Vec::new();
    if let Some(uid) = when.uid {
        parts.push(format!("for user {uid}"));
    }
    if let Some((from, to)) = when.between {
        let time = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        parts.push(format!("from {} to {} UTC", time(from), time(to)));
    }
    if let Some(budget) = when.at_most {
        let times = if budget.uses == 1 { "once" } else { &format!("{} times", budget.uses) };
        let window = match budget.window {
            1 => "second".to_owned(),
            60 => "minute".to_owned(),
            3_600 => "hour".to_owned(),
            86_400 => "day".to_owned(),
            seconds => format!("{seconds} seconds"),
        };
        parts.push(format!("at most {times} a {window}"));
    }
    format!("only {}", parts.join(", "))
}

/// A test of context in words.
fn asks(test: &Test) -> String {
    let name = test.name.as_str();
    let any = |list: &[Written]| quoted(list, "").join(" or ");
    match &test.asks {
        Asks::Given(true) => format!("`{name}` is given"),
        Asks::Given(false) => format!("`{name}` is not given"),
        Asks::Flag(flag) => format!("`{name}` is {flag}"),
        Asks::Number(least, most) => match (least.to_string(), most.to_string()) {
            _ if *least == Number::LEAST => format!("`{name}` is {most} or less"),
            _ if *most == Number::MOST => format!("`{name}` is {least} or more"),
            (least, most) if least == most => format!("`{name}` is {least}"),
            (least, most) => format!("`{name}` is from {least} to {most}"),
        },
        Asks::Text(list) => format!("`{name}` is {}", any(list)),
        Asks::Every(list) => format!("everything in `{name}` is {}", any(list)),
        Asks::Some(list) => format!("something in `{name}` is {}", any(list)),
    }
}

fn deciders(out: &mut String, policy: &CheckedPolicy) {
    if !policy.deciders().is_empty() {
        out.push_str(
            "\nWho is asked; what one does not know goes to the next, and then is denied:\n",
        );
    }
    for decider in policy.deciders() {
        let _ = writeln!(out, "  {}", asking::decider(decider));
    }
}

/// What no rule allows; total gaps are named first.
fn rest(out: &mut String, policy: &CheckedPolicy) {
    out.push_str("\nEverything else is denied:\n");
    let can = |access: Access| {
        let gives = |rule: &&Rule| rule.effect != Effect::Deny && rule.access.contains(access);
        policy.rules().iter().any(|rule| gives(&rule))
    };
    for (access, nothing, other) in [
        (Access::EXEC, "it can run no program at all", "running any other program"),
        (Access::READ, "it can read no file and list no folder at all", "reading any other file"),
        (Access::WRITE, "it can change no file at all", "changing any other file"),
        (Access::CREATE, "it can make no file at all", "making a file anywhere else"),
        (Access::DELETE, "it can delete no file at all", "deleting any other file"),
        (Access::RENAME, "it can rename nothing at all", "renaming anything else"),
    ] {
        let _ = writeln!(out, "  {}", if can(access) { other } else { nothing });
    }
    let some = |list: fn(&Rule) -> &Vec<Written>| {
        policy.rules().iter().any(|rule| rule.effect != Effect::Deny && !list(rule).is_empty())
    };
    for (any, nothing, other) in [
        (
            some(|rule| &rule.inet),
            "it can connect to no network address at all, this machine's own included",
            "connecting to any other address, and every protocol but TCP and UDP",
        ),
        (
            some(|rule| &rule.local),
            "it can be reached at no network address at all",
            "being reached at any other address or port",
        ),
        (
            some(|rule| &rule.unix),
            "it can connect to no unix socket at all",
            "connecting to any other unix socket",
        ),
        (
            some(|rule| &rule.features),
            "it can use no feature of the kernel that is judged by name",
            "using any other feature of the kernel that is judged by name",
        ),
        (
            some(|rule| &rule.calls),
            "no call of a tool that asks first is allowed",
            "any other call of a tool that asks first",
        ),
    ] {
        let _ = writeln!(out, "  {}", if any { other } else { nothing });
    }
    out.push_str("\nNo rule can allow:\n");
    for feature in feature::ALL.iter().filter(|feature| feature.rules == Rules::Never) {
        let _ = writeln!(out, "  {}", feature.meaning);
    }
}

/// What is done, to what: on one line if it is short.
fn list(out: &mut String, what: &str, patterns: &[String]) {
    let line = patterns.join(", ");
    if line.is_empty() {
        return;
    }
    if line.len() <= 80 {
        let _ = writeln!(out, "    {what} {line}");
        return;
    }
    let _ = writeln!(out, "    {what}");
    for pattern in patterns {
        let _ = writeln!(out, "      {pattern}");
    }
}

fn quoted(list: &[Written], scheme: &str) -> Vec<String> {
    list.iter().map(|written| format!("`{scheme}{}`", written.text)).collect()
}
