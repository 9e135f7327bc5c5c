//! Parts of texts, against all that llama.cpp does before it tokenizes.

use super::*;

/// What llama.cpp makes of a text: the tokens from the longest to the shortest, each found from left to right in what the
/// ones before have left.
fn partition(text: &str, tokens: &[&str]) -> Vec<(bool, String)> {
    let mut tokens = tokens.to_vec();
    tokens.sort_by_key(|token| std::cmp::Reverse(token.len()));
    let mut fragments = vec![(false, text.to_owned())];
    for token in tokens {
        let split = |(is_token, text): (bool, String)| {
            if is_token {
                return vec![(true, text)];
            }
            let between = text.split(token).map(|rest| (false, rest.to_owned()));
            let mut all: Vec<_> = between.flat_map(|rest| [rest, (true, token.to_owned())]).collect();
            all.pop();
            all.retain(|(_, text)| !text.is_empty());
            all
        };
        fragments = fragments.into_iter().flat_map(split).collect();
    }
    fragments
}

fn fragments(tokens: &[&str]) -> Fragments {
    Fragments::new(tokens.iter().map(|token| token.as_bytes().into()), false)
}

/// Vocabularies whose tokens lie in each other, over each other and side by side.
const VOCABULARIES: [&[&str]; 6] = [
    &["\n", "\n\n", "\n\n\n", "  ", "<b>"],
    &["ab", "bc", "abc", "bcab"],
    &["aa"],
    &["aba", "bab", "b"],
    &["é", "éé", "aé"],
    &["<img>", "<image>", "img", ">"],
];

#[test]
fn parts_have_the_tokens_of_the_whole() {
    let mut state = 5u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut cut = 0;
    for tokens in VOCABULARIES {
        let of = fragments(tokens);
        for _ in 0..8 {
            let bits: Vec<&str> = tokens.iter().copied().chain(["a", "b", "c", "\n", " x", "é", "\n\n"]).collect();
            let text: String = (0..9000).map(|_| bits[random(bits.len())]).collect();
            let parts = of.parts(&text).unwrap();
            assert_eq!(parts.concat(), text);
            cut += parts.len() - 1;
            let whole = partition(&text, tokens);
            let together: Vec<_> = parts.iter().flat_map(|part| partition(part, tokens)).collect();
            assert!(whole == together, "{tokens:?}: another cut in {} parts", parts.len());
        }
    }
    assert!(cut > 50, "{cut} cuts");
}

#[test]
fn what_is_short_or_without_such_tokens_is_one_part() {
    let long = "a word and a line\n".repeat(10_000);
    assert_eq!(fragments(&[]).parts(&long).unwrap(), [&*long]);
    assert_eq!(fragments(&["<b>"]).parts(&long).unwrap(), [&*long]);
    let short = "<b>".repeat(FEW / 3);
    assert_eq!(fragments(&["<b>"]).parts(&short).unwrap(), [&*short]);
    assert_eq!(fragments(&["<b>"]).parts("").unwrap(), [""]);
    let many = "x<b>".repeat(100_000);
    let parts = fragments(&["<b>"]).parts(&many).unwrap();
    assert!(parts.len() >= 100_000 / FEW && parts.iter().all(|part| part.len() <= 4 * FEW), "{} parts", parts.len());
}

/// Blanks that a token takes from its neighbours are in the way of a cut.
#[test]
fn tokens_that_strip_are_not_cut_at() {
    let strips = Fragments::new([Box::from(&b"<m>"[..])], true);
    let text = "x<m> ".repeat(MOST);
    assert_eq!(strips.parts(&text).unwrap(), [&*text]);
    let text = "x<m> ".repeat(MOST + 1);
    assert_eq!(strips.parts(&text).unwrap_err().code(), crate::Code::InvalidArgument);
}

/// A row of line ends has few of them where there are tokens for many; and one that cannot be cut is bounded.
#[test]
fn rows_that_cannot_be_cut_are_bounded_by_their_tokens() {
    let rows: Vec<String> = (1..32).map(|n| "\n".repeat(n)).collect();
    let of = fragments(&rows.iter().map(|row| &**row).collect::<Vec<_>>());
    assert_eq!(of.parts(&"\n".repeat(31 * MOST)).unwrap().len(), 1);
    let error = of.parts(&"\n".repeat(31 * MOST + 1)).unwrap_err();
    assert!(error.message().contains("at most 8192 tokens"), "{error}");
}
