//! Ways to a file that may not be read, and to its content by others.

use std::{
    fs::{self, File},
    io::{IoSliceMut, Read},
    os::{fd::AsRawFd, unix::net::UnixStream},
    path::Path,
    process::Stdio,
    thread,
    time::Duration,
};

use nix::{
    cmsg_space,
    errno::Errno,
    fcntl::{OFlag, open, openat},
    sys::{
        socket::{ControlMessageOwned, MsgFlags, recvmsg},
        stat::Mode,
    },
    unistd::{getppid, setsid},
};

use super::super::{Act, Outcome, Plan, Side, Stop, before, trial};

pub(super) const ACTS: &[Act] = &[
    Act::pair("a file by its name", "open", |plan, side| read(&plan.of(side, "read"))),
    Act::pair("a file by a link", "open", |plan, side| {
        read(&plan.at(&format!("link-{}", side.name())).join("read"))
    }),
    Act::pair("a file by dots", "open", |plan, side| {
        read(&plan.at(&format!("open/./../{}/read", side.name())))
    }),
    Act::pair("a file by /proc/self/root", "open", |plan, side| {
        let path = plan.of(side, "read");
        read(&Path::new("/proc/self/root").join(path.strip_prefix("/").unwrap_or(&path)))
    }),
    Act::pair("a file from its folder", "open", |plan, side| {
        before("chdir", std::env::set_current_dir(plan.of(side, "")))?;
        read(Path::new("read"))
    }),
    Act::pair("a file by its folder's descriptor", "openat", |plan, side| {
        let folder = before("open", open(&plan.of(side, ""), OFlag::O_PATH, Mode::empty()))?;
        Ok(openat(&folder, "read", OFlag::O_RDONLY, Mode::empty()).map(drop)?)
    }),
    Act::pair("a descriptor for the name, opened again", "open", |plan, side| {
        let held = before("open", open(&plan.of(side, "read"), OFlag::O_PATH, Mode::empty()))?;
        read(Path::new(&format!("/proc/self/fd/{}", held.as_raw_fd())))
    }),
    Act::pair("what is in a folder", "open", |plan, side| {
        Ok(fs::read_dir(plan.of(side, "")).map(drop)?)
    }),
    Act::pair("a descriptor from outside", "recvmsg", received).by(Errno::ENOMSG),
    Act::pair("a file by a thread", "open", |plan, side| {
        let path = plan.of(side, "read");
        let ended = thread::spawn(move || read(&path)).join();
        ended.unwrap_or_else(|_| Err(Stop::Before("the thread panicked".to_owned())))
    }),
    Act::pair("a file by an orphan of another session", "open", by_orphan),
    Act::pair("a file from another cgroup", "open", from_another_cgroup),
];

/// What [`by_orphan`] starts.
pub(super) const PARTS: &[Act] = &[
    Act::pair(SESSION, "setsid", |plan, side| {
        before("setsid", setsid())?;
        let mut orphan = trial::child(&trial::plan_file(plan), ORPHAN, side);
        before("spawn", orphan.stdout(Stdio::inherit()).spawn())?;
        // Without a word: it is the orphan that answers.
        std::process::exit(0)
    }),
    Act::pair(ORPHAN, "open", |plan, side| {
        let parent = getppid();
        for _ in 0..1_000 {
            if getppid() != parent || parent.as_raw() == 1 {
                break;
            }
            thread::sleep(Duration::from_millis(1));
        }
        read(&plan.of(side, "read"))
    }),
];

const SESSION: &str = "part: a session";
const ORPHAN: &str = "part: an orphan";

fn read(path: &Path) -> Result<(), Stop> {
    Ok(File::open(path).map(drop)?)
}

fn received(plan: &Plan, side: Side) -> Result<(), Stop> {
    let path = plan.at(&format!("giver-{}", side.name()));
    let socket = before("connect", UnixStream::connect(path))?;
    let mut byte = [0];
    let mut parts = [IoSliceMut::new(&mut byte)];
    let mut space = cmsg_space!(i32);
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags);
    let message = before("recvmsg", message)?;
    if message.bytes == 0 {
        return Err(Stop::Before("nothing was sent".to_owned()));
    }
    // Cut off: the descriptor that was sent did not arrive.
    let Ok(mut controls) = message.cmsgs() else { return Err(Errno::ENOMSG.into()) };
    let is_there =
        |control| matches!(control, ControlMessageOwned::ScmRights(held) if !held.is_empty());
    if controls.any(is_there) { Ok(()) } else { Err(Errno::ENOMSG.into()) }
}

/// Its parent leaves it, and it leaves the session.
fn by_orphan(plan: &Plan, side: Side) -> Result<(), Stop> {
    let mut session =
        before("spawn", trial::child(&trial::plan_file(plan), SESSION, side).spawn())?;
    let mut said = String::new();
    if let Some(output) = &mut session.stdout {
        before("read", output.read_to_string(&mut said))?;
    }
    before("wait", session.wait())?;
    match before("read", serde_json::from_str(&said))? {
        Outcome::Done => Ok(()),
        Outcome::Failed(error) => Err(Errno::from_raw(error).into()),
        Outcome::Lost(why) => Err(Stop::Before(why)),
    }
}

/// The root of all is not the scope, and no policy's.
fn from_another_cgroup(plan: &Plan, side: Side) -> Result<(), Stop> {
    let mounts = before("mounts", fs::read_to_string("/proc/self/mounts"))?;
    let is_cgroup2 = |line: &&str| line.split(' ').nth(2) == Some("cgroup2");
    let root = mounts.lines().find(is_cgroup2).and_then(|line| line.split(' ').nth(1));
    let root = root.ok_or_else(|| Stop::Before("no cgroup2 is mounted".to_owned()))?;
    before("move", fs::write(Path::new(root).join("cgroup.procs"), "0"))?;
    read(&plan.of(side, "read"))
}
