//! The architectures that programs are built for and guests have: what each is called by whom.

use clap::ValueEnum;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Arch {
    /// x86-64
    #[default]
    Amd64,
    /// 64-bit ARM
    Arm64,
}

impl Arch {
    /// As Debian names it.
    pub(crate) fn debian(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// The target with musl.
    pub(crate) fn musl(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-musl",
            Self::Arm64 => "aarch64-unknown-linux-musl",
        }
    }

    /// The series of kernels that guests run. KERNEL: on arm64, BPF LSM needs 6.4.
    pub(crate) fn series(self) -> &'static [&'static str] {
        match self {
            Self::Amd64 => &["6.1", "6.12", "6.18", "7.3"],
            Self::Arm64 => &["6.12", "6.18", "7.3"],
        }
    }

    /// The name of something that the architectures have each their own of.
    pub(crate) fn own(self, name: &str) -> String {
        match self {
            Self::Amd64 => name.to_owned(),
            Self::Arm64 => format!("{name}-arm64"),
        }
    }
}
