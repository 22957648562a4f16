//! Looks at the running kernel: can it enforce, and what does this build need to know about it?
//! Changes nothing but one thing: a service mounts bpffs where it belongs if nobody did.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use execlayer_common::fields::FIELDS;

use super::btf::{BtfError, Types};

const BTF: &str = "/sys/kernel/btf/vmlinux";
const LSM: &str = "/sys/kernel/security/lsm";
const LOCKDOWN: &str = "/sys/kernel/security/lockdown";
const OS_RELEASE: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];
/// The first series whose hooks, helpers and verifier were tried. KERNEL: arm64 has the trampolines that LSM
/// programs are attached with from 6.4 on (DYNAMIC_FTRACE_WITH_DIRECT_CALLS, arch/arm64/Kconfig).
const OLDEST: (u32, u32) = if cfg!(target_arch = "aarch64") { (6, 4) } else { (6, 1) };
// KERNEL: BPF_FS_MAGIC, include/uapi/linux/magic.h.
// The type of what it is compared with differs between C libraries.
const BPFFS_MAGIC: i128 = 0xcafe_4a11;

/// Why this kernel cannot enforce.
#[derive(Debug, thiserror::Error)]
pub enum FeatureError {
    /// Not root.
    #[error("loading kernel programs needs root")]
    NotRoot,
    /// `uname` makes no sense.
    #[error("cannot tell the kernel's release from `{0}`")]
    Release(String),
    /// Older than what was tried.
    #[error("kernel {0} is too old ({oldest} or later is needed)", oldest = oldest())]
    TooOld(String),
    /// securityfs is not there.
    #[error(
        "`{LSM}` is not there: securityfs is not mounted, so it cannot be seen whether BPF LSM is active"
    )]
    NoSecurityFs,
    /// The programs would attach and never be called.
    #[error("BPF LSM is not active on this kernel (active: {active})")]
    LsmInactive {
        /// The active list.
        active: String,
        /// What to do on this distribution.
        help: String,
    },
    /// Lockdown takes the helper that reads kernel memory away.
    #[error(
        "the kernel is locked down for confidentiality, so programs cannot read what they judge"
    )]
    Confidentiality,
    /// No type information.
    #[error("`{BTF}` is not there: this kernel is built without CONFIG_DEBUG_INFO_BTF")]
    NoBtf,
    /// Broken type information.
    #[error(transparent)]
    Btf(#[from] BtfError),
    /// A field is missing: exit code of its own.
    #[error("structure `{structure}` of kernel {release} has no field `{member}`")]
    Field {
        /// Structure tag.
        structure: &'static str,
        /// The names that were looked for.
        member: String,
        /// The running kernel.
        release: String,
    },
    /// cgroup2 is nowhere.
    #[error("no cgroup2 file system is mounted")]
    NoCgroup2,
    /// bpffs cannot be had.
    #[error("no bpf file system is mounted at `{}`", .0.display())]
    NoBpffs(PathBuf),
    /// Something could not be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl FeatureError {
    /// What to change, if that can be said.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        Some(
            match self {
                Self::LsmInactive { help, .. } => return Some(help.clone()),
                Self::NotRoot => "start it as root, for example by its service or with sudo",
                Self::TooOld(_) => "boot a newer kernel of this distribution",
                Self::NoSecurityFs => "mount -t securityfs securityfs /sys/kernel/security",
                Self::Confidentiality => {
                    "boot with lockdown=integrity or without lockdown= on the kernel command line"
                }
                Self::NoBtf => {
                    "boot a kernel with CONFIG_DEBUG_INFO_BTF=y, such as the distribution's own"
                }
                Self::NoCgroup2 => "mount -t cgroup2 cgroup2 /sys/fs/cgroup",
                Self::NoBpffs(_) => "mount -t bpf bpf /sys/fs/bpf",
                Self::Field { .. } => {
                    "report the kernel's release: this version does not support it"
                }
                Self::Release(_) | Self::Btf(_) | Self::Read { .. } => return None,
            }
            .to_owned(),
        )
    }
}

/// What was found.
#[derive(Debug)]
pub struct Features {
    /// Release of the running kernel.
    pub release: String,
    /// Byte offsets of [`FIELDS`], in their order.
    pub offsets: Vec<u32>,
    /// Offset in the file of a layer of the overlay's path.
    pub backing_path: u32,
    /// Whether a super block's mounts point to one another.
    pub mounts_point: u32,
    /// Arguments of `inode_setattr`, the one hook whose arguments differ and matter.
    pub setattr_arguments: usize,
    /// Major and minor number of the kernel's series.
    pub series: (u32, u32),
    /// Where cgroup2 is mounted.
    pub cgroup_root: PathBuf,
}

/// Looks at everything. `cgroup_root` is used instead of a search if it is given.
///
/// # Errors
///
/// The first thing without which nothing could be enforced.
pub fn probe(cgroup_root: Option<&Path>) -> Result<Features, FeatureError> {
    if !nix::unistd::geteuid().is_root() {
        return Err(FeatureError::NotRoot);
    }
    let release = release()?;
    let series = series(&release)?;
    if series < OLDEST {
        return Err(FeatureError::TooOld(release));
    }
    lsm_is_active(&read_lsm()?, &os_release())?;
    if fs::read_to_string(LOCKDOWN).is_ok_and(|text| text.contains("[confidentiality]")) {
        return Err(FeatureError::Confidentiality);
    }
    let cgroup_root = match cgroup_root {
        Some(path) => path.to_owned(),
        None => cgroup2(&read("/proc/self/mountinfo")?).ok_or(FeatureError::NoCgroup2)?,
    };
    let bytes = fs::read(BTF).map_err(|_unreadable| FeatureError::NoBtf)?;
    let types = Types::parse(&bytes)?;
    let offsets = offsets(&types, &release)?;
    let missing = |structure: &'static str, member: &str| FeatureError::Field {
        structure,
        member: member.to_owned(),
        release: release.clone(),
    };
    let (structure, member) = match types.has_structure("backing_file")? {
        true => ("backing_file", "user_path"),
        false => ("file", "f_path"),
    };
    let backing_path =
        types.offset(structure, member)?.ok_or_else(|| missing(structure, member))?;
    let mounts_point = u32::from(types.offset("mount", "mnt_next_for_sb")?.is_some());
    let setattr_arguments = match types.arguments("bpf_lsm_inode_setattr")? {
        Some(count @ (2 | 3)) => count,
        _ => return Err(missing("bpf_lsm_inode_setattr", "dentry")),
    };
    Ok(Features {
        release,
        offsets,
        backing_path,
        mounts_point,
        setattr_arguments,
        series,
        cgroup_root,
    })
}

/// Whether bpffs is mounted at `path`; mounts it if not, because only a service asks.
///
/// # Errors
///
/// If it is not there and cannot be mounted.
pub fn ensure_bpffs(path: &Path) -> Result<(), FeatureError> {
    let is_there = || {
        nix::sys::statfs::statfs(path)
            .is_ok_and(|found| i128::from(found.filesystem_type().0) == BPFFS_MAGIC)
    };
    if is_there() {
        return Ok(());
    }
    let flags = nix::mount::MsFlags::MS_NOSUID
        | nix::mount::MsFlags::MS_NODEV
        | nix::mount::MsFlags::MS_NOEXEC;
    let mounted = nix::mount::mount(Some("bpf"), path, Some("bpf"), flags, Some("mode=0700"));
    match mounted {
        Ok(()) if is_there() => Ok(()),
        _ => Err(FeatureError::NoBpffs(path.to_owned())),
    }
}

fn offsets(types: &Types<'_>, release: &str) -> Result<Vec<u32>, FeatureError> {
    let mut found = Vec::with_capacity(FIELDS.len());
    for field in FIELDS {
        let mut offset = None;
        for member in field.members {
            offset = types.offset(field.structure, member)?;
            if offset.is_some() {
                break;
            }
        }
        let offset = offset.ok_or_else(|| FeatureError::Field {
            structure: field.structure,
            member: field.members.join("` or `"),
            release: release.to_owned(),
        })?;
        found.push(offset);
    }
    Ok(found)
}

/// The first series that is supported, as `6.1`.
pub fn oldest() -> String {
    format!("{}.{}", OLDEST.0, OLDEST.1)
}

fn lsm_is_active(active: &str, os_release: &str) -> Result<(), FeatureError> {
    if active.split(',').any(|name| name == "bpf") {
        return Ok(());
    }
    let help = execlayer_api::remedy::enable_bpf_lsm(os_release, active);
    Err(FeatureError::LsmInactive { active: active.to_owned(), help })
}

fn read_lsm() -> Result<String, FeatureError> {
    match fs::read_to_string(LSM) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(FeatureError::NoSecurityFs),
        Err(source) => Err(FeatureError::Read { path: LSM.into(), source }),
    }
}

fn os_release() -> String {
    OS_RELEASE.iter().find_map(|path| fs::read_to_string(path).ok()).unwrap_or_default()
}

fn release() -> Result<String, FeatureError> {
    let name =
        nix::sys::utsname::uname().map_err(|error| FeatureError::Release(error.to_string()))?;
    Ok(name.release().to_string_lossy().into_owned())
}

fn series(release: &str) -> Result<(u32, u32), FeatureError> {
    let number = |text: &str| {
        let digits = text.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse().ok()
    };
    let mut parts = release.split('.').map(number);
    match (parts.next().flatten(), parts.next().flatten()) {
        (Some(major), Some(minor)) => Ok((major, minor)),
        _ => Err(FeatureError::Release(release.to_owned())),
    }
}

/// Mount point of the whole cgroup2 hierarchy in the text of mountinfo.
fn cgroup2(mountinfo: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let (root, point) = (mount.next()?, mount.next()?);
        let is_whole = root == "/" && file_system.split(' ').next() == Some("cgroup2");
        is_whole.then(|| PathBuf::from(point))
    })
}

fn read(path: &str) -> Result<String, FeatureError> {
    fs::read_to_string(path).map_err(|source| FeatureError::Read { path: path.into(), source })
}

#[cfg(test)]
mod tests {
    use super::{FeatureError, cgroup2, lsm_is_active, series};

    #[test]
    fn releases_of_distributions_are_read() {
        for (release, expected) in [
            ("6.1.0-47-cloud-amd64", (6, 1)),
            ("6.12.9+deb13-amd64", (6, 12)),
            ("7.3-rc1", (7, 3)),
            ("6.18.44-fc-v657", (6, 18)),
        ] {
            assert_eq!(series(release).unwrap(), expected, "{release}");
        }
        assert!(matches!(series("next"), Err(FeatureError::Release(_))));
    }

    #[test]
    fn bpf_must_be_a_whole_name_in_the_active_list() {
        assert!(lsm_is_active("lockdown,capability,bpf,landlock", "").is_ok());
        for active in ["", "lockdown,capability", "lockdown,bpfilter"] {
            let Err(FeatureError::LsmInactive { help, .. }) = lsm_is_active(active, "") else {
                panic!("`{active}` has no bpf");
            };
            assert!(help.contains("bpf"), "{help}");
        }
    }

    #[test]
    fn only_a_mount_of_the_whole_cgroup2_hierarchy_counts() {
        let text = "30 1 0:26 /part /mnt rw - cgroup2 cgroup2 rw\n\
                    41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:4 - cgroup2 cgroup2 rw\n";
        assert_eq!(cgroup2(text).unwrap().to_str(), Some("/sys/fs/cgroup/unified"));
        assert_eq!(cgroup2("30 1 0:26 / /mnt rw - cgroup cgroup rw\n"), None);
    }
}
