//! Codex CLI's `PreToolUse` (developers.openai.com/codex/hooks and `codex-rs/hooks` at 0ea8381): the
//! names are Claude Code's, the answers fewer. Must not answer "allow" or "ask": Codex takes either for a
//! hook that failed, and goes on.

use super::{
    Fault, Heard, claude_code,
    json::Object,
    mapping::{Call, Resource, absolute},
};

/// Lines of a patch that name a file.
const HEADERS: [&str; 4] =
    ["*** Add File: ", "*** Update File: ", "*** Delete File: ", "*** Move to: "];

pub(super) fn hear(said: Object<'_>) -> Result<Heard, Fault> {
    claude_code::is_event(&said, "PreToolUse")?;
    let tool = said.needed("tool_name")?;
    let input = said.object("tool_input")?;
    let mut around = claude_code::around(&said)?;
    let call = match tool.as_str() {
        "Bash" => Call::new(tool, Resource::Text(&["command"]), input, around)?,
        "apply_patch" => {
            let files = files(&input.needed("command")?, around.cwd.as_deref())?;
            let resource = match files.as_slice() {
                [] => return Err(Fault::new("the patch names no file")),
                [one] => one.clone(),
                _ => String::new(),
            };
            around.files = Some(files);
            Call::about(tool, resource, &input, around)?
        }
        _ => Call::new(tool, Resource::Nothing, input, around)?,
    };
    Ok(Heard { call, may_ask: false, answer: claude_code::answer })
}

/// The files that a patch touches, each once. White space before a header does not hide it: a file too
/// many is better than one too few.
fn files(patch: &str, cwd: Option<&str>) -> Result<Vec<String>, Fault> {
    let mut files = Vec::new();
    for line in patch.lines().map(str::trim) {
        let path = HEADERS.iter().find_map(|header| line.strip_prefix(header.trim_end()));
        if let Some(path) = path {
            let path = absolute(path.trim(), cwd)?;
            if !files.contains(&path) {
                files.push(path);
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_of_a_patch_is_missed() {
        let patch = "*** Begin Patch\n*** Add File: a.txt\n+*** Delete File: b\n\
                     \x20 *** Delete File: ../c\n*** Update File: /d/e\r\n*** Move to: /d/f\n\
                     @@\n-x\n+y\n*** Update File:g\n*** Update File: a.txt\n*** End Patch";
        let files = files(patch, Some("/w")).unwrap();
        assert_eq!(files, ["/w/a.txt", "/c", "/d/e", "/d/f", "/w/g"]);
    }
}
