//! Ways to a port that may not be reached, and to be reached at one.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::AsRawFd,
};

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, SockaddrIn, sendto, socket};

use super::super::{Act, Plan, Side, Stop, before};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
const ANY4: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const ANY6: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
const MAPPED: IpAddr = IpAddr::V6(Ipv4Addr::LOCALHOST.to_ipv6_mapped());

pub(super) const ACTS: &[Act] = &[
    Act::pair("TCP over IPv4", "connect", |plan, side| tcp(plan, side, V4)),
    Act::pair("TCP over IPv6", "connect", |plan, side| tcp(plan, side, V6)),
    Act::pair("TCP to an IPv4 address in IPv6", "connect", |plan, side| tcp(plan, side, MAPPED)),
    Act::pair("TCP to 0.0.0.0", "connect", |plan, side| tcp(plan, side, ANY4)),
    Act::pair("TCP to ::", "connect", |plan, side| tcp(plan, side, ANY6)),
    Act::pair("TCP that sends as it opens", "sendto", |plan, side| {
        // KERNEL: MSG_FASTOPEN (include/linux/socket.h).
        let flags = MsgFlags::from_bits_retain(0x2000_0000);
        let none = SockFlag::SOCK_CLOEXEC;
        let socket = before("socket", socket(AddressFamily::Inet, SockType::Stream, none, None))?;
        let to = SockaddrIn::new(127, 0, 0, 1, plan.port(side));
        Ok(sendto(socket.as_raw_fd(), b"x", &to, flags).map(drop)?)
    }),
    Act::pair(
        "UDP over IPv4",
        "connect",
        |plan, side| Ok(udp(V4)?.connect((V4, plan.port(side)))?),
    ),
    Act::pair("UDP over IPv4 without a connection", "sendto", |plan, side| {
        send(&udp(V4)?, (V4, plan.port(side)))
    }),
    Act::pair("UDP over IPv6 without a connection", "sendto", |plan, side| {
        send(&udp(V6)?, (V6, plan.port(side)))
    }),
    Act::pair("UDP to an IPv4 address in IPv6", "sendto", |plan, side| {
        send(&udp(ANY6)?, (MAPPED, plan.port(side)))
    }),
    Act::pair("UDP past its connection", "sendto", |plan, side| {
        let socket = udp(V4)?;
        before("connect", socket.connect((V4, plan.port(Side::Open))))?;
        send(&socket, (V4, plan.port(side)))
    }),
    Act::pair("serving at a port over TCP", "bind", |plan, side| {
        Ok(TcpListener::bind((V4, free(plan, side))).map(drop)?)
    }),
    Act::pair("serving at a port over UDP", "bind", |plan, side| {
        Ok(UdpSocket::bind((V6, free(plan, side))).map(drop)?)
    }),
];

const fn free(plan: &Plan, side: Side) -> u16 {
    match side {
        Side::Open => plan.ports.free_open,
        Side::Shut => plan.ports.free_shut,
    }
}

fn tcp(plan: &Plan, side: Side, to: IpAddr) -> Result<(), Stop> {
    Ok(TcpStream::connect(SocketAddr::from((to, plan.port(side)))).map(drop)?)
}

fn udp(from: IpAddr) -> Result<UdpSocket, Stop> {
    before("bind", UdpSocket::bind((from, 0)))
}

fn send(socket: &UdpSocket, to: (IpAddr, u16)) -> Result<(), Stop> {
    let sent: io::Result<usize> = socket.send_to(b"x", to);
    Ok(sent.map(drop)?)
}
