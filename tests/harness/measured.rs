//! The acts that are timed, and the policies that they are judged by: the same in user space and in
//! the kernel. Must not time anything.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use execlayer_common::{
    access::{Access, Operation},
    subject::{Inet, Protocol},
    verdict::Verdict,
};
use execlayer_policy::{cases::Act, evaluate::Facts};
use serde_json::{Value, json};

use crate::{prepare::Prepared, realistic, walks};

/// Rules of each policy.
pub const RULES: [usize; 3] = [10, 1_000, 10_000];

/// Files that a rule names: whoever judges them reads every byte.
const NAMED: [&str; 4] = [
    "/etc/passwd",
    "/usr/lib/x86_64-linux-gnu/libc.so.6",
    "/usr/local/lib/python3.11/site-packages/requests/hooks.py",
    "/workspace/node_modules/webpack-dev-server/node_modules/http-proxy-middleware/node_modules/\
     micromatch/node_modules/fill-range/node_modules/to-regex-range/node_modules/is-number/dist/\
     commonjs/index.mjs",
];
/// Allowed by `/opt/server-0/**`, the first rule that [`realistic`] writes.
const BELOW: &str = "/opt/server-0/releases/2026-03-01/share/themes/index.html";
/// Denied by `/**/*.server3` although its directory is allowed.
const ENDING: &str = "/opt/server-0/releases/2026-03-01/configs/private.server3";
const REPORT: &str = "/srv/ledger/reports/2026-03.json";
const WHEN: &str =
    "when = { user = 1000, between = \"08:00-20:00\", at_most = \"4294967295/day\" }";
/// As the conditions want it.
const FACTS: Facts = Facts { uid: 1000, minute: 720 };

/// An act with what is known about it.
#[derive(Debug)]
pub struct Measured {
    /// For people.
    pub name: String,
    /// What is done.
    pub act: Act,
    /// By whom, and when.
    pub facts: Facts,
    /// What has to be looked at. The agent is: each has an image of its own.
    conditions: &'static [&'static str],
    allowed: bool,
}

impl Measured {
    /// What a line of output says besides the times.
    ///
    /// # Errors
    ///
    /// The verdict is not the one that was to be timed.
    pub fn describe(&self, rules: usize, prepared: &Prepared, verdict: Verdict) -> Result<Value> {
        let allowed = matches!(verdict, Verdict::Allow(_));
        ensure!(allowed == self.allowed, "{}, {rules} rules: judged {verdict:?}", self.name);
        Ok(json!({
            "rules": rules,
            "act": self.name,
            "verdict": if allowed { "allow" } else { "deny" },
            "subject_bytes": self.act.subject.len(),
            "bytes_read_by_lanes":
                walks::read(prepared.words(), self.act.operation, &self.act.subject),
            "conditions": self.conditions,
        }))
    }
}

/// A policy with so many rules, those of [`acts`] among them.
///
/// # Errors
///
/// It does not compile.
pub fn policy(rules: usize) -> Result<Prepared> {
    let rule = |id: &str, what: &str| format!("[[rule]]\nid = \"{id}\"\n{what}\n");
    let mut own: Vec<String> = Vec::new();
    for path in NAMED {
        let id = format!("bytes-{}", path.len());
        own.push(rule(&id, &format!("allow = [\"read\"]\npath = \"{path}\"")));
    }
    let to = "allow = [\"connect\"]\nto = \"tcp:203.0.113.0/24:443\"";
    own.push(rule("connect-when", &format!("{to}\n{WHEN}")));
    own.push(rule("read-when", &format!("allow = [\"read\"]\npath = \"{REPORT}\"\n{WHEN}")));
    let text = realistic::policy(rules, &own);
    let prepared = Prepared::from_files(BTreeMap::from([("bench".to_owned(), text)]), "bench", &[]);
    let prepared = prepared?;
    ensure!(prepared.policy().rules().len() == rules, "the policy has another number of rules");
    Ok(prepared)
}

/// The acts.
#[must_use]
pub fn acts() -> Vec<Measured> {
    let read = |name: String, path: &str, allowed: bool| Measured {
        name,
        act: Act {
            operation: Operation::File,
            subject: path.as_bytes().to_vec(),
            wanted: Access::READ,
            context: Vec::new(),
        },
        facts: FACTS,
        conditions: &["agent", "operation", "path", "access"],
        allowed,
    };
    let mut acts: Vec<Measured> =
        NAMED.iter().map(|path| read(format!("read, {} bytes", path.len()), path, true)).collect();
    acts.push(read(format!("read, {} bytes below an allowed folder", BELOW.len()), BELOW, true));
    acts.push(read(format!("read, {} bytes, denied by its ending", ENDING.len()), ENDING, false));
    acts.push(Measured {
        conditions: &["agent", "operation", "path", "access", "uid", "time", "budget"],
        ..read("read when user, time and budget hold".to_owned(), REPORT, true)
    });
    acts.push(Measured {
        name: "connect when user, time and budget hold".to_owned(),
        act: Act {
            operation: Operation::Inet,
            subject: Inet::v4(Protocol::Tcp, [203, 0, 113, 7], 443).bytes().to_vec(),
            wanted: Access::CONNECT,
            context: Vec::new(),
        },
        facts: FACTS,
        conditions: &[
            "agent",
            "operation",
            "protocol",
            "address",
            "port",
            "access",
            "uid",
            "time",
            "budget",
        ],
        allowed: true,
    });
    acts
}

const _: () = assert!(
    NAMED[0].len() == 11
        && NAMED[1].len() == 35
        && NAMED[2].len() == 57
        && NAMED[3].len() == 200
        && BELOW.len() == 57
        && ENDING.len() == 57
);
