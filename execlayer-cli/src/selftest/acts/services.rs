//! Ways to a service behind a unix socket, and sockets that are no file's and no address's.

use std::{
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream},
    },
    path::Path,
};

use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

use super::super::{Act, Stop, before};

pub(super) const ACTS: &[Act] = &[
    Act::pair("a service by its name", "connect", |plan, side| {
        Ok(UnixStream::connect(plan.of(side, "socket")).map(drop)?)
    }),
    Act::pair("a service by a link", "connect", |plan, side| {
        let path = plan.at(&format!("link-{}", side.name())).join("socket");
        Ok(UnixStream::connect(path).map(drop)?)
    }),
    Act::pair("a service from its folder", "connect", |plan, side| {
        before("chdir", std::env::set_current_dir(plan.of(side, "")))?;
        Ok(UnixStream::connect("socket").map(drop)?)
    }),
    Act::pair("a service by /proc/self/root", "connect", |plan, side| {
        let path = plan.of(side, "socket");
        let path = Path::new("/proc/self/root").join(path.strip_prefix("/").unwrap_or(&path));
        Ok(UnixStream::connect(path).map(drop)?)
    }),
    Act::pair("a datagram without a connection", "sendto", |plan, side| {
        let socket = before("socket", UnixDatagram::unbound())?;
        Ok(socket.send_to(b"x", plan.of(side, "datagrams")).map(drop)?)
    }),
    Act::pair("a service by an abstract name", "connect", |plan, side| {
        let name = SocketAddr::from_abstract_name(plan.abstract_name(side))?;
        Ok(UnixStream::connect_addr(&name).map(drop)?)
    }),
    Act::pair("serving at an abstract name", "bind", |plan, side| {
        let name = format!("{}-bound", plan.abstract_name(side));
        let name = SocketAddr::from_abstract_name(name)?;
        Ok(UnixListener::bind_addr(&name).map(drop)?)
    }),
    Act::lone("raw packets", "socket", |_, _| {
        made(AddressFamily::Inet, SockType::Raw, SockProtocol::Icmp)
    }),
    Act::lone("packets below IP", "socket", |_, _| {
        made(AddressFamily::Packet, SockType::Raw, SockProtocol::EthAll)
    }),
    Act::lone("netlink about routes", "socket", |_, _| {
        made(AddressFamily::Netlink, SockType::Raw, SockProtocol::NetlinkRoute)
    }),
    Act::lone("netlink about all else", "socket", |_, _| {
        made(AddressFamily::Netlink, SockType::Raw, SockProtocol::NetlinkGeneric)
    }),
    Act::lone("netlink about audit", "socket", |_, _| {
        made(AddressFamily::Netlink, SockType::Raw, SockProtocol::NetlinkAudit)
    }),
];

fn made(family: AddressFamily, kind: SockType, protocol: SockProtocol) -> Result<(), Stop> {
    Ok(socket(family, kind, SockFlag::SOCK_CLOEXEC, protocol).map(drop)?)
}
