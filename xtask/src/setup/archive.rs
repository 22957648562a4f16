//! Debian's archive, read through apt with a configuration of our own.
//!
//! The machine's sources give the mirror and the keyring; the suites are ours. Nothing is
//! installed from here, and the machine's own lists and caches are not touched.

use crate::arch::Arch;
use crate::{paths, shell};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names a folder of kernel packages, or a Debian mirror, on hosts whose own sources are not Debian's.
pub(crate) const OVERRIDE: &str = "EXECLAYER_KERNELS";

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring";
const SUITES: &[&str] = &[
    "bookworm",
    "bookworm-updates",
    "bookworm-backports",
    "trixie",
    "trixie-updates",
    "trixie-backports",
];
const SECURITY_SUITES: &[&str] = &["bookworm-security", "trixie-security"];
/// Moves all the time, so it is read only for what is nowhere else.
const LAST_RESORT: &str = "sid";

/// A mirror as the machine's own sources name it.
struct Mirror {
    uri: String,
    signed_by: Option<String>,
}

/// The archive; its lists are fetched at the first question.
pub(crate) struct Archive {
    folder: PathBuf,
    arch: Arch,
    open: bool,
}

impl Archive {
    pub(crate) fn closed(arch: Arch) -> Result<Self> {
        Ok(Self { folder: paths::cache()?.join(arch.own("apt")), arch, open: false })
    }

    /// The packages whose name begins so.
    pub(crate) fn names(&mut self, prefix: &str) -> Result<Vec<String>> {
        let names = shell::output(self.apt("apt-cache")?.args(["pkgnames", prefix]))?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    /// The newest version of a package, if the archive holds one.
    pub(crate) fn version(&mut self, package: &str) -> Result<Option<String>> {
        let listed = shell::output(self.apt("apt-cache")?.args(["madison", package]))?;
        Ok(listed
            .lines()
            .next()
            .and_then(|line| line.split('|').nth(1))
            .map(|v| v.trim().to_owned()))
    }

    /// The packages that a package depends on directly.
    pub(crate) fn depends(&mut self, package: &str) -> Result<Vec<String>> {
        let listed =
            shell::output(self.apt("apt-cache")?.args(["depends", "--important", package]))?;
        Ok(listed
            .lines()
            .filter_map(|line| line.trim().strip_prefix("Depends: "))
            .map(str::to_owned)
            .collect())
    }

    /// Downloads packages into a folder, verified by apt against the signed lists.
    pub(crate) fn download(&mut self, packages: &[String], folder: &Path) -> Result<()> {
        shell::output(self.apt("apt-get")?.arg("download").args(packages).current_dir(folder))?;
        Ok(())
    }

    /// Downloads packages of one release with all that they need into a folder.
    pub(crate) fn closure(
        &mut self,
        release: &str,
        packages: &[&str],
        folder: &Path,
    ) -> Result<()> {
        let partial = folder.join("partial");
        fs::create_dir_all(&partial)
            .with_context(|| format!("cannot make `{}`", partial.display()))?;
        shell::output(
            self.apt("apt-get")?
                .args(["install", "--yes", "--download-only", "--no-install-recommends"])
                .arg("-o")
                .arg(format!("Dir::Cache::archives={}", folder.display()))
                .args(["-t", release])
                .args(packages),
        )?;
        Ok(())
    }

    /// Adds the suite of last resort. True if that may have brought something new.
    pub(crate) fn widen(&mut self) -> Result<bool> {
        eprintln!("    also looking in `{LAST_RESORT}`");
        self.update(true).map(|()| true)
    }

    fn apt(&mut self, program: &str) -> Result<Command> {
        if !self.open {
            shell::step("reading the package lists of Debian 12 and 13", || self.update(false))?;
            self.open = true;
        }
        Ok(self.command(program))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", self.folder.join("apt.conf")).env("LC_ALL", "C");
        command
    }

    fn update(&self, last_resort: bool) -> Result<()> {
        if paths::program("apt-get").is_none() {
            bail!(
                "no apt-get here to fetch Debian's kernels: set {OVERRIDE} to a folder with \
                 Debian's `linux-image-*-cloud-{}` packages",
                self.arch.debian()
            );
        }
        self.configure(last_resort)?;
        let update = shell::output(self.command("apt-get").arg("update"));
        if let Err(error) = update {
            // A mirror may lack single suites; what is missing in the end is reported by name.
            eprintln!("    warning: {error:#}");
        }
        Ok(())
    }

    fn configure(&self, last_resort: bool) -> Result<()> {
        for below in ["lists/partial", "archives/partial", "empty"] {
            let folder = self.folder.join(below);
            fs::create_dir_all(&folder)
                .with_context(|| format!("cannot make `{}`", folder.display()))?;
        }
        let write = |name: &str, text: String| {
            let file = self.folder.join(name);
            fs::write(&file, text).with_context(|| format!("cannot write `{}`", file.display()))
        };
        let (main, security) = mirrors()?;
        let suites = SUITES.iter().chain(last_resort.then_some(&LAST_RESORT));
        let sources = suites.map(|suite| source(&main, suite));
        let security = SECURITY_SUITES.iter().map(|suite| source(&security, suite));
        write("sources.list", sources.chain(security).collect())?;
        write("status", String::new())?;
        let own = self.folder.display();
        let arch = self.arch.debian();
        let mut configuration = format!(
            "Dir::Etc::main \"/dev/null\";\n\
             Dir::Etc::parts \"{own}/empty\";\n\
             Dir::Etc::preferences \"/dev/null\";\n\
             Dir::Etc::preferencesparts \"{own}/empty\";\n\
             Dir::Etc::sourcelist \"{own}/sources.list\";\n\
             Dir::Etc::sourceparts \"{own}/empty\";\n\
             Dir::State \"{own}\";\n\
             Dir::State::lists \"{own}/lists\";\n\
             Dir::State::status \"{own}/status\";\n\
             Dir::Cache \"{own}\";\n\
             Dir::Cache::archives \"{own}/archives\";\n\
             APT::Architecture \"{arch}\";\n\
             APT::Architectures {{ \"{arch}\"; }};\n\
             APT::Sandbox::User \"root\";\n\
             Acquire::Languages \"none\";\n"
        );
        configuration.push_str(&network_settings()?);
        write("apt.conf", configuration)
    }
}

/// How this machine reaches its mirror: proxies, time-outs, whether dates are checked.
fn network_settings() -> Result<String> {
    let machine = shell::output(Command::new("apt-config").arg("dump"))?;
    let wanted = ["Acquire::http", "Acquire::https", "Acquire::Check-", "Acquire::Retries"];
    Ok(machine
        .lines()
        .filter(|line| wanted.iter().any(|wanted| line.starts_with(wanted)))
        .flat_map(|line| [line, "\n"])
        .collect())
}

fn source(mirror: &Mirror, suite: &str) -> String {
    let options = mirror.signed_by.as_ref().map(|keyring| format!("[signed-by={keyring}] "));
    format!("deb {}{} {suite} main\n", options.unwrap_or_default(), mirror.uri)
}

/// The mirrors of the main and of the security archive.
fn mirrors() -> Result<(Mirror, Mirror)> {
    let keyring = ["pgp", "gpg"]
        .map(|extension| format!("{KEYRING}.{extension}"))
        .into_iter()
        .find(|keyring| Path::new(keyring).exists());
    let beside = |uri: &str| format!("{}-security", uri.trim_end_matches('/'));
    if let Ok(uri) = std::env::var(OVERRIDE)
        && uri.contains("://")
    {
        if keyring.is_none() {
            bail!("Debian's keyring is missing: install `debian-archive-keyring`");
        }
        let security = Mirror { uri: beside(&uri), signed_by: keyring.clone() };
        return Ok((Mirror { uri, signed_by: keyring }, security));
    }
    let mut main = None;
    let mut security = None;
    for (uri, suite, signed_by) in machine_sources()? {
        let codename = suite.split('-').next().unwrap_or_default();
        if !["bullseye", "bookworm", "trixie", "forky", "sid", "stable", "oldstable", "testing"]
            .contains(&codename)
        {
            continue;
        }
        let place = if suite.ends_with("-security") { &mut security } else { &mut main };
        // The archive's own keyring knows all releases; the machine's may know only its own.
        place.get_or_insert(Mirror { uri, signed_by: keyring.clone().or(signed_by) });
    }
    let main = main.with_context(|| {
        format!("no Debian mirror among this machine's apt sources: set {OVERRIDE} to one")
    })?;
    let security = security
        .unwrap_or_else(|| Mirror { uri: beside(&main.uri), signed_by: main.signed_by.clone() });
    Ok((main, security))
}

/// Every (address, suite, keyring) of the machine's sources, in either of apt's two formats.
fn machine_sources() -> Result<Vec<(String, String, Option<String>)>> {
    let folder = Path::new("/etc/apt/sources.list.d");
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(entries) = fs::read_dir(folder) {
        files.extend(entries.filter_map(|entry| entry.ok().map(|entry| entry.path())));
    }
    files.sort();
    let mut sources = Vec::new();
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("list") => text.lines().filter_map(one_line).for_each(|line| sources.extend(line)),
            Some("sources") => text.split("\n\n").for_each(|stanza| sources.extend(deb822(stanza))),
            _ => {}
        }
    }
    Ok(sources)
}

fn one_line(line: &str) -> Option<Vec<(String, String, Option<String>)>> {
    let rest = line.trim().strip_prefix("deb ")?.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(options) => options.split_once(']')?,
        None => ("", rest),
    };
    let signed_by = options.split_whitespace().find_map(|option| option.strip_prefix("signed-by="));
    let mut words = rest.split_whitespace();
    Some(vec![(words.next()?.to_owned(), words.next()?.to_owned(), signed_by.map(str::to_owned))])
}

fn deb822(stanza: &str) -> Vec<(String, String, Option<String>)> {
    let field = |name: &str| {
        let mut lines = stanza.lines().filter(|line| !line.starts_with('#'));
        lines.find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let (Some(types), Some(uris), Some(suites)) = (field("Types"), field("URIs"), field("Suites"))
    else {
        return Vec::new();
    };
    if !types.split_whitespace().any(|kind| kind == "deb")
        || field("Enabled").as_deref() == Some("no")
    {
        return Vec::new();
    }
    // A key may also stand in the field itself; then it is not a path and apt's defaults serve.
    let signed_by = field("Signed-By").filter(|path| path.starts_with('/'));
    let mut sources = Vec::new();
    for uri in uris.split_whitespace() {
        for suite in suites.split_whitespace() {
            sources.push((uri.to_owned(), suite.to_owned(), signed_by.clone()));
        }
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::{deb822, one_line};

    #[test]
    fn both_source_formats_give_address_suite_and_keyring() {
        let wanted = ("mirror:/debian".to_owned(), "trixie".to_owned(), Some("/k.gpg".to_owned()));
        assert_eq!(
            one_line("deb [arch=amd64 signed-by=/k.gpg] mirror:/debian trixie main"),
            Some(vec![wanted.clone()])
        );
        let stanza =
            "# comment\nTypes: deb\nURIs: mirror:/debian\nSuites: trixie sid\nSigned-By: /k.gpg";
        assert_eq!(deb822(stanza)[0], wanted);
        assert_eq!(deb822(stanza).len(), 2);
    }

    #[test]
    fn source_packages_and_disabled_entries_are_not_mirrors() {
        assert_eq!(one_line("deb-src mirror:/debian trixie main"), None);
        assert!(deb822("Types: deb-src\nURIs: mirror:/debian\nSuites: trixie").is_empty());
        assert!(deb822("Enabled: no\nTypes: deb\nURIs: mirror:/debian\nSuites: trixie").is_empty());
    }
}
