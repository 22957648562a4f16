//! How a subject that is not a path is written as bytes for the automaton. Paths stand as they are.

/// An internet destination: protocol, family, address and port, in that order.
///
/// Bytes: protocol (`t`, `u` or `o`), family (`4` or `6`), 4 or 16 address bytes, port (big endian).
/// IPv4-mapped IPv6 addresses are IPv4; `0.0.0.0` and `::` are the loopback address, as the kernel
/// connects them (net/ipv4/af_inet.c and net/ipv6/tcp_ipv6.c, 6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inet {
    bytes: [u8; Self::MAX],
    len: u8,
}

/// Transport protocol of a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Protocol {
    /// TCP.
    Tcp = b't',
    /// UDP.
    Udp = b'u',
    /// Any other.
    Other = b'o',
}

impl Inet {
    /// Bytes of the longest encoding.
    pub const MAX: usize = 20;

    /// An IPv4 destination. `address` in network order.
    #[must_use]
    pub const fn v4(protocol: Protocol, address: [u8; 4], port: u16) -> Self {
        let address = if matches!(address, [0, 0, 0, 0]) { [127, 0, 0, 1] } else { address };
        Self::local_v4(protocol, address, port)
    }

    /// An IPv6 destination. `address` in network order.
    #[must_use]
    pub const fn v6(protocol: Protocol, address: [u8; 16], port: u16) -> Self {
        match address {
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d] => {
                Self::v4(protocol, [a, b, c, d], port)
            }
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] => {
                let mut loopback = address;
                let [.., last] = &mut loopback;
                *last = 1;
                Self::local_v6(protocol, loopback, port)
            }
            _ => Self::local_v6(protocol, address, port),
        }
    }

    /// An IPv4 address that a socket is bound to: `0.0.0.0` is every address of the machine.
    #[must_use]
    pub const fn local_v4(protocol: Protocol, address: [u8; 4], port: u16) -> Self {
        let [a, b, c, d] = address;
        let [high, low] = port.to_be_bytes();
        let mut bytes = [0; Self::MAX];
        [bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]] =
            [protocol as u8, b'4', a, b, c, d, high, low];
        Self { bytes, len: 8 }
    }

    /// An IPv6 address that a socket is bound to: `::` is every address of the machine.
    #[must_use]
    pub const fn local_v6(protocol: Protocol, address: [u8; 16], port: u16) -> Self {
        if let [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d] = address {
            return Self::local_v4(protocol, [a, b, c, d], port);
        }
        let [high, low] = port.to_be_bytes();
        let mut bytes = [0; Self::MAX];
        let [kind, family, out @ .., port_high, port_low] = &mut bytes;
        (*kind, *family, *out) = (protocol as u8, b'6', address);
        (*port_high, *port_low) = (high, low);
        Self { bytes, len: 20 }
    }

    /// The address of a destination's bytes; `None` if they are none.
    #[must_use]
    pub fn address_of(bytes: &[u8]) -> Option<core::net::IpAddr> {
        match bytes {
            [_protocol, b'4', a, b, c, d, _, _] => {
                Some(core::net::Ipv4Addr::new(*a, *b, *c, *d).into())
            }
            [_protocol, b'6', address @ .., _, _] => <[u8; 16]>::try_from(address)
                .ok()
                .map(|address| core::net::Ipv6Addr::from(address).into()),
            _ => None,
        }
    }

    /// The bytes with their unused rest, and how many of them count.
    #[must_use]
    pub const fn raw(&self) -> (&[u8; Self::MAX], u8) {
        (&self.bytes, self.len)
    }

    /// The bytes that the automaton reads.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&self.bytes)
    }
}

/// First byte of an abstract unix socket's subject, before its name.
pub const ABSTRACT: u8 = b'@';
