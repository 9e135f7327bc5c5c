//! NULL, bad UTF-8, wrong sizes, numbers without a meaning; and what is left behind by a call that fails.

use std::ffi::c_char;
use std::ptr;

use selvedge::fake::Fake;
use selvedge::{Code, DType};

use super::*;

#[track_caller]
fn open_refused(code: Code, path: &[u8], options: *const selvedge_options) -> String {
    let mut out = ptr::without_provenance_mut(0x5eed);
    // SAFETY: path and options live during the call.
    let message = refused(code, |err| unsafe {
        selvedge_engine_open(path.as_ptr().cast(), path.len(), options, &raw mut out, err)
    });
    assert!(out.is_null(), "an out-pointer is NULL after a failure");
    message
}

#[test]
fn version_and_abi_are_told_without_a_handle() {
    assert_eq!(selvedge_abi_version(), 1 << 16);
    // SAFETY: the version is static.
    assert_eq!(unsafe { CStr::from_ptr(selvedge_version()) }.to_str(), Ok(env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_path_must_be_utf8_without_nul() {
    let invalid = |path: &[u8]| open_refused(Code::InvalidArgument, path, ptr::null());
    assert_eq!(invalid(b"\xff\xfe.onnx"), "path: expected UTF-8: invalid utf-8 sequence of 1 bytes from index 0");
    assert_eq!(invalid(b"rain\0.onnx"), r#"path: expected the name of a file, got "rain\0.onnx""#);
    assert_eq!(invalid(b""), r#"path: expected the name of a file, got """#);

    let mut out = ptr::null_mut();
    // SAFETY: a NULL path is what is tested; a length beyond the address space is refused before it is read.
    unsafe {
        let null =
            refused(Code::InvalidArgument, |err| selvedge_engine_open(ptr::null(), 4, ptr::null(), &raw mut out, err));
        assert_eq!(null, "path: expected a pointer, got NULL");
        for len in [usize::MAX, isize::MAX as usize + 1] {
            let message = refused(Code::InvalidArgument, |err| {
                selvedge_engine_open(c"rain".as_ptr(), len, ptr::null(), &raw mut out, err)
            });
            assert_eq!(message, format!("path: a length of {len} exceeds the address space"));
        }
    }
}

#[test]
fn what_cannot_be_opened_is_told_why() {
    open_refused(Code::NotFound, b"no/such/model.onnx", ptr::null());
    let folder = tempfile::tempdir().unwrap();
    open_refused(Code::InvalidArgument, folder.path().to_str().unwrap().as_bytes(), ptr::null());
    let empty = folder.path().join("empty.onnx");
    std::fs::write(&empty, b"").unwrap();
    open_refused(Code::Corrupt, empty.to_str().unwrap().as_bytes(), ptr::null());
}

#[test]
fn every_place_to_write_to_is_checked_for_null() {
    let engine = handle(Fake::text("so it goes").build());
    let answer = {
        let (echo, mut out) = (handle(Fake::echo(DType::U8).build()), ptr::null_mut());
        let tensor = init!(selvedge_tensor {
            name: c"x".as_ptr(),
            name_len: 1,
            dtype: SELVEDGE_U8,
            data: c"x".as_ptr().cast(),
            byte_len: 1,
        });
        let request = init!(selvedge_tensors { inputs: &raw const tensor, input_count: 1 });
        // SAFETY: request and tensor live during the call.
        call(|err| unsafe { selvedge_engine_run(echo, &request, ptr::null(), &raw mut out, err) }).unwrap();
        assert_eq!(selvedge_engine_close(echo), SELVEDGE_OK);
        out
    };
    let mut run = ptr::null_mut();
    let prompt = init!(selvedge_generate { prompt: text("and then") });
    let (mut json, mut len): (*const c_char, usize) = (ptr::null(), 0);
    let (json, len) = (&raw mut json, &raw mut len);
    let null = ptr::null_mut;
    let says = |message: String, what: &str| assert_eq!(message, format!("{what}: expected a pointer, got NULL"));
    let no = Code::InvalidArgument;
    // SAFETY: NULL is what is tested; all else lives during the calls.
    unsafe {
        call(|err| selvedge_engine_generate(engine, &prompt, ptr::null(), &raw mut run, err)).unwrap();
        says(refused(no, |err| selvedge_cancel_new(ptr::null_mut(), err)), "out");
        says(refused(no, |err| selvedge_engine_open(c"x".as_ptr(), 1, ptr::null(), ptr::null_mut(), err)), "out");
        says(refused(no, |err| selvedge_engine_spec_json(engine, ptr::null_mut(), len, err)), "json");
        says(refused(no, |err| selvedge_engine_spec_json(engine, json, null(), err)), "len");
        says(refused(no, |err| selvedge_engine_generate(engine, &prompt, ptr::null(), ptr::null_mut(), err)), "out");
        says(refused(no, |err| selvedge_run_next(run, ptr::null_mut(), err)), "selvedge_event");
        says(refused(no, |err| selvedge_run_answer(run, ptr::null_mut(), err)), "out");
        says(refused(no, |err| selvedge_answer_output_count(answer, null(), err)), "count");
        says(refused(no, |err| selvedge_answer_output(answer, 0, ptr::null_mut(), err)), "selvedge_tensor");
        says(refused(no, |err| selvedge_answer_json(answer, ptr::null_mut(), len, err)), "json");
        says(refused(no, |err| selvedge_answer_json(answer, json, null(), err)), "len");

        let mut out = ptr::null_mut();
        let out = &raw mut out;
        says(refused(no, |err| selvedge_engine_run(engine, ptr::null(), ptr::null(), out, err)), "selvedge_tensors");
        says(refused(no, |err| selvedge_engine_embed(engine, ptr::null(), ptr::null(), out, err)), "selvedge_embed");
        let run_out = &raw mut run;
        let generate =
            |err: *mut *mut selvedge_error| selvedge_engine_generate(engine, ptr::null(), ptr::null(), run_out, err);
        let kept = run;
        says(refused(no, generate), "selvedge_generate");
        run = kept;
    }
    assert_eq!(selvedge_run_free(run), SELVEDGE_OK);
    assert_eq!(selvedge_answer_free(answer), SELVEDGE_OK);
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

#[test]
fn a_caller_may_do_without_error_objects() {
    // SAFETY: NULL is what is tested.
    unsafe {
        assert_eq!(selvedge_cancel_new(ptr::null_mut(), ptr::null_mut()), INVALID);
        assert_eq!(selvedge_run_next(ptr::null_mut(), ptr::null_mut(), ptr::null_mut()), INVALID);
    }
}

/// A struct with room after it, as a caller with a newer header has.
#[repr(C)]
struct Newer<T> {
    known: T,
    unknown: [u8; 16],
}

#[test]
fn a_struct_of_another_size_is_refused_unless_what_is_unknown_is_zero() {
    // That of the first version, which ended where this field was added.
    let size = std::mem::offset_of!(selvedge_options, crash_folder);
    for wrong in [0, 1, size_of::<usize>(), size - 1, 4097, usize::MAX] {
        let options = init!(selvedge_options { struct_size: wrong });
        let message = open_refused(Code::InvalidArgument, b"no/such/file", &options);
        assert_eq!(message, format!("selvedge_options.struct_size: expected {size} to 4096, got {wrong}"));
    }
    // What lies behind it is not the caller's.
    let older = init!(selvedge_options { struct_size: size, crash_app_version: text("without a folder") });
    open_refused(Code::NotFound, b"no/such/file", &older);
    let mut newer = Newer { known: init!(selvedge_options {}), unknown: [0; 16] };
    newer.known.struct_size = size_of_val(&newer);
    open_refused(Code::NotFound, b"no/such/file", (&raw const newer).cast());
    for i in 0..16 {
        newer.unknown = [0; 16];
        newer.unknown[i] = 1;
        let message = open_refused(Code::InvalidArgument, b"no/such/file", (&raw const newer).cast());
        assert!(message.starts_with("selvedge_options: a field that this version"), "{message}");
    }
}

#[test]
fn an_event_of_another_size_is_filled_as_far_as_both_know_it() {
    let engine = handle(Fake::text("so it goes").build());
    let mut run = ptr::null_mut();
    let prompt = init!(selvedge_generate { prompt: text("and then") });
    // SAFETY: the pointers live during the calls.
    unsafe {
        call(|err| selvedge_engine_generate(engine, &prompt, ptr::null(), &raw mut run, err)).unwrap();
        let mut newer = Newer { known: init!(selvedge_event {}), unknown: [0xa5; 16] };
        newer.known.struct_size = size_of_val(&newer) - 8;
        call(|err| selvedge_run_next(run, (&raw mut newer).cast(), err)).unwrap();
        assert_eq!(newer.known.kind, SELVEDGE_EVENT_TEXT);
        assert_eq!(newer.known.struct_size, size_of_val(&newer) - 8, "the caller's size stays");
        assert_eq!(newer.unknown[..8], [0; 8], "what the library does not know is zeroed");
        assert_eq!(newer.unknown[8..], [0xa5; 8], "nothing beyond struct_size is touched");

        // That of the first version, which knew no calls, is filled; what lies behind it is not touched.
        let first = std::mem::offset_of!(selvedge_event, name);
        let mut older = init!(selvedge_event { struct_size: first, index: 7 });
        call(|err| selvedge_run_next(run, &raw mut older, err)).unwrap();
        assert_eq!((older.kind, older.index), (SELVEDGE_EVENT_TEXT, 7));

        let mut small = init!(selvedge_event { struct_size: first - 8, done: 7 });
        refused(Code::InvalidArgument, |err| selvedge_run_next(run, &raw mut small, err));
        assert_eq!(small.done, 7, "a struct of unknown size is not written to");

        let mut event = init!(selvedge_event { done: 7, finish: 7 });
        refused(Code::BadHandle, |err| selvedge_run_next(ptr::without_provenance_mut(1), &raw mut event, err));
        assert_eq!((event.done, event.finish), (0, 0), "a failed call zeroes what it would have written");
    }
    assert_eq!(selvedge_run_free(run), SELVEDGE_OK);
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

#[test]
fn numbers_and_flags_without_a_meaning_are_refused() {
    let no = |options: selvedge_options, what: &str| {
        let message = open_refused(Code::InvalidArgument, b"no/such/file", &options);
        assert!(message.starts_with(what), "{message}");
    };
    no(init!(selvedge_options { backend: 6 }), "selvedge_backend: 6 has no meaning");
    no(init!(selvedge_options { backend: -1 }), "selvedge_backend: -1 has no meaning");
    no(init!(selvedge_options { loading: 2 }), "selvedge_loading: 2 has no meaning");
    no(init!(selvedge_options { flags: 15 }), "selvedge_options.flags: the bits 0x8 have no meaning");
    no(init!(selvedge_options { reserved: 1 }), "selvedge_options.reserved: the bits 0x1 have no meaning");
    no(
        init!(selvedge_options { accelerator_flags: 1 }),
        "selvedge_options.accelerator_flags: the bits 0x1 have no meaning",
    );
    no(
        init!(selvedge_options { accelerator_device: text("Vulkan0") }),
        "selvedge_options.accelerator_layers: expected some for a device, got 0",
    );
    no(
        init!(selvedge_options { onnxruntime: text("\u{1f9f5}").cut(2) }),
        "selvedge_options.onnxruntime: expected UTF-8",
    );

    let engine = handle(Fake::text("so it goes").build());
    let mut run = ptr::null_mut();
    let mut no = |request: selvedge_generate, terms: selvedge_call, what: &str| {
        // SAFETY: the pointers live during the call.
        let message = refused(Code::InvalidArgument, |err| unsafe {
            selvedge_engine_generate(engine, &request, &terms, &raw mut run, err)
        });
        assert!(message.starts_with(what), "{message}");
    };
    let good = init!(selvedge_generate { prompt: text("and then") });
    let terms = init!(selvedge_call {});
    no(good, init!(selvedge_call { priority: 2 }), "selvedge_priority: 2 has no meaning");
    no(good, init!(selvedge_call { flags: 1 }), "selvedge_call.flags: the bits 0x1");
    no(selvedge_generate { flags: 16, ..good }, terms, "selvedge_generate.flags: the bits 0x10");
    no(selvedge_generate { reserved: 1, ..good }, terms, "selvedge_generate.reserved: the bits 0x1");
    no(selvedge_generate { text_flags: 1, ..good }, terms, "selvedge_generate.text_flags: the bits 0x1");
    no(
        selvedge_generate { temperature: f32::NAN, ..good },
        terms,
        "temperature: expected a finite number >= 0, got NaN",
    );
    no(selvedge_generate { top_p: 1.5, ..good }, terms, "top_p: expected");
    no(
        selvedge_generate { prompt: text("\u{1f9f5}").cut(3), ..good },
        terms,
        "selvedge_generate.prompt: expected UTF-8",
    );
    no(
        init!(selvedge_generate {}),
        terms,
        "selvedge_generate: expected a prompt, messages or tokens, got none of them",
    );
    let empty = selvedge_text { data: ptr::null(), len: 0 };
    let message = init!(selvedge_message { role: empty, content: text("hello") });
    let chat = init!(selvedge_generate { messages: &raw const message, message_count: 1 });
    no(chat, terms, "selvedge_message.role: expected a name, got none");
    no(
        selvedge_generate { prompt: text("x"), ..chat },
        terms,
        "selvedge_generate: expected one of prompt, messages and tokens, got more",
    );
    no(
        selvedge_generate { messages: ptr::null(), ..chat },
        terms,
        "selvedge_generate.messages: expected a pointer, got NULL",
    );
    no(
        selvedge_generate { message_count: 65_537, ..chat },
        terms,
        "selvedge_generate.messages: expected at most 65536",
    );
    no(
        selvedge_generate { stop: ptr::null(), stop_count: 1, ..good },
        terms,
        "selvedge_generate.stop: expected a pointer",
    );
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

#[test]
fn elements_of_an_array_have_one_size() {
    let engine = handle(Fake::text("so it goes").build());
    // Two messages of a newer header, side by side.
    let of =
        |role, unknown| Newer { known: init!(selvedge_message { role: text(role), content: text("hi") }), unknown };
    let mut messages = [of("system", [0; 16]), of("user", [0; 16])];
    let stride = size_of_val(&messages[0]);
    for message in &mut messages {
        message.known.struct_size = stride;
    }
    let start = |messages: &[Newer<selvedge_message>; 2]| {
        let request = init!(selvedge_generate { messages: messages.as_ptr().cast(), message_count: 2 });
        let mut run = ptr::null_mut();
        // SAFETY: the pointers live during the call.
        let result = call(|err| unsafe { selvedge_engine_generate(engine, &request, ptr::null(), &raw mut run, err) });
        assert_eq!(selvedge_run_free(run), SELVEDGE_OK);
        result
    };
    start(&messages).unwrap();
    messages[1].unknown[3] = 1;
    assert!(start(&messages).unwrap_err().1.starts_with("selvedge_message: a field that this version"));
    messages[1].unknown[3] = 0;
    messages[1].known.struct_size = size_of::<selvedge_message>();
    let (code, message) = start(&messages).unwrap_err();
    let expected =
        format!("selvedge_generate.messages[1].struct_size: expected {stride} as in [0], got {}", stride - 16);
    assert_eq!((code, message), (1, expected));
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

trait Cut {
    fn cut(self, len: usize) -> Self;
}

impl Cut for selvedge_text {
    /// The first bytes of a text, perhaps in the middle of a character.
    fn cut(self, len: usize) -> Self {
        selvedge_text { len, ..self }
    }
}
