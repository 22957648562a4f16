# Memory: mapping it in every way, making it executable, locking, sharing, and what waits on it.

import ctypes
import mmap
import os
import subprocess

from base import act, acts, bits, call, in_child, libcall, opened, put, tried

NONE, R, W, X = 0, 1, 2, 4
SHARED, PRIVATE, ANON = 1, 2, 0x20
# mov eax, 42; ret
CODE = b"\xb8\x2a\x00\x00\x00\xc3"


def at(protection, flags, fd=-1, size=8192, offset=0):
    return call("mmap", 0, size, protection, flags, fd, offset)


def mapped(protection, flags, fd=-1, size=8192, offset=0):
    return at(protection, flags, fd, size, offset) > 0


def protected(first, second, flags=PRIVATE | ANON, fd=-1):
    return call("mprotect", at(first, flags, fd), 4096, second)


def run(address):
    return ctypes.CFUNCTYPE(ctypes.c_int)(address)()


def code(fd=-1, flags=PRIVATE | ANON):
    address = at(R | W, flags, fd)
    ctypes.memmove(address, CODE, len(CODE))
    call("mprotect", address, 4096, R | X)
    return run(address)


def file(text="x" * 9000, flags=os.O_RDWR):
    return os.open(put("f", text), flags)


def memory():
    fd = os.memfd_create("m")
    os.ftruncate(fd, 8192)
    return fd


def unlinked():
    fd = file()
    os.unlink("f")
    return fd


def library():
    return os.open(next(line.split()[-1] for line in open("/proc/self/maps") if "libc.so" in line), os.O_RDONLY)


def zero():
    return os.open("/dev/zero", os.O_RDWR)


acts(
    mmap=lambda: mapped(R | W, PRIVATE | ANON),
    mmap_shared=lambda: mapped(R | W, SHARED | ANON),
    mmap_of_nothing=lambda: mapped(R, PRIVATE | ANON, size=0),
    mmap_without_access=lambda: mapped(NONE, PRIVATE | ANON),
    mmap_executable=lambda: mapped(R | W | X, PRIVATE | ANON),
    mmap_MAP_FIXED_NOREPLACE=lambda: call("mmap", at(R, PRIVATE | ANON), 4096, R, PRIVATE | ANON | 0x100000, -1, 0),
    mmap_MAP_32BIT=lambda: mapped(R, PRIVATE | ANON | 0x40),
    mmap_MAP_GROWSDOWN=lambda: mapped(R | W, PRIVATE | ANON | 0x100),
    mmap_MAP_HUGETLB=lambda: mapped(R, PRIVATE | ANON | 0x40000, size=2 << 20),
    mmap_MAP_LOCKED=lambda: mapped(R, PRIVATE | ANON | 0x2000),
    mmap_MAP_POPULATE=lambda: mapped(R, PRIVATE | ANON | 0x8000),
    mmap_MAP_STACK=lambda: mapped(R | W, PRIVATE | ANON | 0x20000),
    mmap_of_a_file=lambda: mapped(R, PRIVATE, file()),
    mmap_of_a_file_shared=lambda: mapped(R | W, SHARED, file()),
    mmap_of_a_file_shared_to_read=lambda: mapped(R | W, SHARED, file(flags=os.O_RDONLY)),
    mmap_of_a_file_to_write_private=lambda: mapped(R | W, PRIVATE, file(flags=os.O_RDONLY)),
    mmap_of_a_file_executable=lambda: mapped(R | X, PRIVATE, file(flags=os.O_RDONLY)),
    mmap_of_a_file_executable_and_shared=lambda: mapped(R | W | X, SHARED, file()),
    mmap_of_a_library=lambda: mapped(R | X, PRIVATE, library()),
    mmap_SHARED_VALIDATE=lambda: mapped(R, 3, file()),
    mmap_MAP_SYNC=lambda: mapped(R | W, 3 | 0x80000, file()),
    mmap_of_O_PATH=lambda: mapped(R, PRIVATE, file(flags=os.O_PATH)),
    mmap_of_a_folder=lambda: mapped(R, PRIVATE, os.open(".", os.O_RDONLY)),
    mmap_of_a_pipe=lambda: mapped(R, PRIVATE, os.pipe()[0]),
    mmap_of_dev_zero=lambda: mapped(R | W, PRIVATE, zero()),
    mmap_of_dev_zero_shared=lambda: mapped(R | W, SHARED, zero()),
    mmap_of_dev_zero_executable=lambda: mapped(R | X, PRIVATE, zero()),
    mmap_of_a_memfd=lambda: mapped(R | W, SHARED, memory()),
    mmap_of_a_memfd_executable=lambda: mapped(R | X, SHARED, memory()),
    mmap_of_what_is_unlinked=lambda: mapped(R | W, SHARED, unlinked()),
    mmap_of_what_is_unlinked_executable=lambda: mapped(R | X, PRIVATE, unlinked()),
    mmap_beyond_the_end=lambda: mapped(R, PRIVATE, file("x"), offset=1 << 30),
    mprotect_to_less=lambda: protected(R | W, R),
    mprotect_to_nothing=lambda: protected(R | W, NONE),
    mprotect_executable=lambda: protected(R | W, R | X),
    mprotect_all=lambda: protected(R, R | W | X),
    mprotect_of_a_file=lambda: protected(R, R | W, PRIVATE, file()),
    mprotect_of_a_file_executable=lambda: protected(R, R | X, PRIVATE, file()),
    mprotect_of_a_shared_file=lambda: protected(R, R | W, SHARED, file(flags=os.O_RDONLY)),
    mprotect_of_what_was_executable=lambda: protected(R | X, R | W, PRIVATE, file()),
    mprotect_of_a_memfd_executable=lambda: protected(R | W, R | X, SHARED, memory()),
    mprotect_of_nothing=lambda: call("mprotect", 4096, 4096, R),
    pkey_mprotect=lambda: call("pkey_mprotect", at(R, PRIVATE | ANON), 4096, R | W, -1),
    pkey_alloc=lambda: tried(call, "pkey_alloc", 0, 0),
    code_that_is_made=lambda: code(),
    code_of_a_memfd=lambda: code(memory(), SHARED),
    code_by_two_views=lambda: two_views(memory()),
    code_by_two_views_of_a_file=lambda: two_views(file()),
    a_callback_of_ctypes=lambda: ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda x: x + 1)(4),
    a_library_loaded=lambda: bool(ctypes.CDLL("libz.so.1").zlibVersion),
    READ_IMPLIES_EXEC=lambda: (call("personality", 0x400000), mapped(R, PRIVATE | ANON)),
    mremap=lambda: call("mremap", at(R | W, PRIVATE | ANON), 8192, 65536, 1, 0) > 0,
    munmap=lambda: call("munmap", at(R, PRIVATE | ANON), 8192),
    remap_file_pages=lambda: call("remap_file_pages", at(R | W, SHARED, file()), 4096, 0, 1, 0),
    msync=lambda: call("msync", at(R | W, SHARED, file()), 8192, 4),
    mincore=lambda: call("mincore", at(R, PRIVATE | ANON), 8192, ctypes.create_string_buffer(2)),
    madvise_DONTNEED=lambda: call("madvise", at(R | W, PRIVATE | ANON), 8192, 4),
    madvise_DONTFORK=lambda: call("madvise", at(R | W, PRIVATE | ANON), 8192, 10),
    madvise_REMOVE=lambda: call("madvise", at(R | W, SHARED, memory()), 4096, 9),
    madvise_HWPOISON=lambda: tried(call, "madvise", at(R, PRIVATE | ANON), 4096, 102),
    mlock=lambda: call("mlock", at(R | W, PRIVATE | ANON), 4096),
    mlock2_ONFAULT=lambda: call("mlock2", at(R | W, PRIVATE | ANON), 4096, 1),
    mlockall=lambda: call("mlockall", 4),
    brk=lambda: call("brk", 0) > 0,
    membarrier=lambda: call("membarrier", 0, 0, 0) > 0,
    memfd_secret=lambda: tried(lambda: call("memfd_secret", 0) > 0),
    memfd_executable_flags=lambda: tried(lambda: call("memfd_create", b"m", 8) > 0),
    userfaultfd_of_a_user=lambda: tried(lambda: call("userfaultfd", 1) > 0),
    userfaultfd=lambda: tried(lambda: call("userfaultfd", 0) > 0),
    get_mempolicy=lambda: tried(call, "get_mempolicy", 0, 0, 0, 0, 0),
    set_mempolicy=lambda: tried(call, "set_mempolicy", 0, 0, 0),
    modify_ldt=lambda: tried(lambda: call("modify_ldt", 0, ctypes.create_string_buffer(64), 64) >= 0),
    arch_prctl=lambda: call("arch_prctl", 0x1003, ctypes.byref(ctypes.c_ulong())),
    futex_wake=lambda: call("futex", ctypes.byref(ctypes.c_int(0)), 1, 1, 0, 0, 0),
    futex_wait_on_another_value=lambda: call("futex", ctypes.byref(ctypes.c_int(0)), 0, 1, 0, 0, 0),
    set_robust_list=lambda: call("set_robust_list", ctypes.create_string_buffer(24), 24),
    memory_shared_over_fork=lambda: over_fork(),
    map_shadow_stack=lambda: tried(lambda: call("map_shadow_stack", 0, 4096, 0) > 0),
)


def two_views(fd):
    writable = at(R | W, SHARED, fd)
    executable = at(R | X, SHARED, fd)
    ctypes.memmove(writable, CODE, len(CODE))
    return run(executable)


def over_fork():
    memory = mmap.mmap(-1, 4096)
    in_child(lambda: memory.__setitem__(0, 7))
    return memory[0]


@act("a program without a name is executed")
def _():
    fd = os.memfd_create("m", 0)
    with open("/usr/bin/true", "rb") as program:
        os.write(fd, program.read())
    return in_child(lambda: os.execve(fd, ["true"], {}))


@act("a write to what is executed")
def _():
    os.system("cp /usr/bin/sleep s")
    child = subprocess.Popen(["./s", "9"])
    result = tried(os.open, "s", os.O_WRONLY)
    child.kill()
    return result
