//! Stock kernels for the guests: of each series the newest cloud kernel that Debian holds.
//!
//! A cached kernel has the modules that guests need, unpacked and in load order, and a short text
//! that says what it is. A folder is complete or it is not there.

use super::archive::{Archive, OVERRIDE};
use crate::arch::Arch;
use crate::{paths, shell};
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Modules that a guest loads at boot, if the kernel has not built them in: its disk, overlayfs,
/// and what tests use.
const MODULES: &[&str] = &[
    "virtio_pci",
    "virtio_blk",
    "overlay",
    "loop",
    "fuse",
    "dummy",
    "veth",
    "tun",
    "vsock",
    "vsock_loopback",
    "binfmt_misc",
];
/// Goes up when what is kept of a kernel package changes.
const RECIPE: &str = "1";

/// A series, for one architecture.
#[derive(Clone, Copy)]
struct Series<'a> {
    arch: Arch,
    name: &'a str,
}

impl Series<'_> {
    /// Where all series of the architecture are.
    fn all(self) -> Result<PathBuf> {
        Ok(paths::cache()?.join(self.arch.own("kernels")))
    }

    fn folder(self) -> Result<PathBuf> {
        Ok(self.all()?.join(self.name))
    }

    /// What the names of its packages have.
    fn flavour(self) -> String {
        format!("-cloud-{}", self.arch.debian())
    }
}

/// A kernel in the cache.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    pub(crate) arch: Arch,
    pub(crate) series: String,
    pub(crate) release: String,
    pub(crate) package: String,
    pub(crate) image: PathBuf,
    /// In the order in which they can be loaded.
    pub(crate) modules: Vec<PathBuf>,
}

impl Kernel {
    /// Reads what `keep` wrote.
    fn cached(series: Series<'_>) -> Result<Option<Self>> {
        let folder = series.folder()?;
        let Ok(text) = fs::read_to_string(folder.join("kernel.txt")) else { return Ok(None) };
        let all = |key: &str| -> Vec<String> {
            text.lines().filter_map(|line| line.strip_prefix(key)).map(str::to_owned).collect()
        };
        if all("recipe ") != [RECIPE] {
            return Ok(None);
        }
        let first = |key| all(key).into_iter().next().unwrap_or_default();
        Ok(Some(Self {
            arch: series.arch,
            series: series.name.to_owned(),
            release: first("release "),
            package: first("package "),
            image: folder.join("vmlinuz"),
            modules: all("module ").iter().map(|name| folder.join(name)).collect(),
        }))
    }
}

/// All series, from the cache or from the archive.
pub(crate) fn ensure(archive: &mut Archive, arch: Arch, refresh: bool) -> Result<Vec<Kernel>> {
    let mut gone = Vec::new();
    let mut kernels = Vec::new();
    for name in arch.series() {
        let series = Series { arch, name };
        let cached = Kernel::cached(series)?;
        let kernel = match cached {
            Some(kernel) if !refresh => Some(kernel),
            cached => fetch(archive, series, cached)?,
        };
        match kernel {
            Some(kernel) => kernels.push(kernel),
            None => gone.push(*name),
        }
    }
    if !gone.is_empty() {
        bail!(
            "no cloud kernel of series {} for {} in {}: set {OVERRIDE} to a folder or a Debian mirror that \
             has one",
            gone.join(", "),
            arch.debian(),
            std::env::var(OVERRIDE).map_or("the archive".to_owned(), |given| format!("`{given}`")),
        );
    }
    Ok(kernels)
}

fn fetch(
    archive: &mut Archive,
    series: Series<'_>,
    cached: Option<Kernel>,
) -> Result<Option<Kernel>> {
    let given = std::env::var(OVERRIDE).ok().filter(|given| !given.contains("://"));
    if let Some(given) = given {
        return from_folder(series, Path::new(&given));
    }
    let mut candidates = candidates(archive, series)?;
    if candidates.is_empty() && archive.widen()? {
        candidates = self::candidates(archive, series)?;
    }
    for (version, image) in candidates {
        let package = format!("{image} {version}");
        if let Some(cached) = &cached
            && cached.package == package
        {
            return Ok(Some(cached.clone()));
        }
        let what = format!("fetching kernel {} ({package})", series.name);
        let fetched = shell::step(&what, || {
            let scratch = scratch(series)?;
            let mut packages = archive.depends(&image)?;
            // From 7.x on the image package is empty and these hold its content.
            packages.retain(|name| {
                name.starts_with("linux-binary-") || name.starts_with("linux-modules-")
            });
            packages.push(image.clone());
            archive.download(&packages, &scratch)?;
            keep(series, &package, &scratch)
        });
        match fetched {
            Ok(kernel) => return Ok(Some(kernel)),
            Err(error) => {
                eprintln!("    `{package}` cannot be had, trying an older one: {error:#}")
            }
        }
    }
    Ok(cached)
}

/// The image packages of a series with their versions, newest first.
fn candidates(archive: &mut Archive, series: Series<'_>) -> Result<Vec<(String, String)>> {
    let mut candidates: Vec<(String, String)> = Vec::new();
    let flavour = series.flavour();
    for name in archive.names(&format!("linux-image-{}.", series.name))? {
        if !name.strip_suffix("-unsigned").unwrap_or(&name).ends_with(&flavour) {
            continue;
        }
        let Some(version) = archive.version(&name)? else { continue };
        let mut place = candidates.len();
        for (at, (other, signed)) in candidates.iter().enumerate() {
            let newer = newer(&version, other)?;
            if newer || (version == *other && signed.ends_with("-unsigned")) {
                place = at;
                break;
            }
        }
        candidates.insert(place, (version, name));
    }
    Ok(candidates)
}

fn newer(this: &str, other: &str) -> Result<bool> {
    let status = Command::new("dpkg")
        .args(["--compare-versions", this, "gt", other])
        .status()
        .context("cannot start `dpkg`")?;
    Ok(status.success())
}

/// A kernel out of package files that somebody put into a folder.
fn from_folder(series: Series<'_>, given: &Path) -> Result<Option<Kernel>> {
    let entries = fs::read_dir(given)
        .with_context(|| format!("cannot read the folder `{}` of {OVERRIDE}", given.display()))?;
    let scratch = scratch(series)?;
    let mut image = None;
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let parts = ["linux-image-", "linux-binary-", "linux-modules-"];
        let of_series =
            parts.iter().any(|part| name.starts_with(&format!("{part}{}.", series.name)));
        if of_series && name.contains(&series.flavour()) && name.ends_with(".deb") {
            fs::copy(&path, scratch.join(&name))?;
            if name.starts_with("linux-image-") {
                image = Some(name);
            }
        }
    }
    image.map(|image| keep(series, &image, &scratch)).transpose()
}

/// An empty folder for one series' packages.
fn scratch(series: Series<'_>) -> Result<PathBuf> {
    let scratch = series.all()?.join(format!(".{}.{}", series.name, std::process::id()));
    let _ = fs::remove_dir_all(&scratch);
    fs::create_dir_all(&scratch).with_context(|| format!("cannot make `{}`", scratch.display()))?;
    Ok(scratch)
}

/// Unpacks the packages in `scratch` and puts what guests need into the cache.
fn keep(series: Series<'_>, package: &str, scratch: &Path) -> Result<Kernel> {
    let tree = scratch.join("tree");
    for entry in fs::read_dir(scratch)? {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "deb") {
            shell::output(Command::new("dpkg-deb").arg("-x").arg(&file).arg(&tree))?;
        }
    }
    let mut files = Vec::new();
    walk(&tree, &mut files)?;
    let image = files
        .iter()
        .find(|file| named(file).starts_with("vmlinuz"))
        .with_context(|| format!("`{package}` holds no kernel image"))?;
    let modules: BTreeMap<String, &PathBuf> =
        files.iter().filter_map(|file| Some((module_name(file)?, file))).collect();
    let release = files
        .iter()
        .find_map(|file| {
            let mut parts = file.components().skip_while(|part| part.as_os_str() != "modules");
            parts.nth(1).map(|release| release.as_os_str().to_string_lossy().into_owned())
        })
        .with_context(|| format!("`{package}` holds no modules"))?;
    let kept = scratch.join("kept");
    fs::create_dir(&kept)?;
    fs::copy(image, kept.join("vmlinuz"))?;
    let mut text = format!("recipe {RECIPE}\nrelease {release}\npackage {package}\n");
    let mut order = Vec::new();
    for name in MODULES {
        place(name, &modules, &kept, &mut order)?;
    }
    order.iter().for_each(|name| text.push_str(&format!("module {name}.ko\n")));
    fs::write(kept.join("kernel.txt"), text)?;
    let folder = series.folder()?;
    let _ = fs::remove_dir_all(&folder);
    fs::rename(&kept, &folder)?;
    fs::remove_dir_all(scratch)?;
    Kernel::cached(series)?.context("the kernel just kept cannot be read back")
}

/// Puts a module's dependencies, then the module, into `kept`. A module that has no file is built in.
fn place(
    name: &str,
    modules: &BTreeMap<String, &PathBuf>,
    kept: &Path,
    order: &mut Vec<String>,
) -> Result<()> {
    let Some(file) = modules.get(name) else { return Ok(()) };
    if order.iter().any(|placed| placed == name) {
        return Ok(());
    }
    let content = match file.extension().is_some_and(|extension| extension == "xz") {
        true => {
            Command::new("xz").arg("-dc").arg(file).output().context("cannot start `xz`")?.stdout
        }
        false => fs::read(file)?,
    };
    for dependency in dependencies(&content) {
        place(&dependency, modules, kept, order)?;
    }
    fs::write(kept.join(format!("{name}.ko")), content)?;
    order.push(name.to_owned());
    Ok(())
}

/// The modules that a module names in its own header.
fn dependencies(module: &[u8]) -> Vec<String> {
    let key = b"\0depends=";
    let Some(at) = module.windows(key.len()).position(|window| window == key) else {
        return Vec::new();
    };
    let value = module.get(at + key.len()..).unwrap_or_default();
    let value = value.split(|byte| *byte == 0).next().unwrap_or_default();
    let names = String::from_utf8_lossy(value);
    names.split(',').filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect()
}

fn named(file: &Path) -> std::borrow::Cow<'_, str> {
    file.file_name().unwrap_or_default().to_string_lossy()
}

fn module_name(file: &Path) -> Option<String> {
    let name = named(file);
    let name = name.strip_suffix(".ko").or_else(|| name.strip_suffix(".ko.xz"))?;
    Some(name.replace('-', "_"))
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => walk(&entry.path(), files)?,
            false => files.push(entry.path()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::dependencies;

    #[test]
    fn a_module_names_its_dependencies_in_its_header() {
        let module = b"\x7fELF\0license=GPL\0depends=vsock,crc-itu-t\0name=x\0";
        assert_eq!(dependencies(module), ["vsock", "crc_itu_t"]);
        assert!(dependencies(b"\0depends=\0name=x\0").is_empty());
    }
}
