//! What can be asked of a subject: operations choose the automaton's start state, access bits name
//! what is wanted of the subject. Must not know how either is observed.

/// An operation: it says what kind of byte string the subject is, and owns a start state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Operation {
    /// Execute a file, or map it to be executed. Subject: its absolute path.
    Exec = 0,
    /// Open, make, change or move a file. Subject: its absolute path.
    File = 1,
    /// Connect or send to an internet address, or be bound to one. Subject: [`crate::subject::Inet`].
    Inet = 2,
    /// Connect or send to a unix socket, or be bound to an abstract name. Subject: the peer's bound path, or
    /// `@` and the abstract name.
    Unix = 3,
    /// Select a task by its cgroup. Subject: the cgroup's path below the cgroup2 root.
    SelectCgroup = 4,
    /// Select a task by the file it executes. Subject: the file's absolute path.
    SelectExe = 5,
    /// Use a feature of the kernel. Subject: the feature's name ([`crate::feature`]).
    Feature = 6,
    /// Call a tool that asks before it acts. Subject: [`crate::call`]. No kernel judges it.
    Call = 7,
}

impl Operation {
    /// Every operation, in the order of its number.
    pub const ALL: [Self; 8] = [
        Self::Exec,
        Self::File,
        Self::Inet,
        Self::Unix,
        Self::SelectCgroup,
        Self::SelectExe,
        Self::Feature,
        Self::Call,
    ];

    /// The operation with this number, or `None`.
    #[must_use]
    pub const fn from_raw(raw: u8) -> Option<Self> {
        Some(match raw {
            0 => Self::Exec,
            1 => Self::File,
            2 => Self::Inet,
            3 => Self::Unix,
            4 => Self::SelectCgroup,
            5 => Self::SelectExe,
            6 => Self::Feature,
            7 => Self::Call,
            _ => return None,
        })
    }

    /// The name used in events and listings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exec => "exec",
            Self::File => "open",
            Self::Inet => "connect",
            Self::Unix => "connect-unix",
            Self::SelectCgroup => "select-cgroup",
            Self::SelectExe => "select-exe",
            Self::Feature => "use",
            Self::Call => "call",
        }
    }
}

/// A set of access bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[repr(transparent)]
pub struct Access(pub u32);

impl Access {
    /// Execute the file, or map it to be executed.
    pub const EXEC: Self = Self(1 << 0);
    /// Read the file's content, or list the directory.
    pub const READ: Self = Self(1 << 1);
    /// Change the file's content anywhere, or its length.
    pub const WRITE: Self = Self(1 << 2);
    /// Add to the file's end only.
    pub const APPEND: Self = Self(1 << 3);
    /// Make a new name for a file, pipe or bound unix socket; also wanted where a name is moved or linked to.
    pub const CREATE: Self = Self(1 << 4);
    /// Connect or send to the address or socket.
    pub const CONNECT: Self = Self(1 << 5);
    /// Remove a name that is no directory's; also wanted of a name that is moved away or replaced.
    pub const DELETE: Self = Self(1 << 6);
    /// Move a file or directory; wanted of the old name and of the new one.
    pub const RENAME: Self = Self(1 << 7);
    /// Make another name for a file; wanted of both names.
    pub const LINK: Self = Self(1 << 8);
    /// Make a symbolic link.
    pub const SYMLINK: Self = Self(1 << 9);
    /// Make a directory.
    pub const MKDIR: Self = Self(1 << 10);
    /// Remove a directory.
    pub const RMDIR: Self = Self(1 << 11);
    /// Make a device node.
    pub const MKNOD: Self = Self(1 << 12);
    /// Change the mode.
    pub const CHMOD: Self = Self(1 << 13);
    /// Change owner or group.
    pub const CHOWN: Self = Self(1 << 14);
    /// Set the times of access and of change.
    pub const UTIME: Self = Self(1 << 15);
    /// Set or remove extended attributes, access lists and inode flags.
    pub const XATTR: Self = Self(1 << 16);
    /// Control the device.
    pub const IOCTL: Self = Self(1 << 17);
    /// Be bound to the address or abstract name, listen and accept there.
    pub const BIND: Self = Self(1 << 18);
    /// Use the feature.
    pub const USE: Self = Self(1 << 19);
    /// Go to another policy by executing the file. Policy text has it as a rule's `transition`.
    pub const ENTER: Self = Self(1 << 20);
    /// Call the tool.
    pub const CALL: Self = Self(1 << 21);
    /// Be governed by the policy (selectors only; no policy text can name it).
    pub const GOVERN: Self = Self(1 << 31);

    /// Names as they stand in policy text, with the operations in which the bit can be wanted.
    pub const NAMES: [(&'static str, Self); 21] = [
        ("exec", Self::EXEC),
        ("read", Self::READ),
        ("write", Self::WRITE),
        ("append", Self::APPEND),
        ("create", Self::CREATE),
        ("connect", Self::CONNECT),
        ("delete", Self::DELETE),
        ("rename", Self::RENAME),
        ("link", Self::LINK),
        ("symlink", Self::SYMLINK),
        ("mkdir", Self::MKDIR),
        ("rmdir", Self::RMDIR),
        ("mknod", Self::MKNOD),
        ("chmod", Self::CHMOD),
        ("chown", Self::CHOWN),
        ("utime", Self::UTIME),
        ("xattr", Self::XATTR),
        ("ioctl", Self::IOCTL),
        ("bind", Self::BIND),
        ("use", Self::USE),
        ("call", Self::CALL),
    ];

    /// Names in policy text that stand for several bits: `modify` is every change of a file, of its name and
    /// of what is said about it, without device nodes and devices' controls.
    pub const GROUPS: [(&'static str, Self); 1] = [(
        "modify",
        Self(
            Self::WRITE.0
                | Self::APPEND.0
                | Self::CREATE.0
                | Self::DELETE.0
                | Self::RENAME.0
                | Self::LINK.0
                | Self::SYMLINK.0
                | Self::MKDIR.0
                | Self::RMDIR.0
                | Self::CHMOD.0
                | Self::CHOWN.0
                | Self::UTIME.0
                | Self::XATTR.0,
        ),
    )];

    /// What the kernel can restart, and so hold: all else cannot be asked about.
    pub const ASKABLE: Self =
        Self(((1 << 19) - 1 - Self::UTIME.0 - Self::XATTR.0 - Self::IOCTL.0) | Self::CALL.0);

    /// What a name gives of the file itself, and so must not be more under another name of the same file.
    pub const OF_FILE: Self = Self(
        Self::READ.0
            | Self::WRITE.0
            | Self::APPEND.0
            | Self::CHMOD.0
            | Self::CHOWN.0
            | Self::UTIME.0
            | Self::XATTR.0
            | Self::IOCTL.0,
    );

    /// The bits that can be wanted in an operation.
    #[must_use]
    pub const fn of(operation: Operation) -> Self {
        match operation {
            Operation::Exec => Self(Self::EXEC.0 | Self::ENTER.0),
            Operation::File => Self(((1 << 18) - 1) & !(Self::EXEC.0 | Self::CONNECT.0)),
            Operation::Inet | Operation::Unix => Self(Self::CONNECT.0 | Self::BIND.0),
            Operation::SelectCgroup | Operation::SelectExe => Self::GOVERN,
            Operation::Feature => Self::USE,
            Operation::Call => Self::CALL,
        }
    }

    /// [`Self::NAMES`], and the one that only events and cases write.
    pub fn named() -> impl Iterator<Item = (&'static str, Self)> {
        Self::NAMES.into_iter().chain([("enter", Self::ENTER)])
    }

    /// Their names. Those that only selectors know have none.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::named().filter(move |(_, bit)| self.contains(*bit)).map(|(name, _)| name)
    }

    /// Both sets together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What both sets have.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether every bit of `other` is set here.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether no bit is set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}
