# What a process does to itself and to devices: prctl, seccomp, Landlock, capabilities, keys, terminals.

import ctypes
import fcntl
import os
import pty
import struct
import termios

from base import AT_FDCWD, act, acts, bits, call, get, in_child, libc, libcall, opened, put, tried

ARCH = 0xC000003E


def prctl(*words):
    return libcall("prctl", *(list(words) + [0] * (5 - len(words))))


def filtered(number, answer):
    """A filter of system calls that answers one of them so."""
    prctl(38, 1)
    program = b"".join(
        struct.pack("HBBI", *line)
        for line in [(0x20, 0, 0, 0), (0x15, 0, 1, number), (6, 0, 0, answer), (6, 0, 0, 0x7FFF0000)])
    code = ctypes.create_string_buffer(program)
    return call("seccomp", 1, 0, struct.pack("HxxxxxxQ", 4, ctypes.addressof(code)))


def landlocked(*allowed):
    """Only reading below these; the number of the interface."""
    rights = (1 << 13) - 1
    fd = call("landlock_create_ruleset", bits(rights), 8, 0)
    for path, access in allowed:
        rule = struct.pack("<Qi", access, os.open(path, os.O_PATH))
        call("landlock_add_rule", fd, 1, rule, 0)
    prctl(38, 1)
    return call("landlock_restrict_self", fd, 0)


def capabilities():
    data = ctypes.create_string_buffer(24)
    call(125, struct.pack("Ii", 0x20080522, 0), data)
    return call(126, struct.pack("Ii", 0x20080522, 0), data)


def less():
    """Gives every capability away."""
    call(126, struct.pack("Ii", 0x20080522, 0), bytes(24))
    return tried(lambda: len(get("/etc/shadow")) > 0), tried(os.setuid, 7)


def key():
    number = call("add_key", b"user", b"execlayer", b"text", 4, -1)
    into = ctypes.create_string_buffer(9)
    return call("keyctl", 11, number, into, 9), into.raw[:4], call("keyctl", 3, number)


def terminal(function):
    master, slave = os.openpty()
    return function(master, slave)


def talk(master, slave):
    os.write(slave, b"text\n")
    os.write(master, b"line\n")
    shown = b""
    while b"line" not in shown:
        shown += os.read(master, 99)
    return shown, os.read(slave, 99)


def controlling(master, slave):
    def child():
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        fd = os.open("/dev/tty", os.O_RDWR)
        fcntl.ioctl(fd, termios.TIOCSPGRP, struct.pack("i", os.getpgrp()))
        return 0 if os.write(fd, b"x") == 1 else 1

    return in_child(child)


def spawned():
    pid, fd = pty.fork()
    if pid == 0:
        os.execv("/usr/bin/tty", ["tty"])
    said = os.read(fd, 99)
    return said[:9], os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


acts(
    PR_SET_NAME=lambda: (libcall("prctl", 15, b"text", 0, 0, 0), get("/proc/self/comm")),
    PR_SET_DUMPABLE=lambda: (prctl(4, 0), prctl(3)),
    not_dumpable_and_the_own_memory=lambda: (prctl(4, 0), tried(lambda: os.open("/proc/self/mem", os.O_RDONLY) > 2)),
    the_own_memory=lambda: os.open("/proc/self/mem", os.O_RDWR) > 2,
    PR_SET_PDEATHSIG=lambda: prctl(1, 9),
    PR_SET_NO_NEW_PRIVS=lambda: (prctl(38, 1), prctl(39)),
    PR_SET_KEEPCAPS=lambda: prctl(8, 1),
    PR_SET_SECUREBITS=lambda: prctl(28, 1),
    PR_CAPBSET_DROP=lambda: prctl(24, 13),
    PR_CAP_AMBIENT=lambda: prctl(47, 4),
    PR_SET_PTRACER=lambda: tried(prctl, 0x59616D61, os.getppid()),
    PR_SET_THP_DISABLE=lambda: prctl(41, 1),
    PR_SET_TIMERSLACK=lambda: prctl(29, 99999),
    PR_SET_MM=lambda: prctl(35, 99),
    PR_SET_MDWE=lambda: tried(prctl, 65, 1),
    PR_SET_SPECULATION=lambda: tried(prctl, 53, 0, 4),
    PR_SCHED_CORE=lambda: tried(prctl, 62, 1, os.getpid(), 0),
    capget_and_capset=lambda: capabilities(),
    capset_to_nothing=lambda: less(),
    capset_to_more=lambda: call(126, struct.pack("Ii", 0x20080522, 0), struct.pack("IIIIII", *[0xFFFFFFFF] * 6)),
    seccomp_strict=lambda: in_child(lambda: (prctl(22, 1), os.getppid())),
    seccomp_that_answers=lambda: (filtered(110, 0x50000 | 77), tried(call, 110)),
    seccomp_that_kills=lambda: in_child(lambda: (filtered(110, 0x80000000), os.getppid())),
    seccomp_that_allows=lambda: (filtered(110, 0x7FFF0000), os.getppid() > 0),
    seccomp_of_opens=lambda: (filtered(257, 0x50000 | 1), tried(get, "/etc/passwd")),
    seccomp_of_unknown_flags=lambda: call("seccomp", 1, 1 << 30, 0),
    seccomp_actions=lambda: call("seccomp", 2, 0, struct.pack("I", 0x7FFF0000)),
    Landlock_version=lambda: call("landlock_create_ruleset", 0, 0, 1) > 0,
    Landlock=lambda: (put("f"), landlocked(("/usr", 0xC)), tried(get, "f"), tried(opened, "g"), tried(os.mkdir, "d"), len(get("/usr/bin/true")) > 0)[1:],
    Landlock_that_allows=lambda: (put("f"), landlocked((".", 0x1FFF)), get("f"), tried(os.rename, "f", "g"), tried(os.link, "g", "h"), tried(get, "/etc/passwd"))[1:],
    Landlock_of_programs=lambda: (landlocked(("/", 0xC)), tried(os.execv, "/usr/bin/true", ["true"])),
    keys=lambda: key(),
    keyctl_of_the_session=lambda: call("keyctl", 0, -3, 1) != 0,
    keyctl_JOIN=lambda: call("keyctl", 1, b"execlayer") > 0,
    request_key_of_nothing=lambda: call("request_key", b"user", b"execlayer-none", 0, 0),
    proc_keys=lambda: len(get("/proc/keys")) >= 0,
    the_kernels_messages=lambda: tried(lambda: libc.klogctl(10, None, 0) >= 0),
    dev_kmsg=lambda: tried(lambda: os.open("/dev/kmsg", os.O_RDONLY) > 2),
    kallsyms=lambda: len(os.read(os.open("/proc/kallsyms", os.O_RDONLY), 10)),
    a_terminal=lambda: terminal(talk),
    a_terminals_settings=lambda: terminal(lambda _, slave: termios.tcsetattr(slave, termios.TCSANOW, termios.tcgetattr(slave))),
    a_terminals_size=lambda: terminal(lambda master, slave: (fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 9, 9, 0, 0)), fcntl.ioctl(slave, termios.TIOCGWINSZ, bytes(8)))),
    a_terminals_name=lambda: terminal(lambda _, slave: os.ttyname(slave)[:9]),
    a_controlling_terminal=lambda: terminal(controlling),
    a_program_on_a_terminal=lambda: spawned(),
    a_terminals_lock=lambda: terminal(lambda master, _: fcntl.ioctl(master, 0x40045431, bytes(4))),
    no_terminal=lambda: os.open("/dev/tty", os.O_RDWR),
    TCGETS_of_a_file=lambda: fcntl.ioctl(opened("f"), termios.TCGETS, bytes(64)),
    FIONBIO=lambda: fcntl.ioctl(os.pipe()[0], 0x5421, struct.pack("i", 1)),
    FIOCLEX=lambda: fcntl.ioctl(opened("f"), 0x5451),
    SIOCGIFCONF=lambda: tried(lambda: len(fcntl.ioctl(__import__("socket").socket(), 0x8933, struct.pack("16sI20x", b"lo", 0)))),
    RNDGETENTCNT=lambda: len(fcntl.ioctl(os.open("/dev/urandom", os.O_RDONLY), 0x80045200, bytes(4))),
    BLKGETSIZE_of_the_disk=lambda: tried(lambda: len(fcntl.ioctl(os.open("/dev/vda", os.O_RDONLY), 0x1260, bytes(8)))),
    dev_full=lambda: os.write(os.open("/dev/full", os.O_WRONLY), b"x"),
    dev_random=lambda: len(os.read(os.open("/dev/random", os.O_RDONLY), 4)),
    a_device_of_a_disk=lambda: len(os.read(os.open("/dev/vda", os.O_RDONLY), 9)),
    a_setting_of_the_kernel=lambda: len(get("/proc/sys/kernel/ostype")),
    a_setting_of_the_kernel_as_it_is=lambda: (lambda text: put("/proc/sys/vm/swappiness", text))(get("/proc/sys/vm/swappiness")),
    the_hosts_name_as_it_is=lambda: tried(lambda: put("/proc/sys/kernel/hostname", os.uname().nodename)),
    quota_is_not_there=lambda: call(179, 0x80000700 - (1 << 32), 0, 0, 0),
    sysfs=lambda: len(os.listdir("/sys/class")) > 0,
    cgroups=lambda: len(os.listdir("/sys/fs/cgroup")) > 0,
    syslog_socket=lambda: tried(__import__("syslog").syslog, "text"),
)
