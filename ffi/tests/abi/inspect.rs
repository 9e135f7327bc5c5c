//! Model files looked at without opening them.

use serde_json::{Value, json};

use super::buffers::taken;
use super::*;

const RAIN: &str = "examples/quickstart/rain.onnx";

fn inspect(rel: &str) -> Result<Value, (i32, String)> {
    let (path, mut out) = (file(rel), ptr::without_provenance_mut(0x5eed));
    // SAFETY: the source lives during the call.
    let result = call(|err| unsafe { selvedge_inspect(&by_path(&path), ptr::null(), &raw mut out, err) });
    assert_eq!(result.is_err(), out.is_null());
    result.map(|()| serde_json::from_slice(&taken(out)).unwrap())
}

fn validate(rel: &str, options: Option<&selvedge_options>) -> Result<(), (i32, String)> {
    let path = file(rel);
    let options = options.map_or(ptr::null(), ptr::from_ref);
    // SAFETY: source and options live during the call.
    call(|err| unsafe { selvedge_validate(&by_path(&path), options, err) })
}

#[test]
fn a_model_is_told_whole() {
    let got = inspect(RAIN).unwrap();
    let mut keys: Vec<&str> = got.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    let expected = [
        "backends",
        "bytes",
        "flaw",
        "format",
        "inputs",
        "metadata",
        "name",
        "operators",
        "opsets",
        "outputs",
        "parameters",
        "tensors",
        "warnings",
    ];
    assert_eq!(keys, expected);
    assert_eq!((&got["name"], &got["format"], &got["bytes"]), (&json!("rain"), &json!("ONNX"), &json!(1050)));
    assert_eq!(got["inputs"][0]["name"], "weather");
    assert_eq!((&got["inputs"][0]["dtype"], &got["inputs"][0]["shape"][1]), (&json!("f32"), &json!(4)));
    assert_eq!((&got["outputs"][0]["name"], &got["flaw"]), (&json!("rain_tomorrow"), &Value::Null));
    let tensor = &got["tensors"][0];
    assert_eq!((&tensor["element"], &tensor["location"]), (&json!("f32"), &Value::Null));
    assert!(got["parameters"].as_u64().unwrap() > 0 && tensor["bytes"].as_u64().unwrap() > 0);
    if cfg!(feature = "tract") {
        let tract = got["backends"].as_array().unwrap().iter().find(|b| b["backend"] == "tract").unwrap();
        assert!(tract["memory"]["total"].as_u64().unwrap() > 0, "{tract}");
    }
}

#[test]
#[cfg(feature = "tract")]
fn a_model_that_breaks_a_rule_is_told_with_its_flaw() {
    for broken in ["tests/data/external/short/model.onnx", "tests/data/raw_mismatch.onnx"] {
        let (code, message) = validate(broken, None).unwrap_err();
        assert_eq!(code, Code::Corrupt as i32, "{broken}: {message}");
        match inspect(broken) {
            Ok(got) => {
                assert_eq!(got["flaw"]["code"], "CORRUPT", "{broken}");
                assert_eq!(got["flaw"]["message"], message, "the same words");
            }
            Err((code, _)) => assert_eq!(code, Code::Corrupt as i32, "{broken}"),
        }
    }
}

#[test]
#[cfg(feature = "tract")]
fn a_verdict_is_that_of_an_open() {
    validate(RAIN, None).unwrap();
    let by = |backend| init!(selvedge_options { backend: backend });
    validate(RAIN, Some(&by(SELVEDGE_BACKEND_TRACT))).unwrap();
    let refused = |rel, options: selvedge_options, code: Code| {
        let (got, message) = validate(rel, Some(&options)).unwrap_err();
        assert_eq!(got, code as i32, "{rel}: {message}");
        message
    };
    let none = init!(selvedge_options {});
    let message = refused(RAIN, by(SELVEDGE_BACKEND_LLAMA), Code::Unsupported);
    assert_eq!(message, "expected a model that llama takes, got ONNX that it does not");
    let message = refused(RAIN, init!(selvedge_options { memory_limit: 1 }), Code::OutOfMemory);
    assert!(message.ends_with("the limit is 1"), "{message}");
    refused("no/such/model.onnx", none, Code::NotFound);
    refused("ffi/include/selvedge.h", none, Code::Unsupported);
    refused(RAIN, init!(selvedge_options { flags: 8 }), Code::InvalidArgument);
}

#[test]
fn what_cannot_be_listed_is_an_error() {
    assert_eq!(inspect("no/such/model.onnx").unwrap_err().0, Code::NotFound as i32);
    assert_eq!(inspect("ffi/include/selvedge.h").unwrap_err().0, Code::Unsupported as i32);
    let mut out = ptr::null_mut();
    // SAFETY: NULL is what is tested.
    unsafe {
        let message =
            refused(Code::InvalidArgument, |err| selvedge_inspect(ptr::null(), ptr::null(), &raw mut out, err));
        assert_eq!(message, "selvedge_source: expected a pointer, got NULL");
        refused(Code::InvalidArgument, |err| selvedge_validate(ptr::null(), ptr::null(), err));
    }
}
