//! The policy in Cedar.

use std::str::FromStr as _;

use anyhow::{Result, anyhow};
use cedar_policy::{
    Authorizer, Context, Decision, Entities, EntityUid, PolicySet, Request, RestrictedExpression,
};

use crate::{CALLS, Call, Engine};

pub(crate) struct Cedar {
    policies: PolicySet,
    entities: Entities,
    authorizer: Authorizer,
    requests: Vec<Request>,
}

const RULE: &str = r#"
permit(principal == User::"1000", action == Action::"deploy", resource)
when {
    context.path like "service/*" && !(context.path like "service/*/*") &&
    context.minute >= 480 && context.minute < 1080 &&
    context.amount <= 100 && context.files >= 1 &&
    context.branch like "release/*" &&
    ["staging", "preview"].contains(context.environment) &&
    context.confirmed && !context.dry_run
};
"#;

impl Cedar {
    pub(crate) fn new(rules: usize) -> Result<Self> {
        let mut text = RULE.to_owned();
        for number in 1..rules {
            text += &match number % 3 {
                0 => format!("permit(principal, action == Action::\"deploy\", resource) when {{ context.path like \"job/{number}/*\" }};\n"),
                1 => format!("permit(principal, action == Action::\"tool-{number}\", resource);\n"),
                _ => format!(
                    "permit(principal, action, resource) when {{ context.action like \"mcp__server{}__*\" && context.path like \"{number}-*\" }};\n",
                    number % 97
                ),
            };
        }
        let policies = PolicySet::from_str(&text).map_err(|error| anyhow!("{error}"))?;
        let requests = CALLS.iter().map(request).collect::<Result<_>>()?;
        Ok(Self { policies, entities: Entities::empty(), authorizer: Authorizer::new(), requests })
    }
}

fn request(call: &Call) -> Result<Request> {
    let uid = |text: String| EntityUid::from_str(&text).map_err(|error| anyhow!("{error}"));
    let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
    let pairs = [
        ("action", text(call.action)),
        ("path", text(call.resource)),
        ("minute", RestrictedExpression::new_long(call.minute.into())),
        ("amount", RestrictedExpression::new_long(call.amount)),
        ("files", RestrictedExpression::new_long(call.files)),
        ("branch", text(call.branch)),
        ("environment", text(call.environment)),
        ("confirmed", RestrictedExpression::new_bool(call.confirmed)),
        ("dry_run", RestrictedExpression::new_bool(call.dry_run)),
    ];
    let context = Context::from_pairs(pairs.map(|(name, value)| (name.to_owned(), value)));
    Request::new(
        uid(format!("User::\"{}\"", call.uid))?,
        uid(format!("Action::\"{}\"", call.action))?,
        uid(format!("Resource::\"{}\"", call.resource))?,
        context.map_err(|error| anyhow!("{error}"))?,
        None,
    )
    .map_err(|error| anyhow!("{error}"))
}

impl Engine for Cedar {
    fn judge(&mut self, call: usize) -> Result<bool> {
        let answer = self.authorizer.is_authorized(&self.requests[call], &self.policies, &self.entities);
        Ok(answer.decision() == Decision::Allow)
    }
}
