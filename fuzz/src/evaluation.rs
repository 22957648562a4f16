//! What agents send to the evaluation API: a call of a tool, and what comes of it. Nothing is allowed but what one rule
//! names, and each name of the context is given once.

use std::sync::OnceLock;

use execlayer_agent::api::{
    judge::{Call, Moment, judge},
    policies::InForce,
};
use execlayer_api::link::{Head, Said};
use execlayer_http::{context::ContextValue, types::Evaluation};
use execlayer_policy::author::{Draft, Rule, Test};

fn policy() -> &'static InForce {
    static POLICY: OnceLock<InForce> = OnceLock::new();
    POLICY.get_or_init(|| {
        let only = Rule::allow("only").action("pay").resource("invoice *");
        let only = only.context("amount", Test::at_most(100)).context("sure", Test::flag(true));
        let bundle = Draft::new("p", "a").rule(only).build().unwrap();
        let head = Head {
            agent: "a".into(),
            policy: "p".into(),
            version: 1,
            digest: String::new(),
            generation: 1,
        };
        InForce { head, bundle }
    })
}

pub(crate) fn body(bytes: &[u8]) {
    let Ok(sent) = serde_json::from_slice::<Evaluation>(bytes) else { return };
    let names: std::collections::BTreeSet<_> =
        sent.context.0.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), sent.context.0.len(), "a name is given twice");
    let call = Call {
        action: sent.action.clone(),
        resource: sent.resource.clone(),
        context: sent.context.clone(),
        call: sent.call.clone(),
        agent_session: sent.session.clone(),
        pid: 1,
        uid: 1,
        session: 1,
        is_look: sent.dry_run,
    };
    let moment = Moment { minute: 0, second: 0 };
    let Ok((_verdict, judged)) = judge(policy(), &call, moment) else { return };
    let is = |name: &str, wanted: &dyn Fn(&ContextValue) -> bool| {
        sent.context.0.iter().any(|(known, value)| known == name && wanted(value))
    };
    let may = sent.action == "pay"
        && sent.resource.starts_with("invoice ")
        && is("sure", &|value| *value == ContextValue::Flag(true))
        && is("amount", &|value| match value {
            // Where a float cannot tell, this claims nothing.
            ContextValue::Number(text) => text.parse::<f64>().is_ok_and(|number| number <= 100.0),
            _ => false,
        });
    assert!(judged.verdict != Said::Allow || may, "allowed: {sent:?}");
    // What is recorded says what was sent.
    let context: serde_json::Value = serde_json::from_str(&judged.context).unwrap();
    assert_eq!(context.as_object().map(serde_json::Map::len), Some(sent.context.0.len()));
    assert_eq!(judged.digest.len(), 64);
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        r#"{"action":"pay","resource":"invoice 7","context":{"amount":99.90,"sure":true}}"#,
        r#"{"action":"pay","resource":"invoice 7","context":{"amount":1e2,"sure":true,"l":["a","b"]},"session":"s","call":"c"}"#,
        r#"{"action":"pay","resource":"invoice \u0000","context":{"amount":"1","sure":true},"dry_run":true}"#,
        r#"{"action":"Bash","agent":"a"}"#,
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
