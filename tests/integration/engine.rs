//! The engine: the same verdicts everywhere, by one version each, however often that is replaced.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use execlayer_common::{access::Operation, image};
use execlayer_engine::{Live, Name, PolicyBundle, Request, Value, Verdict};
use execlayer_policy::author::{Draft, Rule, Test};
use harness::{
    calls::{CALLS, DIGEST, judge, policy},
    prepare::Prepared,
    random::Random,
};

#[test]
fn a_hundred_thousand_calls_are_judged_alike_on_every_machine() -> Result<()> {
    let bundle = policy()?;
    let said = judge(&bundle, CALLS)?;
    for count in said.counts {
        assert!(count * 20 >= CALLS, "one verdict is too rare: {:?}", said.counts);
    }
    assert_eq!(said.digest, DIGEST, "{:?}", said.counts);
    assert_eq!(judge(&bundle, CALLS)?, said, "and again");
    Ok(())
}

/// Versions disagree about every call: even ones allow, odd ones deny, by a rule that has the version's name.
fn version(of: &[Prepared; 2], number: usize) -> Result<PolicyBundle> {
    let prepared = of.get(number % 2).context("one of two")?;
    let mut provenance = prepared.provenance().clone();
    for rule in &mut provenance.rules {
        rule.id = format!("v{number}");
    }
    Ok(PolicyBundle::new(prepared.words(), provenance)?)
}

#[test]
fn every_verdict_is_that_of_one_version_however_many_swap_and_judge() -> Result<()> {
    const THREADS: usize = 64;
    const SWAPS: usize = 10_000;
    let rule = |effect: &str| {
        Prepared::from_rules(&format!(
            "[[rule]]\nid = \"r\"\n{effect} = [\"call\"]\naction = \"**\"\n"
        ))
    };
    let both = [rule("allow")?, rule("deny")?];
    let live = Live::new(version(&both, 0)?);
    let (is_over, judged, newest) =
        (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| -> Result<()> {
        let judges: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    let request = Request::new(b"any", b"thing")?;
                    let mut last = 0;
                    while !is_over.load(Ordering::Acquire) {
                        let (verdict, id) = live.with(|bundle| {
                            let verdict = bundle.evaluate(&request);
                            (verdict, bundle.rule(verdict).map(|rule| rule.id.clone()))
                        });
                        let number = id.as_deref().and_then(|id| id.strip_prefix('v'));
                        let number: usize = number.ok_or_else(|| anyhow!("no rule"))?.parse()?;
                        let is_allowed = matches!(verdict, Verdict::Allow(_));
                        assert_eq!(
                            is_allowed,
                            number.is_multiple_of(2),
                            "a verdict of two versions"
                        );
                        assert!(
                            number >= last,
                            "an older version came back: {number} after {last}"
                        );
                        assert!(
                            number <= newest.load(Ordering::Acquire),
                            "{number} is not there yet"
                        );
                        last = number;
                        judged.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(())
                })
            })
            .collect();
        for number in 1..=SWAPS {
            let next = version(&both, number)?;
            newest.store(number, Ordering::Release);
            let _before = live.replace(next);
        }
        is_over.store(true, Ordering::Release);
        judges
            .into_iter()
            .try_for_each(|judge| judge.join().map_err(|_panic| anyhow!("a judge failed"))?)
    })?;
    let judged = judged.load(Ordering::Relaxed);
    println!("{judged} verdicts beside {SWAPS} swaps");
    assert!(judged > SWAPS, "{judged} verdicts");
    Ok(())
}

#[test]
fn many_agents_have_their_own_policies_and_budgets() -> Result<()> {
    let agents: Vec<PolicyBundle> = (0..16)
        .map(|number| {
            let own = Rule::allow("own").action(&format!("tool-{number}")).at_most("1000/hour");
            Draft::new("own", &format!("agent-{number}")).rule(own).build()
        })
        .collect::<Result<_, _>>()
        .map_err(|error| anyhow!("{error}"))?;
    thread::scope(|scope| {
        for (number, bundle) in agents.iter().enumerate() {
            for _ in 0..2 {
                scope.spawn(move || {
                    for other in 0..16 {
                        let action = format!("tool-{other}");
                        let request = Request::new(action.as_bytes(), b"").unwrap().at(0, 7);
                        let looked = bundle.look(&request);
                        assert_eq!(matches!(looked, Verdict::Allow(_)), other == number);
                    }
                    for _ in 0..600 {
                        let action = format!("tool-{number}");
                        let request = Request::new(action.as_bytes(), b"").unwrap().at(0, 7);
                        let _used = bundle.evaluate(&request);
                    }
                });
            }
        }
    });
    for (number, bundle) in agents.iter().enumerate() {
        let action = format!("tool-{number}");
        let request = Request::new(action.as_bytes(), b"")?.at(0, 7);
        assert!(
            matches!(bundle.evaluate(&request), Verdict::Deny(..)),
            "1,200 calls used 1,000 uses"
        );
        assert!(
            matches!(bundle.evaluate(&request.at(0, 3_600)), Verdict::Allow(_)),
            "the next hour"
        );
    }
    Ok(())
}

/// What is judged by comparing long stretches is judged as letter by letter: words that differ late, or end early.
#[test]
fn long_words_are_judged_as_letter_by_letter() -> Result<()> {
    const POLICIES: usize = 400;
    const STEMS: [&str; 8] = [
        "deploy-",
        "deployment",
        "service/billing",
        "service/baiting",
        "service/boiling",
        "git push --",
        "x",
        "",
    ];
    const ENDS: [&str; 6] = ["force", "forces", "origin main", "a", "/", ""];
    let mut random = Random::new(7);
    let mut counts = [0_usize; 2];
    for _ in 0..POLICIES {
        let word = |random: &mut Random| {
            let stem = STEMS[random.below(STEMS.len())];
            format!("{stem}{}", ENDS[random.below(ENDS.len())])
        };
        // Each with a place in which anything may stand, or nothing does: in front, behind, or neither.
        let rules: Vec<[(String, usize); 3]> = (0..1 + random.below(4))
            .map(|_| [0; 3].map(|_| (word(&mut random), random.below(3))))
            .collect();
        let glob = |(word, open): &(String, usize)| match open {
            0 => format!("**{word}"),
            1 => format!("{word}**"),
            _ if word.is_empty() => "**".to_owned(),
            _ => word.clone(),
        };
        let fits = |(word, open): &(String, usize), text: &str| match open {
            0 => text.ends_with(word.as_str()),
            1 => text.starts_with(word.as_str()),
            _ => word.is_empty() || text == word,
        };
        let mut draft = Draft::new("words", "words");
        for (number, [action, resource, value]) in rules.iter().enumerate() {
            let rule = Rule::allow(&format!("r{number}"));
            let rule = rule.action(&glob(action)).resource(&glob(resource));
            draft = draft.rule(rule.context("v", Test::is(&glob(value))));
        }
        // The same rule twice is an error of its own.
        let Ok(bundle) = draft.build() else { continue };
        for _ in 0..100 {
            // Mostly a rule's words; sometimes cut short, or with something before or behind.
            let rule = &rules[random.below(rules.len())];
            let [action, resource, value] = [0, 1, 2].map(|part: usize| {
                let text =
                    if random.chance(1, 8) { word(&mut random) } else { rule[part].0.clone() };
                let cut = if random.chance(1, 6) { 1.min(text.len()) } else { 0 };
                let more = ["", "", "", "", "n", "/"];
                let (before, behind) = (random.below(more.len()), random.below(more.len()));
                format!("{}{}{}", more[before], &text[..text.len() - cut], more[behind])
            });
            if action.is_empty() {
                continue;
            }
            let values = [(Name::new("v")?, Value::Text(value.as_bytes()))];
            let call = Request::new(action.as_bytes(), resource.as_bytes())?.with(&values)?;
            let expected = rules
                .iter()
                .any(|[a, r, v]| fits(a, &action) && fits(r, &resource) && fits(v, &value));
            let verdict = bundle.evaluate(&call);
            let is_allowed = matches!(verdict, Verdict::Allow(_));
            assert_eq!(is_allowed, expected, "{action:?} {resource:?} {value:?} {}", draft.text());
            counts[usize::from(is_allowed)] += 1;
        }
    }
    assert!(counts.iter().all(|count| *count > 1_000), "{counts:?}");
    Ok(())
}

/// A text that cannot be judged from its front, for too much would have to be remembered, is judged from its back.
#[test]
fn long_words_are_judged_from_the_back_as_well() -> Result<()> {
    const OPEN: &str = "??????????????????????";
    let rules = format!(
        "[[rule]]\nid = \"r\"\nallow = [\"call\"]\naction = \"deploy\"\nresource = \"**a{OPEN}-and-its-end\"\n"
    );
    let prepared = Prepared::from_rules(&rules)?;
    let words = prepared.words();
    let start = words.get(image::start_index(Operation::Call, 0) as usize);
    ensure!(start.is_some_and(|start| start & image::START_BACKWARD != 0), "{start:?}");
    let bundle = PolicyBundle::new(words, prepared.provenance().clone())?;
    for (action, about, is_allowed) in [
        ("deploy", "-and-its-end", true),
        ("deploy", "-and-its-enD", false),
        ("deploy", "-and_its-end", false),
        ("deploy", "and-its-end", false),
        ("deploy", "-and-its-end-", false),
        ("deplay", "-and-its-end", false),
        ("eploy", "-and-its-end", false),
        ("xdeploy", "-and-its-end", false),
    ] {
        let resource = format!("aba{}{about}", "x".repeat(OPEN.len()));
        let verdict = bundle.evaluate(&Request::new(action.as_bytes(), resource.as_bytes())?);
        assert_eq!(matches!(verdict, Verdict::Allow(_)), is_allowed, "{action} {about}");
    }
    Ok(())
}
