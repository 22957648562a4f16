# Names of files, and what is said about files: making, moving, linking, removing, modes, owners,
# times, attributes, flags.

import ctypes
import fcntl
import os
import socket
import stat
import struct

from base import AT_FDCWD, act, acts, call, get, libcall, opened, put, tried

EMPTY_PATH = 0x1000
FLAGS_GET, FLAGS_SET, FSX_GET = 0x80086601, 0x40086602, 0x801C581F
# An access list as it lies in the attribute: owner, one user, group, mask, others.
ACCESS_LIST = struct.pack(
    "<I" + "HHI" * 5, 2, 1, 6, 0xFFFFFFFF, 2, 4, 1000, 4, 4, 0xFFFFFFFF, 16, 4, 0xFFFFFFFF,
    32, 0, 0xFFFFFFFF)


def rename(old, new, flags):
    call("renameat2", AT_FDCWD, old.encode(), AT_FDCWD, new.encode(), flags)
    return sorted(os.listdir("."))


def two():
    os.mkdir("d")
    put("d/f")
    return put("f", "f\n"), put("g", "g\n")


def linked(fd, flags=EMPTY_PATH):
    call("linkat", fd, b"", AT_FDCWD, b"new", flags)
    return get("new")


def by_proc(fd):
    path = f"/proc/self/fd/{fd}".encode()
    call("linkat", AT_FDCWD, path, AT_FDCWD, b"new", 0x400)
    return get("new")


def times(path, flags, fd=AT_FDCWD):
    stamp = struct.pack("qqqq", 1, 2, 3, 4)
    call("utimensat", fd, None if path is None else path.encode(), stamp, flags)


def omitted():
    call("utimensat", AT_FDCWD, b"f", struct.pack("qqqq", 0, 0x3FFFFFFE, 0, 0x3FFFFFFE), 0)


def attributes(path, follow=True):
    os.setxattr(path, "user.a", b"1", follow_symlinks=follow)
    os.setxattr(path, "user.a", b"2", os.XATTR_REPLACE, follow_symlinks=follow)
    again = tried(os.setxattr, path, "user.a", b"2", os.XATTR_CREATE)
    value = os.getxattr(path, "user.a"), os.listxattr(path)
    os.removexattr(path, "user.a")
    return again, value, os.listxattr(path)


def flags(path, wanted):
    fd = os.open(path, os.O_RDONLY)
    buffer = bytearray(8)
    fcntl.ioctl(fd, FLAGS_GET, buffer)
    before = struct.unpack_from("i", buffer)[0]
    fcntl.ioctl(fd, FLAGS_SET, struct.pack("q", before | wanted))
    fcntl.ioctl(fd, FLAGS_GET, buffer)
    after = struct.unpack_from("i", buffer)[0] & wanted
    fcntl.ioctl(fd, FLAGS_SET, struct.pack("q", before))
    return after


def statx(path, flags, fd=AT_FDCWD):
    buffer = ctypes.create_string_buffer(256)
    call("statx", fd, path.encode(), flags, 0xFFF, buffer)
    return stat.S_IFMT(struct.unpack_from("H", buffer, 28)[0])


def mode(path):
    return oct(os.lstat(path).st_mode)


def tmpfile():
    fd = os.open(".", os.O_TMPFILE | os.O_RDWR, 0o644)
    os.write(fd, b"text")
    return fd


def unlinked(path="f"):
    fd = opened(path)
    os.unlink(path)
    return fd


acts(
    mkdir=lambda: (os.mkdir("d", 0o750), mode("d")),
    mkdir_of_what_is_there=lambda: (os.mkdir("d"), os.mkdir("d")),
    mkdir_below_nothing=lambda: os.mkdir("d/e"),
    mkdirat=lambda: (os.mkdir("d", dir_fd=os.open(".", os.O_PATH)), mode("d")),
    rmdir=lambda: (os.mkdir("d"), os.rmdir("d"), os.listdir(".")),
    rmdir_of_what_is_full=lambda: (two(), os.rmdir("d")),
    rmdir_of_a_file=lambda: os.rmdir(put("f")),
    rmdir_of_the_working_folder=lambda: (os.mkdir("d"), os.chdir("d"), os.rmdir("../d"), tried(os.getcwd), tried(opened, "f")),
    unlink=lambda: (os.unlink(put("f")), os.listdir(".")),
    unlink_of_a_folder=lambda: (os.mkdir("d"), os.unlink("d")),
    unlink_of_what_is_not_there=lambda: os.unlink("f"),
    unlink_of_what_is_open=lambda: os.write(unlinked(), b"x"),
    symlink=lambda: (os.symlink("a/b", "l"), os.readlink("l")),
    symlink_of_4095_bytes=lambda: (os.symlink("x" * 4095, "l"), len(os.readlink("l"))),
    symlink_of_nothing=lambda: os.symlink("", "l"),
    symlink_over_a_file=lambda: os.symlink("x", put("f")),
    link=lambda: (os.link(put("f"), "g"), os.stat("g").st_nlink),
    link_of_a_folder=lambda: (os.mkdir("d"), os.link("d", "e")),
    link_over_a_file=lambda: (two(), os.link("f", "g")),
    link_of_a_link=lambda: (os.symlink("x", "l"), os.link("l", "m", follow_symlinks=False), os.readlink("m")),
    link_to_another_device=lambda: os.link(put("f"), "/dev/shm/never"),
    link_of_what_is_others=lambda: os.link("/etc/passwd", "/etc/never-linked") or os.unlink("/etc/never-linked"),
    linkat_of_O_TMPFILE_by_AT_EMPTY_PATH=lambda: linked(tmpfile()),
    linkat_of_O_TMPFILE_by_proc=lambda: by_proc(tmpfile()),
    linkat_of_O_PATH_by_AT_EMPTY_PATH=lambda: linked(os.open(put("f"), os.O_PATH)),
    linkat_of_O_PATH_by_proc=lambda: by_proc(os.open(put("f"), os.O_PATH)),
    linkat_of_what_is_unlinked=lambda: by_proc(unlinked()),
    linkat_of_a_memfd=lambda: by_proc(os.memfd_create("m")),
    rename=lambda: (two(), os.rename("f", "h"), sorted(os.listdir("."))),
    rename_over=lambda: (two(), os.rename("f", "g"), get("g")),
    rename_to_itself=lambda: (os.rename(put("f"), "f"), get("f")),
    rename_of_two_links=lambda: (os.link(put("f"), "g"), os.rename("f", "g"), sorted(os.listdir("."))),
    rename_of_a_folder=lambda: (two(), os.rename("d", "e"), os.listdir("e")),
    rename_of_a_folder_into_itself=lambda: (two(), os.rename("d", "d/e")),
    rename_of_a_folder_over_an_empty_one=lambda: (two(), os.mkdir("e"), os.rename("d", "e"), os.listdir("e")),
    rename_of_a_folder_over_a_full_one=lambda: (two(), os.mkdir("e"), put("e/x"), os.rename("d", "e")),
    rename_of_a_folder_over_a_file=lambda: (two(), os.rename("d", "f")),
    rename_of_a_file_over_a_folder=lambda: (two(), os.rename("f", "d")),
    rename_to_another_device=lambda: os.rename(put("f"), "/dev/shm/never"),
    rename_of_a_link=lambda: (os.symlink("x", "l"), os.rename("l", "m"), os.readlink("m")),
    rename_of_nothing=lambda: os.rename("f", "g"),
    renameat=lambda: (two(), os.rename("f", "d/h", src_dir_fd=os.open(".", os.O_PATH)), sorted(os.listdir("d"))),
    rename_NOREPLACE=lambda: (two(), rename("f", "h", 1)),
    rename_NOREPLACE_over=lambda: (two(), rename("f", "g", 1)),
    rename_EXCHANGE=lambda: (two(), rename("f", "g", 2), get("f"), get("g")),
    rename_EXCHANGE_of_file_and_folder=lambda: (two(), rename("f", "d", 2), get("d"), os.listdir("f")),
    rename_EXCHANGE_with_nothing=lambda: (two(), rename("f", "h", 2)),
    rename_WHITEOUT=lambda: (two(), rename("f", "h", 4), mode("f")),
    rename_of_unknown_flags=lambda: (two(), rename("f", "h", 64)),
    mknod_of_a_file=lambda: (os.mknod("f", 0o600 | stat.S_IFREG), mode("f")),
    mknod_of_a_fifo=lambda: (os.mkfifo("p"), mode("p")),
    mknod_of_a_socket=lambda: (os.mknod("s", 0o600 | stat.S_IFSOCK), mode("s")),
    mknod_of_a_device=lambda: (os.mknod("n", 0o666 | stat.S_IFCHR, os.makedev(1, 3)), os.write(os.open("n", os.O_WRONLY), b"x")),
    mknod_of_a_whiteout=lambda: (os.mknod("n", stat.S_IFCHR, 0), mode("n")),
    chmod=lambda: (os.chmod(put("f"), 0o4755), mode("f")),
    chmod_of_a_folder=lambda: (os.mkdir("d"), os.chmod("d", 0o1777), mode("d")),
    chmod_of_what_is_roots=lambda: os.chmod("/etc/passwd", 0o644),
    fchmod=lambda: (os.fchmod(opened("f"), 0o604), mode("f")),
    fchmod_of_O_PATH=lambda: os.fchmod(os.open(put("f"), os.O_PATH), 0o604),
    fchmod_of_a_pipe=lambda: os.fchmod(os.pipe()[0], 0o600),
    fchmod_of_a_socket=lambda: os.fchmod(socket.socket().fileno(), 0o700),
    fchmod_of_a_memfd=lambda: os.fchmod(os.memfd_create("m"), 0o600),
    fchmod_of_what_is_unlinked=lambda: os.fchmod(unlinked(), 0o600),
    fchmodat2_of_a_link=lambda: (os.symlink("x", "l"), tried(call, "fchmodat2", AT_FDCWD, b"l", 0o777, 0x100)),
    chown=lambda: (os.chown(put("f"), os.getuid(), os.getgid()), os.stat("f").st_uid == os.getuid()),
    chown_to_others=lambda: (os.chown(put("f"), 7, 7), os.stat("f").st_uid),
    chown_of_nothing=lambda: os.chown(put("f"), -1, -1),
    lchown_of_a_link=lambda: (os.symlink("x", "l"), os.lchown("l", os.getuid(), -1)),
    fchown_of_a_pipe=lambda: os.fchown(os.pipe()[0], os.getuid(), os.getgid()),
    fchown_of_what_is_unlinked=lambda: os.fchown(unlinked(), os.getuid(), os.getgid()),
    fchownat_by_AT_EMPTY_PATH=lambda: call(260, os.open(put("f"), os.O_PATH), b"", os.getuid(), os.getgid(), EMPTY_PATH),
    chown_clears_setuid=lambda: (os.chmod(put("f"), 0o4755), os.chown("f", os.getuid(), os.getgid()), mode("f")),
    a_write_clears_setuid=lambda: (os.chmod(put("f"), 0o4755), os.write(os.open("f", os.O_WRONLY), b"x"), mode("f")),
    utime=lambda: (times(put("f"), 0), os.stat("f").st_mtime_ns),
    utime_of_nothing=lambda: times("f", 0),
    utime_now=lambda: os.utime(put("f")),
    utime_of_a_link=lambda: (os.symlink("x", "l"), times("l", 0x100), os.lstat("l").st_mtime_ns),
    utime_of_what_is_roots=lambda: os.utime("/etc/passwd"),
    utime_omitted=lambda: (put("f"), omitted()),
    futimens_of_a_pipe=lambda: os.utime(os.pipe()[0], (1, 2)),
    futimens_of_O_PATH=lambda: times(None, 0, os.open(put("f"), os.O_PATH)),
    utimensat_by_AT_EMPTY_PATH=lambda: times("", EMPTY_PATH, os.open(put("f"), os.O_PATH)),
    xattr=lambda: attributes(put("f")),
    xattr_of_a_folder=lambda: (os.mkdir("d"), attributes("d"))[1],
    xattr_of_a_link=lambda: (os.symlink("x", "l"), attributes("l", False)),
    xattr_of_a_descriptor=lambda: attributes(opened("f")),
    xattr_of_a_pipe=lambda: os.setxattr(os.pipe()[0], "user.a", b"1"),
    xattr_of_what_is_unlinked=lambda: attributes(unlinked()),
    xattr_of_trust=lambda: os.setxattr(put("f"), "trusted.a", b"1"),
    xattr_of_security=lambda: os.setxattr(put("f"), "security.a", b"1"),
    xattr_of_capabilities=lambda: os.setxattr(put("f"), "security.capability", struct.pack("<5I", 0x2000001, 1024, 0, 0, 0)),
    xattr_that_is_not_there=lambda: os.removexattr(put("f"), "user.none"),
    an_access_list=lambda: (os.setxattr(put("f"), "system.posix_acl_access", ACCESS_LIST), mode("f")),
    an_access_list_removed=lambda: (os.setxattr(put("f"), "system.posix_acl_access", ACCESS_LIST), os.removexattr("f", "system.posix_acl_access"), mode("f")),
    a_list_for_new_files=lambda: (os.mkdir("d"), os.setxattr("d", "system.posix_acl_default", ACCESS_LIST), opened("d/f") > 2, mode("d/f")),
    chattr_nodump=lambda: flags(put("f"), 0x40),
    chattr_append_only=lambda: flags(put("f"), 0x20),
    chattr_immutable=lambda: flags(put("f"), 0x10),
    chattr_of_a_folder=lambda: (os.mkdir("d"), flags("d", 0x80))[1],
    FSGETXATTR=lambda: len(fcntl.ioctl(opened("f"), FSX_GET, bytes(28))),
    FIONREAD_of_a_file=lambda: struct.unpack("i", fcntl.ioctl(os.open(put("f"), os.O_RDONLY), 0x541B, bytes(4))),
    FIEMAP_free_ioctl=lambda: tried(fcntl.ioctl, opened("f"), 0x5411, bytes(4)),
    statx=lambda: statx(put("f"), 0),
    statx_by_AT_EMPTY_PATH=lambda: statx("", EMPTY_PATH, os.open(put("f"), os.O_PATH)),
    statx_of_a_link=lambda: (os.symlink("x", "l"), statx("l", 0x100)),
    statfs=lambda: os.statvfs(".").f_namemax,
    access_to_execute=lambda: (os.access(put("f"), os.X_OK), os.access("/etc/shadow", os.R_OK)),
    faccessat2=lambda: call("faccessat2", AT_FDCWD, put("f").encode(), 4, 0x200),
    readlink_of_a_file=lambda: os.readlink(put("f")),
    chdir_and_getcwd=lambda: (os.mkdir("d"), os.chdir("d"), os.getcwd()[-6:]),
    fchdir=lambda: (os.mkdir("d"), os.fchdir(os.open("d", os.O_PATH)), os.getcwd()[-6:]),
    umask=lambda: (os.umask(0o77), os.close(opened("f", mode=0o666)), mode("f")),
)


@act("a folder of 300 levels")
def _():
    for _ in range(300):
        os.mkdir("d" * 12)
        os.chdir("d" * 12)
    return len(os.getcwd()) > 3000, tried(os.close, opened("f"))


@act("a path of more than 4096 bytes")
def _():
    for _ in range(30):
        os.mkdir("d" * 200)
        os.chdir("d" * 200)
    return tried(os.close, opened("f")), tried(os.rename, "f", "g"), tried(os.unlink, "g")


@act("a fifo between two processes")
def _():
    os.mkfifo("p")
    if os.fork() == 0:
        os.write(os.open("p", os.O_WRONLY), b"text")
        os._exit(0)
    return os.read(os.open("p", os.O_RDONLY), 9)
