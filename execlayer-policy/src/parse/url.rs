//! Host names and the URLs of webhooks, strictly: what this lets through means the same to every
//! resolver and every HTTP client. Must not resolve anything.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Bytes of a name, and of each part of it (RFC 1035, 2.3.4).
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;
/// Hosts that plain HTTP does not leave the machine for.
const LOOPBACK: [&str; 2] = ["127.0.0.1", "[::1]"];

/// Why a text is no host name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoName {
    /// It is an address, or resolvers read it as one.
    Address,
    /// It is neither.
    Nothing,
}

/// The host name in lower case.
pub(super) fn host(text: &str) -> Result<String, NoName> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if bare.parse::<Ipv6Addr>().is_ok() {
        return Err(NoName::Address);
    }
    let good = text.len() <= MAX_NAME && text.split('.').all(is_label);
    if !good {
        return Err(NoName::Nothing);
    }
    // `10.0.0.1`, but also `127.1`, `2130706433` and `0x7f.1`: inet_aton(3) takes them.
    let last = text.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let hex =
        last.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit()));
    if digits(&last) || hex {
        return Err(NoName::Address);
    }
    Ok(text.to_ascii_lowercase())
}

fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// Why a text is no URL of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoWebhook {
    /// `http://` to another machine.
    Plain,
    /// User or password in it.
    User,
    /// Anything else.
    Nothing,
}

/// Whether a webhook can be there.
pub(super) fn webhook(text: &str) -> Result<(), NoWebhook> {
    let (rest, plain) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (rest, false),
        (None, Some(rest)) => (rest, true),
        (None, None) => return Err(NoWebhook::Nothing),
    };
    // No fragment, and no sign that URLs must escape: clients disagree about them.
    let sign = |byte: u8| byte.is_ascii_graphic() && !b"\"#<>\\^`{|}".contains(&byte);
    if !rest.bytes().all(sign) {
        return Err(NoWebhook::Nothing);
    }
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(NoWebhook::User);
    }
    let (name, port) = match authority.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (authority, None),
    };
    let is_port = |port: &str| {
        port.bytes().all(|byte| byte.is_ascii_digit())
            && port.parse::<u16>().is_ok_and(|port| port != 0)
    };
    if !port.is_none_or(is_port) || !is_host(name) {
        return Err(NoWebhook::Nothing);
    }
    if plain && !LOOPBACK.contains(&name) {
        return Err(NoWebhook::Plain);
    }
    Ok(())
}

/// A name, an IPv4 address, or an IPv6 address in brackets.
fn is_host(text: &str) -> bool {
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    inner.map_or_else(
        || host(text).is_ok() || text.parse::<Ipv4Addr>().is_ok(),
        |inner| inner.parse::<Ipv6Addr>().is_ok(),
    )
}
