//! Random walks: whatever tokens are chosen of those that are allowed, a text that comes to its end validates.

use std::sync::Arc;

use serde_json::Value;

use super::super::Vocabulary;
use super::bytes;
use super::schemas::SCHEMAS;
use super::words::smollm;
use crate::engine::Grammar;
use crate::text::tests::chance::Chance;

/// Walks until the text is whole; `None` if it is not within 1500 tokens. The longer the text, the more it looks for its end:
/// a walk without a wish would open brackets for ever.
fn walk(vocabulary: &Vocabulary, grammar: &Grammar, chance: &mut Chance) -> Option<String> {
    let trie = vocabulary.factory.tok_env().tok_trie();
    let mut matcher = vocabulary.matcher(grammar).unwrap();
    let mut text: Vec<u8> = Vec::new();
    for step in 0..1500 {
        if matcher.is_done() {
            break;
        }
        let tired = chance.below(1500) < step * 8;
        let may_end = matcher.may_end().unwrap();
        let allowed = matcher.mask().unwrap();
        assert_eq!(allowed.contains(trie.eos_token()), may_end);
        if may_end && (tired || chance.below(4) == 0) {
            break;
        }
        let tokens: Vec<u32> = allowed.tokens(trie.vocab_size()).filter(|token| *token != trie.eos_token()).collect();
        assert!(!tokens.is_empty(), "no way on after {:?}", String::from_utf8_lossy(&text));
        // Numbers of hundreds of digits are of the form, but of no machine: `serde_json` refuses them.
        let digits = text.iter().rev().take_while(|b| b.is_ascii_digit()).count();
        let before: Vec<u8> = text.iter().rev().skip(digits).take(2).copied().collect();
        let in_exponent = matches!(*before, [b'e' | b'E', ..] | [b'+' | b'-', b'e' | b'E']);
        let most = if in_exponent { 2 } else { 15 };
        let short: Vec<u32> =
            tokens.iter().copied().filter(|t| digits < most || !trie.token(*t)[0].is_ascii_digit()).collect();
        if short.is_empty() && may_end {
            break;
        }
        let closing: Vec<u32> =
            short.iter().copied().filter(|t| matches!(trie.token(*t), b"\"" | b"]" | b"}")).collect();
        let list = match () {
            () if tired && !closing.is_empty() => closing,
            () if !short.is_empty() => short,
            () => tokens,
        };
        let token = list[chance.below(list.len())];
        text.extend(trie.token(token));
        matcher.accept(token).unwrap();
    }
    (matcher.is_done() || matcher.may_end().unwrap()).then(|| String::from_utf8(text).expect("text"))
}

fn walk_all(vocabulary: &Arc<Vocabulary>, walks: usize) {
    assert!(SCHEMAS.len() >= 50);
    let mut chance = Chance(1);
    let (mut whole, mut all) = (0, 0);
    for schema in SCHEMAS {
        let validator = jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap();
        let grammar = Grammar::json_schema(*schema);
        let mut of_this = 0;
        for _ in 0..walks {
            all += 1;
            let Some(text) = walk(vocabulary, &grammar, &mut chance) else { continue };
            of_this += 1;
            let value: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{schema}: {text:?}: {e}"));
            let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{schema}: {text}: {errors:?}");
        }
        assert!(of_this > 0, "{schema}: no walk came to an end");
        whole += of_this;
    }
    println!("{all} walks over {} schemas, {whole} to the end, all valid", SCHEMAS.len());
    assert!(whole * 2 > all, "most walks come to an end: {whole} of {all}");
}

#[test]
fn walks_over_a_real_vocabulary_validate() {
    let Some(vocabulary) = smollm() else { return };
    walk_all(&vocabulary, 6);
}

#[test]
fn walks_over_bytes_validate() {
    walk_all(&bytes(), 6);
}
