//! The policy in Rego.

use anyhow::Result;
use regorus::{Engine as Regorus, Value};
use serde_json::json;

use crate::{CALLS, Engine};

pub(crate) struct Rego {
    engine: Regorus,
    inputs: Vec<Value>,
}

const RULE: &str = r#"
package calls
import rego.v1
default allow := false
allow if {
    input.action == "deploy"
    startswith(input.resource, "service/")
    input.uid == 1000
    input.minute >= 480
    input.minute < 1080
    input.amount <= 100
    input.files >= 1
    startswith(input.branch, "release/")
    input.environment in {"staging", "preview"}
    input.confirmed
    not input.dry_run
}
"#;

impl Rego {
    pub(crate) fn new(rules: usize) -> Result<Self> {
        let mut text = RULE.to_owned();
        for number in 1..rules {
            text += &match number % 3 {
                0 => format!("allow if {{ input.action == \"deploy\"; startswith(input.resource, \"job/{number}/\") }}\n"),
                1 => format!("allow if input.action == \"tool-{number}\"\n"),
                _ => format!(
                    "allow if {{ startswith(input.action, \"mcp__server{}__\"); startswith(input.resource, \"{number}-\") }}\n",
                    number % 97
                ),
            };
        }
        let mut engine = Regorus::new();
        engine.add_policy("calls.rego".to_owned(), text)?;
        let inputs = CALLS.iter().map(|call| {
            Value::from_json_str(
                &json!({
                    "action": call.action, "resource": call.resource, "uid": call.uid,
                    "minute": call.minute, "amount": call.amount, "files": call.files,
                    "branch": call.branch, "environment": call.environment,
                    "confirmed": call.confirmed, "dry_run": call.dry_run,
                })
                .to_string(),
            )
        });
        let inputs = inputs.collect::<Result<_>>()?;
        Ok(Self { engine, inputs })
    }
}

impl Engine for Rego {
    fn judge(&mut self, call: usize) -> Result<bool> {
        self.engine.set_input(self.inputs[call].clone());
        Ok(self.engine.eval_rule("data.calls.allow".to_owned())? == Value::from(true))
    }
}
