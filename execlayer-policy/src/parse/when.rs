//! `when`: user, time of day and budget; deciders' budgets, too. Must not know whether a condition
//! holds.

use execlayer_common::image::Effect;
use toml::de::{DeTable, DeValue};

use super::{
    fields::{Fields, wrong_type},
    policy::{User, When},
    text::Text,
};
use crate::{checked::Budget, diagnostic::Diagnostic, source::Span};

const KEYS: [&str; 3] = ["user", "between", "at_most"];
/// Units of `at_most`, in seconds.
const WINDOWS: [(&str, u32); 7] = [
    ("s", 1),
    ("min", 60),
    ("m", 60),
    ("hour", 3_600),
    ("h", 3_600),
    ("day", 86_400),
    ("d", 86_400),
];

pub(crate) fn parse(
    table: &DeTable<'_>,
    span: Span,
    effect: Option<Effect>,
    out: &mut Vec<Diagnostic>,
) -> When {
    let fields = Fields::new(table, "`when`", span, &KEYS, out);
    if table.is_empty() {
        out.push(
            Diagnostic::error(span, "`when` is empty")
                .help("leave it out for a rule that always holds"),
        );
    }
    When {
        user: user(&fields, out),
        between: fields.text("between", out).and_then(|text| {
            span_of_day(&text.value).map_err(|error| out.push(error.at(&text))).ok()
        }),
        at_most: at_most(&fields, effect, out),
    }
}

fn user(fields: &Fields<'_>, out: &mut Vec<Diagnostic>) -> Option<User> {
    let value = fields.value("user")?;
    match value.value {
        DeValue::Integer(number) => {
            match u32::from_str_radix(number.as_str(), number.radix()) {
                // The highest number is "no user" to the kernel.
                Ok(uid) if uid != u32::MAX => Some(User::Id(uid)),
                _ => {
                    let message = format!("{number} is no user number");
                    let help = "user numbers go from 0 to 4294967294";
                    out.push(Diagnostic::error(value.span, message).help(help));
                    None
                }
            }
        }
        DeValue::String(name) if name == "root" => Some(User::Id(0)),
        DeValue::String(name) => {
            Some(User::Name(Text { value: name.to_string(), span: value.span }))
        }
        _ => {
            out.push(wrong_type(&value, "user", "a user number or name"));
            None
        }
    }
}

fn at_most(
    fields: &Fields<'_>,
    effect: Option<Effect>,
    out: &mut Vec<Diagnostic>,
) -> Option<Budget> {
    let key = fields.key("at_most")?;
    let text = fields.text("at_most", out)?;
    if effect.is_some_and(|effect| effect != Effect::Allow) {
        out.push(Diagnostic::error(key, "`at_most` belongs to rules with `allow`").help(
            if effect == Some(Effect::Ask) {
                "limit answers by a `[[decider]]` with `at_most`"
            } else {
                "a call over the budget is denied; nothing more is needed"
            },
        ));
        return None;
    }
    budget(&text, out)
}

/// Uses and window, such as `100/min`.
pub(super) fn budget(text: &Text, out: &mut Vec<Diagnostic>) -> Option<Budget> {
    let parsed = text.value.split_once('/').and_then(|(uses, unit)| {
        let (_, window) = WINDOWS.iter().find(|(name, _)| *name == unit)?;
        let uses = number(uses)?;
        (uses > 0).then_some(Budget { uses, window: *window })
    });
    if parsed.is_none() {
        out.push(Diagnostic::error(text.span, format!("`{}` is no budget", text.value)).help(
            "write uses and window, from 1: \"100/min\"; windows are `s`, `min`, `hour`, `day`",
        ));
    }
    parsed
}

/// What is wrong with a time.
struct TimeError {
    message: String,
    help: &'static str,
}

impl TimeError {
    fn at(self, text: &Text) -> Diagnostic {
        Diagnostic::error(text.span, self.message).help(self.help)
    }
}

fn span_of_day(text: &str) -> Result<(u16, u16), TimeError> {
    let ends = text.split_once('-').and_then(|(from, to)| {
        let to = if to == "24:00" { 24 * 60 } else { parse_time(to)? };
        Some((parse_time(from)?, to))
    });
    match ends {
        None => Err(TimeError {
            message: format!("`{text}` is no span of the day"),
            help: "write two times in UTC: \"08:00-20:00\"",
        }),
        Some((from, to)) if from == to => Err(TimeError {
            message: format!("`{text}` is over as soon as it begins"),
            help: "leave `between` out for the whole day",
        }),
        Some(ends) => Ok(ends),
    }
}

/// Minute of the day of `HH:MM`.
pub(crate) fn parse_time(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours < 24 && minutes < 60).then_some((hours * 60 + minutes) as u16)
}

/// Digits only: no sign, no blanks.
pub(crate) fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}
