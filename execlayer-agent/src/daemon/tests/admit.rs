//! Which signed files are taken, and what is left when something goes wrong on the way.

use execlayer_bundle::{
    Terms,
    order::{self, Rollback},
    root::{self, ANY, Quorum, Role, Root},
    sign::{add, sign_rollback, sign_root},
};

use super::*;

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from_random(Zeroizing::new([seed; 32]), "a release key")
}

/// A bench whose daemon trusts key 1, as a release key.
fn bench() -> Option<Bench> {
    if !is_root() {
        return None;
    }
    let bench = Bench::new(false);
    let keys = bench.folder.path().join("keys");
    fs::create_dir(&keys).unwrap();
    fs::write(keys.join("release.pub"), key(1).public().to_text()).unwrap();
    Some(bench)
}

/// A policy of that version for `claude`; `select` makes its content another one.
fn policy(bench: &Bench, version: u64, select: Option<&str>, terms: Terms) -> UnsignedBundle {
    let path = bench.bundle("claude", select);
    let claims = execlayer_bundle::unverified_claims(&fs::read(path).unwrap()).unwrap();
    let provenance = Provenance { version, ..claims.provenance };
    UnsignedBundle::new(claims.image, provenance).unwrap().under(terms).unwrap()
}

fn file(bench: &Bench, bytes: &[u8]) -> PathBuf {
    let path = bench.folder.path().join("signed");
    fs::write(&path, bytes).unwrap();
    path
}

/// Puts version `version` in force, signed by key 1; the version, or why not.
fn put(bench: &mut Bench, version: u64, select: Option<&str>) -> Result<u64, String> {
    put_under(bench, version, select, Terms::default())
}

fn put_under(
    bench: &mut Bench,
    version: u64,
    select: Option<&str>,
    terms: Terms,
) -> Result<u64, String> {
    let bundle = policy(bench, version, select, terms);
    let path = file(bench, sign::sign(&bundle, &key(1)).unwrap().bytes());
    match bench.install(&path) {
        Ok(Outcome::Installed(installed)) => Ok(installed.version),
        Ok(other) => panic!("{other:?}"),
        Err((_code, message)) => Err(message),
    }
}

/// A daemon that starts anew over the same state and the same kernel.
fn again(mut bench: Bench) -> Bench {
    let gate = std::mem::take(&mut *fake(&mut bench.daemon));
    let mut next = Bench::over(bench.ended(), false, gate);
    next.daemon.restore();
    next
}

fn fake(daemon: &mut Daemon) -> &mut Fake {
    daemon.gate.as_fake()
}

fn in_force(bench: &mut Bench) -> u64 {
    bench.status().profiles[0].version
}

#[test]
fn an_older_version_stays_out_also_after_a_restart_until_it_is_ordered() {
    let Some(mut bench) = bench() else { return };
    assert_eq!(put(&mut bench, 5, None), Ok(5));
    assert_eq!(put(&mut bench, 7, None), Ok(7));
    assert!(put(&mut bench, 5, None).unwrap_err().contains("older than version 7"));
    let mut bench = again(bench);
    assert_eq!(in_force(&mut bench), 7);
    assert!(put(&mut bench, 5, None).unwrap_err().contains("older than version 7"));
    let order = Rollback {
        format: order::FORMAT,
        policy: "policy-of-claude".into(),
        agent: "claude".into(),
        from: 7,
        to: 5,
        issued: None,
    };
    let path = file(&bench, sign_rollback(&order, &key(9)).unwrap().bytes());
    assert_eq!(code(bench.install(&path)), ErrorCode::BundleRefused, "anybody's order");
    let path = file(&bench, sign_rollback(&order, &key(1)).unwrap().bytes());
    assert!(matches!(bench.install(&path), Ok(Outcome::Ordered(_))));
    assert_eq!(in_force(&mut bench), 7, "an order changes nothing by itself");
    let mut bench = again(bench);
    assert_eq!(in_force(&mut bench), 7, "nor does a restart");
    assert_eq!(put(&mut bench, 5, None), Ok(5));
    let path = file(&bench, sign_rollback(&order, &key(1)).unwrap().bytes());
    assert_eq!(code(bench.install(&path)), ErrorCode::BundleRefused, "it is spent");
}

#[test]
fn a_key_that_is_trusted_no_more_takes_no_policy_away_with_a_boot() {
    let Some(mut bench) = bench() else { return };
    assert_eq!(put(&mut bench, 7, None), Ok(7));
    fs::remove_file(bench.folder.path().join("keys/release.pub")).unwrap();
    // A boot leaves nothing in the kernel.
    let mut bench = Bench::over(bench.ended(), false, Fake::default());
    bench.daemon.restore();
    assert_eq!(in_force(&mut bench), 7);
    assert!(bench.status().degraded[0].contains("govern on"), "{:?}", bench.status().degraded);
    assert!(put(&mut bench, 8, None).is_err(), "it signs nothing new");
    // What was never in force is not taken for it.
    let other = policy(&bench, 7, Some("/usr/bin/x"), Terms::default());
    let kept = bench.folder.path().join("profiles/1.bundle");
    fs::write(kept, sign::sign(&other, &key(1)).unwrap().bytes()).unwrap();
    let mut bench = Bench::over(bench.ended(), false, Fake::default());
    bench.daemon.restore();
    assert!(bench.status().profiles.is_empty());
    assert!(bench.status().degraded[0].contains("are not in force"));
}

#[test]
fn a_changed_policy_needs_a_new_version() {
    let Some(mut bench) = bench() else { return };
    assert_eq!(put(&mut bench, 7, None), Ok(7));
    assert_eq!(put(&mut bench, 7, None), Ok(7), "the same once more");
    assert!(put(&mut bench, 7, Some("/usr/bin/x")).unwrap_err().contains("other content"));
    assert_eq!(put(&mut bench, 8, Some("/usr/bin/x")), Ok(8));
}

#[test]
fn what_the_machine_signs_itself_may_change_as_it_likes() {
    let Some(mut bench) = bench() else { return };
    for (version, select) in [(3, None), (3, Some("/usr/bin/x")), (1, None)] {
        let bundle = policy(&bench, version, select, Terms::default());
        let path = file(&bench, sign::sign(&bundle, &bench.key).unwrap().bytes());
        assert!(matches!(bench.install(&path), Ok(Outcome::Installed(_))), "{version}");
    }
    assert!(!bench.folder.path().join("marks.json").exists());
}

#[test]
fn a_switch_that_fails_leaves_the_old_policy_and_its_mark() {
    let Some(mut bench) = bench() else { return };
    assert_eq!(put(&mut bench, 7, None), Ok(7));
    for step in ["put_table", "set_slot"] {
        fake(&mut bench.daemon).failing.insert(step);
        assert!(put(&mut bench, 8, None).is_err(), "{step}");
        fake(&mut bench.daemon).failing.clear();
        bench = again(bench);
        assert_eq!(in_force(&mut bench), 7, "{step}");
    }
    assert_eq!(put(&mut bench, 8, None), Ok(8));
}

#[test]
fn a_policy_that_cannot_be_kept_is_not_put_in_force() {
    let Some(mut bench) = bench() else { return };
    assert_eq!(put(&mut bench, 7, None), Ok(7));
    // Where the mark, and where the bundle, would be written beside the old one.
    for name in ["marks.new", "profiles/1.new"] {
        let path = bench.folder.path().join(name);
        fs::create_dir_all(path.join("full")).unwrap();
        assert!(put(&mut bench, 8, None).unwrap_err().contains("cannot be kept"), "{name}");
        assert_eq!(in_force(&mut bench), 7, "{name}");
        fs::remove_dir_all(path).unwrap();
        bench = again(bench);
        assert_eq!(in_force(&mut bench), 7, "{name}");
    }
    assert_eq!(put(&mut bench, 8, None), Ok(8));
}

#[test]
fn a_bundle_that_is_kept_cannot_be_exchanged_for_an_older_one() {
    let Some(mut bench) = bench() else { return };
    assert_eq!(put(&mut bench, 5, None), Ok(5));
    let kept = bench.folder.path().join("profiles/1.bundle");
    let old = fs::read(&kept).unwrap();
    assert_eq!(put(&mut bench, 7, None), Ok(7));
    fs::write(&kept, old).unwrap();
    let mut bench = again(bench);
    let status = bench.status();
    assert!(status.profiles.is_empty() && status.degraded.len() == 2, "{:?}", status.degraded);
    assert!(status.degraded.iter().any(|reason| reason.contains("older than version 7")));
    assert!(status.degraded.iter().any(|reason| reason.contains("govern on")), "{status:?}");
}

#[test]
fn marks_that_are_lost_are_shown_and_made_anew_from_what_is_kept() {
    let Some(mut bench) = bench() else { return };
    assert_eq!(put(&mut bench, 7, None), Ok(7));
    fs::write(bench.folder.path().join("marks.json"), "{").unwrap();
    let mut bench = again(bench);
    assert_eq!(in_force(&mut bench), 7);
    let shown = bench.status().degraded.join("\n");
    assert!(shown.contains("marks.json.corrupt"), "{shown}");
    assert!(put(&mut bench, 6, None).unwrap_err().contains("older than version 7"));
}

#[test]
fn terms_keep_a_policy_out_and_never_take_one_away() {
    let Some(mut bench) = bench() else { return };
    let now = crate::record::time::now();
    let until = |last| Terms { not_after: Some(last), ..Terms::default() };
    assert!(put_under(&mut bench, 1, None, until(now - 10)).unwrap_err().contains("until"));
    let elsewhere = Terms { machines: vec!["elsewhere".into()], ..Terms::default() };
    assert!(put_under(&mut bench, 1, None, elsewhere).unwrap_err().contains("elsewhere"));
    let newer = Terms { least_agent: Some([9, 0, 0]), ..Terms::default() };
    assert!(put_under(&mut bench, 1, None, newer).unwrap_err().contains("9.0.0"));
    assert_eq!(put_under(&mut bench, 1, None, until(now + 1_000)), Ok(1));
    bench.daemon.look_for_expired();
    assert!(bench.status().degraded.is_empty());
    // Something else that is signed says that it is much later than this machine's clock.
    let later = Terms { issued: Some(now + 2_000), ..Terms::default() };
    let bundle = policy(&bench, 1, None, later);
    let provenance = Provenance { agent: "codex".into(), ..bundle.provenance().clone() };
    let other = UnsignedBundle::new(bundle.image().to_vec(), provenance).unwrap();
    let other = other.under(bundle.terms().clone()).unwrap();
    let path = file(&bench, sign::sign(&other, &key(1)).unwrap().bytes());
    assert!(matches!(bench.install(&path), Ok(Outcome::Installed(_))));
    let mut bench = again(bench);
    bench.daemon.look_for_expired();
    let status = bench.status();
    assert_eq!(status.profiles.len(), 2, "it governs on");
    assert!(status.degraded[0].contains("`policy-of-claude`"), "{:?}", status.degraded);
}

#[test]
fn with_a_root_it_says_who_may_sign_and_a_broken_one_leaves_nobody() {
    let Some(mut bench) = bench() else { return };
    assert_eq!(put(&mut bench, 1, None), Ok(1), "without a root, whoever is in the folder");
    let id = |seed: u8| key(seed).id().to_string();
    let mut root = Root {
        format: root::FORMAT,
        version: 1,
        issued: None,
        keys: [1, 2, 3].map(|seed| key(seed).public().to_text()).to_vec(),
        root: Quorum { keys: vec![id(3)], threshold: 1 },
        roles: vec![Role {
            policy: ANY.into(),
            agent: "claude".into(),
            keys: vec![id(1), id(2)],
            threshold: 2,
        }],
        local: false,
    };
    let signed = |root: &Root, seed: u8| sign_root(root, &key(seed)).unwrap().bytes().to_vec();
    let path = file(&bench, &signed(&root, 3));
    assert!(matches!(bench.install(&path), Ok(Outcome::RootInForce(_))));
    assert!(put(&mut bench, 2, None).unwrap_err().contains("1 of the 2 signatures"));
    let bundle = policy(&bench, 2, None, Terms::default());
    let both = sign::sign(&bundle, &key(1)).unwrap();
    let both = add(both.bytes(), &key(2)).unwrap();
    let path = file(&bench, both.bytes());
    assert!(matches!(bench.install(&path), Ok(Outcome::Installed(_))));
    // The machine's own key, which this root does not want.
    let path = file(&bench, sign::sign(&bundle, &bench.key).unwrap().bytes());
    assert_eq!(code(bench.install(&path)), ErrorCode::BundleRefused);
    // The next root wants it; one that skips a version or is signed by another is refused.
    root.local = true;
    for (version, seed) in [(1, 3), (3, 3), (2, 1)] {
        root.version = version;
        let path = file(&bench, &signed(&root, seed));
        assert_eq!(code(bench.install(&path)), ErrorCode::BundleRefused, "{version} by {seed}");
    }
    root.version = 2;
    let path = file(&bench, &signed(&root, 3));
    assert!(matches!(bench.install(&path), Ok(Outcome::RootInForce(_))));
    let path = file(&bench, sign::sign(&bundle, &bench.key).unwrap().bytes());
    assert!(matches!(bench.install(&path), Ok(Outcome::Installed(_))));
    fs::write(bench.folder.path().join("root.json"), "{").unwrap();
    assert_eq!(code(bench.install(&path)), ErrorCode::BundleRefused);
    assert_eq!(in_force(&mut bench), 2, "what is in force stays");
    assert!(bench.status().degraded[0].contains("root.json"));
}

#[test]
fn what_is_dropped_in_is_taken_once_and_what_is_refused_is_shown_until_it_is_gone() {
    let Some(mut bench) = bench() else { return };
    let dropped = bench.folder.path().join("dropped");
    fs::create_dir(&dropped).unwrap();
    let drop_in = |bench: &mut Bench, name: &str, version: u64, seed: u8| {
        let bundle = policy(bench, version, None, Terms::default());
        let signed = sign::sign(&bundle, &key(seed)).unwrap();
        fs::write(dropped.join(name), signed.bytes()).unwrap();
        bench.daemon.take_dropped();
    };
    drop_in(&mut bench, "a.bundle", 5, 1);
    assert_eq!(in_force(&mut bench), 5);
    let generation = |bench: &mut Bench| bench.status().profiles[0].generation;
    let before = generation(&mut bench);
    bench.daemon.take_dropped();
    assert_eq!(generation(&mut bench), before, "it is there already");
    drop_in(&mut bench, "b.bundle", 6, 9);
    drop_in(&mut bench, "c.bundle", 4, 1);
    assert_eq!(in_force(&mut bench), 5, "what is refused changes nothing");
    let shown = bench.status().degraded.join("; ");
    assert!(shown.contains("b.bundle") && shown.contains("c.bundle"), "{shown}");
    assert!(!shown.contains("a.bundle"), "{shown}");
    // An order that was followed is no complaint when it is met again.
    let order = Rollback {
        format: order::FORMAT,
        policy: "policy-of-claude".into(),
        agent: "claude".into(),
        from: 5,
        to: 4,
        issued: None,
    };
    let order = sign_rollback(&order, &key(1)).unwrap();
    let path = dropped.join("back.order");
    fs::write(&path, order.bytes()).unwrap();
    bench.daemon.take_dropped();
    fs::write(&path, [order.bytes(), b"\n"].concat()).unwrap();
    bench.daemon.take_dropped();
    let shown = bench.status().degraded.join("; ");
    assert!(shown.contains("b.bundle") && !shown.contains("back.order"), "{shown}");
    assert_eq!(in_force(&mut bench), 4, "what was too old is not any more");
    fs::remove_file(dropped.join("a.bundle")).unwrap();
    // A restart does not put it in force a second time.
    let mut bench = again(bench);
    let before = generation(&mut bench);
    bench.daemon.take_dropped();
    assert_eq!((in_force(&mut bench), generation(&mut bench)), (4, before));
    for name in ["b.bundle", "c.bundle"] {
        fs::remove_file(dropped.join(name)).unwrap();
    }
    bench.daemon.take_dropped();
    assert!(bench.status().degraded.is_empty());
    drop_in(&mut bench, "a.bundle", 6, 1);
    assert_eq!(in_force(&mut bench), 6);
}
