//! Lanes: the kinds of guest that the tests are booted in.

use super::Root;
use crate::arch::Arch;

/// The one kernel on which `overlay`, `service`, `stress` and `subjects` run for every change; the last one has those of `plain`
/// whose outcome the kernel's version decides, too.
pub(super) const ONE_SERIES: &str = "6.12";
/// The one on which `hold` and `bypass` do: they take long. The oldest has the strictest verifier, and
/// the fewest hooks.
const OLDEST: &str = "6.1";
const NEWEST: &str = "7.3";
/// Between others that are tried at length: whether the gate works there at all.
const BETWEEN: &str = "6.18";

/// One boot of each kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Lane {
    /// The root filesystem is a disk
    Plain,
    /// The root filesystem is overlayfs over that disk, as in containers
    Overlay,
    /// A disk, and calls that are held
    Hold,
    /// A disk, and who can be held: many programs and processes of all kinds
    Subjects,
    /// A disk, and a kernel that may preempt everywhere, for what shows only under load
    Stress,
    /// A disk, and ways around the gate: many attempts, as root and as a user
    Bypass,
    /// A disk, and systemd: the Debian package on a machine
    Service,
    /// A disk, and whether the gate loads, denies and holds at all
    Smoke,
}

impl Lane {
    /// Those that are booted if none is asked for.
    pub(super) fn of(arch: Arch, full: bool) -> &'static [Self] {
        match arch {
            Arch::Amd64 => &[
                Self::Hold,
                Self::Bypass,
                Self::Service,
                Self::Subjects,
                Self::Plain,
                Self::Overlay,
                Self::Stress,
                Self::Smoke,
            ],
            Arch::Arm64 if full => &[Self::Smoke, Self::Plain],
            Arch::Arm64 => &[Self::Smoke],
        }
    }

    /// As on the command line, here and in the guest.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Overlay => "overlay",
            Self::Hold => "hold",
            Self::Subjects => "subjects",
            Self::Stress => "stress",
            Self::Bypass => "bypass",
            Self::Service => "service",
            Self::Smoke => "smoke",
        }
    }

    pub(super) fn root(self) -> Root {
        match self {
            Self::Overlay => Root::Overlay,
            Self::Plain
            | Self::Hold
            | Self::Bypass
            | Self::Service
            | Self::Subjects
            | Self::Smoke
            | Self::Stress => Root::Plain,
        }
    }

    pub(super) fn append(self) -> &'static str {
        match self {
            Self::Stress => "preempt=full",
            Self::Plain
            | Self::Hold
            | Self::Bypass
            | Self::Service
            | Self::Subjects
            | Self::Smoke
            | Self::Overlay => "",
        }
    }

    /// The guest tests' role: whether they are process 1's child, or the service manager's.
    pub(super) fn role(self) -> &'static str {
        if self == Self::Service { "serve" } else { "run" }
    }

    /// Whether the lane is booted on that kernel if none is asked for: on x86-64, for every change.
    pub(super) fn is_usual(self, arch: Arch, series: &str) -> bool {
        match self {
            _ if arch == Arch::Arm64 => series == ONE_SERIES,
            Self::Plain => series == OLDEST || series == NEWEST,
            Self::Hold | Self::Bypass => series == OLDEST,
            // On overlayfs, with files that back others (6.5).
            Self::Overlay | Self::Subjects | Self::Service | Self::Stress => series == ONE_SERIES,
            Self::Smoke => series == BETWEEN,
        }
    }
}
