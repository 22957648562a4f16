//! Policies to measure with: realistic ones of any size, and those that are shipped.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::PathBuf};

use execlayer_policy::{
    CheckedPolicy,
    check::{Options, check},
    source::{LoadError, Loaded, Loader},
};

/// A machine's policy: mostly files and directories of many applications, some globs over homes,
/// some endings, some addresses.
pub(crate) fn realistic(rules: usize) -> CheckedPolicy {
    let mut text = String::from("name = \"bench\"\nversion = 1\n[agent]\nname = \"bench\"\n");
    for number in 0..rules {
        // Writing to a string cannot fail.
        let _ = write_rule(&mut text, number);
    }
    let mut files = BTreeMap::from([("policy.toml".to_owned(), text)]);
    policy("policy.toml", &mut files)
}

const WORDS: [&str; 16] = [
    "server", "client", "data", "cache", "report", "ledger", "index", "model", "worker", "queue",
    "media", "search", "billing", "mail", "metrics", "archive",
];

fn write_rule(out: &mut String, number: usize) -> std::fmt::Result {
    let word = |by: usize| WORDS[number / by % WORDS.len()];
    let (a, b, c) = (word(1), word(16), word(7));
    let (effect, key) = match number % 10 {
        3 => ("deny = [\"read\", \"write\"]", "path"),
        7 => ("allow = [\"read\", \"write\", \"create\"]", "path"),
        8 => ("allow = [\"exec\"]", "path"),
        9 if number % 20 == 19 => ("allow = [\"connect\"]", "to"),
        _ => ("allow = [\"read\"]", "path"),
    };
    let value = match number % 20 {
        0 | 10 => format!("/opt/{a}-{number}/**"),
        1 | 11 => format!("/etc/{a}/{b}-{number}.conf"),
        2 | 12 => format!("/usr/share/{a}/{b}/{c}-{number}.dat"),
        3 => format!("/**/*.{c}{number}"),
        4 | 14 => format!("/home/*/.config/{a}-{number}/**"),
        5 | 15 => format!("/var/lib/{a}/{b}-{number}{{,/**}}"),
        6 | 16 => format!("/srv/{a}-{number}/*.{{json,toml,yaml}}"),
        7 | 17 => format!("/var/cache/{a}/{b}/{number}/**"),
        8 | 18 => format!("/usr/bin/{a}-{b}-{number}"),
        9 => format!("/home/*/projects/{a}{number}/**/*.{c}"),
        13 => format!("/var/lib/{b}/{a}-{number}/secret/**"),
        _ => format!("10.{}.{}.0/24:{}", number / 250 % 250, number % 250, 1024 + number % 60_000),
    };
    writeln!(out, "[[rule]]\nid = \"r{number}\"\n{effect}\n{key} = \"{value}\"")
}

/// A policy that is shipped.
pub(crate) fn shipped(name: &str) -> CheckedPolicy {
    policy(name, &mut Folder)
}

struct Folder;

impl Loader for Folder {
    fn load(&mut self, name: &str) -> Result<Loaded, LoadError> {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../policies");
        let bytes = fs::read(folder.join(name).join("policy.toml"))
            .map_err(|error| LoadError::Unreadable(name.to_owned(), error.to_string()))?;
        Ok(Loaded { name: format!("policies/{name}/policy.toml"), bytes })
    }
}

fn policy(name: &str, loader: &mut dyn Loader) -> CheckedPolicy {
    let outcome = check(name, loader, &Options::default());
    match outcome.policy {
        Some(policy) => policy,
        None => {
            let errors: Vec<_> = outcome.diagnostics.iter().take(3).collect();
            eprintln!("`{name}` is no policy: {errors:?}");
            std::process::exit(1)
        }
    }
}
