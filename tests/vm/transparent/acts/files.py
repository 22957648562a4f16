# Content of files: opening in every way, reading, writing, lengths, copying.

import ctypes
import fcntl
import mmap
import os
import struct

from base import AT_FDCWD, act, acts, bits, call, get, opened, put, tried

TMPFILE = os.O_TMPFILE | os.O_RDWR


def again(fd, flags):
    return os.open(f"/proc/self/fd/{fd}", flags)


def how(path, flags, resolve, mode=0):
    fd = call("openat2", AT_FDCWD, path.encode(), bits(flags, mode, resolve), 24)
    return os.read(fd, 9) if flags & os.O_ACCMODE != os.O_WRONLY else fd > 2


def unlinked():
    fd = opened("f")
    os.write(fd, b"text")
    os.unlink("f")
    return fd


def link_into(place, flags=0):
    os.mkdir("d")
    put("d/f")
    os.symlink(place, "l")
    return flags


acts(
    open_to_read=lambda: get(put("f")),
    open_what_is_not_there=lambda: os.open("nowhere", os.O_RDONLY),
    open_below_a_file=lambda: os.open(put("f") + "/x", os.O_RDONLY),
    open_with_a_slash_behind=lambda: os.open(put("f") + "/", os.O_RDONLY),
    open_a_name_of_255_bytes=lambda: get(put("n" * 255)),
    open_a_name_of_256_bytes=lambda: opened("n" * 256),
    open_an_empty_name=lambda: os.open("", os.O_RDONLY),
    open_a_name_of_odd_bytes=lambda: opened(b"a\n\xff b") > 2,
    open_with_O_EXCL=lambda: (opened("f") > 2, tried(opened, "f", os.O_CREAT | os.O_EXCL)),
    open_with_O_TRUNC=lambda: (os.close(os.open(put("f"), os.O_WRONLY | os.O_TRUNC)), get("f")),
    open_to_read_with_O_TRUNC=lambda: (os.open(put("f"), os.O_TRUNC) > 2, get("f")),
    open_with_O_APPEND=lambda: (os.write(os.open(put("f"), os.O_WRONLY | os.O_APPEND), b"x"), get("f")),
    open_with_access_mode_3=lambda: os.open(put("f"), 3) > 2,
    open_with_O_DIRECTORY=lambda: os.open(put("f"), os.O_DIRECTORY),
    open_a_folder_to_write=lambda: os.open(".", os.O_WRONLY),
    open_with_O_NOFOLLOW=lambda: (os.symlink("f", "l"), os.open("l", os.O_NOFOLLOW)),
    open_with_O_PATH=lambda: os.read(os.open(put("f"), os.O_PATH), 1),
    open_with_O_PATH_again=lambda: os.read(again(os.open(put("f"), os.O_PATH), os.O_RDONLY), 9),
    open_with_O_PATH_of_a_link=lambda: (
        os.symlink("where", "l"),
        os.readlink(f"/proc/self/fd/{os.open('l', os.O_PATH | os.O_NOFOLLOW)}")[-5:],
    ),
    open_with_O_NOATIME=lambda: os.open(put("f"), os.O_NOATIME) > 2,
    open_of_what_is_others_with_O_NOATIME=lambda: os.open("/etc/passwd", os.O_NOATIME) > 2,
    open_with_O_DIRECT=lambda: opened("f", os.O_RDWR | os.O_CREAT | os.O_DIRECT) > 2,
    open_with_O_SYNC=lambda: os.write(opened("f", os.O_WRONLY | os.O_CREAT | os.O_SYNC), b"x"),
    open_a_circle_of_links=lambda: (os.symlink("l", "l"), os.open("l", os.O_RDONLY)),
    open_by_a_link_to_nowhere=lambda: (os.symlink("f", "l"), os.close(opened("l")), os.path.exists("f")),
    open_a_file_of_mode_0=lambda: os.open(put("f", mode=0), os.O_RDONLY) > 2,
    creat=lambda: os.write(call("creat", b"f", 0o600), b"x"),
    creat_a_file_of_mode_0=lambda: os.write(opened("f", os.O_RDWR | os.O_CREAT, 0), b"x"),
    O_TMPFILE=lambda: os.write(os.open(".", TMPFILE, 0o600), b"text"),
    O_TMPFILE_with_O_EXCL=lambda: os.write(os.open(".", TMPFILE | os.O_EXCL, 0o600), b"text"),
    O_TMPFILE_to_read=lambda: os.open(".", os.O_TMPFILE, 0o600),
    O_TMPFILE_in_memory=lambda: os.write(os.open("/dev/shm", TMPFILE, 0o600), b"text"),
    O_TMPFILE_length=lambda: os.ftruncate(os.open(".", TMPFILE, 0o600), 7),
    O_TMPFILE_mode=lambda: os.fchmod(os.open(".", TMPFILE, 0o600), 0o640),
    O_TMPFILE_owner=lambda: os.fchown(os.open(".", TMPFILE, 0o600), os.getuid(), os.getgid()),
    O_TMPFILE_times=lambda: os.utime(os.open(".", TMPFILE, 0o600), (1, 2)),
    O_TMPFILE_attribute=lambda: os.setxattr(os.open(".", TMPFILE, 0o600), "user.a", b"b"),
    O_TMPFILE_opened_again=lambda: again(os.open(".", TMPFILE, 0o600), os.O_RDONLY) > 2,
    openat2=lambda: how(put("f"), os.O_RDONLY, 0),
    openat2_with_unknown_bits=lambda: how(put("f"), os.O_RDONLY, 1 << 40),
    openat2_RESOLVE_NO_SYMLINKS=lambda: (os.symlink(put("f"), "l"), how("l", os.O_RDONLY, 4)),
    openat2_RESOLVE_NO_MAGICLINKS=lambda: how("/proc/self/exe", os.O_RDONLY, 2),
    openat2_RESOLVE_NO_XDEV=lambda: how("/dev/null", os.O_RDONLY, 1),
    openat2_RESOLVE_BENEATH=lambda: how(put("f"), os.O_RDONLY, 8),
    openat2_RESOLVE_BENEATH_above=lambda: how("../act", os.O_RDONLY, 8),
    openat2_RESOLVE_IN_ROOT=lambda: (put("f"), how("/../f", os.O_RDONLY, 16)),
    openat2_RESOLVE_CACHED=lambda: how("/proc/self/status", os.O_RDONLY, 32)[:4],
    openat2_with_O_CREAT=lambda: how("f", os.O_RDWR | os.O_CREAT, 8, 0o600),
    open_the_root=lambda: os.open("/", os.O_RDONLY) > 2,
    open_a_folder_of_proc=lambda: len(os.listdir("/proc/self/fd")) > 2,
    open_the_own_program=lambda: len(os.read(os.open("/proc/self/exe", os.O_RDONLY), 4)),
    open_the_own_program_to_write=lambda: os.open("/proc/self/exe", os.O_WRONLY) > 2,
    open_a_pipe_again=lambda: os.write(again(os.pipe()[1], os.O_WRONLY), b"x"),
    open_a_socket_again=lambda: again(__import__("socket").socket().fileno(), os.O_RDONLY),
    open_a_memfd_again=lambda: again(os.memfd_create("m"), os.O_RDWR) > 2,
    open_what_is_unlinked_again=lambda: os.read(again(unlinked(), os.O_RDONLY), 9),
    open_what_is_unlinked_again_to_write=lambda: os.write(again(unlinked(), os.O_WRONLY), b"x"),
    fd_of_dev=lambda: os.read(os.open(f"/dev/fd/{os.open(put('f'), os.O_RDONLY)}", os.O_RDONLY), 9),
    truncate=lambda: (os.truncate(put("f"), 2), get("f")),
    truncate_to_more=lambda: (os.truncate(put("f"), 70), len(get("f"))),
    truncate_a_folder=lambda: os.truncate(".", 0),
    truncate_what_is_not_there=lambda: os.truncate("f", 0),
    ftruncate=lambda: (os.ftruncate(os.open(put("f"), os.O_RDWR), 2), get("f")),
    ftruncate_to_read=lambda: os.ftruncate(os.open(put("f"), os.O_RDONLY), 2),
    ftruncate_of_what_is_unlinked=lambda: os.ftruncate(unlinked(), 1),
    ftruncate_of_a_memfd=lambda: os.ftruncate(os.memfd_create("m"), 100),
    ftruncate_of_a_pipe=lambda: os.ftruncate(os.pipe()[1], 1),
    fallocate=lambda: call("fallocate", opened("f"), 0, 0, 4096),
    fallocate_with_KEEP_SIZE=lambda: call("fallocate", opened("f"), 1, 0, 4096),
    fallocate_a_hole=lambda: call("fallocate", os.open(put("f", "x" * 9000), os.O_RDWR), 3, 0, 4096),
    fallocate_of_a_memfd=lambda: call("fallocate", os.memfd_create("m"), 0, 0, 4096),
    posix_fallocate_of_what_is_unlinked=lambda: os.posix_fallocate(unlinked(), 0, 99),
    copy_file_range=lambda: (
        os.copy_file_range(os.open(put("f"), os.O_RDONLY), opened("g"), 9), get("g")),
    copy_file_range_to_memory=lambda: os.copy_file_range(os.open(put("f"), os.O_RDONLY), os.memfd_create("m"), 9),
    sendfile=lambda: (os.sendfile(opened("g"), os.open(put("f"), os.O_RDONLY), 0, 9), get("g")),
    sendfile_of_a_memfd=lambda: os.sendfile(opened("g"), os.memfd_create("m"), 0, 9),
    sendfile_of_what_is_unlinked=lambda: os.sendfile(opened("g"), unlinked(), 0, 9),
    splice_to_a_pipe=lambda: os.splice(os.open(put("f"), os.O_RDONLY), os.pipe()[1], 9),
    preadv2=lambda: os.preadv(os.open(put("f"), os.O_RDONLY), [bytearray(9)], 0, 0),
    preadv2_with_RWF_NOWAIT=lambda: os.preadv(os.open(put("f"), os.O_RDONLY), [bytearray(9)], 0, 8),
    pwritev2_with_RWF_APPEND=lambda: (os.pwritev(os.open(put("f"), os.O_RDWR), [b"x"], 0, 16), get("f")),
    pwrite_beyond_the_end=lambda: os.pwrite(opened("f"), b"x", 1 << 33),
    lseek_to_a_hole=lambda: os.lseek(os.open(put("f"), os.O_RDONLY), 0, os.SEEK_HOLE),
    readahead=lambda: call("readahead", os.open(put("f"), os.O_RDONLY), 0, 9),
    fadvise=lambda: os.posix_fadvise(os.open(put("f"), os.O_RDONLY), 0, 9, 4),
    fsync=lambda: os.fsync(opened("f")),
    sync_file_range=lambda: call("sync_file_range", opened("f"), 0, 9, 2),
    syncfs=lambda: call("syncfs", opened("f")),
    name_to_handle_at=lambda: handle(put("f"))[0] > 0,
    a_file_by_its_handle=lambda: by_handle(put("f")),
    getdents=lambda: (put("f"), sorted(entry.name for entry in os.scandir("."))),
    cachestat=lambda: tried(call, "cachestat", opened("f"), bits(0, 0), ctypes.create_string_buffer(40), 0),
    dup2_and_close=lambda: (os.dup2(opened("f"), 77), os.write(77, b"x")),
    close_range=lambda: (opened("f"), call("close_range", 50, 90, 0)),
    close_range_unshare=lambda: call("close_range", 50, 90, 2),
    F_SETFL_without_O_APPEND=lambda: (
        fcntl.fcntl(os.open(put("f"), os.O_WRONLY | os.O_APPEND), fcntl.F_SETFL, 0)),
    F_SETFL_of_a_pipe=lambda: fcntl.fcntl(os.pipe()[0], fcntl.F_SETFL, os.O_NONBLOCK | os.O_DIRECT),
    F_SETFL_with_O_ASYNC=lambda: fcntl.fcntl(os.pipe()[0], fcntl.F_SETFL, os.O_ASYNC),
    F_SETLEASE=lambda: fcntl.fcntl(os.open(put("f"), os.O_RDONLY), fcntl.F_SETLEASE, fcntl.F_RDLCK),
    F_NOTIFY=lambda: fcntl.fcntl(os.open(".", os.O_RDONLY), fcntl.F_NOTIFY, 2),
    F_SETOWN=lambda: fcntl.fcntl(os.pipe()[0], fcntl.F_SETOWN, os.getpid()),
    F_SETPIPE_SZ=lambda: fcntl.fcntl(os.pipe()[0], 1031, 8192),
    F_GETPATH_like_readlink=lambda: os.readlink(f"/proc/self/fd/{opened('f')}")[-6:],
    flock=lambda: fcntl.flock(opened("f"), fcntl.LOCK_EX),
    flock_of_what_is_unlinked=lambda: fcntl.flock(unlinked(), fcntl.LOCK_SH),
    lockf=lambda: fcntl.lockf(opened("f"), fcntl.LOCK_EX),
    a_lock_of_an_open_file=lambda: (
        fcntl.fcntl(opened("f"), 37, struct.pack("hhqqi4x", 1, 0, 0, 0, 0)),
        tried(fcntl.fcntl, opened("f"), 37, struct.pack("hhqqi4x", 1, 0, 0, 0, 0)))[1],
    seals_of_a_memfd=lambda: seals(),
)


def handle(path):
    buffer = ctypes.create_string_buffer(struct.pack("Ii", 120, 0), 128)
    mount = ctypes.c_int()
    call("name_to_handle_at", AT_FDCWD, path.encode(), buffer, ctypes.byref(mount), 0)
    return struct.unpack_from("I", buffer.raw)[0], buffer


def by_handle(path):
    return os.read(call("open_by_handle_at", os.open(".", os.O_RDONLY), handle(path)[1], 0), 9)


def seals():
    fd = os.memfd_create("m", os.MFD_ALLOW_SEALING)
    os.write(fd, b"text")
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK)
    return tried(os.write, fd, b"x"), tried(os.ftruncate, fd, 0), fcntl.fcntl(fd, fcntl.F_GET_SEALS)


@act("a write to a mapped file")
def _():
    with open(put("f", "x" * 4096), "r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        memory[:4] = b"text"
        memory.flush()
    return get("f")[:6]
