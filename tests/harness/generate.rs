//! Policies that nobody wrote: rules drawn part by part from the policy language, so that each of
//! them means something and many of them overlap. Must not know how they are judged.

use std::fmt::Write as _;

use execlayer_common::image::Effect;

use crate::random::Random;

/// A rule as text, and what it does.
#[derive(Clone, Debug)]
pub struct Draft {
    /// `[[rule]]` with its keys.
    pub text: String,
    /// What it does.
    pub effect: Effect,
}

const EFFECTS: [(Effect, &str); 5] = [
    (Effect::Allow, "allow"),
    (Effect::Allow, "allow"),
    (Effect::Ask, "ask"),
    (Effect::Ask, "ask"),
    (Effect::Deny, "deny"),
];
const FILE_ACCESS: [&str; 10] = [
    "\"read\"",
    "\"write\"",
    "\"read\", \"write\"",
    "\"append\"",
    "\"create\", \"write\"",
    "\"read\", \"write\", \"create\"",
    "\"create\", \"rename\", \"delete\"",
    "\"link\", \"symlink\", \"read\"",
    "\"mkdir\", \"rmdir\", \"mknod\", \"delete\"",
    "\"chmod\", \"chown\", \"write\"",
];
/// What cannot be asked about.
const MORE_FILE_ACCESS: [&str; 3] =
    ["\"modify\"", "\"read\", \"modify\"", "\"utime\", \"xattr\", \"ioctl\""];
const NET_ACCESS: [&str; 4] = ["\"connect\"", "\"connect\"", "\"bind\"", "\"connect\", \"bind\""];
/// Without those that no rule can allow, or not beside a rule that asks.
const FEATURES: [&str; 5] =
    ["netlink", "netlink-route", "executable-memory", "keyring", "cap-net-admin"];
/// Few and alike, so that patterns of different rules meet.
const NAMES: [&str; 12] =
    ["a", "b", "ab", "aab", "work", "src", ".git", "key.pem", "x.rs", "log1", "lib", "node"];
const PIECES: [&str; 8] = ["a", "b", "ab", ".rs", ".pem", "lo", "g", "-"];
const CLASSES: [&str; 6] = ["[ab]", "[!a]", "[a-f0-9]", "[.x]", "[!0-9.]", "[b-z]"];
const V4: [&str; 9] = [
    "0.0.0.0",
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.2.3",
    "10.1.2.2/31",
    "0.0.0.0/0",
    "127.0.0.1",
    "192.168.64.0/18",
    "localhost",
];
const V6: [&str; 6] =
    ["[::]", "[2001:db8::]/32", "[2001:db8::1]", "[::]/0", "[fe80::]/10", "[2001:db8::8]/125"];
const PORTS: [&str; 7] = ["443", "80", "*", "0-1023", "250-1030", "8000-8999", "443-65535"];
const CONDITIONS: [&str; 6] = [
    "{ user = 0 }",
    "{ user = 1000 }",
    "{ between = \"08:00-20:00\" }",
    "{ between = \"22:00-06:00\" }",
    "{ user = 1000, between = \"12:00-12:01\" }",
    "{ user = 65536 }",
];
const BUDGETS: [&str; 4] = [
    "{ at_most = \"1/day\" }",
    "{ at_most = \"3/day\" }",
    "{ user = 1000, at_most = \"2/day\" }",
    "{ between = \"00:00-12:00\", at_most = \"5/day\" }",
];

/// Draws the rules of a policy.
#[must_use]
pub fn rules(random: &mut Random) -> Vec<Draft> {
    let count = 2 + random.below(9);
    (0..count).map(|number| rule(random, number)).collect()
}

/// The text of a policy's rules.
#[must_use]
pub fn text(drafts: &[Draft]) -> String {
    drafts.iter().map(|draft| draft.text.as_str()).collect()
}

fn rule(random: &mut Random, number: usize) -> Draft {
    let (effect, verb) = random.pick(&EFFECTS).copied().unwrap_or((Effect::Deny, "deny"));
    let mut text = format!("[[rule]]\nid = \"r{number}\"\n");
    match random.below(11) {
        0..6 => files(random, effect, verb, &mut text),
        6 | 7 => {
            let _ = writeln!(text, "{verb} = [\"exec\"]\npath = {}", list(random, path));
            except(random, &mut text);
        }
        8 => {
            let access = one(random, &NET_ACCESS);
            let _ = writeln!(text, "{verb} = [{access}]\nto = {}", list(random, inet));
        }
        9 => {
            let access = one(random, &NET_ACCESS);
            // A path is not bound to.
            let name = if access.contains("bind") { abstract_name } else { unix };
            let _ = writeln!(text, "{verb} = [{access}]\nto = {}", list(random, name));
        }
        _ => return features(random, number),
    }
    if random.chance(1, 5) {
        let _ = writeln!(text, "when = {}", one(random, &CONDITIONS));
    } else if effect == Effect::Allow && random.chance(1, 6) {
        let _ = writeln!(text, "when = {}", one(random, &BUDGETS));
    }
    text.push('\n');
    Draft { text, effect }
}

/// Nobody is asked about features.
fn features(random: &mut Random, number: usize) -> Draft {
    let (effect, verb) =
        if random.chance(1, 2) { (Effect::Allow, "allow") } else { (Effect::Deny, "deny") };
    let mut text = format!("[[rule]]\nid = \"r{number}\"\n{verb} = [\"use\"]\n");
    let features = list(random, |random| one(random, &FEATURES).to_owned());
    let _ = writeln!(text, "feature = {features}");
    if random.chance(1, 4) {
        let _ = writeln!(text, "when = {}", one(random, &CONDITIONS));
    }
    text.push('\n');
    Draft { text, effect }
}

fn files(random: &mut Random, effect: Effect, verb: &str, text: &mut String) {
    let more = effect != Effect::Ask && random.chance(1, 4);
    let access = if more { one(random, &MORE_FILE_ACCESS) } else { one(random, &FILE_ACCESS) };
    let _ = writeln!(text, "{verb} = [{access}]\npath = {}", list(random, path));
    except(random, text);
}

fn except(random: &mut Random, text: &mut String) {
    if random.chance(1, 4) {
        let _ = writeln!(text, "except = {}", list(random, path));
    }
}

fn one<'a>(random: &mut Random, items: &[&'a str]) -> &'a str {
    random.pick(items).copied().unwrap_or_default()
}

fn list(random: &mut Random, item: fn(&mut Random) -> String) -> String {
    let count = if random.chance(1, 3) { 2 + random.below(2) } else { 1 };
    let items: Vec<String> = (0..count).map(|_| format!("'{}'", item(random))).collect();
    format!("[{}]", items.join(", "))
}

/// An absolute path pattern.
fn path(random: &mut Random) -> String {
    let depth = 1 + random.below(4);
    let mut out = String::new();
    for at in 0..depth {
        out.push('/');
        if random.chance(1, 6) {
            out.push_str("**");
            // Two in a row are one.
            if at + 1 < depth {
                out.push('/');
                out.push_str(&component(random));
            }
        } else {
            out.push_str(&component(random));
        }
    }
    match random.below(6) {
        0 => out.push_str("/**"),
        1 => out.push_str("{,/**}"),
        _ => {}
    }
    out
}

fn component(random: &mut Random) -> String {
    match random.below(12) {
        0 => "*".to_owned(),
        1 => format!("*{}", one(random, &PIECES)),
        2 => format!("{}*", one(random, &NAMES)),
        3 => format!("{}*{}", one(random, &PIECES), one(random, &PIECES)),
        4 => format!("{}?", one(random, &NAMES)),
        5 => format!("{}{}", one(random, &CLASSES), one(random, &NAMES)),
        6 => format!("{{{},{}}}", one(random, &NAMES), one(random, &NAMES)),
        7 => format!(
            "{}{{,{},{}*}}",
            one(random, &NAMES),
            one(random, &PIECES),
            one(random, &PIECES)
        ),
        _ => one(random, &NAMES).to_owned(),
    }
}

fn inet(random: &mut Random) -> String {
    let protocol = one(random, &["", "tcp:", "udp:"]);
    let host = match random.below(5) {
        0 => "*",
        1 => one(random, &V6),
        _ => one(random, &V4),
    };
    format!("{protocol}{host}:{}", one(random, &PORTS))
}

fn abstract_name(random: &mut Random) -> String {
    format!("unix:@{}", component(random))
}

fn unix(random: &mut Random) -> String {
    if random.chance(1, 3) { abstract_name(random) } else { format!("unix:{}", path(random)) }
}
