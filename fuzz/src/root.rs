//! Roots and orders behind a signature: what the signed bytes may say, and who may replace what.

use std::sync::OnceLock;

use execlayer_bundle::{
    Kind, TrustedKeys,
    order::{self, Rollback},
    root::{self, ANY, Quorum, Role, Root, VerifiedRoot},
    sign, verify,
};

use crate::{
    seeds,
    signed::{OTHER, OWN, STRANGER, key, payload, signed, trusted},
};

pub(crate) fn body(bytes: &[u8]) {
    as_root(bytes);
    as_order(bytes);
}

fn as_root(bytes: &[u8]) {
    let by = |keys: &[u8]| signed(Kind::Root, bytes, keys);
    if let Ok(first) = root::verify(&by(&[OWN, OTHER]), None) {
        let root = first.root();
        let signers = root.root.keys.iter().filter(|id| **id == id_of(OWN) || **id == id_of(OTHER));
        assert!(root.root.threshold >= 1 && signers.count() >= root.root.threshold as usize);
        assert!(root.version >= 1);
        assert_eq!(
            root::unverified(&by(&[STRANGER])).as_ref(),
            Ok(root),
            "it depends on who signs"
        );
        // Written again it says the same.
        let written = sign::sign_root(root, &key(OWN)).unwrap();
        assert_eq!(root::unverified(written.bytes()).as_ref(), Ok(root));
        who_may_sign(&first);
        next_of(&first);
    }
    let current = current();
    for keys in [&[OWN][..], &[OTHER], &[OWN, OTHER], &[STRANGER], &[OWN, STRANGER]] {
        if let Ok(next) = root::verify(&by(keys), Some(current)) {
            assert_eq!(next.root().version, current.root().version + 1, "a version is left out");
            assert!(keys.contains(&OWN), "replaced without the key that may");
        }
    }
}

/// A root only has those sign whom it names.
fn who_may_sign(root: &VerifiedRoot) {
    let keys = TrustedKeys::of_root(root);
    for number in [OWN, OTHER, STRANGER] {
        static BUNDLE: OnceLock<Vec<u8>> = OnceLock::new();
        let bundle = BUNDLE.get_or_init(|| {
            let file = sign::sign(&seeds::bundles()[0], &key(OWN)).unwrap();
            payload(file.bytes())
        });
        if let Ok(verified) = verify(&signed(Kind::Policy, bundle, &[number]), &keys) {
            let provenance = verified.provenance();
            let may = |role: &&Role| {
                let is_of = |role: &str, name: &str| role == ANY || role == name;
                is_of(&role.policy, &provenance.policy)
                    && is_of(&role.agent, &provenance.agent)
                    && role.threshold == 1
                    && role.keys.contains(&id_of(number))
            };
            assert!(root.root().roles.iter().any(|role| may(&role)), "no role has it sign");
        }
    }
}

/// Nothing follows a root but the next version, signed by as many of its own.
fn next_of(first: &VerifiedRoot) {
    let mut next = first.root().clone();
    let file = sign::sign_root(&next, &key(OWN)).unwrap();
    let again = sign::add(file.bytes(), &key(OTHER)).unwrap();
    assert!(root::verify(again.bytes(), Some(first)).is_err(), "the same version follows itself");
    let Some(version) = next.version.checked_add(1) else { return };
    next.version = version;
    let file = sign::sign_root(&next, &key(OWN)).unwrap();
    let file = sign::add(file.bytes(), &key(OTHER)).unwrap();
    assert!(root::verify(file.bytes(), Some(first)).is_ok(), "its successor is refused");
}

fn as_order(bytes: &[u8]) {
    let keys = trusted(&[OWN]);
    assert!(order::verify(&signed(Kind::Rollback, bytes, &[STRANGER]), &keys).is_err());
    let Ok(verified) = order::verify(&signed(Kind::Rollback, bytes, &[OWN]), &keys) else { return };
    let order = verified.order();
    assert!(order.to < order.from && order.format == order::FORMAT);
    let written = sign::sign_rollback(order, &key(OWN)).unwrap();
    assert_eq!(order::verify(written.bytes(), &keys).unwrap().order(), order);
}

fn id_of(number: u8) -> String {
    key(number).id().to_string()
}

fn first_root() -> Root {
    let keys = [OWN, OTHER].map(|number| key(number).public().to_text().trim_end().to_owned());
    let quorum = |numbers: &[u8], threshold| Quorum {
        keys: numbers.iter().map(|&number| id_of(number)).collect(),
        threshold,
    };
    let role = |policy: &str, agent: &str, threshold| {
        let (policy, agent) = (policy.to_owned(), agent.to_owned());
        let Quorum { keys, threshold } = quorum(&[OTHER, OWN], threshold);
        Role { policy, agent, keys, threshold }
    };
    Root {
        format: root::FORMAT,
        version: 1,
        issued: Some(77),
        keys: keys.to_vec(),
        root: quorum(&[OWN], 1),
        roles: vec![role(ANY, "coding", 1), role("rules", ANY, 2), role(ANY, ANY, 1)],
        local: true,
    }
}

/// The root in force.
fn current() -> &'static VerifiedRoot {
    static CURRENT: OnceLock<VerifiedRoot> = OnceLock::new();
    CURRENT.get_or_init(|| {
        let file = sign::sign_root(&first_root(), &key(OWN)).unwrap();
        root::verify(file.bytes(), None).unwrap()
    })
}

pub(crate) fn order() -> Rollback {
    let (policy, agent) = ("p".to_owned(), "a".to_owned());
    Rollback { format: order::FORMAT, policy, agent, from: 7, to: 3, issued: Some(9) }
}

/// Files of roots and orders.
pub(crate) fn files() -> Vec<Vec<u8>> {
    let mut second = first_root();
    second.version = 2;
    second.root.keys.push(id_of(OTHER));
    second.root.threshold = 2;
    let second = sign::sign_root(&second, &key(OWN)).unwrap();
    let mut third = first_root();
    (third.version, third.roles, third.issued) = (3, Vec::new(), None);
    [
        sign::sign_root(&first_root(), &key(OWN)).unwrap(),
        sign::add(second.bytes(), &key(OTHER)).unwrap(),
        sign::sign_root(&third, &key(OWN)).unwrap(),
        sign::sign_rollback(&order(), &key(OWN)).unwrap(),
    ]
    .map(|file| file.bytes().to_vec())
    .to_vec()
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    files().iter().map(|file| payload(file)).collect()
}
