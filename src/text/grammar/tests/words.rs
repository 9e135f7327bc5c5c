//! The vocabulary of SmolLM2, out of its file and without llama.cpp.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

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
fn one_vocabulary_serves_all_models_with_its_words() {
    let words = || Words { texts: vec![b"a".to_vec(), b"b".to_vec()], special: vec![false; 2], ends: vec![1] };
    let one = Vocabulary::shared(Digest([3; 32]), words).unwrap();
    let same = Vocabulary::shared(Digest([3; 32]), || panic!("its words are asked for again")).unwrap();
    // Its next version, and a model whose digest nobody knows.
    let others = [4, 0].map(|n| Vocabulary::shared(Digest([n; 32]), words).unwrap());
    assert!([&same, &others[0], &others[1]].iter().all(|other| Arc::ptr_eq(&one, other)));
    let unlike = [
        Words { texts: vec![b"a".to_vec(), b"c".to_vec()], ..words() },
        Words { texts: vec![b"ab".to_vec(), b"".to_vec()], ..words() },
        Words { special: vec![true, false], ..words() },
        Words { ends: vec![0], ..words() },
        Words { ends: vec![1, 0], ..words() },
        Words { texts: vec![b"a".to_vec(), b"b".to_vec(), b"".to_vec()], special: vec![false; 3], ..words() },
    ];
    for (n, words) in (5..).zip(unlike) {
        let text = format!("{words:?}");
        assert!(!Arc::ptr_eq(&one, &Vocabulary::shared(Digest([n; 32]), || words).unwrap()), "{text}");
    }
    // The last engine takes it along.
    drop((one, same, others));
    let mut again = false;
    let _anew = Vocabulary::shared(Digest([3; 32]), || {
        again = true;
        words()
    });
    assert!(again);
}

/// The trie is made once; whoever has the same words finds it within 5 ms.
#[test]
fn a_trie_that_is_in_use_is_found_at_once() {
    let path = std::env::var_os("SELVEDGE_VOCABULARY").map(std::path::PathBuf::from);
    let Some(path) = path.or_else(|| corpus::path("smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")) else { return };
    let (begin, words) = (Instant::now(), words(&path));
    let (read, count) = (begin.elapsed(), words.texts.len());
    let copy = || Words { texts: words.texts.clone(), special: words.special.clone(), ends: words.ends.clone() };
    let begin = Instant::now();
    let made = Vocabulary::new(copy()).unwrap();
    let took = begin.elapsed();
    drop(made);
    let first = Vocabulary::shared(Digest([90; 32]), copy).unwrap();
    let found = (91..96).map(|n| {
        let copied = copy();
        let begin = Instant::now();
        let other = Vocabulary::shared(Digest([n; 32]), || copied).unwrap();
        let took = begin.elapsed();
        assert!(Arc::ptr_eq(&first, &other));
        took
    });
    // The best of some: others may want the processor.
    let found = found.min().unwrap();
    println!("{count} words: read in {read:?}, made a trie in {took:?}, found in {found:?}");
    assert!(found <= Duration::from_millis(if count < 60_000 { 5 } else { 15 }), "{found:?}");
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
