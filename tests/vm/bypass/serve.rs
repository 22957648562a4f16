//! Serving where a policy does not allow it.

use super::address::{self, DATAGRAM, SEQUENCE, STREAM, bind, inet, unix};
use super::{Set, judge, tried, tried_i386};
use crate::attempts::Governed::{Denied, Passes};
use crate::attempts::{Act, Attempt, Governed};
use crate::framework::Lane;
use crate::gate::{Gate, policy};
use crate::raw::{call, low};
use anyhow::Result;
use nix::libc;

crate::tests! { bypass_by_serving => .lanes(&[Lane::Bypass]).limit(290) }

pub(crate) const SET: Set = ("bypass-serve", ATTEMPTS);

const UNLISTED: Governed = Denied("unlisted");

const fn case(name: &'static str, governed: Governed, act: fn() -> Act) -> Attempt {
    Attempt::new(name, governed, act)
}

const ATTEMPTS: &[Attempt] = &[
    case("tcp over v4", Passes, || served("127.0.0.1:7300", STREAM, 0)),
    case("tcp over v4, another port", UNLISTED, || served("127.0.0.1:7310", STREAM, 0)),
    case("tcp over v4, another address", UNLISTED, || served("127.0.0.2:7300", STREAM, 0)),
    case("tcp over v6", Passes, || served("[::1]:7300", STREAM, 0)),
    case("tcp over v6, another port", UNLISTED, || served("[::1]:7310", STREAM, 0)),
    case("tcp over mapped v4", Passes, || served("[::ffff:127.0.0.1]:7300", STREAM, 0)),
    case("tcp over mapped v4, another port", UNLISTED, || {
        served("[::ffff:127.0.0.1]:7310", STREAM, 0)
    }),
    case("udp over v4", Passes, || served("127.0.0.1:7300", DATAGRAM, 0)),
    case("udp over v4, another port", UNLISTED, || served("127.0.0.1:7310", DATAGRAM, 0)),
    case("udp over v6", Passes, || served("[::1]:7300", DATAGRAM, 0)),
    case("udp over v6, another port", UNLISTED, || served("[::1]:7310", DATAGRAM, 0)),
    case("any v4 address", Passes, || served("0.0.0.0:7320", STREAM, 0)),
    case("any v4 address at a port of one", UNLISTED, || served("0.0.0.0:7300", STREAM, 0)),
    case("any v6 address", Passes, || served("[::]:7320", STREAM, 0)),
    case("any v6 address at a port of one", UNLISTED, || served("[::]:7300", STREAM, 0)),
    case("any mapped v4 address at a port of one", UNLISTED, || {
        served("[::ffff:0.0.0.0]:7300", STREAM, 0)
    }),
    case("an address of no family", Passes, || unspecified("0.0.0.0:7320")),
    case("an address of no family at a port of one", UNLISTED, || unspecified("0.0.0.0:7300")),
    case("a port that the kernel chooses", UNLISTED, || served("127.0.0.1:0", STREAM, 0)),
    case("listen without bind", UNLISTED, || {
        let socket = address::socket(&inet("0.0.0.0:0")?, STREAM, 0)?;
        tried(libc::SYS_listen, [socket, 1])
    }),
    case("mptcp", Passes, || served("127.0.0.1:7300", STREAM, libc::IPPROTO_MPTCP)),
    case("mptcp, another port", UNLISTED, || served("127.0.0.1:7310", STREAM, libc::IPPROTO_MPTCP)),
    case("bind by 32-bit calls", Passes, || bound_i386("127.0.0.1:7300")),
    case("bind by 32-bit calls, another port", UNLISTED, || bound_i386("127.0.0.1:7310")),
    case("an abstract name", Passes, || named("@bypass-open", STREAM)),
    case("an abstract name, forbidden", UNLISTED, || named("@bypass-shut", STREAM)),
    case("an abstract name for datagrams", Passes, || named("@bypass-open", DATAGRAM)),
    case("an abstract name for datagrams, forbidden", UNLISTED, || named("@bypass-shut", DATAGRAM)),
    case("an abstract name for packets", Passes, || named("@bypass-open", SEQUENCE)),
    case("an abstract name for packets, forbidden", UNLISTED, || named("@bypass-shut", SEQUENCE)),
    case("an abstract name that ends otherwise", UNLISTED, || named("@bypass-open\0x", STREAM)),
    case("an abstract name that the kernel chooses", Passes, || {
        let socket = address::socket(&unix("@"), STREAM, 0)?;
        bind(socket, &[1, 0])
    }),
];

const RULES: &str = r#"
[[rule]]
id = "files"
allow = ["read", "modify", "exec"]
path = ["/", "/**"]

[[rule]]
id = "ports"
allow = ["bind"]
to = ["127.0.0.1:7300", "[::1]:7300", "*:7320", "unix:@bypass-open"]
"#;

fn bypass_by_serving() -> Result<()> {
    let gate = Gate::start()?;
    judge(&gate, SET, &policy("bypass-serve", "", RULES)?)
}

/// Binds, and listens if it is a stream.
fn served(at: &str, kind: i32, protocol: i32) -> Act {
    let at = inet(at)?;
    let socket = address::socket(&at, kind, protocol)?;
    call(libc::SYS_setsockopt, [socket, 1, 2, crate::raw::address(&1_i32), 4])?;
    match bind(socket, &at)? {
        Ok(()) if kind == STREAM => tried(libc::SYS_listen, [socket, 1]),
        bound => Ok(bound),
    }
}

fn unspecified(at: &str) -> Act {
    let socket = address::socket(&inet(at)?, STREAM, 0)?;
    call(libc::SYS_setsockopt, [socket, 1, 2, crate::raw::address(&1_i32), 4])?;
    bind(socket, &address::unspecified(at)?)
}

fn bound_i386(at: &str) -> Act {
    let at = inet(at)?;
    let socket = address::socket(&at, DATAGRAM, 0)?;
    tried_i386(361, [socket as u32, low(&at)?, at.len() as u32, 0, 0])
}

fn named(name: &str, kind: i32) -> Act {
    let name = unix(name);
    bind(address::socket(&name, kind, 0)?, &name)
}
