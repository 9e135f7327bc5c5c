//! Contradictions in a file, which would end the process in llama.cpp.

use super::super::check::Pooling;
use super::*;

fn tokens(tokens: &[&[u8]]) -> File {
    let types: Vec<u8> = tokens.iter().flat_map(|_| 1i32.to_le_bytes()).collect();
    File::model()
        .text("tokenizer.ggml.model", "gpt2")
        .array("tokenizer.ggml.merges", 8, 1, string(b"a b"))
        .array("tokenizer.ggml.tokens", 8, tokens.len() as u64, tokens.iter().flat_map(|t| string(t)).collect())
        .array("tokenizer.ggml.token_type", 5, tokens.len() as u64, types)
        .without("tokenizer.ggml.scores")
        .u32("tokenizer.ggml.bos_token_id", 0)
        .u32("tokenizer.ggml.eos_token_id", 1)
        .no_tensors()
        .tensor("token_embd.weight", &[64, tokens.len() as u64], 0, 256 * tokens.len())
}

#[test]
fn facts_are_read() {
    let file = File::model().text("tokenizer.chat_template", "{{ bos_token }}").u32("llama.pooling_type", 1);
    let facts = read(&file.bytes()).unwrap();
    assert_eq!((facts.context, facts.width, facts.feed_forward, facts.heads), (128, 64, 96, 4));
    // 2 layers of 2 heads of 16 elements, keys and values.
    assert_eq!((facts.head_size, facts.cache_elements), (16, 2 * 2 * 32));
    assert_eq!(facts.pooling, Pooling::PerText);
    assert_eq!(facts.weight_bytes, 64 * 300 * 4);
    assert_eq!((facts.vocabulary.tokens, facts.vocabulary.longest), (300, 7));
    assert_eq!((&*facts.vocabulary.bos, &*facts.vocabulary.eos), ("token0", "token1"));
    assert_eq!(facts.vocabulary.template, Some(Ok("{{ bos_token }}".to_owned())));
    // A template that is none costs the chat, not the model.
    let broken = File::model().key("tokenizer.chat_template", 8, string(b"{{ \xFF }}"));
    assert!(matches!(read(&broken.bytes()).unwrap().vocabulary.template, Some(Err(_))));
    assert!(matches!(
        read(&File::model().u32("tokenizer.chat_template", 1).bytes()).unwrap().vocabulary.template,
        Some(Err(_))
    ));
    let padded = File::model().u32("tokenizer.ggml.padding_token_id", 258);
    assert_eq!(facts.vocabulary.named, []);
    assert_eq!(read(&padded.bytes()).unwrap().vocabulary.named, [("pad_token", "token2".to_owned())]);
    assert_eq!(read(&File::model().bytes()).unwrap().pooling, Pooling::Unspecified);
}

#[test]
fn what_is_no_model_is_unsupported() {
    refused(&File::model().no_tensors().bytes(), Code::Unsupported, "without weights");
    refused(&File::model().u32("split.count", 2).bytes(), Code::Unsupported, "split into 2");
    refused(&File::model().text("general.type", "adapter").bytes(), Code::Unsupported, "'adapter'");
    assert!(read(&File::model().u32("split.count", 1).text("general.type", "model").bytes()).is_ok());
    corrupt(&File::model().key("split.count", 5, (-1i32).to_le_bytes().into()), "split.count");
    corrupt(&File::model().without("general.architecture"), "general.architecture");
    corrupt(&File::model().u32("general.architecture", 1), "a text");
    corrupt(&File::model().text("general.architecture", ""), "key '.block_count'");
    corrupt(&File::model().key("general.architecture", 8, string(b"ll\xFF")), "a text");
}

#[test]
fn layers_and_sizes() {
    for (key, value) in [
        ("llama.block_count", 0),
        ("llama.block_count", 513),
        ("llama.block_count", u32::MAX),
        ("llama.context_length", 0),
        ("llama.embedding_length", 0),
        ("llama.embedding_length", 1 << 31),
    ] {
        corrupt(&File::model().u32(key, value), key);
        corrupt(&File::model().without(key), "missing");
        corrupt(&File::model().text(key, "2"), "a number");
        corrupt(&File::model().key(key, 5, (-1i32).to_le_bytes().into()), "not negative");
    }
}

/// A model says how long texts can be, and not how long ours are: the context is ours to bound.
#[test]
fn the_longest_context() {
    let longest = |file: File, family: &str| file.u32(&format!("{family}.context_length"), u32::MAX);
    assert_eq!(read(&longest(File::model(), "llama").bytes()).unwrap().context, u32::MAX);
    corrupt(&longest(File::encoder(|_| 0.5), "bert"), "position_embd.weight");
    let file = longest(File::complete(|_| 0.5), "llama").bytes();
    let engine = crate::open(file.clone(), crate::Options::new().threads(1)).unwrap();
    assert_eq!(engine.spec().context_tokens, Some(crate::Options::DEFAULT_CONTEXT_TOKENS));
    for (tokens, code) in [(1 << 30, Code::OutOfMemory), (u32::MAX, Code::InvalidArgument)] {
        let options = crate::Options::new().context_tokens(tokens).memory_limit(1 << 40);
        assert_eq!(crate::open(file.clone(), options).err().unwrap().code(), code, "{tokens}");
    }
}

/// With the keys that such an architecture would have: llama.cpp knows none without a name, and says so.
#[test]
fn an_architecture_without_a_name() {
    let error = crate::open(of_family("").bytes(), crate::Options::new()).err().unwrap();
    assert_eq!(error.code(), Code::Unsupported, "{error}");
}

#[test]
fn tensors() {
    let complete = || File::complete(|_| 0.5);
    assert!(read(&complete().bytes()).is_ok() && read(&File::encoder(|_| 0.5).bytes()).is_ok());
    let with = |name: &str, dims: &[u64], kind, bytes| {
        let mut file = complete();
        let found = file.tensors_mut().iter_mut().find(|t| t.name == name.as_bytes()).unwrap();
        (found.dims, found.kind, found.bytes) = (dims.to_vec(), kind, bytes);
        file
    };
    // Listed by the reader, and of no use to a model: what has no dimensions, wherever it stands and whatever it is.
    for name in ["output_norm.weight", "blk.1.ffn_norm.weight"] {
        refused(&with(name, &[], 0, 4).bytes(), Code::Unsupported, "expected 1 to 4 dimensions, all from 1, got []");
    }
    let scalar = complete().tensor("blk.0.attn_q.scale", &[], 0, 4);
    refused(&scalar.bytes(), Code::Unsupported, "expected 1 to 4 dimensions");
    // Rows of the vocabulary, heads and feed-forward, as the metadata has them.
    corrupt(&with("token_embd.weight", &[64, 299], 0, 299 * 256), "expected the shape [300, 64]");
    corrupt(&with("token_embd.weight", &[32, 300], 0, 300 * 128), "expected the shape [300, 64]");
    corrupt(&with("blk.1.attn_q.weight", &[64, 32], 0, 8192), "expected the shape [64, 64]");
    corrupt(&with("blk.0.attn_k.weight", &[64, 64], 0, 16384), "expected the shape [32, 64]");
    corrupt(&with("blk.0.attn_v.weight", &[32, 64], 0, 8192), "expected the shape [32, 64]");
    corrupt(&with("blk.0.ffn_down.weight", &[64, 96], 0, 24576), "expected the shape [64, 96]");
    corrupt(&with("output_norm.weight", &[64, 2], 0, 512), "expected the shape [64]");
    assert!(read(&with("output_norm.weight", &[64, 1, 1], 0, 256).bytes()).is_ok());
    corrupt(&complete().tensor("blk.2.attn_norm.weight", &[64], 0, 256), "expected a layer below 2, got '2'");
    corrupt(&complete().tensor("blk.x.attn_norm.weight", &[64], 0, 256), "expected a layer below 2, got 'x'");
    corrupt(&File::encoder(|_| 0.5).u32("bert.context_length", 129), "position_embd.weight");
    corrupt(&File::encoder(|_| 0.5).u32("bert.embedding_length_out", 65), "embedding_length_out");
    // What llama.cpp computes with in f32 only, and not at all.
    let unsupported = |file: File, message: &str| refused(&file.bytes(), Code::Unsupported, message);
    unsupported(with("output_norm.weight", &[64], 1, 128), "expected F32, got F16");
    unsupported(with("blk.0.ffn_norm.weight", &[64], 8, 68), "expected F32, got Q8_0");
    unsupported(with("blk.0.attn_q.weight", &[64, 64], 26, 16384), "I32 are not computed with");
    unsupported(with("blk.0.attn_q.weight", &[64, 64], 9, 4608), "Q8_1 are not computed with");
    unsupported(with("blk.0.attn_q.weight", &[64, 64], 99, 4096), "type 99 are not computed with");
    unsupported(complete().tensor("blk.0.attn_q.bias", &[32, 2], 1, 128), "expected F32, got F16");
}

#[test]
fn heads() {
    let set = |key: &str, value| File::model().u32(&format!("llama.attention.{key}"), value);
    corrupt(&set("head_count_kv", 8), "do not divide");
    corrupt(&set("head_count_kv", 3), "do not divide");
    corrupt(&set("head_count", u32::MAX), "head_count");
    corrupt(&set("key_length", 8), "value_length");
    corrupt(&set("key_length", 0), "key_length");
    corrupt(&set("value_length", 1 << 30), "too large");
    corrupt(&File::model().u32("llama.rope.dimension_count", 8), "rope.dimension_count");
    corrupt(&File::model().u32("llama.rope.dimension_count", 15), "an even number");
    corrupt(
        &File::model().u32("llama.attention.head_count", 3).u32("llama.attention.head_count_kv", 3),
        "do not divide",
    );
    corrupt(&File::model().u32("llama.rope.dimension_count", 32), "rope.dimension_count");
    let per_layer = |family: &str, len: u64, numbers: &[i32]| {
        let bytes = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        of_family(family).array(&format!("{family}.attention.head_count_kv"), 5, len, bytes)
    };
    assert_eq!(read(&per_layer("openelm", 2, &[1, 4]).bytes()).unwrap().cache_elements, 5 * 32);
    assert_eq!(read(&per_layer("llama", 2, &[4, 4]).bytes()).unwrap().cache_elements, 8 * 32);
    // Its graph asks the first layer only; one tensor of queries, keys and values hides that the others differ.
    corrupt(&per_layer("llama", 2, &[1, 4]), "the same heads in all layers");
    corrupt(&set("head_count_kv", 0), "the same heads in all layers");
    corrupt(&per_layer("llama", 1, &[2]), "2 numbers");
    corrupt(&per_layer("llama", 2, &[2, -2]), "2 numbers");
    corrupt(&File::model().array("llama.attention.head_count", 6, 2, vec![0; 8]), "2 numbers");
    // Keys and values without queries, more than can be counted.
    let many = File::model().without("llama.attention.head_count");
    corrupt(&many.key("llama.attention.head_count_kv", 10, u64::MAX.to_le_bytes().into()), "head_count");
}

/// The model under the name of another architecture.
fn of_family(family: &str) -> File {
    let keys = [
        ("block_count", 2),
        ("context_length", 128),
        ("embedding_length", 64),
        ("feed_forward_length", 96),
        ("attention.head_count", 4),
        ("attention.head_count_kv", 2),
    ];
    let file = File::model().text("general.architecture", family);
    keys.into_iter().fold(file, |file, (key, n)| file.u32(&format!("{family}.{key}"), n))
}

#[test]
fn heads_of_layers_with_a_sliding_window() {
    let set = |family: &str, key: &str, n| of_family(family).u32(&format!("{family}.{key}_swa"), n);
    for (key, n) in [("attention.key_length", 16), ("attention.value_length", 16), ("rope.dimension_count", 16)] {
        assert!(read(&set("gemma3", key, n).bytes()).is_ok(), "{key}");
    }
    corrupt(&set("gemma3", "rope.dimension_count", 7), "an even number, got 7");
    corrupt(&set("gemma2", "rope.dimension_count", 32), "the 16 of a head, got 32");
    corrupt(&set("gemma2", "attention.key_length", 0), "at least 1");
    corrupt(&set("gemma2", "attention.key_length", 1 << 20), "too large");
    // Its graph takes those of the first layer for all.
    corrupt(&set("gemma3", "attention.key_length", 8).u32("gemma3.rope.dimension_count", 8), "of the other layers");
    corrupt(&set("llama4", "attention.value_length", 8), "the 16 of the keys, got 8");
    let wide = set("gemma4", "attention.key_length", 8).u32("gemma4.attention.value_length_swa", 8);
    assert!(read(&wide.u32("gemma4.rope.dimension_count_swa", 8).bytes()).is_ok());
}

#[test]
fn experts() {
    let set = |count, used| File::model().u32("llama.expert_count", count).u32("llama.expert_used_count", used);
    assert!(read(&set(8, 2).bytes()).is_ok());
    for (count, used) in [(8, 9), (8, 0), (1025, 2), (0, 1)] {
        corrupt(&set(count, used), "expert_count");
    }
    corrupt(&set(8, 2).u32("llama.expert_group_count", 3), "expert_group_count");
    corrupt(&set(8, 2).u32("llama.expert_group_count", 8), "expert_group_count");
    corrupt(&set(8, 2).u32("llama.expert_group_count", 4), "expert_group_count");
    assert!(
        read(&set(8, 2).u32("llama.expert_group_count", 4).u32("llama.expert_group_used_count", 2).bytes()).is_ok()
    );
    corrupt(&File::model().u32("llama.expert_group_count", 2), "expert_group_count");
    corrupt(&File::model().u32("llama.expert_group_count", 1), "expert_group_count");
    // The group must be smaller than all experts there are, and one expert is no smaller than itself.
    corrupt(&set(1, 1).u32("llama.expert_group_count", 1), "expert_group_count");
    assert!(read(&set(1, 1).bytes()).is_ok());
    assert!(read(&set(2, 1).u32("llama.expert_group_count", 1).bytes()).is_ok());
    corrupt(&File::model().u32("llama.nextn_predict_layers", 2), "nextn_predict_layers");
}

#[test]
fn what_single_architectures_assert() {
    let mixture =
        |used: u32| of_family("glm4moe").u32("glm4moe.expert_count", 4).u32("glm4moe.expert_used_count", used);
    assert!(read(&mixture(2).bytes()).is_ok());
    corrupt(&of_family("glm4moe"), "expert_used_count");
    let per_layer = |numbers: [u32; 2]| {
        let numbers = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        mixture(2).array("glm4moe.expert_used_count", 4, 2, numbers)
    };
    assert!(read(&per_layer([2, 0]).bytes()).is_ok());
    corrupt(&per_layer([0, 2]), "at least 1 in the first layer");
    corrupt(&of_family("jamba"), "ssm.inner_size");
    corrupt(&of_family("jamba").u32("jamba.ssm.inner_size", 64), "expected 128, got 64");
    assert!(read(&of_family("jamba").u32("jamba.ssm.inner_size", 128).bytes()).is_ok());
    let dense = |n| of_family("gemma-embedding").u32("gemma-embedding.dense_2_feat_in", n);
    assert!(read(&dense(0).bytes()).is_ok() && read(&dense(64).bytes()).is_ok());
    corrupt(&dense(65), "expected 64, got 65");
}

#[test]
fn rope_and_norms() {
    for base in [f32::NAN, 0.0, -1.0, f32::INFINITY] {
        corrupt(&File::model().f32("llama.rope.freq_base", base), "rope.freq_base");
    }
    for epsilon in [f32::NAN, -1.0] {
        corrupt(&File::model().f32("llama.attention.layer_norm_rms_epsilon", epsilon), "epsilon");
    }
    corrupt(&File::model().text("llama.rope.scaling.type", "magic"), "rope.scaling.type");
    corrupt(&File::model().u32("llama.pooling_type", 9), "pooling_type");
}

#[test]
fn arrays_of_the_vocabulary() {
    let key = |name: &str| format!("tokenizer.ggml.{name}");
    // Arrays of bytes read as numbers of four bytes were an out-of-bounds read once.
    corrupt(&File::model().array(&key("scores"), 1, 300, vec![0; 300]), "scores");
    corrupt(&File::model().array(&key("token_type"), 1, 300, vec![0; 300]), "token_type");
    corrupt(&File::model().array(&key("scores"), 6, 299, vec![0; 1196]), "of 300 elements");
    corrupt(&File::model().array(&key("token_type"), 5, 301, vec![0; 1204]), "of 300 elements");
    corrupt(&File::model().array(&key("suppress_tokens"), 4, 1, vec![0; 4]), "suppress_tokens");
    corrupt(&File::model().array(&key("tokens"), 4, 300, vec![0; 1200]), "tokens");
    corrupt(&File::model().array(&key("tokens"), 8, 0, vec![]), "1 to 4194304 tokens");
    corrupt(&File::model().text(&key("tokens"), "a"), "an array");
    corrupt(&File::model().without(&key("tokens")), "missing");
    corrupt(&File::model().without(&key("model")), "missing");
    for model in ["plamo2", "no_vocab", "test", "t5"] {
        refused(&File::model().text(&key("model"), model).bytes(), Code::Unsupported, "tokenizer");
    }
}

#[test]
fn texts_of_tokens() {
    let enough = |first: &[&'static [u8]]| {
        let mut all: Vec<&[u8]> = first.to_vec();
        all.extend([&b"x"[..], b"y", b"z"]);
        tokens(&all)
    };
    assert!(read(&enough(&[b"a"]).bytes()).is_ok());
    corrupt(&enough(&[b"a", b"a"]), "'a' is there twice");
    // llama.cpp reads up to the NUL, and gives empty ones a name.
    corrupt(&enough(&[b"a", b"a\0b"]), "is there twice");
    corrupt(&enough(&[b"", b"[EMPTY_0]"]), "is there twice");
    assert!(read(&enough(&[b"", b"\0"]).bytes()).is_ok());
    let long = vec![b'l'; 1025];
    corrupt(&tokens(&[b"a", b"b", &long]), "at most 1024 bytes");
}

#[test]
fn byte_tokens() {
    for wrong in [&b"<0x-1>"[..], b"<0xZZ>", b"<0x1>", b"a", b""] {
        let types = [6i32, 1, 1].iter().flat_map(|t| t.to_le_bytes()).collect();
        let file = tokens(&[wrong, b"b", b"c"]).array("tokenizer.ggml.token_type", 5, 3, types);
        corrupt(&file, "expected a byte");
    }
    let negative = (-1i32).to_le_bytes().repeat(300);
    corrupt(&File::model().array("tokenizer.ggml.token_type", 5, 300, negative), "a type from 0 to 6");
    let bytes = File::encoder(|_| 0.0).array("tokenizer.ggml.token_type", 5, 300, 6i32.to_le_bytes().repeat(300));
    corrupt(&bytes, "has no bytes");
    let unknown = 255i32.to_le_bytes().repeat(300);
    corrupt(&File::model().array("tokenizer.ggml.token_type", 5, 300, unknown), "a type from 0 to 6");
    // A vocabulary that falls back to bytes must have them all: otherwise a text can end the process.
    let some: Vec<Vec<u8>> = (0..300).map(|i| format!("t{i}").into_bytes()).collect();
    let elements = some.iter().flat_map(|t| string(t)).collect();
    let file = File::model().array("tokenizer.ggml.tokens", 8, 300, elements).array(
        "tokenizer.ggml.token_type",
        5,
        300,
        1i32.to_le_bytes().repeat(300),
    );
    refused(&file.bytes(), Code::Unsupported, "'<0x00>' is missing");
}

#[test]
fn merges() {
    let with = |merge: &[u8]| tokens(&[b"a", b"b"]).array("tokenizer.ggml.merges", 8, 1, string(merge));
    assert!(read(&with(b"a b").bytes()).is_ok());
    for wrong in [&b"ab"[..], b"", b" ab"] {
        corrupt(&with(wrong), "pairs");
    }
    corrupt(&tokens(&[b"a", b"b"]).without("tokenizer.ggml.merges"), "missing");
}

#[test]
fn special_tokens() {
    for name in ["bos", "eos", "padding", "unknown", "eot", "fim_pre"] {
        let key = format!("tokenizer.ggml.{name}_token_id");
        for id in [300, u32::MAX] {
            corrupt(&File::model().u32(&key, id), "expected a token below 300");
        }
        corrupt(&File::model().key(&key, 5, (-1i32).to_le_bytes().into()), "expected a token below 300");
        corrupt(&File::model().key(&key, 10, 1u64.to_le_bytes().into()), "as u32");
    }
    // Too few tokens for the default that llama.cpp takes, and asserts.
    let few = tokens(&[b"a", b"b"]);
    corrupt(&few.clone().without("tokenizer.ggml.bos_token_id"), "no token 'bos'");
    // No default at all, however many tokens there are; needed only if texts begin with it.
    let letters: Vec<Vec<u8>> = (b'a'..=b'z').map(|letter| vec![letter]).collect();
    let many =
        tokens(&letters.iter().map(|letter| &**letter).collect::<Vec<_>>()).without("tokenizer.ggml.bos_token_id");
    assert!(read(&many.clone().key("tokenizer.ggml.add_bos_token", 7, vec![1]).bytes()).is_ok());
    for pre in ["glm4", "glm5", "chatglm-bpe", "glm4\0"] {
        let many = many.clone().text("tokenizer.ggml.pre", pre);
        assert!(read(&many.bytes()).is_ok(), "{pre:?}");
        assert!(read(&many.clone().key("tokenizer.ggml.add_bos_token", 7, vec![0]).bytes()).is_ok(), "{pre:?}");
        corrupt(&many.key("tokenizer.ggml.add_bos_token", 7, vec![1]), "no token 'bos'");
    }
    corrupt(&few.clone().text("tokenizer.ggml.model", "bert"), "no token 'seperator'");
    corrupt(&few.text("tokenizer.ggml.model", "gemma4").without("tokenizer.ggml.eos_token_id"), "no token 'eos'");
}
