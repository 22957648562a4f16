//! Acts that end otherwise under every policy, and why. Must hold nothing that a policy could allow.

/// An act, and how it ends when it is governed.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) act: &'static str,
    /// Only as this one.
    pub(super) user: Option<&'static str>,
    pub(super) governed: &'static str,
    /// Why it must be so; for readers.
    #[allow(dead_code, reason = "a table's column that only people read")]
    pub(super) because: &'static str,
}

const fn known(act: &'static str, governed: &'static str, because: &'static str) -> Known {
    Known { act, user: None, governed, because }
}

const fn of_root(act: &'static str, governed: &'static str, because: &'static str) -> Known {
    Known { act, user: Some("root"), governed, because }
}

const DENIED: &str = "EACCES";
const NO_NAME: &str = "files without a name are not opened (docs/known-limits.md)";
const DELETED: &str = "deleted files are not opened (docs/known-limits.md)";
const RECEIVED: &str = "what is received is judged as if it were opened, and it is deleted";
const BOUNDS: &str = "names beyond the bounds are denied (docs/known-limits.md)";
const OTHER: &str = "another protocol matches no destination (docs/policy.md)";
const NEVER: &str = "the call needs a capability that no policy can allow (docs/policy.md)";

pub(super) const KNOWN: &[Known] = &[
    known("open a memfd again", DENIED, NO_NAME),
    known("a program without a name is executed", "99", NO_NAME),
    // Queues lie in a mount of the kernel's own.
    known("POSIX messages", DENIED, NO_NAME),
    known("open what is unlinked again", DENIED, DELETED),
    known("open what is unlinked again to write", DENIED, DELETED),
    known("O TMPFILE opened again", DENIED, DELETED),
    known("mmap of what is unlinked executable", DENIED, DELETED),
    known("unix connect to an unlinked name", DENIED, DELETED),
    known("SCM RIGHTS of what is unlinked", "0", RECEIVED),
    known("SCM RIGHTS of O TMPFILE", "0", RECEIVED),
    known("a folder of 300 levels", DENIED, BOUNDS),
    known("a path of more than 4096 bytes", DENIED, BOUNDS),
    of_root("raw socket that sends", DENIED, OTHER),
    known("vsock to nobody", "'EACCES'", OTHER),
    of_root("SCM CREDENTIALS of init", "EPERM", NEVER),
    of_root("fanotify bad flags", "EPERM", NEVER),
    of_root("perf event of itself", "'EACCES'", NEVER),
    of_root("userfaultfd", "'EPERM'", NEVER),
    of_root("xattr of trust", "EPERM", NEVER),
    of_root("xattr of security", "EPERM", NEVER),
];
