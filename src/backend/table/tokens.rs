//! Texts to token ids, by the model's own `tokenizer.json`.

use serde::Deserialize;
use tokenizers::Tokenizer;

use crate::{Code, Error, Result, threads};

/// The largest tokenizers, with a quarter of a million tokens and their merges, take 35 MB.
const MAX_BYTES: usize = 128 << 20;

/// A tokenizer that gives the ids of a text and nothing else: it does not cut, fill up or frame texts, whatever its
/// file says, and what looks like a special token in a text is text.
pub(super) struct Tokens {
    tokenizer: Tokenizer,
    /// What is not in the vocabulary. It says nothing, so it is left out, as model2vec does.
    unknown: Option<u32>,
    highest: u32,
}

/// The part of the file that the crate `tokenizers` does not show for every kind of model.
#[derive(Deserialize)]
struct Declared {
    model: Unknown,
}

#[derive(Deserialize)]
struct Unknown {
    unk_token: Option<String>,
    unk_id: Option<u32>,
}

impl Tokens {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    ///
    /// `Corrupt` for one that the crate `tokenizers` does not read.
    pub(super) fn read(json: &[u8]) -> Result<Self> {
        if json.len() > MAX_BYTES {
            return Err(Error::corrupt(format!("tokenizer: expected at most {MAX_BYTES} bytes, got {}", json.len())));
        }
        let corrupt = |why: &dyn std::fmt::Display| Error::corrupt(format!("tokenizer: {why}"));
        let declared: Declared = serde_json::from_slice(json).map_err(|e| corrupt(&e))?;
        let mut tokenizer = contained(|| Tokenizer::from_bytes(json))?.map_err(|e| corrupt(&e))?;
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|e| corrupt(&e))?;
        tokenizer.set_encode_special_tokens(true);
        let highest = tokenizer.get_vocab(true).into_values().max();
        let highest = highest.ok_or_else(|| Error::corrupt("tokenizer: expected a vocabulary, got none"))?;
        let by_name = declared.model.unk_token.and_then(|token| tokenizer.token_to_id(&token));
        Ok(Self { tokenizer, unknown: by_name.or(declared.model.unk_id), highest })
    }

    /// The highest id that a text can have.
    pub(super) fn highest(&self) -> u32 {
        self.highest
    }

    /// `InvalidArgument` for a token that does not exist.
    pub(super) fn check(&self, ids: &[u32]) -> Result<()> {
        match ids.iter().find(|id| self.tokenizer.id_to_token(**id).is_none()) {
            Some(id) => Err(Error::invalid(format!("prompt: expected tokens of the vocabulary, got {id}"))),
            None => Ok(()),
        }
    }

    /// The text of ids.
    pub(super) fn text(&self, ids: &[u32]) -> Result<String> {
        self.check(ids)?;
        let failed = |e: tokenizers::Error| Error::backend(format!("the tokenizer gives no text: {e}"));
        contained(|| self.tokenizer.decode(ids, true))?.map_err(failed)
    }

    /// Puts the ids of `text` into `ids`, in place of what is there.
    pub(super) fn ids(&self, text: &str, ids: &mut Vec<u32>) -> Result<()> {
        let encoded = contained(|| self.tokenizer.encode_fast(text, false))?;
        let encoded = encoded.map_err(|e| Error::backend(format!("tokenizer: {e}")))?;
        ids.clear();
        ids.extend(encoded.get_ids().iter().filter(|id| Some(**id) != self.unknown));
        Ok(())
    }
}

/// Runs code of the crate `tokenizers`; its panic, on a file or text that it did not expect, is an error.
fn contained<T>(f: impl FnOnce() -> T) -> Result<T> {
    threads::contained(f).map_err(|message| Error::new(Code::Panic, format!("the tokenizer panicked: {message}")))
}
