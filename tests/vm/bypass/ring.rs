//! The same acts through `io_uring`. A ring needs its feature; in a ring every act is judged as ever.

mod queue;

use super::address::{self, STREAM};
use super::{FREE, Set, TOP, at, folder, giver, judge, judge_by, opened, ready, ready_folder};
use crate::attempts::Governed::{Denied, Fails, Passes};
use crate::attempts::{Absent, Act, Attempt, Governed, NOT_RECEIVED};
use crate::framework::Lane;
use crate::gate::{Gate, policy};
use crate::raw::{address as place, text};
use anyhow::Result;
use nix::fcntl::OFlag;
use nix::libc;
use queue::{ASYNC, Entry, Queue, SQPOLL};
use std::fs;
use std::net::TcpListener;
use std::os::fd::AsRawFd;

crate::tests! { bypass_by_rings => .lanes(&[Lane::Bypass]).limit(290) }

pub(crate) const SET: Set = ("bypass-ring", IN_A_RING);
pub(crate) const MADE: Set = ("bypass-ring-made", OF_RINGS);

const RULE: Governed = Denied("rule");
const UNLISTED: Governed = Denied("unlisted");

/// Under a policy without the feature, and under one with it.
const OF_RINGS: &[Attempt] = &[
    Attempt::new("a ring", UNLISTED, || Ok(Queue::set_up(0).map(drop))),
    Attempt::new("a ring with a thread", UNLISTED, || Ok(Queue::set_up(SQPOLL).map(drop))),
    Attempt::new("a ring by 32-bit calls", UNLISTED, || {
        super::tried_i386(425, [1, crate::raw::low(&[0; 120])?, 0, 0, 0])
    }),
    Attempt::new("a ring received", Fails(NOT_RECEIVED, "unlisted"), || {
        match super::content::arrived("ring")? {
            // Kernels since 6.7, and older ones with that repair, send none.
            None => Err(Absent("sending a ring").into()),
            Some(true) => Ok(Ok(())),
            Some(false) => Ok(Err(NOT_RECEIVED)),
        }
    }),
];

/// The same act with what is allowed and with what is not.
macro_rules! pairs {
    ($($name:literal $free:literal $kept:literal $governed:expr => $act:expr;)*) => {
        &[$(
            Attempt::new($name, Passes, || $act($free)),
            Attempt::new(concat!($name, ", forbidden"), $governed, || $act($kept)),
        )*]
    };
}

const IN_A_RING: &[Attempt] = pairs! {
    "openat" "free" "secret" RULE => |folder| open(folder, 0, 0);
    "openat by a worker" "free" "secret" RULE => |folder| open(folder, 0, ASYNC);
    "openat by a thread" "free" "secret" RULE => |folder| open(folder, SQPOLL, 0);
    "openat2" "free" "secret" RULE => |folder| {
        let (path, how) = (text(&ready(&below(folder), "ring")?)?, [0_u64, 0, 0]);
        let entry = Entry { opcode: 28, fd: HERE, address: path, second: place(&how), length: 24,
            ..Entry::default() };
        done(0, entry)
    };
    "unlinkat" "free" "kept" RULE => |folder| {
        let path = text(&ready(&below(folder), "ring-unlinked")?)?;
        done(0, Entry { opcode: 36, fd: HERE, address: path, ..Entry::default() })
    };
    "unlinkat of a folder" "free" "kept" RULE => |folder| {
        let (path, more) = (ready_folder(&below(folder), "ring-removed")?, libc::AT_REMOVEDIR as u32);
        let removed =
            done(0, Entry { opcode: 36, fd: HERE, address: text(&path)?, more, ..Entry::default() })?;
        // Nobody who is governed makes it again.
        if removed.is_ok() {
            ready_folder(&below(folder), "ring-removed")?;
        }
        Ok(removed)
    };
    "renameat" "free" "kept" RULE => |folder| {
        ready(&below(folder), "ring-old")?;
        two_names(35, &at(&below(folder), "ring-old"), &at(FREE, "ring-new"))
    };
    "linkat" "free" "kept" RULE => |folder| {
        let old = ready(&below(folder), "ring-linked")?;
        two_names(39, &old, &at(FREE, "ring-link"))
    };
    "mkdirat" "free" "kept" RULE => |folder| {
        let path = at(&below(folder), "ring-folder");
        let made = done(0, Entry { opcode: 37, fd: HERE, address: text(&path)?, length: 0o755,
            ..Entry::default() })?;
        if made.is_ok() {
            fs::remove_dir(path)?;
        }
        Ok(made)
    };
    "symlinkat" "free" "kept" RULE => |folder| {
        let path = at(&below(folder), "ring-symlink");
        let made = done(0, Entry { opcode: 38, fd: HERE, address: text("/nowhere")?,
            second: text(&path)?, ..Entry::default() })?;
        if made.is_ok() {
            fs::remove_file(path)?;
        }
        Ok(made)
    };
    "fsetxattr" "free" "kept" RULE => |folder| {
        let held = opened(&ready(&below(folder), "ring-attribute")?, OFlag::O_RDONLY)?;
        done(0, Entry { opcode: 41, fd: held.as_raw_fd(), address: text("user.kept")?,
            second: place(b"x"), length: 1, ..Entry::default() })
    };
    "connect" "7400" "7410" UNLISTED => |port| {
        let to = address::inet(&format!("127.0.0.1:{port}"))?;
        let fd = address::socket(&to, STREAM, 0)? as i32;
        done(0, Entry { opcode: 16, fd, address: place(&to[..]), second: to.len(), ..Entry::default() })
    };
    "sendmsg" "7400" "7410" UNLISTED => |port| {
        let to = address::inet(&format!("127.0.0.1:{port}"))?;
        let fd = address::socket(&to, address::DATAGRAM, 0)? as i32;
        let part = [place(b"hello"), 5];
        let message = [place(&to[..]), to.len(), place(&part), 1, 0, 0, 0];
        done(0, Entry { opcode: 9, fd, address: place(&message), length: 1, ..Entry::default() })
    };
    "socket" "2" "16" UNLISTED => |family: &str| {
        // By the kernel's own number: the one for datagrams.
        let fd = family.parse()?;
        done(0, Entry { opcode: 45, fd, second: 2, ..Entry::default() })
    };
};

const HERE: i32 = libc::AT_FDCWD;

const RULES: &str = r#"
[[rule]]
id = "all"
allow = ["read", "modify", "exec"]
path = ["/", "/**"]

[[rule]]
id = "secret"
deny = ["read"]
path = "/srv/bypass/secret/**"

[[rule]]
id = "kept"
deny = ["delete", "rmdir", "rename", "link", "mkdir", "symlink", "xattr"]
path = "/srv/bypass/kept/**"

[[rule]]
id = "reach"
allow = ["connect"]
to = ["127.0.0.1:7400", "unix:/srv/bypass/giver-*.sock"]
"#;

const LICENCE: &str = r#"
[[rule]]
id = "rings"
allow = ["use"]
feature = "io-uring"
"#;

fn bypass_by_rings() -> Result<()> {
    for name in ["free", "secret", "kept"] {
        folder(&below(name))?;
    }
    // Kernels since 6.6 can keep rings from users.
    let _ = fs::write("/proc/sys/kernel/io_uring_disabled", "0");
    let _listening = [7400, 7410].map(|port| TcpListener::bind(("127.0.0.1", port)));
    let (ring, _) = Queue::set_up(0)?;
    giver::give("ring", crate::raw::owned(i32::try_from(ring)?))?;
    let gate = Gate::start()?;
    let with = policy("bypass-rings", "", &format!("{RULES}{LICENCE}"))?;
    judge(&gate, MADE, &policy("bypass-no-rings", "", RULES)?)?;
    judge_by(&gate, MADE, &with, |_| Passes)?;
    judge(&gate, SET, &with)
}

fn below(folder: &str) -> String {
    format!("{TOP}/{folder}")
}

/// One act in a ring of its own. That the ring itself could not be had is no answer.
fn done(flags: u32, entry: Entry) -> Act {
    Queue::new(flags)??.does(entry)
}

fn open(folder: &str, flags: u32, how: u8) -> Act {
    let path = text(&ready(&below(folder), "ring")?)?;
    done(flags, Entry { opcode: 18, flags: how, fd: HERE, address: path, ..Entry::default() })
}

fn two_names(opcode: u8, old: &str, new: &str) -> Act {
    let _ = fs::remove_file(new);
    let entry = Entry {
        opcode,
        fd: HERE,
        address: text(old)?,
        second: text(new)?,
        length: HERE as u32,
        ..Entry::default()
    };
    let result = done(0, entry)?;
    if result.is_ok() {
        fs::remove_file(new)?;
    }
    Ok(result)
}
