//! Outputs into the caller's memory: as many bytes as fit, and not one more.

use std::ffi::c_void;

use selvedge::fake::Fake;
use selvedge::{DType, Dim, Port, Tensor};

use super::engines::Strings;
use super::tensors::floats;
use super::*;

/// Adds and subtracts: `x` of n numbers gives `more` and `less` of [1, n].
fn engine() -> *mut selvedge_engine {
    let port = |name: &str, dims| Port::tensor(name, DType::F32, dims);
    let n = || Dim::Symbol("n".into());
    let (inputs, row) = (vec![port("x", vec![n()])], || vec![Dim::Fixed(1), n()]);
    let outputs = vec![port("more", row()), port("less", row())];
    let engine = Fake::tensors(inputs, outputs, |inputs| {
        let x = inputs[0].as_ref().expect("required").as_slice::<f32>()?;
        let by = |d: f32| Tensor::new(&[1, x.len()], x.iter().map(|v| v + d).collect::<Vec<_>>());
        Ok(vec![by(1.0)?, by(-1.0)?])
    });
    handle(engine.build())
}

/// Room for an output, with more behind it that nobody may touch.
struct Room {
    data: [f32; 8],
    dims: [i64; 4],
}

impl Room {
    fn new() -> Self {
        Self { data: [7.0; 8], dims: [7; 4] }
    }

    fn output(&mut self, name: &str, floats: usize, dims: usize) -> selvedge_output {
        init!(selvedge_output {
            name: text(name),
            data: self.data.as_mut_ptr().cast::<c_void>(),
            capacity: floats * 4,
            dims: self.dims.as_mut_ptr(),
            dim_capacity: dims,
        })
    }
}

fn run_into(engine: *mut selvedge_engine, x: &[f32], outputs: &mut [selvedge_output]) -> Result<(), (i32, String)> {
    let dims = [x.len() as i64];
    let input = floats("x", &dims, x);
    let request = init!(selvedge_tensors { inputs: &raw const input, input_count: 1 });
    let (places, count) = (outputs.as_mut_ptr(), outputs.len());
    // SAFETY: request and outputs live during the call.
    call(|err| unsafe { selvedge_engine_run_into(engine, &request, places, count, ptr::null(), err) })
}

const X: [f32; 3] = [1.0, 2.5, -3.0];

#[test]
fn outputs_lie_where_the_caller_said_in_the_order_he_said() {
    let (engine, mut less, mut more) = (engine(), Room::new(), Room::new());
    let mut outputs = [less.output("less", 3, 2), more.output("more", 8, 4)];
    outputs[1].dtype = SELVEDGE_F32;
    run_into(engine, &X, &mut outputs).unwrap();
    for output in outputs {
        assert_eq!((output.dtype, output.rank, output.byte_len), (SELVEDGE_F32, 2, 12));
    }
    assert_eq!((&less.data, &less.dims), (&[0.0, 1.5, -4.0, 7.0, 7.0, 7.0, 7.0, 7.0], &[1, 3, 7, 7]));
    assert_eq!((&more.data[..4], &more.dims[..3]), (&[2.0, 3.5, -2.0, 7.0][..], &[1, 3, 7][..]));
    // None at all is a run all the same.
    run_into(engine, &X, &mut []).unwrap();
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

#[test]
fn what_is_too_small_is_told_what_it_needs_and_nothing_is_written() {
    let (engine, mut less, mut more) = (engine(), Room::new(), Room::new());
    for (floats, dims, expected) in [
        (2, 2, "output 'more': expected room for 12 bytes, got 8"),
        (0, 2, "output 'more': expected room for 12 bytes, got 0"),
        (3, 1, "output 'more': expected room for 2 dimensions, got 1"),
    ] {
        let mut outputs = [less.output("less", 3, 2), more.output("more", floats, dims)];
        assert_eq!(run_into(engine, &X, &mut outputs).unwrap_err(), (1, expected.into()));
        for output in outputs {
            assert_eq!((output.dtype, output.rank, output.byte_len), (SELVEDGE_F32, 2, 12));
        }
    }
    // NULL asks for what is needed.
    let mut asked = [init!(selvedge_output { name: text("less") })];
    assert_eq!(run_into(engine, &X, &mut asked).unwrap_err().0, 1);
    assert_eq!((asked[0].rank, asked[0].byte_len), (2, 12));
    assert_eq!((less.data, less.dims), ([7.0; 8], [7; 4]));
    assert_eq!((more.data, more.dims), ([7.0; 8], [7; 4]));
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

#[test]
fn what_cannot_be_put_there_is_refused_and_reports_nothing() {
    let (engine, mut room) = (engine(), Room::new());
    let good = room.output("less", 8, 4);
    let no = |output: selvedge_output, expected: &str| {
        let mut outputs = [selvedge_output { rank: 7, byte_len: 7, ..output }];
        let (code, message) = run_into(engine, &X, &mut outputs).unwrap_err();
        assert_eq!((code, &*message), (1, expected));
        assert_eq!((outputs[0].rank, outputs[0].byte_len), (0, 0));
    };
    no(selvedge_output { dtype: SELVEDGE_F64, ..good }, "output 'less': expected f64, got f32");
    no(selvedge_output { dtype: 99, ..good }, "selvedge_dtype: 99 has no meaning in this version of the library");
    no(
        selvedge_output { flags: 2, ..good },
        "selvedge_output.flags: the bits 0x2 have no meaning in this version of the library",
    );
    no(selvedge_output { data: ptr::null_mut(), ..good }, "selvedge_output.data: expected a pointer, got NULL");
    no(selvedge_output { dims: ptr::null_mut(), ..good }, "selvedge_output.dims: expected a pointer, got NULL");
    no(selvedge_output { name: text("none"), ..good }, r#"output 'none' is unknown: expected one of ["more", "less"]"#);
    let message = run_into(engine, &X, &mut [good, good]).unwrap_err();
    assert_eq!(message, (1, "output 'less' is asked for twice".into()));
    assert_eq!(room.data, [7.0; 8]);

    let mut outputs = [selvedge_output { rank: 7, byte_len: 7, ..good }];
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
    assert_eq!(run_into(engine, &X, &mut outputs).unwrap_err().0, Code::BadHandle as i32);
    assert_eq!((outputs[0].rank, outputs[0].byte_len), (0, 0));
}

#[test]
fn outputs_are_named_in_one_place() {
    let (engine, mut room) = (engine(), Room::new());
    let (mut output, wanted, dims) = (room.output("less", 8, 4), [text("more")], [3]);
    let input = floats("x", &dims, &X);
    let request =
        init!(selvedge_tensors { inputs: &raw const input, input_count: 1, outputs: wanted.as_ptr(), output_count: 1 });
    // SAFETY: request and output live during the call.
    let message = refused(Code::InvalidArgument, |err| unsafe {
        selvedge_engine_run_into(engine, &request, &raw mut output, 1, ptr::null(), err)
    });
    assert_eq!(message, "selvedge_tensors.outputs: expected NULL beside outputs of their own, got some");
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

#[test]
fn strings_are_not_put_there() {
    let engine = handle(Arc::new(Strings::new()));
    let mut room = Room::new();
    let mut outputs = [room.output("words", 8, 4)];
    let request = init!(selvedge_tensors {});
    // SAFETY: request and output live during the call.
    let message = refused(Code::Unsupported, |err| unsafe {
        selvedge_engine_run_into(engine, &request, outputs.as_mut_ptr(), 1, ptr::null(), err)
    });
    assert!(message.starts_with("output 'words': strings"), "{message}");
    assert_eq!(room.data, [7.0; 8]);
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

#[test]
fn an_input_that_is_passed_on_is_written_and_memory_need_not_be_aligned() {
    let engine = handle(Fake::echo(DType::F32).build());
    // More than is copied, so that the output is the lent input itself.
    let x: Vec<f32> = (0..2000).map(|i| i as f32).collect();
    let mut bytes = vec![0xa5u8; 2000 * 4 + 2];
    let mut dims = [0; 1];
    let mut outputs = [init!(selvedge_output {
        name: text("y"),
        data: bytes[1..].as_mut_ptr().cast::<c_void>(),
        capacity: 8000,
        dims: dims.as_mut_ptr(),
        dim_capacity: 1,
    })];
    run_into(engine, &x, &mut outputs).unwrap();
    let expected: Vec<u8> = x.iter().flat_map(|v| v.to_le_bytes()).collect();
    assert_eq!((&bytes[1..8001], bytes[0], bytes[8001], dims), (&*expected, 0xa5, 0xa5, [2000]));
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

#[test]
#[cfg(feature = "tract")]
fn a_real_model_answers_into_the_callers_memory() {
    let path = file("examples/quickstart/rain.onnx");
    let engine = open_source(&by_path(&path), None).unwrap();
    let days = [2.5f32, 4.4, 2.2, 2.2, 0.0, 11.7, 6.7, 1.5];
    let input = floats("weather", &[2, 4], &days);
    let request = init!(selvedge_tensors { inputs: &raw const input, input_count: 1 });
    let (mut rain, mut dims) = ([7.0f32; 3], [0i64; 2]);
    let mut output = init!(selvedge_output {
        name: text("rain_tomorrow"),
        data: rain.as_mut_ptr().cast::<c_void>(),
        capacity: 12,
        dims: dims.as_mut_ptr(),
        dim_capacity: 2,
    });
    // SAFETY: request and output live during the call.
    call(|err| unsafe { selvedge_engine_run_into(engine, &request, &raw mut output, 1, ptr::null(), err) }).unwrap();
    assert!((rain[0] - 0.585_324).abs() < 1e-5 && (rain[1] - 0.461_227).abs() < 1e-5, "{rain:?}");
    assert_eq!((rain[2], output.byte_len), (7.0, 8));
    assert_eq!(dims[..output.rank].iter().product::<i64>(), 2);
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}
