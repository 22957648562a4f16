//! A corpus of calls of tools, the same on every machine, and what the engine says of it as one number: equal verdicts and
//! rules give an equal number, on whatever architecture and however it was built. Must not judge.

use anyhow::{Result, anyhow};
use execlayer_engine::{Name, Number, PolicyBundle, Request, Value, Verdict};
use execlayer_policy::author::{Draft, Rule, Test};

use crate::random::Random;

/// Calls of the corpus.
pub const CALLS: usize = 100_000;
/// What the engine says of them all. It changes with the corpus and with what rules mean, and with nothing else.
pub const DIGEST: u64 = 12_747_334_917_240_390_899;

const TOOLS: [&str; 6] =
    ["Bash", "Read", "http.get", "pay", "mcp__github__create_issue", "mcp__github__get_issue"];
const WORDS: [&str; 8] = ["git", "push", "status", "--force", "/etc/passwd", "/srv/a", "main", "x"];
const NAMES: [&str; 5] = ["amount", "branch", "confirmed", "labels", "note"];
const NUMBERS: [&str; 8] = ["0", "-1", "99.99", "100", "100.000000000001", "1e3", "5e-1", "7"];

/// What was said of the calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Over every verdict and rule, in order.
    pub digest: u64,
    /// How many were allowed, asked about and denied.
    pub counts: [usize; 3],
}

/// The policy of the corpus.
///
/// # Errors
///
/// None that the rules could cause.
pub fn policy() -> Result<PolicyBundle> {
    let mut random = Random::new(11);
    let mut draft = Draft::new("calls", "corpus");
    for number in 0..60 {
        let id = format!("r{number}");
        let strict = random.below(16);
        let mut rule = match strict {
            0 | 1 => Rule::deny(&id),
            2..=4 => Rule::ask(&id),
            _ => Rule::allow(&id),
        };
        let is_explained = random.chance(1, 8);
        // What is not known counts for rules that deny and ask: they are about little, or nothing would be left.
        rule = rule.action(match random.below(4) {
            0 if strict > 12 => "**",
            1 if strict > 4 => "mcp__*",
            _ => random.pick(&TOOLS).copied().unwrap_or_default(),
        });
        if strict < 5 || random.chance(3, 4) {
            let word = random.pick(&WORDS).copied().unwrap_or_default();
            rule = rule.resource(&match random.below(3) {
                0 => format!("{word}**"),
                1 => format!("**{word}"),
                _ => word.to_owned(),
            });
        }
        for name in NAMES {
            if random.chance(1, 3) {
                rule = rule.context(name, test(name, &mut random));
            }
        }
        if random.chance(1, 5) {
            rule = rule.user(u32::try_from(random.below(2)).unwrap_or_default());
        }
        if random.chance(1, 5) {
            rule = rule.between("08:00-20:00");
        }
        if is_explained {
            rule = rule.reason("sometimes");
        }
        draft = draft.rule(rule);
    }
    draft.build().map_err(|error| anyhow!("{error}"))
}

fn test(name: &str, random: &mut Random) -> Test {
    if random.chance(1, 6) {
        return Test::given(random.chance(1, 2));
    }
    match name {
        "amount" => match random.below(3) {
            0 => Test::at_most(100),
            1 => Test::at_least(1),
            _ => Test::above(0),
        },
        "confirmed" => Test::flag(random.chance(1, 2)),
        "labels" if random.chance(1, 2) => Test::every(&["x", "m*"]),
        "labels" => Test::some(&["git", "main"]),
        _ => Test::is_one_of(&["ma*", "x", "git"]),
    }
}

/// Judges the first calls of the corpus.
///
/// # Errors
///
/// None that the corpus could cause.
pub fn judge(bundle: &PolicyBundle, calls: usize) -> Result<Said> {
    let mut random = Random::new(12);
    // FNV-1a, 64 bits.
    let mut said = Said { digest: 0xcbf2_9ce4_8422_2325, counts: [0; 3] };
    for _ in 0..calls {
        let words: Vec<&[u8]> =
            (0..3).filter_map(|_| random.pick(&WORDS)).map(|w| w.as_bytes()).collect();
        let about: Vec<u8> = words.get(..random.below(4)).unwrap_or_default().join(&b' ');
        let mut context = Vec::new();
        for name in NAMES {
            let value = match random.below(6) {
                0 => continue,
                1 => Value::Flag(random.chance(1, 2)),
                2 => Value::List(&words),
                3 => Value::Text(words.first().copied().unwrap_or_default()),
                _ => {
                    let number = random.pick(&NUMBERS).copied().and_then(Number::parse);
                    Value::Number(number.unwrap_or(Number::LEAST))
                }
            };
            context.push((Name::new(name)?, value));
        }
        let tool = random.pick(&TOOLS).copied().unwrap_or_default();
        let minute = u16::try_from(random.below(1_440)).unwrap_or_default();
        let uid = u32::try_from(random.below(3)).unwrap_or_default();
        let request = Request::new(tool.as_bytes(), &about)?.with(&context)?.by(uid).at(minute, 0);
        let verdict = bundle.evaluate(&request);
        let (kind, count) = match verdict {
            Verdict::Allow(_) => (verdict.raw(), 0),
            Verdict::Ask(_) => (verdict.raw(), 1),
            Verdict::Deny(..) => (verdict.raw(), 2),
        };
        if let Some(count) = said.counts.get_mut(count) {
            *count += 1;
        }
        let rule = verdict.rule().map_or(u16::MAX, |rule| rule.0).to_le_bytes();
        for byte in [kind].into_iter().chain(rule) {
            said.digest = (said.digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    Ok(said)
}
