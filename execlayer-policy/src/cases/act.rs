//! What a case does: `exec /usr/bin/git`, `enter /usr/bin/git`, `read+write /workspace/a`, `connect tcp:10.0.0.1:443`,
//! `use io-uring`, `call Bash git push`. Owns that syntax; must not know the syntax of policies.

use std::net::{IpAddr, SocketAddr};

use execlayer_common::{
    access::{Access, Operation},
    call::{Name, Number, Request, SEPARATOR, Value},
    feature,
    subject::{ABSTRACT, Inet, Protocol},
};

/// An act that can be decided about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// What kind of subject it is.
    pub operation: Operation,
    /// The subject as the automaton reads it.
    pub subject: Vec<u8>,
    /// What is wanted of it.
    pub wanted: Access,
    /// Of a call of a tool: the values that it gives.
    pub context: Vec<(Name, Given)>,
}

/// A context value of an act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// Text.
    Text(String),
    /// A number.
    Number(Number),
    /// True or false.
    Flag(bool),
    /// A list of texts.
    List(Vec<String>),
}

type Wrong = (String, &'static str);

const FORM: &str = "write `exec /usr/bin/git`, `enter /usr/bin/git`, `read /a`, `read+write /a`, `append /a`, `create /a`, \
                    `connect tcp:10.0.0.1:443`, `connect unix:/run/x`, `bind tcp:0.0.0.0:80`, `use io-uring` \
                    or `call Bash git push`";

impl Act {
    pub(crate) const fn is_selection(&self) -> bool {
        matches!(self.operation, Operation::SelectCgroup | Operation::SelectExe)
    }

    /// Parses an act; `\xNN` and `\\` stand for bytes in paths and socket names.
    pub(crate) fn parse(text: &str) -> Result<Self, Wrong> {
        let (verbs, target) = text
            .split_once(' ')
            .ok_or_else(|| (format!("`{text}` says what is done or to what, not both"), FORM))?;
        for operation in [Operation::SelectCgroup, Operation::SelectExe] {
            if verbs == operation.name() {
                let subject = path(target)?;
                return Ok(Self {
                    operation,
                    subject,
                    wanted: Access::GOVERN,
                    context: Vec::new(),
                });
            }
        }
        let mut wanted = Access::default();
        for verb in verbs.split('+') {
            let known = Access::named().find(|(name, _)| *name == verb);
            let (_, bits) = known.ok_or_else(|| (format!("`{verb}` is no operation"), FORM))?;
            wanted = wanted.union(bits);
        }
        let (operation, subject) = match wanted {
            Access::CONNECT => address(target, Inet::v4, Inet::v6)?,
            Access::BIND => match address(target, Inet::local_v4, Inet::local_v6)? {
                (Operation::Unix, name) if name.first() != Some(&ABSTRACT) => {
                    let message = format!("`{target}` is made and not bound to");
                    return Err((message, "write `create /run/x` for the path of a socket"));
                }
                other => other,
            },
            Access::USE => (Operation::Feature, named(target)?),
            Access::CALL => (Operation::Call, call(target)?),
            Access::EXEC | Access::ENTER => (Operation::Exec, path(target)?),
            _ if Access::of(Operation::File).contains(wanted) => (Operation::File, path(target)?),
            _ => {
                let message = format!("`{verbs}` cannot be done in one call");
                return Err((message, "only what is done with files goes together"));
            }
        };
        Ok(Self { operation, subject, wanted, context: Vec::new() })
    }

    /// Judges the act as a call of a tool; `None` if it is none.
    pub fn as_call<R>(&self, judge: impl FnOnce(&Request<'_>) -> R) -> Option<R> {
        let at = self.subject.iter().position(|&byte| byte == SEPARATOR)?;
        let (action, resource) = self.subject.split_at(at);
        let lists: Vec<Vec<&[u8]>> = self.context.iter().map(|(_, given)| given.list()).collect();
        let values = self.context.iter().zip(&lists).map(|((name, given), list)| {
            let value = match given {
                Given::Text(text) => Value::Text(text.as_bytes()),
                Given::Number(number) => Value::Number(*number),
                Given::Flag(flag) => Value::Flag(*flag),
                Given::List(_) => Value::List(list),
            };
            (*name, value)
        });
        let values: Vec<(Name, Value<'_>)> = values.collect();
        let request = Request::new(action, resource.get(1..)?).and_then(|call| call.with(&values));
        request.ok().filter(|_| self.operation == Operation::Call).map(|request| judge(&request))
    }
}

impl Given {
    fn list(&self) -> Vec<&[u8]> {
        match self {
            Self::List(texts) => texts.iter().map(String::as_bytes).collect(),
            Self::Text(_) | Self::Number(_) | Self::Flag(_) => Vec::new(),
        }
    }
}

/// A tool's name, and behind the first blank what it is called about.
fn call(text: &str) -> Result<Vec<u8>, Wrong> {
    let (action, resource) = text.split_once(' ').unwrap_or((text, ""));
    let (action, resource) = (unescape(action)?, unescape(resource)?);
    match Request::new(&action, &resource) {
        Ok(_) => Ok([&action[..], &[SEPARATOR], &resource].concat()),
        Err(error) => Err((error.to_string(), FORM)),
    }
}

fn path(text: &str) -> Result<Vec<u8>, Wrong> {
    let bytes = unescape(text)?;
    if bytes.first() == Some(&b'/') {
        Ok(bytes)
    } else {
        Err((format!("`{text}` is no absolute path"), "write the path as the kernel names it"))
    }
}

fn named(text: &str) -> Result<Vec<u8>, Wrong> {
    match feature::named(text) {
        Some(feature) => Ok(feature.name.into()),
        None => {
            Err((format!("there is no feature `{text}`"), "write it as policies do: `io-uring`"))
        }
    }
}

fn address(
    text: &str,
    v4: fn(Protocol, [u8; 4], u16) -> Inet,
    v6: fn(Protocol, [u8; 16], u16) -> Inet,
) -> Result<(Operation, Vec<u8>), Wrong> {
    if let Some(name) = text.strip_prefix("unix:") {
        let bytes = unescape(name)?;
        return if bytes.first() == Some(&ABSTRACT) || bytes.first() == Some(&b'/') {
            Ok((Operation::Unix, bytes))
        } else {
            let message = format!("`{name}` is no socket name");
            Err((message, "write `unix:/run/x`, or `unix:@name` for an abstract name"))
        };
    }
    let protocols = [("tcp:", Protocol::Tcp), ("udp:", Protocol::Udp), ("other:", Protocol::Other)];
    let found = protocols
        .into_iter()
        .find_map(|(name, protocol)| Some((protocol, text.strip_prefix(name)?)));
    let address =
        found.and_then(|(protocol, address)| Some((protocol, address.parse::<SocketAddr>().ok()?)));
    let Some((protocol, address)) = address else {
        let help = "write protocol, address and port: `tcp:10.0.0.1:443`, `udp:[2001:db8::1]:53`";
        return Err((format!("`{text}` is no destination"), help));
    };
    let inet = match address.ip() {
        IpAddr::V4(ip) => v4(protocol, ip.octets(), address.port()),
        IpAddr::V6(ip) => v6(protocol, ip.octets(), address.port()),
    };
    Ok((Operation::Inet, inet.bytes().to_vec()))
}

fn unescape(text: &str) -> Result<Vec<u8>, Wrong> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        bytes.extend_from_slice(before.as_bytes());
        let (byte, length) = if escape.starts_with("\\\\") {
            (b'\\', 2)
        } else {
            let digits = escape.strip_prefix("\\x").and_then(|tail| tail.get(..2));
            let byte = digits
                .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
                .and_then(|digits| u8::from_str_radix(digits, 16).ok());
            let Some(byte) = byte else {
                let help = "write a byte as `\\xff` and a backslash as `\\\\`";
                return Err((format!("`{text}` has a broken escape"), help));
            };
            (byte, 4)
        };
        bytes.push(byte);
        rest = escape.get(length..).unwrap_or_default();
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}
