//! Claims about rules that lead to another agent's policy: how they are written, refused and told.

use super::{findings, policy, with_rules};
use crate::{explain::explain, lower};

const LEADS: &str =
    "[[rule]]\nid = \"git\"\ntransition = \"git-helper\"\npath = \"/usr/bin/git\"\n";

#[test]
fn what_does_not_go_with_a_transition_is_pointed_at() {
    for (line, message) in [
        ("allow = [\"exec\"]", "a rule with `transition` has no `allow`"),
        ("deny = [\"read\"]", "a rule with `transition` has no `deny`"),
        ("ask = [\"exec\"]", "a rule with `transition` has no `ask`"),
        ("when = { user = 0 }", "a rule with `transition` has no `when`"),
        ("to = \"*:80\"", "`to` needs `connect` or `bind` among the operations"),
        ("feature = \"io-uring\"", "`feature` needs `use` among the operations"),
        ("timeout = \"5s\"", "`timeout` belongs to rules with `ask`"),
    ] {
        let found = findings(&format!("{LEADS}{line}\n"));
        assert!(found.contains("policy.toml:11:") && found.contains(message), "{found}");
    }
    let nowhere = findings("[[rule]]\nid = \"r\"\ntransition = \"git-helper\"\n");
    assert!(nowhere.contains("`[[rule]]` has no `path`"), "{nowhere}");
    assert_eq!(findings(LEADS), "");
}

#[test]
fn agents_are_named_as_agents_are_and_nobody_leads_to_itself() {
    let odd = findings(&LEADS.replace("git-helper", "git helper"));
    assert!(odd.contains("`git helper` cannot be used as name"), "{odd}");
    let own = findings(&LEADS.replace("git-helper", "a"));
    assert!(own.contains("rule `git` leads to the policy that it is in"), "{own}");
    let accepts = |names: &str| {
        let text = with_rules(LEADS)
            .replace("name = \"a\"", &format!("name = \"a\"\naccepts_from = {names}"));
        super::rendered(&super::outcome(&text))
    };
    assert_eq!(accepts("[\"b\", \"c\"]"), "");
    let own = accepts("[\"b\", \"a\"]");
    assert!(own.contains("an agent does not go from its policy to its policy"), "{own}");
}

#[test]
fn more_than_a_policy_may_have_are_refused_at_the_first_that_is_too_many() {
    let rules = |count: usize| -> String {
        (0..count)
            .map(|at| {
                LEADS
                    .replace("\"git\"", &format!("\"git-{at}\""))
                    .replace("/git\"", &format!("/g{at}\""))
            })
            .collect()
    };
    assert_eq!(findings(&rules(64)), "");
    let found = findings(&rules(65));
    assert!(found.contains("the policy has 65 rules with `transition`; 64 are allowed"), "{found}");
    assert!(found.contains("policy.toml:264:6"), "{found}");
}

#[test]
fn where_a_rule_leads_is_told_and_kept() {
    let text =
        with_rules(LEADS).replace("name = \"a\"", "name = \"a\"\naccepts_from = [\"z\", \"b\"]");
    let policy = policy(&text);
    let told = explain(&policy);
    let rule = "  git\n    run `/usr/bin/git`\n    from there on under the policy of the agent `git-helper`\n";
    assert!(told.contains(rule), "{told}");
    assert!(told.contains(", programs to which rules of `b`, `z` lead, and all that"), "{told}");
    let provenance = lower(&policy).unwrap().provenance;
    assert_eq!(provenance.accepts_from, ["b", "z"]);
    assert_eq!(provenance.rules[0].transition.as_deref(), Some("git-helper"));
}
