//! Which byte strings can be the subject of an operation. Must not know of any image.

use execlayer_common::{
    access::Operation,
    call::SEPARATOR,
    feature::{self, Rules},
    subject::ABSTRACT,
};

/// The beginning of a subject, as far as it bears on how it can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Grammar {
    /// Nothing yet of a path.
    Path,
    /// Nothing yet of a unix socket's name.
    Unix,
    /// `/` alone.
    Root,
    /// Behind a slash that is not the first.
    Slash,
    /// A component of that many dots and nothing else.
    Dots(u8),
    /// Within a component.
    Component,
    /// Within an abstract socket's name.
    Abstract,
    /// Nothing yet of an internet address.
    Inet,
    /// Behind its protocol.
    Protocol,
    /// So many bytes of address and port are missing. `mapped`: still like an IPv4 address in IPv6, which is
    /// never a subject; `zero`: the address has been zero so far.
    Address { left: u8, mapped: bool, zero: bool },
    /// The beginning of features' names: bytes so far, and those of [`feature::ALL`] that begin so.
    Feature { len: u8, those: u64 },
    /// Nothing yet of a tool's name.
    Tool,
    /// Within a tool's name.
    ToolName,
    /// Behind the byte that ends it.
    Resource,
}

/// Bytes of an IPv6 address behind which it is known whether it is an IPv4 address in IPv6, counted from the
/// end of the subject: four, and the port.
const BEHIND_MAPPED: u8 = 6;
const PORT: u8 = 2;

impl Grammar {
    pub(super) fn of(operation: Operation) -> Self {
        match operation {
            Operation::Exec | Operation::File | Operation::SelectCgroup | Operation::SelectExe => {
                Self::Path
            }
            Operation::Inet => Self::Inet,
            Operation::Unix => Self::Unix,
            Operation::Feature => Self::Feature { len: 0, those: u64::MAX },
            Operation::Call => Self::Tool,
        }
    }

    /// How it goes on with `byte`, if it can.
    pub(super) fn step(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Path | Self::Unix, b'/') => Self::Root,
            (Self::Unix, ABSTRACT) | (Self::Abstract, _) => Self::Abstract,
            (Self::Component, b'/') => Self::Slash,
            (Self::Root | Self::Slash, b'.') => Self::Dots(1),
            (Self::Dots(1), b'.') => Self::Dots(2),
            (Self::Root | Self::Slash | Self::Dots(_), 0 | b'/') | (Self::Component, 0) => {
                return None;
            }
            (Self::Root | Self::Slash | Self::Dots(_) | Self::Component, _) => Self::Component,
            (Self::Inet, b't' | b'u' | b'o') => Self::Protocol,
            (Self::Protocol, b'4') => Self::Address { left: 6, mapped: false, zero: true },
            (Self::Protocol, b'6') => Self::Address { left: 18, mapped: true, zero: true },
            (Self::Address { left, mapped, zero }, byte) => {
                return address(left, mapped, zero, byte);
            }
            (Self::Feature { len, those }, byte) => return named(len, those, byte),
            (Self::ToolName, SEPARATOR) | (Self::Resource, _) => Self::Resource,
            (Self::Tool, SEPARATOR) => return None,
            (Self::Tool | Self::ToolName, _) => Self::ToolName,
            (Self::Path | Self::Unix | Self::Inet | Self::Protocol, _) => return None,
        })
    }

    /// Whether it is whole.
    pub(super) fn is_whole(self) -> bool {
        match self {
            Self::Root | Self::Component | Self::Abstract | Self::Resource => true,
            Self::Address { left, .. } => left == 0,
            Self::Feature { len, those } => {
                begun(those).any(|(_, name)| name.len() == usize::from(len))
            }
            Self::Path
            | Self::Unix
            | Self::Slash
            | Self::Dots(_)
            | Self::Inet
            | Self::Protocol
            | Self::Tool
            | Self::ToolName => false,
        }
    }

    /// Whether it is an address that nobody connects to: the kernel takes it for the loopback address.
    pub(super) fn is_unspecified(self) -> bool {
        matches!(self, Self::Address { left: 0, zero: true, .. })
    }

    /// The bytes on which it goes on differently than on most others.
    pub(super) fn labels(self) -> Vec<u8> {
        match self {
            Self::Path | Self::Root | Self::Slash | Self::Dots(_) | Self::Component => {
                b"/.\0".to_vec()
            }
            Self::Unix => vec![b'/', ABSTRACT],
            Self::Abstract | Self::Resource => Vec::new(),
            Self::Tool | Self::ToolName => vec![SEPARATOR],
            Self::Inet => b"tuo".to_vec(),
            Self::Protocol => b"46".to_vec(),
            Self::Address { .. } => vec![0, 0xff],
            Self::Feature { len, those } => {
                begun(those).filter_map(|(_, name)| name.get(usize::from(len)).copied()).collect()
            }
        }
    }

    /// A byte that is none of these, the more readable the better.
    pub(super) fn other(self, labels: &[bool; 256]) -> Option<u8> {
        let readable = match self {
            // Every byte is a number.
            Self::Address { .. } => 1..=u8::MAX,
            _ => b'a'..=b'z',
        };
        readable.chain(0..=u8::MAX).find(|&byte| !labels[usize::from(byte)])
    }
}

fn address(left: u8, mapped: bool, zero: bool, byte: u8) -> Option<Grammar> {
    let left = left.checked_sub(1)?;
    // Ten bytes of zeros, two of ones, then the IPv4 address (RFC 4291, section 2.5.5.2).
    let like = if left >= BEHIND_MAPPED + 2 { 0 } else { 0xff };
    let mapped = mapped && (left < BEHIND_MAPPED || byte == like);
    if mapped && left == BEHIND_MAPPED {
        return None;
    }
    Some(Grammar::Address { left, mapped, zero: zero && (left < PORT || byte == 0) })
}

fn named(len: u8, those: u64, byte: u8) -> Option<Grammar> {
    let those = begun(those)
        .filter(|(_, name)| name.get(usize::from(len)) == Some(&byte))
        .fold(0, |those, (number, _)| those | 1 << number);
    (those != 0).then_some(Grammar::Feature { len: len + 1, those })
}

/// Those features that a rule can say something of.
fn begun(those: u64) -> impl Iterator<Item = (usize, &'static [u8])> {
    let all = feature::ALL.iter().enumerate();
    all.filter(move |(number, feature)| those >> number & 1 == 1 && feature.rules != Rules::Never)
        .map(|(number, feature)| (number, feature.name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use execlayer_common::subject::{Inet, Protocol};

    use super::*;

    fn is_subject(operation: Operation, bytes: &[u8]) -> bool {
        let whole = bytes.iter().try_fold(Grammar::of(operation), |at, &byte| at.step(byte));
        whole.is_some_and(Grammar::is_whole)
    }

    #[test]
    fn paths_are_absolute_and_plain() {
        for path in ["/", "/a", "/a/b", "/.a", "/..a", "/...", "/a/.b", "/a.", "/a/.../b"] {
            assert!(is_subject(Operation::File, path.as_bytes()), "{path}");
        }
        for path in ["", "a", "//", "/a/", "/a//b", "/.", "/..", "/./a", "/a/../b", "/a\0"] {
            assert!(!is_subject(Operation::File, path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn addresses_are_those_that_the_kernel_asks_about() {
        let whole = [
            Inet::v4(Protocol::Tcp, [10, 0, 0, 1], 443),
            Inet::local_v4(Protocol::Udp, [0; 4], 0),
            Inet::v6(Protocol::Other, [0; 16], 65_535),
            Inet::local_v6(Protocol::Tcp, [0; 16], 1),
            Inet::v6(Protocol::Tcp, [0xff; 16], 0xffff),
        ];
        for inet in whole {
            assert!(is_subject(Operation::Inet, inet.bytes()), "{inet:?}");
            for len in 0..inet.bytes().len() {
                assert!(!is_subject(Operation::Inet, &inet.bytes()[..len]), "{len} of {inet:?}");
            }
        }
        let mut mapped = *b"t6\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\x01\x01\xbb";
        assert!(!is_subject(Operation::Inet, &mapped));
        mapped[2] = 1;
        assert!(is_subject(Operation::Inet, &mapped));
    }

    #[test]
    fn zeros_are_no_address_to_connect_to() {
        let at = |inet: Inet| {
            let start = Grammar::of(Operation::Inet);
            inet.bytes().iter().try_fold(start, |at, &byte| at.step(byte)).unwrap()
        };
        assert!(at(Inet::local_v4(Protocol::Tcp, [0; 4], 80)).is_unspecified());
        assert!(at(Inet::local_v6(Protocol::Tcp, [0; 16], 80)).is_unspecified());
        assert!(!at(Inet::v4(Protocol::Tcp, [0, 0, 0, 1], 80)).is_unspecified());
        assert!(!at(Inet::v6(Protocol::Tcp, [0; 16], 80)).is_unspecified());
    }

    #[test]
    fn features_are_those_that_rules_can_name() {
        for feature in feature::ALL {
            let is_one = is_subject(Operation::Feature, feature.name.as_bytes());
            assert_eq!(is_one, feature.rules != Rules::Never, "{}", feature.name);
        }
        assert!(!is_subject(Operation::Feature, b"netlin"));
        assert!(!is_subject(Operation::Feature, b""));
    }
}
