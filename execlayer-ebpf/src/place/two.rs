//! Calls with two names: moving and linking. Besides what is wanted of each name, the file must not be
//! given more by its new name than by its old one.
//!
//! INVARIANT(names): a file that may not be read does not become one that may. A directory is moved only to
//! where everything below it is judged as before: the automaton goes on in the same state at both names.
//! What would break this fails with EXDEV, as between file systems, so that programs copy instead, and
//! every copy is judged.

use execlayer_common::{access::Access, question::Hook};

use super::{
    Change, Kind, Reason, ask_again, identify, is_deleted, is_on_bpffs, judged, refuse, returned,
};
use crate::{
    enforce::ON_FAILURE,
    gate, guard, judge,
    kernel::{Dentry, EXDEV, S_IFDIR, S_IFMT, S_IFSOCK, VfsMount, fields},
    kread::{load, offset, read},
    label,
    scratch::{self, SETS, Scratch, Side, forget},
    walk,
};

/// What is done with two names.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Two {
    /// The file has both.
    Link = 0,
    /// It goes from the old to the new one.
    Move = 1,
    /// Both files change places.
    Exchange = 2,
}

impl Two {
    /// What is wanted of the old name.
    #[inline(always)]
    pub const fn of_old(self) -> Access {
        match self {
            Self::Link => Access::LINK,
            Self::Move => MOVED,
            Self::Exchange => MOVED.union(Access::CREATE),
        }
    }
}

const MOVED: Access = Access::RENAME.union(Access::DELETE);

/// What is wanted of the new name, at which something is or is not.
#[inline(always)]
const fn of_new(two: u32, replaces: bool) -> Access {
    match (two, replaces) {
        (LINK, _) => Access::LINK.union(Access::CREATE),
        (MOVE, false) => Access::RENAME.union(Access::CREATE),
        _ => MOVED.union(Access::CREATE),
    }
}

const LINK: u32 = Two::Link as u32;
const MOVE: u32 = Two::Move as u32;

impl Change {
    /// Judges a call with two names in one mount; what is wanted here is wanted of the old one.
    #[inline(always)]
    pub fn between(&self, two: Two, mnt: *const VfsMount, [old, new]: [*const Dentry; 2]) -> i32 {
        let Some(scratch) = self.prepare() else { return ON_FAILURE };
        let mnt = forget(scratch, mnt as u64);
        let (old, new) = (forget(scratch, old as u64), forget(scratch, new as u64));
        // SAFETY: this task owns the buffer.
        unsafe { (*scratch).call.kind = two as u32 };
        returned(judge_two(scratch, mnt, old, new))
    }
}

/// VERIFIER: a global function, looked at once (see [`crate::judge`]).
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn judge_two(scratch: *mut Scratch, mnt: u64, old: u64, new: u64) -> i32 {
    if scratch.is_null() {
        return ON_FAILURE;
    }
    let result = both(scratch, mnt, old, new);
    scratch::release(scratch);
    result
}

#[inline(always)]
fn both(scratch: *mut Scratch, mnt: u64, old: u64, new: u64) -> i32 {
    if is_on_bpffs(old) {
        return guard::record_refusal(scratch);
    }
    // SAFETY: this task owns the buffer.
    let (profile, two) = unsafe { ((*scratch).event.profile, (*scratch).call.kind) };
    // The names are looked at before either is judged: a record takes the buffer.
    if let Err(reason) = look_at(scratch, profile, mnt, old, 0) {
        return refuse(scratch, reason);
    }
    // SAFETY: as above.
    let generation = unsafe { (*scratch).event.generation };
    let outcome = judged(scratch, Ok(()));
    identify(scratch, old, outcome, Kind::There as u32);
    let result = gate::settle(scratch, Hook::OldName as u32, outcome);
    if result != 0 {
        return result;
    }
    let inode = [load(old, &fields::OFF_DENTRY_INODE), load(new, &fields::OFF_DENTRY_INODE)];
    ask_again(scratch, of_new(two, inode[1] != 0).0);
    if let Err(reason) = look_at(scratch, profile, mnt, new, 1) {
        return refuse(scratch, reason);
    }
    // SAFETY: as above.
    let is_same = generation == unsafe { (*scratch).event.generation };
    let outcome = judged(scratch, Ok(()));
    let mut more = !is_same || gives_more(scratch, two, inode[0], false);
    if two == Two::Exchange as u32 {
        more |= gives_more(scratch, two, inode[1], true);
    }
    if (outcome.passes() || outcome.asks()) && more {
        // SAFETY: as above.
        unsafe { (*scratch).event.reason = Reason::GrantsMore as u8 };
        let outcome = judge::judge_slowly(scratch, profile);
        return if gate::settle(scratch, Hook::Never as u32, outcome) == 0 { 0 } else { -EXDEV };
    }
    identify(scratch, new, outcome, if inode[1] == 0 { Kind::New } else { Kind::There } as u32);
    gate::settle(scratch, Hook::NewName as u32, outcome)
}

/// Writes a name into scratch, and what it gives into a side.
#[inline(always)]
fn look_at(
    scratch: *mut Scratch,
    profile: u32,
    mnt: u64,
    dentry: u64,
    side: u32,
) -> Result<(), Reason> {
    let inode = load(dentry, &fields::OFF_DENTRY_INODE);
    let links: u32 = read(inode.wrapping_add(offset(&fields::OFF_INODE_NLINK))).unwrap_or(0);
    if inode != 0 && links != 0 && is_deleted(dentry) {
        return Err(Reason::Deleted);
    }
    // KERNEL: a file without any name is one of O_TMPFILE that is to get one: others cannot be linked
    // (fs/namei.c, `vfs_link`, 6.1). Its dentry lies in the directory that it was opened in.
    walk::path_at(scratch, walk::root_of(label::current()), mnt, dentry)?;
    // SAFETY: this task owns the buffer.
    unsafe { (*scratch).side = side };
    if judge::examine(scratch, profile) { Ok(()) } else { Err(Reason::NoPolicy) }
}

/// Whether a file or directory would be given more by its other name.
#[inline(always)]
fn gives_more(scratch: *mut Scratch, two: u32, inode: u64, is_back: bool) -> bool {
    // SAFETY: this task owns the buffer.
    let sides = unsafe { &(*scratch).sides };
    let (old, new) = if is_back { (&sides[1], &sides[0]) } else { (&sides[0], &sides[1]) };
    let mode: u16 = read(inode.wrapping_add(offset(&fields::OFF_INODE_MODE))).unwrap_or(S_IFDIR);
    if mode & S_IFMT == S_IFDIR {
        return differs_below(&old[0], &new[0])
            || differs_below(&old[1], &new[1])
            || differs_below(&old[2], &new[2]);
    }
    let of_file = if two == LINK { Access::OF_FILE.0 } else { Access::READ.0 };
    let of_program = Access::ENTER.0 | if two == LINK { Access::EXEC.0 } else { 0 };
    // A socket is known by the name that it has, and stays who listens there.
    if mode & S_IFMT == S_IFSOCK && more(&old[2], &new[2]) != 0 {
        return true;
    }
    more(&old[0], &new[0]) & of_file != 0 || more(&old[1], &new[1]) & of_program != 0
}

/// Bits of which `new` gives more. Where a name leads is its rule's matter: by other rules it may lead to somebody else.
#[inline(always)]
fn more(old: &Side, new: &Side) -> u32 {
    let mut differs = 0;
    for lane in 0..SETS {
        differs |= old.sets[lane] ^ new.sets[lane];
    }
    let leads = new.rights.may().intersection(Access::ENTER);
    if differs == 0 { 0 } else { new.rights.more_than(old.rights).union(leads).0 }
}

#[inline(always)]
fn differs_below(old: &Side, new: &Side) -> bool {
    let mut differs = 0;
    for lane in 0..SETS {
        differs |= old.below[lane] ^ new.below[lane];
    }
    differs != 0
}
