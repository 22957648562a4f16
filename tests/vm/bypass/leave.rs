//! What lets a process change what names mean, or the kernel itself: namespaces, mounts, capabilities.
//! No policy can allow most of it; the twin of those is the ungoverned attempt before and after.

use super::{FREE, HERE, Set, TOP, folder, judge, judge_by, opened, tried};
use crate::attempts::Governed::{Denied, Fails, Passes};
use crate::attempts::{Act, Attempt, Governed};
use crate::framework::Lane;
use crate::gate::{Gate, policy};
use crate::raw::{address, address_mut, call, child, text};
use anyhow::Result;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use std::fs;
use std::os::fd::AsRawFd;

crate::tests! { bypass_by_leaving => .lanes(&[Lane::Bypass]).limit(290) }

pub(crate) const SET: Set = ("bypass-leaving", LEAVING);
pub(crate) const LICENSED: Set = ("bypass-licensed", WITH_LICENCE);

const RULE: Governed = Denied("rule");
/// By a hook of its own.
const NEVER: Governed = Denied("unlisted");
/// By a capability that the kernel asks for.
const NO_CAPABILITY: Governed = Fails(Errno::EPERM, "unlisted");

const fn root(name: &'static str, governed: Governed, act: fn() -> Act) -> Attempt {
    Attempt::new(name, governed, act).by_root()
}

const fn anybody(name: &'static str, governed: Governed, act: fn() -> Act) -> Attempt {
    Attempt::new(name, governed, act)
}

const LEAVING: &[Attempt] = &[
    anybody("unshare of the user namespace", NEVER, || unshare(libc::CLONE_NEWUSER)),
    anybody("unshare of users and mounts", NEVER, || {
        unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS)
    }),
    anybody("clone3 into a user namespace", NEVER, || {
        child(libc::CLONE_NEWUSER as u64, -1, || Ok(()))
    }),
    anybody("clone3", Passes, || child(0, -1, || Ok(()))),
    root("unshare of mounts", NO_CAPABILITY, || unshare(libc::CLONE_NEWNS)),
    root("unshare of the network", NO_CAPABILITY, || unshare(libc::CLONE_NEWNET)),
    root("unshare of pids", NO_CAPABILITY, || unshare(libc::CLONE_NEWPID)),
    root("unshare of cgroups", NO_CAPABILITY, || unshare(libc::CLONE_NEWCGROUP)),
    root("unshare of the host name", NO_CAPABILITY, || unshare(libc::CLONE_NEWUTS)),
    anybody("unshare of descriptors", Passes, || unshare(libc::CLONE_FILES)),
    root("setns", NO_CAPABILITY, || {
        let held = opened("/proc/self/ns/uts", OFlag::O_RDONLY)?;
        tried(libc::SYS_setns, [held.as_raw_fd() as usize, 0])
    }),
    root("setns by pidfd", NO_CAPABILITY, || {
        let held = call(libc::SYS_pidfd_open, [std::process::id() as usize, 0])?;
        tried(libc::SYS_setns, [held, libc::CLONE_NEWUTS as usize])
    }),
    root("mount of a tmpfs", NO_CAPABILITY, || mount("none", "tmpfs", 0)),
    root("mount of a bind", NO_CAPABILITY, || mount("/etc", "", libc::MS_BIND)),
    root("mount of another proc", NO_CAPABILITY, || mount("none", "proc", 0)),
    root("mount of an overlay", NO_CAPABILITY, overlay),
    root("mount again", NO_CAPABILITY, || {
        let flags = libc::MS_REMOUNT | libc::MS_BIND;
        tried(libc::SYS_mount, [0, text("/dev/shm")?, 0, flags as usize, 0])
    }),
    root("mount of other propagation", NO_CAPABILITY, || {
        tried(libc::SYS_mount, [0, text("/dev/shm")?, 0, libc::MS_PRIVATE as usize, 0])
    }),
    root("umount", NO_CAPABILITY, || tried(libc::SYS_umount2, [text("/etc")?, 0]))
        .reaching(Errno::EINVAL),
    root("fsopen", NO_CAPABILITY, || tried(libc::SYS_fsopen, [text("tmpfs")?, 0])),
    root("fspick", NO_CAPABILITY, || tried(libc::SYS_fspick, [HERE, text("/dev/shm")?, 0])),
    root("open_tree of a copy", NO_CAPABILITY, || {
        tried(libc::SYS_open_tree, [HERE, text("/etc")?, 1])
    }),
    root("move_mount", NO_CAPABILITY, || {
        tried(libc::SYS_move_mount, [HERE, text("/etc")?, HERE, text("/etc")?, 0])
    })
    .reaching(Errno::EINVAL),
    root("mount_setattr", NO_CAPABILITY, || {
        let change = [0_u64, 0, u64::from(libc::MS_PRIVATE as u32), 0];
        tried(libc::SYS_mount_setattr, [HERE, text("/dev/shm")?, 0, address(&change), 32])
    }),
    root("pivot_root", NO_CAPABILITY, || tried(libc::SYS_pivot_root, [text(TOP)?, text(FREE)?]))
        .reaching(Errno::EBUSY),
    root("chroot", NEVER, || tried(libc::SYS_chroot, [text(FREE)?])),
    root("init_module", NO_CAPABILITY, || {
        tried(libc::SYS_init_module, [address(b"none"), 4, text("")?])
    })
    .reaching(Errno::ENOEXEC),
    root("finit_module", NO_CAPABILITY, || {
        let held = opened("/etc/passwd", OFlag::O_RDONLY)?;
        tried(libc::SYS_finit_module, [held.as_raw_fd() as usize, text("")?, 0])
    })
    .reaching(Errno::ENOEXEC),
    root("delete_module", NO_CAPABILITY, || {
        tried(libc::SYS_delete_module, [text("no-such-module")?, libc::O_NONBLOCK as usize])
    })
    .reaching(Errno::ENOENT),
    root("kexec_load", NO_CAPABILITY, || tried(libc::SYS_kexec_load, [0, 0, 0, 0])),
    root("reboot", NO_CAPABILITY, || tried(libc::SYS_reboot, [0xfee1_dead, 672_274_793, 0, 0])),
    root("/dev/mem", NO_CAPABILITY, || open("/dev/mem", OFlag::O_RDONLY)),
    root("iopl", NO_CAPABILITY, || tried(libc::SYS_iopl, [3])),
    root("ioperm", NO_CAPABILITY, || tried(libc::SYS_ioperm, [0x80, 1, 1])),
    root("sethostname", NO_CAPABILITY, || {
        let name = fs::read_to_string("/proc/sys/kernel/hostname")?;
        let name = name.trim();
        tried(libc::SYS_sethostname, [address(name.as_bytes()), name.len()])
    }),
    root("swapon", NO_CAPABILITY, || tried(libc::SYS_swapon, [text("/nowhere")?, 0]))
        .reaching(Errno::ENOENT),
    root("swapoff", NO_CAPABILITY, || tried(libc::SYS_swapoff, [text("/nowhere")?]))
        .reaching(Errno::ENOENT),
    root("quotactl", NO_CAPABILITY, || {
        // Q_SETINFO of users (include/uapi/linux/quota.h).
        const SET_INFO: usize = 0x80_0006 << 8;
        let held = opened("/", OFlag::O_RDONLY)?;
        let info = [0_u64; 3];
        tried(libc::SYS_quotactl_fd, [held.as_raw_fd() as usize, SET_INFO, 0, address(&info)])
    })
    .reaching(Errno::ESRCH),
    root("fanotify of content", NO_CAPABILITY, || tried(libc::SYS_fanotify_init, [4, 0])),
    anybody("/proc/sys", Passes, || open("/proc/sys/kernel/core_pattern", OFlag::O_RDONLY)),
    root("core_pattern", RULE, || settle("core_pattern")),
    root("modprobe", RULE, || settle("modprobe")),
    root("hostname by /proc/sys", RULE, || settle("hostname")),
    root("binfmt_misc", RULE, || {
        let register = opened("/proc/sys/fs/binfmt_misc/register", OFlag::O_WRONLY);
        Ok(register.map(drop))
    }),
    root("sysrq-trigger", RULE, || open("/proc/sysrq-trigger", OFlag::O_WRONLY)),
    root("a disk's node", NEVER, || {
        let path = super::at(FREE, "disk");
        let made = call(libc::SYS_mknod, [text(&path)?, libc::S_IFBLK as usize | 0o600, 0x700]);
        if made.is_ok() {
            fs::remove_file(path)?;
        }
        Ok(made.map(drop))
    }),
    anybody("a pipe's node", Passes, || {
        let path = super::at(FREE, "pipe");
        let made = call(libc::SYS_mknod, [text(&path)?, libc::S_IFIFO as usize | 0o600, 0]);
        if made.is_ok() {
            fs::remove_file(path)?;
        }
        Ok(made.map(drop))
    }),
];

/// What a policy can allow: denied under one that does not, and passing under one that does.
const WITH_LICENCE: &[Attempt] = &[
    anybody("add_key", NEVER, || {
        let (kind, name) = (text("user")?, text("bypass")?);
        tried(libc::SYS_add_key, [kind, name, address(b"x"), 1, PROCESS_KEYRING])
    }),
    anybody("keyctl to join a session of its own", Passes, || tried(libc::SYS_keyctl, [1, 0])),
    anybody("perf_event_open", NEVER, || {
        // struct perf_event_attr: a software event, its size, the task's clock, not of the kernel.
        let mut event = [0_u64; 16];
        event[0] = 1 | 128 << 32;
        event[1] = 1;
        event[5] = 1 << 5 | 1 << 6;
        tried(libc::SYS_perf_event_open, [address(&event), 0, usize::MAX, usize::MAX, 0])
    }),
    root("settimeofday", NO_CAPABILITY, || {
        let mut now = [0_i64; 2];
        call(libc::SYS_gettimeofday, [address_mut(&mut now), 0])?;
        tried(libc::SYS_settimeofday, [address(&now), 0])
    }),
    root("syslog", NO_CAPABILITY, || {
        let mut text = [0_u8; 64];
        tried(libc::SYS_syslog, [3, address_mut(&mut text), 64])
    }),
    root("an interface up", NO_CAPABILITY, || {
        const SIOCSIFFLAGS: usize = 0x8914;
        let socket =
            call(libc::SYS_socket, [libc::AF_INET as usize, libc::SOCK_DGRAM as usize, 0])?;
        // struct ifreq: the name, then the flags: up, loopback, running.
        let mut request = [0_u8; 40];
        request[..2].copy_from_slice(b"lo");
        request[16] = 0x49;
        tried(libc::SYS_ioctl, [socket, SIOCSIFFLAGS, address(&request)])
    }),
];

const PROCESS_KEYRING: usize = -2_isize as usize;

const RULES: &str = r#"
[[rule]]
id = "all"
allow = ["read", "modify", "exec", "ioctl"]
path = ["/", "/**"]

[[rule]]
id = "kernel"
deny = ["modify"]
path = ["/proc/sys/**", "/proc/sysrq-trigger"]
"#;

const LICENCE: &str = r#"
[[rule]]
id = "licence"
allow = ["use"]
feature = ["keyring", "perf-event", "cap-sys-time", "cap-syslog", "cap-net-admin"]
"#;

fn bypass_by_leaving() -> Result<()> {
    // What an attempt mounts is seen by nobody else.
    harness::acts::enter()?;
    folder(TOP)?;
    folder(FREE)?;
    folder(PLACE)?;
    for (file, value) in
        [("perf_event_paranoid", "1"), ("unprivileged_userns_clone", "1"), ("dmesg_restrict", "1")]
    {
        // Not every kernel has each.
        let _ = fs::write(format!("/proc/sys/kernel/{file}"), value);
    }
    let binfmt = "/proc/sys/fs/binfmt_misc";
    if !fs::exists(format!("{binfmt}/register"))? {
        nix::mount::mount(
            Some("none"),
            binfmt,
            Some("binfmt_misc"),
            nix::mount::MsFlags::empty(),
            None::<&str>,
        )?;
    }
    let gate = Gate::start()?;
    let denying = policy("bypass-leaving", "", RULES)?;
    judge(&gate, SET, &denying)?;
    judge(&gate, LICENSED, &denying)?;
    let allowing = policy("bypass-licensed", "", &format!("{RULES}{LICENCE}"))?;
    judge_by(&gate, LICENSED, &allowing, |_| Passes)
}

const PLACE: &str = "/srv/bypass/place";

fn open(path: &str, flags: OFlag) -> Act {
    Ok(opened(path, flags).map(drop))
}

fn unshare(what: i32) -> Act {
    tried(libc::SYS_unshare, [what as usize])
}

/// Mounts and unmounts again.
fn mount(source: &str, kind: &str, flags: libc::c_ulong) -> Act {
    let place = text(PLACE)?;
    let mounted = call(libc::SYS_mount, [text(source)?, place, text(kind)?, flags as usize, 0]);
    unmount(mounted)
}

fn unmount(mounted: Result<usize, Errno>) -> Act {
    if mounted.is_ok() {
        call(libc::SYS_umount2, [text(PLACE)?, 0])?;
    }
    Ok(mounted.map(drop))
}

fn overlay() -> Act {
    let options = text("lowerdir=/etc:/usr")?;
    let kind = text("overlay")?;
    unmount(call(libc::SYS_mount, [text("none")?, text(PLACE)?, kind, 0, options]))
}

/// Opens a setting, and writes what is there already.
fn settle(name: &str) -> Act {
    let path = format!("/proc/sys/kernel/{name}");
    let value = fs::read(&path)?;
    Ok(fs::write(path, value).map_err(super::number))
}
