//! Claims about chains: who is asked in which order, and what nobody knows.

use super::*;

fn decider(name: &str, kind: DeciderKind) -> Decider {
    Decider { name: name.to_owned(), kind }
}

fn listed(byte: u8) -> Decider {
    let digests = vec![execlayer_api::text::hex(&[byte; 32])];
    decider("builds", DeciderKind::Sha256 { digests })
}

fn step(chain: &[Decider], position: &mut usize, facts: &Facts) -> Step {
    next(&chain.iter().collect::<Vec<_>>(), position, facts, &mut Budgets::default())
}

#[test]
fn without_a_chain_a_person_is_asked() {
    assert_eq!(step(&[], &mut 0, &Facts::default()), Step::Human);
}

#[test]
fn a_file_is_measured_once_and_its_digest_must_be_listed() {
    let chain = [listed(7)];
    let mut facts = Facts { is_measurable: true, ..Facts::default() };
    assert_eq!(step(&chain, &mut 0, &facts), Step::Measure);
    facts.is_measurable = false;
    assert_eq!(step(&chain, &mut 0, &facts), Step::Deny, "it could not be measured");
    facts.digest = Some([7; 32]);
    assert_eq!(step(&chain, &mut 0, &facts), Step::Allow("sha256 `builds`".to_owned()));
    facts.digest = Some([8; 32]);
    assert_eq!(step(&chain, &mut 0, &facts), Step::Deny);
}

#[test]
fn what_one_does_not_know_goes_to_the_next() {
    let human = decider("human", DeciderKind::Human {});
    let command = DeciderKind::Command { argv: vec!["/bin/x".to_owned()], timeout: 1 };
    let chain = [listed(7), decider("ticket", command), human];
    let facts = Facts { digest: Some([8; 32]), ..Facts::default() };
    let mut position = 0;
    assert_eq!(step(&chain, &mut position, &facts), Step::Errand);
    assert_eq!(position, 1);
    position += 1;
    assert_eq!(step(&chain, &mut position, &facts), Step::Human);
    assert_eq!(position, 2);
}

#[test]
fn a_budget_allows_so_many_in_any_such_time() {
    let chain = [decider("two", DeciderKind::Budget { uses: 2, window: 60 })];
    let chain: Vec<&Decider> = chain.iter().collect();
    let mut budgets = Budgets::default();
    let at = |seconds: u64, budgets: &mut Budgets| {
        let facts =
            Facts { now: seconds * SECOND, policy: (1, 1), is_held: true, ..Facts::default() };
        next(&chain, &mut 0, &facts, budgets)
    };
    let yes = Step::Allow("budget `two`".to_owned());
    assert_eq!(at(0, &mut budgets), yes);
    assert_eq!(at(59, &mut budgets), yes);
    assert_eq!(at(59, &mut budgets), Step::Deny);
    assert_eq!(at(60, &mut budgets), yes, "the first one is over");
    assert_eq!(at(61, &mut budgets), Step::Deny);
    let failed = Facts { now: 600 * SECOND, policy: (1, 1), ..Facts::default() };
    assert_eq!(next(&chain, &mut 0, &failed, &mut budgets), Step::Deny, "nothing to count");
    budgets.keep_current(|_profile| Some(2));
    assert_eq!(at(61, &mut budgets), yes, "another generation");
}
