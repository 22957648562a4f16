//! The guests' disk: real programs of Debian 13, unpacked without running a package's scripts.
//!
//! The image is only read: guests get a throw-away copy-on-write view of it. What packages'
//! scripts would have made is made here by hand, so far as the programs need it.

use super::archive::{Archive, OVERRIDE};
use crate::arch::Arch;
use crate::{paths, shell};
use anyhow::{Context, Result};
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

const RELEASE: &str = "trixie";
const PACKAGES: &[&str] = &[
    "attr",
    "base-files",
    "base-passwd",
    "bash",
    "ca-certificates",
    "coreutils",
    "curl",
    "dash",
    "diffutils",
    "dpkg",
    "e2fsprogs",
    "findutils",
    "git",
    "grep",
    "gzip",
    "hostname",
    "iproute2",
    "libc-bin",
    "login",
    "make",
    "mawk",
    "mount",
    "ncurses-base",
    "nodejs",
    "openssh-client",
    "passwd",
    "patch",
    "procps",
    "python3",
    "rsync",
    "sed",
    "stress-ng",
    "sudo",
    "systemd",
    "tar",
    "tmux",
    "util-linux",
];
/// Goes up when the hand-made part changes.
const RECIPE: u32 = 4;
/// Weight without use in a guest.
const DROPPED: &[&str] =
    &["usr/share/doc", "usr/share/info", "usr/share/locale", "usr/share/man", "usr/share/lintian"];
const SIZE: &str = "1G";

/// The image, from the cache or made now.
pub(crate) fn ensure(archive: &mut Archive, arch: Arch) -> Result<PathBuf> {
    if let Ok(given) = std::env::var(OVERRIDE) {
        let image = Path::new(&given).join(arch.own("rootfs") + ".ext4");
        if image.is_file() {
            return Ok(image);
        }
    }
    let mut hasher = DefaultHasher::new();
    (RELEASE, PACKAGES, RECIPE, DROPPED, SIZE).hash(&mut hasher);
    let folder = paths::cache()?.join(arch.own("rootfs"));
    let image = folder.join(format!("{:016x}.ext4", hasher.finish()));
    if image.is_file() {
        return Ok(image);
    }
    let scratch = folder.join(format!(".{}", std::process::id()));
    let _ = fs::remove_dir_all(&scratch);
    let tree = scratch.join("tree");
    fs::create_dir_all(&tree).with_context(|| format!("cannot make `{}`", tree.display()))?;
    let packages = scratch.join("packages");
    shell::step("fetching the guests' programs (python3, git, curl, bash, nodejs ...)", || {
        archive.closure(RELEASE, PACKAGES, &packages)
    })?;
    shell::step("making the guests' root filesystem", || {
        unpack(&packages, &tree)?;
        finish(&tree, arch)?;
        let made = scratch.join("rootfs.ext4");
        pack(&tree, &made)?;
        fs::rename(made, &image).context("cannot put the image into the cache")
    })?;
    fs::remove_dir_all(&scratch)?;
    // Images of older recipes; a guest that still runs from one keeps it until it ends.
    for entry in fs::read_dir(&folder)? {
        let other = entry?.path();
        if other != image && other.extension().is_some_and(|extension| extension == "ext4") {
            fs::remove_file(other)?;
        }
    }
    Ok(image)
}

fn unpack(packages: &Path, tree: &Path) -> Result<()> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(packages)?.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    // base-files first: it brings /bin -> usr/bin and its like, which the others write through.
    files.sort_by_key(|file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        (!name.starts_with("base-files_"), name)
    });
    for file in files {
        if file.extension().is_some_and(|extension| extension == "deb") {
            shell::output(Command::new("dpkg-deb").arg("-x").arg(&file).arg(tree))?;
        }
    }
    for dropped in DROPPED {
        let _ = fs::remove_dir_all(tree.join(dropped));
    }
    Ok(())
}

/// What the packages' scripts would have done.
fn finish(tree: &Path, arch: Arch) -> Result<()> {
    let write = |file: &str, mode: u32, text: &str| -> Result<()> {
        let file = tree.join(file);
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&file, text).with_context(|| format!("cannot write `{}`", file.display()))?;
        Ok(fs::set_permissions(&file, fs::Permissions::from_mode(mode))?)
    };
    let read = |file: &str| {
        fs::read_to_string(tree.join(file)).with_context(|| format!("no `{file}` in the packages"))
    };
    for folder in
        ["dev", "proc", "sys", "run", "tmp", "root", "home", "mnt", "opt", "var/tmp", "var/log"]
    {
        fs::create_dir_all(tree.join(folder))?;
    }
    for folder in ["tmp", "var/tmp"] {
        fs::set_permissions(tree.join(folder), fs::Permissions::from_mode(0o1777))?;
    }
    fs::set_permissions(tree.join("root"), fs::Permissions::from_mode(0o700))?;
    let users = read("usr/share/base-passwd/passwd.master")?;
    write("etc/passwd", 0o644, &format!("{users}agent:x:1000:1000:agent:/home/agent:/bin/bash\n"))?;
    let groups = read("usr/share/base-passwd/group.master")?;
    write("etc/group", 0o644, &format!("{groups}agent:x:1000:\n"))?;
    write("etc/shadow", 0o640, "root:*:20000:0:99999:7:::\nagent:*:20000:0:99999:7:::\n")?;
    // Without one the service manager takes each boot for the first, and enables what it finds.
    write("etc/machine-id", 0o444, "00000000000000000000000000000001\n")?;
    write("etc/hostname", 0o644, "guest\n")?;
    write("etc/hosts", 0o644, "127.0.0.1 localhost guest\n::1 localhost\n")?;
    write("etc/resolv.conf", 0o644, "")?;
    write(
        "etc/nsswitch.conf",
        0o644,
        "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n",
    )?;
    write("etc/fstab", 0o644, "")?;
    for file in ["status", "available"] {
        write(&format!("var/lib/dpkg/{file}"), 0o644, "")?;
    }
    for folder in ["info", "updates", "triggers"] {
        fs::create_dir_all(tree.join("var/lib/dpkg").join(folder))?;
    }
    // A sudo that would work is the only one whose denial shows something.
    write("etc/sudoers.d/agent", 0o440, "agent ALL=(ALL) NOPASSWD: ALL\n")?;
    for kind in ["auth", "account", "session", "session-noninteractive", "password"] {
        let stack = kind.split('-').next().unwrap_or(kind);
        write(
            &format!("etc/pam.d/common-{kind}"),
            0o644,
            &format!("{stack} required pam_permit.so\n"),
        )?;
    }
    write("etc/ssl/certs/ca-certificates.crt", 0o644, &certificates(tree)?)?;
    write("etc/gitconfig", 0o644, "[user]\n\tname = Agent\n\temail = agent@guest\n")?;
    let awk = tree.join("usr/bin/awk");
    if !awk.exists() {
        symlink("mawk", awk)?;
    }
    if arch != Arch::Amd64 {
        // The programs below are the tree's own, or must know its libraries. Without them a start takes longer.
        return Ok(());
    }
    shell::output(&mut as_root("ldconfig", &[Path::new("-r"), tree]))?;
    // Installed pythons have their modules compiled: a first import writes nothing and is fast.
    let compile = "import compileall, sysconfig\n\
                   compileall.compile_dir(sysconfig.get_path('stdlib'), quiet=2)";
    let arguments = [tree, Path::new("/usr/bin/python3"), Path::new("-c"), Path::new(compile)];
    shell::output(&mut as_root("chroot", &arguments))?;
    Ok(())
}

fn certificates(tree: &Path) -> Result<String> {
    let folder = tree.join("usr/share/ca-certificates/mozilla");
    let mut files: Vec<PathBuf> =
        fs::read_dir(&folder)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    files.iter().map(|file| Ok(fs::read_to_string(file)?)).collect()
}

fn pack(tree: &Path, image: &Path) -> Result<()> {
    // No journal: nothing survives the guest, and the writes would cost emulated time.
    let options = ["-q", "-F", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-L", "guest", "-d"];
    let mut arguments: Vec<&Path> = options.iter().map(Path::new).collect();
    arguments.extend([tree, image, Path::new(SIZE)]);
    shell::output(&mut as_root("mkfs.ext4", &arguments))?;
    Ok(())
}

/// A program that sees the unpacked files as root's, also where an ordinary user unpacked them.
fn as_root(name: &str, arguments: &[&Path]) -> Command {
    let program = paths::program(name).unwrap_or_else(|| PathBuf::from(name));
    let root = shell::output(Command::new("id").arg("-u")).is_ok_and(|uid| uid.trim() == "0");
    let mut command = match root {
        true => Command::new(program),
        false => {
            let mut command = Command::new("unshare");
            command.arg("--map-root-user").arg("--").arg(program);
            command
        }
    };
    command.args(arguments);
    command
}
