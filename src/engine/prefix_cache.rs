//! Prefix cache: what an engine has computed of earlier prompts, saved for the next start of the process.

use std::path::Path;

use crate::Result;

/// The prefix cache of a text engine: what it has computed of prompts and answers, which a prompt that begins alike reuses.
///
/// It lives as long as the engine. An app that may be ended at any time saves it when it goes to the background, and restores
/// it after it has opened the model again: the next turn of a conversation then computes what is new in it, not all of it.
///
/// What is saved is text that can be read back by whoever has the model: the tokens of the prompts and answers, as they are.
/// The file is readable for its owner alone.
///
/// ```no_run
/// use selvedge::{Engine, Options, open};
/// let engine = open("assistant.gguf", Options::new())?;
/// let cache = engine.prefix_cache().expect("an engine that reuses prefixes");
/// match cache.restore("app/assistant.prefixes".as_ref()) {
///     Ok(restored) => println!("{} tokens need not be computed", restored.tokens),
///     Err(error) => println!("a cold start: {error}"),
/// }
/// // Conversations go on. Then, in the background:
/// cache.save("app/assistant.prefixes".as_ref())?;
/// # Ok::<(), selvedge::Error>(())
/// ```
pub trait PrefixCache: Send + Sync {
    /// Writes what finished runs have left in the cache to a file, in the place of an earlier one; durable once this returns.
    /// What runs in flight have computed is not in it. Waits for the computation under way, a slice of a prompt at most.
    ///
    /// # Errors
    ///
    /// `Io`, with the file as it was; `Unsupported` for a model whose state cannot be cut at every token; `OutOfMemory` for want
    /// of as many bytes as the file gets; `Backend` if the thread that computes for the model has stopped.
    fn save(&self, path: &Path) -> Result<Prefixes>;

    /// Takes the prefixes of a file into the cache, in the place of what was used longest ago. They count as if this engine
    /// had computed them: answers are the same, to the last bit, as without. Those that find no place are left out, so look at
    /// what is returned.
    ///
    /// # Errors
    ///
    /// `NotFound` or `Io`; `Corrupt` for a file that is damaged or none of these; `InvalidArgument` for one of another model, of
    /// another build of the runtime or kind of processor, or of another [`Options::context_tokens`](crate::Options::context_tokens);
    /// `Unsupported` for one of a later version. The engine is then as it was, and computes what it is asked.
    fn restore(&self, path: &Path) -> Result<Prefixes>;
}

/// What was saved or restored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Prefixes {
    /// Beginnings of prompts.
    pub prefixes: u64,
    /// Their tokens, all together.
    pub tokens: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

impl Prefixes {
    /// So many prefixes, tokens and bytes.
    pub fn new(prefixes: u64, tokens: u64, bytes: u64) -> Self {
        Self { prefixes, tokens, bytes }
    }
}
