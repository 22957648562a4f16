//! Claims about differences: that each is one, and that there is no other.

use execlayer_common::{
    access::{Access, Operation},
    verdict::{RuleIndex, Verdict, raw},
};
use proptest::prelude::*;

use super::{Change, Side, When, difference, grammar::Grammar};
use crate::{
    checked::{CheckedPolicy, Written},
    evaluate::{Facts, evaluate, selects},
    image_world::judge_image,
    lower::{
        Lowered, lower,
        tests::random::{Choices, mutate, policies, sample},
    },
    tests::{policy, with_rules},
};

fn between(old: &Lowered, new: &Lowered) -> Vec<Change> {
    let [old, new] =
        [old, new].map(|side| Side { image: side.image.words(), provenance: &side.provenance });
    difference(old, new).unwrap().changes
}

fn changes(old: &str, new: &str) -> Vec<Change> {
    let [old, new] = [old, new].map(|rules| lower(&policy(&with_rules(rules))).unwrap());
    between(&old, &new)
}

/// What the reference says, with every budget left or none.
fn by_reference(
    policy: &CheckedPolicy,
    operation: Operation,
    subject: &[u8],
    wanted: Access,
    (facts, is_left): (Facts, bool),
) -> Verdict {
    match operation {
        Operation::SelectCgroup | Operation::SelectExe => {
            match selects(policy, operation, subject) {
                true => Verdict::Allow(RuleIndex(0)),
                false => Verdict::Deny(execlayer_common::reason::Reason::Unlisted, None),
            }
        }
        _ => evaluate(policy, operation, subject, wanted, facts, &mut |_, _| is_left),
    }
}

fn patterns(policy: &CheckedPolicy, operation: Operation) -> Vec<&Written> {
    let rules = policy.rules().iter();
    match operation {
        Operation::SelectCgroup => policy.cgroups().iter().collect(),
        Operation::SelectExe => policy.executables().iter().collect(),
        Operation::Unix => rules.flat_map(|rule| &rule.unix).collect(),
        _ => rules.flat_map(|rule| rule.paths.iter().chain(&rule.except)).collect(),
    }
}

fn without_contexts(mut policy: CheckedPolicy) -> CheckedPolicy {
    policy.rules.iter_mut().for_each(|rule| rule.context.clear());
    policy
}

fn is_subject(operation: Operation, bytes: &[u8]) -> bool {
    let whole = bytes.iter().try_fold(Grammar::of(operation), |at, &byte| at.step(byte));
    whole.is_some_and(Grammar::is_whole)
}

fn bits(operation: Operation) -> impl Iterator<Item = Access> {
    let all = Access::of(operation);
    (0..u32::BITS).map(|bit| Access(1 << bit)).filter(move |&bit| all.contains(bit))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_difference_is_told_and_is_one(
        old in policies(),
        new in policies(),
        bytes in proptest::collection::vec(any::<u8>(), 60),
    ) {
        // Contexts that exclude each other are not known to: they have claims of their own.
        let [old, new] = [old, new].map(without_contexts);
        let lowered = [&old, &new].map(|policy| lower(policy).unwrap());
        let told = between(&lowered[0], &lowered[1]);
        let images = lowered.each_ref().map(|side| side.image.words());
        for change in &told {
            let (uid, minute) =
                change.when.as_ref().map_or((None, None), |when| (when.uid, when.minute));
            let facts = Facts { uid: uid.unwrap_or(1_234), minute: minute.unwrap_or(77) };
            // Which of several budgets are left is for the tests of their own.
            let budgets = change.when.as_ref().map_or(&[][..], |when| &when.budgets);
            let is_left = budgets.iter().all(|(_, is_left)| *is_left);
            if !is_left && budgets.iter().any(|(_, is_left)| *is_left) {
                continue;
            }
            let moment = (facts, is_left);
            prop_assert!(is_subject(change.operation, &change.subject));
            for bit in bits(change.operation).filter(|bit| change.access.contains(*bit)) {
                let [before, after] = [&old, &new]
                    .map(|policy| by_reference(policy, change.operation, &change.subject, bit, moment));
                prop_assert_eq!(before, change.before, "before: {:?}", change);
                prop_assert_eq!(after, change.after, "after: {:?}", change);
                prop_assert_ne!(before.raw(), after.raw());
            }
        }
        for operation in [Operation::File, Operation::Exec, Operation::Unix, Operation::SelectCgroup] {
            for written in patterns(&old, operation).into_iter().chain(patterns(&new, operation)) {
                let mut choices = Choices::new(&bytes);
                for _ in 0..6 {
                    let mut subject = Vec::new();
                    sample(&written.pattern.0, &mut choices, &mut subject);
                    mutate(&mut subject, &mut choices);
                    if !is_subject(operation, &subject) {
                        continue;
                    }
                    let facts = Facts {
                        uid: 998 + choices.below(5) as u32,
                        minute: 596 + choices.below(8) as u16,
                    };
                    let is_left = choices.below(2) == 1;
                    for bit in bits(operation) {
                        let [before, after] = images.map(|words| {
                            judge_image(words, operation, &subject, bit, facts, &mut |_, _, _| is_left)
                        });
                        let is_told = told.iter().any(|change| {
                            change.operation == operation
                                && change.access.contains(bit)
                                && (change.before, change.after) == (before, after)
                        });
                        prop_assert!(
                            is_told || before.raw() == after.raw(),
                            "{} {:?} of {}: {:?} {:?}",
                            operation.name(), bit, subject.escape_ascii(), before, after,
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn an_image_does_not_differ_from_itself(policy in policies()) {
        let lowered = lower(&policy).unwrap();
        prop_assert_eq!(between(&lowered, &lowered), Vec::new());
    }
}

const OLD: &str = "[[rule]]\nid = \"data\"\nallow = [\"read\"]\npath = \"/srv/**\"\n";

#[test]
fn other_words_for_the_same_are_no_difference() {
    let new = "[[rule]]\nid = \"one\"\nallow = [\"read\"]\npath = [\"/srv/**\", \"/srv/a*\"]\n\n\
               [[rule]]\nid = \"two\"\nallow = [\"read\"]\npath = \"/srv/data/x\"\n";
    assert_eq!(changes(OLD, new), Vec::new());
}

#[test]
fn a_hole_in_a_rule_is_told_once_with_a_subject_in_it() {
    let new = format!("{OLD}\n[[rule]]\nid = \"kept\"\ndeny = [\"read\"]\npath = \"/**/*.key\"\n");
    let told = changes(OLD, &new);
    let [change] = &told[..] else { panic!("{told:?}") };
    assert_eq!(change.access, Access::READ);
    assert_eq!(change.before, Verdict::Allow(RuleIndex(0)));
    assert_eq!(change.after.rule(), Some(RuleIndex(1)));
    assert_eq!(change.when, None);
    assert_eq!(change.subject.escape_ascii().to_string(), "/srv/.key");
}

#[test]
fn where_a_program_leads_is_told_whatever_else_is_said_of_it() {
    let leads = |agent: &str, path: &str| {
        format!("{OLD}\n[[rule]]\nid = \"git\"\ntransition = \"{agent}\"\npath = \"{path}\"\n")
    };
    let (git, any) = (leads("git", "/usr/bin/git"), leads("git", "/usr/bin/*"));
    assert_eq!(changes(&git, &git), Vec::new());
    // Allowed by a rule as before, and to somebody else's policy.
    let told = changes(&git, &leads("other", "/usr/bin/git"));
    let [change] = &told[..] else { panic!("{told:?}") };
    assert_eq!(change.access, Access::ENTER);
    assert_eq!(change.before, Verdict::Allow(RuleIndex(1)));
    assert_eq!(change.after, Verdict::Allow(RuleIndex(1)));
    assert_eq!(change.subject, b"/usr/bin/git");
    // Executing and leading are two things.
    let told = changes(&git, &any);
    let accesses: Vec<Access> = told.iter().map(|change| change.access).collect();
    assert_eq!(accesses, [Access::EXEC, Access::ENTER]);
    // Executed as before, and staying.
    let plain = any.replace("transition = \"git\"", "allow = [\"exec\"]");
    let told = changes(&any, &plain);
    let [change] = &told[..] else { panic!("{told:?}") };
    assert_eq!((change.access, change.after.raw()), (Access::ENTER, raw::DENY));
}

#[test]
fn what_differs_at_one_time_is_told_with_it() {
    let new = format!("{OLD}when = {{ between = \"09:00-17:00\" }}\n");
    let told = changes(OLD, &new);
    let [change] = &told[..] else { panic!("{told:?}") };
    let when = When { uid: None, minute: Some(17 * 60), budgets: Vec::new(), contexts: Vec::new() };
    assert_eq!(change.when.as_ref(), Some(&when));
}

#[test]
fn budgets_are_compared_by_their_uses_and_by_how_many_there_are() {
    let with = |budgets: &[&str]| -> String {
        let rule = |(at, budget): (usize, &&str)| {
            format!(
                "{}\nwhen = {{ at_most = \"{budget}\" }}\n\n",
                OLD.replace("data", &format!("r{at}"))
            )
        };
        budgets.iter().enumerate().map(rule).collect()
    };
    assert_eq!(changes(&with(&["3/hour"]), &with(&["3/hour"])), Vec::new());
    let spent = |change: &Change| -> Vec<(u32, bool)> {
        let budgets = &change.when.as_ref().unwrap().budgets;
        budgets.iter().map(|(budget, is_left)| (budget.uses, *is_left)).collect()
    };
    // More uses: one is used up while the other is not, either way.
    let told = changes(&with(&["3/hour"]), &with(&["5000/hour"]));
    let told: Vec<_> = told.iter().map(|change| (change.after.raw(), spent(change))).collect();
    assert_eq!(
        told,
        [(raw::ALLOW, vec![(3, false), (5000, true)]), (raw::DENY, vec![(3, true), (5000, false)])]
    );
    // A second one alike.
    let told = changes(&with(&["3/hour"]), &with(&["3/hour", "3/hour"]));
    let [change] = &told[..] else { panic!("{told:?}") };
    assert_eq!(change.after.raw(), raw::ALLOW);
    assert_eq!(spent(change), [(3, false), (3, true)]);
}

#[test]
fn addresses_and_features_are_compared_too() {
    let new = format!(
        "{OLD}\n[[rule]]\nid = \"out\"\nallow = [\"connect\"]\nto = \"tcp:10.0.0.0/8:443\"\n\n\
         [[rule]]\nid = \"ring\"\nallow = [\"use\"]\nfeature = \"io-uring\"\n"
    );
    let told = changes(OLD, &new);
    let of = |operation| -> Vec<&Change> {
        told.iter().filter(|change| change.operation == operation).collect()
    };
    let inet = of(Operation::Inet);
    assert_eq!(inet.len(), 1, "{inet:?}");
    assert_eq!(inet[0].subject, b"t4\x0a\x01\x01\x01\x01\xbb");
    let features = of(Operation::Feature);
    assert_eq!(features.len(), 1, "{features:?}");
    assert_eq!(features[0].subject, b"io-uring");
    assert_eq!(told.len(), 2);
}

const CALL: &str = "[[rule]]\nid = \"c\"\nallow = [\"call\"]\naction = \"Bash\"\ncontext = ";

#[test]
fn contexts_that_ask_the_same_are_the_same_however_they_are_written() {
    let same = [
        "{ a = { at_least = 1, at_most = 2.5 }, b = [\"x*\", \"xy\"] }",
        "{ b = \"x*\", a = { at_most = 2.50, at_least = 1 } }",
    ];
    let [one, other] = same.map(|context| format!("{CALL}{context}"));
    assert_eq!(changes(&one, &other), []);
    let other = format!("{CALL}{{ b = \"x**\", a = {{ at_most = 2.5, at_least = 1 }} }}");
    let told = changes(&one, &other);
    let outcomes: Vec<_> =
        told.iter().flat_map(|change| &change.when).map(|when| &when.contexts).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(outcomes.iter().all(|contexts| contexts.len() == 2), "{outcomes:?}");
    assert!(
        told.iter()
            .all(|change| change.subject == b"Bash\0" && change.operation == Operation::Call)
    );
}

#[test]
fn a_context_that_falls_away_is_told_with_whose_it_was() {
    let free = CALL.strip_suffix("context = ").unwrap();
    let [change] = &changes(&format!("{CALL}{{ a = true }}"), free)[..] else {
        panic!("one change")
    };
    assert!(matches!((change.before, change.after), (Verdict::Deny(..), Verdict::Allow(_))));
    let contexts = &change.when.as_ref().unwrap().contexts;
    assert_eq!(contexts[..], [(RuleIndex(0), false, super::Outcome::Fails)]);
}
