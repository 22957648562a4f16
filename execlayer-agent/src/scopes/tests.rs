//! Scopes over plain folders in place of a cgroup file system: only the numbers differ.

use std::{fs, path::Path};

use execlayer_api::ScopeId;

use super::{Cgroup, ScopeError, Scopes};
use crate::kernel::{
    events::{Observed, decode, tests::denied},
    fake::Fake,
};

fn event(cgroup: u64, session: u64) -> Observed {
    let mut seen = decode(&denied(b"/x", b"/bin/x")).unwrap().observed();
    (seen.cgroup, seen.session) = (cgroup, session);
    seen
}

fn open(scopes: &mut Scopes, gate: &mut Fake) -> (ScopeId, u64) {
    let (id, Cgroup { path, .. }) = scopes.open(gate, 1, std::process::id(), false, 0).unwrap();
    assert!(path.is_dir());
    let cgroup = *gate.scopes.keys().max().unwrap();
    (id, cgroup)
}

fn denials(scopes: &mut Scopes, gate: &mut Fake, id: ScopeId) -> u64 {
    let closed = scopes.close(gate, id).unwrap();
    closed.tally.summary(|_, _| None, 0).denied.iter().map(|row| row.count).sum()
}

#[test]
fn a_scope_is_a_folder_and_an_entry_and_closing_removes_both() {
    let root = tempfile::tempdir().unwrap();
    let (mut gate, mut scopes) = (Fake::default(), Scopes::new(root.path(), 7));
    let (id, _cgroup) = open(&mut scopes, &mut gate);
    assert_eq!(id, ScopeId(7));
    assert!(root.path().join("execlayer.slice/run-7").is_dir());
    assert_eq!(gate.scopes.values().collect::<Vec<_>>(), [&1]);
    assert!(scopes.close(&mut gate, id).is_some());
    assert!(scopes.close(&mut gate, id).is_none(), "closed once");
    assert!(!root.path().join("execlayer.slice/run-7").exists());
    assert!(gate.scopes.is_empty() && scopes.was_any() && scopes.count() == 0);
}

#[test]
fn events_count_by_cgroup_and_then_by_session_wherever_the_task_went() {
    let root = tempfile::tempdir().unwrap();
    let (mut gate, mut scopes) = (Fake::default(), Scopes::new(root.path(), 1));
    let (id, cgroup) = open(&mut scopes, &mut gate);
    scopes.observe(&event(cgroup, 100));
    scopes.observe(&event(5, 100));
    scopes.observe(&event(5, 101));
    let mut other_profile = event(cgroup, 102);
    other_profile.profile = 2;
    scopes.observe(&other_profile);
    assert_eq!(denials(&mut scopes, &mut gate, id), 2);
}

#[test]
fn a_name_that_is_taken_is_passed_over() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("execlayer.slice/run-1")).unwrap();
    let (mut gate, mut scopes) = (Fake::default(), Scopes::new(root.path(), 1));
    assert_eq!(open(&mut scopes, &mut gate).0, ScopeId(2));
}

#[test]
fn what_an_earlier_daemon_left_is_removed_and_forgotten_and_nothing_else_is() {
    let root = tempfile::tempdir().unwrap();
    let (mut gate, mut earlier) = (Fake::default(), Scopes::new(root.path(), 1));
    open(&mut earlier, &mut gate);
    let slice = root.path().join("execlayer.slice");
    fs::create_dir(slice.join("claude-code-1")).unwrap();
    drop(earlier);
    let mut scopes = Scopes::new(root.path(), 5);
    scopes.tick(&mut gate);
    assert!(gate.scopes.is_empty() && !slice.join("run-1").exists());
    assert!(slice.join("claude-code-1").exists());
}

#[test]
fn a_scope_that_cannot_be_put_in_force_leaves_no_folder() {
    let root = tempfile::tempdir().unwrap();
    let (mut gate, mut scopes) = (Fake::default(), Scopes::new(root.path(), 1));
    gate.failing.insert("set_scope");
    let error = scopes.open(&mut gate, 1, std::process::id(), false, 0).unwrap_err();
    assert!(matches!(error, ScopeError::Map(_)), "{error}");
    assert!(!root.path().join("execlayer.slice/run-1").exists());
    assert!(!scopes.was_any());
}

#[test]
fn a_scope_whose_owner_ended_is_closed() {
    let root = tempfile::tempdir().unwrap();
    let (mut gate, mut scopes) = (Fake::default(), Scopes::new(root.path(), 1));
    let mut owner = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    scopes.open(&mut gate, 1, owner.id(), false, 0).unwrap();
    scopes.tick(&mut gate);
    assert_eq!(scopes.count(), 1);
    owner.kill().unwrap();
    owner.wait().unwrap();
    scopes.tick(&mut gate);
    assert_eq!(scopes.count(), 0);
    let error = scopes.open(&mut gate, 1, owner.id(), false, 0).unwrap_err();
    assert!(matches!(error, ScopeError::NoOwner(_)), "{error}");
}

#[test]
fn a_root_that_is_no_folder_is_named() {
    let (mut gate, mut scopes) = (Fake::default(), Scopes::new(Path::new("/dev/null"), 1));
    let error = scopes.open(&mut gate, 1, std::process::id(), false, 0).unwrap_err();
    assert!(error.to_string().contains("/dev/null/execlayer.slice/run-1"), "{error}");
}

#[test]
fn a_scope_below_its_owner_is_found_again_by_the_next_daemon_and_forgotten_when_it_is_gone() {
    let root = tempfile::tempdir().unwrap();
    let Some(place) = super::process::cgroup(std::process::id()) else {
        eprintln!("not run here: this process is in no cgroup2 that it can name");
        return;
    };
    let own = root.path().join(place);
    fs::create_dir_all(&own).unwrap();
    let (mut gate, mut scopes) = (Fake::default(), Scopes::new(root.path(), 7));
    for (number, below_owner) in [(7, true), (8, true), (9, false)] {
        let opened = scopes.open(&mut gate, 1, std::process::id(), below_owner, 0).unwrap();
        let slice = root.path().join("execlayer.slice/");
        let begin = if below_owner { own.join("execlayer-run-") } else { slice.join("run-") };
        assert_eq!(opened.1.path.to_str(), Some(&*format!("{}{number}", begin.display())));
    }
    // A task is in it; the manager removed the other.
    fs::write(own.join("execlayer-run-7/cgroup.procs"), "").unwrap();
    fs::remove_dir(own.join("execlayer-run-8")).unwrap();
    let mut next = Scopes::new(root.path(), 20);
    next.find_left(&mut gate).unwrap();
    assert_eq!(gate.scopes.len(), 2, "the one that is gone was not forgotten");
    fs::remove_file(own.join("execlayer-run-7/cgroup.procs")).unwrap();
    next.tick(&mut gate);
    assert!(gate.scopes.is_empty() && !own.join("execlayer-run-7").exists());
}
