//! `cargo xtask dist`: a Debian package of the daemon, the tool, units, policies, pages and completions.
//!
//! Owns what lies where on an installed machine. The same sources give the same package: times are the last
//! commit's.

use crate::arch::Arch;
use crate::{build, paths, setup, shell};
use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Folder that the package is written to
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// For machines of this architecture
    #[arg(long, value_enum, default_value_t)]
    arch: Arch,
}

const NAME: &str = "execlayer";
const VERSION: &str = env!("CARGO_PKG_VERSION");
const UNITS: &[&str] = &[
    "execlayerd.service",
    "execlayer@.service",
    "execlayer-export.service",
    "execlayer-api.service",
];
/// What the daemon's executable does, what that is, and the word for it.
const ROLES: &[(&str, &str, &[&str])] = &[
    ("execlayerd", "enforces policies on agents, in the kernel", &[]),
    ("execlayerd-export", "sends the audit trail to where it is wanted", &["export"]),
    ("execlayerd-api", "judges agents that ask before they act", &["api"]),
];
const SCRIPTS: &[&str] = &["postinst", "prerm", "postrm"];
const SHELLS: &[(&str, &str)] = &[
    ("bash", "usr/share/bash-completion/completions/execlayer"),
    ("zsh", "usr/share/zsh/vendor-completions/_execlayer"),
    ("fish", "usr/share/fish/vendor_completions.d/execlayer.fish"),
];
const DESCRIPTION: &str = "system call gate for AI agents
 Judges every exec, file access and connection of an agent's processes in the
 kernel (BPF LSM) by a signed policy, holds calls that a policy asks about until
 somebody answers, and writes down what was denied. Needs Linux 6.1 or later,
 on arm64 6.4.";

pub(crate) fn verb(arguments: &Arguments) -> Result<()> {
    let built = build::all(setup::toolchain()?, arguments.arch, None)?;
    let output = arguments.output.clone().unwrap_or_else(|| paths::target().join("dist"));
    println!("{}", package(&built, &output)?.display());
    Ok(())
}

/// The package's file, from what was built.
pub(crate) fn package(built: &build::Built, output: &Path) -> Result<PathBuf> {
    // Pages and completions are what the programs say of themselves; those of another architecture cannot here.
    let speaks = match built.arch {
        Arch::Amd64 => built,
        Arch::Arm64 => &build::all(setup::toolchain()?, Arch::Amd64, None)?,
    };
    shell::step("packing the Debian package", || {
        fs::create_dir_all(output)?;
        let tree = output.join(format!(".{NAME}-tree"));
        if tree.exists() {
            fs::remove_dir_all(&tree)?;
        }
        fill(&tree, built, speaks)?;
        control(&tree, built.arch)?;
        let pages = tree.join("usr/share/man/man1");
        settle_modes(&tree, &pages)?;
        let file = output.join(format!("{NAME}_{VERSION}_{}.deb", built.arch.debian()));
        let mut pack = Command::new("dpkg-deb");
        pack.args(["--root-owner-group", "-Zxz", "--build"]).arg(&tree).arg(&file);
        shell::output(pack.env("SOURCE_DATE_EPOCH", last_commit()?))?;
        fs::remove_dir_all(&tree)?;
        Ok(file)
    })
}

/// Everything that lies on an installed machine; `speaks` are the same programs for this one.
fn fill(tree: &Path, built: &build::Built, speaks: &build::Built) -> Result<()> {
    put(tree, &built.daemon, "usr/sbin/execlayerd", 0o755)?;
    put(tree, &built.tool, "usr/bin/execlayer", 0o755)?;
    let sources = paths::workspace().join("dist");
    for unit in UNITS {
        put(tree, &sources.join(unit), &format!("usr/lib/systemd/system/{unit}"), 0o644)?;
    }
    for kind in ["sysusers", "tmpfiles"] {
        let place = format!("usr/lib/{kind}.d/{NAME}.conf");
        put(tree, &sources.join(format!("{kind}.conf")), &place, 0o644)?;
    }
    put(tree, &sources.join("deb/copyright"), "usr/share/doc/execlayer/copyright", 0o644)?;
    let policies = paths::workspace().join("policies");
    for policy in ["baseline/linux-dev", "coding-agent"] {
        let from = policies.join(policy).join("policy.toml");
        put(tree, &from, &format!("usr/share/execlayer/policies/{policy}/policy.toml"), 0o644)?;
    }
    let pages = tree.join("usr/share/man/man1");
    fs::create_dir_all(&pages)?;
    shell::output(Command::new(&speaks.tool).arg("man").arg(&pages))?;
    for page in fs::read_dir(&pages)? {
        pack_page(&page?.path())?;
    }
    for (name, summary, role) in ROLES {
        let page = tree.join(format!("usr/share/man/man8/{name}.8"));
        let help = shell::output(Command::new(&speaks.daemon).args(*role).arg("--help"))?;
        write(&page, &daemon_page(name, summary, &help), 0o644)?;
        pack_page(&page)?;
    }
    for (name, place) in SHELLS {
        let script = shell::output(Command::new(&speaks.tool).args(["completions", name]))?;
        write(&tree.join(place), &script, 0o644)?;
    }
    Ok(())
}

/// What dpkg reads.
fn control(tree: &Path, arch: Arch) -> Result<()> {
    let folder = tree.join("DEBIAN");
    let text = format!(
        "Package: {NAME}\nVersion: {VERSION}\nArchitecture: {}\nSection: admin\n\
         Priority: optional\nMaintainer: the ExecLayer authors <root@localhost>\n\
         Installed-Size: {}\nDescription: {DESCRIPTION}\n",
        arch.debian(),
        size(tree)?.div_ceil(1_024),
    );
    write(&folder.join("control"), &text, 0o644)?;
    for script in SCRIPTS {
        let from = paths::workspace().join("dist/deb").join(script);
        put(tree, &from, &format!("DEBIAN/{script}"), 0o755)?;
    }
    Ok(())
}

/// The daemon has no commands: what it says of its options is its page.
fn daemon_page(name: &str, summary: &str, help: &str) -> String {
    let escape = |line: &str| {
        let line = line.replace('\\', "\\e").replace('-', "\\-");
        if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line }
    };
    let lines: Vec<String> = help.lines().map(escape).collect();
    format!(
        ".TH {name} 8 \"\" \"execlayer {VERSION}\"\n.SH NAME\n{} \\- {summary}\n.SH DESCRIPTION\n.nf\n{}\n\
         .fi\n.SH SEE ALSO\nexeclayer(1)\n",
        escape(name),
        lines.join("\n")
    )
}

fn pack_page(page: &Path) -> Result<()> {
    // Without a name and a time in it, so that the bytes are the same every time.
    shell::output(Command::new("gzip").args(["-9", "-n", "-f"]).arg(page)).map(|_nothing| ())
}

fn last_commit() -> Result<String> {
    let mut git = Command::new("git");
    git.arg("-C").arg(paths::workspace()).args(["log", "-1", "--format=%ct"]);
    Ok(shell::output(&mut git)?.trim().to_owned())
}

/// Whatever the umask of whoever builds is. `pages` were written by others.
fn settle_modes(folder: &Path, pages: &Path) -> Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            settle_modes(&path, pages)?;
        } else if path.starts_with(pages) {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
        }
    }
    Ok(())
}

fn size(folder: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        sum += if metadata.is_dir() { size(&entry.path())? } else { metadata.len() };
    }
    Ok(sum)
}

fn put(tree: &Path, from: &Path, place: &str, mode: u32) -> Result<()> {
    let bytes = fs::read(from).with_context(|| format!("cannot read `{}`", from.display()))?;
    write_bytes(&tree.join(place), &bytes, mode)
}

fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    write_bytes(path, text.as_bytes(), mode)
}

fn write_bytes(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let folder = path.parent().context("a file without a folder")?;
    fs::create_dir_all(folder)?;
    fs::write(path, bytes).with_context(|| format!("cannot write `{}`", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok(())
}
