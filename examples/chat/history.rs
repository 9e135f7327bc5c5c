//! The history: its exchanges, and the file that keeps it from one process to the next.
//!
//! ```json
//! [{ "role": "user", "content": "3 miles?" },
//!  { "role": "assistant", "content": "", "tool_calls": [{ "id": "k3h5x0a1b", "name": "convert", "arguments": "{…}" }] },
//!  { "role": "tool", "content": "{…}", "tool_call_id": "k3h5x0a1b" },
//!  { "role": "assistant", "content": "4.8 km." }]
//! ```

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use selvedge::{Generate, Message, Role, ToolCall};
use serde_json::{Value, json};

/// Questions with what followed each.
pub(crate) fn exchanges(history: &[Message]) -> usize {
    history.iter().filter(|message| message.role == Role::User).count()
}

/// Drops the oldest question with all that followed it, but never the last; false if there is none to drop.
pub(crate) fn drop_oldest(history: &mut Vec<Message>) -> bool {
    let mut questions = (0..history.len()).filter(|&i| history[i].role == Role::User);
    let (Some(oldest), Some(next)) = (questions.next(), questions.next()) else { return false };
    history.drain(oldest..next);
    true
}

/// The file of what was computed of the conversation, beside its own.
pub(crate) fn prefixes(file: &Path) -> PathBuf {
    beside(file, ".prefixes")
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(ending);
    name.into()
}

/// What a file has, or nothing. One that has no history is put out of the way, for it may be somebody's.
pub(crate) fn load_or_set_aside(file: &Path) -> io::Result<Vec<Message>> {
    let bytes = match fs::read(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        read => read?,
    };
    parse(&bytes).or_else(|why| {
        let aside = beside(file, ".damaged");
        fs::rename(file, &aside)?;
        eprintln!("  [the conversation begins anew: {}: {why}; it is now {}]", file.display(), aside.display());
        Ok(Vec::new())
    })
}

fn parse(bytes: &[u8]) -> Result<Vec<Message>, String> {
    let value: Value = serde_json::from_slice(bytes).map_err(|e| format!("expected JSON: {e}"))?;
    let messages = value.as_array().ok_or("expected a list of messages")?;
    let all: Option<Vec<Message>> = messages.iter().map(message_of).collect();
    let all = all.ok_or("expected messages with a role and a content")?;
    if !all.is_empty() {
        Generate::chat(all.clone()).check().map_err(|e| e.to_string())?;
    }
    Ok(all)
}

fn message_of(value: &Value) -> Option<Message> {
    let text = |value: &Value, key: &str| value.get(key)?.as_str().map(str::to_owned);
    let content = text(value, "content")?;
    match &*text(value, "role")? {
        "system" => Some(Message::system(content)),
        "user" => Some(Message::user(content)),
        "tool" => Some(Message::tool(text(value, "tool_call_id")?, content)),
        "assistant" => {
            let calls = value.get("tool_calls").map_or(Some(&[][..]), |calls| calls.as_array().map(Vec::as_slice))?;
            let call = |c| Some(ToolCall::new(text(c, "id")?, text(c, "name")?, text(c, "arguments")?));
            Some(Message::assistant(content).tool_calls(calls.iter().map(call).collect::<Option<Vec<_>>>()?))
        }
        _ => None,
    }
}

fn value_of(message: &Message) -> Value {
    let mut value = json!({ "role": message.role.name(), "content": message.content });
    if !message.tool_calls.is_empty() {
        let call = |c: &ToolCall| json!({ "id": c.id, "name": c.name, "arguments": c.arguments });
        value["tool_calls"] = message.tool_calls.iter().map(call).collect();
    }
    if let Some(id) = &message.tool_call_id {
        value["tool_call_id"] = json!(id);
    }
    value
}

/// Writes the history in the place of the earlier one: after a crash there is this one or that, and never a half.
pub(crate) fn save(file: &Path, history: &[Message]) -> io::Result<()> {
    let text = serde_json::to_string_pretty(&history.iter().map(value_of).collect::<Value>())?;
    let part = beside(file, ".part");
    let mut written = File::create(&part)?;
    written.write_all(text.as_bytes())?;
    written.sync_all()?;
    fs::rename(&part, file)?;
    // The name is durable once the folder is; other systems than Unix have no call for that.
    #[cfg(unix)]
    File::open(file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(())
}
