//! What a reader of the audit trail can rely on, events aside.

use super::lost;

#[test]
fn a_loss_has_a_line_of_its_own() {
    let line = lost(Some(2), Some("codex"), "ring", 5, 0).unwrap();
    let line: serde_json::Value = serde_json::from_slice(&line).unwrap();
    assert_eq!((&line["kind"], &line["lost"]), (&"lost".into(), &5.into()));
    assert_eq!((&line["agent"], &line["profile"]), (&"codex".into(), &2.into()));
    assert_eq!(line["cause"], "ring");
}
