//! Sockets that a task makes: by family and protocol.

use aya_ebpf::programs::LsmContext;
use execlayer_common::feature::{self, Feature};

use crate::{
    feature::used,
    kernel::{
        AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_UNIX, AF_VSOCK, IPPROTO_ICMP, IPPROTO_ICMPV6,
        IPPROTO_MPTCP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE,
    },
    label,
};

/// KERNEL: include/linux/net.h.
const SOCK_STREAM: u32 = 1;
const SOCK_DGRAM: u32 = 2;
const SOCK_RAW: u32 = 3;
const SOCK_TYPE_MASK: u32 = 0xf;

/// `int socket_create(int family, int type, int protocol, int kern)`
#[inline(always)]
pub fn create(ctx: &LsmContext) -> i32 {
    let family: u32 = ctx.arg(0);
    let kind: u32 = ctx.arg(1);
    let protocol: u32 = ctx.arg(2);
    let is_kernels: u32 = ctx.arg(3);
    if is_kernels != 0 {
        return 0;
    }
    let Some(label) = label::of(label::current()) else { return 0 };
    match feature(family as u16, kind & SOCK_TYPE_MASK, protocol as u16) {
        Some(feature) => used(label, feature),
        None => 0,
    }
}

/// What a socket is that is not judged by the addresses that it meets.
#[inline(always)]
const fn feature(family: u16, kind: u32, protocol: u16) -> Option<&'static Feature> {
    match (family, kind, protocol) {
        (AF_UNIX, ..)
        | (AF_INET | AF_INET6, SOCK_STREAM, 0 | IPPROTO_TCP | IPPROTO_MPTCP)
        | (
            AF_INET | AF_INET6,
            SOCK_DGRAM,
            0 | IPPROTO_UDP | IPPROTO_UDPLITE | IPPROTO_ICMP | IPPROTO_ICMPV6,
        ) => None,
        (AF_INET | AF_INET6, SOCK_RAW, _) => Some(&feature::RAW_SOCKET),
        (AF_NETLINK, _, 0) => Some(&feature::NETLINK_ROUTE),
        (AF_NETLINK, ..) => Some(&feature::NETLINK),
        (AF_PACKET, ..) => Some(&feature::PACKET_SOCKET),
        (AF_VSOCK, ..) => Some(&feature::VSOCK),
        _ => Some(&feature::OTHER_SOCKET),
    }
}
