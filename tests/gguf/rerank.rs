//! Reranking, on models of random weights: an encoder with a head, and a decoder that is asked in the words of its file.

use selvedge::{Answer, Ask, Call, Code, Embed, Finish, Options, Prompt, Rerank, Score, Tensor, open};

use crate::code;
use crate::craft::{File, string};
use crate::tiny::noise;

/// A vocabulary of words, as WordPiece has them: `token0` to `token299`.
fn words(file: File) -> File {
    let tokens = (0..300).flat_map(|i| string(format!("\u{2581}token{i}").as_bytes())).collect();
    file.array("tokenizer.ggml.tokens", 8, 300, tokens)
}

/// The same with other numbers in each tensor; norms near 1.
fn seeded(mut file: File) -> File {
    for (i, tensor) in file.tensors_mut().iter_mut().enumerate() {
        let norm = tensor.name.ends_with(b"norm.weight");
        let number = noise(900 + i);
        let number = |j| if norm { 1.0 + number(j) } else { number(j) };
        tensor.fill = (0..tensor.bytes / 4).flat_map(|j| number(j).to_le_bytes()).collect();
    }
    file
}

fn encoder() -> File {
    seeded(words(File::reranker(|_| 0.0)))
}

/// The numbers of a tensor of the file.
fn tensor(file: &File, name: &str) -> Vec<f64> {
    let tensor = file.tensors().iter().find(|tensor| tensor.name == name.as_bytes()).unwrap();
    tensor.fill.chunks_exact(4).map(|four| f64::from(f32::from_le_bytes(four.try_into().unwrap()))).collect()
}

fn row(matrix: &[f64], i: usize, by: &[f64]) -> f64 {
    matrix[i * by.len()..][..by.len()].iter().zip(by).map(|(a, b)| a * b).sum()
}

fn scores(answer: &Answer) -> Vec<f32> {
    answer.output(Rerank::SCORE).unwrap().as_slice::<f32>().unwrap().to_vec()
}

fn order(answer: &Answer) -> Vec<i64> {
    answer.output(Rerank::ORDER).unwrap().as_slice::<i64>().unwrap().to_vec()
}

/// The order by the scores themselves.
fn sorted(scores: &[f32]) -> Vec<i64> {
    let mut order: Vec<i64> = (0..scores.len() as i64).collect();
    order.sort_by(|&a, &b| scores[b as usize].total_cmp(&scores[a as usize]));
    order
}

const QUERY: &str = "token7 token21";
const DOCUMENTS: [&str; 4] = ["token3", "token5 token9 token11 token3", "", "token21 token7"];

/// The head by hand, upon what the same encoder gives as the vector of the first token. That is asked for with the pair as one
/// text, in which the separator, number 258, stands as a word.
#[test]
fn a_score_is_what_the_head_makes_of_the_pair() {
    let file = encoder();
    let vectors = open(file.clone().u32("bert.pooling_type", 2).bytes(), Options::new()).unwrap();
    let texts = DOCUMENTS.map(|document| format!("{QUERY} token258 {document}"));
    let vectors: Tensor =
        vectors.run(Embed::new(texts).normalize(false)).unwrap().output(Embed::OUTPUT).unwrap().clone();
    let [dense, bias, out, out_bias] =
        ["cls.weight", "cls.bias", "cls.output.weight", "cls.output.bias"].map(|name| tensor(&file, name));
    let expected = vectors.as_slice::<f32>().unwrap().chunks_exact(64).map(|vector| {
        let vector: Vec<f64> = vector.iter().map(|x| f64::from(*x)).collect();
        let hidden: Vec<f64> = (0..64).map(|i| (row(&dense, i, &vector) + bias[i]).tanh()).collect();
        row(&out, 0, &hidden) + out_bias[0]
    });

    let engine = open(file.bytes(), Options::new()).unwrap();
    let able = engine.spec().abilities;
    assert!(able.rerank && !able.embed && !able.generate);
    let answer = engine.run(Rerank::new(QUERY, DOCUMENTS)).unwrap();
    let all = scores(&answer);
    for (i, expected) in expected.enumerate() {
        assert!((f64::from(all[i]) - expected).abs() < 1e-4, "document {i}: {}, by hand {expected}", all[i]);
    }
    assert!(all.iter().all(|a| all.iter().filter(|b| (*a - *b).abs() < 5e-3).count() == 1), "too alike: {all:?}");
    assert_eq!(order(&answer), sorted(&all));
    // Begin, two ends, and the words.
    assert_eq!((answer.finish, answer.usage.input_tokens), (Finish::Complete, 4 * (3 + 2) + 1 + 4 + 2));
}

#[test]
fn a_score_is_of_its_pair_alone() {
    let engine = open(encoder().bytes(), Options::new()).unwrap();
    let all = scores(&engine.run(Rerank::new(QUERY, DOCUMENTS)).unwrap());
    for (i, document) in DOCUMENTS.iter().enumerate() {
        let alone = scores(&engine.run(Rerank::new(QUERY, [*document])).unwrap());
        assert!((alone[0] - all[i]).abs() < 1e-5, "{document}: {} alone, {} with others", alone[0], all[i]);
    }
    // The two do not change places unseen, and the same request is the same to the bit.
    let turned = scores(&engine.run(Rerank::new(DOCUMENTS[1], [QUERY])).unwrap());
    assert!((turned[0] - all[1]).abs() > 1e-3, "{turned:?}, {all:?}");
    assert_eq!(scores(&engine.run(Rerank::new(QUERY, DOCUMENTS)).unwrap()), all);
    // More than are computed at once, equals among them.
    let many: Vec<&str> = (0..70).map(|i| DOCUMENTS[i % 4]).collect();
    let answer = engine.run(Rerank::new(QUERY, many)).unwrap();
    let (many, order) = (scores(&answer), order(&answer));
    // Kernels round by the number of tokens beside.
    for (i, score) in many.iter().enumerate() {
        assert!((score - all[i % 4]).abs() < 1e-3, "document {i}: {score} with others, {} before", all[i % 4]);
    }
    let in_order = |two: &[i64]| {
        let (a, b) = (many[two[0] as usize], many[two[1] as usize]);
        a > b || a == b && two[0] < two[1]
    };
    assert!(order.len() == 70 && order.windows(2).all(in_order), "{order:?}");
}

const TEMPLATE: &str = "Q: {query}\nD: {document}\nA:";

/// A decoder whose head has the rows of `a` and `b` in the vocabulary: as likely as it finds these, so likely are yes and no.
fn decoder() -> File {
    let mut file = crate::tiny::llama(256).text("general.architecture", "qwen3");
    let sizes = [("block_count", 2), ("context_length", 256), ("embedding_length", 64), ("feed_forward_length", 96)];
    for (name, value) in sizes.into_iter().chain([("attention.head_count", 4), ("attention.head_count_kv", 2)]) {
        file = file.u32(&format!("qwen3.{name}"), value);
    }
    let rows = tensor(&file, "token_embd.weight");
    let [yes, no] = [b'a', b'b'].map(|byte| &rows[usize::from(byte) * 64..][..64]);
    let head: Vec<f32> = yes.iter().chain(no).map(|x| *x as f32).collect();
    let ones = vec![1.0; 16];
    file = with(file, "cls.output.weight", &[64, 2], &head);
    for layer in 0..2 {
        file = with(file, &format!("blk.{layer}.attn_q_norm.weight"), &[16], &ones);
        file = with(file, &format!("blk.{layer}.attn_k_norm.weight"), &[16], &ones);
    }
    file.f32("qwen3.attention.layer_norm_rms_epsilon", 1e-5)
        .u32("qwen3.pooling_type", 4)
        .array("qwen3.classifier.output_labels", 8, 2, [string(b"yes"), string(b"no")].concat())
        .text("tokenizer.chat_template.rerank", TEMPLATE)
        .key("tokenizer.ggml.add_space_prefix", 7, vec![0])
}

fn with(file: File, name: &str, dims: &[u64], numbers: &[f32]) -> File {
    let fill: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
    let (name, dims, bytes) = (name.into(), dims.to_vec(), fill.len());
    file.any_tensor(crate::craft::Tensor { name, dims, kind: 0, offset: None, fill, bytes })
}

/// The oracle is the same model as it generates: of the tokens that the head has the rows of, how likely is the first?
#[test]
fn a_model_with_a_template_is_asked_in_its_words() {
    let engine = open(decoder().bytes(), Options::new()).unwrap();
    assert!(engine.spec().abilities.rerank);
    let documents = ["pandas eat bamboo", "Paris is in France", "{query}", "x"];
    let answer = engine.run(Rerank::new("what do pandas eat?", documents)).unwrap();
    let all = scores(&answer);
    for (document, score) in documents.iter().zip(&all) {
        let prompt = format!("Q: what do pandas eat?\nD: {document}\nA:");
        let likely = engine.run(Score::new(Prompt::Text(prompt), ["a", "b"])).unwrap();
        let likely = likely.output(Score::LOGPROB).unwrap().as_slice::<f32>().unwrap().to_vec();
        let expected = 1.0 / (1.0 + (likely[1] - likely[0]).exp());
        assert!((score - expected).abs() < 2e-3, "{document}: {score}, by its tokens {expected}");
    }
    assert_eq!(order(&answer), sorted(&all));
    assert!(all.iter().fold(0.0f32, |most, x| most.max((x - all[0]).abs())) > 0.02, "too alike: {all:?}");
}

#[test]
fn what_cannot_rank_says_what_it_lacks() {
    let lacks = |file: &File, what: &str| {
        let engine = open(file.bytes(), Options::new()).unwrap();
        assert!(!engine.spec().abilities.rerank, "{what}");
        let error = engine.run(Rerank::new("a", ["b"])).unwrap_err();
        assert_eq!(error.code(), Code::Unsupported, "{error}");
        assert!(error.message().contains(what), "expected '{what}' in: {error}");
    };
    lacks(&encoder().u32("bert.pooling_type", 1), "'bert.pooling_type' to name a rank (4)");
    lacks(&seeded(words(File::encoder(|_| 0.0))).u32("bert.pooling_type", 4), "'cls.output.weight'");
    let labels = [string(b"a"), string(b"b")].concat();
    let two = encoder().array("bert.classifier.output_labels", 8, 2, labels);
    // llama.cpp takes none whose head has another number of rows.
    assert_eq!(code(open(two.bytes(), Options::new())), Code::Corrupt);
    let mut two = two;
    for tensor in two.tensors_mut().iter_mut().filter(|tensor| tensor.name.starts_with(b"cls.output")) {
        (*tensor.dims.last_mut().unwrap(), tensor.bytes) = (2, tensor.bytes * 2);
    }
    lacks(&two, "expected one at most, got [\"a\", \"b\"]");
    let mut types = encoder().u32("tokenizer.ggml.token_type_count", 2);
    let found = types.tensors_mut().iter_mut().find(|tensor| tensor.name == b"token_types.weight").unwrap();
    (found.dims, found.bytes) = (vec![64, 2], 512);
    lacks(&types, "expected one type for both texts, got 2");
    lacks(&decoder().without("tokenizer.chat_template.rerank"), "'tokenizer.chat_template.rerank'");
    lacks(&decoder().text("tokenizer.chat_template.rerank", "{query}"), "a text with {query} and {document}");
    let labels = [string(b"no"), string(b"yes")].concat();
    lacks(&decoder().array("qwen3.classifier.output_labels", 8, 2, labels), "expected 'yes' and 'no'");
}

#[test]
fn what_is_asked_wrongly_is_refused() {
    let engine = open(encoder().bytes(), Options::new()).unwrap();
    let start = |query: &str, documents: &[&str]| {
        code(engine.start(Rerank::new(query, documents.iter().copied()).into(), Call::new()))
    };
    assert_eq!(start("", &["token1"]), Code::InvalidArgument);
    assert_eq!(start("token1", &[]), Code::InvalidArgument);
    // 128 tokens are the context: begin, two ends and a word of the query, and 124 words of the document.
    let long = |words: usize| "token2 ".repeat(words);
    assert!(engine.run(Rerank::new("token1", [long(124)])).is_ok());
    assert_eq!(start("token1", &["token3", &long(125)]), Code::ContextFull);
    let error = engine.start(Rerank::new("token1", ["token3", &long(125)]).into(), Call::new()).err().unwrap();
    assert!(error.message().contains("query and document 1: expected at most 128 tokens"), "{error}");
    assert_eq!(code(engine.run(Embed::new(["token1"]))), Code::Unsupported);
    let vectors = open(encoder().u32("bert.pooling_type", 1).bytes(), Options::new()).unwrap();
    let embedded = vectors.run(Embed::new(["token1"])).unwrap();
    assert_eq!(code(embedded.output(Rerank::SCORE)), Code::NotFound);
}
