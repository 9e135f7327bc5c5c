//! The places at which a caller's pointer stands where a model is opened or looked at.

use super::callee::as_place;
use super::cases::Most;
use super::places::{Array, MISSING, NOT_FOUND, Place, UNSUPPORTED, raw, read, result, some, spare, taken};
use super::*;

const CORRUPT: selvedge_status = selvedge_status(8);

fn with(options: &selvedge_options) -> selvedge_status {
    open_source(as_place(&missing()), as_place(options), spare(), spare())
}

pub(super) fn places() -> Vec<Place> {
    let source = || raw(missing());
    let options = || raw(init!(selvedge_options {}));
    vec![
        read("selvedge_inspect.source", source, |_, at| inspect(at, no(), spare(), spare()), NOT_FOUND, INVALID),
        read(
            "selvedge_inspect.options",
            options,
            |_, at| inspect(as_place(&missing()), at, spare(), spare()),
            NOT_FOUND,
            NOT_FOUND,
        ),
        result("selvedge_inspect.out", NOT_FOUND, INVALID, |_, at| inspect(as_place(&missing()), no(), at, spare())),
        result("selvedge_inspect.err", INVALID, INVALID, |_, at| inspect(no(), no(), spare(), at)),
        read("selvedge_validate.source", source, |_, at| validate(at, no(), spare()), NOT_FOUND, INVALID),
        read(
            "selvedge_validate.options",
            options,
            |_, at| validate(as_place(&missing()), at, spare()),
            NOT_FOUND,
            NOT_FOUND,
        ),
        result("selvedge_validate.err", INVALID, INVALID, |_, at| validate(no(), no(), at)),
        read(
            "selvedge_engine_open_source.source",
            source,
            |_, at| open_source(at, no(), spare(), spare()),
            NOT_FOUND,
            INVALID,
        ),
        read(
            "selvedge_engine_open_source.options",
            options,
            |_, at| open_source(as_place(&missing()), at, spare(), spare()),
            NOT_FOUND,
            NOT_FOUND,
        ),
        result("selvedge_engine_open_source.out", NOT_FOUND, INVALID, |_, at| {
            open_source(as_place(&missing()), no(), at, spare())
        }),
        result("selvedge_engine_open_source.err", INVALID, INVALID, |_, at| open_source(no(), no(), spare(), at)),
        some("selvedge_source.path", MISSING, Most::Bounded, [NOT_FOUND, INVALID, INVALID], |_, at, len| {
            let source = init!(selvedge_source { path: taken(at, len) });
            open_source(as_place(&source), no(), spare(), spare())
        }),
        some("selvedge_source.data", b"not a model", Most::Memory, [UNSUPPORTED, CORRUPT, CORRUPT], |_, at, len| {
            let source = init!(selvedge_source { kind: SELVEDGE_SOURCE_MEMORY, data: at.cast(), data_len: len });
            open_source(as_place(&source), no(), spare(), spare())
        }),
        some("selvedge_options.measurements", b"no/such", Most::Bounded, [NOT_FOUND; 3], |_, at, len| {
            with(&init!(selvedge_options { measurements: taken(at, len) }))
        }),
        some("selvedge_options.accelerator_device", b"Vulkan0", Most::Bounded, [NOT_FOUND; 3], |_, at, len| {
            with(&init!(selvedge_options { accelerator_device: taken(at, len), accelerator_layers: 1 }))
        }),
        Place::Array(Array {
            name: "selvedge_options.session_entries",
            grows: false,
            good: || vec![raw(selvedge_pair { name: text("key"), value: text("value") }); 3],
            call: |_, at, count| with_entries(at.cast(), count),
            most: 65_536,
            then: NOT_FOUND,
            empty: NOT_FOUND,
            null: NOT_FOUND,
        }),
        some("selvedge_pair.name", b"key", Most::Bounded, [NOT_FOUND; 3], |_, at, len| {
            with_entries(&selvedge_pair { name: taken(at, len), value: text("value") }, 1)
        }),
        some("selvedge_pair.value", b"value", Most::Memory, [NOT_FOUND; 3], |_, at, len| {
            with_entries(&selvedge_pair { name: text("key"), value: taken(at, len) }, 1)
        }),
    ]
}

/// A place that the caller leaves out.
fn no() -> *const u8 {
    ptr::null()
}

/// A source that is read and then not found.
fn missing() -> selvedge_source {
    init!(selvedge_source { path: taken(MISSING.as_ptr(), MISSING.len()) })
}

fn with_entries(at: *const selvedge_pair, count: usize) -> selvedge_status {
    let options = init!(selvedge_options { session_entries: at, session_entry_count: count });
    open_source(as_place(&missing()), as_place(&options), spare(), spare())
}

fn inspect(source: *const u8, options: *const u8, out: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: the places are as a case made them: what the library may touch of them is there.
    unsafe { selvedge_inspect(source.cast(), options.cast(), out.cast(), err.cast()) }
}

fn validate(source: *const u8, options: *const u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_validate(source.cast(), options.cast(), err.cast()) }
}

fn open_source(source: *const u8, options: *const u8, out: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_engine_open_source(source.cast(), options.cast(), out.cast(), err.cast()) }
}
