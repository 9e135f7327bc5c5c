//! Rank templates: the text in which a model is asked how well a document answers a query.

use super::jinja::Char;
use super::special_tokens::{Segment, SpecialTokens};

const QUERY: &str = "{query}";
const DOCUMENT: &str = "{document}";

/// A text with places for a query and a document.
#[derive(Debug)]
pub(crate) struct RankTemplate {
    source: String,
    special_tokens: SpecialTokens,
}

impl RankTemplate {
    /// `special` are the texts of all tokens that must not come from a query or a document.
    pub(crate) fn new(source: &str, special: impl IntoIterator<Item = String>) -> Self {
        Self { source: source.to_owned(), special_tokens: SpecialTokens::new(special) }
    }

    /// Whether a text has a place for each.
    pub(crate) fn has_places(source: &str) -> bool {
        source.contains(QUERY) && source.contains(DOCUMENT)
    }

    /// The text with both, in parts: special tokens that it writes itself are meant as such, those of a query or a document
    /// are text. Places that stand in these are none.
    pub(crate) fn segments(&self, query: &str, document: &str) -> Vec<Segment> {
        let mut chars = Vec::with_capacity(self.source.len() + query.len() + document.len());
        let mut rest = &*self.source;
        loop {
            let places = [(QUERY, query), (DOCUMENT, document)].into_iter();
            let next = places.filter_map(|(place, text)| Some((rest.find(place)?, place, text))).min();
            let Some((at, place, text)) = next else { break };
            chars.extend(rest[..at].chars().map(Char::own));
            chars.extend(text.chars().map(Char::foreign));
            rest = &rest[at + place.len()..];
        }
        chars.extend(rest.chars().map(Char::own));
        self.special_tokens.split(&chars)
    }
}

#[cfg(test)]
mod tests {
    use super::{RankTemplate, Segment};

    fn parts(template: &str, query: &str, document: &str) -> Vec<(String, bool)> {
        let template = RankTemplate::new(template, ["<end>".to_owned()]);
        let pair = |Segment { text, special }: Segment| (text, special);
        template.segments(query, document).into_iter().map(pair).collect()
    }

    #[test]
    fn both_stand_in_their_places_and_are_not_looked_into() {
        let own = |text: &str| vec![(text.to_owned(), true)];
        assert_eq!(parts("Q {query} D {document}.", "a", "b"), own("Q a D b."));
        assert_eq!(parts("{document}|{query}|{query}", "a", "b"), own("b|a|a"));
        assert_eq!(parts("{query}|{document}", "{document}", "{query}"), own("{document}|{query}"));
        assert!(RankTemplate::has_places("{document} {query}") && !RankTemplate::has_places("{query} {documents"));
    }

    #[test]
    fn special_tokens_of_a_query_or_a_document_are_text() {
        let text = |text: &str, special| (text.to_owned(), special);
        let expected = [text("<end>", true), text("<end>", false), text("|b<end>", true)];
        assert_eq!(parts("<end>{query}|{document}<end>", "<end>", "b"), expected);
        // Also one that the template and the document make together.
        assert_eq!(parts("{query}{document}d>", "a", "<en"), [text("a", true), text("<end>", false)]);
    }
}
