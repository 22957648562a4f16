//! From a tool's input to the one evaluation that the daemon is asked for. Must not know whose tool it
//! is; what cannot be sent as it is makes the call fail, or is left out and said to be.

use std::collections::BTreeMap;

use execlayer_common::{
    call::Name,
    limits::{MAX_ACTION, MAX_CONTEXT_VALUES, MAX_RESOURCE},
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    Fault,
    json::{Member, Object},
};

/// Bytes of an id, as the API has it.
const MAX_ID: usize = 128;
/// Bytes of one value as JSON, and of all together: a request is at most 1 MiB.
const MAX_VALUE: usize = 65_536;
const MAX_CONTEXT: usize = 512 << 10;
/// Says that something of the tool's input is not in the context.
const LEFT_OUT: &str = "left_out";
/// What only the agent itself says, never a tool's input.
const RESERVED: [&str; 4] = ["cwd", "permission_mode", "tool_server", LEFT_OUT];

/// One evaluation.
#[derive(Debug, Serialize)]
pub(super) struct Call {
    action: String,
    resource: String,
    context: BTreeMap<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<String>,
}

/// A value of the context.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Value {
    Text(String),
    /// As it was written: `12.50` is not `12.5`.
    Number(Box<RawValue>),
    Flag(bool),
    List(Vec<String>),
}

/// Which member of a tool's input is the resource. One of several names: versions differ.
#[derive(Clone, Copy, Debug)]
pub(super) enum Resource {
    /// A text as it stands: a command line, a URL, a query.
    Text(&'static [&'static str]),
    /// A file.
    Path(&'static [&'static str]),
    /// A folder; the working directory if none is given.
    Folder(&'static [&'static str]),
    /// None of them.
    Nothing,
}

/// What an agent says about a call besides the tool's input. What is empty is not given.
#[derive(Debug, Default)]
pub(super) struct Around {
    pub(super) session: Option<String>,
    pub(super) call: Option<String>,
    pub(super) cwd: Option<String>,
    pub(super) permission_mode: Option<String>,
    pub(super) tool_server: Option<String>,
    /// What a patch touches.
    pub(super) files: Option<Vec<String>>,
}

impl Call {
    pub(super) fn new(
        action: String,
        resource: Resource,
        mut input: Object<'_>,
        around: Around,
    ) -> Result<Self, Fault> {
        let resource = resource.take(&mut input, around.cwd.as_deref())?;
        Self::about(action, resource, &input, around)
    }

    /// A call whose resource is known; all of `input` is context.
    pub(super) fn about(
        action: String,
        resource: String,
        input: &Object<'_>,
        around: Around,
    ) -> Result<Self, Fault> {
        if action.is_empty() || action.len() > MAX_ACTION || action.contains('\0') {
            return Err(Fault::new(format!("the tool's name has not 1 to {MAX_ACTION} bytes")));
        }
        if resource.len() > MAX_RESOURCE {
            return Err(Fault::new(format!(
                "what it is about is longer than {MAX_RESOURCE} bytes"
            )));
        }
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let (session, call) = (given(around.session), given(around.call));
        if [&session, &call].into_iter().flatten().any(|id| id.len() > MAX_ID) {
            return Err(Fault::new(format!("an id is longer than {MAX_ID} bytes")));
        }
        let texts = [
            ("cwd", given(around.cwd)),
            ("permission_mode", given(around.permission_mode)),
            ("tool_server", given(around.tool_server)),
        ];
        let texts = texts.into_iter().filter_map(|(name, text)| Some((name, Value::Text(text?))));
        let files = around.files.map(|files| ("files", Value::List(files)));
        let own: Vec<(&str, Value)> = texts.chain(files).collect();
        if own.iter().any(|(_, value)| value.length() > MAX_VALUE) {
            return Err(Fault::new(format!("something is longer than {MAX_VALUE} bytes")));
        }
        Ok(Self { action, resource, context: context(input, own), session, call })
    }
}

impl Resource {
    /// Takes it out of the input. Two names for it would be two resources, and a version knows which.
    fn take(self, input: &mut Object<'_>, cwd: Option<&str>) -> Result<String, Fault> {
        let names = match self {
            Self::Text(names) | Self::Path(names) | Self::Folder(names) => names,
            Self::Nothing => return Ok(String::new()),
        };
        let list = || names.join("`, `");
        let mut there = names.iter().filter(|name| input.has(name));
        let text = match (there.next(), there.next()) {
            (Some(name), None) => Some(input.needed(name)?),
            (None, _) => None,
            (Some(_), Some(_)) => {
                return Err(Fault::new(format!("the tool has more than one of `{}`", list())));
            }
        };
        for name in names {
            input.remove(name);
        }
        match (self, text) {
            (Self::Path(_), Some(path)) => absolute(&path, cwd),
            (Self::Folder(_), text) => absolute(&text.unwrap_or_else(|| ".".to_owned()), cwd),
            (_, Some(text)) => Ok(text),
            (_, None) => Err(Fault::new(format!("the tool has no `{}`", list()))),
        }
    }
}

/// A path without `.`, `..` and doubled slashes, by its text alone. One that a tool may take for another
/// (`~`, white space around it) stays as it is, and so is under no folder.
pub(super) fn absolute(path: &str, cwd: Option<&str>) -> Result<String, Fault> {
    if path.is_empty() || path.starts_with('~') || path.trim() != path {
        return Ok(path.to_owned());
    }
    let cwd = match cwd {
        _ if path.starts_with('/') => "",
        Some(cwd) if cwd.starts_with('/') => cwd,
        _ => return Err(Fault::new("a path is relative, and the agent does not say to what")),
    };
    let mut steps = Vec::new();
    for step in cwd.split('/').chain(path.split('/')) {
        match step {
            "" | "." => {}
            ".." => drop(steps.pop()),
            step => steps.push(step),
        }
    }
    Ok(format!("/{}", steps.join("/")))
}

/// The tool's input by name, and what the agent says of itself.
fn context(input: &Object<'_>, own: Vec<(&str, Value)>) -> BTreeMap<String, Value> {
    let mut found = Found::default();
    found.flatten("", input);
    let room = MAX_CONTEXT_VALUES - 1 - own.len();
    let mut context = BTreeMap::new();
    let mut bytes = 0;
    for (name, value) in found.values {
        let length = value.as_ref().map_or(0, Value::length);
        match value {
            Some(value)
                if !RESERVED.contains(&name.as_str())
                    && own.iter().all(|(own, _)| *own != name)
                    && context.len() < room
                    && length <= MAX_VALUE
                    && bytes + length <= MAX_CONTEXT =>
            {
                bytes += length;
                context.insert(name, value);
            }
            _ => found.left_out = true,
        }
    }
    context.extend(own.into_iter().map(|(name, value)| (name.to_owned(), value)));
    if found.left_out {
        context.insert(LEFT_OUT.to_owned(), Value::Flag(true));
    }
    context
}

/// What can be sent of an input. A name that two members come to has no value.
#[derive(Default)]
struct Found {
    values: BTreeMap<String, Option<Value>>,
    left_out: bool,
}

impl Found {
    /// As deep as names get: an object inside of one whose name is too long is left out.
    fn flatten(&mut self, prefix: &str, object: &Object<'_>) {
        for (name, member) in object.members() {
            let full = format!("{prefix}{name}");
            if name.is_empty() || Name::new(&full).is_err() {
                self.left_out = true;
                continue;
            }
            if let Member::Object(raw) = member {
                match Object::parse(raw.get()) {
                    Ok(inner) if inner.members().next().is_some() => {
                        self.flatten(&format!("{full}."), &inner);
                    }
                    _ => self.left_out = true,
                }
                continue;
            }
            let value = Value::of(&member);
            self.left_out |= value.is_none();
            self.values.entry(full).and_modify(|value| *value = None).or_insert(value);
        }
    }
}

impl Value {
    fn of(member: &Member<'_>) -> Option<Self> {
        match member {
            Member::Text(raw) => serde_json::from_str(raw.get()).ok().map(Self::Text),
            Member::List(raw) => serde_json::from_str(raw.get()).ok().map(Self::List),
            Member::Number(raw) => Some(Self::Number((*raw).to_owned())),
            Member::Flag(flag) => Some(Self::Flag(*flag)),
            Member::Object(_) | Member::Null => None,
        }
    }

    /// Bytes of its JSON.
    fn length(&self) -> usize {
        serde_json::to_string(self).map_or(usize::MAX, |text| text.len())
    }
}

#[cfg(test)]
mod tests;
