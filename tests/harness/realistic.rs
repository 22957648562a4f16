//! The text of a policy such as a machine would have, of any size, to measure with. Must not compile it.

use std::fmt::Write as _;

const HEADER: &str = "name = \"bench\"\nversion = 1\n[agent]\nname = \"bench\"\n";
const WORDS: [&str; 16] = [
    "server", "client", "data", "cache", "report", "ledger", "index", "model", "worker", "queue",
    "media", "search", "billing", "mail", "metrics", "archive",
];

/// A policy of so many rules: `own` first, then files and directories of many applications, some
/// globs over homes, some endings, some addresses.
#[must_use]
pub fn policy(rules: usize, own: &[String]) -> String {
    let mut text = String::from(HEADER);
    own.iter().for_each(|rule| text.push_str(rule));
    for number in 0..rules.saturating_sub(own.len()) {
        // Writing to a string cannot fail.
        let _ = write_rule(&mut text, number);
    }
    text
}

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
