//! Vocabularies: the tokens that a matcher chooses from, as a trie.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use llguidance::ParserFactory;
use llguidance::api::ParserLimits;
use llguidance::toktrie::{ApproximateTokEnv, INVALID_TOKEN, InferenceCapabilities, TokEnv, TokRxInfo, TokTrie};

use super::said;
use crate::digest::Hasher;
use crate::{Digest, Error, Result, threads};

/// The longest token that a constrained text may have, in bytes: the crate's walk of the trie is of bounded depth. Longer ones
/// are runs of spaces and the like, which shorter ones can write as well.
const MAX_WORD: usize = 200;

/// What the crate may spend. Its own limits are for servers: there a form may take half a gigabyte.
fn limits() -> ParserLimits {
    ParserLimits {
        max_items_in_row: 2000,
        initial_lexer_fuel: 700_000,
        step_lexer_fuel: 200_000,
        step_max_items: 50_000,
        max_lexer_states: 15_000,
        max_grammar_size: 100_000,
        precompute_large_lexemes: false,
        verbose_errors: false,
    }
}

/// The texts of a vocabulary's tokens.
#[derive(Debug, Default)]
pub(crate) struct Words {
    /// The bytes of each token's text, by its id; empty for one that has none.
    pub(crate) texts: Vec<Vec<u8>>,
    /// The tokens that are no text, such as `<|im_end|>`: by its id, their text is a name.
    pub(crate) special: Vec<bool>,
    /// The tokens that end an answer.
    pub(crate) ends: Vec<u32>,
}

impl Words {
    fn digest(&self) -> Digest {
        let mut hasher = Hasher::default();
        for (text, special) in self.texts.iter().zip(&self.special) {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(&[u8::from(*special)]);
            hasher.update(text);
        }
        // Longer than any text.
        hasher.update(&u64::MAX.to_le_bytes());
        self.ends.iter().for_each(|end| hasher.update(&end.to_le_bytes()));
        hasher.digest()
    }
}

/// A vocabulary that forms are compiled for.
pub(crate) struct Vocabulary {
    pub(super) factory: ParserFactory,
    /// Names and ids of the tokens that are no text.
    special: Vec<(String, u32)>,
}

/// A vocabulary in use: of which model, and by the digest of its words.
struct InUse {
    model: Digest,
    words: Digest,
    vocabulary: Weak<Vocabulary>,
}

static IN_USE: Mutex<Vec<InUse>> = Mutex::new(Vec::new());

impl Vocabulary {
    /// The vocabulary of the model of a digest: the one that is in use, be it by this model or by another one with the same
    /// words, such as its next version; else one made of `words`.
    ///
    /// # Errors
    ///
    /// As [`Vocabulary::new`].
    pub(crate) fn shared(model: Digest, words: impl FnOnce() -> Words) -> Result<Arc<Self>> {
        // Two that come at the same time wait for one trie, and don't make two.
        let mut all = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|one| one.vocabulary.strong_count() > 0);
        let find = |all: &[InUse], is_it: &dyn Fn(&InUse) -> bool| {
            all.iter().find(|one| is_it(one)).and_then(|one| one.vocabulary.upgrade())
        };
        // A model without a digest is known by its words alone.
        if let Some(vocabulary) = find(&all, &|one| one.model == model && model != Digest::default()) {
            return Ok(vocabulary);
        }
        let made = words();
        let words = made.digest();
        let vocabulary = match find(&all, &|one| one.words == words) {
            Some(vocabulary) => vocabulary,
            None => Arc::new(Self::new(made)?),
        };
        all.push(InUse { model, words, vocabulary: Arc::downgrade(&vocabulary) });
        Ok(vocabulary)
    }

    /// Makes the trie of a vocabulary: tens of milliseconds for each 50,000 tokens.
    ///
    /// # Errors
    ///
    /// `Unsupported` for a vocabulary that llguidance cannot walk.
    pub(crate) fn new(words: Words) -> Result<Self> {
        let made = threads::contained(|| Self::of(words));
        let why = match made {
            Ok(Ok(vocabulary)) => return Ok(vocabulary),
            Ok(Err(error)) | Err(error) => error,
        };
        Err(Error::unsupported(format!("grammar: the model's vocabulary cannot be walked: {why}")))
    }

    fn of(words: Words) -> std::result::Result<Self, String> {
        let Words { texts, special, ends } = words;
        let word = |(text, special): (Vec<u8>, &bool)| match special {
            _ if text.is_empty() || text.len() > MAX_WORD => Vec::new(),
            true => [&[TokTrie::SPECIAL_TOKEN_MARKER], &*text].concat(),
            // The byte that marks special tokens is in no text.
            false if text.contains(&TokTrie::SPECIAL_TOKEN_MARKER) => Vec::new(),
            false => text,
        };
        let names =
            texts.iter().zip(&special).zip(0_u32..).filter(|((text, special), _)| **special && !text.is_empty());
        let names = names.map(|((text, _), id)| (String::from_utf8_lossy(text).into_owned(), id)).collect();
        let texts: Vec<Vec<u8>> = texts.into_iter().zip(&special).map(word).collect();
        let info =
            TokRxInfo::new(u32::try_from(texts.len()).map_err(said)?, ends.first().copied().unwrap_or(INVALID_TOKEN));
        let mut trie = TokTrie::from(&info, &texts);
        if !ends.is_empty() {
            trie = trie.with_eos_tokens(&ends);
        }
        let environment: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
        let slices = llguidance::earley::SlicedBiasComputer::general_slices();
        let mut factory = ParserFactory::new(&environment, InferenceCapabilities::default(), &slices).map_err(said)?;
        factory.quiet();
        *factory.limits_mut() = limits();
        Ok(Self { factory, special: names })
    }

    /// Where the first name of a special token is in a text, how long it is, and its id. Of two, the longer one.
    pub(super) fn first_special(&self, text: &str) -> Option<(usize, usize, u32)> {
        let found = self.special.iter().filter_map(|(name, id)| Some((text.find(&**name)?, name.len(), *id)));
        found.min_by_key(|(at, len, _)| (*at, std::cmp::Reverse(*len)))
    }
}

impl std::fmt::Debug for Vocabulary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vocabulary").finish_non_exhaustive()
    }
}
