//! Power that goes at any moment: what the disk holds then is a state from which the next start comes up with the old
//! or the new policy, never with none or one that was given up, and never without what was acknowledged before.

mod disk;

use crate::framework::{Lane, full, note, seed};
use crate::gate::{Gate, all_but, ask, policy_of_version};
use anyhow::{Context, Result, bail, ensure};
use aya::maps::{Array, Map, MapData};
use disk::{Copy, Disk};
use execlayer_api::{Outcome, Request, Status};
use execlayer_bundle::PublicKey;
use execlayer_common::hooks;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

crate::tests! {
    a_lost_power_leaves_the_old_or_the_new_policy => .lanes(&[Lane::Hold]).limit(9_000).fresh()
}

const TOOL: &str = "/opt/execlayer/bin/execlayer";
const TOP: &str = "/run/power";
const LIVE: &str = "/run/power/live";
const STATE: &str = "/run/power/live/state";
const AUDIT: &str = "/run/power/live/audit";
const BUNDLES: &str = "/run/power/live/bundles.d";
const PINS: &str = "/sys/fs/bpf/execlayer";
const COPIES: usize = 4;
const COPIES_FULL: usize = 200;
/// Of so many copies one is started with on a machine that has no programs either.
const WHOLE: usize = 50;
/// What a user may choose, and what makes the daemon do all by itself: without these, ext4 writes a file that is
/// renamed over another one before the name.
const OPTIONS: &str = "loop,noauto_da_alloc,commit=600";
/// One agent's policies are installed, and may go back; the other's are dropped in, and go up.
const INSTALLED: &str = "installed";
const DROPPED: &str = "dropped";

/// What is done to a daemon, one after another and again.
const ROUND: [Act; 6] = [Act::Up, Act::Drop, Act::Up, Act::Root, Act::Order, Act::Older];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// A newer version is installed.
    Up,
    /// One is dropped in.
    Drop,
    /// The next root is installed: another key signs from now on, and the old one no more.
    Root,
    /// An order to go back by one version.
    Order,
    /// The version that it goes back to.
    Older,
}

/// What there is after an act. 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct After {
    installed: u64,
    /// No version below this one may be installed.
    floor: u64,
    dropped: u64,
    root: u64,
    newest: u64,
}

fn a_lost_power_leaves_the_old_or_the_new_policy() -> Result<()> {
    for folder in [TOP, LIVE, &at("keys")] {
        fs::create_dir_all(folder)?;
    }
    for agent in [INSTALLED, DROPPED] {
        fs::create_dir_all(format!("/sys/fs/cgroup/power-{agent}"))?;
    }
    done(Command::new(TOOL).args(["keys", "new", &key(0)]))?;
    fs::copy(format!("{}.pub", key(0)), at("keys/release.pub"))?;
    File::create(at("image"))?.set_len(64 << 20)?;
    done(Command::new("mkfs.ext4").args(["-q", "-F", "-E", "lazy_itable_init=0", &at("image")]))?;

    let begin = Instant::now();
    let clock = Arc::new(AtomicU64::new(0));
    let disk =
        Disk::new(Path::new(&at("disk")), Path::new(&at("image")), Arc::clone(&clock), seed())?;
    let mounted = Mounted::new(&at("disk"))?;
    let copies = if full() { COPIES_FULL } else { COPIES };
    // The first ones are taken while the daemon starts: its audit trail begins with many a flush.
    disk.copy(copies / 4);
    let mut gate = start()?;
    disk.copy(copies - copies / 4);
    let mut all = vec![After::default()];
    for act in ROUND.iter().cycle() {
        if disk.is_copied() {
            break;
        }
        let before = all.last().copied().unwrap_or_default();
        let prepared = prepare(*act, before)?;
        clock.fetch_add(1, Ordering::SeqCst);
        all.push(perform(*act, before, &prepared).with_context(|| format!("{act:?} {before:?}"))?);
        // Whoever asked has the answer.
        clock.fetch_add(1, Ordering::SeqCst);
    }
    ensure!(all.len() > 2, "the copies are those of the start alone");
    gate.kill()?;
    drop(gate);
    drop(mounted);
    note(&format!("copied after {:.0} s", begin.elapsed().as_secs_f64()));
    let (copies, acts) = disk.copies();
    let size = disk.size();
    drop(disk);

    let mut states = BTreeSet::new();
    let (mut unflushed, mut kept, mut torn) = (0, 0, 0);
    for (number, copy) in copies.iter().enumerate() {
        unflushed += copy.unflushed;
        kept += copy.kept;
        states.insert(copy.time);
        let place = |time: u64| all.get(usize::try_from(time).unwrap_or_default()).copied();
        let allowed = [place(copy.time / 2), place(copy.time.div_ceil(2))];
        let [Some(old), Some(new)] = allowed else { bail!("no such time: {}", copy.time) };
        forget(number % WHOLE == 0)?;
        let checked = check(copy, size, old, new);
        torn += usize::from(checked.with_context(|| format!("copy {number}: {old:?} or {new:?}"))?);
    }
    note(&format!(
        "{} copies at {} moments of {} acts, which wrote and flushed {acts} times; {kept} of {unflushed} unflushed \
         writes were there, {torn} dropped files were refused",
        copies.len(),
        states.len(),
        all.len() - 1
    ));
    Ok(())
}

/// Leaves the kernel as it is after a boot: without policies, and without programs if `is_whole`. To verify those
/// takes the longest of all, and they know nothing.
fn forget(is_whole: bool) -> Result<()> {
    if is_whole {
        return Ok(fs::remove_dir_all(PINS)?);
    }
    let map = |name: &str| -> Result<Array<MapData, u64>> {
        Ok(Array::try_from(Map::Array(MapData::from_pin(format!("{PINS}/maps/{name}"))?))?)
    };
    let mut slots = map(hooks::MAP_SLOTS)?;
    for slot in 0..slots.len() {
        slots.set(slot, 0, 0)?;
    }
    let mut selectors = map(hooks::MAP_SELECTORS)?;
    let epoch = selectors.get(&2, 0)?;
    for (place, word) in (0..).zip([0, 0, epoch + 1]) {
        selectors.set(place, word, 0)?;
    }
    Ok(())
}

/// A daemon that has all it keeps on the disk.
fn start() -> Result<Gate> {
    fs::create_dir_all(BUNDLES)?;
    let (keys, root) = (at("keys"), at("no-root"));
    Gate::start_with(&[
        "--audit",
        AUDIT,
        "--state-dir",
        STATE,
        "--bundles-dir",
        BUNDLES,
        "--keys-dir",
        &keys,
        "--root",
        &root,
    ])
}

/// Makes the file that an act needs; its path.
fn prepare(act: Act, before: After) -> Result<String> {
    match act {
        Act::Up => bundle(INSTALLED, before.newest + 1, before.root),
        Act::Drop => bundle(DROPPED, before.dropped + 1, before.root),
        Act::Older => bundle(INSTALLED, before.floor, before.root),
        Act::Root => {
            let (draft, root) = (at("root.draft"), at("root.json"));
            let (old, new) = (key(before.root), key(before.root + 1));
            done(Command::new(TOOL).args(["keys", "new", &new]))?;
            let public = format!("{new}.pub");
            let mut command = Command::new(TOOL);
            match before.root {
                0 => command.args(["root", "draft", &public]),
                _ => {
                    let id = PublicKey::parse(&fs::read_to_string(format!("{old}.pub"))?)?.id();
                    let next = ["root", "next", &root, "--add", &public, "--remove"];
                    command.args(next).arg(id.to_string())
                }
            };
            let output = command.output()?;
            ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            fs::write(&draft, output.stdout)?;
            let sign = ["root", "sign", &draft, "--output", &root, "--key", &format!("{new}.key")];
            done(Command::new(TOOL).args(sign))?;
            if before.root > 0 {
                let add =
                    ["sign", &root, "--add", "--output", &root, "--key", &format!("{old}.key")];
                done(Command::new(TOOL).args(add))?;
            }
            Ok(root)
        }
        Act::Order => {
            let path = at("back.order");
            let (from, to) = (before.installed.to_string(), (before.installed - 1).to_string());
            let key_file = format!("{}.key", key(before.root));
            let of = ["order", "--policy", INSTALLED, "--agent", INSTALLED];
            let back = ["--from", &from, "--to", &to, "--key", &key_file, "-o", &path];
            done(Command::new(TOOL).args(of).args(back))?;
            Ok(path)
        }
    }
}

/// Does it, and waits until it is acknowledged.
fn perform(act: Act, before: After, file: &str) -> Result<After> {
    let mut after = before;
    if act != Act::Drop {
        ask(&Request::Install { path: file.to_owned() })?;
    }
    match act {
        Act::Up => {
            after.newest += 1;
            (after.installed, after.floor) = (after.newest, after.newest);
        }
        Act::Root => after.root += 1,
        Act::Order => after.floor = before.installed - 1,
        Act::Older => after.installed = before.floor,
        Act::Drop => {
            after.dropped += 1;
            // As `cp` and `mv` do it: nobody flushes that.
            let (beside, path) = (format!("{BUNDLES}/dropped.new"), dropped_file());
            fs::copy(file, &beside)?;
            fs::rename(beside, path)?;
            while version(&status()?, DROPPED) != after.dropped {
                sleep(Duration::from_millis(20));
            }
        }
    }
    Ok(after)
}

/// Boots with what the disk held. True if what was dropped in was not whole, or older than what is in force.
fn check(copy: &Copy, size: u64, old: After, new: After) -> Result<bool> {
    let image = at("copy");
    copy.write(Path::new(&image), size)?;
    let _mounted = Mounted::new(&image)?;
    let _gate = start()?;
    let status = status()?;
    let among = |what: &str, found: u64, of: fn(&After) -> u64| {
        ensure!([of(&old), of(&new)].contains(&found), "{what} {found}: {status:?}");
        Ok(())
    };
    let installed = version(&status, INSTALLED);
    among("in force is version", installed, |after| after.installed)?;
    among("in force of what was dropped in is version", version(&status, DROPPED), |after| {
        after.dropped
    })?;
    let root = root()?;
    among("there is root", root, |after| after.root)?;
    for reason in &status.degraded {
        let is_known = reason.contains(&dropped_file()) || reason.contains("they govern on");
        ensure!(is_known, "{:?}", status.degraded);
    }
    // The trail that was there goes on, and nothing in it is wrong.
    let verified = Command::new(TOOL).args(["audit", "verify", AUDIT]).output()?;
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    ensure!(verified.status.success(), "{said}");
    ensure!(
        !fs::read_dir(LIVE)?
            .flatten()
            .any(|entry| { entry.file_name().to_string_lossy().contains("set-aside") })
    );
    let of_trail = ["audit.key", "audit.checkpoint", "audit.counts", "audit.new"];
    for entry in fs::read_dir(STATE)? {
        let name = entry?.file_name();
        let is_known = ["marks.json", "marks.new", "profiles", "root.json", "root.new"]
            .iter()
            .chain(&of_trail)
            .any(|known| name == **known);
        ensure!(is_known, "{name:?} is left in the state directory");
    }
    for agent in [INSTALLED, DROPPED] {
        governs(agent, version(&status, agent))?;
    }
    // What was given up stays so.
    let floor = old.floor.min(new.floor);
    if floor > 1 {
        refused(&bundle(INSTALLED, floor - 1, root)?)?;
    }
    if old.dropped > 1 {
        refused(&bundle(DROPPED, old.dropped - 1, root)?)?;
    }
    // An order that was acknowledged stands.
    if old.floor < old.installed && new.floor < old.installed {
        ask(&Request::Install { path: bundle(INSTALLED, old.floor, root)? })
            .context("the order")?;
        governs(INSTALLED, old.floor)?;
    }
    let next = new.newest.max(old.newest) + 1;
    ask(&Request::Install { path: bundle(INSTALLED, next, root)? }).context("the next version")?;
    governs(INSTALLED, next)?;
    Ok(status.degraded.iter().any(|reason| reason.contains(&dropped_file())))
}

fn refused(bundle: &str) -> Result<()> {
    match ask(&Request::Install { path: bundle.to_owned() }) {
        Ok(outcome) => bail!("`{bundle}` is in force again: {outcome:?}"),
        Err(error) => {
            ensure!(format!("{error:#}").contains("older than version"), "`{bundle}`: {error:#}");
            Ok(())
        }
    }
}

/// Whether this version judges who is in the agent's cgroup; 0 is none.
fn governs(agent: &str, version: u64) -> Result<()> {
    let read = |of: u64| -> Result<bool> {
        let script = "echo 0 > \"/sys/fs/cgroup/power-$0/cgroup.procs\"; exec cat \"$1\"";
        let file = kept_file(agent, of);
        fs::write(&file, "x")?;
        let mut command = Command::new("sh");
        let output = command.args(["-c", script, agent, &file]).stderr(Stdio::null()).output()?;
        Ok(output.stdout == b"x")
    };
    ensure!(!read(version)? || version == 0, "version {version} of `{agent}` denies nothing");
    ensure!(read(version + 1)?, "version {version} of `{agent}` denies what it allows");
    ensure!(version < 2 || read(version - 1)?, "an older version of `{agent}` judges");
    Ok(())
}

fn status() -> Result<Status> {
    match ask(&Request::Status {})? {
        Outcome::Status(status) => Ok(*status),
        other => bail!("{other:?}"),
    }
}

fn version(status: &Status, agent: &str) -> u64 {
    let mut profiles = status.profiles.iter();
    profiles.find(|profile| profile.agent == agent).map_or(0, |profile| profile.version)
}

/// Version of the root that is kept.
fn root() -> Result<u64> {
    let path = Path::new(STATE).join(execlayer_api::places::ROOT_IN_FORCE);
    if !path.exists() {
        return Ok(0);
    }
    Ok(execlayer_bundle::root::unverified(&fs::read(path)?)?.version)
}

/// Signs a version that keeps one file from whoever is in the cgroup, as that root wants it; its path.
fn bundle(agent: &str, version: u64, root: u64) -> Result<String> {
    let selects = format!("cgroup = [\"/power-{agent}\"]");
    let policy = policy_of_version(version, agent, &selects, &all_but(&kept_file(agent, version)))?;
    let path = at(&format!("{agent}-{version}.bundle"));
    let key_file = format!("{}.key", key(root));
    done(Command::new(TOOL).args(["compile", &policy, "--key", &key_file, "-o", &path]))?;
    Ok(path)
}

/// The files of the one key that a root lets sign, without their endings.
fn key(root: u64) -> String {
    at(&format!("release-{root}"))
}

fn kept_file(agent: &str, version: u64) -> String {
    at(&format!("kept-by-{agent}-{version}"))
}

fn dropped_file() -> String {
    format!("{BUNDLES}/dropped.bundle")
}

fn at(name: &str) -> String {
    format!("{TOP}/{name}")
}

fn done(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// A file system in use.
struct Mounted;

impl Mounted {
    fn new(image: &str) -> Result<Self> {
        done(Command::new("mount").args(["-o", OPTIONS, image, LIVE]))?;
        Ok(Self)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Err(error) = done(Command::new("umount").arg(LIVE)) {
            println!("{error:#}");
        }
    }
}
