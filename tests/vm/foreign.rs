//! Beside other tools that use task storage: programs that make and take away their own all the time. No governed task
//! is free by that, no allowed act fails, and nobody else is disturbed: neither those without a policy nor the maps.

pub(crate) mod actor;
mod program;

use crate::framework::{Lane, full, note};
use crate::gate::{Gate, all_but, policy, policy_of_version};
use crate::pressure::sizes;
use crate::stress::PROGRAM;
use actor::{KINDS, ROLE};
use anyhow::{Context, Result, ensure};
use aya::maps::{Array, Map, MapData};
use execlayer_common::hooks::MAP_LATE_COUNT;
use program::Foreign;
use std::ffi::CStr;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

crate::tests! {
    bypass_beside_task_storage_of_others => .lanes(&[Lane::Bypass]).limit(600).fresh(),
}

const TOP: &str = "/srv/foreign";
/// Allowed to everybody; forbidden by the policy `outer`; forbidden by that to which it leads.
const FILES: [&CStr; 3] = [c"/srv/foreign/free", c"/srv/foreign/secret", c"/srv/foreign/of-inner"];
/// Processes of each kind.
const PROCESSES: usize = 2;
/// How often each acts between two changes of what is there.
const TIMES: usize = 1;
const TIMES_FULL: usize = 12;

/// A process that acts whenever it is asked.
#[derive(Debug)]
struct Actor {
    kind: &'static str,
    process: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Actor {
    fn start(kind: &'static str, mut command: Command) -> Result<Self> {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let asks = process.stdin.take().context("no input")?;
        let answers = BufReader::new(process.stdout.take().context("no output")?);
        Ok(Self { kind, process, asks, answers })
    }

    fn end(self) -> Result<()> {
        let Self { kind, mut process, asks, answers } = self;
        drop((asks, answers));
        let status = process.wait()?;
        ensure!(status.success(), "`{kind}` ended with {status}");
        Ok(())
    }
}

fn bypass_beside_task_storage_of_others() -> Result<()> {
    set_up()?;
    let first = Foreign::attach()?;
    let mut alone = crowd("alone", direct)?;
    all_act(&mut alone, "without a gate", || ())?;
    alone.into_iter().try_for_each(Actor::end)?;

    let gate = Gate::start()?;
    let outer = policies(&gate)?;
    let mut actors = crowd("free", direct)?;
    actors.extend(crowd("outer", |kind| {
        gate.run(&outer, &["--quiet"], &[PROGRAM, ROLE, "acts", kind])
    })?);
    all_act(&mut actors, "with programs that were there first", || ())?;
    let [made, refused, taken] = first.counts()?;
    note(&format!("task storage was made {made} times, refused {refused}, and taken {taken}"));
    ensure!(made > 0 && taken > 0, "the foreign programs did not run");
    all_act(&mut actors, "while they are detached", || drop(first))?;
    all_act(&mut actors, "without them", || ())?;
    let second = Foreign::attach()?;
    all_act(&mut actors, "with programs that came later", || ())?;
    actors.into_iter().try_for_each(Actor::end)?;
    nothing_is_left()?;
    drop(second);
    // Policies stay in force: what comes after this test is to be selected by none.
    install(&gate, &policy_of_version(2, "storage-selected", "", &all_but("/none"))?)
}

/// Files, and folders of programs: one that runs, and the beginning of one.
fn set_up() -> Result<()> {
    for folder in ["selected", "led"] {
        fs::create_dir_all(format!("{TOP}/{folder}"))?;
        fs::copy(PROGRAM, format!("{TOP}/{folder}/program"))?;
        let broken = format!("{TOP}/{folder}/broken");
        fs::write(&broken, b"\x7fELF\x02\x01\x01")?;
        fs::set_permissions(&broken, fs::Permissions::from_mode(0o755))?;
    }
    for file in FILES {
        fs::write(file.to_str()?, "")?;
    }
    Ok(())
}

/// Puts them all in force; the one from which another one is entered.
fn policies(gate: &Gate) -> Result<String> {
    let (secret, of_inner) =
        (all_but(&format!("{TOP}/secret")), all_but(&format!("{TOP}/of-inner")));
    let leads = format!(
        "\n[[rule]]\nid = \"in\"\ntransition = \"storage-inner\"\npath = \"{TOP}/led/**\"\n"
    );
    let selects = format!("exe = [\"{TOP}/selected/**\"]");
    let outer = policy("storage-outer", "", &(secret.clone() + &leads))?;
    for policy in [
        policy("storage-inner", "accepts_from = [\"storage-outer\"]", &of_inner)?,
        policy("storage-selected", &selects, &secret)?,
    ] {
        install(gate, &policy)?;
    }
    Ok(outer)
}

fn install(gate: &Gate, policy: &str) -> Result<()> {
    let status = gate.run(policy, &["--quiet"], &["true"]).status()?;
    ensure!(status.success(), "`{policy}` is refused");
    Ok(())
}

fn direct(kind: &str) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args([ROLE, "acts", kind]);
    command
}

fn crowd(name: &str, command: impl Fn(&str) -> Command) -> Result<Vec<Actor>> {
    let kind = KINDS.iter().find(|kind| kind.name == name).context("no such kind")?;
    (0..PROCESSES).map(|_| Actor::start(kind.name, command(kind.name))).collect()
}

/// Lets everybody act at once, does something meanwhile, and waits until all were right.
fn all_act(actors: &mut [Actor], when: &str, meanwhile: impl FnOnce()) -> Result<()> {
    let times = if full() { TIMES_FULL } else { TIMES };
    for actor in actors.iter_mut() {
        let asked = actor.asks.write_all(&b"\n".repeat(times));
        asked.with_context(|| format!("{when}: `{}` is gone", actor.kind))?;
    }
    meanwhile();
    for actor in actors {
        for _ in 0..times {
            let mut answer = String::new();
            actor.answers.read_line(&mut answer)?;
            ensure!(answer == "right\n", "{when}: an act of `{}` was wrong, see above", actor.kind);
        }
    }
    Ok(())
}

/// Tasks are forgotten when the kernel frees them, a moment after their end.
fn nothing_is_left() -> Result<()> {
    let look = || -> Result<_> { Ok((sizes()?, late()?)) };
    let is_nothing = |(sizes, late): &(Vec<(_, usize)>, u64)| {
        sizes.iter().all(|(_map, entries)| *entries == 0) && *late == 0
    };
    let mut left = look()?;
    for _ in 0..100 {
        if is_nothing(&left) {
            break;
        }
        sleep(Duration::from_millis(100));
        left = look()?;
    }
    ensure!(is_nothing(&left), "entries of maps, and late labels that are counted: {left:?}");
    Ok(())
}

fn late() -> Result<u64> {
    let map = MapData::from_pin(format!("/sys/fs/bpf/execlayer/maps/{MAP_LATE_COUNT}"))?;
    let count: Array<_, u64> = Map::Array(map).try_into()?;
    Ok(count.get(&0, 0)?)
}
