//! What can be asked of a subject: operations choose the automaton's start state, access bits name
//! what is wanted of the subject. Must not know how either is observed.

/// An operation: it says what kind of byte string the subject is, and owns a start state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Operation {
    /// Execute a file. Subject: its absolute path.
    Exec = 0,
    /// Open or create a file. Subject: its absolute path.
    File = 1,
    /// Connect to an internet address. Subject: [`crate::subject::Inet`].
    Inet = 2,
    /// Connect to a unix socket. Subject: the peer's bound path, or `@` and the abstract name.
    Unix = 3,
    /// Select a task by its cgroup. Subject: the cgroup's path below the cgroup2 root.
    SelectCgroup = 4,
    /// Select a task by the file it executes. Subject: the file's absolute path.
    SelectExe = 5,
}

impl Operation {
    /// Every operation, in the order of its number.
    pub const ALL: [Self; 6] =
        [Self::Exec, Self::File, Self::Inet, Self::Unix, Self::SelectCgroup, Self::SelectExe];

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
        }
    }
}

/// A set of access bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[repr(transparent)]
pub struct Access(pub u32);

impl Access {
    /// Execute the file.
    pub const EXEC: Self = Self(1 << 0);
    /// Read the file's content, or list the directory.
    pub const READ: Self = Self(1 << 1);
    /// Change the file's content anywhere.
    pub const WRITE: Self = Self(1 << 2);
    /// Add to the file's end only.
    pub const APPEND: Self = Self(1 << 3);
    /// Make a new name: file, directory-less node or bound unix socket.
    pub const CREATE: Self = Self(1 << 4);
    /// Connect to the address or socket.
    pub const CONNECT: Self = Self(1 << 5);
    /// Be governed by the policy (selectors only; no policy text can name it).
    pub const GOVERN: Self = Self(1 << 31);

    /// Names as they stand in policy text, with the operations in which the bit can be wanted.
    pub const NAMES: [(&'static str, Self); 6] = [
        ("exec", Self::EXEC),
        ("read", Self::READ),
        ("write", Self::WRITE),
        ("append", Self::APPEND),
        ("create", Self::CREATE),
        ("connect", Self::CONNECT),
    ];

    /// The bits that can be wanted in an operation.
    #[must_use]
    pub const fn of(operation: Operation) -> Self {
        match operation {
            Operation::Exec => Self::EXEC,
            Operation::File => Self(Self::READ.0 | Self::WRITE.0 | Self::APPEND.0 | Self::CREATE.0),
            Operation::Inet | Operation::Unix => Self::CONNECT,
            Operation::SelectCgroup | Operation::SelectExe => Self::GOVERN,
        }
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
