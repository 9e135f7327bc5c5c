//! The places at which a caller's pointer stands where an engine is asked: outputs of the caller's, steps, tokens, strings.

use super::callee::{Callee, as_place, prompt};
use super::cases::Most;
use super::places::{Array, OK, Place, input, raw, read, result, some, spare, taken, texts};
use super::*;

pub(super) fn places() -> Vec<Place> {
    into().into_iter().chain(steps()).chain(tokens()).chain(strings()).collect()
}

/// `selvedge_engine_run_into`.
fn into() -> Vec<Place> {
    vec![
        read(
            "selvedge_engine_run_into.request",
            || raw(init!(selvedge_tensors {})),
            |c, at| run_into(c, at, &mut [], no(), spare()),
            OK,
            INVALID,
        ),
        read(
            "selvedge_engine_run_into.call",
            || raw(init!(selvedge_call {})),
            |c, at| run_into(c, as_place(&init!(selvedge_tensors {})), &mut [], at, spare()),
            OK,
            OK,
        ),
        result("selvedge_engine_run_into.err", INVALID, INVALID, |c, at| run_into(c, no(), &mut [], no(), at)),
        Place::Array(Array {
            name: "selvedge_engine_run_into.outputs",
            grows: true,
            good: || ["y2", "y0", "y1"].map(|name| raw(place(name))).to_vec(),
            call: |c, at, count| run_at(c, as_place(&init!(selvedge_tensors {})), at.cast_mut(), count, no(), spare()),
            most: 65_536,
            then: OK,
            empty: OK,
            null: OK,
        }),
        some("selvedge_output.name", b"y1", Most::Bounded, [OK, INVALID, INVALID], |c, at, len| {
            into_one(c, selvedge_output { name: taken(at, len), ..place("") })
        }),
        some("selvedge_output.data", b"1234", Most::Memory, [OK, INVALID, INVALID], |c, at, len| {
            into_one(c, selvedge_output { data: at.cast_mut().cast(), capacity: len, ..place("y0") })
        }),
        Place::Array(Array {
            name: "selvedge_output.dims",
            good: || vec![raw(7i64); 3],
            call: |c, at, count| {
                into_one(c, selvedge_output { dims: at.cast_mut().cast(), dim_capacity: count, ..place("y0") })
            },
            empty: INVALID,
            null: INVALID,
            ..texts()
        }),
    ]
}

/// `selvedge_engine_start` and `selvedge_engine_trim`.
fn steps() -> Vec<Place> {
    vec![
        read(
            "selvedge_engine_start.request",
            || raw(init!(selvedge_tensors {})),
            |c, at| start(c, at, no(), spare(), spare()),
            OK,
            INVALID,
        ),
        read(
            "selvedge_engine_start.call",
            || raw(init!(selvedge_call {})),
            |c, at| start(c, as_place(&none()), at, spare(), spare()),
            OK,
            OK,
        ),
        result("selvedge_engine_start.out", OK, INVALID, |c, at| start(c, as_place(&none()), no(), at, spare())),
        result("selvedge_engine_start.err", INVALID, INVALID, |c, at| start(c, no(), no(), spare(), at)),
        result("selvedge_engine_trim.freed", OK, INVALID, |c, at| trim(c, at, spare())),
        result("selvedge_engine_trim.err", INVALID, INVALID, |c, at| trim(c, ptr::null_mut(), at)),
    ]
}

/// Prompts to tokens, and back.
fn tokens() -> Vec<Place> {
    let three = || (1..4u32).map(raw).collect();
    vec![
        read(
            "selvedge_engine_tokenize.request",
            || raw(prompt()),
            |c, at| tokenize(c, at, spare(), spare()),
            OK,
            INVALID,
        ),
        result("selvedge_engine_tokenize.out", OK, INVALID, |c, at| tokenize(c, as_place(&prompt()), at, spare())),
        result("selvedge_engine_tokenize.err", INVALID, INVALID, |c, at| tokenize(c, no(), spare(), at)),
        read("selvedge_engine_render.request", || raw(chat()), |c, at| render(c, at, spare(), spare()), OK, INVALID),
        result("selvedge_engine_render.out", OK, INVALID, |c, at| render(c, as_place(&chat()), at, spare())),
        result("selvedge_engine_render.err", INVALID, INVALID, |c, at| render(c, no(), spare(), at)),
        result("selvedge_engine_detokenize.out", OK, INVALID, |c, at| detokenize(c, no(), 0, at, spare())),
        result("selvedge_engine_detokenize.err", INVALID, INVALID, |c, at| detokenize(c, no(), 1, spare(), at)),
        Place::Array(Array {
            name: "selvedge_engine_detokenize.tokens",
            good: three,
            call: |c, at, count| detokenize(c, at, count, spare(), spare()),
            ..texts()
        }),
        Place::Array(Array {
            name: "selvedge_generate.tokens",
            good: three,
            call: |c, at, count| {
                let request = init!(selvedge_generate { tokens: at.cast(), token_count: count });
                c.generate(as_place(&request), no(), spare(), spare())
            },
            empty: INVALID,
            null: INVALID,
            ..texts()
        }),
    ]
}

/// The elements of a string tensor.
fn strings() -> Vec<Place> {
    vec![
        // An element of zeros is the empty text.
        some(
            "selvedge_tensor.data of strings",
            &[0; size_of::<selvedge_text>()],
            Most::Exactly,
            [OK, INVALID, INVALID],
            |c, at, len| string(c, at.cast(), len),
        ),
        some("selvedge_tensor.data of a text", b"warp", Most::Memory, [OK; 3], |c, at, len| {
            string(c, &taken(at, len), size_of::<selvedge_text>())
        }),
    ]
}

/// A place that the caller leaves out.
fn no() -> *const u8 {
    ptr::null()
}

fn none() -> selvedge_tensors {
    init!(selvedge_tensors {})
}

/// Room for an output of one number.
fn place(name: &str) -> selvedge_output {
    let room: &'static mut [i64; 2] = Box::leak(Box::new([0; 2]));
    let [data, dims] = room;
    init!(selvedge_output {
        name: taken(name.as_ptr(), name.len()),
        data: ptr::from_mut(data).cast(),
        capacity: 4,
        dims: dims,
        dim_capacity: 1,
    })
}

fn chat() -> selvedge_generate {
    let message = Box::leak(Box::new(init!(selvedge_message { role: text("user"), content: text("hi") })));
    init!(selvedge_generate { messages: message, message_count: 1 })
}

fn string(callee: &Callee, at: *const selvedge_text, len: usize) -> selvedge_status {
    const ONE: [i64; 1] = [1];
    let tensor =
        selvedge_tensor { dtype: SELVEDGE_STRING, dims: ONE.as_ptr(), data: at.cast(), byte_len: len, ..input("x") };
    callee.run_input(callee.strings, &tensor)
}

fn into_one(callee: &Callee, output: selvedge_output) -> selvedge_status {
    run_into(callee, as_place(&init!(selvedge_tensors {})), &mut [output], ptr::null(), spare())
}

fn run_into(
    callee: &Callee,
    request: *const u8,
    outputs: &mut [selvedge_output],
    call: *const u8,
    err: *mut u8,
) -> selvedge_status {
    let (at, count) = (outputs.as_mut_ptr(), outputs.len());
    run_at(callee, request, at.cast(), count, call, err)
}

fn run_at(
    callee: &Callee,
    request: *const u8,
    at: *mut u8,
    count: usize,
    call: *const u8,
    err: *mut u8,
) -> selvedge_status {
    // SAFETY: the places are as a case made them: what the library may touch of them is there.
    unsafe { selvedge_engine_run_into(callee.tensors, request.cast(), at.cast(), count, call.cast(), err.cast()) }
}

fn start(callee: &Callee, request: *const u8, call: *const u8, out: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_engine_start(callee.tensors, request.cast(), call.cast(), out.cast(), err.cast()) }
}

fn trim(callee: &Callee, freed: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_engine_trim(callee.tensors, SELVEDGE_TRIM_ALL, freed.cast(), err.cast()) }
}

fn tokenize(callee: &Callee, request: *const u8, out: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_engine_tokenize(callee.spells, request.cast(), out.cast(), err.cast()) }
}

fn detokenize(callee: &Callee, tokens: *const u8, count: usize, out: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_engine_detokenize(callee.spells, tokens.cast(), count, out.cast(), err.cast()) }
}

fn render(callee: &Callee, request: *const u8, out: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_engine_render(callee.spells, request.cast(), out.cast(), err.cast()) }
}
