//! The places at which a caller's pointer stands in requests for text: tools, terms of the template, adapters, scores,
//! prefixes.

use super::callee::{Callee, as_place};
use super::cases::Most;
use super::places::{
    Array, Block, INVALID_THEN, MISSING, NOT_FOUND, OK, Place, raw, read, result, some, spare, taken, texts,
};
use super::*;

pub(super) fn places() -> Vec<Place> {
    [tools(), messages(), terms(), scores(), ranks(), prefixes()].into_iter().flatten().collect()
}

/// What the model may call, and which.
fn tools() -> Vec<Place> {
    vec![
        structs(
            "selvedge_generate.tools",
            || ["rain", "snow", "wind"].map(|name| raw(tool(name))).to_vec(),
            |c, at, count| generate(c, &selvedge_generate { tools: at.cast(), tool_count: count, ..chat() }),
        ),
        some("selvedge_tool.name", b"rain", Most::Bounded, INVALID_THEN, |c, at, len| {
            with_tool(c, selvedge_tool { name: taken(at, len), ..tool("") })
        }),
        some("selvedge_tool.description", b"of a city", Most::Memory, [OK; 3], |c, at, len| {
            with_tool(c, selvedge_tool { description: taken(at, len), ..tool("rain") })
        }),
        some("selvedge_tool.parameters", b"{}", Most::Memory, INVALID_THEN, |c, at, len| {
            with_tool(c, selvedge_tool { parameters: taken(at, len), ..tool("rain") })
        }),
        some("selvedge_generate.tool_name", b"rain", Most::Bounded, INVALID_THEN, |c, at, len| {
            let tool = tool("rain");
            let choice = SELVEDGE_TOOL_CHOICE_NAMED;
            let request = selvedge_generate { tools: &raw const tool, tool_count: 1, tool_choice: choice, ..chat() };
            generate(c, &selvedge_generate { tool_name: taken(at, len), ..request })
        }),
    ]
}

/// Calls and results in a conversation.
fn messages() -> Vec<Place> {
    vec![
        structs(
            "selvedge_message.tool_calls",
            || vec![raw(made("k3h5")); 3],
            |c, at, count| {
                with_message(c, selvedge_message { tool_calls: at.cast(), tool_call_count: count, ..assistant() })
            },
        ),
        some("selvedge_message.reasoning", b"Hm.", Most::Memory, [OK; 3], |c, at, len| {
            with_message(c, selvedge_message { reasoning: taken(at, len), ..assistant() })
        }),
        some("selvedge_message.tool_call_id", b"k3h5", Most::Memory, [OK; 3], |c, at, len| {
            let calls = [made("k3h5")];
            let asks = selvedge_message { tool_calls: calls.as_ptr(), tool_call_count: 1, ..assistant() };
            let says = selvedge_message { role: text("tool"), tool_call_id: taken(at, len), ..assistant() };
            let both = [asks, says];
            generate(c, &init!(selvedge_generate { messages: both.as_ptr(), message_count: 2 }))
        }),
        some("selvedge_tool_call.id", b"k3h5", Most::Memory, [OK; 3], |c, at, len| {
            with_call(c, selvedge_tool_call { id: taken(at, len), ..made("") })
        }),
        some("selvedge_tool_call.name", b"rain", Most::Bounded, [OK; 3], |c, at, len| {
            with_call(c, selvedge_tool_call { name: taken(at, len), ..made("k3h5") })
        }),
        some("selvedge_tool_call.arguments", b"{}", Most::Memory, INVALID_THEN, |c, at, len| {
            with_call(c, selvedge_tool_call { arguments: taken(at, len), ..made("k3h5") })
        }),
    ]
}

/// Documents, variables, adapters and biases.
fn terms() -> Vec<Place> {
    vec![
        structs(
            "selvedge_generate.documents",
            || vec![raw(document()); 3],
            |c, at, count| generate(c, &selvedge_generate { documents: at.cast(), document_count: count, ..chat() }),
        ),
        some("selvedge_document.title", b"Bergen", Most::Memory, [OK; 3], |c, at, len| {
            with_document(c, selvedge_document { title: taken(at, len), ..document() })
        }),
        some("selvedge_document.text", b"It rains.", Most::Memory, [OK; 3], |c, at, len| {
            with_document(c, selvedge_document { text: taken(at, len), ..document() })
        }),
        Place::Array(Array {
            name: "selvedge_generate.variables",
            good: || vec![raw(selvedge_pair { name: text("mood"), value: text("1") }); 3],
            call: |c, at, count| {
                generate(c, &selvedge_generate { variables: at.cast(), variable_count: count, ..chat() })
            },
            ..texts()
        }),
        structs("selvedge_generate.adapters", adapters, |c, at, count| {
            generate(c, &selvedge_generate { adapters: at.cast(), adapter_count: count, ..chat() })
        }),
        some("selvedge_adapter.name", b"formal", Most::Bounded, [OK; 3], |c, at, len| {
            let adapter = init!(selvedge_adapter { name: taken(at, len), scale: 1.0 });
            generate(c, &selvedge_generate { adapters: &raw const adapter, adapter_count: 1, ..chat() })
        }),
        Place::Array(Array {
            name: "selvedge_generate.biases",
            good: || (1..4).map(|token| raw(selvedge_bias { token, bias: 1.0 })).collect(),
            call: |c, at, count| generate(c, &selvedge_generate { biases: at.cast(), bias_count: count, ..chat() }),
            ..texts()
        }),
        Place::Array(Array {
            name: "selvedge_options.adapters",
            good: || ["a", "b", "c"].map(|name| raw(selvedge_pair { name: text(name), value: text(name) })).to_vec(),
            call: |_, at, count| {
                let options = init!(selvedge_options { adapters: at.cast(), adapter_count: count });
                super::callee::open(MISSING.as_ptr(), MISSING.len(), as_place(&options), spare(), spare())
            },
            then: NOT_FOUND,
            empty: NOT_FOUND,
            null: NOT_FOUND,
            ..texts()
        }),
    ]
}

/// `selvedge_engine_score`.
fn scores() -> Vec<Place> {
    vec![
        read(
            "selvedge_engine_score.request",
            || raw(scored()),
            |c, at| score(c, at, no(), spare(), spare()),
            OK,
            INVALID,
        ),
        read(
            "selvedge_engine_score.call",
            || raw(init!(selvedge_call {})),
            |c, at| score(c, as_place(&scored()), at, spare(), spare()),
            OK,
            OK,
        ),
        result("selvedge_engine_score.out", OK, INVALID, |c, at| score(c, as_place(&scored()), no(), at, spare())),
        result("selvedge_engine_score.err", INVALID, INVALID, |c, at| score(c, no(), no(), spare(), at)),
        some("selvedge_score.prompt", b"and then", Most::Memory, [OK, OK, INVALID], |c, at, len| {
            asked(c, &selvedge_score { prompt: taken(at, len), ..scored() })
        }),
        Place::Array(Array {
            name: "selvedge_score.messages",
            grows: true,
            good: || vec![raw(assistant()); 3],
            call: |c, at, count| {
                let request = selvedge_score { messages: at.cast(), message_count: count, ..scored() };
                asked(c, &selvedge_score { prompt: selvedge_text::default(), ..request })
            },
            empty: INVALID,
            null: INVALID,
            ..texts()
        }),
        Place::Array(Array {
            name: "selvedge_score.tokens",
            good: || (1..4u32).map(raw).collect(),
            call: |c, at, count| {
                let request = selvedge_score { tokens: at.cast(), token_count: count, ..scored() };
                asked(c, &selvedge_score { prompt: selvedge_text::default(), ..request })
            },
            empty: INVALID,
            null: INVALID,
            ..texts()
        }),
        Place::Array(Array {
            name: "selvedge_score.continuations",
            call: |c, at, count| {
                asked(c, &selvedge_score { continuations: at.cast(), continuation_count: count, ..scored() })
            },
            empty: INVALID,
            null: INVALID,
            ..texts()
        }),
        structs("selvedge_score.adapters", adapters, |c, at, count| {
            asked(c, &selvedge_score { adapters: at.cast(), adapter_count: count, ..scored() })
        }),
    ]
}

/// `selvedge_engine_rerank`.
fn ranks() -> Vec<Place> {
    vec![
        read(
            "selvedge_engine_rerank.request",
            || raw(ranked()),
            |c, at| rerank(c, at, no(), spare(), spare()),
            OK,
            INVALID,
        ),
        read(
            "selvedge_engine_rerank.call",
            || raw(init!(selvedge_call {})),
            |c, at| rerank(c, as_place(&ranked()), at, spare(), spare()),
            OK,
            OK,
        ),
        result("selvedge_engine_rerank.out", OK, INVALID, |c, at| rerank(c, as_place(&ranked()), no(), at, spare())),
        result("selvedge_engine_rerank.err", INVALID, INVALID, |c, at| rerank(c, no(), no(), spare(), at)),
        some("selvedge_rerank.query", b"pandas", Most::Memory, INVALID_THEN, |c, at, len| {
            rerank(c, as_place(&selvedge_rerank { query: taken(at, len), ..ranked() }), no(), spare(), spare())
        }),
        Place::Array(Array {
            name: "selvedge_rerank.documents",
            call: |c, at, count| {
                let request = selvedge_rerank { documents: at.cast(), document_count: count, ..ranked() };
                rerank(c, as_place(&request), no(), spare(), spare())
            },
            empty: INVALID,
            null: INVALID,
            ..texts()
        }),
    ]
}

/// What is saved of a prefix cache, and restored.
fn prefixes() -> Vec<Place> {
    const PATH: &[u8] = b"kept";
    let filled = |name, call| {
        let good = || raw(init!(selvedge_prefixes {}));
        Place::Block(Block { name, grows: true, written: true, good, call, then: OK, null: INVALID })
    };
    vec![
        some("selvedge_engine_save_prefixes.path", PATH, Most::Bounded, INVALID_THEN, |c, at, len| {
            save(c, at, len, room(), spare())
        }),
        filled("selvedge_engine_save_prefixes.saved", |c, at| save(c, PATH.as_ptr(), 4, at, spare())),
        result("selvedge_engine_save_prefixes.err", INVALID, INVALID, |c, at| save(c, no(), 1, room(), at)),
        some("selvedge_engine_restore_prefixes.path", PATH, Most::Bounded, INVALID_THEN, |c, at, len| {
            restore(c, at, len, room(), spare())
        }),
        filled("selvedge_engine_restore_prefixes.restored", |c, at| restore(c, PATH.as_ptr(), 4, at, spare())),
        result("selvedge_engine_restore_prefixes.err", INVALID, INVALID, |c, at| restore(c, no(), 1, room(), at)),
    ]
}

/// An array of structs that grow, of which a request takes any number.
fn structs(
    name: &'static str,
    good: fn() -> Vec<Vec<u8>>,
    call: fn(&Callee, *const u8, usize) -> selvedge_status,
) -> Place {
    Place::Array(Array { name, grows: true, good, call, ..texts() })
}

/// A place that the caller leaves out.
fn no() -> *const u8 {
    ptr::null()
}

/// Room for what was saved, that is not looked at.
fn room() -> *mut u8 {
    ptr::from_mut(Box::leak(Box::new(init!(selvedge_prefixes {})))).cast()
}

fn tool(name: &'static str) -> selvedge_tool {
    init!(selvedge_tool { name: text(name), parameters: text("{}") })
}

fn made(id: &'static str) -> selvedge_tool_call {
    init!(selvedge_tool_call { id: text(id), name: text("rain"), arguments: text("{}") })
}

fn assistant() -> selvedge_message {
    init!(selvedge_message { role: text("assistant"), content: text("hi") })
}

fn document() -> selvedge_document {
    init!(selvedge_document { title: text("Bergen"), text: text("It rains.") })
}

fn adapters() -> Vec<Vec<u8>> {
    ["formal", "rhymes", "short"].map(|name| raw(init!(selvedge_adapter { name: text(name), scale: 1.0 }))).to_vec()
}

fn chat() -> selvedge_generate {
    init!(selvedge_generate { messages: Box::leak(Box::new(assistant())), message_count: 1 })
}

fn scored() -> selvedge_score {
    let continuation = Box::leak(Box::new(text("warp")));
    init!(selvedge_score { prompt: text("and then"), continuations: continuation, continuation_count: 1 })
}

fn ranked() -> selvedge_rerank {
    init!(selvedge_rerank { query: text("warp"), documents: Box::leak(Box::new(text("weft"))), document_count: 1 })
}

fn with_tool(callee: &Callee, tool: selvedge_tool) -> selvedge_status {
    generate(callee, &selvedge_generate { tools: &raw const tool, tool_count: 1, ..chat() })
}

fn with_message(callee: &Callee, message: selvedge_message) -> selvedge_status {
    generate(callee, &init!(selvedge_generate { messages: &raw const message, message_count: 1 }))
}

fn with_call(callee: &Callee, call: selvedge_tool_call) -> selvedge_status {
    with_message(callee, selvedge_message { tool_calls: &raw const call, tool_call_count: 1, ..assistant() })
}

fn with_document(callee: &Callee, document: selvedge_document) -> selvedge_status {
    generate(callee, &selvedge_generate { documents: &raw const document, document_count: 1, ..chat() })
}

fn generate(callee: &Callee, request: &selvedge_generate) -> selvedge_status {
    let mut out = ptr::null_mut();
    // SAFETY: the places are as a case made them: what the library may touch of them is there.
    unsafe { selvedge_engine_generate(callee.takes, request, ptr::null(), &raw mut out, ptr::null_mut()) }
}

fn asked(callee: &Callee, request: &selvedge_score) -> selvedge_status {
    score(callee, as_place(request), no(), spare(), spare())
}

fn score(callee: &Callee, request: *const u8, call: *const u8, out: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_engine_score(callee.takes, request.cast(), call.cast(), out.cast(), err.cast()) }
}

fn rerank(callee: &Callee, request: *const u8, call: *const u8, out: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_engine_rerank(callee.takes, request.cast(), call.cast(), out.cast(), err.cast()) }
}

fn save(callee: &Callee, path: *const u8, len: usize, saved: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_engine_save_prefixes(callee.takes, path.cast(), len, saved.cast(), err.cast()) }
}

fn restore(callee: &Callee, path: *const u8, len: usize, restored: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_engine_restore_prefixes(callee.takes, path.cast(), len, restored.cast(), err.cast()) }
}
