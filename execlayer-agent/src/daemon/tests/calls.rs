//! What the process that serves the API is told, and what it may do.

use execlayer_api::{
    ErrorCode, Request,
    link::{Ask, Judged, Reply, Said, Told},
};
use tokio::sync::oneshot;

use super::{Bench, Outcome, is_root};
use crate::control::Call;

fn told(bench: &mut Bench, request: Ask) -> Result<Told, (ErrorCode, String)> {
    let (reply, mut answer) = oneshot::channel();
    bench.daemon.answer_link(Call { pid: 4_711, uid: 998, request, reply });
    match answer.try_recv().unwrap() {
        Reply::Done(told) => Ok(told),
        Reply::Error(failure) => Err((failure.code, failure.message)),
    }
}

fn judged(verdict: Said, reason: &str) -> Judged {
    Judged {
        agent: "coder".to_owned(),
        generation: 1,
        pid: std::process::id(),
        uid: 0,
        session: 7,
        agent_session: Some("s-1".to_owned()),
        call: Some("toolu_1".to_owned()),
        action: "Bash".to_owned(),
        resource: "git push --token abc".to_owned(),
        context: r#"{"amount":1.50,"password":"x","note":"--token abc"}"#.to_owned(),
        digest: "d".repeat(64),
        verdict,
        reason: reason.to_owned(),
        rule: Some(0),
    }
}

/// A daemon with a policy of `coder` in force.
fn bench() -> Bench {
    let mut bench = Bench::new(false);
    bench.daemon.profiles.keeps_images = true;
    let path = bench.bundle("coder", None).display().to_string();
    assert!(bench.ask(Request::Install { path }).is_ok());
    bench
}

#[test]
fn a_policy_comes_whole_and_unknown_agents_have_none() {
    if !is_root() {
        return;
    }
    let mut bench = bench();
    let Ok(Told::Policies(heads)) = told(&mut bench, Ask::Policies {}) else { panic!("policies") };
    assert_eq!(heads.len(), 1);
    let asked = Ask::Policy { agent: "coder".to_owned() };
    let Ok(Told::Policy(whole)) = told(&mut bench, asked) else { panic!("a policy") };
    assert_eq!(whole.head, heads[0]);
    assert!(whole.provenance.contains("policy-of-coder") && !whole.image.is_empty());
    let other = told(&mut bench, Ask::Policy { agent: "other".to_owned() });
    assert_eq!(other.unwrap_err().0, ErrorCode::UnknownAgent);
}

#[test]
fn calls_are_recorded_with_what_the_agent_calls_them_and_without_secrets() {
    if !is_root() {
        return;
    }
    let mut bench = bench();
    let calls = vec![judged(Said::Deny, "unlisted")];
    let Ok(Told::Recorded(recorded)) = told(&mut bench, Ask::Record { calls }) else { panic!() };
    assert!(!recorded.is_denied);
    let text = std::fs::read_to_string(bench.records()).unwrap();
    let record = text.lines().last().unwrap();
    for part in [
        r#""kind":"call""#,
        r#""agent":"coder""#,
        r#""operation":"call","access":["call"],"subject":"Bash git push --token [redacted]""#,
        r#""verdict":"deny""#,
        r#""call":"toolu_1","agent_session":"s-1""#,
        r#""context":{"amount":1.50,"note":"--token [redacted]","password":"[redacted]"}"#,
        r#""session":7"#,
    ] {
        assert!(record.contains(part), "{part} in {record}");
    }
    assert!(!record.contains("abc"), "{record}");
    // Again and again it is counted; and what the kernel counted stays as it was.
    let calls = vec![judged(Said::Deny, "unlisted"); 100];
    assert!(told(&mut bench, Ask::Record { calls }).is_ok());
    bench.daemon.write_repeats(u64::MAX);
    bench.daemon.tick();
    let lines = bench.lines();
    let of = |kind: &str| lines.iter().filter(|line| line["kind"] == kind).collect::<Vec<_>>();
    assert!(of("call").len() < 30, "{}", of("call").len());
    let [repeat] = of("repeat")[..] else { panic!("one repeat") };
    assert_eq!(repeat["count"].as_u64(), Some(101 - of("call").len() as u64));
    assert_eq!(of("lost").len(), 0);
    for wrong in [
        Judged { agent: "other".to_owned(), ..judged(Said::Deny, "rule") },
        Judged { action: String::new(), ..judged(Said::Deny, "rule") },
        Judged { action: "a\0".to_owned(), ..judged(Said::Deny, "rule") },
        judged(Said::Deny, "because"),
        Judged { context: r#"{"a":1e999}"#.to_owned(), ..judged(Said::Deny, "rule") },
        Judged { context: "[]".to_owned(), ..judged(Said::Deny, "rule") },
    ] {
        assert!(told(&mut bench, Ask::Record { calls: vec![wrong] }).is_err());
    }
}

#[test]
fn a_person_answers_for_a_call_and_a_yes_is_used_once() {
    if !is_root() {
        return;
    }
    let mut bench = bench();
    let hold = || Ask::Hold { call: Box::new(judged(Said::Ask, "ask-not-held")) };
    let Ok(Told::Asked(put)) = told(&mut bench, hold()) else { panic!("a question") };
    let Ok(Told::Asked(again)) = told(&mut bench, hold()) else { panic!("a question") };
    assert_eq!((put.id, put.answer), (again.id, None));
    let Ok(Outcome::Questions(open)) = bench.ask(Request::Questions {}) else { panic!() };
    assert_eq!(open.len(), 1);
    assert_eq!((open[0].id, open[0].operation.as_str()), (put.id, "call"));
    assert_eq!(open[0].subject, "Bash git push --token abc");

    // Not through the API, unless the options say so.
    let through = |id| Ask::Answer { id, allow: true, message: None, by: "desk".to_owned() };
    assert_eq!(told(&mut bench, through(put.id)).unwrap_err().0, ErrorCode::Forbidden);
    let answer = |id| Request::Answer {
        id,
        allow: true,
        remember: execlayer_api::Remember::AsRule,
        message: None,
    };
    assert!(bench.ask(answer(put.id)).is_ok());
    assert!(bench.ask(answer(put.id)).is_err(), "it has ended");
    let Ok(Told::Asked(yes)) = told(&mut bench, hold()) else { panic!("an answer") };
    assert_eq!((yes.id, yes.answer), (put.id, Some(true)));
    let Ok(Told::Asked(next)) = told(&mut bench, hold()) else { panic!("a question") };
    assert_eq!(next.answer, None, "a yes is used once");
    assert!(next.id > put.id);

    bench.daemon.options.api_answers = true;
    assert!(told(&mut bench, through(next.id)).is_ok());
    let asked = |is_asker| Ask::Question { id: next.id, is_asker };
    let Ok(Told::Question(over)) = told(&mut bench, asked(true)) else { panic!("an end") };
    assert_eq!((over.allowed, over.session), (Some(true), 7));
    let Ok(Told::Asked(third)) = told(&mut bench, hold()) else { panic!("a question") };
    assert_eq!(third.answer, None, "whoever waited has used it");
    let records = std::fs::read_to_string(bench.records()).unwrap();
    for part in [r#""kind":"question""#, r#""by":"desk (API)""#, r#""verdict":"allow""#] {
        assert!(records.contains(part), "{part} in {records}");
    }
}

#[test]
fn another_policy_ends_what_the_one_before_asked() {
    if !is_root() {
        return;
    }
    let mut bench = bench();
    bench.daemon.options.api_answers = true;
    let hold = |resource: &str, generation| Ask::Hold {
        call: Box::new(Judged {
            resource: resource.to_owned(),
            digest: resource.repeat(8),
            generation,
            ..judged(Said::Ask, "ask-not-held")
        }),
    };
    let generation = |bench: &mut Bench| match told(bench, Ask::Policies {}) {
        Ok(Told::Policies(heads)) => heads[0].generation,
        other => panic!("{other:?}"),
    };
    let asked = |bench: &mut Bench, request| match told(bench, request) {
        Ok(Told::Asked(put)) => put.id,
        other => panic!("{other:?}"),
    };
    let ended = |bench: &mut Bench, id, is_asker| {
        bench.daemon.tick();
        let Ok(Told::Question(ended)) = told(bench, Ask::Question { id, is_asker }) else {
            panic!("{id}")
        };
        (ended.allowed, ended.ending)
    };
    let first = generation(&mut bench);
    let open = asked(&mut bench, hold("open", first));
    let yes = asked(&mut bench, hold("yes", first));
    let answer = Ask::Answer { id: yes, allow: true, message: None, by: "desk".to_owned() };
    assert!(told(&mut bench, answer).is_ok());
    assert_eq!(ended(&mut bench, open, true), (None, None));

    let path = bench.bundle("coder", None).display().to_string();
    assert!(bench.ask(Request::Install { path }).is_ok());
    let second = generation(&mut bench);
    assert_ne!(first, second);
    assert_eq!(ended(&mut bench, open, true), (Some(false), Some("denied".to_owned())));
    assert_eq!(ended(&mut bench, yes, false), (Some(true), Some("allowed".to_owned())));
    assert_eq!(ended(&mut bench, yes, true), (Some(false), Some("replaced".to_owned())));
    // Who has not heard of it yet asks by the old one.
    assert_eq!(told(&mut bench, hold("yes", first)).unwrap_err().0, ErrorCode::Unavailable);
    let again = asked(&mut bench, hold("yes", second));
    assert!(again > yes, "a yes under the old policy is none");
    assert_eq!(ended(&mut bench, again, true), (None, None));
}

#[test]
fn a_governed_process_cannot_use_the_link() {
    if !is_root() {
        return;
    }
    let mut bench = bench();
    bench.daemon.gate.as_fake().sessions.insert(4_711, 9);
    assert_eq!(told(&mut bench, Ask::Policies {}).unwrap_err().0, ErrorCode::Forbidden);
}
