//! `to`: the text of an address to [`Pattern`]s over [`execlayer_common::subject`]'s bytes. Owns the
//! syntax of addresses, prefixes and ports; must not resolve names.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::{Range, RangeInclusive},
};

use execlayer_common::subject::Protocol;

use super::{
    glob::{self, Kind, PatternError, Variables},
    lex,
};
use crate::pattern::{ByteSet, Node, Pattern};

/// A destination that was understood.
#[derive(Debug)]
pub(crate) enum Destination {
    /// Over [`execlayer_common::subject::Inet`], as it is connected to and as it is bound to.
    Inet {
        /// Variables filled in, as in the other one.
        text: String,
        remote: Pattern,
        local: Pattern,
    },
    /// Over paths, and abstract names behind `@`.
    Unix { text: String, pattern: Pattern },
}

const FORM: &str = "write address and port: `10.0.0.0/8:5432`, `[2001:db8::]/32:443`, `*:443`, \
                    `localhost:8080`, or `unix:/run/x.sock`";

pub(crate) fn parse(text: &str, variables: &Variables) -> Result<Destination, PatternError> {
    if let Some(name) = text.strip_prefix("unix:") {
        return unix(name, variables).map_err(|error| shifted(error, "unix:".len()));
    }
    let filled = Filled::new(text, variables)?;
    let patterns = Spec::split(&filled.text)
        .and_then(|spec| Ok((spec.pattern(normal)?, spec.pattern(|address, _| address)?)));
    match patterns {
        Ok((remote, local)) => Ok(Destination::Inet { text: filled.text, remote, local }),
        Err(mut error) => {
            error.bytes = filled.origin(&error.bytes);
            Err(error)
        }
    }
}

fn unix(name: &str, variables: &Variables) -> Result<Destination, PatternError> {
    let kind = if name.starts_with('@') { Kind::Abstract } else { Kind::Path };
    if name == "@" {
        return Err(PatternError::new(0..1, "the abstract name is empty")
            .help("write `unix:@**` for every abstract name"));
    }
    let glob = glob::parse(name, variables, kind)?;
    Ok(Destination::Unix { text: glob.text, pattern: glob.pattern })
}

fn shifted(mut error: PatternError, by: usize) -> PatternError {
    error.bytes = error.bytes.start + by..error.bytes.end + by;
    error
}

/// A text with variables filled in, and where its bytes come from.
struct Filled {
    text: String,
    /// Of each byte.
    origins: Vec<Range<usize>>,
}

impl Filled {
    fn new(text: &str, variables: &Variables) -> Result<Self, PatternError> {
        let mut filled = Self { text: String::new(), origins: Vec::new() };
        let mut at = 0;
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            let (piece, length) = if rest.starts_with("${") {
                lex::value(rest, at, variables)?
            } else {
                let end = rest.find("${").unwrap_or(rest.len());
                (rest.get(..end).unwrap_or_default(), end)
            };
            let plain = !rest.starts_with("${");
            filled.origins.extend(
                (0..piece.len()).map(|i| if plain { at + i..at + i + 1 } else { at..at + length }),
            );
            filled.text.push_str(piece);
            at += length;
        }
        Ok(filled)
    }

    fn origin(&self, bytes: &Range<usize>) -> Range<usize> {
        let end = self.origins.last().map_or(0, |last| last.end);
        let start = self.origins.get(bytes.start).map_or(end, |first| first.start);
        let last = bytes.end.checked_sub(1).filter(|&last| last >= bytes.start);
        let end = last.and_then(|last| self.origins.get(last)).map_or(start, |last| last.end);
        start..end
    }
}

/// What an address with its prefix length means.
type Means = fn(IpAddr, u32) -> IpAddr;

/// The parts of a destination with where they begin.
struct Spec<'t> {
    protocols: ByteSet,
    host: &'t str,
    host_at: usize,
    /// Behind `/`.
    prefix: Option<&'t str>,
    ports: &'t str,
    ports_at: usize,
}

impl<'t> Spec<'t> {
    fn split(text: &'t str) -> Result<Self, PatternError> {
        let both = ByteSet::EMPTY.with(Protocol::Tcp as u8).with(Protocol::Udp as u8);
        let protocols = [
            ("tcp:", ByteSet::EMPTY.with(Protocol::Tcp as u8)),
            ("udp:", ByteSet::EMPTY.with(Protocol::Udp as u8)),
        ];
        let (protocols, skipped) = protocols
            .into_iter()
            .find(|(name, _)| text.starts_with(name))
            .map_or((both, 0), |(name, set)| (set, name.len()));
        let rest = text.get(skipped..).unwrap_or_default();
        let (host, host_at, behind, behind_at) = if rest.starts_with('[') {
            let Some(close) = rest.find(']') else {
                return Err(PatternError::new(skipped..text.len(), "the address `[` never closes")
                    .help("write `[2001:db8::1]:443`"));
            };
            let host = rest.get(1..close).unwrap_or_default();
            (host, skipped + 1, rest.get(close + 1..).unwrap_or_default(), skipped + close + 1)
        } else {
            if rest.matches(':').count() > 1 {
                return Err(PatternError::new(skipped..text.len(), bracketless(rest))
                    .help("write `[2001:db8::1]:443`, with the network as `[2001:db8::]/32:443`"));
            }
            let end = rest.find(['/', ':']).unwrap_or(rest.len());
            let host = rest.get(..end).unwrap_or_default();
            (host, skipped, rest.get(end..).unwrap_or_default(), skipped + end)
        };
        let Some((prefix, ports)) = behind.split_once(':') else {
            let message = format!("`{text}` has no port");
            return Err(PatternError::new(0..text.len(), message)
                .help(format!("{FORM}; `:*` is every port")));
        };
        let prefix = match prefix.strip_prefix('/') {
            Some(prefix) => Some(prefix),
            None if prefix.is_empty() => None,
            None => {
                let bytes = behind_at..behind_at + prefix.len();
                return Err(
                    PatternError::new(bytes, format!("`{prefix}` is not understood")).help(FORM)
                );
            }
        };
        let ports_at = text.len() - ports.len();
        Ok(Self { protocols, host, host_at, prefix, ports, ports_at })
    }

    fn pattern(&self, means: Means) -> Result<Pattern, PatternError> {
        let mut nodes = vec![Node::Class(self.protocols), Node::Either(self.address(means)?)];
        nodes.push(Node::Either(ports(self.ports()?)));
        Ok(Pattern(nodes))
    }

    /// Family and address bytes; each choice is one range of addresses.
    fn address(&self, means: Means) -> Result<Vec<Vec<Node>>, PatternError> {
        let bytes = self.host_at..self.host_at + self.host.len();
        let any = |family, count| prefix_nodes(family, &vec![0; count], 0);
        match self.host {
            "*" | "localhost" if self.prefix.is_some() => {
                let message = format!("`{}` takes no prefix length", self.host);
                return Err(PatternError::new(bytes, message).help(FORM));
            }
            "*" => return Ok(vec![any(b'4', 4), any(b'6', 16)]),
            "localhost" => {
                return Ok(vec![
                    prefix_nodes(b'4', &[127, 0, 0, 0], 8),
                    prefix_nodes(b'6', &Ipv6Addr::LOCALHOST.octets(), 128),
                ]);
            }
            _ => {}
        }
        let address: IpAddr = self.host.parse().map_err(|_no_address| self.no_address())?;
        let (v4, width) = (address.is_ipv4(), if address.is_ipv4() { 32 } else { 128 });
        if !v4 && self.host_at == 0 {
            return Err(PatternError::new(bytes, "an IPv6 address needs brackets").help(FORM));
        }
        let length = match self.prefix {
            None => width,
            Some(text) => match super::when::number(text).filter(|&length| length <= width) {
                Some(length) => length,
                None => {
                    let at = bytes.end + usize::from(!v4) + 1;
                    let message = format!("`{text}` is no prefix length");
                    return Err(PatternError::new(at..at + text.len(), message)
                        .help(format!("it is a number from 0 to {width}")));
                }
            },
        };
        if let IpAddr::V6(v6) = address {
            self.refuse_mapped(v6, length)?;
        }
        let octets = match means(address, length) {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        let network = masked(&octets, length);
        if network != octets {
            let (network, host) = (show(&network), show(&octets));
            let message = format!("`{host}/{length}` has bits set behind its prefix");
            return Err(PatternError::new(bytes, message).help(format!(
                "write `{network}/{length}` for the network, `{host}/{width}` for the one address"
            )));
        }
        Ok(vec![prefix_nodes(if v4 { b'4' } else { b'6' }, &octets, length)])
    }

    fn no_address(&self) -> PatternError {
        let bytes = self.host_at..self.host_at + self.host.len();
        let host = self.host;
        if host.is_empty() {
            return PatternError::new(0..self.ports_at, "the address is missing").help(FORM);
        }
        let message = format!("`{host}` is no address");
        let numeric = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        PatternError::new(bytes, message).help(if numeric || host.contains(':') {
            FORM
        } else if host.contains('*') {
            "addresses have no globs: write a network such as `10.0.0.0/8`, or `*` for any address"
        } else {
            "names are not resolved, since the kernel sees addresses only: write the address"
        })
    }

    /// IPv4 addresses in IPv6 clothes are judged as IPv4, so such a pattern would never match.
    fn refuse_mapped(&self, address: Ipv6Addr, length: u32) -> Result<(), PatternError> {
        match address.to_ipv4_mapped() {
            Some(v4) if length >= 96 => {
                let bytes = self.host_at..self.host_at + self.host.len();
                let message = format!("`{}` is an IPv4 address written as IPv6", self.host);
                let rest = if length == 128 { String::new() } else { format!("/{}", length - 96) };
                Err(PatternError::new(bytes, message)
                    .help(format!("write `{v4}{rest}`; it covers both ways to connect")))
            }
            _ => Ok(()),
        }
    }

    fn ports(&self) -> Result<RangeInclusive<u16>, PatternError> {
        let bytes = self.ports_at..self.ports_at + self.ports.len();
        if self.ports == "*" {
            return Ok(0..=u16::MAX);
        }
        if self.ports.is_empty() {
            return Err(PatternError::new(0..bytes.end, "the port is missing")
                .help(format!("{FORM}; `:*` is every port")));
        }
        let (first, last) = self.ports.split_once('-').unwrap_or((self.ports, self.ports));
        let port = |text: &str| {
            let number = super::when::number(text).and_then(|number| u16::try_from(number).ok());
            number.ok_or_else(|| {
                PatternError::new(bytes.clone(), format!("`{text}` is no port"))
                    .help("ports go from 0 to 65535; write `443`, `8000-8999` or `*`")
            })
        };
        let (first, last) = (port(first)?, port(last)?);
        if last < first {
            return Err(PatternError::new(bytes, format!("`{}` runs backward", self.ports))
                .help(format!("write `{last}-{first}`")));
        }
        Ok(first..=last)
    }
}

fn bracketless(rest: &str) -> &'static str {
    if rest.starts_with("tcp:") || rest.starts_with("udp:") {
        "the protocol is given twice"
    } else {
        "an IPv6 address needs brackets"
    }
}

/// The address that the kernel connects to: `0.0.0.0` and `::` are loopback.
fn normal(address: IpAddr, length: u32) -> IpAddr {
    match address {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) if length == 32 => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) if length == 128 => Ipv6Addr::LOCALHOST.into(),
        other => other,
    }
}

fn masked(octets: &[u8], length: u32) -> Vec<u8> {
    let mask = |at: usize| match length.saturating_sub(at as u32 * 8) {
        0 => 0,
        bits @ 1..8 => 0xff << (8 - bits),
        _ => 0xff,
    };
    octets.iter().enumerate().map(|(at, octet)| octet & mask(at)).collect()
}

fn show(octets: &[u8]) -> String {
    if let Ok(v4) = <[u8; 4]>::try_from(octets) {
        return Ipv4Addr::from(v4).to_string();
    }
    <[u8; 16]>::try_from(octets).map_or_else(|_| String::new(), |v6| Ipv6Addr::from(v6).to_string())
}

/// The family byte and the addresses of a network whose host bits are zero.
fn prefix_nodes(family: u8, network: &[u8], length: u32) -> Vec<Node> {
    let mut nodes = vec![Node::Byte(family)];
    for (at, &octet) in network.iter().enumerate() {
        nodes.push(match length.saturating_sub(at as u32 * 8) {
            0 => Node::Class(ByteSet::ALL),
            bits @ 1..8 => Node::Class(ByteSet::EMPTY.with_range(octet, octet | (0xff >> bits))),
            _ => Node::Byte(octet),
        });
    }
    nodes
}

/// Big-endian port bytes: whole high bytes in the middle, and the ragged ends.
fn ports(range: RangeInclusive<u16>) -> Vec<Vec<Node>> {
    let [first_high, first_low] = range.start().to_be_bytes();
    let [last_high, last_low] = range.end().to_be_bytes();
    let block = |high: (u8, u8), low: (u8, u8)| {
        let class = |(from, to)| Node::Class(ByteSet::EMPTY.with_range(from, to));
        vec![class(high), class(low)]
    };
    if first_high == last_high {
        return vec![block((first_high, first_high), (first_low, last_low))];
    }
    let mut blocks = Vec::new();
    let (mut from, mut to) = (first_high, last_high);
    if first_low != 0 {
        blocks.push(block((first_high, first_high), (first_low, u8::MAX)));
        from += 1;
    }
    if last_low != u8::MAX {
        blocks.push(block((last_high, last_high), (0, last_low)));
        to -= 1;
    }
    if from <= to {
        blocks.push(block((from, to), (0, u8::MAX)));
    }
    blocks
}
