//! Requests for text: what the C ABI's structs of prompts, generations and scores point to, in one place while a call lasts.

use selvedge_ffi::abi::*;

use crate::descriptor::{Floats, Ints, Objects, Str, Strs};
use crate::env::Env;
use crate::failure::{Result, invalid};
use crate::request::{array, pairs, text, texts};
use crate::tools::{Conversation, Documents, Tools};

/// A prompt: a text, a conversation or tokens.
pub(crate) struct Prompt {
    text: Option<String>,
    conversation: Conversation,
    tokens: Vec<i32>,
}

impl Prompt {
    /// Each is null where it is left out; which goes with which is the library's to say.
    pub(crate) fn read(env: Env, prompt: Str, conversation: Objects, tokens: Ints) -> Result<Self> {
        Ok(Self {
            text: env.text_or_none("prompt", prompt)?,
            conversation: Conversation::read(env, conversation)?,
            tokens: env.ints(tokens)?,
        })
    }

    /// A request that says no more; it lives as long as this does.
    pub(crate) fn raw(&self) -> selvedge_generate {
        let messages = &self.conversation.raw;
        selvedge_generate {
            struct_size: size_of::<selvedge_generate>(),
            prompt: self.text.as_deref().map(text).unwrap_or_default(),
            messages: array(messages),
            message_count: messages.len(),
            tokens: array(&self.tokens).cast(),
            token_count: self.tokens.len(),
            ..Default::default()
        }
    }
}

/// The objects of Java's that say what is asked of a generation, each null where it is left out.
pub(crate) struct Terms {
    pub(crate) stop: Strs,
    pub(crate) grammar: Str,
    /// Name, description and parameters of each, one after the other.
    pub(crate) tools: Strs,
    pub(crate) tool_name: Str,
    /// Title and text of each, one after the other.
    pub(crate) documents: Strs,
    /// Name and value of each, one after the other.
    pub(crate) variables: Strs,
    pub(crate) adapters: Strs,
    /// One for each adapter.
    pub(crate) scales: Floats,
    pub(crate) bias_tokens: Ints,
    /// One for each of the tokens.
    pub(crate) biases: Floats,
}

/// A prompt, and the rest of a request to generate.
pub(crate) struct Generate {
    prompt: Prompt,
    _stop: Vec<String>,
    stop: Vec<selvedge_text>,
    grammar: Option<String>,
    tools: Tools,
    tool_name: Option<String>,
    documents: Documents,
    _variables: Vec<String>,
    variables: Vec<selvedge_pair>,
    adapters: Adapters,
    biases: Vec<selvedge_bias>,
}

impl Generate {
    pub(crate) fn read(env: Env, prompt: Prompt, terms: Terms) -> Result<Self> {
        let (stop, variables) = (env.texts("stop", terms.stop)?, env.texts("variable", terms.variables)?);
        Ok(Self {
            prompt,
            stop: texts(&stop),
            _stop: stop,
            grammar: env.text_or_none("grammar", terms.grammar)?,
            tools: Tools::read(env, terms.tools)?,
            tool_name: env.text_or_none("tool_name", terms.tool_name)?,
            documents: Documents::read(env, terms.documents)?,
            variables: pairs(&variables),
            _variables: variables,
            adapters: Adapters::read(env, terms.adapters, terms.scales)?,
            biases: biases(env, terms.bias_tokens, terms.biases)?,
        })
    }

    /// All but the numbers; it lives as long as this does.
    pub(crate) fn raw(&self) -> selvedge_generate {
        let given = |one: &Option<String>| one.as_deref().map(text).unwrap_or_default();
        selvedge_generate {
            stop: array(&self.stop),
            stop_count: self.stop.len(),
            grammar: given(&self.grammar),
            tools: array(&self.tools.raw),
            tool_count: self.tools.raw.len(),
            tool_name: given(&self.tool_name),
            documents: array(&self.documents.raw),
            document_count: self.documents.raw.len(),
            variables: array(&self.variables),
            variable_count: self.variables.len(),
            adapters: array(&self.adapters.raw),
            adapter_count: self.adapters.raw.len(),
            biases: array(&self.biases),
            bias_count: self.biases.len(),
            ..self.prompt.raw()
        }
    }
}

/// A prompt, and continuations of it.
pub(crate) struct Score {
    prompt: Prompt,
    _texts: Vec<String>,
    continuations: Vec<selvedge_text>,
    adapters: Adapters,
}

impl Score {
    pub(crate) fn read(env: Env, prompt: Prompt, continuations: Strs, adapters: Strs, scales: Floats) -> Result<Self> {
        let all = env.texts("continuation", continuations)?;
        let adapters = Adapters::read(env, adapters, scales)?;
        Ok(Self { prompt, continuations: texts(&all), _texts: all, adapters })
    }

    /// Lives as long as this does.
    pub(crate) fn raw(&self) -> selvedge_score {
        let prompt = self.prompt.raw();
        selvedge_score {
            struct_size: size_of::<selvedge_score>(),
            prompt: prompt.prompt,
            messages: prompt.messages,
            message_count: prompt.message_count,
            tokens: prompt.tokens,
            token_count: prompt.token_count,
            continuations: array(&self.continuations),
            continuation_count: self.continuations.len(),
            adapters: array(&self.adapters.raw),
            adapter_count: self.adapters.raw.len(),
        }
    }
}

/// Adapters that a request uses.
struct Adapters {
    _names: Vec<String>,
    raw: Vec<selvedge_adapter>,
}

impl Adapters {
    fn read(env: Env, names: Strs, scales: Floats) -> Result<Self> {
        let (names, scales) = (env.texts("adapter", names)?, env.floats(scales)?);
        same_len("adapters", names.len(), scales.len())?;
        let adapter = |(name, scale): (&String, &f32)| selvedge_adapter {
            struct_size: size_of::<selvedge_adapter>(),
            name: text(name),
            scale: *scale,
            flags: 0,
        };
        Ok(Self { raw: names.iter().zip(&scales).map(adapter).collect(), _names: names })
    }
}

fn biases(env: Env, tokens: Ints, biases: Floats) -> Result<Vec<selvedge_bias>> {
    let (tokens, biases) = (env.ints(tokens)?, env.floats(biases)?);
    same_len("biases", tokens.len(), biases.len())?;
    Ok(tokens.into_iter().zip(biases).map(|(token, bias)| selvedge_bias { token: token as u32, bias }).collect())
}

fn same_len(name: &str, some: usize, others: usize) -> Result<()> {
    if some == others { Ok(()) } else { Err(invalid(format!("{name}: arrays of {some} and {others} elements"))) }
}
