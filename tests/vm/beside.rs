//! Beside other security modules: a denial of another one stands, and what it allows is judged. A kernel
//! program of somebody else, Landlock and a filter of system calls.

mod denier;

use crate::framework::Lane;
use crate::gate::{Gate, policy};
use crate::transparent::all_rules;
use anyhow::{Result, ensure};
use denier::{Denier, REFUSED, USER};
use std::fs;
use std::process::Command;

crate::tests! { denials_of_others_stand => .lanes(&[Lane::Bypass]).limit(290) }

const TOP: &str = "/srv/beside";
/// The gate denies one file; the others are somebody else's to deny.
const SECRET: &str = "[[rule]]\nid = \"secret\"\ndeny = [\"read\", \"modify\"]\n\
                      path = [\"/srv/beside/secret\", \"/srv/beside/box/secret\"]\n";
/// Says what came of opening each file.
const OPENS: &str = "import errno, os, sys\n\
def tried(path, flags=os.O_RDONLY):\n\
\x20   try: os.close(os.open(path, flags, 0o600)); return 'ok'\n\
\x20   except OSError as error: return errno.errorcode[error.errno]\n";
/// Reads below one folder only, and fails to open by `openat` where the path is one that the filter
/// knows: Landlock and a filter in one process.
const SANDBOX: &str = "import ctypes, struct\n\
libc = ctypes.CDLL(None, use_errno=True)\n\
ruleset = libc.syscall(444, struct.pack('Q', 0x1fff), ctypes.c_size_t(8), 0)\n\
rule = struct.pack('<Qi', 0xc | 2, os.open('/srv/beside/box', os.O_PATH))\n\
assert ruleset > 2 and libc.syscall(445, ruleset, 1, rule, 0) == 0\n\
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.syscall(446, ruleset, 0) == 0\n";
/// A filter that answers `mkdir` with ENOTRECOVERABLE.
const FILTER: &str = "import ctypes, struct\n\
libc = ctypes.CDLL(None, use_errno=True)\n\
lines = [(0x20, 0, 0, 0), (0x15, 0, 1, 83), (6, 0, 0, 0x50000 | 131), (6, 0, 0, 0x7fff0000)]\n\
code = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *line) for line in lines))\n\
assert libc.prctl(38, 1, 0, 0, 0) == 0\n\
filter = struct.pack('HxxxxxxQ', 4, ctypes.addressof(code))\n\
assert libc.prctl(22, 2, filter, 0, 0) == 0\n\
def made(path):\n\
\x20   try: os.mkdir(path); os.rmdir(path); return 'ok'\n\
\x20   except OSError as error: return errno.errorcode[error.errno]\n";

/// What a process says of the files, without and with the gate.
struct Case {
    name: &'static str,
    sandbox: &'static str,
    says: &'static str,
    free: &'static str,
    governed: &'static str,
}

const CASES: &[Case] = &[
    Case {
        name: "nothing else",
        sandbox: "",
        says: "tried('/srv/beside/a'), tried('/srv/beside/secret')",
        free: "ok ok",
        governed: "ok EACCES",
    },
    Case {
        name: "Landlock",
        sandbox: SANDBOX,
        says: "tried('/srv/beside/a'), tried('/srv/beside/box/a'), tried('/srv/beside/box/a', 1), \
               tried('/srv/beside/box/a', os.O_WRONLY | os.O_CREAT | os.O_EXCL), \
               tried('/srv/beside/box/new', os.O_WRONLY | os.O_CREAT), \
               tried('/srv/beside/box/secret'), tried('/srv/beside/secret')",
        free: "EACCES ok ok EEXIST EACCES ok EACCES",
        governed: "EACCES ok ok EEXIST EACCES EACCES EACCES",
    },
    Case {
        name: "a filter",
        sandbox: FILTER,
        says: "made('/srv/beside/new'), tried('/srv/beside/a'), tried('/srv/beside/secret')",
        free: "ENOTRECOVERABLE ok ok",
        governed: "ENOTRECOVERABLE ok EACCES",
    },
    // A program that refuses one user. Where the gate denies as well, the one that runs first is heard.
    Case {
        name: "another kernel program",
        sandbox: "os.setresuid(4242, 0, 0)\n",
        says: "tried('/srv/beside/a'), tried('/srv/beside/secret') in ('EHOSTDOWN', 'EACCES')",
        free: "EHOSTDOWN True",
        governed: "EHOSTDOWN True",
    },
];

fn denials_of_others_stand() -> Result<()> {
    for folder in [TOP, "/srv/beside/box"] {
        fs::create_dir_all(folder)?;
        for name in ["a", "secret"] {
            fs::write(format!("{folder}/{name}"), "")?;
        }
    }
    ensure!(USER == 4242 && REFUSED == 112, "the cases have these numbers in words");
    // One is attached before the gate and one after it: which one runs first is the kernel's choice.
    let first = Denier::attach()?;
    let mut wrong = Vec::new();
    for case in CASES {
        let mut free = Command::new("python3");
        check(&mut wrong, case, case.free, free.args(["-c", &case.script()]))?;
    }
    let gate = Gate::start()?;
    let policy = policy("beside", "", &format!("{}\n{SECRET}", all_rules()))?;
    let governed = |wrong: &mut Vec<String>, case: &Case| {
        let mut run = gate.run(&policy, &["--quiet"], &["python3", "-c", &case.script()]);
        check(wrong, case, case.governed, &mut run)
    };
    CASES.iter().try_for_each(|case| governed(&mut wrong, case))?;
    drop(first);
    let _second = Denier::attach()?;
    CASES.iter().rev().take(1).try_for_each(|case| governed(&mut wrong, case))?;
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

impl Case {
    fn script(&self) -> String {
        format!("{OPENS}{}print(*[{}])\n", self.sandbox, self.says)
    }
}

fn check(wrong: &mut Vec<String>, case: &Case, wanted: &str, command: &mut Command) -> Result<()> {
    let output = command.output()?;
    let said = String::from_utf8(output.stdout)?;
    if said.trim() != wanted {
        let errors = String::from_utf8_lossy(&output.stderr);
        wrong.push(format!("{}: {} instead of {wanted}; {errors}", case.name, said.trim()));
    }
    Ok(())
}
