//! That no program leads to two policies: only the order of rules would say to which, and it says nothing anywhere
//! else. Decided by an automaton, like everything about what patterns match; must not become part of the image.

use execlayer_common::{
    access::{Access, Operation},
    image,
};

use super::{
    blame,
    error::{LowerError, culprits},
    lanes,
    sets::{Entry, Holds},
    source::Source,
};
use crate::checked::{CheckedPolicy, Rule};

/// Refuses rules that lead from one program to different policies.
pub(super) fn check(policy: &CheckedPolicy) -> Result<(), LowerError> {
    let leading = || {
        let all = (0_u16..).zip(&policy.rules);
        all.filter_map(|(number, rule)| Some((number, rule, rule.transition.as_deref()?)))
    };
    let Some((_, _, first)) = leading().next() else { return Ok(()) };
    if leading().all(|(_, _, target)| target == first) {
        return Ok(());
    }
    let sources: Vec<Source<'_>> =
        leading().map(|(number, rule, _)| source(number, rule)).collect();
    let planned =
        lanes::plan(&sources).map_err(|failure| blame(policy, Operation::Exec, failure))?;
    let target = |rule: u16| policy.rules.get(usize::from(rule))?.transition.as_deref();
    for set in planned.iter().flat_map(|lane| &lane.sets) {
        let entries = set.iter().skip(image::SET_HEADER_WORDS as usize + 1);
        let rules: Vec<u16> = entries
            .step_by(image::ENTRY_WORDS as usize)
            .map(|&word| image::entry_rule(word))
            .collect();
        if rules.windows(2).any(|pair| target(pair[0]) != target(pair[1])) {
            return Err(LowerError::Transitions { culprits: culprits(policy, rules.into_iter()) });
        }
    }
    Ok(())
}

/// A rule's patterns alone. As if it had a budget: such entries are all in one lane, and none hides another.
fn source(number: u16, rule: &Rule) -> Source<'_> {
    let (effect, access) = (image::Effect::Allow, Access::ENTER.0);
    let entry = Entry { effect, holds: Holds::Budget, rule: number, condition: 0, access };
    Source { entry, patterns: &rule.paths, excepts: &rule.except }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lower::{
        lower,
        testing::{policy, rule},
    };

    fn leads(line: u32, paths: &[&str], target: &str) -> Rule {
        let access = Access::EXEC.union(Access::ENTER);
        Rule { access, transition: Some(target.to_owned()), ..rule(line, paths) }
    }

    #[test]
    fn a_program_that_leads_to_two_policies_is_refused_with_both_rules() {
        for (one, other) in [
            ("/usr/bin/git", "/usr/bin/*"),
            ("/usr/bin/git", "/usr/bin/git"),
            ("/usr/**", "/**/git"),
            ("/**/git", "/**/a/**"),
        ] {
            let rules = vec![leads(1, &[one], "a"), rule(2, &["/**"]), leads(3, &[other], "b")];
            let refused = lower(&policy(rules));
            let Err(LowerError::Transitions { culprits }) = refused else {
                panic!("{one} {other}: {refused:?}");
            };
            let ids: Vec<&str> = culprits.iter().map(|culprit| culprit.id.as_str()).collect();
            assert_eq!(ids, ["r1", "r3"], "{one} {other}");
        }
    }

    #[test]
    fn programs_that_lead_to_one_policy_each_are_not() {
        let mut excepted = leads(4, &["/opt/**"], "b");
        excepted.except = rule(0, &["/opt/one"]).paths;
        for rules in [
            vec![leads(1, &["/usr/bin/git"], "a"), leads(2, &["/usr/bin/*"], "a")],
            vec![leads(1, &["/usr/bin/git"], "a"), leads(2, &["/usr/bin/[^g]*"], "b")],
            vec![leads(1, &["/opt/one"], "a"), excepted],
            vec![leads(1, &["/**"], "a")],
        ] {
            assert!(lower(&policy(rules)).is_ok());
        }
    }
}
