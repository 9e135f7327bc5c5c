//! Saved prefixes: what comes back is what was there, and what should not come back is refused.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use selvedge::{Answer, Ask, Call, Code, Engine, Generate, Options, PrefixCache, Prompt, Trim, open};

use crate::tiny::{self, tokens};
use crate::{code, smollm};

fn generate(prompt: &[u32], max: u32) -> Generate {
    Generate::new(Prompt::Tokens(prompt.to_vec())).max_tokens(max).logprobs(true)
}

fn cache(engine: &Arc<dyn Engine>) -> &dyn PrefixCache {
    engine.prefix_cache().expect("it reuses prefixes")
}

/// The 64 tokens after each prompt have, to the last bit, the probabilities that they have where nothing was restored, and the
/// prompt is not computed: whether the next prompt goes on from all of what was saved, or leaves it somewhere within.
#[track_caller]
fn restores(path: &Path, folder: &Path, prompt: &[u32], places: &[usize]) {
    let (options, file) = (|| Options::new().context_tokens(2048).parallel(1), folder.join("prefixes"));
    let engine = open(path, options()).unwrap();
    engine.run(generate(prompt, 1)).unwrap();
    let saved = cache(&engine).save(&file).unwrap();
    assert_eq!((saved.prefixes, saved.tokens), (1, prompt.len() as u64));
    assert_eq!(saved.bytes, fs::metadata(&file).unwrap().len());
    drop(engine);
    for &place in places {
        let next: Vec<u32> = prompt[..place].iter().copied().chain(tokens(40, 9)).collect();
        let cold = open(path, options()).unwrap();
        let expected = cold.run(generate(&next, 64)).unwrap();
        let slow = expected.usage.compute;
        assert_eq!((expected.usage.cached_tokens, expected.tokens.len()), (0, 64));
        drop(cold);
        let engine = open(path, options()).unwrap();
        let begin = Instant::now();
        let restored = cache(&engine).restore(&file).unwrap();
        let took = begin.elapsed();
        let answer = engine.run(generate(&next, 64)).unwrap();
        let fast = took + answer.usage.compute;
        println!("{place} of {}: {fast:?} with restoring, {slow:?} without", next.len());
        assert_eq!(restored, saved);
        // What was restored, and did nothing, would be computed again.
        assert_eq!(answer.usage.cached_tokens, (place / 16 * 16) as u64, "cut at {place}");
        assert_eq!(answer.tokens, expected.tokens, "cut at {place}");
    }
}

#[test]
fn a_restored_prefix_is_as_if_it_had_been_computed() {
    let folder = tempfile::tempdir().unwrap();
    let path = tiny::write(&tiny::llama(2048), folder.path(), "llama.gguf");
    restores(&path, folder.path(), &tokens(300, 1), &[300, 299, 200, 40]);
}

/// One layer sees only 16 tokens back: what it has forgotten is needed again when a prompt leaves the saved one before its end.
#[test]
fn so_is_one_of_a_model_with_sliding_windows() {
    let folder = tempfile::tempdir().unwrap();
    let path = tiny::write(&tiny::gemma3(2048), folder.path(), "gemma3.gguf");
    restores(&path, folder.path(), &tokens(300, 1), &[300, 290, 200, 40]);
}

#[test]
fn so_is_one_of_a_real_model() {
    let Some(path) = smollm() else { return };
    let folder = tempfile::tempdir().unwrap();
    restores(&path, folder.path(), &tokens(1024, 1), &[1024]);
}

fn warm(path: &Path, options: Options) -> Arc<dyn Engine> {
    let engine = open(path, options).unwrap();
    for seed in 0..3 {
        engine.run(generate(&tokens(64 + 16 * seed, seed), 1)).unwrap();
    }
    engine
}

/// Several prefixes come back, also into a context that is divided otherwise, and what is in flight is left alone.
#[test]
fn several_prefixes_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = tiny::write(&tiny::llama(1024), folder.path(), "llama.gguf");
    let file = folder.path().join("prefixes");
    let engine = warm(&path, Options::new().context_tokens(1024).parallel(4));
    let mut running = engine.events(generate(&tokens(32, 7), 60), Call::new()).unwrap();
    running.next().unwrap().unwrap();
    let saved = cache(&engine).save(&file).unwrap();
    assert_eq!((saved.prefixes, saved.tokens), (3, 64 + 80 + 96));
    // In the place of the file before.
    assert_eq!(cache(&engine).save(&file).unwrap(), saved);
    assert!(running.answer().is_ok());
    for parallel in [4, 1] {
        let engine = open(&path, Options::new().context_tokens(1024).parallel(parallel)).unwrap();
        let mut running = engine.events(generate(&tokens(32, 7), 60), Call::new()).unwrap();
        running.next().unwrap().unwrap();
        let restored = cache(&engine).restore(&file).unwrap();
        // With one sequence, taken, there is no place.
        assert_eq!(restored.prefixes, if parallel == 4 { 3 } else { 0 });
        assert!(running.answer().is_ok());
        let restored = cache(&engine).restore(&file).unwrap();
        assert_eq!(restored.prefixes, u64::from(parallel).min(3));
        let again = |seed: usize| engine.run(generate(&tokens(64 + 16 * seed, seed), 1)).unwrap().usage.cached_tokens;
        // The one that was used last is there in any case.
        assert_eq!(again(2), 80);
    }
    engine.trim(Trim::All).unwrap();
    let nothing = cache(&engine).save(&file).unwrap();
    assert_eq!((nothing.prefixes, nothing.tokens), (0, 0));
    assert_eq!(cache(&engine).restore(&file).unwrap(), nothing);
}

/// Whatever became of the file, the engine says what is wrong and computes what it is asked.
#[test]
fn what_was_not_saved_so_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = tiny::write(&tiny::llama(512), folder.path(), "llama.gguf");
    let file = folder.path().join("prefixes");
    let options = || Options::new().context_tokens(512).parallel(1);
    let expected: Answer = {
        let engine = open(&path, options()).unwrap();
        let answer = engine.run(generate(&tokens(64, 0), 8)).unwrap();
        cache(&engine).save(&file).unwrap();
        answer
    };
    let bytes = fs::read(&file).unwrap();
    let other_model = tiny::write(&tiny::seeded(512, 2), folder.path(), "other.gguf");
    let engine = open(&path, options()).unwrap();
    let other = folder.path().join("other");
    let restore = |engine: &Arc<dyn Engine>, bytes: &[u8]| {
        fs::write(&other, bytes).unwrap();
        code(cache(engine).restore(&other))
    };
    // Each byte of the header, some of the body, and each length.
    let places = (0..184).chain((184..bytes.len()).step_by(1 + bytes.len() / 200));
    let mut refused = 0;
    for place in places {
        let mut damaged = bytes.clone();
        damaged[place] ^= 1 << (place % 8);
        assert_eq!(restore(&engine, &damaged), Code::Corrupt, "byte {place}");
        assert_eq!(restore(&engine, &bytes[..place]), Code::Corrupt, "{place} bytes");
        refused += 2;
    }
    assert!(refused > 500);
    assert_eq!(restore(&engine, &[&bytes[..], &[0]].concat()), Code::Corrupt);
    assert_eq!(restore(&engine, b"GGUF"), Code::Corrupt);
    assert_eq!(code(cache(&engine).restore(&folder.path().join("none"))), Code::NotFound);
    assert!(matches!(code(cache(&engine).restore(folder.path())), Code::Io | Code::InvalidArgument));
    assert_eq!(code(cache(&engine).save(&folder.path().join("none/of/these"))), Code::NotFound);
    // Whole, and of something else.
    for other in [open(&other_model, options()).unwrap(), open(&path, options().context_tokens(256)).unwrap()] {
        let error = cache(&other).restore(&file).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{error}");
        assert!(error.message().contains("expected those of the"), "{error}");
    }
    let cold = engine.run(generate(&tokens(64, 0), 8)).unwrap();
    assert_eq!((cold.usage.cached_tokens, cold.tokens), (0, expected.tokens));
    let encoder = crate::minilm().map(|path| open(path, Options::new()).unwrap());
    assert!(encoder.is_none_or(|encoder| encoder.prefix_cache().is_none()));
}
