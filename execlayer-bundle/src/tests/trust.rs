//! Claims about roots, thresholds, terms and orders.

use super::*;
use crate::{
    order::{self, Rollback},
    root::{self, ANY, Quorum, Role, Root, VerifiedRoot},
    sign::{add, sign_rollback, sign_root},
};

fn ids(seeds: &[u8]) -> Vec<String> {
    seeds.iter().map(|&seed| key(seed).id().to_string()).collect()
}

fn role(policy: &str, agent: &str, seeds: &[u8], threshold: u32) -> Role {
    Role { policy: policy.into(), agent: agent.into(), keys: ids(seeds), threshold }
}

/// Keys 1 to 3 may replace it, two of them; 4, 5 and 6 sign policies.
fn root_of(version: u64, roles: Vec<Role>) -> Root {
    Root {
        format: root::FORMAT,
        version,
        issued: None,
        keys: (1..=6).map(|seed| key(seed).public().to_text()).collect(),
        root: Quorum { keys: ids(&[1, 2, 3]), threshold: 2 },
        roles,
        local: false,
    }
}

fn signed_root(root: &Root, seeds: &[u8]) -> Vec<u8> {
    let (first, others) = seeds.split_first().unwrap();
    let mut bytes = sign_root(root, &key(*first)).unwrap().bytes().to_vec();
    for &seed in others {
        bytes = add(&bytes, &key(seed)).unwrap().bytes().to_vec();
    }
    bytes
}

fn verified(root: &Root) -> VerifiedRoot {
    root::verify(&signed_root(root, &[1, 2]), None).unwrap()
}

fn signed_by(seeds: &[u8]) -> Vec<u8> {
    let (first, others) = seeds.split_first().unwrap();
    let mut bytes = sign(&unsigned(), &key(*first)).unwrap().bytes().to_vec();
    for &seed in others {
        bytes = add(&bytes, &key(seed)).unwrap().bytes().to_vec();
    }
    bytes
}

fn under(roles: Vec<Role>) -> TrustedKeys {
    TrustedKeys::of_root(&verified(&root_of(1, roles)))
}

fn refused(seeds: &[u8], trusted: &TrustedKeys) -> BundleError {
    verify(&signed_by(seeds), trusted).map(|_bundle| ()).unwrap_err()
}

#[test]
fn as_many_different_keys_as_the_root_says_are_needed() {
    let trusted = under(vec![role("p", "a", &[4, 5, 6], 2)]);
    assert_eq!(verify(&signed_by(&[4, 6]), &trusted).unwrap().signers().len(), 2);
    verify(&signed_by(&[4, 5, 6]), &trusted).unwrap();
    // Of nobody, of one, and of one that may sign roots.
    for (seeds, found) in [(&[4_u8][..], 1), (&[5, 1], 1), (&[1, 2], 0), (&[5, 99], 1)] {
        let what = "policy `p` of agent `a`".to_owned();
        assert_eq!(refused(seeds, &trusted), BundleError::Threshold { what, found, needed: 2 });
    }
    assert_eq!(refused(&[99], &trusted), BundleError::UnknownKey(ids(&[99])[0].clone()));
}

#[test]
fn one_key_that_signs_twice_is_one_key() {
    let trusted = under(vec![role("p", "a", &[4, 5], 2)]);
    let bytes = signed_by(&[4]);
    // The tool replaces a signature; whoever writes it twice by hand is refused.
    assert_eq!(add(&bytes, &key(4)).unwrap().bytes(), bytes);
    let mut envelope: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let again = envelope["signatures"][0].clone();
    envelope["signatures"].as_array_mut().unwrap().push(again);
    let error = verify(&serde_json::to_vec(&envelope).unwrap(), &trusted).unwrap_err();
    assert_eq!(error, BundleError::RepeatedKey(ids(&[4])[0].clone()));
}

#[test]
fn a_role_is_of_its_policy_and_its_agent_alone() {
    for (roles, is_allowed) in [
        (vec![role("p", "a", &[4], 1)], true),
        (vec![role(ANY, "a", &[4], 1)], true),
        (vec![role("p", ANY, &[4], 1)], true),
        (vec![role("p", "b", &[4], 1)], false),
        (vec![role("P", "a", &[4], 1)], false),
        (vec![role("p*", "a", &[4], 1)], false),
        (vec![], false),
        // Any role that is satisfied is enough.
        (vec![role("p", "a", &[5, 6], 2), role(ANY, ANY, &[4], 1)], true),
    ] {
        let shown = format!("{roles:?}");
        let result = verify(&signed_by(&[4]), &under(roles));
        assert_eq!(result.is_ok(), is_allowed, "{shown}");
        if let Err(error) = result {
            assert!(matches!(error, BundleError::NobodyMaySign { .. }), "{error}");
        }
    }
}

#[test]
fn a_machines_own_key_signs_beside_a_root_only_where_it_is_added() {
    let mut trusted = under(vec![role("p", "a", &[4, 5], 2)]);
    assert!(matches!(refused(&[9], &trusted), BundleError::UnknownKey(_)));
    trusted.add(key(9).public()).unwrap();
    verify(&signed_by(&[9]), &trusted).unwrap();
    assert!(matches!(refused(&[4], &trusted), BundleError::Threshold { .. }));
}

#[test]
fn a_first_root_is_signed_by_as_many_as_it_says() {
    let root = root_of(1, vec![]);
    for (seeds, found) in [(&[1_u8][..], 1), (&[1, 4], 1), (&[4, 5], 0)] {
        let error = root::verify(&signed_root(&root, seeds), None).unwrap_err();
        let what = "by the new root itself".to_owned();
        assert_eq!(error, BundleError::Threshold { what, found, needed: 2 });
    }
    assert_eq!(verified(&root).root(), &root);
}

#[test]
fn a_root_is_replaced_by_old_and_new_together() {
    let old = verified(&root_of(1, vec![]));
    // Key 3 is lost, key 7 is new: 2 and 7 rule from now on.
    let mut new = root_of(2, vec![]);
    new.keys.push(key(7).public().to_text());
    new.root = Quorum { keys: ids(&[2, 7]), threshold: 2 };
    let by_both = signed_root(&new, &[1, 2, 7]);
    assert_eq!(root::verify(&by_both, Some(&old)).unwrap().root(), &new);
    for (seeds, what) in [
        (&[2_u8, 7][..], "by the root that is replaced"),
        (&[1, 2], "by the new root itself"),
        (&[1, 3, 7], "by the new root itself"),
    ] {
        let error = root::verify(&signed_root(&new, seeds), Some(&old)).unwrap_err();
        let BundleError::Threshold { what: found, .. } = &error else { panic!("{error}") };
        assert_eq!(found, what);
    }
}

#[test]
fn roots_follow_one_another_without_a_gap() {
    let old = verified(&root_of(4, vec![]));
    for found in [1, 3, 4, 6] {
        let bytes = signed_root(&root_of(found, vec![]), &[1, 2]);
        let error = root::verify(&bytes, Some(&old)).unwrap_err();
        assert_eq!(error, BundleError::RootVersion { current: 4, found });
    }
    root::verify(&signed_root(&root_of(5, vec![]), &[1, 2]), Some(&old)).unwrap();
}

#[test]
fn a_root_that_contradicts_itself_is_refused() {
    type Change = fn(&mut Root);
    let changes: &[(&str, Change)] = &[
        ("another format", |root| root.format = 2),
        ("version 0", |root| root.version = 0),
        ("nobody", |root| root.root = Quorum { keys: vec![], threshold: 0 }),
        ("none of some", |root| root.root.threshold = 0),
        ("more than there are", |root| root.root.threshold = 4),
        ("one key twice", |root| root.root.keys = ids(&[1, 1])),
        ("a key that is not there", |root| root.root.keys = ids(&[1, 2, 99])),
        ("a key that is there twice", |root| root.keys.push(root.keys[0].clone())),
        ("the same key under another comment", |root| {
            let words: Vec<&str> = root.keys[0].split(' ').collect();
            root.keys.push(format!("{} {} other", words[0], words[1]));
        }),
        ("no key", |root| root.keys[0] = "ssh-ed25519 AAAA".to_owned()),
        ("a role of nobody", |root| root.roles.push(role("p", "a", &[4], 2))),
        ("a role of one twice", |root| root.roles.push(role("p", "a", &[4, 4], 2))),
    ];
    for (name, change) in changes {
        let mut root = root_of(1, vec![]);
        change(&mut root);
        assert!(sign_root(&root, &key(1)).is_err(), "{name}: signed");
        // Also whoever writes it by other means gets nowhere.
        let payload = serde_json::to_vec(&root).unwrap();
        let bytes = sign_payload(Kind::Root, &payload, &key(1)).unwrap().bytes().to_vec();
        let bytes = add(&bytes, &key(2)).unwrap().bytes().to_vec();
        let error = root::verify(&bytes, None).unwrap_err();
        assert!(matches!(error, BundleError::Root(_) | BundleError::Format(2)), "{name}: {error}");
    }
}

#[test]
fn a_signature_over_one_kind_counts_for_no_other() {
    let root = signed_root(&root_of(1, vec![]), &[1, 2]);
    let order = sign_rollback(&rollback(7, 6), &key(1)).unwrap().bytes().to_vec();
    let trusted = trusting(&[1, 2]);
    for (bytes, found) in [(&root, Kind::Root), (&order, Kind::Rollback)] {
        assert_eq!(kind(bytes), Ok(found));
        let expected = Kind::Policy;
        let other = BundleError::OtherKind { found, expected };
        assert_eq!(verify(bytes, &trusted).map(|_| ()).unwrap_err(), other);
        // Under another name it is not what was signed.
        let mut envelope: serde_json::Value = serde_json::from_slice(bytes).unwrap();
        envelope["payloadType"] = expected.payload_type().into();
        let renamed = serde_json::to_vec(&envelope).unwrap();
        let error = verify(&renamed, &trusted).map(|_| ()).unwrap_err();
        assert!(matches!(error, BundleError::BadSignature(_)), "{error}");
    }
    assert!(matches!(kind(b"{\"payloadType\":\"x\"}"), Err(BundleError::PayloadType(_))));
    assert_eq!(kind(b"{"), Err(BundleError::CutShort));
}

fn rollback(from: u64, to: u64) -> Rollback {
    let (policy, agent) = ("p".to_owned(), "a".to_owned());
    Rollback { format: order::FORMAT, policy, agent, from, to, issued: None }
}

#[test]
fn who_may_sign_a_policy_may_order_to_go_back() {
    let trusted = under(vec![role("p", "a", &[4, 5], 2)]);
    let one = sign_rollback(&rollback(7, 6), &key(4)).unwrap().bytes().to_vec();
    let error = order::verify(&one, &trusted).unwrap_err();
    assert!(matches!(error, BundleError::Threshold { found: 1, .. }), "{error}");
    let both = add(&one, &key(5)).unwrap().bytes().to_vec();
    assert_eq!(order::verify(&both, &trusted).unwrap().order(), &rollback(7, 6));
    for (from, to) in [(6, 6), (6, 7)] {
        let error = sign_rollback(&rollback(from, to), &key(4)).unwrap_err();
        assert_eq!(error, BundleError::Order { from, to });
    }
}

#[test]
fn it_does_not_matter_who_signs_first() {
    assert_eq!(signed_by(&[4, 5, 6]), signed_by(&[6, 4, 5]));
}

#[test]
fn terms_are_signed_and_limit_where_and_when() {
    let terms = Terms {
        issued: Some(150),
        not_before: Some(100),
        not_after: Some(200),
        least_agent: Some([0, 2, 0]),
        machines: vec!["edge-1".into(), "edge-2".into()],
    };
    let bundle = unsigned().under(terms.clone()).unwrap();
    let bytes = sign(&bundle, &key(1)).unwrap().bytes().to_vec();
    let bundle = verify(&bytes, &trusting(&[1])).unwrap();
    assert_eq!(bundle.terms(), &terms);
    let here = Here { now: 160, agent: [0, 2, 1], machine: "edge-2" };
    assert_eq!(bundle.terms().judge(&here), Ok(()));
    // A machine without a clock learns from the bundle that it is later.
    assert_eq!(bundle.terms().judge(&Here { now: 0, ..here }), Ok(()));
    let judged = |here| bundle.terms().judge(&here).unwrap_err();
    assert_eq!(judged(Here { now: 201, ..here }), TermsError::Expired(200, 201));
    assert_eq!(judged(Here { agent: [0, 1, 9], ..here }), TermsError::AgentTooOld([0, 2, 0]));
    let other = judged(Here { machine: "edge-3", ..here });
    assert!(matches!(other, TermsError::OtherMachine { .. }), "{other}");
    let early = Terms { issued: None, ..terms.clone() }.judge(&Here { now: 99, ..here });
    assert_eq!(early, Err(TermsError::TooEarly(100, 99)));
    let never = Terms { not_before: Some(201), ..terms };
    assert!(matches!(unsigned().under(never), Err(BundleError::Terms(_))));
    assert_eq!(Terms::default().judge(&Here { now: 0, ..here }), Ok(()));
}

#[test]
fn every_change_of_a_root_is_noticed() {
    let bytes = signed_root(&root_of(1, vec![role("p", "a", &[4], 1)]), &[1, 2]);
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(root::verify(&changed, None).is_err(), "byte {at}");
        assert!(root::verify(&bytes[..at], None).is_err(), "the first {at} bytes");
    }
}
