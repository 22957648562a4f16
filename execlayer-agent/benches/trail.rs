//! What it costs to write the audit trail: from a checked event of the kernel to a record in the log, with each choice
//! of when records are made to survive. Arguments: a folder, and how many records the last log there gets, which is left
//! for whoever measures reading. Prints a JSON object a line. Asserts no time.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use execlayer_agent::{
    kernel::events::{Decision, Observed},
    record::{
        event::{Known, event},
        redact::Redaction,
        trail::{Settings, Sync, Weight, open},
    },
};
use execlayer_common::{
    access::{Access, Operation},
    provenance::{Provenance, RuleOrigin},
    reason::Reason,
    verdict::RuleIndex,
};

/// Records of a measured log.
const RECORDS: u64 = 200_000;
/// Records that the daemon takes from the ring buffer at once, when there are enough.
const BURST: u64 = 512;

fn main() -> Result<(), Box<dyn Error>> {
    // Cargo adds `--bench`.
    let mut arguments = std::env::args().skip(1).filter(|word| word != "--bench");
    let folder = PathBuf::from(arguments.next().ok_or("no folder")?);
    let count = arguments.next().ok_or("no number of records")?.parse()?;
    for sync in [Sync::Record, Sync::Interval, Sync::Checkpoint] {
        let place = folder.join(sync.name());
        print(&place, sync, RECORDS)?;
        fs::remove_dir_all(place)?;
    }
    print(&folder.join("large"), Sync::Checkpoint, count)
}

/// Writes a log and says what that took.
fn print(place: &Path, sync: Sync, records: u64) -> Result<(), Box<dyn Error>> {
    let state_dir = place.join("state");
    fs::create_dir_all(&state_dir)?;
    let settings = Settings {
        folder: place.join("audit"),
        state_dir,
        sync,
        checkpoint: 10,
        segment: 16 << 20,
        keep_days: None,
        keep_bytes: None,
    };
    let (mut trail, _found) = open(settings)?;
    let (provenance, redaction) = (provenance(), Redaction::default());
    let (cpu, begin) = (cpu_time()?, Instant::now());
    let mut bytes = 0;
    for number in 0..records {
        let observed = observed(number);
        let known = Known {
            provenance: Some(&provenance),
            digest: Some("0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"),
            cgroup: Some("/execlayer.slice/run-17"),
            offset: 1_700_000_000_000_000_000,
            redaction: &redaction,
        };
        let record = event(&observed, None, known)?;
        bytes += record.len();
        trail.append(&record, Some(Weight { profile: 1, events: 1, of_ring: false }))?;
        if number % BURST == BURST - 1 {
            trail.flush()?;
        }
        if number % (BURST * 64) == 0 {
            trail.tick()?;
        }
    }
    trail.checkpoint()?;
    let (seconds, cpu) = (begin.elapsed().as_secs_f64(), cpu_time()? - cpu);
    println!(
        "{}",
        serde_json::json!({
            "sync": sync.name(),
            "records": records,
            "records_a_second": (records as f64 / seconds) as u64,
            "cpu_ms_for_10000": cpu * 1e3 / (records as f64 / 1e4),
            "bytes_a_record": bytes as u64 / records,
        })
    );
    Ok(())
}

/// Seconds of processor time of this process.
fn cpu_time() -> Result<f64, Box<dyn Error>> {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_PROCESS_CPUTIME_ID)?;
    Ok(std::time::Duration::from(time).as_secs_f64())
}

/// Denials and allowed calls of two programs, about files of a project.
fn observed(number: u64) -> Observed {
    let is_denied = number.is_multiple_of(10);
    Observed {
        time: number * 1_000_000,
        profile: 1,
        generation: 7,
        rule: Some(RuleIndex(u16::from(is_denied))),
        access: Access::READ,
        operation: Operation::File,
        decision: if is_denied { Decision::Deny } else { Decision::Allow },
        reason: Reason::Rule,
        monitor: false,
        provisional: false,
        pid: 4_000 + (number % 300) as u32,
        tgid: 4_000 + (number % 300) as u32,
        ppid: 3_999,
        uid: 1_000,
        gid: 1_000,
        start: 1_000_000_000,
        session: number / 10_000,
        cgroup: 4_711,
        comm: b"python3".to_vec(),
        subject: format!("/workspace/project/src/module-{}/file-{number}.rs", number % 97)
            .into_bytes(),
        exe: b"/usr/bin/python3.13".to_vec(),
        cwd: b"/workspace/project".to_vec(),
        argv: b"python3\0-m\0pytest\0-q\0".to_vec(),
        ancestors: vec![(3_999, b"bash".to_vec()), (3_900, b"agent".to_vec())],
        asked: None,
        answer: None,
        tool: None,
    }
}

fn provenance() -> Provenance {
    let rule = |id: &str, line| RuleOrigin {
        id: id.to_owned(),
        file: 0,
        line,
        reason: None,
        transition: None,
        asking: None,
    };
    Provenance {
        format: execlayer_common::provenance::FORMAT,
        policy: "coding-agent".to_owned(),
        version: 3,
        agent: "coding-agent".to_owned(),
        files: vec!["policies/coding-agent/policy.toml".to_owned()],
        cgroups: Vec::new(),
        executables: Vec::new(),
        accepts_from: Vec::new(),
        deciders: Vec::new(),
        context: Vec::new(),
        rules: vec![rule("workspace", 12), rule("no-keys", 40)],
    }
}
