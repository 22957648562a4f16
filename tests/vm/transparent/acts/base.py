# How acts are written down and made: each in a folder of its own, most in a child of their own, and what
# came out of each as one line. Must not know any act.

import ctypes
import errno
import os
import shutil
import signal
import struct
import sys

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
AT_FDCWD = -100
# Modules whose acts leave nothing in the process but descriptors.
TOGETHER = ("files", "names", "sockets", "waiting", "memory")
# A descriptor that no act touches.
MARK = 900
# Seconds after which an act counts as hanging.
LIMIT = 20

NUMBERS = dict(
    mmap=9, mprotect=10, munmap=11, brk=12, rt_sigaction=13, pread64=17, pwritev2=328, preadv2=327,
    mremap=25, msync=26, mincore=27, madvise=28, shmget=29, shmat=30, shmctl=31, dup=32, pause=34,
    clone=56, vfork=58, semget=64, semop=65, semctl=66, msgget=68, msgsnd=69, msgrcv=70, msgctl=71,
    fcntl=72, flock=73, getdents=78, creat=85, personality=135, ustat=136, statfs=137, mlock=149,
    munlock=150, mlockall=151, modify_ldt=154, prctl=157, arch_prctl=158, acct=163, gettid=186,
    readahead=187, tkill=200, futex=202, remap_file_pages=216, getdents64=217, fadvise64=221,
    timer_create=222, tgkill=234, mbind=237, set_mempolicy=238, get_mempolicy=239, mq_open=240,
    mq_unlink=241, mq_timedsend=242, mq_timedreceive=243, mq_getsetattr=245, add_key=248,
    request_key=249, keyctl=250, ioprio_set=251, ioprio_get=252, mknodat=259, linkat=265,
    ppoll=271, unshare=272, set_robust_list=273, get_robust_list=274, splice=275, tee=276,
    sync_file_range=277, vmsplice=278, utimensat=280, signalfd4=289, fallocate=285,
    timerfd_create=283, timerfd_settime=286, eventfd2=290, inotify_init1=294,
    rt_tgsigqueueinfo=297, perf_event_open=298, recvmmsg=299, fanotify_init=300,
    fanotify_mark=301, prlimit64=302, name_to_handle_at=303, open_by_handle_at=304,
    clock_adjtime=305, syncfs=306, sendmmsg=307, getcpu=309, process_vm_readv=310,
    process_vm_writev=311, kcmp=312, sched_setattr=314, sched_getattr=315, renameat2=316,
    seccomp=317, getrandom=318, memfd_create=319, execveat=322, userfaultfd=323, membarrier=324,
    mlock2=325, copy_file_range=326, pkey_mprotect=329, pkey_alloc=330, pkey_free=331, statx=332,
    rseq=334, pidfd_send_signal=424, io_uring_setup=425, io_uring_enter=426, open_tree=428,
    pidfd_open=434, clone3=435, close_range=436, openat2=437, pidfd_getfd=438, faccessat2=439,
    process_madvise=440, epoll_pwait2=441, landlock_create_ruleset=444, landlock_add_rule=445,
    landlock_restrict_self=446, memfd_secret=447, process_mrelease=448, futex_waitv=449,
    set_mempolicy_home_node=450, cachestat=451, fchmodat2=452, map_shadow_stack=453,
)

ACTS = []


def act(name):
    """Takes the function below as what is done under that name."""

    def take(function):
        ACTS.append((name, function))
        return function

    return take


def acts(**functions):
    """Takes several that are one expression each; underscores in names stand for spaces."""
    ACTS.extend((name.replace("_", " "), function) for name, function in functions.items())


def call(name, *arguments):
    """A system call by its name; its result, or OSError."""
    number = NUMBERS[name] if isinstance(name, str) else name
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = libc.syscall(ctypes.c_long(number), *words)
    if result == -1:
        raise OSError(ctypes.get_errno(), name)
    return result


def libcall(name, *arguments):
    """A function of the C library that returns -1 and sets errno."""
    result = getattr(libc, name)(*arguments)
    if result == -1:
        raise OSError(ctypes.get_errno(), name)
    return result


def put(path, text="text\n", mode=0o644):
    """Makes a file; its path."""
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, mode)
    return path


def get(path):
    with open(path, "rb") as file:
        return file.read().decode("latin1")


def opened(path, flags=os.O_RDWR | os.O_CREAT, mode=0o644):
    return os.open(path, flags, mode)


def tried(function, *arguments):
    """What it returns, or the name of its error: for acts of several steps."""
    try:
        result = function(*arguments)
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))
    return "ok" if result is None else result


def in_child(function):
    """Does it in a child; the child's status."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            code = function() or 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def bits(*words):
    return struct.pack("Q" * len(words), *words)


def one(function):
    try:
        return repr(function())
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))
    except Exception as error:  # A mistake of the act itself: the test fails on it.
        return f"LOST {type(error).__name__}: {error} {error.__traceback__.tb_next.tb_lineno}"


def several(chosen, place):
    """Makes acts in one child, each in a folder of its own; how many it began, and how it ended."""
    begun = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os.dup2(begun[1], MARK)
        for name, function in chosen:
            os.closerange(3, MARK)
            os.closerange(MARK + 1, MARK + 99)
            os.chdir(place)
            os.mkdir(f"act-{os.getpid()}")
            os.rename(f"act-{os.getpid()}", "act")
            os.chdir("act")
            os.umask(0o022)
            os.write(MARK, b".")
            signal.alarm(LIMIT)
            said = f"{name}\t{one(function)}\n".encode()
            signal.alarm(0)
            os.write(1, said)
            shutil.rmtree(f"{place}/act", ignore_errors=True)
        os._exit(0)
    os.close(begun[1])
    with open(begun[0], "rb") as pipe:
        count = len(pipe.read())
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    shutil.rmtree(f"{place}/act", ignore_errors=True)
    return count, code


def main(place, which="all"):
    # Nobody's terminal.
    os.setsid()
    os.makedirs(place, exist_ok=True)
    os.chdir(place)
    left = [a for a in ACTS if which == "all" or a[1].__module__ in TOGETHER]
    while left:
        # What changes the process itself is done in one of its own.
        alone = left[0][1].__module__ not in TOGETHER
        chosen = left[:1] if alone else [a for a in left if a[1].__module__ in TOGETHER]
        left = [a for a in left if a not in chosen]
        while chosen:
            count, code = several(chosen, place)
            if code != 0 and count > 0:
                print(f"{chosen[count - 1][0]}\tended with {code}", flush=True)
            chosen = chosen[count:] if count else []
