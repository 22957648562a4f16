//! The hand-built image, judged by the decision that the kernel runs.

use execlayer_common::{
    access::{Access, Operation},
    automaton::{self, Table},
    decide::{self, Body, Kept, World},
    image::{Effect, check_header},
    verdict::Verdict,
};

use super::{Draft, exactly};

struct Case<'a> {
    image: &'a [u32],
    subject: &'a [u8],
    kept: Kept,
}

impl Table for Case<'_> {
    fn word(&self, index: u32) -> u32 {
        self.image.get(index as usize).copied().unwrap_or(automaton::FREE)
    }
}

impl World for Case<'_> {
    fn run(&self, start: u32, backward: bool) -> u32 {
        assert!(!backward);
        automaton::walk(self, start, self.subject.iter())
    }

    fn keep_none(&self) {
        self.kept.clear();
    }

    fn keep(&self, set: u32) {
        self.kept.push(set);
    }

    fn goes_on(&self, _number: u32, _state: u32) {}

    fn kept(&self, number: u32) -> u32 {
        self.kept.get(number)
    }

    fn uid(&self) -> u32 {
        0
    }

    fn minute(&self) -> u32 {
        0
    }

    fn spend(&self, _number: u32, _uses: u32, _window: u32) -> bool {
        false
    }

    fn repeat<B: Body<Self>>(&self, count: u32, body: &mut B) {
        for index in 0..count {
            if !body.turn(self, index) {
                break;
            }
        }
    }
}

fn judge(image: &[u32], operation: Operation, subject: &[u8], access: Access) -> Verdict {
    let case = Case { image, subject, kept: Kept::default() };
    decide::judge(&case, operation, access)
}

fn sample() -> Vec<u32> {
    let mut draft = Draft::new(0, 2);
    for operation in [Operation::Exec, Operation::File] {
        let deny = draft.set(Effect::Deny, Access::of(operation), 0);
        let allow = draft.set(Effect::Allow, Access::of(operation), 1);
        draft.automaton(operation, &exactly(b"/var/lib/x/canary-aaab/open", deny, allow));
    }
    let select = draft.set(Effect::Allow, Access::GOVERN, 1);
    draft.automaton(Operation::SelectExe, &exactly(b"/var/lib/agent", select, 0));
    draft.finish()
}

#[test]
fn the_header_is_accepted() {
    let image = sample();
    assert_eq!(check_header(&image), Ok(()));
    assert!(image.len() < 1 << 14, "{} words: it fits the smallest size class", image.len());
}

#[test]
fn only_the_exact_subject_is_denied_and_its_rule_is_named() {
    let image = sample();
    let denied = b"/var/lib/x/canary-aaab/open";
    let verdict = judge(&image, Operation::File, denied, Access::READ);
    assert!(matches!(verdict, Verdict::Deny(_, Some(rule)) if rule.0 == 0), "{verdict:?}");
    for end in 0..denied.len() {
        let verdict = judge(&image, Operation::File, &denied[..end], Access::READ);
        assert!(matches!(verdict, Verdict::Allow(_)), "a prefix of {end} bytes: {verdict:?}");
    }
    for other in [&b"/var/lib/x/canary-aaab/open2"[..], b"/var/lib/x/canary-aaaa/open", b"/etc"] {
        let verdict = judge(&image, Operation::Exec, other, Access::EXEC);
        assert!(matches!(verdict, Verdict::Allow(_)), "{verdict:?}");
    }
}

#[test]
fn a_selector_selects_its_subject_and_nothing_else() {
    let image = sample();
    let selects = |subject: &[u8]| {
        let case = Case { image: &image, subject, kept: Kept::default() };
        decide::selects(&case, Operation::SelectExe)
    };
    assert!(selects(b"/var/lib/agent"));
    assert!(!selects(b"/var/lib/agen") && !selects(b"/var/lib/agent2") && !selects(b""));
}
