//! The corpus as real acts before the real hooks: the fourth subject. Each suite's policy is signed and
//! installed; a thread that begins in its scope is governed by it, and does what the cases say.

use crate::framework::{Lane, note};
use crate::gate::{Gate, ask, policy};
use anyhow::{Context, Result, bail, ensure};
use execlayer_api::{Outcome as Answer, Request, places};
use execlayer_bundle::{PrivateKey, UnsignedBundle, sign};
use execlayer_common::provenance::{Provenance, RuleOrigin};
use execlayer_policy::cases::Expect;
use harness::acts::{Act, Outcome, enter};
use harness::corpus::{Suite, load};
use std::fs;
use std::path::Path;

crate::tests! {
    every_case_that_is_an_act_ends_as_expected => .lanes(&[Lane::Plain, Lane::Subjects]).limit(400)
}

const CORPUS: &str = "/opt/execlayer/corpus";
const BUNDLE: &str = "/run/corpus.bundle";
/// Cases that must have been performed, so that a change which skips most of them is seen.
const AT_LEAST: usize = 300;

fn every_case_that_is_an_act_ends_as_expected() -> Result<()> {
    let suites = load(Path::new(CORPUS))?;
    let gate = Gate::start_with(&["--no-hold"])?;
    // Makes this machine's key.
    let any =
        policy("any", "", "[[rule]]\nid = \"a\"\nallow = [\"exec\", \"read\"]\npath = \"/**\"\n")?;
    ensure!(gate.run(&any, &["--quiet"], &["true"]).status()?.success(), "nothing can be run");
    let key = Path::new(places::STATE_DIR).join(places::LOCAL_KEY);
    let key = PrivateKey::parse(&fs::read_to_string(key)?)?;
    // Now that the daemon and the key are outside: the acts hide folders under file systems of theirs.
    enter()?;
    let mut performed = 0;
    let mut wrong = Vec::new();
    for suite in &suites {
        let name = format!("{}, {}", suite.file, suite.name);
        let (count, findings) = one(suite, &key).with_context(|| name.clone())?;
        performed += count;
        wrong.extend(findings.into_iter().map(|finding| format!("{name}, {finding}")));
    }
    note(&format!("{performed} cases of the corpus were performed"));
    ensure!(wrong.is_empty(), "{} of {performed}:\n{}", wrong.len(), wrong.join("\n"));
    ensure!(performed >= AT_LEAST, "only {performed} cases were performed");
    Ok(())
}

/// Performs a suite; how many cases, and what was wrong.
fn one(suite: &Suite, key: &PrivateKey) -> Result<(usize, Vec<String>)> {
    let planned = suite.claims.iter().filter_map(|claim| {
        let act = Act::plan(&suite.prepared, claim).ok()?;
        Some((&claim.case, act))
    });
    let mut planned: Vec<_> = planned.collect();
    let mut wrong = Vec::new();
    if planned.is_empty() {
        return Ok((0, wrong));
    }
    install(suite, key)?;
    let owner_pid = std::process::id();
    let scope = match ask(&Request::OpenScope {
        agent: "corpus".to_owned(),
        owner_pid,
        below_owner: false,
    })? {
        Answer::Scope(scope) => scope,
        other => bail!("no scope: {other:?}"),
    };
    let own = fs::read_to_string("/proc/self/cgroup")?;
    let own = format!("/sys/fs/cgroup{}/cgroup.procs", own.trim().trim_start_matches("0::"));
    for (case, act) in &mut planned {
        act.set_up().with_context(|| case.name.clone())?;
        let before = as_user(act);
        act.set_up()?;
        fs::write(format!("{}/cgroup.procs", scope.cgroup), "0")?;
        let during = std::thread::scope(|threads| threads.spawn(|| as_user(act)).join());
        fs::write(&own, "0")?;
        act.clean();
        let during = during.ok().context("the act panicked")??;
        let wanted = case.expect == Expect::Allow;
        if before? == Outcome::Refused {
            wrong.push(format!("{}: refused to the ungoverned", case.name));
        }
        if wanted != matches!(during, Outcome::Passed(_)) {
            wrong.push(format!("{}: {during:?}, expected {:?}", case.name, case.expect));
        }
    }
    ask(&Request::CloseScope { id: scope.id })?;
    Ok((planned.len(), wrong))
}

/// Performs an act in this thread as the user that it needs.
fn as_user(act: &Act) -> Result<Outcome> {
    nix::unistd::seteuid(act.uid.into())?;
    let outcome = act.perform();
    nix::unistd::seteuid(0.into())?;
    Ok(outcome)
}

fn install(suite: &Suite, key: &PrivateKey) -> Result<()> {
    let rules = suite.prepared.policy().rules().iter().map(|rule| RuleOrigin {
        id: rule.id.clone(),
        file: 0,
        line: 1,
        reason: None,
        transition: None,
        asking: None,
    });
    let provenance = Provenance {
        format: execlayer_common::provenance::FORMAT,
        policy: "corpus".to_owned(),
        version: 1,
        agent: "corpus".to_owned(),
        files: vec![suite.file.clone()],
        cgroups: Vec::new(),
        executables: Vec::new(),
        accepts_from: Vec::new(),
        deciders: Vec::new(),
        context: Vec::new(),
        rules: rules.collect(),
    };
    let bundle = UnsignedBundle::new(suite.prepared.words().to_vec(), provenance)?;
    fs::write(BUNDLE, sign::sign(&bundle, key)?.bytes())?;
    match ask(&Request::Install { path: BUNDLE.to_owned() })? {
        Answer::Installed(_) => Ok(()),
        other => bail!("not installed: {other:?}"),
    }
}
