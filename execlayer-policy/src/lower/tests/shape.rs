//! What images look like: header, lanes, early ends, provenance, listing.

use execlayer_common::{
    access::{Access, Operation},
    automaton::{self, HALT},
    image::{self, Effect},
    verdict::{RuleIndex, Verdict},
};

use crate::{
    CheckedPolicy,
    checked::{Budget, Condition, Mode, Record, Rule},
    evaluate::Facts,
    image_world::{View, judge_image},
    lower::{Lowered, listing, lower, testing},
};

fn lowered(rules: Vec<Rule>) -> Lowered {
    lower(&testing::policy(rules)).unwrap()
}

/// Directions of the lanes of `open`, and bytes that each reads of `subject`.
fn walked(lowered: &Lowered, subject: &str) -> Vec<(bool, usize)> {
    let view = View(lowered.image.words());
    let starts = (0..4).map(|lane| view.0[image::start_index(Operation::File, lane) as usize]);
    let walk = |start: u32| {
        let backward = start & image::START_BACKWARD != 0;
        let mut bytes: Vec<u8> = subject.bytes().collect();
        if backward {
            bytes.reverse();
        }
        let mut state = start & !image::START_BACKWARD;
        let end = bytes.iter().position(|&byte| {
            state = automaton::step(&view, state, byte);
            automaton::is_over(state)
        });
        (backward, end.map_or(bytes.len(), |at| at + 1))
    };
    starts.take_while(|&start| start != 0).map(walk).collect()
}

#[test]
fn an_empty_policy_is_a_header_that_denies() {
    let lowered = lower(&testing::empty_policy()).unwrap();
    let words = lowered.image.words();
    assert_eq!(words.len(), image::HEADER_WORDS as usize);
    assert_eq!(image::check_header(words), Ok(()));
    assert_eq!(words[image::H_STARTS as usize..], [0; 28]);
}

#[test]
fn bytes_are_little_endian_words() {
    let image = lowered(vec![testing::rule(1, &["/a"])]).image;
    let bytes = image.to_bytes();
    assert_eq!(bytes[..4], *b"EXYL");
    assert_eq!(bytes.len(), image.words().len() * 4);
}

#[test]
fn the_header_says_mode_record_selectors_and_counts() {
    let budget = Condition { at_most: Some(Budget { uses: 1, window: 1 }), ..Condition::default() };
    let uid = Condition { uid: Some(1), ..Condition::default() };
    let rules = [uid, budget, uid, budget, Condition::default()];
    let rules = rules.map(|when| Rule { when, ..testing::rule(1, &["/a"]) });
    let policy = CheckedPolicy {
        mode: Mode::Monitor,
        record: Record::All,
        cgroups: vec![testing::glob("/x/*")],
        ..testing::policy(rules.to_vec())
    };
    let lowered = lower(&policy).unwrap();
    let word = |at: u32| lowered.image.words()[at as usize];
    let flags = image::FLAG_MONITOR | image::FLAG_RECORD_ALL | image::FLAG_SELECTS_CGROUP;
    assert_eq!(word(image::H_FLAGS), flags);
    assert_eq!(word(image::H_WORDS) as usize, lowered.image.words().len());
    assert_eq!(word(image::H_GENERATION), 0);
    assert_eq!(word(image::H_RULE_COUNT), 5);
    assert_eq!((word(image::H_CONDITION_COUNT), word(image::H_BUDGET_COUNT)), (3, 2));
}

#[test]
fn a_directory_that_is_allowed_whole_ends_the_walk_behind_its_name() {
    let mut rules =
        vec![testing::rule(1, &["/usr/**"]), testing::rule(2, &["/usr/lib/**", "/etc/a"])];
    rules.extend((3..20).map(|line| testing::rule(line, &[&format!("/usr/**/x{line}/*")])));
    let lowered = lowered(rules);
    assert_eq!(walked(&lowered, "/usr/lib/x3/y"), [(false, 6)]);
    assert_eq!(walked(&lowered, "/var/lib/x3/y"), [(false, 2)]);
}

#[test]
fn endings_are_read_from_behind_and_do_not_keep_directories_from_ending_the_walk() {
    let ending = |path| Rule { effect: Effect::Deny, ..testing::rule(2, &[path]) };
    let lowered = |path| lowered(vec![testing::rule(1, &["/usr/**"]), ending(path)]);
    assert_eq!(walked(&lowered("/**/*.pem"), "/usr/lib/lib.so"), [(false, 6), (true, 1)]);
    assert_eq!(walked(&lowered("/**/id_*"), "/usr/lib/lib.so"), [(false, 6), (true, 7)]);
}

#[test]
fn patterns_open_everywhere_join_the_endings_if_that_is_cheap() {
    let deny = Rule { effect: Effect::Deny, ..testing::rule(2, &["/**/*.pem", "/**/.git/**"]) };
    let lowered = lowered(vec![testing::rule(1, &["/usr/**"]), deny]);
    let lanes: Vec<bool> = lowered.report.lanes.iter().map(|lane| lane.backward).collect();
    assert_eq!(lanes, [false, true]);
}

#[test]
fn budgets_are_used_in_the_order_of_their_rules_wherever_their_patterns_are_open() {
    let when = Condition { at_most: Some(Budget { uses: 1, window: 1 }), ..Condition::default() };
    let rules = [&["/**/*.pem"], &["/srv/**"], &["/**/srv/**"]].map(|paths| {
        let rule = testing::rule(1, paths);
        Rule { when, ..rule }
    });
    let lowered = lowered(rules.to_vec());
    let mut used = Vec::new();
    let verdict = judge_image(
        lowered.image.words(),
        Operation::File,
        b"/srv/srv/a.pem",
        Access::READ,
        Facts { uid: 0, minute: 0 },
        &mut |number, _, _| {
            used.push(number);
            number == 2
        },
    );
    assert_eq!((verdict, &used[..]), (Verdict::Allow(RuleIndex(2)), &[0, 1, 2][..]));
}

#[test]
fn no_start_is_halted_and_every_start_is_a_state_behind_the_header() {
    let lowered = lowered(vec![testing::rule(1, &["**"]), testing::rule(2, &["/b", "/**/c"])]);
    for lane in 0..4 {
        let at = image::start_index(Operation::File, lane);
        let start = lowered.image.words()[at as usize] & !image::START_BACKWARD;
        assert!(start == 0 || start & HALT == 0 && start >= image::HEADER_WORDS);
    }
}

#[test]
fn provenance_leads_from_numbers_to_ids_and_lines() {
    let mut rule = testing::rule(7, &["/a"]);
    rule.reason = Some("because".to_owned());
    let policy = CheckedPolicy {
        executables: vec![testing::glob("/bin/x*")],
        ..testing::policy(vec![testing::rule(3, &[]), rule])
    };
    let provenance = lower(&policy).unwrap().provenance;
    let rules: Vec<(&str, u32, u32, Option<&str>)> = provenance
        .rules
        .iter()
        .map(|rule| (rule.id.as_str(), rule.file, rule.line, rule.reason.as_deref()))
        .collect();
    assert_eq!(rules, [("r3", 0, 3, None), ("r7", 0, 7, Some("because"))]);
    assert_eq!((provenance.policy.as_str(), provenance.agent.as_str()), ("test", "tester"));
    assert_eq!(
        (provenance.files, provenance.executables),
        (policy.files, vec!["/bin/x*".to_owned()])
    );
}

#[test]
fn the_report_shows_size_and_lanes() {
    let report = lowered(vec![testing::rule(1, &["/a"]), testing::rule(2, &["/**/*.b"])]).report;
    let expected = format!(
        "image: {} bytes in a table of 64 KiB, 7 states, 2 decision sets, 0 conditions\n\
         open forward: 1 rules, 3 states of 3 built\n\
         open backward: 1 rules, 4 states of 5 built\n",
        report.words * 4
    );
    assert_eq!(report.to_string(), expected);
}

#[test]
fn the_listing_shows_lanes_sets_and_conditions() {
    let night = Condition { uid: Some(5), between: Some((1200, 60)), at_most: None };
    let deny = Rule { effect: Effect::Deny, when: night, ..testing::rule(2, &["/a/*.b"]) };
    let policy = CheckedPolicy {
        cgroups: vec![testing::glob("/c")],
        ..testing::policy(vec![testing::rule(1, &["/a/**"]), deny])
    };
    let lowered = lower(&policy).unwrap();
    let text = listing(lowered.image.words(), &lowered.provenance).unwrap();
    let words = lowered.image.words().len();
    let expected = format!(
        "image of `test` version 1 for `tester`\nformat 2, {words} words\n\
         flag: selects tasks by their cgroup\nrules: 2\n\
         lane: open forward, 8 states, 21 cells\nlane: select-cgroup forward, 3 states, 3 cells\n\
         \nset 1\n  allow read by rule 0 `r1`\n\
         \nset 2\n  deny read by rule 1 `r2` under condition 1\n  allow read by rule 0 `r1`\n\
         \nset 3\n  allow govern\n\
         \ncondition 1: uid 5 from 20:00 to 01:00\n"
    );
    assert_eq!(text, expected);
    assert!(listing(&lowered.image.words()[1..], &lowered.provenance).is_err());
}
