# Sockets: families, kinds, what is sent beside data, options, netlink.

import array
import ctypes
import os
import socket
import struct
import threading

from base import act, acts, call, get, in_child, opened, put, tried

LOCAL = "127.0.0.1"


def pair(kind=socket.SOCK_STREAM):
    return socket.socketpair(socket.AF_UNIX, kind)


def exchanged(kind):
    one, two = pair(kind)
    one.send(b"text")
    return two.recv(9)


def served(family, kind, address):
    """A server, a client, and what they say to each other."""
    server = socket.socket(family, kind)
    server.bind(address)
    server.listen(1)
    client = socket.socket(family, kind)
    client.connect(server.getsockname())
    peer, _ = server.accept()
    client.send(b"text")
    said = peer.recv(9)
    peer.close()
    return said, client.recv(9)


def datagrams(family, address, connect=False):
    server = socket.socket(family, socket.SOCK_DGRAM)
    server.bind(address)
    client = socket.socket(family, socket.SOCK_DGRAM)
    if connect:
        client.connect(server.getsockname())
        client.send(b"text")
    else:
        client.sendto(b"text", server.getsockname())
    return server.recv(9)


def descriptor(fd, kind=socket.SOCK_STREAM):
    one, two = pair(kind)
    socket.send_fds(one, [b"x"], [fd])
    _, fds, _, _ = socket.recv_fds(two, 9, 4)
    return fds


def over_fork(fd):
    """A descriptor from a child."""
    one, two = pair()
    in_child(lambda: socket.send_fds(two, [b"x"], [fd()]) and 0)
    return socket.recv_fds(one, 9, 4)[1]


def unlinked():
    fd = opened("f")
    os.write(fd, b"text")
    os.unlink("f")
    return fd


def credentials(pid):
    one, two = pair()
    two.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    mine = struct.pack("iii", pid, os.getuid(), os.getgid())
    one.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, mine)])
    said = two.recvmsg(9, 99)[1][0][2]
    return struct.unpack("iii", said)[1:]


def sendmmsg():
    one, two = pair(socket.SOCK_DGRAM)
    data = ctypes.create_string_buffer(b"text")
    vector = ctypes.create_string_buffer(struct.pack("QQ", ctypes.addressof(data), 4))
    header = struct.pack("QIIQQQQiIII", 0, 0, 0, ctypes.addressof(vector), 1, 0, 0, 0, 0, 0, 0)
    return call("sendmmsg", one.fileno(), header * 2, 2, 0), two.recv(9), two.recv(9)


def fast_open():
    server = socket.socket()
    server.bind((LOCAL, 0))
    server.listen(1)
    client = socket.socket()
    sent = client.sendto(b"text", socket.MSG_FASTOPEN, server.getsockname())
    return sent, server.accept()[0].recv(9)


def refused(family, address):
    return socket.socket(family).connect(address)


def again():
    """A datagram socket's peer is changed, and taken away."""
    one, two = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    one.bind((LOCAL, 0))
    two.connect(one.getsockname())
    two.connect((LOCAL, 9))
    none = tried(call, 42, two.fileno(), struct.pack("H14x", 0), 16)
    return none, tried(two.send, b"x")


def netlink(kind, family=0):
    one = socket.socket(socket.AF_NETLINK, kind, family)
    one.bind((0, 0))
    return one


def links():
    one = netlink(socket.SOCK_RAW)
    one.send(struct.pack("IHHII", 32, 18, 0x301, 1, 0) + bytes(16))
    kind = struct.unpack_from("H", one.recv(65536), 4)[0]
    return kind


def option(level, name, value, family=socket.AF_INET, kind=socket.SOCK_STREAM):
    one = socket.socket(family, kind)
    one.setsockopt(level, name, value)
    return one.getsockopt(level, name)


def made(family, kind, protocol=0):
    return socket.socket(family, kind, protocol).fileno() > 2


def abstract(name):
    return f"\0execlayer-{name}-{os.getpid()}"


def bound(address, family=socket.AF_INET):
    one = socket.socket(family)
    one.bind(address)
    return True


def autobound():
    one = socket.socket(socket.AF_UNIX)
    call(49, one.fileno(), struct.pack("H", 1), 2)
    return len(one.getsockname())


def peek():
    one, two = pair()
    one.send(b"text")
    return two.recv(2, socket.MSG_PEEK), two.recv(9), tried(two.recv, 9, socket.MSG_DONTWAIT)


def by_thread(function):
    found = []
    thread = threading.Thread(target=lambda: found.append(tried(function)))
    thread.start()
    thread.join()
    return found


acts(
    socketpair_of_streams=lambda: exchanged(socket.SOCK_STREAM),
    socketpair_of_datagrams=lambda: exchanged(socket.SOCK_DGRAM),
    socketpair_of_packets=lambda: exchanged(socket.SOCK_SEQPACKET),
    socketpair_of_addresses=lambda: socket.socketpair(socket.AF_INET),
    unix_stream=lambda: served(socket.AF_UNIX, socket.SOCK_STREAM, "s"),
    unix_packets=lambda: served(socket.AF_UNIX, socket.SOCK_SEQPACKET, "s"),
    unix_datagrams=lambda: datagrams(socket.AF_UNIX, "s"),
    unix_datagrams_connected=lambda: datagrams(socket.AF_UNIX, "s", True),
    unix_abstract_stream=lambda: served(socket.AF_UNIX, socket.SOCK_STREAM, abstract("s")),
    unix_abstract_datagrams=lambda: datagrams(socket.AF_UNIX, abstract("d")),
    unix_bound_by_the_kernel=lambda: autobound(),
    unix_bound_twice=lambda: (bound("s", socket.AF_UNIX), bound("s", socket.AF_UNIX)),
    unix_bound_over_a_file=lambda: bound(put("s"), socket.AF_UNIX),
    unix_name_that_is_too_long=lambda: bound("s" * 108, socket.AF_UNIX),
    unix_connect_to_nothing=lambda: refused(socket.AF_UNIX, "s"),
    unix_connect_to_a_file=lambda: refused(socket.AF_UNIX, put("s")),
    unix_connect_to_who_does_not_listen=lambda: (bound("s", socket.AF_UNIX), refused(socket.AF_UNIX, "s")),
    unix_connect_to_an_unlinked_name=lambda: unlinked_server(),
    unix_server_that_moved=lambda: moved_server(),
    SCM_RIGHTS_of_a_file=lambda: [os.read(fd, 9) for fd in descriptor(os.open(put("f"), os.O_RDONLY))],
    SCM_RIGHTS_to_write=lambda: [os.write(fd, b"x") for fd in descriptor(opened("f"))],
    SCM_RIGHTS_of_O_PATH=lambda: len(descriptor(os.open(put("f"), os.O_PATH))),
    SCM_RIGHTS_of_a_folder=lambda: len(descriptor(os.open(".", os.O_RDONLY))),
    SCM_RIGHTS_of_a_pipe=lambda: len(descriptor(os.pipe()[0])),
    SCM_RIGHTS_of_a_socket=lambda: len(descriptor(socket.socket().fileno())),
    SCM_RIGHTS_of_a_memfd=lambda: len(descriptor(os.memfd_create("m"))),
    SCM_RIGHTS_of_an_event=lambda: len(descriptor(os.eventfd(0))),
    SCM_RIGHTS_of_a_pidfd=lambda: len(descriptor(os.pidfd_open(os.getpid()))),
    SCM_RIGHTS_of_what_is_unlinked=lambda: len(descriptor(unlinked())),
    SCM_RIGHTS_of_O_TMPFILE=lambda: len(descriptor(os.open(".", os.O_TMPFILE | os.O_RDWR, 0o600))),
    SCM_RIGHTS_of_dev_null=lambda: len(descriptor(os.open("/dev/null", os.O_RDWR))),
    SCM_RIGHTS_of_a_terminal=lambda: len(descriptor(os.openpty()[1])),
    SCM_RIGHTS_of_a_program=lambda: len(descriptor(os.open("/usr/bin/true", os.O_RDONLY))),
    SCM_RIGHTS_by_datagrams=lambda: len(descriptor(opened("f"), socket.SOCK_DGRAM)),
    SCM_RIGHTS_of_a_child=lambda: len(over_fork(lambda: opened("f"))),
    SCM_RIGHTS_of_a_childs_memfd=lambda: len(over_fork(lambda: os.memfd_create("m"))),
    SCM_RIGHTS_of_proc=lambda: len(descriptor(os.open("/proc/self/maps", os.O_RDONLY))),
    SCM_CREDENTIALS=lambda: credentials(os.getpid()),
    SCM_CREDENTIALS_of_init=lambda: credentials(1),
    SO_PEERCRED=lambda: struct.unpack("iii", pair()[0].getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1:],
    SO_PEERSEC=lambda: tried(lambda: len(pair()[0].getsockopt(socket.SOL_SOCKET, 31, 99)) > 0),
    SO_PASSSEC=lambda: option(socket.SOL_SOCKET, 34, 1, socket.AF_UNIX),
    TCP=lambda: served(socket.AF_INET, socket.SOCK_STREAM, (LOCAL, 0)),
    TCP_of_every_address=lambda: served(socket.AF_INET, socket.SOCK_STREAM, ("0.0.0.0", 0)),
    TCP_over_IPv6=lambda: served(socket.AF_INET6, socket.SOCK_STREAM, ("::1", 0)),
    TCP_over_both=lambda: served(socket.AF_INET6, socket.SOCK_STREAM, ("::", 0)),
    TCP_to_a_mapped_address=lambda: refused(socket.AF_INET6, ("::ffff:127.0.0.1", 9)),
    MPTCP=lambda: tried(made, socket.AF_INET, socket.SOCK_STREAM, 262),
    TCP_refused=lambda: refused(socket.AF_INET, (LOCAL, 9)),
    TCP_to_nowhere=lambda: refused(socket.AF_INET, ("192.0.2.1", 9)),
    TCP_with_MSG_FASTOPEN=lambda: fast_open(),
    TCP_bound_to_a_low_port=lambda: bound((LOCAL, 81)),
    TCP_bound_to_what_is_not_ours=lambda: bound(("192.0.2.1", 0)),
    TCP_listening_without_bind=lambda: socket.socket().listen(1),
    TCP_by_a_thread=lambda: by_thread(lambda: served(socket.AF_INET, socket.SOCK_STREAM, (LOCAL, 0))),
    UDP=lambda: datagrams(socket.AF_INET, (LOCAL, 0)),
    UDP_connected=lambda: datagrams(socket.AF_INET, (LOCAL, 0), True),
    UDP_over_IPv6=lambda: datagrams(socket.AF_INET6, ("::1", 0)),
    UDP_to_another_peer=lambda: again(),
    UDP_to_everybody=lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("255.255.255.255", 9)),
    UDP_to_a_group=lambda: tried(socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto, b"x", ("224.0.0.1", 9)),
    UDP_without_a_peer=lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).send(b"x"),
    UDP_lite=lambda: tried(made, socket.AF_INET, socket.SOCK_DGRAM, 136),
    ping_socket=lambda: tried(made, socket.AF_INET, socket.SOCK_DGRAM, 1),
    raw_socket=lambda: made(socket.AF_INET, socket.SOCK_RAW, 1),
    raw_socket_that_sends=lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).sendto(bytes(8), (LOCAL, 0)),
    packet_socket=lambda: made(socket.AF_PACKET, socket.SOCK_RAW, 0),
    vsock=lambda: tried(made, 40, socket.SOCK_STREAM),
    vsock_to_nobody=lambda: tried(lambda: refused(40, (3, 9))),
    SCTP=lambda: tried(made, socket.AF_INET, socket.SOCK_STREAM, 132),
    a_family_that_is_not_there=lambda: made(9, socket.SOCK_STREAM),
    kernel_ciphers=lambda: tried(made, 38, socket.SOCK_SEQPACKET),
    an_odd_kind=lambda: made(socket.AF_UNIX, 9),
    a_connect_of_another_family=lambda: call(42, socket.socket().fileno(), struct.pack("H106s", 1, b"s"), 108),
    a_connect_of_a_short_address=lambda: call(42, socket.socket().fileno(), struct.pack("H", 2), 2),
    a_connect_of_a_file=lambda: call(42, opened("f"), struct.pack("H14x", 2), 16),
    sendmmsg=lambda: sendmmsg(),
    sendto_with_an_address_of_its_own=lambda: (lambda ends: (tried(call, 44, ends[0].fileno(), b"x", 1, 0, struct.pack("H", 1), 2)))(pair()),
    MSG_PEEK=lambda: peek(),
    MSG_OOB=lambda: tried(pair()[0].send, b"x", socket.MSG_OOB),
    shutdown=lambda: (lambda ends: (ends[0].shutdown(socket.SHUT_WR), ends[1].recv(9)))(pair()),
    SO_REUSEPORT=lambda: option(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1),
    SO_BINDTODEVICE=lambda: tried(socket.socket().setsockopt, socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo"),
    SO_MARK=lambda: option(socket.SOL_SOCKET, 36, 7),
    SO_PRIORITY=lambda: option(socket.SOL_SOCKET, 12, 7),
    SO_SNDBUFFORCE=lambda: tried(socket.socket().setsockopt, socket.SOL_SOCKET, 32, 9999),
    IP_TRANSPARENT=lambda: option(socket.IPPROTO_IP, 19, 1),
    IP_TTL=lambda: option(socket.IPPROTO_IP, 2, 7),
    TCP_NODELAY=lambda: option(socket.IPPROTO_TCP, 1, 1),
    TCP_ULP=lambda: tried(socket.socket().setsockopt, socket.IPPROTO_TCP, 31, b"tls"),
    netlink_links=lambda: links(),
    netlink_of_groups=lambda: netlink(socket.SOCK_RAW).setsockopt(270, 1, 1),
    netlink_of_devices=lambda: netlink(socket.SOCK_DGRAM, 15).fileno() > 2,
    netlink_generic=lambda: netlink(socket.SOCK_RAW, 16).fileno() > 2,
    netlink_audit=lambda: tried(lambda: netlink(socket.SOCK_RAW, 9).fileno() > 2),
    interface_addresses=lambda: [name for _, name in socket.if_nameindex()][:1],
    names_of_hosts=lambda: socket.gethostbyname("localhost"),
)


def unlinked_server():
    server = socket.socket(socket.AF_UNIX)
    server.bind("s")
    server.listen(1)
    fd = os.open("s", os.O_PATH)
    os.unlink("s")
    return refused(socket.AF_UNIX, f"/proc/self/fd/{fd}")


def moved_server():
    server = socket.socket(socket.AF_UNIX)
    server.bind("s")
    server.listen(1)
    os.rename("s", "t")
    client = socket.socket(socket.AF_UNIX)
    client.connect("t")
    return client.getpeername()
