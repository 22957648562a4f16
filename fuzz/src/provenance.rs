//! Provenance as JSON: what leads from a rule's number back to its text, and who is asked.

use execlayer_agent::record::line;
use execlayer_bundle::{UnsignedBundle, sign, verify};
use execlayer_common::{
    image::{FORMAT, H_CONDITIONS, H_FORMAT, H_MAGIC, H_RULE_COUNT, H_WORDS, HEADER_WORDS, MAGIC},
    provenance::Provenance,
    verdict::RuleIndex,
};

use crate::{
    event, seeds,
    signed::{OWN, key, trusted},
};

pub(crate) fn body(bytes: &[u8]) {
    let Ok(provenance) = serde_json::from_slice::<Provenance>(bytes) else { return };
    let written = serde_json::to_vec(&provenance).unwrap();
    assert_eq!(serde_json::from_slice::<Provenance>(&written).unwrap(), provenance);
    let mut observed = event::observed();
    for rule in [None, Some(0), Some(provenance.rules.len().saturating_sub(1)), Some(65_535)] {
        observed.rule = rule.and_then(|rule| u16::try_from(rule).ok()).map(RuleIndex);
        let name = line::rule_of(&observed, Some(&provenance));
        let known = rule.and_then(|rule| provenance.rules.get(rule));
        assert_eq!(name.id, known.map(|known| known.id.as_str()));
        event::written(&observed, Some(&provenance));
    }
    let Ok(bundle) = UnsignedBundle::new(blank(provenance.rules.len() as u32), provenance) else {
        return;
    };
    let Ok(file) = sign::sign(&bundle, &key(OWN)) else { return };
    let verified = verify(file.bytes(), &trusted(&[OWN])).expect("signed, and not verified");
    assert_eq!(verified.provenance(), bundle.provenance());
}

/// An image of so many rules that decide nothing.
pub(crate) fn blank(rules: u32) -> Vec<u32> {
    let mut words = vec![0; HEADER_WORDS as usize];
    for (at, value) in [
        (H_MAGIC, MAGIC),
        (H_FORMAT, FORMAT),
        (H_WORDS, HEADER_WORDS),
        (H_CONDITIONS, HEADER_WORDS),
        (H_RULE_COUNT, rules),
    ] {
        words[at as usize] = value;
    }
    words
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let asking = seeds::compiled(
        r#"
name = "asking"
version = 2
[agent]
name = "a"
[[decider]]
name = "listed"
sha256 = ["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"]
[[decider]]
name = "desk"
webhook = "https://desk.example.com/execlayer"
secret = "/etc/execlayer/desk.secret"
[[rule]]
id = "r"
ask = ["exec"]
path = "/usr/bin/make"
reason = "because"
timeout = "30s"
remember = "5m"
deciders = ["listed", "desk", "human"]
"#,
    );
    let bundles = seeds::bundles();
    let all = asking.iter().map(|lowered| &lowered.provenance);
    all.chain(bundles.iter().take(5).map(UnsignedBundle::provenance))
        .map(|provenance| serde_json::to_vec(provenance).unwrap())
        .collect()
}
