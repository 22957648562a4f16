//! The gate under programs that press the kernel where it decides: files and names, programs, sockets,
//! processes. No verdict beside them is wrong, and nothing of them is left in the gate's maps. That the
//! kernel complains about nothing is looked at by the runner after each test.

use crate::framework::{Lane, full, note};
use crate::gate::{Gate, policy};
use crate::raw::{address, address_mut, call, text};
use crate::stress::{PROGRAM, ROLE, prepare};
use crate::transparent::all_rules;
use anyhow::{Context, Result, ensure};
use execlayer_common::hooks;
use nix::errno::Errno;
use nix::libc;
use std::fs;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

crate::tests! {
    no_verdict_is_wrong_beside_what_presses_the_kernel => .lanes(&[Lane::Stress]).limit(3_000)
}

const FOLDER: &str = "/srv/pressure";
const SECONDS: &str = "12";
const SECONDS_FULL: &str = "180";
/// Verdicts of one process beside the stressors.
const VERDICTS: &str = "4000";
/// One process of each.
const STRESSORS: &[&str] = &[
    "dentry",
    "dir",
    "rename",
    "link",
    "symlink",
    "open",
    "chmod",
    "xattr",
    "utime",
    "file-ioctl",
    "exec",
    "sock",
    "sockpair",
    "udp",
    "fork",
    "vfork",
    "clone",
    "mprotect",
];
/// Files of the other kind are denied to who probes, and one folder to the stressors.
const DENIALS: &str = r#"
[[rule]]
id = "other-kind"
deny = ["read"]
path = "/srv/stress/b-**"
"#;

fn no_verdict_is_wrong_beside_what_presses_the_kernel() -> Result<()> {
    fs::create_dir_all(FOLDER)?;
    prepare()?;
    let gate = Gate::start()?;
    let policy = policy("pressure", "", &format!("{}{DENIALS}", all_rules()))?;
    let run = |words: &[&str]| gate.run(&policy, &["--quiet"], words);
    let before = sizes()?;
    let seconds = if full() { SECONDS_FULL } else { SECONDS };
    let mut words = vec!["stress-ng", "--timeout", seconds, "--temp-path", FOLDER, "--metrics"];
    let stressors: Vec<String> = STRESSORS.iter().map(|name| format!("--{name}")).collect();
    words.extend(stressors.iter().flat_map(|option| [option.as_str(), "1"]));
    let pressing = run(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let reader = std::thread::spawn(move || pressing.wait_with_output());
    let mut rounds = 0;
    while !reader.is_finished() {
        let probe = run(&[PROGRAM, ROLE, "a", VERDICTS]).status()?;
        ensure!(probe.success(), "a verdict was wrong: see above");
        rounds += 1;
    }
    let output = reader.join().ok().context("the reader panicked")??;
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    println!("{said}");
    ensure!(output.status.success(), "stress-ng ended with {}", output.status);
    note(&format!("{rounds} rounds of {VERDICTS} verdicts beside {} stressors", STRESSORS.len()));
    let mut after = sizes()?;
    // Tasks are forgotten when the kernel frees them, a moment after their end.
    for _ in 0..100 {
        if after == before {
            break;
        }
        sleep(Duration::from_millis(100));
        after = sizes()?;
    }
    ensure!(after == before, "the maps had {before:?} entries and have {after:?}");
    Ok(())
}

/// How many entries the maps have that grow with tasks and calls.
pub(crate) fn sizes() -> Result<Vec<(&'static str, usize)>> {
    let maps = [hooks::MAP_TASKS, hooks::MAP_LATE, hooks::MAP_CALLS, hooks::MAP_QUESTIONS];
    maps.into_iter().map(|name| Ok((name, entries(name)?))).collect()
}

/// Counts a pinned map's keys.
fn entries(name: &str) -> Result<usize> {
    const GET_NEXT_KEY: usize = 4;
    const OBJ_GET: usize = 7;
    /// More than any key has.
    const KEY: usize = 8192;
    let path = text(&format!("/sys/fs/bpf/execlayer/maps/{name}"))?;
    let mut attributes = [0_u64; 16];
    attributes[0] = path as u64;
    let bpf = |command: usize, attributes: &[u64; 16]| {
        call(libc::SYS_bpf, [command, address(attributes), size_of_val(attributes)])
    };
    let map = crate::raw::owned(i32::try_from(bpf(OBJ_GET, &attributes).context("no such pin")?)?);
    let (mut key, mut next) = ([0_u8; KEY], [0_u8; KEY]);
    let mut count = 0;
    loop {
        use std::os::fd::AsRawFd;
        // union bpf_attr: map_fd, key, next_key; no key begins at the first.
        let from = if count == 0 { 0 } else { address(&key) };
        let words = [map.as_raw_fd() as u64, from as u64, address_mut(&mut next) as u64];
        attributes = [0; 16];
        attributes[..3].copy_from_slice(&words);
        match bpf(GET_NEXT_KEY, &attributes) {
            Ok(_) => key = next,
            Err(Errno::ENOENT) => return Ok(count),
            Err(error) => return Err(error.into()),
        }
        count += 1;
    }
}
