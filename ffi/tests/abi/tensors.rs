//! Tensors in and out: what is borrowed, what is copied, and what is refused.

use std::ffi::{c_char, c_void};
use std::ptr;
use std::time::{Duration, Instant};

use selvedge::fake::Fake;
use selvedge::{Code, DType, Dim, Port, Tensor};

use super::engines::Panics;
use super::*;

pub(crate) fn tensor(name: &str, of: i32, dims: &[i64], at: *const c_void, len: usize) -> selvedge_tensor {
    init!(selvedge_tensor {
        name: name.as_ptr().cast(),
        name_len: name.len(),
        dims: dims.as_ptr(),
        rank: dims.len(),
        data: at,
        byte_len: len,
        dtype: of,
    })
}

pub(crate) fn floats<'a>(name: &'a str, dims: &'a [i64], data: &'a [f32]) -> selvedge_tensor {
    tensor(name, SELVEDGE_F32, dims, data.as_ptr().cast(), size_of_val(data))
}

/// Runs; gives the answer's handle.
pub(crate) fn run(
    engine: *mut selvedge_engine,
    inputs: &[selvedge_tensor],
    terms: Option<&selvedge_call>,
) -> Result<*mut selvedge_answer, (i32, String)> {
    let request = init!(selvedge_tensors { inputs: inputs.as_ptr(), input_count: inputs.len() });
    ask(engine, &request, terms)
}

pub(crate) fn ask(
    engine: *mut selvedge_engine,
    request: &selvedge_tensors,
    terms: Option<&selvedge_call>,
) -> Result<*mut selvedge_answer, (i32, String)> {
    let mut out = ptr::without_provenance_mut(0x5eed);
    let terms = terms.map_or(ptr::null(), ptr::from_ref);
    // SAFETY: request and inputs live during the call.
    let result = call(|err| unsafe { selvedge_engine_run(engine, request, terms, &raw mut out, err) });
    assert_eq!(result.is_err(), out.is_null());
    result.map(|()| out)
}

pub(crate) fn output(answer: *mut selvedge_answer, index: usize) -> selvedge_tensor {
    let mut tensor = init!(selvedge_tensor {});
    // SAFETY: the tensor may be written.
    call(|err| unsafe { selvedge_answer_output(answer, index, &raw mut tensor, err) }).unwrap();
    tensor
}

pub(crate) fn bytes<'a>(t: &selvedge_tensor) -> &'a [u8] {
    // SAFETY: the data lives as long as the answer, which every test frees last.
    unsafe { std::slice::from_raw_parts(t.data.cast(), t.byte_len) }
}

#[test]
fn every_dtype_goes_in_and_comes_out_unchanged() {
    for dtype in DType::ALL {
        let engine = handle(Fake::echo(dtype).build());
        // Strings are another matter.
        let Some(size) = dtype.size() else { continue };
        let data: Vec<u64> = vec![0x0001_0001_0101_0100, 0x0100_0001_0001_0101, 0x0101_0100_0101_0000];
        let dims = [3, 1, 8 / size as i64];
        let answer = run(engine, &[tensor("x", dtype as i32, &dims, data.as_ptr().cast(), 24)], None).unwrap();
        let y = output(answer, 0);
        let expected: Vec<u8> = data.iter().flat_map(|d| d.to_le_bytes()).collect();
        assert_eq!(bytes(&y), expected, "{dtype}");
        // SAFETY: name and dimensions live as long as the answer.
        let (name, got) = unsafe { (CStr::from_ptr(y.name), std::slice::from_raw_parts(y.dims, y.rank)) };
        assert_eq!((name, y.name_len, got, y.dtype, y.flags), (c"y", 1, &dims[..], dtype as i32, 0));
        assert_eq!(selvedge_answer_free(answer), SELVEDGE_OK);
        assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
    }
}

#[test]
fn a_scalar_has_no_dimensions_and_an_empty_tensor_no_data() {
    let engine = handle(Fake::echo(DType::F32).build());
    let scalar = [2.5f32];
    let answer = run(engine, &[tensor("x", SELVEDGE_F32, &[], scalar.as_ptr().cast(), 4)], None).unwrap();
    assert_eq!((output(answer, 0).rank, bytes(&output(answer, 0))), (0, &2.5f32.to_le_bytes()[..]));
    assert_eq!(selvedge_answer_free(answer), SELVEDGE_OK);

    let mut empty = tensor("x", SELVEDGE_F32, &[2, 0], ptr::null(), 0);
    let answer = run(engine, &[empty], None).unwrap();
    assert_eq!((output(answer, 0).rank, output(answer, 0).byte_len), (2, 0));
    assert_eq!(selvedge_answer_free(answer), SELVEDGE_OK);

    empty.dims = ptr::null();
    let (code, message) = run(engine, &[empty], None).unwrap_err();
    assert_eq!((code, &*message), (1, "selvedge_tensor.dims: expected a pointer, got NULL"));
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

#[test]
fn a_tensor_that_cannot_be_is_refused_by_name() {
    let engine = handle(Fake::echo(DType::F32).build());
    let data = [1.0f32, 2.0];
    let good = floats("x", &[2], &data);
    let no = |t: selvedge_tensor, expected: &str| {
        let (code, message) = run(engine, &[t], None).unwrap_err();
        assert_eq!((code, &*message), (Code::InvalidArgument as i32, expected));
    };
    no(
        selvedge_tensor { dtype: 0, ..good },
        "selvedge_dtype: 0 has no meaning in this version of the library (while reading input 'x')",
    );
    no(
        selvedge_tensor { dtype: 15, ..good },
        "selvedge_dtype: 15 has no meaning in this version of the library (while reading input 'x')",
    );
    no(
        selvedge_tensor { flags: 1, ..good },
        "selvedge_tensor.flags: the bits 0x1 have no meaning in this version of the library",
    );
    no(selvedge_tensor { rank: 65, ..good }, "input 'x': expected a rank of at most 64, got 65");
    no(selvedge_tensor { byte_len: 4, ..good }, "tensor [2] of f32: expected 8 bytes, got 4 (while reading input 'x')");
    no(
        selvedge_tensor { data: ptr::null(), ..good },
        "selvedge_tensor.data: expected a pointer, got NULL (while reading input 'x')",
    );
    no(selvedge_tensor { name: ptr::null(), ..good }, "selvedge_tensor.name: expected a pointer, got NULL");
    no(selvedge_tensor { struct_size: 0, ..good }, "selvedge_tensor.struct_size: expected 64 to 4096, got 0");
    no(floats("x", &[-2], &data), "input 'x': expected dimensions of at least 0, got -2");
    no(floats("w", &[2], &data), r#"input 'w' is unknown: expected one of ["x"]"#);
    let huge = [i64::MAX, i64::MAX];
    no(
        floats("x", &huge, &data),
        &format!("shape {huge:?} has more than {} elements (while reading input 'x')", i64::MAX),
    );
    let bad = tensor("x", SELVEDGE_BOOL, &[2], [1u8, 2].as_ptr().cast(), 2);
    no(bad, "bool: expected bytes of 0 and 1, got another (while reading input 'x')");

    let (code, message) = run(engine, &[good, good], None).unwrap_err();
    assert_eq!((code, &*message), (1, "input 'x' is given twice"));
    let (code, message) = run(engine, &[], None).unwrap_err();
    assert_eq!(code, 1, "{message}");
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

#[test]
fn outputs_come_in_the_order_asked_for() {
    let port = |name: &str| Port::tensor(name, DType::F32, vec![Dim::Symbol("n".into())]);
    let engine = Fake::tensors(vec![port("x")], vec![port("same"), port("twice")], |inputs| {
        let x = inputs[0].as_ref().expect("required").as_slice::<f32>()?;
        let twice = x.iter().map(|v| v * 2.0).collect();
        Ok(vec![Tensor::new(&[x.len()], x.to_vec())?, Tensor::new(&[x.len()], twice)?])
    });
    let engine = handle(engine.build());
    let x = [floats("x", &[2], &[1.0, 2.0])];
    let wanted = [text("twice"), text("same")];
    let mut request =
        init!(selvedge_tensors { inputs: x.as_ptr(), input_count: 1, outputs: wanted.as_ptr(), output_count: 2 });
    let answer = ask(engine, &request, None).unwrap();
    let mut count = 0;
    // SAFETY: the count may be written.
    call(|err| unsafe { selvedge_answer_output_count(answer, &raw mut count, err) }).unwrap();
    assert_eq!(count, 2);
    let f = |v: f32| v.to_le_bytes();
    assert_eq!(bytes(&output(answer, 0)), [f(2.0), f(4.0)].concat());
    assert_eq!(bytes(&output(answer, 1)), [f(1.0), f(2.0)].concat());
    let mut beyond = init!(selvedge_tensor {});
    // SAFETY: the tensor may be written.
    let message = refused(Code::NotFound, |err| unsafe { selvedge_answer_output(answer, 2, &raw mut beyond, err) });
    assert_eq!(message, "output 2: the answer has 2 outputs");
    assert_eq!(selvedge_answer_free(answer), SELVEDGE_OK);

    request.output_count = 0;
    let none = ask(engine, &request, None).unwrap();
    // SAFETY: the count may be written.
    call(|err| unsafe { selvedge_answer_output_count(none, &raw mut count, err) }).unwrap();
    assert_eq!(count, 0, "outputs that is not NULL asks for just those");
    assert_eq!(selvedge_answer_free(none), SELVEDGE_OK);
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

#[test]
fn a_panic_below_is_an_error_and_the_engine_stays_usable() {
    let data = [1.0f32];
    for at in ["start", "step", "run drop", "payload"] {
        let engine = handle(Panics::at(at));
        for _ in 0..2 {
            let (code, message) = run(engine, &[floats("x", &[1], &data)], None).unwrap_err();
            assert_eq!(code, Code::Panic as i32, "{at}");
            let said = if at == "payload" { "without words" } else { "panics at will" };
            assert!(message.starts_with("code below this call panicked: ") && message.contains(said), "{message}");
        }
        assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
    }
    let engine = handle(Panics::at("spec"));
    let (mut json, mut len): (*const c_char, usize) = (ptr::null(), 0);
    // SAFETY: both may be written.
    refused(Code::Panic, |err| unsafe { selvedge_engine_spec_json(engine, &raw mut json, &raw mut len, err) });
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
    let engine = handle(Panics::at("engine drop"));
    assert_eq!(selvedge_engine_close(engine), selvedge_status(Code::Panic as i32));
    assert_eq!(selvedge_engine_close(engine), BAD_HANDLE, "the handle has ended all the same");
}

#[test]
fn a_call_ends_by_timeout_and_by_cancel_from_another_thread() {
    let engine = handle(Fake::echo(DType::F32).delay(Duration::from_secs(3600)).build());
    let data = [1.0f32];
    let x = [floats("x", &[1], &data)];
    let begun = Instant::now();
    let terms = init!(selvedge_call { timeout_ms: 30 });
    assert_eq!(run(engine, &x, Some(&terms)).unwrap_err().0, Code::DeadlineExceeded as i32);

    let mut cancel = ptr::null_mut();
    // SAFETY: `cancel` may be written.
    call(|err| unsafe { selvedge_cancel_new(&raw mut cancel, err) }).unwrap();
    let switch = Shared(cancel);
    let terms = init!(selvedge_call { cancel: switch.get() });
    std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(30));
            assert_eq!(selvedge_cancel_set(switch.get()), SELVEDGE_OK);
            // The call keeps the switch that it carries.
            assert_eq!(selvedge_cancel_free(switch.get()), SELVEDGE_OK);
        });
        assert_eq!(run(engine, &x, Some(&terms)).unwrap_err().0, Code::Cancelled as i32);
    });
    assert!(begun.elapsed() < Duration::from_secs(1800), "{:?}", begun.elapsed());
    assert_eq!(run(engine, &x, Some(&terms)).unwrap_err().0, Code::BadHandle as i32);
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

#[test]
fn texts_are_embedded_and_the_spec_tells_the_size() {
    let engine = handle(Fake::embedding(4).build());
    let texts = [text("warp"), text("weft"), text("warp")];
    let embed = |how| {
        let request = init!(selvedge_embed { texts: texts.as_ptr(), text_count: 3, flags: how });
        let mut answer = ptr::null_mut();
        // SAFETY: request and texts live during the call.
        call(|err| unsafe { selvedge_engine_embed(engine, &request, ptr::null(), &raw mut answer, err) }).unwrap();
        let y = output(answer, 0);
        // SAFETY: name and dimensions live as long as the answer.
        let (name, dims) = unsafe { (CStr::from_ptr(y.name), std::slice::from_raw_parts(y.dims, y.rank)) };
        assert_eq!((name, dims, y.dtype), (c"embedding", &[3, 4][..], SELVEDGE_F32));
        let rows: Vec<f32> = bytes(&y).chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        assert_eq!(selvedge_answer_free(answer), SELVEDGE_OK);
        assert_eq!(rows[..4], rows[8..]);
        assert_ne!(rows[..4], rows[4..8]);
        rows[..4].iter().map(|v| v * v).sum::<f32>()
    };
    assert!((embed(0) - 1.0).abs() < 1e-5);
    assert!((embed(SELVEDGE_EMBED_RAW) - 1.0).abs() > 1e-3);

    let (mut json, mut len): (*const c_char, usize) = (ptr::null(), 0);
    // SAFETY: both may be written; the text lives until the engine is closed.
    let json = unsafe {
        call(|err| selvedge_engine_spec_json(engine, &raw mut json, &raw mut len, err)).unwrap();
        CStr::from_ptr(json).to_str().unwrap()
    };
    assert_eq!(json.len(), len);
    for part in [r#""embedding_size":4"#, r#""embed":true"#, r#""generate":false"#, r#""backend":"fake""#] {
        assert!(json.contains(part), "{part} in {json}");
    }
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}
