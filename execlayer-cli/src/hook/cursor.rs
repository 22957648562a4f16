//! Cursor's `preToolUse` and `before...` events (cursor.com/docs/hooks, 2026, as quoted and tried by
//! others with 3.9.16). Must answer every time: with `failClosed` an empty answer is a failure.

use serde_json::{Value, json};

use super::{
    Fault, Heard,
    json::Object,
    mapping::{Around, Call, Resource},
    verdict::Verdict,
};

pub(super) fn hear(said: Object<'_>) -> Result<Heard, Fault> {
    let session = match said.text("conversation_id")? {
        Some(id) => Some(id),
        None => said.text("session_id")?,
    };
    let around = Around { session, cwd: folder(&said, &Object::default())?, ..Around::default() };
    match said.needed("hook_event_name")?.as_str() {
        "preToolUse" => any_tool(&said, around),
        "beforeShellExecution" => {
            let shell = said.only(&["command", "sandbox"]);
            let call = Call::new("Shell".to_owned(), Resource::Text(&["command"]), shell, around)?;
            Ok(Heard { call, may_ask: true, answer: full })
        }
        "beforeMCPExecution" => mcp(&said, around),
        "beforeReadFile" => read(said, "Read", around, to_user),
        "beforeTabFileRead" => read(said, "TabRead", around, bare),
        other => Err(Fault::new(format!("event `{other}` asks for no permission"))),
    }
}

/// Where it happens. `cwd` is often empty: then what the tool itself says, or the only folder that is open.
fn folder(said: &Object<'_>, input: &Object<'_>) -> Result<Option<String>, Fault> {
    for place in [said, input] {
        if let Some(cwd) = place.text("cwd")?.filter(|cwd| !cwd.is_empty()) {
            return Ok(Some(cwd));
        }
    }
    let mut roots = said.texts("workspace_roots");
    Ok(if roots.len() == 1 { roots.pop() } else { None })
}

/// `ask` is in its schema and not enforced.
fn any_tool(said: &Object<'_>, mut around: Around) -> Result<Heard, Fault> {
    let tool = said.needed("tool_name")?;
    let mut input = said.object("tool_input")?;
    // There is no list of all tools' parameters; these are the names that were seen.
    let file = &["file_path", "path"];
    let resource = match tool.as_str() {
        "Shell" => Resource::Text(&["command"]),
        "Read" | "Write" | "Edit" | "StrReplace" | "Delete" | "TabRead" | "TabWrite" => {
            Resource::Path(file)
        }
        "Grep" => Resource::Folder(file),
        "WebFetch" => Resource::Text(&["url"]),
        "WebSearch" => Resource::Text(&["query", "search_term"]),
        _ => Resource::Nothing,
    };
    around.call = said.text("tool_use_id")?;
    if tool == "Shell" && !said.has_text("cwd") {
        around.cwd = folder(said, &input)?;
        input.remove("cwd");
    }
    let call = Call::new(tool, resource, input, around)?;
    Ok(Heard { call, may_ask: false, answer: full })
}

/// The parameters are JSON in a text; the server is named by how it is reached.
fn mcp(said: &Object<'_>, mut around: Around) -> Result<Heard, Fault> {
    let name = said.needed("tool_name")?;
    let tool = if name.starts_with("MCP:") { name } else { format!("MCP:{name}") };
    around.tool_server = match said.text("url")? {
        Some(url) => Some(url),
        None => said.text("command")?,
    };
    // A text with JSON in it by the reference, JSON itself by other accounts.
    let text = said.text("tool_input").ok().flatten();
    let input = match text.as_deref() {
        Some("") => Object::default(),
        Some(text) => Object::parse(text)?,
        None => said.object("tool_input")?,
    };
    let call = Call::new(tool, Resource::Nothing, input, around)?;
    Ok(Heard { call, may_ask: true, answer: full })
}

/// The file's content comes with it, and is no business of a policy.
fn read(
    said: Object<'_>,
    tool: &str,
    around: Around,
    answer: fn(&Verdict) -> Value,
) -> Result<Heard, Fault> {
    let file = said.only(&["file_path"]);
    let call = Call::new(tool.to_owned(), Resource::Path(&["file_path"]), file, around)?;
    Ok(Heard { call, may_ask: false, answer })
}

fn full(verdict: &Verdict) -> Value {
    match verdict {
        Verdict::Allow => json!({"permission": "allow"}),
        Verdict::Deny(why) => {
            json!({"permission": "deny", "user_message": why, "agent_message": why})
        }
        Verdict::Ask(why) => {
            json!({"permission": "ask", "user_message": why, "agent_message": why})
        }
    }
}

fn to_user(verdict: &Verdict) -> Value {
    match verdict {
        Verdict::Allow => json!({"permission": "allow"}),
        Verdict::Deny(why) | Verdict::Ask(why) => {
            json!({"permission": "deny", "user_message": why})
        }
    }
}

fn bare(verdict: &Verdict) -> Value {
    match verdict {
        Verdict::Allow => json!({"permission": "allow"}),
        Verdict::Deny(_) | Verdict::Ask(_) => json!({"permission": "deny"}),
    }
}
