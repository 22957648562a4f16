//! Gemini CLI's `BeforeTool` (`docs/hooks/reference.md` at 06c0d81; tools' parameters in
//! `base-declarations.ts` at 00068e9). Must print nothing but the one JSON object.

use serde_json::{Value, json};

use super::{
    Fault, Heard, claude_code,
    json::Object,
    mapping::{Around, Call, Resource},
    verdict::Verdict,
};

pub(super) fn hear(said: Object<'_>) -> Result<Heard, Fault> {
    claude_code::is_event(&said, "BeforeTool")?;
    let tool = said.needed("tool_name")?;
    let resource = match tool.as_str() {
        "run_shell_command" => Resource::Text(&["command"]),
        // The second of two names is what older versions say.
        "read_file" | "write_file" | "replace" => Resource::Path(&["file_path", "absolute_path"]),
        "list_directory" | "glob" | "grep_search" | "search_file_content" => {
            Resource::Folder(&["dir_path", "path"])
        }
        "web_fetch" => Resource::Text(&["prompt", "url"]),
        "google_web_search" => Resource::Text(&["query"]),
        _ => Resource::Nothing,
    };
    let server = if said.has("mcp_context") {
        said.object("mcp_context")?.text("server_name")?
    } else {
        None
    };
    let around = Around {
        session: said.text("session_id")?,
        cwd: said.text("cwd")?,
        tool_server: server,
        ..Around::default()
    };
    let call = Call::new(tool, resource, said.object("tool_input")?, around)?;
    Ok(Heard { call, may_ask: false, answer })
}

fn answer(verdict: &Verdict) -> Value {
    match verdict {
        Verdict::Allow => json!({}),
        // The reference knows no other word.
        Verdict::Deny(why) | Verdict::Ask(why) => json!({"decision": "deny", "reason": why}),
    }
}
