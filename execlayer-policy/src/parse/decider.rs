//! One `[[decider]]`: its name and the one thing that it is. Must not look at rules or other deciders.

use execlayer_common::provenance::DeciderKind;
use toml::de::DeTable;

use super::{
    duration::{self, Most},
    fields::Fields,
    policy::Decider,
    text::Text,
    url::{self, NoName, NoWebhook},
    when,
};
use crate::{diagnostic::Diagnostic, source::Span};

const KEYS: [&str; 10] = [
    "name", "sha256", "host", "at_most", "command", "webhook", "timeout", "secret", "ca", "retries",
];
const KINDS: [&str; 5] = ["sha256", "host", "at_most", "command", "webhook"];
/// Keys that only some kinds have.
const BELONG: [(&str, &[&str]); 4] = [
    ("timeout", &["command", "webhook"]),
    ("secret", &["webhook"]),
    ("ca", &["webhook"]),
    ("retries", &["webhook"]),
];
const COMMAND_TIMEOUT: Most = Most(300, "300s");
const DEFAULT_COMMAND_TIMEOUT: u32 = 10;
const WEBHOOK_TIMEOUT: Most = Most(60, "60s");
const DEFAULT_WEBHOOK_TIMEOUT: u32 = 5;
const MAX_RETRIES: u32 = 5;
const DEFAULT_RETRIES: u32 = 2;
/// Characters of an SHA-256 in hexadecimal.
const DIGEST: usize = 64;

pub(super) fn parse(table: &DeTable<'_>, span: Span, out: &mut Vec<Diagnostic>) -> Decider {
    let fields = Fields::new(table, "`[[decider]]`", span, &KEYS, out);
    if fields.key("name").is_none() {
        fields.missing("name", "add `name = \"...\"`: rules name it in `deciders`", out);
    }
    Decider { name: fields.text("name", out), kind: kind(&fields, out) }
}

fn kind(fields: &Fields<'_>, out: &mut Vec<Diagnostic>) -> Option<DeciderKind> {
    let mut given = KINDS.into_iter().filter_map(|key| fields.key(key).map(|span| (key, span)));
    let Some((kind, span)) = given.next() else {
        fields.missing(
            "sha256`, `host`, `at_most`, `command` or `webhook",
            "say what it is: `sha256 = [\"...\"]`; a person needs none, and is named `human`",
            out,
        );
        return None;
    };
    let others: Vec<_> = given.collect();
    for (other, also) in &others {
        out.push(
            Diagnostic::error(*also, format!("a decider cannot have both `{kind}` and `{other}`"))
                .related(span, format!("`{kind}` is here"))
                .help("make two deciders of it, and name both in the rule's `deciders`"),
        );
    }
    if !others.is_empty() {
        return None;
    }
    strangers(fields, kind, out);
    match kind {
        "sha256" => sha256(fields, out),
        "host" => host(fields, out),
        "at_most" => {
            let budget = when::budget(&fields.text("at_most", out)?, out)?;
            Some(DeciderKind::Budget { uses: budget.uses, window: budget.window })
        }
        "command" => command(fields, out),
        _ => webhook(fields, out),
    }
}

/// Keys of other kinds than this one.
fn strangers(fields: &Fields<'_>, kind: &str, out: &mut Vec<Diagnostic>) {
    for (key, kinds) in BELONG {
        if let (Some(span), false) = (fields.key(key), kinds.contains(&kind)) {
            let kinds = kinds.join("` or `");
            let message = format!("`{key}` belongs to deciders with `{kinds}`");
            out.push(Diagnostic::error(span, message).help("leave it out"));
        }
    }
}

fn sha256(fields: &Fields<'_>, out: &mut Vec<Diagnostic>) -> Option<DeciderKind> {
    let texts = fields.texts("sha256", out);
    let digests = each(&texts, out, |text| {
        let good = text.len() == DIGEST && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        good.then(|| text.to_ascii_lowercase()).ok_or_else(|| {
            let message = format!("`{text}` is no SHA-256 digest");
            (message, "write the 64 hexadecimal digits that `sha256sum FILE` prints")
        })
    })?;
    Some(DeciderKind::Sha256 { digests })
}

fn host(fields: &Fields<'_>, out: &mut Vec<Diagnostic>) -> Option<DeciderKind> {
    let texts = fields.texts("host", out);
    let hosts = each(&texts, out, |text| {
        url::host(text).map_err(|error| match error {
            NoName::Address => (
                format!("`{text}` is an address, and `host` takes names"),
                "addresses need nobody to resolve them: list them in a rule's `to`",
            ),
            NoName::Nothing => (
                format!("`{text}` is no host name"),
                "write a whole DNS name without scheme, port or `*`, such as `api.example.com`; \
                 other letters as `xn--...`",
            ),
        })
    })?;
    Some(DeciderKind::Host { hosts })
}

/// What `read` makes of each text, sorted, once each; `None` if one is wrong.
fn each(
    texts: &[Text],
    out: &mut Vec<Diagnostic>,
    read: impl Fn(&str) -> Result<String, (String, &'static str)>,
) -> Option<Vec<String>> {
    let mut values = Vec::with_capacity(texts.len());
    for text in texts {
        match read(&text.value) {
            Ok(value) => values.push(value),
            Err((message, help)) => out.push(Diagnostic::error(text.span, message).help(help)),
        }
    }
    let all = !values.is_empty() && values.len() == texts.len();
    values.sort_unstable();
    values.dedup();
    all.then_some(values)
}

fn command(fields: &Fields<'_>, out: &mut Vec<Diagnostic>) -> Option<DeciderKind> {
    let words = fields.texts("command", out);
    let timeout = match fields.key("timeout") {
        Some(_) => duration::seconds(fields, "timeout", COMMAND_TIMEOUT, out),
        None => Some(DEFAULT_COMMAND_TIMEOUT),
    };
    let (program, arguments) = words.split_first()?;
    let mut argv = vec![absolute(program, "command", out)?];
    for argument in arguments {
        argv.push(without_nul(argument, out)?);
    }
    Some(DeciderKind::Command { argv, timeout: timeout? })
}

fn webhook(fields: &Fields<'_>, out: &mut Vec<Diagnostic>) -> Option<DeciderKind> {
    let url = fields.text("webhook", out).and_then(|text| webhook_url(text, out));
    if fields.key("secret").is_none() {
        let help =
            "add `secret = \"/...\"`: a file with what signs questions and answers, on both sides";
        fields.missing("secret", help, out);
    }
    let mut path = |key: &str| fields.text(key, out).and_then(|text| absolute(&text, key, out));
    let (secret, ca) = (path("secret"), path("ca"));
    let timeout = match fields.key("timeout") {
        Some(_) => duration::seconds(fields, "timeout", WEBHOOK_TIMEOUT, out),
        None => Some(DEFAULT_WEBHOOK_TIMEOUT),
    };
    let retries = retries(fields, out);
    Some(DeciderKind::Webhook {
        url: url?,
        secret: secret?,
        ca,
        timeout: timeout?,
        retries: retries?,
    })
}

fn webhook_url(text: Text, out: &mut Vec<Diagnostic>) -> Option<String> {
    let url = &text.value;
    let (message, help) = match url::webhook(url) {
        Ok(()) => return Some(text.value),
        Err(NoWebhook::Plain) => (
            format!("`{url}` leaves this machine without encryption"),
            "write `https://`; `http://` is for 127.0.0.1 and [::1]",
        ),
        Err(NoWebhook::User) => (
            "the URL of a webhook has no user or password".to_owned(),
            "leave out all before `@`; `secret` says who asks",
        ),
        Err(NoWebhook::Nothing) => (
            format!("`{url}` is no URL of a webhook"),
            "write `https://`, a host and a path: \"https://desk.example.com/execlayer\"",
        ),
    };
    out.push(Diagnostic::error(text.span, message).help(help));
    None
}

fn retries(fields: &Fields<'_>, out: &mut Vec<Diagnostic>) -> Option<u32> {
    let Some(value) = fields.value("retries") else { return Some(DEFAULT_RETRIES) };
    let given = fields.number("retries", 0, out)?;
    let retries = u32::try_from(given).ok().filter(|&retries| retries <= MAX_RETRIES);
    if retries.is_none() {
        let message = format!("`retries` is {given}, and must be {MAX_RETRIES} or less");
        let help = "what cannot be reached does not know, and the next decider is asked";
        out.push(Diagnostic::error(value.span, message).help(help));
    }
    retries
}

fn absolute(text: &Text, key: &str, out: &mut Vec<Diagnostic>) -> Option<String> {
    if !text.value.starts_with('/') {
        let message = format!("`{}` is not absolute", text.value);
        let help = format!("start the path of `{key}` with `/`: the daemon runs in no folder");
        out.push(Diagnostic::error(text.span, message).help(help));
        return None;
    }
    without_nul(text, out)
}

fn without_nul(text: &Text, out: &mut Vec<Diagnostic>) -> Option<String> {
    if text.value.contains('\0') {
        out.push(
            Diagnostic::error(text.span, "paths and arguments have no NUL byte")
                .help("leave `\\u0000` out"),
        );
        return None;
    }
    Some(text.value.clone())
}
