//! The places of the header at which a caller's pointer stands, each with a good value and the call that takes it.
//!
//! What the calls give is not freed: they are made in a process that ends after them.

use std::ffi::{c_char, c_void};

use super::callee::*;
use super::cases::Most;
use super::*;

/// A pointer that the header takes: `struct.field` or `function.parameter`, with words after a blank where it is tried in
/// several ways.
pub(super) enum Place {
    Block(Block),
    Array(Array),
    Bytes(Bytes),
}

/// One struct or value.
pub(super) struct Block {
    pub(super) name: &'static str,
    /// Whether it begins with `struct_size`.
    pub(super) grows: bool,
    /// Whether the call writes it.
    pub(super) written: bool,
    pub(super) good: fn() -> Vec<u8>,
    pub(super) call: fn(&Callee, *mut u8) -> selvedge_status,
    /// What comes of a good one, and of NULL.
    pub(super) then: selvedge_status,
    pub(super) null: selvedge_status,
}

/// Structs or values with a count.
pub(super) struct Array {
    pub(super) name: &'static str,
    pub(super) grows: bool,
    /// Three elements.
    pub(super) good: fn() -> Vec<Vec<u8>>,
    pub(super) call: fn(&Callee, *const u8, usize) -> selvedge_status,
    /// The most elements.
    pub(super) most: usize,
    /// What comes of good ones, of none, and of none at NULL.
    pub(super) then: selvedge_status,
    pub(super) empty: selvedge_status,
    pub(super) null: selvedge_status,
}

/// Bytes with a length.
pub(super) struct Bytes {
    pub(super) name: &'static str,
    pub(super) good: &'static [u8],
    pub(super) call: fn(&Callee, *const u8, usize) -> selvedge_status,
    pub(super) most: Most,
    /// What comes of good ones, of none, and of none at NULL.
    pub(super) then: selvedge_status,
    pub(super) empty: selvedge_status,
    pub(super) null: selvedge_status,
}

impl Place {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Place::Block(block) => block.name,
            Place::Array(array) => array.name,
            Place::Bytes(bytes) => bytes.name,
        }
    }
}

/// A struct that a call reads.
pub(super) fn read(
    name: &'static str,
    good: fn() -> Vec<u8>,
    call: fn(&Callee, *mut u8) -> selvedge_status,
    then: selvedge_status,
    null: selvedge_status,
) -> Place {
    Place::Block(Block { name, grows: true, written: false, good, call, then, null })
}

/// A place that a call writes a number or a pointer to.
pub(super) fn result(
    name: &'static str,
    then: selvedge_status,
    null: selvedge_status,
    call: fn(&Callee, *mut u8) -> selvedge_status,
) -> Place {
    let good = || vec![0xff; size_of::<u64>()];
    Place::Block(Block { name, grows: false, written: true, good, call, then, null })
}

/// Bytes with a length, and what comes of good ones, of none, and of none at NULL.
pub(super) fn some(
    name: &'static str,
    good: &'static [u8],
    most: Most,
    [then, empty, null]: [selvedge_status; 3],
    call: fn(&Callee, *const u8, usize) -> selvedge_status,
) -> Place {
    Place::Bytes(Bytes { name, good, call, most, then, empty, null })
}

pub(super) const MISSING: &[u8] = b"no/such/model.onnx";
pub(super) const NOT_FOUND: selvedge_status = selvedge_status(2);
pub(super) const UNSUPPORTED: selvedge_status = selvedge_status(3);
pub(super) const OK: selvedge_status = SELVEDGE_OK;
/// Good ones are taken; none is not.
pub(super) const INVALID_THEN: [selvedge_status; 3] = [OK, INVALID, INVALID];
const NUMBERS: [f32; 2] = [1.0, 2.0];
const TWO: [i64; 1] = [2];

/// Two numbers, as an input.
pub(super) fn input(name: &str) -> selvedge_tensor {
    super::super::tensors::floats(name, &TWO, &NUMBERS)
}

/// A struct or a pointer as bytes.
pub(super) fn raw<T: Copy>(value: T) -> Vec<u8> {
    // SAFETY: structs of the header have no padding, which another test sees to, and neither have numbers and pointers.
    unsafe { std::slice::from_raw_parts(as_place(&value), size_of::<T>()) }.to_vec()
}

pub(super) fn taken(place: *const u8, len: usize) -> selvedge_text {
    selvedge_text { data: place.cast(), len }
}

pub(super) fn places() -> Vec<Place> {
    let blocks = structs().into_iter().chain(results()).chain(watching::structs()).chain(watching::results());
    let arrays = arrays().into_iter().chain(watching::arrays()).map(Place::Array);
    let bytes = bytes().into_iter().chain(watching::bytes()).map(Place::Bytes);
    let own = blocks.map(Place::Block).chain(arrays).chain(bytes);
    let own = own.chain(base::places()).chain(open::places()).chain(ask::places()).chain(super::sync::places());
    let own = own.chain(stored::places()).chain(super::layers::places()).chain(super::delays::places());
    own.chain(super::talking::places()).collect()
}

/// The structs that a function takes or fills.
fn structs() -> Vec<Block> {
    let read = |name, good, call, then, null| Block { name, grows: true, written: false, good, call, then, null };
    let filled = |name, good, call| Block { name, grows: true, written: true, good, call, then: OK, null: INVALID };
    let mut sha256 = read("selvedge_options.sha256", || vec![7; 32], |_, at| with_sha256(at), NOT_FOUND, NOT_FOUND);
    sha256.grows = false;
    vec![
        sha256,
        read(
            "selvedge_engine_open.options",
            || raw(init!(selvedge_options {})),
            |_, at| open(MISSING.as_ptr(), MISSING.len(), at, spare(), spare()),
            NOT_FOUND,
            NOT_FOUND,
        ),
        read(
            "selvedge_engine_run.request",
            || raw(init!(selvedge_tensors {})),
            |c, at| c.run(at, ptr::null(), spare(), spare()),
            OK,
            INVALID,
        ),
        read(
            "selvedge_engine_run.call",
            || raw(init!(selvedge_call {})),
            |c, at| c.run(as_place(&init!(selvedge_tensors {})), at, spare(), spare()),
            OK,
            OK,
        ),
        read(
            "selvedge_engine_generate.request",
            || raw(prompt()),
            |c, at| c.generate(at, ptr::null(), spare(), spare()),
            OK,
            INVALID,
        ),
        read(
            "selvedge_engine_generate.call",
            || raw(init!(selvedge_call {})),
            |c, at| c.generate(as_place(&prompt()), at, spare(), spare()),
            OK,
            OK,
        ),
        read(
            "selvedge_engine_embed.request",
            || raw(warp()),
            |c, at| c.embed(at, ptr::null(), spare(), spare()),
            OK,
            INVALID,
        ),
        read(
            "selvedge_engine_embed.call",
            || raw(init!(selvedge_call {})),
            |c, at| c.embed(as_place(&warp()), at, spare(), spare()),
            OK,
            OK,
        ),
        filled("selvedge_run_next.event", || raw(init!(selvedge_event {})), |c, at| next(c.a_run(false), at, spare())),
        filled(
            "selvedge_answer_output.tensor",
            || raw(init!(selvedge_tensor {})),
            |c, at| output(c.answer, at, spare()),
        ),
    ]
}

/// The places that a function writes a number or a pointer to.
fn results() -> Vec<Block> {
    type Call = fn(&Callee, *mut u8) -> selvedge_status;
    let place = |name: &'static str, then, null, call: Call| Block {
        name,
        grows: false,
        written: true,
        good: || vec![0xff; size_of::<usize>()],
        call,
        then,
        null,
    };
    let out = |name, call: Call| place(name, OK, INVALID, call);
    let err = |name, call: Call| place(name, INVALID, INVALID, call);
    vec![
        place("selvedge_engine_open.out", NOT_FOUND, INVALID, |_, at| {
            open(MISSING.as_ptr(), MISSING.len(), ptr::null(), at, spare())
        }),
        err("selvedge_engine_open.err", |_, at| open(ptr::null(), 1, ptr::null(), spare(), at)),
        out("selvedge_engine_run.out", |c, at| c.run(as_place(&init!(selvedge_tensors {})), ptr::null(), at, spare())),
        err("selvedge_engine_run.err", |c, at| c.run(ptr::null(), ptr::null(), spare(), at)),
        out("selvedge_engine_generate.out", |c, at| c.generate(as_place(&prompt()), ptr::null(), at, spare())),
        err("selvedge_engine_generate.err", |c, at| c.generate(ptr::null(), ptr::null(), spare(), at)),
        out("selvedge_engine_embed.out", |c, at| c.embed(as_place(&warp()), ptr::null(), at, spare())),
        err("selvedge_engine_embed.err", |c, at| c.embed(ptr::null(), ptr::null(), spare(), at)),
        err("selvedge_run_next.err", |c, at| next(c.a_run(true), spare(), at)),
        err("selvedge_answer_output.err", |c, at| output(c.answer, ptr::null_mut(), at)),
        out("selvedge_cancel_new.out", |_, at| cancel_new(at, spare())),
        err("selvedge_cancel_new.err", |_, at| cancel_new(ptr::null_mut(), at)),
        out("selvedge_engine_spec_json.json", |c, at| spec_json(c.text, at, spare(), spare())),
        out("selvedge_engine_spec_json.len", |c, at| spec_json(c.text, spare(), at, spare())),
        err("selvedge_engine_spec_json.err", |_, at| spec_json(ptr::null_mut(), spare(), spare(), at)),
        out("selvedge_run_answer.out", |c, at| run_answer(c.a_run(true), at, spare())),
        err("selvedge_run_answer.err", |c, at| run_answer(c.a_run(false), spare(), at)),
        out("selvedge_answer_output_count.count", |c, at| output_count(c.answer, at, spare())),
        err("selvedge_answer_output_count.err", |c, at| output_count(c.answer, ptr::null_mut(), at)),
        out("selvedge_answer_json.json", |c, at| answer_json(c.answer, at, spare(), spare())),
        out("selvedge_answer_json.len", |c, at| answer_json(c.answer, spare(), at, spare())),
        err("selvedge_answer_json.err", |c, at| answer_json(c.answer, ptr::null_mut(), spare(), at)),
        place("selvedge_error_message.len", OK, OK, |_, at| error_message(at)),
    ]
}

fn arrays() -> Vec<Array> {
    vec![
        Array {
            name: "selvedge_tensors.inputs",
            grows: true,
            good: || ["x0", "x1", "x2"].map(|name| raw(input(name))).to_vec(),
            call: |c, at, count| {
                let request = init!(selvedge_tensors { inputs: at.cast(), input_count: count });
                c.run(as_place(&request), ptr::null(), spare(), spare())
            },
            most: 65_536,
            then: OK,
            empty: OK,
            null: OK,
        },
        Array {
            name: "selvedge_tensors.outputs",
            good: || ["y2", "y0", "y1"].map(|name| raw(text(name))).to_vec(),
            call: |c, at, count| {
                let request = init!(selvedge_tensors { outputs: at.cast(), output_count: count });
                c.run(as_place(&request), ptr::null(), spare(), spare())
            },
            ..texts()
        },
        Array {
            name: "selvedge_generate.messages",
            grows: true,
            good: || {
                let roles = ["system", "user", "assistant"];
                roles.map(|role| raw(init!(selvedge_message { role: text(role), content: text("hi") }))).to_vec()
            },
            call: |c, at, count| {
                let request = init!(selvedge_generate { messages: at.cast(), message_count: count });
                c.generate(as_place(&request), ptr::null(), spare(), spare())
            },
            most: 65_536,
            then: OK,
            empty: INVALID,
            null: INVALID,
        },
        Array {
            name: "selvedge_generate.stop",
            call: |c, at, count| {
                let request = selvedge_generate { stop: at.cast(), stop_count: count, ..prompt() };
                c.generate(as_place(&request), ptr::null(), spare(), spare())
            },
            ..texts()
        },
        Array {
            name: "selvedge_embed.texts",
            call: |c, at, count| {
                let request = init!(selvedge_embed { texts: at.cast(), text_count: count });
                c.embed(as_place(&request), ptr::null(), spare(), spare())
            },
            empty: INVALID,
            null: INVALID,
            ..texts()
        },
        Array {
            name: "selvedge_tensor.dims",
            good: || vec![raw(1i64); 3],
            call: |c, at, count| {
                let tensor = selvedge_tensor { dims: at.cast(), rank: count, byte_len: 4, ..input("x0") };
                c.run_input(c.tensors, &tensor)
            },
            most: 64,
            ..texts()
        },
    ]
}

/// Three texts, of which a function takes any number.
pub(super) fn texts() -> Array {
    Array {
        name: "",
        grows: false,
        good: || ["warp", "weft", "loom"].map(|word| raw(text(word))).to_vec(),
        call: |_, _, _| INVALID,
        most: 65_536,
        then: OK,
        empty: OK,
        null: OK,
    }
}

fn bytes() -> Vec<Bytes> {
    type Call = fn(&Callee, *const u8, usize) -> selvedge_status;
    let bytes = |name, good: &'static str, most, [then, empty, null]: [selvedge_status; 3], call: Call| {
        let good = good.as_bytes();
        Bytes { name, good, call, most, then, empty, null }
    };
    vec![
        bytes(
            "selvedge_engine_open.path",
            "no/such/model.onnx",
            Most::Bounded,
            [NOT_FOUND, INVALID, INVALID],
            |_, at, len| open(at, len, ptr::null(), spare(), spare()),
        ),
        bytes("selvedge_options.onnxruntime", "no/such.so", Most::Bounded, [NOT_FOUND; 3], |_, at, len| {
            let options = init!(selvedge_options { onnxruntime: taken(at, len) });
            open(MISSING.as_ptr(), MISSING.len(), as_place(&options), spare(), spare())
        }),
        bytes("selvedge_tensor.name", "x0", Most::Bounded, [OK, INVALID, INVALID], |c, at, len| {
            c.run_input(c.tensors, &selvedge_tensor { name: at.cast::<c_char>(), name_len: len, ..input("") })
        }),
        bytes("selvedge_tensor.data", "12345678", Most::Exactly, [OK, INVALID, INVALID], |c, at, len| {
            c.run_input(c.tensors, &selvedge_tensor { data: at.cast::<c_void>(), byte_len: len, ..input("x0") })
        }),
        bytes("selvedge_tensor.data of bool", "\0\x01", Most::Exactly, [OK, INVALID, INVALID], |c, at, len| {
            let tensor = selvedge_tensor { dtype: SELVEDGE_BOOL, ..input("x") };
            c.run_input(c.bools, &selvedge_tensor { data: at.cast::<c_void>(), byte_len: len, ..tensor })
        }),
        bytes("selvedge_tensors.outputs of a name", "y1", Most::Bounded, [OK, INVALID, INVALID], |c, at, len| {
            let output = taken(at, len);
            let request = init!(selvedge_tensors { outputs: &raw const output, output_count: 1 });
            c.run(as_place(&request), ptr::null(), spare(), spare())
        }),
        bytes("selvedge_message.role", "user", Most::Bounded, [OK, INVALID, INVALID], |c, at, len| {
            let message = init!(selvedge_message { role: taken(at, len), content: text("hi") });
            chat(c, &message)
        }),
        bytes("selvedge_message.content", "hi", Most::Memory, [OK, OK, OK], |c, at, len| {
            let message = init!(selvedge_message { role: text("user"), content: taken(at, len) });
            chat(c, &message)
        }),
        bytes("selvedge_generate.prompt", "and then", Most::Memory, [OK, OK, INVALID], |c, at, len| {
            let request = init!(selvedge_generate { prompt: taken(at, len) });
            c.generate(as_place(&request), ptr::null(), spare(), spare())
        }),
        bytes("selvedge_generate.grammar", "a+", Most::Memory, [UNSUPPORTED; 3], |c, at, len| {
            let request =
                selvedge_generate { grammar: taken(at, len), grammar_kind: SELVEDGE_GRAMMAR_REGEX, ..prompt() };
            c.generate(as_place(&request), ptr::null(), spare(), spare())
        }),
        bytes("selvedge_generate.stop of a text", "goes", Most::Memory, [OK, INVALID, INVALID], |c, at, len| {
            let stop = taken(at, len);
            let request = selvedge_generate { stop: &raw const stop, stop_count: 1, ..prompt() };
            c.generate(as_place(&request), ptr::null(), spare(), spare())
        }),
        bytes("selvedge_embed.texts of a text", "warp", Most::Memory, [OK, OK, OK], |c, at, len| {
            let one = taken(at, len);
            let request = init!(selvedge_embed { texts: &raw const one, text_count: 1 });
            c.embed(as_place(&request), ptr::null(), spare(), spare())
        }),
    ]
}

fn with_sha256(place: *const u8) -> selvedge_status {
    let options = init!(selvedge_options { sha256: place });
    open(MISSING.as_ptr(), MISSING.len(), as_place(&options), spare(), spare())
}

fn chat(callee: &Callee, message: &selvedge_message) -> selvedge_status {
    let request = init!(selvedge_generate { messages: message, message_count: 1 });
    callee.generate(as_place(&request), ptr::null(), spare(), spare())
}

/// A request of one text.
pub(super) fn warp() -> selvedge_embed {
    init!(selvedge_embed { texts: Box::leak(Box::new(text("warp"))), text_count: 1 })
}

/// A place for a result that is not looked at.
pub(super) fn spare() -> *mut u8 {
    Box::leak(Box::new(init!(selvedge_event {}))) as *mut selvedge_event as *mut u8
}
