//! What the canary's acts are about: a folder with a program, a file and a socket, a loopback port,
//! and the policy that denies them. Names are random: nothing else on the machine can mean them.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpListener},
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, OpenOptionsExt},
        net::UnixListener,
    },
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use execlayer_api::text;
use execlayer_common::{
    access::{Access, Operation},
    feature,
    image::{Effect, FLAG_SELECTS_CGROUP, FLAG_SELECTS_EXE},
    provenance::{self, Provenance, RuleOrigin},
    subject::{Inet, Protocol},
};

use super::{
    AGENT, Act,
    image::{Draft, exactly},
};
use crate::scopes::Cgroup;

/// Rules of the canary's policy, by number.
const RULES: [&str; 4] = ["canary-exec", "canary-open", "canary-connect", "canary-rest"];
const REST: u16 = 3;
/// How often, and after what pause, a cgroup whose last task has just ended is tried.
const PATIENCE: (u32, Duration) = (200, Duration::from_millis(10));

/// The folder and the listeners. Gone when dropped.
#[derive(Debug)]
pub(super) struct Yard {
    folder: PathBuf,
    name: String,
    port: u16,
    _tcp: TcpListener,
    _unix: UnixListener,
}

impl Yard {
    pub(super) fn make(state_dir: &Path) -> io::Result<Self> {
        let mut random = [0; 8];
        fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
        let name = text::hex(&random);
        let state_dir = fs::canonicalize(state_dir)?;
        remove_left(&state_dir)?;
        let folder = state_dir.join(format!("{FOLDER}{name}"));
        DirBuilder::new().mode(0o700).create(&folder)?;
        match Self::furnish(&folder, name) {
            Ok(yard) => Ok(yard),
            Err(error) => {
                remove_folder(&folder);
                Err(error)
            }
        }
    }

    fn furnish(folder: &Path, name: String) -> io::Result<Self> {
        write(&folder.join(Act::Exec.file()), 0o700, PROGRAM)?;
        write(&folder.join(Act::Open.file()), 0o600, b"canary\n")?;
        let program = folder.join(AGENT_FILE);
        // A link where that is possible: the daemon has some megabytes.
        let own = std::env::current_exe()?;
        if fs::hard_link(&own, &program).is_err() {
            fs::copy("/proc/self/exe", &program)?;
        }
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let unix = UnixListener::bind(folder.join(Act::ConnectUnix.file()))?;
        let port = tcp.local_addr()?.port();
        Ok(Self { folder: folder.to_owned(), name, port, _tcp: tcp, _unix: unix })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The program that the canary's policy selects by its path: the daemon itself.
    pub(super) fn agent(&self) -> PathBuf {
        self.folder.join(AGENT_FILE)
    }

    pub(super) fn agent_subject(&self) -> Vec<u8> {
        self.agent().as_os_str().as_bytes().to_vec()
    }

    /// Operation and subject of an act as the kernel sees them, and the number of the rule that
    /// denies it.
    pub(super) fn expected(&self, act: Act) -> (Operation, Vec<u8>, u16) {
        let path = || self.folder.join(act.file()).as_os_str().as_bytes().to_vec();
        let tcp = Inet::v4(Protocol::Tcp, Ipv4Addr::LOCALHOST.octets(), self.port);
        match act {
            Act::Exec => (Operation::Exec, path(), 0),
            Act::Open => (Operation::File, path(), 1),
            Act::Connect => (Operation::Inet, tcp.bytes().to_vec(), 2),
            Act::ConnectUnix => (Operation::Unix, path(), 2),
        }
    }

    /// Denies the acts, allows whatever else they need, and selects what `selecting` says.
    pub(super) fn policy(&self, selecting: Option<(Operation, Vec<u8>)>) -> (Vec<u32>, Provenance) {
        let flags = match &selecting {
            Some((Operation::SelectCgroup, _)) => FLAG_SELECTS_CGROUP,
            Some(_) => FLAG_SELECTS_EXE,
            None => 0,
        };
        let rules = u32::try_from(RULES.len()).unwrap_or_default();
        let mut draft = Draft::new(flags, rules);
        for act in Act::ALL {
            let (operation, subject, rule) = self.expected(act);
            let deny = draft.set(Effect::Deny, Access::of(operation), rule);
            let allow = draft.set(Effect::Allow, Access::of(operation), REST);
            draft.automaton(operation, &exactly(&subject, deny, allow));
        }
        // Whoever starts the daemon may leave descriptors open to it.
        let allow = draft.set(Effect::Allow, Access::USE, REST);
        let inherited = exactly(feature::INHERITED.name.as_bytes(), allow, 0);
        draft.automaton(Operation::Feature, &inherited);
        if let Some((operation, subject)) = selecting {
            let select = draft.set(Effect::Allow, Access::GOVERN, REST);
            draft.automaton(operation, &exactly(&subject, select, 0));
        }
        (draft.finish(), provenance())
    }
}

impl Drop for Yard {
    fn drop(&mut self) {
        remove_folder(&self.folder);
    }
}

const AGENT_FILE: &str = "agent";
/// How the names of the folders begin.
const FOLDER: &str = "canary-";

/// A program that ends at once with 0: a header, one segment, and two instructions, so that nothing
/// of the machine's own takes part in the canary's exec.
#[cfg(target_arch = "x86_64")]
const PROGRAM: &[u8] = &program(62, &[0x31, 0xff, 0xb8, 60, 0, 0, 0, 0x0f, 0x05, 0, 0, 0]);
#[cfg(target_arch = "aarch64")]
const PROGRAM: &[u8] =
    &program(183, &[0x00, 0x00, 0x80, 0xd2, 0xa8, 0x0b, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4]);

const HEADERS: usize = 64 + 56;

const fn program(machine: u8, code: &[u8; 12]) -> [u8; HEADERS + 12] {
    let mut file = [0; HEADERS + 12];
    let fields: [(usize, &[u8]); 15] = [
        (0, &[0x7f, b'E', b'L', b'F', 2, 1, 1]),
        (16, &[2]), // an executable
        (18, &[machine]),
        (20, &[1]),
        (24, &[HEADERS as u8, 0, 0x40]), // begins behind the headers, loaded at 4 MiB
        (32, &[64]),                     // program headers
        (52, &[64]),
        (54, &[56]),
        (56, &[1]),
        (64, &[1]), // one to load,
        (68, &[5]), // readable and executable,
        (80, &[0, 0, 0x40]),
        (88, &[0, 0, 0x40]),
        (96, &[(HEADERS + 12) as u8]), // the whole file
        (104, &[(HEADERS + 12) as u8]),
    ];
    let mut field = 0;
    while field < fields.len() {
        let (at, bytes) = fields[field];
        let mut byte = 0;
        while byte < bytes.len() {
            file[at + byte] = bytes[byte];
            byte += 1;
        }
        field += 1;
    }
    file[113] = 0x10; // aligned to 4 KiB
    let mut byte = 0;
    while byte < code.len() {
        file[HEADERS + byte] = code[byte];
        byte += 1;
    }
    file
}

fn provenance() -> Provenance {
    let rule = |(id, line): (&str, u32)| RuleOrigin {
        id: id.to_owned(),
        file: 0,
        line,
        reason: Some("the daemon tries whether the gate stands".to_owned()),
        transition: None,
        asking: None,
    };
    Provenance {
        format: provenance::FORMAT,
        policy: "canary".to_owned(),
        version: 1,
        agent: AGENT.to_owned(),
        files: vec!["(built in)".to_owned()],
        cgroups: Vec::new(),
        executables: Vec::new(),
        accepts_from: Vec::new(),
        deciders: Vec::new(),
        context: Vec::new(),
        rules: RULES.into_iter().zip(1..).map(rule).collect(),
    }
}

fn write(path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?.write_all(bytes)
}

/// Removes the folders of daemons whose end, or whose machine's, came in the middle of a canary.
fn remove_left(state_dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(state_dir)? {
        let entry = entry?;
        if entry.file_name().as_bytes().starts_with(FOLDER.as_bytes()) {
            remove_folder(&entry.path());
        }
    }
    Ok(())
}

fn remove_folder(folder: &Path) {
    if let Err(error) = fs::remove_dir_all(folder) {
        tracing::warn!("cannot remove `{}`: {error}", folder.display());
    }
}

/// Removes a cgroup whose last task has been waited for: the kernel may still be letting it go.
pub(super) fn remove_soon(cgroup: &Cgroup) -> io::Result<()> {
    let (tries, pause) = PATIENCE;
    for _ in 0..tries {
        if cgroup.remove()? {
            return Ok(());
        }
        thread::sleep(pause);
    }
    Err(io::Error::other("the canary's cgroup does not get empty"))
}
