//! The vocabulary of SmolLM2, out of its file and without llama.cpp.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::{Vocabulary, Words};
use crate::text::tests::corpus;
use crate::weights::WeightFile;
use crate::{Access, Digest};

/// The numbers that GGUF has for kinds of tokens.
const UNKNOWN: u64 = 2;
const CONTROL: u64 = 3;

/// `None` without the corpus.
pub(super) fn smollm() -> Option<Arc<Vocabulary>> {
    let path = corpus::path("smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")?;
    Some(Vocabulary::shared(Digest([2; 32]), || words(&path)).unwrap())
}

fn words(path: &std::path::Path) -> Words {
    let file = WeightFile::open(path, Access::default()).unwrap();
    let header = file.metadata();
    let key = |name: &str| format!("tokenizer.ggml.{name}");
    let tokens = header.array(&key("tokens")).unwrap().unwrap();
    let kinds: Vec<u64> = header.array(&key("token_type")).unwrap().unwrap().numbers().map(|n| n.unwrap()).collect();
    let special: Vec<bool> = kinds.iter().map(|kind| matches!(*kind, UNKNOWN | CONTROL)).collect();
    let bytes = bytes_of_letters();
    let word = |(text, special): (&[u8], &bool)| match special {
        true => text.to_vec(),
        false => std::str::from_utf8(text).unwrap().chars().map(|letter| bytes[&letter]).collect(),
    };
    let texts: Vec<Vec<u8>> = tokens.texts().zip(&special).map(word).collect();
    assert_eq!(texts.len(), 49_152);
    let end = header.number(&key("eos_token_id")).unwrap().unwrap();
    Words { texts, special, ends: vec![end as u32] }
}

/// The letter that stands for each byte in the vocabularies of byte-level BPE: itself where it can be printed, else one from
/// U+0100 on.
fn bytes_of_letters() -> HashMap<char, u8> {
    let printed = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let (shown, hidden): (Vec<u8>, Vec<u8>) = (0..=255u8).partition(printed);
    let shown = shown.into_iter().map(|byte| (char::from(byte), byte));
    let hidden = ('\u{100}'..).zip(hidden);
    shown.chain(hidden).collect()
}

#[test]
fn one_vocabulary_serves_all_engines_of_a_model() {
    let words = || Words { texts: vec![b"a".to_vec(), b"b".to_vec()], special: vec![false; 2], ends: vec![1] };
    let one = Vocabulary::shared(Digest([3; 32]), words).unwrap();
    let same = Vocabulary::shared(Digest([3; 32]), || panic!("it was made again")).unwrap();
    assert!(Arc::ptr_eq(&one, &same));
    assert!(!Arc::ptr_eq(&one, &Vocabulary::shared(Digest([4; 32]), words).unwrap()));
    // Without a digest, models cannot be told apart.
    let unknown = Vocabulary::shared(Digest::default(), words).unwrap();
    assert!(!Arc::ptr_eq(&unknown, &Vocabulary::shared(Digest::default(), words).unwrap()));
    // The last engine takes it along.
    drop((one, same));
    let mut again = false;
    let _anew = Vocabulary::shared(Digest([3; 32]), || {
        again = true;
        words()
    });
    assert!(again);
}

#[test]
fn the_words_of_a_text_are_its_bytes() {
    let Some(vocabulary) = smollm() else { return };
    let environment = vocabulary.factory.tok_env();
    let text = "{\"naïve\": [1, 2.5, null]}\n\t— 東京";
    let tokens = environment.tokenize_bytes(text.as_bytes());
    assert!(tokens.len() < text.len());
    assert_eq!(environment.tok_trie().decode_str(&tokens), text);
}
