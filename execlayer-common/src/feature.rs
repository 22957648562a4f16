//! Features of the kernel that are no file and no address: what a governed task may use is a question of
//! its name. Must not know where each is judged.

/// A feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feature {
    /// Its place in [`ALL`].
    pub number: u8,
    /// As it stands in policy text and in events; at most [`MAX_NAME`] bytes.
    pub name: &'static str,
    /// What a rule can say of it.
    pub rules: Rules,
    /// What it is, for people.
    pub meaning: &'static str,
}

/// What a rule can say of a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// Denied unless a rule allows it.
    Allowed,
    /// Allowed unless a rule denies it.
    Denied,
    /// Always denied: whoever has it can leave every policy. No rule can allow it.
    Never,
}

/// Bytes of the longest name.
pub const MAX_NAME: usize = 24;

macro_rules! features {
    ($($name:ident $text:literal $rules:ident $meaning:literal;)*) => {
        #[allow(
            non_camel_case_types,
            clippy::upper_case_acronyms,
            reason = "names of constants, each used as its number"
        )]
        #[repr(u8)]
        enum Number {
            $($name,)*
        }

        $(
            #[doc = $meaning]
            pub const $name: Feature = Feature {
                number: Number::$name as u8,
                name: $text,
                rules: Rules::$rules,
                meaning: $meaning,
            };
        )*

        /// Every feature.
        pub const ALL: &[Feature] = &[$($name),*];
    };
}

features! {
    EXECUTABLE_MEMORY "executable-memory" Denied "memory that is no file's, made executable: JIT compilers need it";
    INHERITED "inherited-descriptors" Denied "descriptors beyond the first three that a program is started with";
    IO_URING "io-uring" Allowed "io_uring: system calls through shared memory";
    NETLINK_ROUTE "netlink-route" Allowed "netlink about interfaces and routes: name resolution looks there";
    NETLINK "netlink" Allowed "all other netlink families";
    RAW_SOCKET "raw-socket" Allowed "raw IP sockets";
    PACKET_SOCKET "packet-socket" Allowed "sockets below IP";
    VSOCK "vsock" Allowed "sockets between a virtual machine and its host";
    OTHER_SOCKET "other-socket" Allowed "sockets of other families and transport protocols";
    PERF_EVENT "perf-event" Allowed "performance events";
    KEYRING "keyring" Allowed "keys that the kernel keeps";
    NET_ADMIN "cap-net-admin" Allowed "CAP_NET_ADMIN: addresses, routes and packet filters";
    SYS_TIME "cap-sys-time" Allowed "CAP_SYS_TIME: the machine's clock";
    SYSLOG "cap-syslog" Allowed "CAP_SYSLOG: the kernel's messages and addresses";
    SYS_ADMIN "cap-sys-admin" Never "CAP_SYS_ADMIN: mounts, namespaces and much else";
    SYS_MODULE "cap-sys-module" Never "CAP_SYS_MODULE: kernel modules";
    SYS_RAWIO "cap-sys-rawio" Never "CAP_SYS_RAWIO: ports and raw memory";
    SYS_BOOT "cap-sys-boot" Never "CAP_SYS_BOOT: another kernel, or none";
    SYS_PTRACE "cap-sys-ptrace" Never "CAP_SYS_PTRACE: other processes' memory";
    MAC_ADMIN "cap-mac-admin" Never "CAP_MAC_ADMIN: settings of other security modules";
    MAC_OVERRIDE "cap-mac-override" Never "CAP_MAC_OVERRIDE: not to be bound by other security modules";
    BPF "cap-bpf" Never "CAP_BPF: kernel programs";
    AUDIT_CONTROL "cap-audit-control" Never "CAP_AUDIT_CONTROL: the kernel's audit";
    PERFMON "cap-perfmon" Never "CAP_PERFMON: other processes' memory maps and environments (from 6.15 on)";
    CHECKPOINT "cap-checkpoint-restore" Never "CAP_CHECKPOINT_RESTORE: other processes' insides";
    USER_NAMESPACE "user-namespace" Never "user namespaces: in one of its own a process is root and names what it likes";
    CHROOT "chroot" Never "another root directory: every name would mean something else";
    TERMINAL_INPUT "terminal-input" Never "typing into a terminal for whoever reads there (TIOCSTI)";
    TRACE "trace" Never "memory, descriptors and places of processes outside of the policy";
    BE_TRACED "be-traced" Never "to be traced by a process of another policy";
}

/// The feature with that name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Feature> {
    ALL.iter().find(|feature| feature.name == name)
}

#[allow(clippy::indexing_slicing, reason = "a constant: out of bounds does not compile")]
#[allow(clippy::arithmetic_side_effects, reason = "as above")]
const _: () = {
    let mut number = 0;
    while number < ALL.len() {
        assert!(ALL[number].name.len() <= MAX_NAME, "a name is too long");
        number += 1;
    }
};
