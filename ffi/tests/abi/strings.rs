//! String tensors, in both directions.

use selvedge::DType;
use selvedge::fake::Fake;

use super::tensors::{output, run, tensor};
use super::*;

/// The elements of a string tensor that was given out.
pub(crate) fn elements(t: &selvedge_tensor) -> Vec<String> {
    assert_eq!((t.dtype, t.byte_len % size_of::<selvedge_text>()), (SELVEDGE_STRING, 0));
    let texts = t.data.cast::<selvedge_text>();
    let element = |i| {
        // SAFETY: the texts, and a NUL after each, live as long as the answer, which every test frees last.
        let bytes = unsafe {
            let one = &*texts.add(i);
            assert_eq!(*one.data.add(one.len), 0, "a NUL follows");
            std::slice::from_raw_parts(one.data.cast::<u8>(), one.len)
        };
        String::from_utf8(bytes.to_vec()).unwrap()
    };
    (0..t.byte_len / size_of::<selvedge_text>()).map(element).collect()
}

fn words(dims: &[i64], texts: &[selvedge_text]) -> selvedge_tensor {
    tensor("x", SELVEDGE_STRING, dims, texts.as_ptr().cast(), size_of_val(texts))
}

const WORDS: [&str; 4] = ["", "plain", "Z\u{fc}rich", "\u{96e8} \0 \u{1f327}"];

fn goes_through(engine: *mut selvedge_engine) {
    let texts = WORDS.map(text);
    let answer = run(engine, &[words(&[4], &texts)], None).unwrap();
    let y = output(answer, 0);
    assert_eq!(elements(&y), WORDS);
    // SAFETY: the dimensions live as long as the answer.
    assert_eq!(unsafe { std::slice::from_raw_parts(y.dims, y.rank) }, [4]);
    // An output is the next call's input as it is.
    let again = run(engine, &[selvedge_tensor { name: c"x".as_ptr(), name_len: 1, ..y }], None).unwrap();
    assert_eq!(selvedge_answer_free(answer), SELVEDGE_OK);
    assert_eq!(elements(&output(again, 0)), WORDS);
    assert_eq!(selvedge_answer_free(again), SELVEDGE_OK);
}

#[test]
fn strings_go_in_and_come_out_unchanged() {
    let engine = handle(Fake::echo(DType::String).build());
    goes_through(engine);
    // A scalar, and none at all.
    let answer = run(engine, &[words(&[], &[text("warp")])], None).unwrap();
    assert_eq!((elements(&output(answer, 0)), output(answer, 0).rank), (vec!["warp".to_owned()], 0));
    assert_eq!(selvedge_answer_free(answer), SELVEDGE_OK);
    let none = tensor("x", SELVEDGE_STRING, &[2, 0], ptr::null(), 0);
    let answer = run(engine, &[none], None).unwrap();
    assert_eq!((output(answer, 0).byte_len, output(answer, 0).rank), (0, 2));
    assert_eq!(selvedge_answer_free(answer), SELVEDGE_OK);
    // More than an array of structs may have.
    let many = vec![text("weft"); 70_000];
    let answer = run(engine, &[words(&[70_000], &many)], None).unwrap();
    assert_eq!(elements(&output(answer, 0)), vec!["weft"; 70_000]);
    assert_eq!(selvedge_answer_free(answer), SELVEDGE_OK);
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

#[test]
fn strings_go_through_a_real_model() {
    if !cfg!(feature = "ort") || std::env::var_os("SELVEDGE_ONNXRUNTIME").is_none() {
        return;
    }
    let path = file("tests/data/echo_string.onnx");
    let options = init!(selvedge_options { backend: SELVEDGE_BACKEND_ORT });
    let engine = open_source(&by_path(&path), Some(&options)).unwrap();
    goes_through(engine);
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

#[test]
fn strings_that_cannot_be_are_refused() {
    let engine = handle(Fake::echo(DType::String).build());
    let no = |t: selvedge_tensor, expected: &str| {
        let (code, message) = run(engine, &[t], None).unwrap_err();
        assert_eq!(code, Code::InvalidArgument as i32);
        assert!(message.starts_with(&format!("{expected} (while reading input 'x')")), "{message}");
    };
    let each = size_of::<selvedge_text>();
    let two = [text("warp"), text("weft")];
    let good = words(&[2], &two);
    for wrong in [0, each, 2 * each - 1, 2 * each + 1, usize::MAX] {
        let expected = format!("string[2]: expected 2 selvedge_text of {each} bytes, got {wrong} bytes");
        no(selvedge_tensor { byte_len: wrong, ..good }, &expected);
    }
    no(selvedge_tensor { data: ptr::null(), ..good }, "selvedge_tensor.data: expected a pointer, got NULL");
    let missing = [text("warp"), selvedge_text { data: ptr::null(), len: 4 }];
    no(words(&[2], &missing), "selvedge_tensor.data: expected a pointer, got NULL");
    let cut = [text("warp"), selvedge_text { len: 2, ..text("\u{1f9f5}") }];
    no(words(&[2], &cut), "selvedge_tensor.data: expected UTF-8");
    let endless = [text("warp"), selvedge_text { len: usize::MAX, ..text("weft") }];
    let expected = format!("selvedge_tensor.data: a length of {} exceeds the address space", usize::MAX);
    no(words(&[2], &endless), &expected);
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}
