# Processes: starting them in every way, signals, descriptors of processes, tracing of own children,
# scheduling, limits, identity, sessions.

import ctypes
import os
import resource
import signal
import struct
import subprocess
import threading
import time

from base import act, acts, bits, call, get, in_child, libc, libcall, opened, put, tried

SECONDS = 30


class Child:
    """A child that waits; it ends with the act."""

    def __init__(self, before=lambda: None):
        self.text = ctypes.create_string_buffer(b"text")
        ready = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            before()
            os.write(ready[1], b"x")
            time.sleep(SECONDS)
            os._exit(0)
        os.read(ready[0], 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def of_child(function):
    with Child() as child:
        return function(child)


def vector(buffer):
    return bits(ctypes.addressof(buffer), 4)


def read_of(child):
    into = ctypes.create_string_buffer(4)
    call("process_vm_readv", child.pid, vector(into), 1, vector(child.text), 1, 0)
    return into.raw


def written_to(child):
    return call("process_vm_writev", child.pid, vector(child.text), 1, vector(child.text), 1, 0)


def ptrace(request, pid, address=0, data=0):
    libc.ptrace.restype = ctypes.c_long
    result = libc.ptrace(request, pid, ctypes.c_void_p(address), ctypes.c_void_p(data))
    if result == -1:
        raise OSError(ctypes.get_errno(), "ptrace")
    return result


def attached(child):
    ptrace(16, child.pid)
    status = os.waitpid(child.pid, 0)[1]
    word = ptrace(1, child.pid, ctypes.addressof(child.text)) & 0xFFFFFFFF
    ptrace(17, child.pid)
    return os.WIFSTOPPED(status), hex(word)


def seized(child):
    ptrace(0x4206, child.pid)
    ptrace(0x4207, child.pid)
    return os.WIFSTOPPED(os.waitpid(child.pid, 0)[1])


def traceme():
    pid = os.fork()
    if pid == 0:
        code = tried(ptrace, 0, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        os.execv("/usr/bin/true", ["true"]) if code == 0 else os._exit(9)
    stopped = os.WSTOPSIG(os.waitpid(pid, 0)[1])
    ptrace(7, pid)
    at_exec = os.WSTOPSIG(os.waitpid(pid, 0)[1])
    ptrace(7, pid)
    return stopped, at_exec, os.waitpid(pid, 0)[1]


def descriptor_of(child):
    fd = call("pidfd_open", child.pid, 0)
    return call("pidfd_getfd", fd, 1, 0) > 2


def signal_by_descriptor(child):
    return call("pidfd_send_signal", call("pidfd_open", child.pid, 0), signal.SIGCONT, 0, 0)


def advised(child):
    fd = call("pidfd_open", child.pid, 0)
    return call("process_madvise", fd, bits(ctypes.addressof(child.text) & ~4095, 4096), 1, 20, 0)


def proc(child, name, flags=os.O_RDONLY):
    return os.open(f"/proc/{child.pid}/{name}", flags) > 2


def started(*words, **options):
    done = subprocess.run(words, capture_output=True, **options)
    return done.returncode, done.stdout, done.stderr


def cloned(flags, exit_signal=signal.SIGCHLD):
    arguments = bits(flags, 0, 0, 0, exit_signal, 0, 0, 0, 0, 0, 0)
    pid = call("clone3", arguments, len(arguments))
    if pid == 0:
        os._exit(7)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0x40000000)[1])


def thread(function):
    found = []
    one = threading.Thread(target=lambda: found.append(tried(function)))
    one.start()
    one.join()
    return found


def as_user(*steps):
    """Changes of the identity, each tried, and what came of it."""
    return in_and_out(lambda: ([tried(step) for step in steps], os.getresuid(), os.getgroups()))


def in_and_out(function):
    ends = os.pipe()
    in_child(lambda: os.write(ends[1], repr(function()).encode()) and 0)
    return os.read(ends[0], 999)


def limit(what, soft):
    hard = resource.getrlimit(what)[1]
    resource.setrlimit(what, (soft, hard))
    return resource.getrlimit(what)[0]


def raised():
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    return tried(lambda: libcall("setrlimit", resource.RLIMIT_NOFILE, bits(99, 99)))


def queued():
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    os.kill(os.getpid(), signal.SIGUSR1)
    return signal.sigtimedwait([signal.SIGUSR1], 1).si_signo


acts(
    fork=lambda: in_child(lambda: 7),
    vfork_by_subprocess=lambda: started("/usr/bin/true"),
    posix_spawn=lambda: os.waitpid(os.posix_spawn("/usr/bin/true", ["true"], {}), 0)[1],
    posix_spawn_of_nothing=lambda: os.posix_spawn("./nothing", ["x"], {}),
    posix_spawn_with_files=lambda: (
        os.waitpid(os.posix_spawn("/usr/bin/echo", ["echo", "text"], {}, file_actions=[
            (os.POSIX_SPAWN_OPEN, 1, "f", os.O_WRONLY | os.O_CREAT, 0o600)]), 0)[1], get("f")),
    system=lambda: os.system("exit 3"),
    clone3=lambda: cloned(0),
    clone3_PIDFD_free=lambda: cloned(0x800),
    clone3_of_files=lambda: cloned(0x400),
    clone3_without_a_signal=lambda: cloned(0, 0),
    clone3_of_unknown_flags=lambda: cloned(1 << 60),
    a_thread=lambda: thread(lambda: os.write(opened("f"), b"x")),
    a_thread_that_executes=lambda: in_child(lambda: thread(lambda: os.execv("/usr/bin/true", ["true"]))),
    a_script=lambda: (put("s", "#!/bin/sh\necho $0 $1\n", 0o755), started("./s", "a"))[1],
    a_script_of_a_script=lambda: (put("s", "#!/bin/sh\necho $0 $1\n", 0o755), put("t", "#!./s x\n", 0o755), started("./t"))[2],
    a_script_without_a_mark=lambda: (put("s", "echo text\n", 0o755), tried(os.execv, "./s", ["s"]))[1],
    a_script_of_nothing=lambda: (put("s", "#!/nowhere\n", 0o755), tried(os.execv, "./s", ["s"]))[1],
    execute_what_may_not_be=lambda: os.execv(put("f"), ["f"]),
    execute_a_folder=lambda: os.execv("/usr", ["usr"]),
    execute_an_empty_file=lambda: os.execv(put("f", "", 0o755), ["f"]),
    execveat_by_a_descriptor=lambda: in_child(lambda: call("execveat", os.open("/usr/bin/true", os.O_PATH), b"", bits(0), bits(0), 0x1000)),
    execveat_of_a_link=lambda: (os.symlink("/usr/bin/true", "l"), tried(call, "execveat", -100, b"l", bits(0), bits(0), 0x100)),
    env=lambda: started("/usr/bin/env", "python3", "-S", "-c", "print(1)"),
    the_loader_as_a_program=lambda: started("/lib64/ld-linux-x86-64.so.2", "/usr/bin/echo", "text"),
    a_copy_of_a_program=lambda: (os.system("cp /usr/bin/echo e"), started("./e", "text")),
    kill_of_a_child=lambda: of_child(lambda child: os.kill(child.pid, 0)),
    kill_of_nobody=lambda: os.kill(999999, 0),
    kill_of_init=lambda: os.kill(1, 0),
    kill_of_the_group=lambda: of_child(lambda child: os.killpg(os.getpgid(0), 0)),
    tgkill=lambda: call("tgkill", os.getpid(), threading.get_native_id(), 0),
    a_signal_that_is_queued=lambda: queued(),
    a_handler=lambda: (signal.signal(signal.SIGUSR1, lambda *_: put("f")), os.kill(os.getpid(), signal.SIGUSR1), get("f"))[2],
    a_signal_that_ends=lambda: in_child(lambda: os.kill(os.getpid(), signal.SIGTERM)),
    a_dump_that_is_not_made=lambda: (resource.setrlimit(resource.RLIMIT_CORE, (0, 0)), in_child(lambda: os.abort())),
    alarm=lambda: in_child(lambda: (signal.setitimer(signal.ITIMER_REAL, 0.05), time.sleep(9))),
    a_child_that_stops=lambda: of_child(lambda child: (
        os.kill(child.pid, signal.SIGSTOP), os.WIFSTOPPED(os.waitpid(child.pid, os.WUNTRACED)[1]), os.kill(child.pid, signal.SIGCONT))),
    waitid_without_reaping=lambda: (os.fork() or os._exit(3)) and os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT).si_status,
    pidfd_open=lambda: of_child(lambda child: call("pidfd_open", child.pid, 0) > 2),
    pidfd_open_of_itself=lambda: call("pidfd_open", os.getpid(), 0) > 2,
    pidfd_send_signal=lambda: of_child(signal_by_descriptor),
    pidfd_getfd=lambda: of_child(descriptor_of),
    pidfd_getfd_of_itself=lambda: call("pidfd_getfd", call("pidfd_open", os.getpid(), 0), 1, 0) > 2,
    process_vm_readv=lambda: of_child(read_of),
    process_vm_writev=lambda: of_child(written_to),
    process_madvise=lambda: of_child(advised),
    PTRACE_ATTACH=lambda: of_child(attached),
    PTRACE_SEIZE=lambda: of_child(seized),
    PTRACE_TRACEME=lambda: traceme(),
    kcmp=lambda: of_child(lambda child: call("kcmp", os.getpid(), child.pid, 0, 1, 1)),
    get_robust_list=lambda: of_child(lambda child: call("get_robust_list", child.pid, ctypes.create_string_buffer(8), ctypes.create_string_buffer(8))),
    memory_of_a_child_by_proc=lambda: of_child(lambda child: os.pread(os.open(f"/proc/{child.pid}/mem", os.O_RDWR), 4, ctypes.addressof(child.text))),
    environment_of_a_child=lambda: of_child(lambda child: proc(child, "environ")),
    maps_of_a_child=lambda: of_child(lambda child: proc(child, "maps")),
    a_descriptor_of_a_child=lambda: of_child(lambda child: proc(child, "fd/1", os.O_WRONLY)),
    folder_of_a_child=lambda: of_child(lambda child: os.readlink(f"/proc/{child.pid}/cwd")[-4:]),
    root_of_a_child=lambda: of_child(lambda child: proc(child, "root/etc/passwd")),
    namespace_of_a_child=lambda: of_child(lambda child: proc(child, "ns/mnt")),
    status_of_init=lambda: "init" in get("/proc/1/status") or "Name" in get("/proc/1/status"),
    command_line_of_init=lambda: len(get("/proc/1/cmdline")) > 0,
    oom_score_of_a_child=lambda: of_child(lambda child: put(f"/proc/{child.pid}/oom_score_adj", "500", 0o644)),
    name_of_itself=lambda: os.write(os.open("/proc/self/comm", os.O_WRONLY), b"text"),
    nice=lambda: os.nice(5),
    nice_to_more=lambda: os.nice(-5),
    setpriority_of_a_child=lambda: of_child(lambda child: os.setpriority(os.PRIO_PROCESS, child.pid, 9)),
    sched_setscheduler=lambda: os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0)),
    sched_setscheduler_in_real_time=lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
    sched_setaffinity=lambda: (os.sched_setaffinity(0, {0}), os.sched_getaffinity(0)),
    sched_setattr=lambda: call("sched_setattr", 0, struct.pack("IIQiIQQQ", 48, 3, 0, 1, 0, 0, 0, 0), 0),
    sched_yield=lambda: os.sched_yield(),
    getcpu=lambda: call("getcpu", 0, 0, 0),
    ioprio_set=lambda: call("ioprio_set", 1, 0, (2 << 13) | 3),
    ioprio_set_in_real_time=lambda: call("ioprio_set", 1, 0, (1 << 13) | 3),
    setrlimit=lambda: limit(resource.RLIMIT_NOFILE, 64),
    setrlimit_to_more=lambda: raised(),
    prlimit_of_a_child=lambda: of_child(lambda child: resource.prlimit(child.pid, resource.RLIMIT_NOFILE, (64, 64))[0] > 0),
    too_many_files=lambda: (limit(resource.RLIMIT_NOFILE, 32), tried(lambda: [os.dup(1) for _ in range(99)]))[1],
    a_file_that_grows_too_large=lambda: (signal.signal(signal.SIGXFSZ, signal.SIG_IGN), limit(resource.RLIMIT_FSIZE, 9), os.write(opened("f"), b"x" * 20), limit(resource.RLIMIT_FSIZE, -1)),
    getrusage=lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 0,
    setuid=lambda: as_user(lambda: os.setuid(1000)),
    setuid_to_root=lambda: as_user(lambda: os.setuid(0)),
    setuid_and_back=lambda: as_user(lambda: os.setresuid(1000, 1000, 1000), lambda: os.setuid(0)),
    seteuid_and_back=lambda: as_user(lambda: os.seteuid(1000), lambda: os.seteuid(0)),
    setgid_and_groups=lambda: as_user(lambda: os.setgroups([7, 1000]), lambda: os.setgid(1000)),
    setfsuid_and_a_file=lambda: in_and_out(lambda: (libc.setfsuid(1000), tried(get, "/etc/shadow") == "EACCES")),
    a_user_who_reads_what_is_roots=lambda: in_and_out(lambda: (tried(os.setuid, 1000), tried(get, "/etc/shadow") == "EACCES")),
    sudo_of_nobody=lambda: started("/usr/bin/su", "nobody-there", "-c", "true")[0],
    setsid=lambda: in_child(lambda: os.setsid() and 0),
    setpgid=lambda: in_child(lambda: os.setpgid(0, 0)),
    setpgid_of_another=lambda: os.setpgid(1, 0),
    personality=lambda: call("personality", 0xFFFFFFFF),
    personality_without_randomness=lambda: (call("personality", 0x40000), started("/usr/bin/true")[0]),
    unshare_of_files=lambda: call("unshare", 0x400),
    unshare_of_the_working_folder=lambda: call("unshare", 0x200),
    times_of_clocks=lambda: [time.clock_gettime(clock) > 0 for clock in (0, 1, 2, 3, 4, 7)],
    getrandom=lambda: len(os.getrandom(16, os.GRND_NONBLOCK)),
    uname=lambda: os.uname().sysname,
    sysinfo=lambda: os.sysconf("SC_PHYS_PAGES") > 0,
)


@act("a child that outlives its parent")
def _():
    os.system("(sleep 0.2; echo text > g; mv g f) & true")
    while not os.path.exists("f"):
        time.sleep(0.05)
    return get("f")


@act("a subreaper")
def _():
    libcall("prctl", 36, 1, 0, 0, 0)
    in_child(lambda: os.fork() == 0 and os._exit(5))
    return sorted(os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(1))
