//! What a request for text may say beside its prompt, and what comes of it: tools, terms of the template, adapters, scores,
//! prefixes. What real models make of it, `language` looks at.

use selvedge::fake::Fake;
use selvedge::{
    Adapter, AppliedAdapter, CallPiece, Digest, Document, Event, Generate, MalformedCall, Message, Piece, Prompt,
    Request, Rerank, Score, Tool, ToolCall, ToolChoice,
};

use super::engines::Takes;
use super::*;

const SCHEMA: &str = r#"{"type": "object", "properties": {"city": {"type": "string"}}}"#;

/// An event, owned: kind, index, then text, name, id and reason, then ids of tokens.
type Said = (i32, u64, [String; 4], Vec<u32>);

fn start(engine: *mut selvedge_engine, request: &selvedge_generate) -> Result<*mut selvedge_run, (i32, String)> {
    let mut run = ptr::without_provenance_mut(0x5eed);
    // SAFETY: the request lives during the call.
    let result = call(|err| unsafe { selvedge_engine_generate(engine, request, ptr::null(), &raw mut run, err) });
    assert_eq!(result.is_err(), run.is_null());
    result.map(|()| run)
}

/// All events of a run but DONE, and its answer's JSON.
pub(crate) fn told(run: *mut selvedge_run) -> (Vec<Said>, serde_json::Value) {
    let mut events = Vec::new();
    loop {
        let mut e = init!(selvedge_event {});
        // SAFETY: the event may be written.
        call(|err| unsafe { selvedge_run_next(run, &raw mut e, err) }).unwrap();
        if e.kind == SELVEDGE_EVENT_DONE {
            break;
        }
        let texts = [(e.text, e.text_len), (e.name, e.name_len), (e.id, e.id_len), (e.reason, e.reason_len)];
        // SAFETY: what an event points to lives until the next one.
        let tokens = (0..e.token_count).map(|i| unsafe { (*e.tokens.add(i)).id }).collect();
        events.push((e.kind, e.index, texts.map(|(at, len)| owned(at, len)), tokens));
    }
    let mut answer = ptr::null_mut();
    // SAFETY: `answer` may be written.
    call(|err| unsafe { selvedge_run_answer(run, &raw mut answer, err) }).unwrap();
    assert_eq!(selvedge_run_free(run), SELVEDGE_OK);
    let json = json_of(answer);
    assert_eq!(selvedge_answer_free(answer), SELVEDGE_OK);
    (events, json)
}

fn owned(at: *const std::ffi::c_char, len: usize) -> String {
    if at.is_null() {
        assert_eq!(len, 0);
        return String::new();
    }
    // SAFETY: a text that is given out has a NUL behind it.
    let text = unsafe { CStr::from_ptr(at) }.to_str().unwrap();
    assert_eq!(text.len(), len);
    text.into()
}

pub(crate) fn json_of(answer: *const selvedge_answer) -> serde_json::Value {
    let (mut json, mut len) = (ptr::null(), 0);
    // SAFETY: the places may be written, and the text lives as long as the answer.
    let bytes = unsafe {
        call(|err| selvedge_answer_json(answer, &raw mut json, &raw mut len, err)).unwrap();
        std::slice::from_raw_parts(json.cast::<u8>(), len)
    };
    serde_json::from_slice(bytes).expect("JSON")
}

fn message(role: &str, content: &str) -> selvedge_message {
    init!(selvedge_message { role: text(role), content: text(content) })
}

pub(crate) fn tool(name: &str, parameters: &str) -> selvedge_tool {
    init!(selvedge_tool { name: text(name), description: text("of the weather"), parameters: text(parameters) })
}

fn pair(name: &str, value: &str) -> selvedge_pair {
    selvedge_pair { name: text(name), value: text(value) }
}

/// The request that reached the engine, in words.
fn last(engine: &Takes) -> String {
    format!("{:?}", engine.last.lock().unwrap().take().expect("a request"))
}

#[test]
fn all_that_a_request_says_reaches_the_engine() {
    let takes = Arc::new(Takes::new());
    let engine = handle(takes.clone());
    let calls = [init!(selvedge_tool_call { id: text("k3h5"), name: text("rain"), arguments: text("{}") })];
    let assistant = selvedge_message { tool_calls: calls.as_ptr(), tool_call_count: 1, ..message("assistant", "") };
    let messages = [
        message("user", "Umbrella?"),
        selvedge_message { reasoning: text("Let me see."), ..assistant },
        selvedge_message { tool_call_id: text("k3h5"), ..message("tool", "dry") },
        message("assistant", "No,"),
    ];
    let tools = [tool("rain", SCHEMA), tool("snow", "{}")];
    let documents = [init!(selvedge_document { title: text("Bergen"), text: text("It rains.") })];
    let variables = [pair("mood", "\"dry\""), pair("stars", "5")];
    let adapters = [
        init!(selvedge_adapter { name: text("formal"), scale: 1.0 }),
        init!(selvedge_adapter { name: text("rhymes"), scale: -0.5 }),
    ];
    let biases = [selvedge_bias { token: 12, bias: 2.5 }, selvedge_bias { token: 13, bias: f32::NEG_INFINITY }];
    let request = init!(selvedge_generate {
        messages: messages.as_ptr(),
        message_count: 4,
        flags: SELVEDGE_GENERATE_CONTINUE_LAST | SELVEDGE_GENERATE_SEPARATE_REASONING,
        tools: tools.as_ptr(),
        tool_count: 2,
        tool_name: text("snow"),
        tool_choice: SELVEDGE_TOOL_CHOICE_NAMED,
        thinking: SELVEDGE_THINKING_OFF,
        documents: documents.as_ptr(),
        document_count: 1,
        variables: variables.as_ptr(),
        variable_count: 2,
        adapters: adapters.as_ptr(),
        adapter_count: 2,
        biases: biases.as_ptr(),
        bias_count: 2,
        top_logprobs: 5,
    });
    told(start(engine, &request).unwrap());
    let chat = [
        Message::user("Umbrella?"),
        Message::assistant("").tool_calls([ToolCall::new("k3h5", "rain", "{}")]).reasoning("Let me see."),
        Message::tool("k3h5", "dry"),
        Message::assistant("No,"),
    ];
    let expected = Generate::chat(chat)
        .continue_last(true)
        .separate_reasoning(true)
        .tools([Tool::new("rain", "of the weather", SCHEMA), Tool::new("snow", "of the weather", "{}")])
        .tool_choice(ToolChoice::Named("snow".into()))
        .thinking(false)
        .documents([Document::new("Bergen", "It rains.")])
        .variable("mood", "\"dry\"")
        .variable("stars", "5")
        .adapter("formal", 1.0)
        .adapter("rhymes", -0.5)
        .bias(12, 2.5)
        .ban([13])
        .top_logprobs(5);
    assert_eq!(last(&takes), format!("{:?}", Request::Generate(expected)));

    let plain = |choice, thinking| selvedge_generate { tool_name: text(""), tool_choice: choice, thinking, ..request };
    let choices = [
        (SELVEDGE_TOOL_CHOICE_AUTO, "tool_choice: Auto"),
        (SELVEDGE_TOOL_CHOICE_NONE, "tool_choice: None"),
        (SELVEDGE_TOOL_CHOICE_REQUIRED, "tool_choice: Required"),
    ];
    for (choice, expected) in choices {
        told(start(engine, &plain(choice, SELVEDGE_THINKING_ON)).unwrap());
        let got = last(&takes);
        assert!(got.contains(expected) && got.contains("thinking: Some(true)"), "{got}");
    }
    told(start(engine, &plain(SELVEDGE_TOOL_CHOICE_AUTO, SELVEDGE_THINKING_AUTO)).unwrap());
    assert!(last(&takes).contains("thinking: None"));
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

#[test]
fn what_is_wrong_with_a_request_is_named() {
    let engine = handle(Arc::new(Takes::new()));
    let (tools, user) = ([tool("rain", SCHEMA)], [message("user", "Umbrella?")]);
    let good =
        init!(selvedge_generate { messages: user.as_ptr(), message_count: 1, tools: tools.as_ptr(), tool_count: 1 });
    assert_eq!(selvedge_run_free(start(engine, &good).unwrap()), SELVEDGE_OK);
    let bad_tool = [tool("rain", "[]")];
    let adapters = [init!(selvedge_adapter { name: text("formal"), scale: 1.0, flags: 1 })];
    let nothing = [init!(selvedge_adapter { name: text("formal") })];
    let biases = [selvedge_bias { token: 12, bias: f32::INFINITY }];
    let wrong = [
        (selvedge_generate { tool_choice: 4, ..good }, "selvedge_tool_choice: 4 has no meaning"),
        (selvedge_generate { tool_choice: -1, ..good }, "selvedge_tool_choice: -1 has no meaning"),
        (selvedge_generate { thinking: 3, ..good }, "selvedge_thinking: 3 has no meaning"),
        (selvedge_generate { tool_name: text("rain"), ..good }, "selvedge_generate.tool_name: expected none"),
        (selvedge_generate { tool_choice: SELVEDGE_TOOL_CHOICE_NAMED, ..good }, "tool_choice: expected the name"),
        (selvedge_generate { tools: bad_tool.as_ptr(), ..good }, "tool 'rain': parameters: expected a JSON Schema"),
        (
            selvedge_generate { messages: ptr::null(), message_count: 0, prompt: text("a"), ..good },
            "tools: expected a chat",
        ),
        (selvedge_generate { adapters: adapters.as_ptr(), adapter_count: 1, ..good }, "selvedge_adapter.flags"),
        (
            selvedge_generate { adapters: nothing.as_ptr(), adapter_count: 1, ..good },
            "adapter 'formal': expected a finite scale",
        ),
        (selvedge_generate { biases: biases.as_ptr(), bias_count: 1, ..good }, "logit_bias of token 12"),
        (selvedge_generate { top_logprobs: 65, ..good }, "top_logprobs: expected at most 64"),
    ];
    for (request, named) in wrong {
        let (code, message) = start(engine, &request).unwrap_err();
        assert!(code == Code::InvalidArgument as i32 && message.starts_with(named), "{code} {message}");
    }
    // A result refers to a call that was made.
    let result = [selvedge_message { tool_call_id: text("k3h5"), ..message("tool", "dry") }];
    let (_, said) = start(engine, &selvedge_generate { messages: result.as_ptr(), ..good }).unwrap_err();
    assert!(said.contains("'k3h5'"), "{said}");
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

/// What a client of the headers before there were tools asks, and gets: of its structs, what lies behind is not looked at.
#[test]
fn a_client_of_before_is_served() {
    let takes = Arc::new(Takes::new());
    let engine = handle(takes.clone());
    /// The message of the first header; a role of that name was but a name.
    #[repr(C)]
    struct First(usize, selvedge_text, selvedge_text);
    let size = size_of::<First>();
    assert_eq!(size, std::mem::offset_of!(selvedge_message, reasoning));
    let messages = [First(size, text("user"), text("hi")), First(size, text("tool"), text("ho"))];
    let first = std::mem::offset_of!(selvedge_generate, tools);
    let request = init!(selvedge_generate {
        struct_size: first,
        messages: messages.as_ptr().cast(),
        message_count: 2,
        tool_choice: 9,
        top_logprobs: 99,
    });
    told(start(engine, &request).unwrap());
    let chat = [Message::user("hi"), Message::new(selvedge::Role::Other("tool".into()), "ho")];
    assert_eq!(last(&takes), format!("{:?}", Request::Generate(Generate::chat(chat))));
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

#[test]
fn every_event_is_told_with_what_it_brought() {
    let token = |id| selvedge::TokenInfo::new(id, Some(-0.5));
    let piece = |text: &str, id| Piece::new(text, vec![token(id)]);
    let mut part = CallPiece::new(1, "rain", "{\"city\"");
    part.tokens = vec![token(3)];
    let events = vec![
        Event::Reasoning(piece("Hm.", 1)),
        Event::Text(piece("Well", 2)),
        Event::CallPiece(part),
        Event::ToolCall(ToolCall::new("k3h5", "rain", "{\"city\": \"Bergen\"}")),
        Event::Malformed(MalformedCall::new(2, "<tool_call>", "not closed")),
        Event::Text(piece("!", 4)),
    ];
    let takes = Takes::saying(events, |answer| {
        (answer.text, answer.reasoning) = ("Well!".into(), "Hm.".into());
        answer.tokens = (1..5).map(token).collect();
        answer.tool_calls = vec![ToolCall::new("k3h5", "rain", "{\"city\": \"Bergen\"}")];
        answer.malformed_calls = vec![MalformedCall::new(2, "<tool_call>", "not closed")];
        answer.adapters = vec![AppliedAdapter::new(&Adapter::new("formal", Digest::default(), 5, 6), 0.5)];
        answer.top_logprobs = vec![vec![token(1), token(9)]];
    });
    let engine = handle(Arc::new(takes));
    let (events, answer) = told(start(engine, &init!(selvedge_generate { prompt: text("a") })).unwrap());
    let said = |kind, index, texts: [&str; 4], tokens: &[u32]| -> Said {
        (kind, index, texts.map(String::from), tokens.to_vec())
    };
    let expected = [
        said(SELVEDGE_EVENT_REASONING, 0, ["Hm.", "", "", ""], &[1]),
        said(SELVEDGE_EVENT_TEXT, 0, ["Well", "", "", ""], &[2]),
        said(SELVEDGE_EVENT_CALL_PIECE, 1, ["{\"city\"", "rain", "", ""], &[3]),
        said(SELVEDGE_EVENT_TOOL_CALL, 0, ["{\"city\": \"Bergen\"}", "rain", "k3h5", ""], &[]),
        said(SELVEDGE_EVENT_MALFORMED_CALL, 2, ["<tool_call>", "", "", "not closed"], &[]),
        said(SELVEDGE_EVENT_TEXT, 0, ["!", "", "", ""], &[4]),
    ];
    assert_eq!(events, expected);
    let json = serde_json::json!({
        "text": "Well!", "reasoning": "Hm.", "tokens": [1, 2, 3, 4], "logprobs": [-0.5, -0.5, -0.5, -0.5],
        "tool_calls": [{ "id": "k3h5", "name": "rain", "arguments": "{\"city\": \"Bergen\"}" }],
        "malformed_calls": [{ "index": 2, "text": "<tool_call>", "reason": "not closed" }],
        "adapters": [{ "name": "formal", "scale": 0.5, "applied": 5, "total": 6 }],
        "top_logprobs": [[{ "id": 1, "logprob": -0.5 }, { "id": 9, "logprob": -0.5 }]],
    });
    for (name, expected) in json.as_object().unwrap() {
        assert_eq!(&answer[name], expected, "{name}");
    }
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);

    let plain = handle(Fake::text("a").build());
    let (_, answer) = told(start(plain, &init!(selvedge_generate { prompt: text("a") })).unwrap());
    assert!(answer["logprobs"].is_null() && answer["reasoning"] == "", "{answer}");
    assert_eq!(selvedge_engine_close(plain), SELVEDGE_OK);
}

/// A template that knows tools, without a model: the call is read out of what is said.
#[test]
#[cfg(feature = "llama")]
fn a_call_is_read_out_of_the_text() {
    let chatml = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}";
    let reply = r#"<tool_call>[{"name": "rain", "arguments": {"city": "Bergen"}}]</tool_call>"#;
    let engine = handle(Fake::text(reply).template(chatml).unwrap().build());
    let (tools, user) = ([tool("rain", SCHEMA)], [message("user", "Umbrella?")]);
    let request =
        init!(selvedge_generate { messages: user.as_ptr(), message_count: 1, tools: tools.as_ptr(), tool_count: 1 });
    let (events, answer) = told(start(engine, &request).unwrap());
    let calls: Vec<&Said> = events.iter().filter(|event| event.0 == SELVEDGE_EVENT_TOOL_CALL).collect();
    let [(_, _, [arguments, name, id, _], _)] = &calls[..] else { panic!("{events:?}") };
    assert_eq!((&**name, &**arguments, answer["text"].as_str()), ("rain", r#"{"city": "Bergen"}"#, Some("")));
    assert_eq!(answer["tool_calls"], serde_json::json!([{ "id": id, "name": name, "arguments": arguments }]));
    let pieces = events.iter().filter(|event| event.0 == SELVEDGE_EVENT_CALL_PIECE);
    assert_eq!(&pieces.map(|event| &*event.2[0]).collect::<String>(), arguments);
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

#[test]
fn scores_and_ranks_are_asked_with_all_that_they_take() {
    let takes = Arc::new(Takes::new());
    let engine = handle(takes.clone());
    let (words, adapters) =
        ([text(" Paris"), text(" London")], [init!(selvedge_adapter { name: text("formal"), scale: 1.0 })]);
    let request = init!(selvedge_score {
        prompt: text("The capital of France is"),
        continuations: words.as_ptr(),
        continuation_count: 2,
        adapters: adapters.as_ptr(),
        adapter_count: 1,
    });
    let score = |request: &selvedge_score| {
        let mut out = ptr::null_mut();
        // SAFETY: the request lives during the call.
        let result = call(|err| unsafe { selvedge_engine_score(engine, request, ptr::null(), &raw mut out, err) });
        result.map(|()| assert_eq!(selvedge_answer_free(out), SELVEDGE_OK))
    };
    score(&request).unwrap();
    let prompt = Prompt::Text("The capital of France is".into());
    let expected = Score::new(prompt, [" Paris", " London"]).adapter("formal", 1.0);
    assert_eq!(last(&takes), format!("{:?}", Request::Score(expected)));
    let (ids, empty) = ([504, 3575], selvedge_text::default());
    score(&selvedge_score { prompt: empty, tokens: ids.as_ptr(), token_count: 2, ..request }).unwrap();
    assert!(last(&takes).contains("Tokens([504, 3575])"));
    let wrong = [
        (selvedge_score { continuation_count: 0, ..request }, "score: expected at least one continuation"),
        (selvedge_score { prompt: empty, ..request }, "selvedge_score: expected a prompt, messages or tokens"),
        (selvedge_score { token_count: 1, ..request }, "selvedge_score.tokens: expected a pointer"),
    ];
    for (request, named) in wrong {
        let (code, message) = score(&request).unwrap_err();
        assert!(code == Code::InvalidArgument as i32 && message.starts_with(named), "{code} {message}");
    }

    let rerank = |query: &str, documents: &[selvedge_text]| {
        let mut out = ptr::null_mut();
        let (documents, document_count) = (documents.as_ptr(), documents.len());
        let request =
            init!(selvedge_rerank { query: text(query), documents: documents, document_count: document_count });
        // SAFETY: the request lives during the call.
        let result = call(|err| unsafe { selvedge_engine_rerank(engine, &request, ptr::null(), &raw mut out, err) });
        result.map(|()| assert_eq!(selvedge_answer_free(out), SELVEDGE_OK))
    };
    rerank("pandas", &words).unwrap();
    assert_eq!(last(&takes), format!("{:?}", Request::Rerank(Rerank::new("pandas", [" Paris", " London"]))));
    assert!(rerank("", &words).unwrap_err().1.starts_with("rerank: expected a query"));
    assert!(rerank("pandas", &[]).unwrap_err().1.starts_with("rerank: expected at least one document"));
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

#[test]
fn what_was_saved_and_restored_is_told() {
    type Entry = unsafe extern "C" fn(
        *const selvedge_engine,
        *const std::ffi::c_char,
        usize,
        *mut selvedge_prefixes,
        *mut *mut selvedge_error,
    ) -> selvedge_status;
    let ask = |engine, entry: Entry, path: &str| {
        let mut told = init!(selvedge_prefixes { tokens: 7 });
        // SAFETY: the path lives during the call, and the struct may be written.
        let result = call(|err| unsafe { entry(engine, path.as_ptr().cast(), path.len(), &raw mut told, err) });
        (result, (told.prefixes, told.tokens, told.bytes))
    };
    let engine = handle(Arc::new(Takes::new()));
    assert_eq!(ask(engine, selvedge_engine_save_prefixes, "kept"), (Ok(()), (1, 2, 4)));
    assert_eq!(ask(engine, selvedge_engine_restore_prefixes, "kept."), (Ok(()), (3, 4, 5)));
    let (refused, zeros) = ask(engine, selvedge_engine_save_prefixes, "");
    assert_eq!((refused.unwrap_err().0, zeros), (Code::InvalidArgument as i32, (0, 0, 0)));
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
    let engine = handle(Fake::text("a").build());
    for entry in [selvedge_engine_save_prefixes as Entry, selvedge_engine_restore_prefixes] {
        let (refused, zeros) = ask(engine, entry, "kept");
        let expected = "'fake' has no prefix cache: expected an engine that reuses prefixes";
        assert_eq!((refused, zeros), (Err((Code::Unsupported as i32, expected.into())), (0, 0, 0)));
    }
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

#[test]
#[cfg(feature = "tract")]
fn adapters_and_threads_of_prompts_are_options() {
    let rain = file("examples/quickstart/rain.onnx");
    let adapters = [pair("formal", "formal.gguf")];
    let options = init!(selvedge_options { adapters: adapters.as_ptr(), adapter_count: 1 });
    let (code, message) = open_source(&by_path(&rain), Some(&options)).unwrap_err();
    assert!(code == Code::Unsupported as i32 && message.contains("adapter 'formal'"), "{code} {message}");
    let nameless = [pair("formal", "")];
    let options = init!(selvedge_options { adapters: nameless.as_ptr(), adapter_count: 1 });
    let (code, message) = open_source(&by_path(&rain), Some(&options)).unwrap_err();
    assert!(code == 1 && message.starts_with("selvedge_options.adapters: expected the name of a file"), "{message}");
    // It has no prompts, and so takes any.
    let engine = open_source(&by_path(&rain), Some(&init!(selvedge_options { prompt_threads: 2 }))).unwrap();
    let spec = spec_of(engine);
    assert_eq!(spec["adapters"], serde_json::json!([]));
    assert_eq!((&spec["abilities"]["score"], &spec["abilities"]["rerank"]), (&false.into(), &false.into()));
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}
