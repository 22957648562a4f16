//! The file of high-water marks: whatever stands in it, a version that was in force keeps older ones out, and a
//! switch that did not come about leaves everything as it was.

use execlayer_agent::marks::{Edition, Marks, Refusal};
use execlayer_bundle::order::{self, Rollback};

const AGENT: &str = "a";
const POLICY: &str = "p";

pub(crate) fn body(bytes: &[u8]) {
    let Ok(mut marks) = Marks::parse(bytes) else { return };
    let written = serde_json::to_vec(&marks).unwrap();
    assert_eq!(Marks::parse(&written).unwrap(), marks);
    let edition = |version, digest: &str| Edition { version, digest: digest.to_owned() };
    let newest = marks.newest_of(AGENT, POLICY);
    let other = marks.judge("another", POLICY, &edition(3, "x"));
    if let Some(newest) = newest
        && let Some(older) = newest.checked_sub(1)
    {
        let refusal = Refusal::Older { mark: newest, found: older };
        assert_eq!(marks.judge(AGENT, POLICY, &edition(older, "x")), Err(refusal));
    }
    let next = newest.unwrap_or(0).saturating_add(1);
    // A switch that is done.
    marks.begin(AGENT, POLICY, edition(next, "x"));
    marks.done(AGENT, POLICY);
    assert_eq!(marks.newest_of(AGENT, POLICY), Some(next));
    assert_eq!(marks.judge(AGENT, POLICY, &edition(next, "x")), Ok(()));
    assert_eq!(marks.judge(AGENT, POLICY, &edition(next, "y")), Err(Refusal::Changed(next)));
    assert!(marks.judge(AGENT, POLICY, &edition(next - 1, "x")).is_err());
    // One that is not.
    let before = marks.clone();
    marks.begin(AGENT, POLICY, edition(next.saturating_add(1), "z"));
    marks.undo(AGENT, POLICY);
    assert_eq!(marks.newest_of(AGENT, POLICY), before.newest_of(AGENT, POLICY));
    assert!(marks.judge(AGENT, POLICY, &edition(next - 1, "x")).is_err());
    // An order goes back from what was in force, once.
    let (policy, agent) = (POLICY.to_owned(), AGENT.to_owned());
    let order =
        Rollback { format: order::FORMAT, policy, agent, from: next, to: next - 1, issued: None };
    assert_eq!(marks.go_back(&order), Ok(()));
    assert_eq!(marks.judge(AGENT, POLICY, &edition(next - 1, "x")), Ok(()));
    assert!(marks.go_back(&order).is_err(), "an order serves twice");
    assert_eq!(marks.judge("another", POLICY, &edition(3, "x")), other, "another agent's marks");
    assert!(marks.newest(5) >= 5);
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        r#"{"format":1,"newest":7,"policies":[]}"#,
        r#"{"format":1,"newest":0,"policies":[{"agent":"a","policy":"p","edition":{"version":7,"digest":"x"}}]}"#,
        r#"{"format":1,"newest":9,"policies":[{"agent":"a","policy":"p","edition":{"version":9,"digest":""},"before":"nothing"},{"agent":"another","policy":"p","edition":{"version":3,"digest":"y"},"before":{"edition":{"version":2,"digest":"z"}}}]}"#,
        r#"{"format":2,"newest":0,"policies":[]}"#,
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
