//! Lanes: the kinds of guest that the tests are booted in.

use super::Root;

/// The one kernel on which `service`, `stress` and `subjects` run for every change.
pub(super) const ONE_SERIES: &str = "6.12";
/// The one on which `hold` and `bypass` do: they take long. The oldest has the strictest verifier, and
/// the fewest hooks.
const OLDEST: &str = "6.1";

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
}

impl Lane {
    pub(super) const ALL: &[Self] = &[
        Self::Hold,
        Self::Bypass,
        Self::Service,
        Self::Subjects,
        Self::Plain,
        Self::Overlay,
        Self::Stress,
    ];

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
            | Self::Overlay => "",
        }
    }

    /// The guest tests' role: whether they are process 1's child, or the service manager's.
    pub(super) fn role(self) -> &'static str {
        if self == Self::Service { "serve" } else { "run" }
    }

    /// Whether every change is tested on that kernel.
    pub(super) fn is_for_every_change(self, series: &str) -> bool {
        match self {
            Self::Plain | Self::Overlay => true,
            Self::Hold | Self::Bypass => series == OLDEST,
            Self::Subjects | Self::Service | Self::Stress => series == ONE_SERIES,
        }
    }
}
