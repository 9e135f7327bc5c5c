//! Real language models through the C ABI: calls, scores, ranks, prefixes, adapters, with SmolLM2-135M where it is there, and
//! with tiny models of random weights.

use std::path::Path;

use super::craft::{File, Tensor, string};
use super::talking::{json_of, told, tool};
use super::tensors::{bytes, output};
use super::tiny::{self, noise};
use super::*;

const PROMPT: &str = "The capital of France is";
const WEATHER: &str =
    r#"{"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}}, "required": ["city"]}"#;

fn open(path: &Path, options: &selvedge_options) -> *mut selvedge_engine {
    open_source(&by_path(path.to_str().unwrap()), Some(options)).unwrap()
}

fn smollm(options: &selvedge_options) -> Option<*mut selvedge_engine> {
    corpus::path("smollm2/SmolLM2-135M-Instruct.Q4_1.gguf").map(|path| open(&path, options))
}

fn small() -> selvedge_options {
    init!(selvedge_options { context_tokens: 1024, parallel: 1, threads: 1, prompt_threads: 2 })
}

/// Kind, place, texts and tokens of an event.
type Told = (i32, u64, [String; 4], Vec<u32>);

/// The JSON of a whole generation, and its events.
fn generate(engine: *mut selvedge_engine, request: &selvedge_generate) -> (Vec<Told>, serde_json::Value) {
    let mut run = ptr::null_mut();
    // SAFETY: the request lives during the call.
    call(|err| unsafe { selvedge_engine_generate(engine, request, ptr::null(), &raw mut run, err) }).unwrap();
    told(run)
}

fn of_tokens(tokens: &[u32]) -> selvedge_generate {
    init!(selvedge_generate { tokens: tokens.as_ptr(), token_count: tokens.len(), max_tokens: 8 })
}

#[test]
fn a_tool_by_name_is_called_and_its_result_goes_back() {
    let Some(engine) = smollm(&small()) else { return };
    let message = |role, content| init!(selvedge_message { role: text(role), content: text(content) });
    let (tools, question) =
        ([tool("weather", WEATHER), tool("clock", "{}")], message("user", "Will it rain in Bergen?"));
    let asked = init!(selvedge_generate {
        messages: &raw const question,
        message_count: 1,
        max_tokens: 100,
        tools: tools.as_ptr(),
        tool_count: 2,
        tool_name: text("weather"),
        tool_choice: SELVEDGE_TOOL_CHOICE_NAMED,
    });
    let (events, answer) = generate(engine, &asked);
    assert_eq!((&answer["finish"], &answer["text"]), (&"end_of_text".into(), &"".into()), "{answer}");
    let calls: Vec<_> = events.iter().filter(|event| event.0 == SELVEDGE_EVENT_TOOL_CALL).collect();
    let [(_, _, [arguments, name, id, _], _)] = &calls[..] else { panic!("{events:?}") };
    let city: serde_json::Value = serde_json::from_str(arguments).unwrap();
    assert!(name == "weather" && city["city"].is_string(), "{calls:?}");
    assert_eq!(answer["tool_calls"], serde_json::json!([{ "id": id, "name": name, "arguments": arguments }]));
    let tokens: Vec<u32> = events.iter().flat_map(|event| event.3.clone()).collect();
    assert_eq!(answer["tokens"], serde_json::json!(tokens));

    let made = [init!(selvedge_tool_call { id: text(id), name: text(name), arguments: text(arguments) })];
    let chat = [
        question,
        selvedge_message { tool_calls: made.as_ptr(), tool_call_count: 1, ..message("assistant", "") },
        selvedge_message { tool_call_id: text(id), ..message("tool", "It will rain for three days.") },
    ];
    let then = selvedge_generate {
        messages: chat.as_ptr(),
        message_count: 3,
        tool_name: text(""),
        tool_choice: SELVEDGE_TOOL_CHOICE_NONE,
        max_tokens: 8,
        ..asked
    };
    let (_, second) = generate(engine, &then);
    assert!(second["tool_calls"] == serde_json::json!([]) && second["text"] != "", "{second}");

    // What the template has no place for is refused, by name.
    let mut run = ptr::null_mut();
    let thinks = selvedge_generate { thinking: SELVEDGE_THINKING_ON, ..then };
    // SAFETY: the request lives during the call.
    let said = refused(Code::Unsupported, |err| unsafe {
        selvedge_engine_generate(engine, &thinks, ptr::null(), &raw mut run, err)
    });
    assert!(said.contains("thinking"), "{said}");
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

#[test]
fn biases_likeliest_tokens_and_the_last_message() {
    let Some(engine) = smollm(&small()) else { return };
    let request = init!(selvedge_generate {
        prompt: text(PROMPT),
        max_tokens: 4,
        flags: SELVEDGE_GENERATE_LOGPROBS,
        top_logprobs: 3,
    });
    let (_, plain) = generate(engine, &request);
    let first = u32::try_from(plain["tokens"][0].as_u64().unwrap()).unwrap();
    assert_eq!(plain["top_logprobs"].as_array().unwrap().len(), 4);
    let top = &plain["top_logprobs"][0];
    assert_eq!((top.as_array().unwrap().len(), &top[0]["id"]), (3, &first.into()));
    assert_eq!((&top[0]["logprob"], &top[0]["id"]), (&plain["logprobs"][0], &plain["tokens"][0]));
    let biases = [selvedge_bias { token: first, bias: f32::NEG_INFINITY }];
    let (_, banned) = generate(engine, &selvedge_generate { biases: biases.as_ptr(), bias_count: 1, ..request });
    assert!(!banned["tokens"].as_array().unwrap().contains(&first.into()), "{banned}");

    let chat = [("user", "Name the capital of France."), ("assistant", PROMPT)]
        .map(|(role, content)| init!(selvedge_message { role: text(role), content: text(content) }));
    let goes_on = init!(selvedge_generate {
        messages: chat.as_ptr(),
        message_count: 2,
        max_tokens: 4,
        flags: SELVEDGE_GENERATE_CONTINUE_LAST,
    });
    let (_, answer) = generate(engine, &goes_on);
    assert!(answer["text"].as_str().unwrap().contains("Paris"), "{answer}");
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

#[test]
fn continuations_are_scored() {
    let Some(engine) = smollm(&small()) else { return };
    let words = [text(" London"), text(" Paris"), text(" a city of light")];
    let request = init!(selvedge_score { prompt: text(PROMPT), continuations: words.as_ptr(), continuation_count: 3 });
    let mut answer = ptr::null_mut();
    // SAFETY: the request lives during the call.
    call(|err| unsafe { selvedge_engine_score(engine, &request, ptr::null(), &raw mut answer, err) }).unwrap();
    let told = json_of(answer);
    let named = serde_json::json!([
        { "name": "logprob", "dtype": "f32", "shape": [3] },
        { "name": "tokens", "dtype": "i64", "shape": [3] },
        { "name": "greedy", "dtype": "bool", "shape": [3] },
    ]);
    assert_eq!((&told["outputs"], &told["finish"]), (&named, &"complete".into()));
    let logprobs = floats_of(answer, 0);
    assert!(logprobs[1] > logprobs[0] && logprobs.iter().all(|p| *p < 0.0), "{logprobs:?}");
    let tokens: Vec<i64> =
        bytes(&output(answer, 1)).chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap())).collect();
    assert_eq!((tokens, bytes(&output(answer, 2)).to_vec()), (vec![1, 1, 4], vec![0, 1, 0]));
    assert_eq!(selvedge_answer_free(answer), SELVEDGE_OK);
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

fn floats_of(answer: *const selvedge_answer, index: usize) -> Vec<f32> {
    let bytes = bytes(&output(answer.cast_mut(), index));
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

/// An encoder with a head, whose vocabulary is `token0` to `token299`.
fn reranker() -> File {
    let tokens = (0..300).flat_map(|i| string(format!("\u{2581}token{i}").as_bytes())).collect();
    let mut file = File::reranker(|_| 0.0).array("tokenizer.ggml.tokens", 8, 300, tokens);
    for (i, tensor) in file.tensors_mut().iter_mut().enumerate() {
        let norm = tensor.name.ends_with(b"norm.weight");
        let number = noise(900 + i);
        let number = |j| if norm { 1.0 + number(j) } else { number(j) };
        tensor.fill = (0..tensor.bytes / 4).flat_map(|j| number(j).to_le_bytes()).collect();
    }
    file
}

#[test]
fn documents_are_ranked() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(&tiny::write(&reranker(), folder.path(), "rerank.gguf"), &init!(selvedge_options {}));
    let documents = [text("token3"), text("token5 token9"), text(""), text("token21 token7")];
    let request =
        init!(selvedge_rerank { query: text("token7 token21"), documents: documents.as_ptr(), document_count: 4 });
    let mut answer = ptr::null_mut();
    // SAFETY: the request lives during the call.
    call(|err| unsafe { selvedge_engine_rerank(engine, &request, ptr::null(), &raw mut answer, err) }).unwrap();
    let at = |name: &str| {
        let outputs = json_of(answer)["outputs"].clone();
        outputs.as_array().unwrap().iter().position(|output| output["name"] == name).expect("an output of the name")
    };
    let scores = floats_of(answer, at("score"));
    let order: Vec<i64> = bytes(&output(answer, at("order")))
        .chunks_exact(8)
        .map(|b| i64::from_le_bytes(b.try_into().unwrap()))
        .collect();
    let mut expected: Vec<i64> = (0..4).collect();
    expected.sort_by(|a, b| scores[*b as usize].total_cmp(&scores[*a as usize]));
    assert_eq!((scores.len(), order), (4, expected), "{scores:?}");
    assert_eq!(selvedge_answer_free(answer), SELVEDGE_OK);
    // It ranks, and does nothing else.
    let mut run = ptr::null_mut();
    let prompt = init!(selvedge_generate { prompt: text("token3") });
    // SAFETY: the request lives during the call.
    refused(Code::Unsupported, |err| unsafe {
        selvedge_engine_generate(engine, &prompt, ptr::null(), &raw mut run, err)
    });
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

#[test]
fn prefixes_come_back_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("prefixes");
    let kept = kept.to_str().unwrap();
    let path = tiny::write(&tiny::llama(1024), folder.path(), "llama.gguf");
    let prompt = tiny::tokens(200, 1);
    let options = init!(selvedge_options { context_tokens: 512, parallel: 1 });
    let engine = open(&path, &options);
    let (_, cold) = generate(engine, &of_tokens(&prompt));
    let (mut saved, mut restored) = (init!(selvedge_prefixes {}), init!(selvedge_prefixes {}));
    // SAFETY: the path lives during the calls, and the structs may be written.
    call(|err| unsafe { selvedge_engine_save_prefixes(engine, kept.as_ptr().cast(), kept.len(), &raw mut saved, err) })
        .unwrap();
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
    assert_eq!((saved.prefixes, saved.bytes), (1, std::fs::metadata(kept).unwrap().len()));
    assert!(saved.tokens >= 200, "{saved:?}");

    let engine = open(&path, &options);
    let mut restore = |at: &str| {
        // SAFETY: as above.
        call(|err| unsafe {
            selvedge_engine_restore_prefixes(engine, at.as_ptr().cast(), at.len(), &raw mut restored, err)
        })
        .map(|()| (restored.prefixes, restored.tokens, restored.bytes))
    };
    assert_eq!(restore(kept), Ok((saved.prefixes, saved.tokens, saved.bytes)));
    assert_eq!(restore("no/such/file").unwrap_err().0, Code::NotFound as i32);
    assert_eq!(restore(path.to_str().unwrap()).unwrap_err().0, Code::Corrupt as i32);
    let (_, warm) = generate(engine, &of_tokens(&prompt));
    assert_eq!(warm["tokens"], cold["tokens"]);
    assert_eq!((&cold["usage"]["cached_tokens"], &warm["usage"]["cached_tokens"]), (&0.into(), &192.into()));
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

/// An adapter that changes one matrix, and of a norm, which is passed over.
fn adapter() -> File {
    let tensor = |name: &str, dims: [u64; 2], seed| {
        let number = noise(seed);
        let fill: Vec<u8> = (0..(dims[0] * dims[1]) as usize).flat_map(|i| (number(i) * 2.0).to_le_bytes()).collect();
        Tensor { name: name.into(), dims: dims.into(), kind: 0, offset: None, bytes: fill.len(), fill }
    };
    let norm = Tensor {
        name: b"blk.0.attn_norm.weight".into(),
        dims: vec![64],
        kind: 0,
        offset: None,
        bytes: 256,
        fill: vec![0; 256],
    };
    File::new()
        .text("general.architecture", "llama")
        .text("general.type", "adapter")
        .text("adapter.type", "lora")
        .f32("adapter.lora.alpha", 8.0)
        .any_tensor(tensor("blk.0.attn_q.weight.lora_a", [64, 4], 1))
        .any_tensor(tensor("blk.0.attn_q.weight.lora_b", [4, 64], 2))
        .any_tensor(tensor("blk.0.ffn_up.weight.lora_a", [64, 4], 3))
        .any_tensor(tensor("blk.0.ffn_up.weight.lora_b", [4, 96], 4))
        .any_tensor(norm)
}

#[test]
fn an_adapter_changes_the_answers_that_ask_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = tiny::write(&tiny::llama(512), folder.path(), "llama.gguf");
    let lora = tiny::write(&adapter(), folder.path(), "formal.gguf");
    let pairs = [selvedge_pair { name: text("formal"), value: text(lora.to_str().unwrap()) }];
    let options = init!(selvedge_options { context_tokens: 512, adapters: pairs.as_ptr(), adapter_count: 1 });
    let engine = open(&path, &options);
    let prompt = tiny::tokens(50, 1);
    let request = selvedge_generate { flags: SELVEDGE_GENERATE_LOGPROBS, ..of_tokens(&prompt) };
    let (_, plain) = generate(engine, &request);
    assert_eq!(plain["adapters"], serde_json::json!([]));
    let with = |name: &str, scale| {
        let adapters = [init!(selvedge_adapter { name: text(name), scale: scale })];
        let request = selvedge_generate { adapters: adapters.as_ptr(), adapter_count: 1, ..request };
        let mut run = ptr::null_mut();
        // SAFETY: the request lives during the call.
        call(|err| unsafe { selvedge_engine_generate(engine, &request, ptr::null(), &raw mut run, err) })
            .map(|()| told(run).1)
    };
    let whole = with("formal", 1.0).unwrap();
    let applied = serde_json::json!([{ "name": "formal", "scale": 1.0, "applied": 2, "total": 3 }]);
    assert_eq!(whole["adapters"], applied);
    assert_ne!(whole["logprobs"], plain["logprobs"]);
    assert_ne!(with("formal", 0.5).unwrap()["logprobs"], whole["logprobs"]);
    let (code, said) = with("rhymes", 1.0).unwrap_err();
    assert!(code == Code::InvalidArgument as i32 && said.contains("'rhymes'"), "{code} {said}");
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}
