//! Ranking: whether a model judges documents by a query, and how the two are put to it.

use super::header::{Pooling, Ranking};
use super::keys::Keys;
use crate::Result;
use crate::text::RankTemplate;
use crate::weights::{ValueRef, WeightFile};

const TEMPLATE: &str = "tokenizer.chat_template.rerank";
const HEAD: &str = "cls.output.weight";
/// Their graphs make probabilities of what the head says, of which the first is the score.
const WITH_PROBABILITIES: &[&str] = &["qwen3", "qwen3vl"];

impl Keys<'_> {
    /// How the model ranks, or what it lacks for that: no reason to refuse it.
    pub(super) fn ranking(&self, file: &WeightFile) -> Result<std::result::Result<Ranking, String>> {
        if self.pooling()? != Pooling::Rank {
            return Ok(Err(format!("expected key '{}' to name a rank (4)", self.key("pooling_type"))));
        }
        if file.get(HEAD).is_none() {
            return Ok(Err(format!("expected tensor '{HEAD}', the head that scores, got none")));
        }
        let labels = self.labels();
        let is_of_probabilities = WITH_PROBABILITIES.contains(&self.architecture);
        match &labels[..] {
            [yes, no] if is_of_probabilities && yes == "yes" && no == "no" => {}
            [] | [_] if !is_of_probabilities => {}
            _ => {
                let expected = if is_of_probabilities { "'yes' and 'no'" } else { "one at most" };
                let key = self.key("classifier.output_labels");
                return Ok(Err(format!("key '{key}': expected {expected}, got {labels:?}")));
            }
        }
        match self.header.text(TEMPLATE) {
            Ok(Some(text)) if RankTemplate::has_places(text) => return Ok(Ok(Ranking::Template(text.to_owned()))),
            Ok(None) => {}
            _ => return Ok(Err(format!("key '{TEMPLATE}': expected a text with {{query}} and {{document}}"))),
        }
        if !self.is_encoder() {
            return Ok(Err(format!("expected key '{TEMPLATE}', how query and document are put, got none")));
        }
        // llama.cpp takes the first type for all tokens, and the scores would be others than those of the training.
        let types = file.get("token_types.weight").map_or(1, |types| types.row_count());
        if types > 1 {
            return Ok(Err(format!("tensor 'token_types.weight': expected one type for both texts, got {types}")));
        }
        Ok(Ok(Ranking::Pair))
    }

    /// What the first outputs of the head are called; llama.cpp takes it for one where they have no names.
    fn labels(&self) -> Vec<String> {
        match self.header.get(&self.key("classifier.output_labels")) {
            Some(ValueRef::Array(array)) => {
                let label = |label| String::from_utf8_lossy(label).chars().take(40).collect();
                array.texts().take(3).map(label).collect()
            }
            _ => Vec::new(),
        }
    }
}
