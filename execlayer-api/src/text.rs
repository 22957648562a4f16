//! Subjects as text: bytes that a kernel gave, for a line that a person or a program reads. Nothing
//! is lost: what is not printable is escaped, and addresses stand as in a policy.

use std::{
    fmt::Write,
    net::{Ipv4Addr, Ipv6Addr},
};

use execlayer_common::{access::Operation, call::SEPARATOR};

/// The subject as one printable line: `\xNN` for a byte that is not printable or not UTF-8, `\\` for
/// a backslash.
#[must_use]
pub fn printable(operation: Operation, subject: &[u8]) -> String {
    match (operation, address(subject)) {
        (Operation::Inet, Some(address)) => address,
        (Operation::Call, _) => call(subject).map_or_else(
            || escaped(subject),
            |(action, resource)| format!("{} {}", escaped(action), escaped(resource)),
        ),
        _ => escaped(subject),
    }
}

/// The subject as it is, if that is UTF-8; an address in its readable form.
#[must_use]
pub fn exact(operation: Operation, subject: &[u8]) -> Option<String> {
    match operation {
        Operation::Inet => address(subject),
        Operation::Call => {
            let (action, resource) = call(subject)?;
            let text = |bytes| std::str::from_utf8(bytes).ok();
            Some(format!("{} {}", text(action)?, text(resource)?))
        }
        _ => std::str::from_utf8(subject).ok().map(str::to_owned),
    }
}

/// Two digits a byte.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// With `\xNN` for what is not printable.
#[must_use]
pub fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let escape = |text: &mut String, bytes: &[u8]| {
        for byte in bytes {
            let _ = write!(text, "\\x{byte:02x}");
        }
    };
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            match char {
                '\\' => text.push_str("\\\\"),
                // Characters that change the direction of what follows deceive a reader.
                '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                    escape(&mut text, char.encode_utf8(&mut [0; 4]).as_bytes());
                }
                char if char.is_control() => {
                    escape(&mut text, char.encode_utf8(&mut [0; 4]).as_bytes());
                }
                char => text.push(char),
            }
        }
        escape(&mut text, chunk.invalid());
    }
    text
}

/// A tool's name, and what it is called about.
fn call(subject: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = subject.iter().position(|&byte| byte == SEPARATOR)?;
    Some((subject.get(..at)?, subject.get(at + 1..)?))
}

fn address(subject: &[u8]) -> Option<String> {
    let (&protocol, rest) = subject.split_first()?;
    let (&family, rest) = rest.split_first()?;
    let protocol = match protocol {
        b't' => "tcp",
        b'u' => "udp",
        b'o' => "other",
        _ => return None,
    };
    let (host, port) = match family {
        b'4' => {
            let (host, port) = rest.split_first_chunk::<4>()?;
            (Ipv4Addr::from(*host).to_string(), port)
        }
        b'6' => {
            let (host, port) = rest.split_first_chunk::<16>()?;
            (format!("[{}]", Ipv6Addr::from(*host)), port)
        }
        _ => return None,
    };
    let port = u16::from_be_bytes(port.try_into().ok()?);
    Some(format!("{protocol}:{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use execlayer_common::{
        access::Operation,
        subject::{Inet, Protocol},
    };

    use super::{escaped, exact, hex, printable};

    #[test]
    fn printable_text_stays_and_the_rest_is_escaped() {
        for (bytes, text) in [
            (&b"/etc/passwd"[..], "/etc/passwd"),
            ("/tmp/\u{e9}".as_bytes(), "/tmp/\u{e9}"),
            (b"/a\nb\x1b[31m", "/a\\x0ab\\x1b[31m"),
            (b"/\xff\xfe", "/\\xff\\xfe"),
            (b"/a\\b", "/a\\\\b"),
            ("/a\u{202e}txt".as_bytes(), "/a\\xe2\\x80\\xaetxt"),
        ] {
            assert_eq!(escaped(bytes), text);
        }
    }

    #[test]
    fn what_is_not_utf8_has_no_exact_text_but_hex() {
        assert_eq!(exact(Operation::File, b"/a\n"), Some("/a\n".to_owned()));
        assert_eq!(exact(Operation::File, b"/\xff"), None);
        assert_eq!(hex(b"/\xff"), "2fff");
    }

    #[test]
    fn addresses_are_readable_and_broken_ones_are_bytes() {
        let v4 = Inet::v4(Protocol::Tcp, [10, 0, 0, 1], 443);
        assert_eq!(printable(Operation::Inet, v4.bytes()), "tcp:10.0.0.1:443");
        let mut host = [0; 16];
        (host[0], host[1], host[15]) = (0x20, 0x01, 1);
        let v6 = Inet::v6(Protocol::Udp, host, 53);
        assert_eq!(printable(Operation::Inet, v6.bytes()), "udp:[2001::1]:53");
        assert_eq!(printable(Operation::Inet, b"t4\x0a"), "t4\\x0a");
        assert_eq!(exact(Operation::Inet, b"t4"), None);
    }
}
