//! Sockets that no address rule knows: families and protocols, each denied unless its feature is allowed.

use super::{Set, address, judge_by, tried_i386};
use crate::attempts::Governed::{Denied, Passes};
use crate::attempts::{Absent, Act, Attempt, Governed};
use crate::framework::Lane;
use crate::gate::{Gate, policy};
use anyhow::Result;
use nix::libc::{self, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET, SOCK_STREAM};

crate::tests! { bypass_by_other_sockets => .lanes(&[Lane::Bypass]).limit(290) }

pub(crate) const SET: Set = ("bypass-family", ATTEMPTS);

const NEEDS: Governed = Denied("unlisted");

const fn case(name: &'static str, act: fn() -> Act) -> Attempt {
    Attempt::new(name, NEEDS, act)
}

/// The attempts that the feature `netlink-route` is enough for.
const ROUTE: &str = "netlink for routes";

const ATTEMPTS: &[Attempt] = &[
    Attempt::new("tcp", Passes, || made(libc::AF_INET, SOCK_STREAM, 0)),
    Attempt::new("udp", Passes, || made(libc::AF_INET6, SOCK_DGRAM, 0)),
    Attempt::new("unix", Passes, || made(libc::AF_UNIX, SOCK_STREAM, 0)),
    case(ROUTE, || made(libc::AF_NETLINK, SOCK_RAW, libc::NETLINK_ROUTE)),
    case("netlink for sockets", || made(libc::AF_NETLINK, SOCK_RAW, libc::NETLINK_SOCK_DIAG)),
    case("netlink for devices", || {
        made(libc::AF_NETLINK, SOCK_DGRAM, libc::NETLINK_KOBJECT_UEVENT)
    }),
    case("netlink for all else", || made(libc::AF_NETLINK, SOCK_RAW, libc::NETLINK_GENERIC)),
    case("netlink for filters", || made(libc::AF_NETLINK, SOCK_RAW, libc::NETLINK_NETFILTER)),
    case("netlink for audit", || made(libc::AF_NETLINK, SOCK_RAW, libc::NETLINK_AUDIT)),
    case("netlink for ipsec", || made(libc::AF_NETLINK, SOCK_RAW, libc::NETLINK_XFRM)),
    case("netlink for ciphers", || made(libc::AF_NETLINK, SOCK_RAW, libc::NETLINK_CRYPTO)),
    case("raw over v4", || made(libc::AF_INET, SOCK_RAW, libc::IPPROTO_ICMP)).by_root(),
    case("raw over v4 with headers", || made(libc::AF_INET, SOCK_RAW, libc::IPPROTO_RAW)).by_root(),
    case("raw over v6", || made(libc::AF_INET6, SOCK_RAW, libc::IPPROTO_ICMPV6)).by_root(),
    Attempt::new("icmp over v4", Passes, || made(libc::AF_INET, SOCK_DGRAM, libc::IPPROTO_ICMP)),
    Attempt::new("icmp over v6", Passes, || made(libc::AF_INET6, SOCK_DGRAM, libc::IPPROTO_ICMPV6)),
    case("packets", || made(libc::AF_PACKET, SOCK_RAW, 0x300)).by_root(),
    case("packets without headers", || made(libc::AF_PACKET, SOCK_DGRAM, 0x300)).by_root(),
    case("packets by 32-bit calls", || {
        tried_i386(359, [libc::AF_PACKET as u32, SOCK_RAW as u32, 0x300, 0, 0])
    })
    .by_root(),
    case("vsock", || made(libc::AF_VSOCK, SOCK_STREAM, 0)),
    case("vsock for packets", || made(libc::AF_VSOCK, SOCK_SEQPACKET, 0)),
    case("the kernel's ciphers", || made(libc::AF_ALG, SOCK_SEQPACKET, 0)),
    case("xdp", || made(libc::AF_XDP, SOCK_RAW, 0)).by_root(),
    case("ipsec keys", || made(libc::AF_KEY, SOCK_RAW, 2)).by_root(),
    Attempt::new("udp-lite over v4", Passes, || {
        made(libc::AF_INET, SOCK_DGRAM, libc::IPPROTO_UDPLITE)
    }),
    Attempt::new("udp-lite over v6", Passes, || {
        made(libc::AF_INET6, SOCK_DGRAM, libc::IPPROTO_UDPLITE)
    }),
    case("sctp", || made(libc::AF_INET, SOCK_STREAM, libc::IPPROTO_SCTP)),
    case("sctp for packets", || made(libc::AF_INET, SOCK_SEQPACKET, libc::IPPROTO_SCTP)),
    case("dccp", || made(libc::AF_INET, 6, libc::IPPROTO_DCCP)),
    case("smc", || made(43, SOCK_STREAM, 0)),
    case("tipc", || made(libc::AF_TIPC, SOCK_STREAM, 0)),
    case("can", || made(libc::AF_CAN, SOCK_RAW, 1)),
    case("bluetooth", || made(libc::AF_BLUETOOTH, SOCK_RAW, 1)),
    case("kcm", || made(41, SOCK_DGRAM, 0)),
];

const RULES: &str = r#"
[[rule]]
id = "files"
allow = ["read", "modify", "exec"]
path = ["/", "/**"]
"#;

fn bypass_by_other_sockets() -> Result<()> {
    // Everybody may have ICMP sockets.
    std::fs::write("/proc/sys/net/ipv4/ping_group_range", "0 2147483647")?;
    let gate = Gate::start()?;
    let allowing = |name, features| {
        let licence = format!("[[rule]]\nid = \"use\"\nallow = [\"use\"]\nfeature = {features}\n");
        policy(name, "", &format!("{RULES}\n{licence}"))
    };
    judge_by(&gate, SET, &policy("bypass-family", "", RULES)?, |attempt| attempt.governed)?;
    judge_by(&gate, SET, &allowing("bypass-route", r#"["netlink-route"]"#)?, |attempt| {
        if attempt.name == ROUTE { Passes } else { attempt.governed }
    })?;
    let all =
        r#"["netlink-route", "netlink", "raw-socket", "packet-socket", "vsock", "other-socket"]"#;
    judge_by(&gate, SET, &allowing("bypass-every-family", all)?, |_| Passes)
}

/// That the kernel lacks the family or the protocol is found out after the question.
fn made(family: i32, kind: i32, protocol: i32) -> Act {
    Ok(match address::made(family, kind, protocol) {
        Err(error) if error.is::<Absent>() => Ok(()),
        made => made?.map(drop),
    })
}
