//! How long an answer is good for.

use super::{MAX_ENDED, RETRY, Same, Tools};
use crate::{
    defer::tests::pending,
    defer::{Ending, Pending},
};

fn same(digest: &str) -> Same {
    Same { digest: digest.to_owned(), session: 7, generation: 1 }
}

fn asked(tools: &mut Tools, digest: &str) -> u64 {
    let pending: Pending = pending(1, 100);
    tools.ask(pending, same(digest))
}

#[test]
fn a_yes_is_used_once_and_a_no_holds_for_a_while() {
    let mut tools = Tools::new(1);
    let (yes, no) = (asked(&mut tools, "a"), asked(&mut tools, "b"));
    assert_ne!(yes, no);
    assert_eq!((tools.same(&same("a")), tools.same(&same("c"))), (Some(yes), None));
    assert!(tools.end(yes, Ending::Allowed, None, (10, None)).is_some());
    assert!(tools.end(no, Ending::Denied, Some("why"), (10, None)).is_some());
    assert!(tools.end(no, Ending::Allowed, None, (10, None)).is_none(), "it has ended");
    for other in [Same { session: 8, ..same("a") }, Same { generation: 2, ..same("a") }, same("c")]
    {
        assert_eq!(tools.answered(&other, 11), None);
    }
    assert_eq!(tools.answered(&same("a"), 11), Some((yes, true)));
    assert_eq!(tools.answered(&same("a"), 11), None, "it was used");
    for _ in 0..2 {
        assert_eq!(tools.answered(&same("b"), 9 + RETRY), Some((no, false)));
    }
    assert_eq!(tools.answered(&same("b"), 10 + RETRY), None, "somebody may ask again");
}

#[test]
fn whoever_waited_for_a_yes_has_used_it() {
    let mut tools = Tools::new(1);
    let id = asked(&mut tools, "a");
    tools.end(id, Ending::Allowed, None, (10, None));
    for (is_asker, is_good) in [(false, true), (true, true), (true, false)] {
        let over = tools.over(id, is_asker).unwrap();
        assert_eq!((over.0.ending, over.1), (Ending::Allowed, is_good), "it is used once");
    }
    assert_eq!(tools.answered(&same("a"), 11), None);
}

#[test]
fn a_yes_that_is_remembered_holds_for_its_time() {
    let mut tools = Tools::new(1);
    let id = asked(&mut tools, "a");
    tools.end(id, Ending::Allowed, None, (10, Some(5)));
    for _ in 0..3 {
        assert!(tools.over(id, true).is_some_and(|(_over, is_good)| is_good));
        assert_eq!(tools.answered(&same("a"), 14), Some((id, true)));
    }
    assert_eq!(tools.answered(&same("a"), 15), None);
}

#[test]
fn silence_is_no_answer_to_the_next_and_the_oldest_is_forgotten() {
    let mut tools = Tools::new(1);
    let id = asked(&mut tools, "a");
    assert_eq!((tools.due(99), tools.due(100)), (vec![], vec![id]));
    tools.end(id, Ending::TimedOut, None, (100, None));
    assert_eq!(tools.answered(&same("a"), 101), None);
    for _ in 0..MAX_ENDED {
        let other = asked(&mut tools, "b");
        tools.end(other, Ending::Denied, None, (100, None));
    }
    assert!(tools.over(id, false).is_none());
}
