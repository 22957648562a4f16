//! Claude Code's `PreToolUse` (code.claude.com/docs/en/hooks, October 2026, 2.1.295): the call on
//! standard input, a decision or `{}` on standard output. Must not answer "allow": it would skip the
//! permission prompt.

use serde_json::{Value, json};

use super::{
    Fault, Heard,
    json::Object,
    mapping::{Around, Call, Resource},
    verdict::Verdict,
};

pub(super) fn hear(said: Object<'_>) -> Result<Heard, Fault> {
    is_event(&said, "PreToolUse")?;
    let tool = said.needed("tool_name")?;
    let resource = match tool.as_str() {
        "Bash" | "PowerShell" => Resource::Text(&["command"]),
        "Read" | "Write" | "Edit" | "MultiEdit" => Resource::Path(&["file_path"]),
        "NotebookEdit" => Resource::Path(&["notebook_path"]),
        "Glob" | "Grep" => Resource::Folder(&["path"]),
        "WebFetch" => Resource::Text(&["url"]),
        "WebSearch" => Resource::Text(&["query"]),
        _ => Resource::Nothing,
    };
    let call = Call::new(tool, resource, said.object("tool_input")?, around(&said)?)?;
    Ok(Heard { call, may_ask: true, answer })
}

/// This hook is made for one event: answers to another would mean something else.
pub(super) fn is_event(said: &Object<'_>, event: &str) -> Result<(), Fault> {
    match said.needed("hook_event_name")? {
        name if name == event => Ok(()),
        other => Err(Fault::new(format!("event `{other}` is not `{event}`"))),
    }
}

/// Names that Codex shares.
pub(super) fn around(said: &Object<'_>) -> Result<Around, Fault> {
    Ok(Around {
        session: said.text("session_id")?,
        call: said.text("tool_use_id")?,
        cwd: said.text("cwd")?,
        permission_mode: said.text("permission_mode")?,
        ..Around::default()
    })
}

pub(super) fn answer(verdict: &Verdict) -> Value {
    let (decision, why) = match verdict {
        Verdict::Allow => return json!({}),
        Verdict::Deny(why) => ("deny", why),
        Verdict::Ask(why) => ("ask", why),
    };
    json!({"hookSpecificOutput": {
        "hookEventName": "PreToolUse",
        "permissionDecision": decision,
        "permissionDecisionReason": why,
    }})
}
