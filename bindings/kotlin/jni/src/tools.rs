//! Conversations, and the tools and documents that go with them, as the C ABI's structs.

use selvedge_ffi::abi::*;

use crate::descriptor::{Objects, Strs};
use crate::env::Env;
use crate::failure::Result;
use crate::request::{array, text};

/// Texts of a message before those of its calls: role, content, reasoning, and the id of the call that it answers.
const HEAD: usize = 4;

/// Messages, and the calls that they made.
pub(crate) struct Conversation {
    _texts: Vec<Vec<Option<String>>>,
    _calls: Vec<Vec<selvedge_tool_call>>,
    pub(crate) raw: Vec<selvedge_message>,
}

impl Conversation {
    /// Of each message a `String[]`: its texts, of which some may be null, then id, name and arguments of each call.
    pub(crate) fn read(env: Env, messages: Objects) -> Result<Self> {
        let texts = env.each(messages.0, |message| env.texts_or_none("message", Strs(message)))?;
        let calls: Vec<_> = texts.iter().map(|all| calls_of(all)).collect();
        let raw = texts.iter().zip(&calls).map(|(all, calls)| message(all, calls)).collect();
        Ok(Self { raw, _calls: calls, _texts: texts })
    }
}

fn message(all: &[Option<String>], calls: &[selvedge_tool_call]) -> selvedge_message {
    selvedge_message {
        struct_size: size_of::<selvedge_message>(),
        role: nth(all, 0),
        content: nth(all, 1),
        reasoning: nth(all, 2),
        tool_call_id: nth(all, 3),
        tool_calls: array(calls),
        tool_call_count: calls.len(),
    }
}

fn calls_of(all: &[Option<String>]) -> Vec<selvedge_tool_call> {
    let call = |call: &[Option<String>]| selvedge_tool_call {
        struct_size: size_of::<selvedge_tool_call>(),
        id: nth(call, 0),
        name: nth(call, 1),
        arguments: nth(call, 2),
    };
    all.get(HEAD..).unwrap_or_default().chunks_exact(3).map(call).collect()
}

/// Nothing where there is none.
fn nth(all: &[Option<String>], at: usize) -> selvedge_text {
    all.get(at).and_then(Option::as_deref).map(text).unwrap_or_default()
}

/// What the model may call.
pub(crate) struct Tools {
    _texts: Vec<String>,
    pub(crate) raw: Vec<selvedge_tool>,
}

impl Tools {
    /// Name, description and parameters of each, one after the other.
    pub(crate) fn read(env: Env, tools: Strs) -> Result<Self> {
        let texts = env.texts("tool", tools)?;
        let tool = |tool: &[String]| selvedge_tool {
            struct_size: size_of::<selvedge_tool>(),
            name: text(&tool[0]),
            description: text(&tool[1]),
            parameters: text(&tool[2]),
        };
        Ok(Self { raw: texts.chunks_exact(3).map(tool).collect(), _texts: texts })
    }
}

/// What the model may draw on.
pub(crate) struct Documents {
    _texts: Vec<String>,
    pub(crate) raw: Vec<selvedge_document>,
}

impl Documents {
    /// Title and text of each, one after the other.
    pub(crate) fn read(env: Env, documents: Strs) -> Result<Self> {
        let texts = env.texts("document", documents)?;
        let document = |document: &[String]| selvedge_document {
            struct_size: size_of::<selvedge_document>(),
            title: text(&document[0]),
            text: text(&document[1]),
        };
        Ok(Self { raw: texts.chunks_exact(2).map(document).collect(), _texts: texts })
    }
}
