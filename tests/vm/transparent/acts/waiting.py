# What is waited for, and ways between processes: events, timers, watches, System V and POSIX objects,
# pipes, rings.

import ctypes
import os
import select
import signal
import struct
import threading
import time

from base import AT_FDCWD, act, acts, bits, call, in_child, libc, libcall, opened, put, tried

RMID = 0


def watch(path=".", mask=0x100 | 0x200 | 0xC0):
    fd = call("inotify_init1", 0)
    libcall("inotify_add_watch", fd, path.encode(), mask)
    put("f")
    os.rename("f", "g")
    os.unlink("g")
    masks = []
    data = os.read(fd, 4096)
    while data:
        mask, length = struct.unpack_from("II", data, 4)[0], struct.unpack_from("I", data, 12)[0]
        masks.append(hex(mask))
        data = data[16 + length :]
    return masks


def fanotify(flags, marks=0x08000020):
    fd = call("fanotify_init", flags, 0)
    call("fanotify_mark", fd, 1, ctypes.c_uint64(marks), AT_FDCWD, b".")
    opened("f")
    return len(os.read(fd, 4096)) > 0


def epoll(fd, flags=select.EPOLLIN):
    poll = select.epoll()
    poll.register(fd, flags)
    return [event for _, event in poll.poll(0)]


def timer():
    fd = call("timerfd_create", 1, 0)
    call("timerfd_settime", fd, 0, struct.pack("qqqq", 0, 0, 0, 1000000), 0)
    return struct.unpack("Q", os.read(fd, 8))[0] > 0


def by_signalfd():
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    fd = call("signalfd4", -1, bits(1 << (signal.SIGUSR1 - 1)), 8, 0)
    os.kill(os.getpid(), signal.SIGUSR1)
    return struct.unpack_from("I", os.read(fd, 128))[0]


def shm():
    number = call("shmget", 0, 8192, 0o1600)
    libc.shmat.restype = ctypes.c_long
    address = libc.shmat(number, None, 0)
    ctypes.memmove(address, b"text", 4)
    code = in_child(lambda: ctypes.string_at(address, 1)[0])
    return code, call("shmctl", number, RMID, 0)


def shm_to_execute():
    number = call("shmget", 0, 8192, 0o1700)
    libc.shmat.restype = ctypes.c_long
    address = libc.shmat(number, None, 0o100000)
    return address > 0, call("shmctl", number, RMID, 0)


def semaphore():
    number = call("semget", 0, 1, 0o1600)
    up = tried(call, "semop", number, struct.pack("Hhh", 0, 1, 0), 1)
    return up, tried(call, "semop", number, struct.pack("Hhh", 0, -2, 0x800), 1), call("semctl", number, 0, RMID, 0)


def message():
    number = call("msgget", 0, 0o1600)
    call("msgsnd", number, struct.pack("q4s", 1, b"text"), 4, 0)
    into = ctypes.create_string_buffer(16)
    length = call("msgrcv", number, into, 8, 0, 0)
    return length, into.raw[8:12], call("msgctl", number, RMID, 0)


def queue():
    name = f"execlayer-{os.getpid()}".encode()
    fd = call("mq_open", name, os.O_RDWR | os.O_CREAT, 0o600, struct.pack("8q", 0, 4, 64, 0, 0, 0, 0, 0))
    call("mq_timedsend", fd, b"text", 4, 1, 0)
    into = ctypes.create_string_buffer(64)
    length = call("mq_timedreceive", fd, into, 64, 0, 0)
    return length, into.raw[:4], call("mq_unlink", name)


def shm_open():
    name = f"/execlayer-{os.getpid()}"
    import _posixshmem

    fd = _posixshmem.shm_open(name, os.O_RDWR | os.O_CREAT, mode=0o600)
    os.ftruncate(fd, 4096)
    return os.write(fd, b"text"), _posixshmem.shm_unlink(name)


def ring():
    parameters = ctypes.create_string_buffer(120)
    fd = call("io_uring_setup", 4, parameters)
    return fd > 2, call("io_uring_enter", fd, 0, 0, 0, 0, 0)


def vmsplice():
    reader, writer = os.pipe()
    data = ctypes.create_string_buffer(b"text")
    return call("vmsplice", writer, bits(ctypes.addressof(data), 4), 1, 0), os.read(reader, 9)


def tee():
    one, two = os.pipe(), os.pipe()
    os.write(one[1], b"text")
    return call("tee", one[0], two[1], 9, 0), os.read(one[0], 9), os.read(two[0], 9)


def broken_pipe():
    reader, writer = os.pipe()
    os.close(reader)
    return os.write(writer, b"x")


def pipe_of_packets():
    reader, writer = os.pipe2(os.O_DIRECT)
    os.write(writer, b"one")
    os.write(writer, b"two")
    return os.read(reader, 99)


def posix_timer():
    number = ctypes.c_int()
    event = struct.pack("QiiQ", 0, signal.SIGUSR2, 1, 0).ljust(64, b"\0")
    return call("timer_create", 1, event, ctypes.byref(number))


def perf():
    attribute = struct.pack("II", 1, 112) + struct.pack("Q", 0).ljust(104, b"\0")
    return tried(lambda: call("perf_event_open", attribute, 0, -1, -1, 0) > 2)


acts(
    pipe=lambda: (lambda ends: (os.write(ends[1], b"text"), os.read(ends[0], 9)))(os.pipe()),
    pipe_of_packets=lambda: pipe_of_packets(),
    pipe_that_is_broken=lambda: broken_pipe(),
    pipe_that_would_block=lambda: (lambda ends: (os.set_blocking(ends[0], False), os.read(ends[0], 1)))(os.pipe()),
    vmsplice=lambda: vmsplice(),
    tee=lambda: tee(),
    eventfd=lambda: (lambda fd: (os.eventfd_write(fd, 3), os.eventfd_read(fd)))(os.eventfd(0)),
    eventfd_of_semaphores=lambda: (lambda fd: os.eventfd_read(fd))(os.eventfd(5, os.EFD_SEMAPHORE)),
    timerfd=lambda: timer(),
    timerfd_of_alarms=lambda: tried(lambda: call("timerfd_create", 9, 0) > 2),
    timer_create=lambda: posix_timer(),
    signalfd=lambda: by_signalfd(),
    poll=lambda: [event for _, event in (lambda poll: (poll.register(os.pipe()[1]), poll.poll(0))[1])(select.poll())],
    select=lambda: len(select.select([], [os.pipe()[1]], [], 0)[1]),
    epoll=lambda: epoll(os.pipe()[1], select.EPOLLOUT),
    epoll_of_a_file=lambda: epoll(opened("f")),
    epoll_of_an_event=lambda: epoll(os.eventfd(1)),
    epoll_of_an_epoll=lambda: epoll(select.epoll()),
    epoll_with_EPOLLWAKEUP=lambda: epoll(os.pipe()[1], select.EPOLLOUT | (1 << 29)),
    inotify=lambda: watch(),
    inotify_of_the_root=lambda: libcall("inotify_add_watch", call("inotify_init1", 0), b"/", 0xFFF),
    inotify_of_nothing=lambda: watch("nowhere"),
    fanotify_of_a_user=lambda: fanotify(0x200),
    fanotify_bad_flags=lambda: fanotify(0x40000000),
    System_V_memory=lambda: shm(),
    System_V_memory_to_execute=lambda: shm_to_execute(),
    System_V_semaphores=lambda: semaphore(),
    System_V_messages=lambda: message(),
    POSIX_messages=lambda: queue(),
    POSIX_memory=lambda: shm_open(),
    io_uring=lambda: ring(),
    perf_event_of_itself=lambda: perf(),
    nanosleep=lambda: time.sleep(0.001),
    pause_that_is_ended=lambda: in_child(lambda: (signal.setitimer(signal.ITIMER_REAL, 0.05), signal.pause())),
    ppoll_that_ends_in_time=lambda: call("ppoll", 0, 0, struct.pack("qq", 0, 1000), 0, 0),
    adjtimex_to_look=lambda: tried(lambda: call("clock_adjtime", 0, ctypes.create_string_buffer(208)) >= 0),
    clock_settime_as_it_is=lambda: tried(lambda: time.clock_settime(time.CLOCK_REALTIME, time.clock_gettime(time.CLOCK_REALTIME))),
)
