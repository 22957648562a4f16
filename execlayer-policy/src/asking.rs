//! Who is asked, in words: chains and deciders, for explanations and listings. Must not decide
//! anything, and trusts no index: bundles that are not verified come here, too.

use execlayer_common::provenance::{Asking, Decider, DeciderKind};

/// Chain, time limit and memory of a rule that asks, on one line.
#[must_use]
pub fn chain(asking: &Asking, deciders: &[Decider]) -> String {
    let name =
        |&number: &u32| deciders.get(number as usize).map_or("?", |decider| decider.name.as_str());
    let names: Vec<&str> = asking.deciders.iter().map(name).collect();
    let mut line = if names.is_empty() {
        "asks human".to_owned()
    } else {
        format!("asks {}", names.join(", then "))
    };
    if let Some(timeout) = asking.timeout {
        line.push_str(&format!("; denied after {}", lasting(timeout)));
    }
    if let Some(remember) = asking.remember {
        line.push_str(&format!("; a yes holds {}", lasting(remember)));
    }
    line
}

/// What a decider is, on one line.
#[must_use]
pub fn decider(decider: &Decider) -> String {
    let counted = |count: usize, one: &str| match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {one}s"),
    };
    let what = match &decider.kind {
        DeciderKind::Human {} => {
            "a person with `execlayer approve` and `execlayer deny`".to_owned()
        }
        DeciderKind::Sha256 { digests } => {
            format!("files by their SHA-256, {}", counted(digests.len(), "digest"))
        }
        DeciderKind::Host { hosts } => format!("addresses of `{}`", hosts.join("`, `")),
        DeciderKind::Budget { uses, window } => {
            format!("{} in {}", counted(*uses as usize, "call"), lasting(*window))
        }
        DeciderKind::Command { argv, timeout } => {
            format!("the program `{}`, up to {}", argv.join(" "), lasting(*timeout))
        }
        DeciderKind::Webhook { url, timeout, retries, .. } => format!(
            "the webhook `{url}`, up to {} and {}",
            lasting(*timeout),
            match retries {
                1 => "1 retry".to_owned(),
                _ => format!("{retries} retries"),
            }
        ),
    };
    format!("{}: {what}", decider.name)
}

/// Seconds in the largest unit that they are whole in.
fn lasting(seconds: u32) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "m")];
    let whole =
        units.into_iter().find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{seconds}s"), |(unit, sign)| format!("{}{sign}", seconds / unit))
}
