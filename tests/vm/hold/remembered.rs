//! Answers that are remembered: for whom, about what, how long.

use super::{Held, ask, none_is_left, pending, printed, question, settle};
use crate::framework::Lane;
use anyhow::{Context, Result, bail, ensure};
use execlayer_api::{About, Outcome, Remember, Request, Whose};
use std::fs;
use std::process::Output;

crate::tests! {
    hold_is_remembered_for_the_tree_or_for_all => .lanes(&[Lane::Hold]).limit(240),
    hold_is_remembered_as_the_rule_says => .lanes(&[Lane::Hold]).limit(240),
}

const RULES: &str = r#"
[[rule]]
id = "all"
allow = ["read", "modify", "exec", "ioctl"]
path = "/**"

[[rule]]
id = "asked"
ask = ["read"]
path = "/srv/hold/asked*"

[[rule]]
id = "remembered"
ask = ["read"]
path = "/srv/hold/kept*"
remember = "10m"
"#;

/// Runs a command, whose first question is answered like that; what it printed.
fn first_answered(held: &Held, command: &str, allow: bool, remember: Remember) -> Result<Output> {
    let child = held.spawn(command)?;
    settle(&question()?, allow, remember)?;
    Ok(child.wait_with_output()?)
}

fn hold_is_remembered_for_the_tree_or_for_all() -> Result<()> {
    let held = Held::with_rules(RULES)?;
    fs::write("/srv/hold/asked-too", "content\n")?;
    let for_a_while = |scope, about| Remember::For { seconds: 600, scope, about };
    let thrice = "for i in 1 2 3; do cat /srv/hold/asked; done";
    let tree = for_a_while(Whose::Tree, About::Subject);

    let output = first_answered(&held, thrice, true, tree)?;
    ensure!(output.stdout == b"content\ncontent\ncontent\n", "{}", printed(&output));
    let granted = held.gate.events(|event| event["reason"] == "granted")?;
    let granted = granted.iter().filter(|event| event["reason"] == "granted").count();
    // The one that was held meets the grant, too.
    ensure!(granted == 3, "{granted} calls went on by the remembered answer");
    // Another tree, another answer.
    let output = first_answered(&held, thrice, false, tree)?;
    ensure!(output.stdout.is_empty(), "a remembered no: {}", printed(&output));
    none_is_left()?;

    // For all of the policy, and all that the rule asks about.
    let all = for_a_while(Whose::Profile, About::Rule);
    first_answered(&held, "cat /srv/hold/asked", true, all)?;
    let output = held.output("cat /srv/hold/asked-too; cat /srv/hold/asked")?;
    let events = held.last_events()?;
    ensure!(output.stdout == b"content\ncontent\n", "{}\n{events}", printed(&output));
    // Revoked, it is asked about again.
    let Outcome::Grants(grants) = ask(&Request::Grants {})? else { bail!("no grants") };
    for grant in &grants {
        ask(&Request::Revoke { id: grant.id })?;
    }
    let output = first_answered(&held, "cat /srv/hold/asked", false, Remember::Once)?;
    ensure!(output.stdout.is_empty(), "after it was revoked: {}", printed(&output));
    Ok(())
}

fn hold_is_remembered_as_the_rule_says() -> Result<()> {
    let held = Held::with_rules(RULES)?;
    fs::write("/srv/hold/kept", "content\n")?;
    let twice = "cat /srv/hold/kept; cat /srv/hold/kept";
    let output = first_answered(&held, twice, true, Remember::AsRule)?;
    ensure!(output.stdout == b"content\ncontent\n", "{}", printed(&output));
    ensure!(pending()?.is_empty(), "asked although it is remembered");
    let child = held.spawn(twice)?;
    for _ in 0..2 {
        let asked = question()?;
        settle(&asked, true, Remember::Once).context("each time")?;
        while pending()?.iter().any(|one| one["id"] == asked["id"]) {}
    }
    let output = child.wait_with_output()?;
    ensure!(output.stdout == b"content\ncontent\n", "once each: {}", printed(&output));
    Ok(())
}
