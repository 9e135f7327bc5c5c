//! Stop texts, found in a stream of text.

/// Finds the first of several texts in a stream that comes in parts.
///
/// Text that could still become a stop text is held back, and no more than that. Where several match, the one that
/// begins first wins, and of those the one given first.
#[derive(Debug)]
pub(super) struct Stop {
    texts: Vec<String>,
    held: String,
}

/// What a part of the stream brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Passed {
    /// Text that is certainly before any stop text.
    pub(super) text: String,
    /// The stop text that came up, by its index. Nothing passes after it.
    pub(super) stop: Option<usize>,
}

impl Stop {
    /// No text may be empty.
    pub(super) fn new(texts: Vec<String>) -> Self {
        Self { texts, held: String::new() }
    }

    /// The stop text of an index in [`Passed::stop`].
    pub(super) fn text(&self, index: usize) -> &str {
        &self.texts[index]
    }

    pub(super) fn push(&mut self, part: &str) -> Passed {
        self.held.push_str(part);
        let found = (0..self.texts.len())
            .filter_map(|i| Some((self.held.find(&self.texts[i])?, i)))
            // The first to begin; a tie goes to the lower index.
            .min();
        let could_begin = self.could_begin();
        match found {
            // A longer stop text that began earlier may still come up, so its answer must be awaited.
            Some((at, _)) if could_begin < at => self.pass(could_begin, None),
            Some((at, i)) => {
                let passed = self.pass(at, Some(i));
                self.held.clear();
                passed
            }
            None => self.pass(could_begin, None),
        }
    }

    /// The stream has ended: what was held back passes, unless a stop text is in it.
    pub(super) fn finish(&mut self) -> Passed {
        let found = (0..self.texts.len()).filter_map(|i| Some((self.held.find(&self.texts[i])?, i))).min();
        let end = found.map_or(self.held.len(), |(at, _)| at);
        let passed = self.pass(end, found.map(|(_, i)| i));
        self.held.clear();
        passed
    }

    fn pass(&mut self, end: usize, stop: Option<usize>) -> Passed {
        Passed { text: self.held.drain(..end).collect(), stop }
    }

    /// The first byte from which on everything held is the beginning of a stop text, or the end.
    fn could_begin(&self) -> usize {
        let bytes = self.held.as_bytes();
        let longest = self.texts.iter().map(String::len).max().unwrap_or(0);
        let from = bytes.len().saturating_sub(longest.saturating_sub(1));
        (from..bytes.len())
            .find(|&at| self.texts.iter().any(|t| t.len() > bytes.len() - at && t.as_bytes().starts_with(&bytes[at..])))
            .unwrap_or(bytes.len())
    }
}
