//! From one agent's policy to another's: by the programs that a rule names, while the other accepts them, and in no
//! other way.

use crate::framework::Lane;
use crate::gate::{Gate, all_but, policy, policy_of_version};
use anyhow::{Context, Result, ensure};
use nix::libc;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

crate::tests! {
    bypass_by_a_transition => .lanes(&[Lane::Bypass]).limit(290).fresh(),
    transition_outlives_the_daemon => .lanes(&[Lane::Hold]).limit(290).fresh(),
}

const TOP: &str = "/srv/transition";
/// In the folder of programs that lead to `inner`.
const LEADING: &str = "/srv/transition/bin";

/// Executes `$2` as `$1` says.
const EXECUTES: &str = r#"
import ctypes, os, sys, time
way, program, *arguments = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)
CLONE_FS, CLONE_FILES, SIGCHLD, PTRACE_TRACEME, PTRACE_ATTACH = 0x200, 0x400, 17, 0, 16
PR_SET_NO_NEW_PRIVS = 38
SYS_clone = {"x86_64": 56, "aarch64": 220}[os.uname().machine]
def execute():
    try:
        os.execv(program, [program, *arguments])
    except OSError as error:
        print("error", error.errno, flush=True)
        os._exit(1)
if way == "fails-first":
    try:
        os.execv("/srv/transition/bin/broken", ["broken"])
    except OSError as error:
        print("error", error.errno, flush=True)
    execute()
elif way == "traced":
    child = os.fork()
    if child == 0:
        if libc.ptrace(PTRACE_TRACEME, 0, 0, 0) != 0:
            print("not traced", flush=True)
        execute()
    while True:
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
            break
        libc.ptrace(7, child, 0, 0)
elif way == "filtered":
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        print("no privileges are given up", flush=True)
    execute()
elif way in ("sharing", "sharing-files"):
    what = CLONE_FS if way == "sharing" else CLONE_FILES
    child = libc.syscall(SYS_clone, what | SIGCHLD, 0, 0, 0, 0)
    if child == 0:
        execute()
    os.waitpid(child, 0)
elif way == "attached":
    child = os.fork()
    if child == 0:
        execute()
    for _ in range(600):
        with open(f"/proc/{child}/comm") as comm:
            if comm.read().strip() == os.path.basename(program):
                break
        time.sleep(0.05)
    done = libc.ptrace(PTRACE_ATTACH, child, 0, 0)
    print("attached" if done == 0 else f"error {ctypes.get_errno()}", flush=True)
    os.kill(child, 9)
    os.waitpid(child, 0)
elif way == "child":
    if os.fork() == 0:
        execute()
    os.wait()
else:
    execute()
"#;

/// Asks to be traced by its parent.
const TRACED_BY_PARENT: &str =
    "import ctypes; print(ctypes.CDLL(None).ptrace(0, 0, 0, 0), flush=True)";

fn bypass_by_a_transition() -> Result<()> {
    set_up()?;
    for file in ["of-outer", "of-inner", "free"] {
        ensure!(said(&mut direct(&[&leading("cat"), &at(file)]))? == format!("{file}\n"), "before");
    }
    let gate = Gate::start()?;
    let outer = outer()?;
    let run = |arguments: &[&str]| said(&mut gate.run(&outer, &["--quiet"], arguments));
    let python = |arguments: &[&str]| run(&[&["python3", "-c", EXECUTES], arguments].concat());
    let cat = |way: &str, program: &str, file: &str| python(&[way, program, &at(file)]);
    let denied = format!("error {}\n", libc::EACCES);

    // The other policy is not there.
    ensure!(cat("plain", &leading("cat"), "free")? == denied, "led to nobody");
    ensure!(cat("plain", "/usr/bin/cat", "free")? == "free\n", "what leads nowhere is denied");
    is_recorded(&gate, "no-transition", "cat")?;

    // It is, and does not accept.
    install(&gate, &inner(1, "")?)?;
    ensure!(cat("plain", &leading("cat"), "free")? == denied, "let in without being accepted");
    install(&gate, &inner(2, ACCEPTS)?)?;

    // What leads to it does, with all that descends from it; what does not lead stays.
    for (program, own, others) in [
        ("/usr/bin/cat".to_owned(), "of-outer", "of-inner"),
        (leading("cat"), "of-inner", "of-outer"),
    ] {
        ensure!(cat("plain", &program, own)?.is_empty(), "`{program}` read `{own}`");
        ensure!(
            cat("plain", &program, others)? == format!("{others}\n"),
            "`{program}`: `{others}`"
        );
    }
    let below = format!("cat {0}/of-inner; {0}/bin/cat {0}/of-inner; cat {0}/of-outer", TOP);
    ensure!(
        python(&["plain", &leading("sh"), "-c", &below])? == "of-outer\n",
        "a child of who was led left"
    );
    is_recorded(&gate, "allowed", "cat")?;
    is_recorded(&gate, "allowed", "sh")?;

    // An exec that fails leads nowhere, and the next one is led or not as if there had been none.
    let failed = format!("error {}\n", libc::ENOEXEC);
    ensure!(
        cat("fails-first", "/usr/bin/cat", "of-outer")? == failed,
        "an exec that failed led on"
    );
    ensure!(
        cat("fails-first", "/usr/bin/cat", "of-inner")? == format!("{failed}of-inner\n"),
        "after a failed exec"
    );

    ensure!(
        cat("fails-first", &leading("cat"), "of-inner")? == failed,
        "not led after a failed exec"
    );
    let led = format!("{failed}of-outer\n");
    ensure!(cat("fails-first", &leading("cat"), "of-outer")? == led, "not led after a failed exec");
    ensure!(
        python(&["fails-first", &leading("script")])? == failed.clone() + &denied,
        "a script led on"
    );

    // Nobody has a hand in who is led.
    for way in ["traced", "sharing", "sharing-files", "filtered"] {
        ensure!(
            cat(way, "/usr/bin/cat", "free")? == "free\n",
            "{way}: what leads nowhere is denied"
        );
        ensure!(cat(way, &leading("cat"), "free")? == denied, "{way}: was led");
    }
    ensure!(python(&["plain", &leading("script")])? == denied, "a script led on");
    ensure!(run(&["sh", &leading("script")])? == "script\n", "a script is not read");
    is_recorded(&gate, "unsafe-transition", "cat")?;
    let attached = |program: &str| python(&["attached", program, "60"]);
    ensure!(attached("/usr/bin/sleep")? == "attached\n", "not even one's own child is traced");
    let refused = attached(&leading("sleep"))?;
    ensure!(
        refused == format!("error {}\n", libc::EPERM) || refused == denied,
        "traced: {refused}"
    );

    let be_traced = |program: &str| python(&["child", program, "-ISc", TRACED_BY_PARENT]);
    ensure!(be_traced("/usr/bin/python3")? == "0\n", "not even one's own parent may trace");
    ensure!(be_traced(&leading("python3"))? == "-1\n", "who was led is traced by who stayed");

    // It accepts no more.
    install(&gate, &inner(3, "")?)?;
    ensure!(cat("plain", &leading("cat"), "free")? == denied, "let in, though not any more");
    drop(gate);
    Ok(())
}

fn transition_outlives_the_daemon() -> Result<()> {
    set_up()?;
    let mut gate = Gate::start()?;
    let outer = outer()?;
    install(&gate, &inner(1, ACCEPTS)?)?;
    // Reads its orders line by line, so that it is there while daemons come and go.
    let order = format!("while read line; do {LEADING}/cat {TOP}/$line 2>&1; done");
    let mut governed = gate
        .run(&outer, &["--quiet"], &["sh", "-c", &order])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()?;
    let mut input = governed.stdin.take().context("no pipe")?;
    let mut output = std::io::BufReader::new(governed.stdout.take().context("no pipe")?);
    let mut says = |file: &str| -> Result<String> {
        use std::io::{BufRead, Write};
        writeln!(input, "{file}")?;
        let mut line = String::new();
        output.read_line(&mut line)?;
        Ok(line)
    };
    let mut is_led = |when: &str| -> Result<()> {
        ensure!(says("of-outer")? == "of-outer\n", "{when}: it stayed");
        let denied = says("of-inner")?;
        ensure!(denied.contains("Permission denied"), "{when}: it read `{}`", denied.trim());
        Ok(())
    };
    is_led("with the daemon")?;
    gate.kill()?;
    is_led("without a daemon")?;
    drop(gate);
    let gate = Gate::start()?;
    is_led("with another daemon")?;
    let status =
        Command::new("/opt/execlayer/bin/execlayer").args(["status", "--json"]).output()?;
    let status: serde_json::Value = serde_json::from_slice(&status.stdout)?;
    let degraded = status["degraded"].to_string();
    ensure!(!degraded.contains("cannot be executed"), "a way was lost: {degraded}");
    install(&gate, &inner(2, ACCEPTS)?)?;
    is_led("with another version")?;
    drop(input);
    // The second daemon knows nothing of the first one's scopes, and says so to `execlayer run`.
    let _ended = governed.wait()?;
    Ok(())
}

/// Files to read and programs that lead.
fn set_up() -> Result<()> {
    fs::create_dir_all(LEADING)?;
    for file in ["of-outer", "of-inner", "free"] {
        fs::write(at(file), format!("{file}\n"))?;
    }
    for program in ["cat", "sleep", "sh", "python3"] {
        let copied =
            direct(&["cp", "-L", &format!("/usr/bin/{program}"), &leading(program)]).status()?;
        ensure!(copied.success(), "`{program}` was not copied");
    }
    // The beginning of a program, and nothing behind it.
    fs::write(leading("broken"), b"\x7fELF\x02\x01\x01")?;
    fs::write(leading("script"), "#!/bin/sh\necho script\n")?;
    for program in ["broken", "script"] {
        fs::set_permissions(leading(program), fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

const ACCEPTS: &str = "accepts_from = [\"outer\"]";

fn outer() -> Result<String> {
    let leads =
        format!("\n[[rule]]\nid = \"in\"\ntransition = \"inner\"\npath = \"{LEADING}/**\"\n");
    policy("outer", "", &(all_but(&at("of-outer")) + &leads))
}

fn inner(version: u64, accepts: &str) -> Result<String> {
    policy_of_version(version, "inner", accepts, &all_but(&at("of-inner")))
}

fn install(gate: &Gate, policy: &str) -> Result<()> {
    ensure!(gate.run(policy, &["--quiet"], &["true"]).status()?.success(), "`{policy}` is refused");
    Ok(())
}

fn is_recorded(gate: &Gate, reason: &str, program: &str) -> Result<()> {
    let is_it = |event: &serde_json::Value| {
        event["reason"] == reason
            && event["access"] == serde_json::json!(["enter"])
            && event["agent"] == "outer"
            && event["subject"] == leading(program).as_str()
            && (reason != "allowed" || event["transition"] == "inner")
    };
    let events = gate.events(is_it)?;
    ensure!(events.iter().any(is_it), "no record of `{reason}` among {}", events.len());
    Ok(())
}

fn direct(arguments: &[&str]) -> Command {
    let mut command = Command::new(arguments[0]);
    command.args(&arguments[1..]);
    command
}

fn said(command: &mut Command) -> Result<String> {
    let Output { stdout, .. } = command.output()?;
    Ok(String::from_utf8(stdout)?)
}

fn at(name: &str) -> String {
    format!("{TOP}/{name}")
}

fn leading(program: &str) -> String {
    format!("{LEADING}/{program}")
}
