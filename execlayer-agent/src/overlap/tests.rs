//! Overlap of selectors that are built by hand, forward and backward.

use execlayer_common::{
    access::{Access, Operation},
    image::{Effect, START_BACKWARD, start_index},
};

use super::{Overlap, Selectors, TooLarge};
use crate::canary::image::{Draft, State, exactly};

/// `prefix` and then anything (read forward), or anything and then `suffix` (read backward).
fn glob(operation: Operation, text: &str, backward: bool) -> Selectors {
    let mut draft = Draft::new(0, 1);
    let set = draft.set(Effect::Allow, Access::GOVERN, 0);
    let mut bytes = text.as_bytes().to_vec();
    if backward {
        bytes.reverse();
    }
    let mut states = exactly(&bytes, set, 0);
    let last = bytes.len();
    states[last].default = Some(last);
    draft.automaton(operation, &states);
    let mut image = draft.finish();
    if backward {
        image[start_index(operation, 0) as usize] |= START_BACKWARD;
    }
    Selectors::of(&image).unwrap()
}

fn exact(operation: Operation, text: &str) -> Selectors {
    let mut draft = Draft::new(0, 1);
    let set = draft.set(Effect::Allow, Access::GOVERN, 0);
    draft.automaton(operation, &exactly(text.as_bytes(), set, 0));
    Selectors::of(&draft.finish()).unwrap()
}

fn subject(a: &Selectors, b: &Selectors) -> Option<String> {
    let found = a.overlap(b).unwrap();
    assert_eq!(found.is_some(), b.overlap(a).unwrap().is_some(), "the order does not matter");
    found.map(|overlap| String::from_utf8_lossy(&overlap.subject).into_owned())
}

#[test]
fn equal_and_nested_selectors_overlap_and_the_subject_is_named() {
    let exe = Operation::SelectExe;
    let claude = exact(exe, "/usr/bin/claude");
    assert_eq!(subject(&claude, &claude), Some("/usr/bin/claude".into()));
    let below = glob(exe, "/usr/bin/", false);
    assert_eq!(subject(&claude, &below), Some("/usr/bin/claude".into()));
    let overlap = claude.overlap(&below).unwrap();
    assert_eq!(overlap, Some(Overlap { operation: exe, subject: b"/usr/bin/claude".to_vec() }));
}

#[test]
fn selectors_that_share_no_subject_do_not_overlap() {
    let exe = Operation::SelectExe;
    let claude = exact(exe, "/usr/bin/claude");
    assert_eq!(subject(&claude, &exact(exe, "/usr/bin/codex")), None);
    assert_eq!(subject(&claude, &exact(exe, "/usr/bin/claude2")), None);
    assert_eq!(subject(&claude, &glob(exe, "/opt/", false)), None);
    assert_eq!(subject(&claude, &Selectors::default()), None);
}

#[test]
fn a_cgroup_and_an_executable_of_one_name_are_not_the_same() {
    let cgroup = exact(Operation::SelectCgroup, "/a");
    assert_eq!(subject(&cgroup, &exact(Operation::SelectExe, "/a")), None);
}

#[test]
fn two_that_read_backward_are_compared_in_their_direction() {
    let exe = Operation::SelectExe;
    let a = glob(exe, "/bin/claude", true);
    assert_eq!(subject(&a, &glob(exe, "claude", true)), Some("/bin/claude".into()));
    assert_eq!(subject(&a, &glob(exe, "codex", true)), None);
}

#[test]
fn one_that_reads_forward_and_one_that_reads_backward_are_compared() {
    let exe = Operation::SelectExe;
    let below = glob(exe, "/opt/", false);
    let named = glob(exe, "claude", true);
    assert_eq!(subject(&below, &named), Some("/opt/claude".into()));
    assert_eq!(subject(&exact(exe, "/opt/codex"), &named), None);
    assert_eq!(subject(&exact(exe, "/opt/claude"), &named), Some("/opt/claude".into()));
}

#[test]
fn what_cannot_be_compared_within_the_bounds_is_refused() {
    let counter = |modulus: usize| {
        let mut draft = Draft::new(0, 1);
        let set = draft.set(Effect::Allow, Access::GOVERN, 0);
        let states: Vec<State> = (0..modulus)
            .map(|at| State {
                accepts: if at == modulus - 1 { set } else { 0 },
                edges: Vec::new(),
                default: Some((at + 1) % modulus),
            })
            .collect();
        draft.automaton(Operation::SelectExe, &states);
        Selectors::of(&draft.finish()).unwrap()
    };
    // Their first common subject has 389 * 397 - 1 bytes.
    assert_eq!(counter(389).overlap(&counter(397)), Err(TooLarge));
    assert!(counter(5).overlap(&counter(7)).unwrap().is_some());
}
