//! Tokens: texts to tokens and back, prompts of tokens, conversations as the model reads them; memory that is given back.

use selvedge::fake::Fake;
use selvedge::{DType, Engine};

use super::buffers::taken;
use super::engines::Spells;
use super::*;

type Made = Result<Vec<u8>, (i32, String)>;

fn tokenize(engine: *mut selvedge_engine, request: &selvedge_generate) -> Result<Vec<u32>, (i32, String)> {
    let mut out = ptr::without_provenance_mut(0x5eed);
    // SAFETY: the request lives during the call.
    let result = call(|err| unsafe { selvedge_engine_tokenize(engine, request, &raw mut out, err) });
    assert_eq!(result.is_err(), out.is_null());
    let ids = |bytes: Vec<u8>| bytes.chunks_exact(4).map(|id| u32::from_ne_bytes(id.try_into().unwrap())).collect();
    result.map(|()| ids(taken(out)))
}

fn detokenize(engine: *mut selvedge_engine, tokens: &[u32]) -> Made {
    let mut out = ptr::null_mut();
    let (at, count) = (tokens.as_ptr(), tokens.len());
    // SAFETY: the tokens live during the call.
    call(|err| unsafe { selvedge_engine_detokenize(engine, at, count, &raw mut out, err) }).map(|()| taken(out))
}

fn render(engine: *mut selvedge_engine, request: &selvedge_generate) -> Made {
    let mut out = ptr::null_mut();
    // SAFETY: the request lives during the call.
    call(|err| unsafe { selvedge_engine_render(engine, request, &raw mut out, err) }).map(|()| taken(out))
}

fn trim(engine: *mut selvedge_engine, level: i32) -> Result<u64, (i32, String)> {
    let mut freed = 7;
    // SAFETY: `freed` may be written.
    let result = call(|err| unsafe { selvedge_engine_trim(engine, level, &raw mut freed, err) });
    assert!(result.is_ok() || freed == 0, "a failed call zeroes what it would have written");
    result.map(|()| freed)
}

fn of_text(prompt: &str) -> selvedge_generate {
    init!(selvedge_generate { prompt: text(prompt) })
}

fn of_tokens(tokens: &[u32]) -> selvedge_generate {
    init!(selvedge_generate { tokens: tokens.as_ptr(), token_count: tokens.len() })
}

/// The text and the number of prompt tokens of a whole generation.
fn generate(engine: *mut selvedge_engine, request: &selvedge_generate) -> (String, u64) {
    let (mut run, mut said) = (ptr::null_mut(), String::new());
    // SAFETY: the request lives during the call, and the text until the next event.
    unsafe {
        call(|err| selvedge_engine_generate(engine, request, ptr::null(), &raw mut run, err)).unwrap();
        loop {
            let mut event = init!(selvedge_event {});
            call(|err| selvedge_run_next(run, &raw mut event, err)).unwrap();
            if event.kind == SELVEDGE_EVENT_DONE {
                assert_eq!(selvedge_run_free(run), SELVEDGE_OK);
                return (said, event.input_tokens);
            }
            if event.kind == SELVEDGE_EVENT_TEXT {
                said += CStr::from_ptr(event.text).to_str().unwrap();
            }
        }
    }
}

#[test]
fn a_prompt_of_any_kind_has_tokens_and_they_have_a_text() {
    let engine = handle(Arc::new(Spells::new()));
    let ids: Vec<u32> = "h\u{fc}t".bytes().map(u32::from).collect();
    assert_eq!(tokenize(engine, &of_text("h\u{fc}t")).unwrap(), ids);
    assert!(tokenize(engine, &of_text("")).unwrap().is_empty());
    assert_eq!(tokenize(engine, &of_tokens(&ids)).unwrap(), ids);
    assert_eq!(detokenize(engine, &ids).unwrap(), "h\u{fc}t".as_bytes());
    assert_eq!(detokenize(engine, &[]).unwrap(), b"");
    let messages = [("user", "hi"), ("tool", "ho")]
        .map(|(role, content)| init!(selvedge_message { role: text(role), content: text(content) }));
    let chat = init!(selvedge_generate { messages: messages.as_ptr(), message_count: 2 });
    assert_eq!(render(engine, &chat).unwrap(), b"user: hi\ntool: ho\n");
    assert_eq!(tokenize(engine, &chat).unwrap().len(), 18);
    // Of the request only the prompt counts.
    assert_eq!(tokenize(engine, &selvedge_generate { flags: !0, top_p: 9.0, ..of_text("a") }).unwrap(), [97]);
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

#[test]
fn what_has_no_tokens_is_refused() {
    let engine = handle(Arc::new(Spells::new()));
    let ids = [256];
    assert_eq!(detokenize(engine, &ids).unwrap_err(), (1, "token 256: expected at most 255".into()));
    assert_eq!(tokenize(engine, &of_tokens(&ids)).unwrap_err().0, Code::InvalidArgument as i32);
    let expected = "selvedge_generate: expected a prompt, messages or tokens, got none of them";
    assert_eq!(tokenize(engine, &init!(selvedge_generate {})).unwrap_err(), (1, expected.into()));
    let both = selvedge_generate { prompt: text("a"), ..of_tokens(&ids) };
    let expected = "selvedge_generate: expected one of prompt, messages and tokens, got more";
    assert_eq!(tokenize(engine, &both).unwrap_err(), (1, expected.into()));
    let expected = "selvedge_generate: expected messages, got a prompt of another kind";
    assert_eq!(render(engine, &of_text("a")).unwrap_err(), (1, expected.into()));
    let null = init!(selvedge_generate { token_count: 1 });
    let expected = "selvedge_generate.tokens: expected a pointer, got NULL";
    assert_eq!(tokenize(engine, &null).unwrap_err(), (1, expected.into()));
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
    assert_eq!(detokenize(engine, &ids).unwrap_err().0, Code::BadHandle as i32);

    let tensors = handle(Fake::echo(DType::F32).build());
    let (code, message) = tokenize(tensors, &of_text("a")).unwrap_err();
    assert_eq!((code, &*message), (3, "'fake' has no tokenizer: expected an engine of text"));
    assert_eq!(detokenize(tensors, &[1]).unwrap_err().0, Code::Unsupported as i32);
    assert_eq!(selvedge_engine_close(tensors), SELVEDGE_OK);
}

#[test]
fn a_prompt_of_tokens_is_generated_from() {
    let text: Arc<dyn Engine> = Fake::text("so it goes").build();
    let engine = handle(text);
    assert_eq!(generate(engine, &of_tokens(&[5, 6, 7, 8])), ("so it goes".into(), 4));
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

#[test]
fn memory_is_given_back_at_two_levels() {
    let engine = handle(Fake::echo(DType::F32).build());
    assert_eq!(trim(engine, SELVEDGE_TRIM_CACHES), Ok(0));
    assert_eq!(trim(engine, SELVEDGE_TRIM_ALL), Ok(0));
    for none in [0, 3, -1] {
        let expected = format!("selvedge_trim: {none} has no meaning in this version of the library");
        assert_eq!(trim(engine, none), Err((1, expected)));
    }
    // SAFETY: NULL is what is tested.
    let message =
        refused(Code::InvalidArgument, |err| unsafe { selvedge_engine_trim(engine, 1, ptr::null_mut(), err) });
    assert_eq!(message, "freed: expected a pointer, got NULL");
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
    assert_eq!(trim(engine, SELVEDGE_TRIM_ALL).unwrap_err().0, Code::BadHandle as i32);
}

#[test]
#[cfg(feature = "table")]
fn a_real_tokenizer_is_the_one_of_the_model() {
    let path = file("tests/data/static/model.safetensors");
    let engine = open_source(&by_path(&path), None).unwrap();
    let expected: serde_json::Value =
        serde_json::from_slice(&std::fs::read(file("tests/data/static/expected.json")).unwrap()).unwrap();
    for (text, count) in expected["texts"].as_array().unwrap().iter().zip(expected["tokens"].as_array().unwrap()) {
        let ids = tokenize(engine, &of_text(text.as_str().unwrap())).unwrap();
        assert_eq!(ids.len() as u64, count.as_u64().unwrap(), "{text}");
        assert_eq!(tokenize(engine, &of_tokens(&ids)).is_ok(), !ids.is_empty());
    }
    let a = tokenize(engine, &of_text("a")).unwrap();
    assert_eq!(detokenize(engine, &a).unwrap(), b"a");
    assert_eq!(detokenize(engine, &[u32::MAX]).unwrap_err().0, Code::InvalidArgument as i32);
    let message = init!(selvedge_message { role: text("user"), content: text("hi") });
    let chat = init!(selvedge_generate { messages: &raw const message, message_count: 1 });
    assert_eq!(render(engine, &chat).unwrap_err().0, Code::Unsupported as i32);
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

#[test]
#[cfg(feature = "llama")]
fn a_language_model_continues_tokens_as_it_continues_their_text() {
    let Some(corpus) = std::env::var_os("SELVEDGE_CORPUS") else { return };
    let path = std::path::Path::new(&corpus).join("smollm2/SmolLM2-135M-Instruct.Q4_1.gguf");
    let options = init!(selvedge_options { context_tokens: 256, parallel: 1 });
    let engine = open_source(&by_path(path.to_str().unwrap()), Some(&options)).unwrap();
    let message = init!(selvedge_message { role: text("user"), content: text("Say yes.") });
    let chat = init!(selvedge_generate { messages: &raw const message, message_count: 1, max_tokens: 4 });
    let rendered = String::from_utf8(render(engine, &chat).unwrap()).unwrap();
    assert!(rendered.contains("<|im_start|>user\nSay yes.<|im_end|>\n<|im_start|>assistant"), "{rendered}");
    let ids = tokenize(engine, &chat).unwrap();
    let by_tokens = selvedge_generate { max_tokens: 4, ..of_tokens(&ids) };
    let said = generate(engine, &chat);
    assert_eq!((generate(engine, &by_tokens), said.1), (said.clone(), ids.len() as u64));
    // What was kept to be faster goes, and the answer stays.
    trim(engine, SELVEDGE_TRIM_ALL).unwrap();
    assert_eq!(generate(engine, &by_tokens), said);
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}
