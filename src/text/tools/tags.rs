//! Tags: what reasoning stands in.

/// Opening and closing tags, as templates mention them; the first is what models write that were told of none.
pub(in crate::text) const TAGS: &[(&str, &str)] = &[
    ("<think>", "</think>"),
    ("[THINK]", "[/THINK]"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<seed:think>", "</seed:think>"),
    ("<mm:think>", "</mm:think>"),
    ("<|channel>thought", "<channel|>"),
];

/// A text without an empty block of reasoning before it.
pub(super) fn without_empty(text: &str) -> &str {
    let rest =
        TAGS.iter().find_map(|(open, close)| text.trim_start().strip_prefix(open)?.trim_start().strip_prefix(close));
    rest.unwrap_or(text)
}

/// Whether a text is about reasoning.
pub(super) fn mentioned(text: &str) -> bool {
    TAGS.iter().any(|(open, close)| text.contains(open) || text.contains(close))
}
