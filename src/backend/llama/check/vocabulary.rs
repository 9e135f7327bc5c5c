//! The checks of a vocabulary that llama.cpp leaves to its users.
//!
//! Reading it wrong is out of bounds (array types and lengths), two equal tokens or a missing byte end the process,
//! and so does a text that needs a token which is not there.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::weights::{ArrayRef, Metadata, ValueRef, ValueType};
use crate::{Error, Result};

/// What the backend must know of a vocabulary.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::backend::llama) struct Vocabulary {
    /// The number of tokens.
    pub(in crate::backend::llama) tokens: usize,
    /// Bytes of the longest token's text.
    pub(in crate::backend::llama) longest: usize,
    /// The texts of the tokens that begin and end a text, for chat templates; empty if there are none.
    pub(in crate::backend::llama) bos: String,
    pub(in crate::backend::llama) eos: String,
    /// The texts of other tokens that the file names, under the names that chat templates use.
    pub(in crate::backend::llama) named: Vec<(&'static str, String)>,
    /// The model's chat template, or why it is none: that is no reason to refuse the model.
    pub(in crate::backend::llama) template: Option<std::result::Result<String, String>>,
}

const MAX_TOKENS: u64 = 1 << 22;
const MAX_TOKEN_BYTES: usize = 1024;
/// The number of the token type "byte".
const BYTE_TOKEN: u64 = 6;

/// Pre-tokenizers for which llama.cpp drops its default of the token that begins a text.
const WITHOUT_DEFAULT_BOS: &[&str] = &["chatglm-bpe", "glm4", "glm5"];

/// Tokenizers whose vocabularies can be checked to the point that no text can make llama.cpp fail.
const TOKENIZERS: &[&str] = &["llama", "gpt2", "gemma4", "bert"];

/// Tokens that chat templates may name, and only find where the file has them.
const NAMED_IDS: &[(&str, &str)] = &[
    ("unk_token", "unknown"),
    ("pad_token", "padding"),
    ("sep_token", "seperator"),
    ("cls_token", "cls"),
    ("mask_token", "mask"),
];

const SPECIAL_IDS: &[&str] = &[
    "bos",
    "eos",
    "eot",
    "eom",
    "unknown",
    "seperator",
    "padding",
    "cls",
    "mask",
    "prefix",
    "suffix",
    "middle",
    "fim_pre",
    "fim_suf",
    "fim_mid",
    "fim_pad",
    "fim_rep",
    "fim_sep",
];

pub(super) fn check_vocabulary(header: Metadata<'_>) -> Result<Vocabulary> {
    let Some(model) = header.text("tokenizer.ggml.model")? else {
        return Err(Error::corrupt("key 'tokenizer.ggml.model' is missing"));
    };
    if !TOKENIZERS.contains(&model) {
        return Err(Error::unsupported(format!("tokenizer: expected one of {TOKENIZERS:?}, got '{model}'")));
    }
    let Some(list) = array(header, "tokens", &[ValueType::Text], None)? else {
        return Err(Error::corrupt("key 'tokenizer.ggml.tokens' is missing"));
    };
    if !(1..=MAX_TOKENS).contains(&list.len()) {
        return Err(Error::corrupt(format!("vocabulary: expected 1 to {MAX_TOKENS} tokens, got {}", list.len())));
    }
    array(header, "scores", &[ValueType::F32, ValueType::I32], Some(list.len()))?;
    let types = array(header, "token_type", &[ValueType::I32], Some(list.len()))?;
    check_merges(header, model)?;
    array(header, "suppress_tokens", &[ValueType::I32], None)?;
    let tokens: Vec<&[u8]> = list.texts().collect();
    let longest = check_tokens(model, &tokens, types)?;
    let ids = Ids { header, tokens: &tokens };
    ids.check(model)?;
    if model == "llama" {
        check_bytes(&tokens)?;
    }
    Ok(Vocabulary {
        bos: ids.text("bos")?,
        eos: ids.text("eos")?,
        named: ids.named()?,
        template: match header.text("tokenizer.chat_template") {
            Ok(template) => template.map(|template| Ok(template.to_owned())),
            Err(error) => Some(Err(error.message().to_owned())),
        },
        tokens: tokens.len(),
        longest,
    })
}

/// An array under `tokenizer.ggml.` of one of the types and, if given, of the length.
fn array<'a>(header: Metadata<'a>, name: &str, types: &[ValueType], len: Option<u64>) -> Result<Option<ArrayRef<'a>>> {
    let key = format!("tokenizer.ggml.{name}");
    let Some(value) = header.get(&key) else { return Ok(None) };
    match value.as_array() {
        Some(array) if types.contains(&array.element_type()) && len.is_none_or(|len| array.len() == len) => {
            Ok(Some(array))
        }
        _ => {
            let of = len.map_or(String::new(), |len| format!(" of {len} elements"));
            let names: Vec<&str> = types.iter().map(|t| t.name()).collect();
            Err(Error::corrupt(format!("key '{key}': expected an array{of} of {}, got {value}", names.join(" or "))))
        }
    }
}

fn check_merges(header: Metadata<'_>, model: &str) -> Result<()> {
    let merges = array(header, "merges", &[ValueType::Text], None)?;
    match (model, merges) {
        ("gpt2" | "gemma4", None) if header.text("tokenizer.ggml.pre")? != Some("kimi-k2") => {
            Err(Error::corrupt("key 'tokenizer.ggml.merges' is missing"))
        }
        (_, Some(merges)) if merges.texts().any(|m| !m.iter().skip(1).any(|&b| b == b' ')) => {
            Err(Error::corrupt("key 'tokenizer.ggml.merges': expected pairs with a space between"))
        }
        _ => Ok(()),
    }
}

/// Returns the length of the longest token.
fn check_tokens(model: &str, tokens: &[&[u8]], types: Option<ArrayRef<'_>>) -> Result<usize> {
    let mut seen = HashSet::with_capacity(tokens.len());
    for (id, token) in tokens.iter().enumerate() {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Error::corrupt(format!(
                "token {id}: expected at most {MAX_TOKEN_BYTES} bytes, got {}",
                token.len()
            )));
        }
        if !seen.insert(as_read(id, token)) {
            return Err(Error::corrupt(format!("token {id}: '{}' is there twice", String::from_utf8_lossy(token))));
        }
    }
    for (id, kind) in types.iter().flat_map(ArrayRef::numbers).enumerate() {
        let Some(kind) = kind.filter(|kind| *kind <= BYTE_TOKEN) else {
            return Err(Error::corrupt(format!("token {id}: expected a type from 0 to {BYTE_TOKEN}, got {kind:?}")));
        };
        if kind == BYTE_TOKEN && model == "bert" {
            return Err(Error::corrupt(format!("token {id}: a vocabulary of whole words has no bytes")));
        }
        let byte =
            |t: &[u8]| matches!(t, [b'<', b'0', b'x', a, b, b'>'] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit());
        if kind == BYTE_TOKEN && !byte(tokens[id]) {
            let got = String::from_utf8_lossy(tokens[id]);
            return Err(Error::corrupt(format!("token {id}: expected a byte as '<0x00>', got '{got}'")));
        }
    }
    Ok(tokens.iter().map(|t| t.len()).max().unwrap_or(0))
}

/// As llama.cpp keeps it: up to a NUL, and empty ones under a name of their own.
fn as_read<'a>(id: usize, token: &'a [u8]) -> Cow<'a, [u8]> {
    let end = token.iter().position(|&b| b == 0).unwrap_or(token.len());
    if end == 0 { format!("[EMPTY_{id}]").into_bytes().into() } else { token[..end].into() }
}

/// SentencePiece falls back to bytes, and a missing one is a C++ exception in the middle of a text.
fn check_bytes(tokens: &[&[u8]]) -> Result<()> {
    let have: HashSet<&[u8]> = tokens.iter().copied().filter(|t| t.len() == 6 || t.len() == 1).collect();
    for byte in 0..=u8::MAX {
        if !have.contains(format!("<0x{byte:02X}>").as_bytes()) && (byte == 0 || !have.contains(&[byte][..])) {
            return Err(Error::unsupported(format!(
                "tokenizer: expected tokens for all bytes, '<0x{byte:02X}>' is missing"
            )));
        }
    }
    Ok(())
}

/// The ids of special tokens.
struct Ids<'h, 'a> {
    header: Metadata<'a>,
    tokens: &'h [&'a [u8]],
}

impl Ids<'_, '_> {
    fn check(&self, model: &str) -> Result<()> {
        for name in SPECIAL_IDS {
            self.id(name)?;
        }
        // What llama.cpp takes where the file has no key, and asserts to be there.
        let needed: &[(&str, usize)] = match model {
            "llama" => &[("bos", 1), ("eos", 2)],
            "gpt2" if self.needs_bos()? => &[("bos", usize::MAX), ("eos", 11)],
            "gpt2" => &[("bos", 11), ("eos", 11)],
            "bert" => &[("bos", 101), ("seperator", 102), ("unknown", 100)],
            _ => &[("bos", usize::MAX), ("eos", usize::MAX)],
        };
        for (name, default) in needed {
            if self.id(name)?.is_none() && *default >= self.tokens.len() {
                return Err(Error::corrupt(format!("vocabulary: it has no token '{name}', and needs one")));
            }
        }
        Ok(())
    }

    /// Whether a text is to begin with a token that has no default.
    fn needs_bos(&self) -> Result<bool> {
        let wanted = self.header.get("tokenizer.ggml.add_bos_token").and_then(|value| value.as_bool()) == Some(true);
        let pre = self.header.text("tokenizer.ggml.pre")?.unwrap_or_default();
        // llama.cpp reads up to a NUL.
        Ok(wanted && pre.split('\0').next().is_some_and(|pre| WITHOUT_DEFAULT_BOS.contains(&pre)))
    }

    fn id(&self, name: &str) -> Result<Option<usize>> {
        let key = format!("tokenizer.ggml.{name}_token_id");
        match self.header.get(&key) {
            None => Ok(None),
            Some(value) => match value.as_u64().and_then(|n| usize::try_from(n).ok()) {
                Some(id) if id < self.tokens.len() && matches!(value, ValueRef::U32(_) | ValueRef::I32(_)) => {
                    Ok(Some(id))
                }
                _ => Err(Error::corrupt(format!(
                    "key '{key}': expected a token below {} as u32, got {value}",
                    self.tokens.len()
                ))),
            },
        }
    }

    fn text(&self, name: &str) -> Result<String> {
        Ok(self.id(name)?.map_or(String::new(), |id| String::from_utf8_lossy(self.tokens[id]).into_owned()))
    }

    fn named(&self) -> Result<Vec<(&'static str, String)>> {
        let mut named = Vec::new();
        for (name, key) in NAMED_IDS {
            if self.id(key)?.is_some() {
                named.push((*name, self.text(key)?));
            }
        }
        Ok(named)
    }
}
