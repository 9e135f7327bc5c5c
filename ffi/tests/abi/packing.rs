//! Packing: a real model becomes smaller and still answers, and what is asked of it is done.

use std::ffi::c_void;
use std::path::{Path, PathBuf};

use selvedge::{Ask, Code, DType, Kind, Options, Tensor, Tensors};
use serde_json::Value;

use super::tables::at;
use super::*;

fn own() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/slow_chain.onnx")
}

/// The repository's, and a real one if it is there.
fn models() -> Vec<PathBuf> {
    std::iter::once(own()).chain(corpus::path("magika/model.onnx")).collect()
}

pub(super) fn options(scheme: i32) -> selvedge_pack_options {
    init!(selvedge_pack_options { scheme: scheme })
}

fn pack(model: &Path, to: &Path, options: &selvedge_pack_options) -> Result<Value, (i32, String)> {
    let (source, to) = (at(model.to_str().unwrap()), to.to_str().unwrap());
    let mut out = ptr::without_provenance_mut(0x5eed);
    // SAFETY: all live during the call.
    let packed =
        call(|err| unsafe { selvedge_pack(&source, to.as_ptr().cast(), to.len(), options, &raw mut out, err) });
    assert_eq!(out.is_null(), packed.is_err());
    packed.map(|()| serde_json::from_str(&posting::buffer(out)).unwrap())
}

/// Every number of the answer to zeros.
#[cfg(feature = "tract")]
fn answer(model: &Path) -> Vec<f32> {
    let engine = selvedge::open(model, Options::new().backend(selvedge::Backend::Tract)).unwrap();
    let inputs = engine.spec().inputs.iter().map(|port| {
        let Kind::Tensor { dtype, shape: Some(shape) } = &port.kind else { panic!("{port:?}") };
        let dims: Vec<usize> = shape
            .iter()
            .map(|dim| match dim {
                selvedge::Dim::Fixed(n) => *n,
                _ => 1,
            })
            .collect();
        let n = dims.iter().product::<usize>();
        let tensor = match dtype {
            DType::F32 => Tensor::new(&dims, (0..n).map(|i| (i % 7) as f32 / 7.0).collect::<Vec<f32>>()),
            DType::I32 => Tensor::new(&dims, (0..n).map(|i| (i * 31 % 251) as i32).collect::<Vec<i32>>()),
            other => panic!("{other:?}"),
        };
        (port.name.clone(), tensor.unwrap())
    });
    let answer = engine.run(Tensors::new(inputs)).unwrap();
    answer.outputs.iter().flat_map(|(_, t)| t.as_slice::<f32>().unwrap().to_vec()).collect()
}

#[test]
#[cfg(feature = "tract")]
fn a_packed_model_is_smaller_and_answers_much_the_same() {
    for model in models() {
        let before = answer(&model);
        let norm = |numbers: &[f32]| numbers.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        for (scheme, name, share, error) in [
            (SELVEDGE_SCHEME_F16, "f16", 0.55, 0.01),
            (SELVEDGE_SCHEME_INT8, "int8", 0.4, 0.05),
            (SELVEDGE_SCHEME_INT4, "int4", 0.9, 0.4),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let to = folder.path().join("packed");
            let report = pack(&model, &to, &options(scheme)).unwrap();
            assert_eq!(report["scheme"], name);
            let size = |file: &str| std::fs::metadata(to.join(file)).unwrap().len();
            assert_eq!(report["after"], size("model.onnx") + size("weights.gguf"));
            assert_eq!(report["before"], std::fs::metadata(&model).unwrap().len());
            let left = report["after"].as_f64().unwrap() / report["before"].as_f64().unwrap();
            assert_eq!(report["keeps_most"], name != "f16" && left > 0.5, "{report}");
            assert!(left < share, "{name}: {left} of {} is left", model.display());
            let packed = &report["packed"][0];
            let fields = [
                "name",
                "format",
                "stored",
                "dims",
                "before",
                "after",
                "scale",
                "relative_error",
                "row_error",
                "worst_error",
                "operators",
            ];
            assert!(fields.iter().all(|field| !packed[field].is_null()), "{packed}");
            let after = answer(&to);
            let off: Vec<f32> = before.iter().zip(&after).map(|(a, b)| a - b).collect();
            assert!(norm(&off) <= error * norm(&before), "{name}: {} of {}", norm(&off), norm(&before));
        }
    }
}

/// What a callback was told.
#[derive(Default)]
struct Heard {
    steps: Vec<(u64, u64)>,
    progress: Option<*mut selvedge_progress>,
    cancel: Option<*mut selvedge_cancel>,
    /// What lies beside the model that is made, as it is made.
    beside: PathBuf,
    most: usize,
}

unsafe extern "C" fn hear(user_data: *mut c_void, done: u64, total: u64) {
    // SAFETY: it is what the test passed, which has it again when the call has returned.
    let heard = unsafe { &mut *user_data.cast::<Heard>() };
    heard.steps.push((done, total));
    heard.most = heard.most.max(std::fs::read_dir(&heard.beside).map_or(0, Iterator::count));
    if let Some(progress) = heard.progress {
        let (mut seen, mut of) = (u64::MAX, u64::MAX);
        // SAFETY: both may be written. A call from within a callback is a call like any other.
        call(|err| unsafe { selvedge_progress_read(progress, &raw mut seen, &raw mut of, err) }).unwrap();
        assert_eq!((seen, of), (done, total), "what is told is what is to be seen");
    }
    if let Some(cancel) = heard.cancel {
        assert_eq!(selvedge_cancel_set(cancel), SELVEDGE_OK);
    }
}

#[test]
fn progress_is_told_and_to_be_seen_and_rises_to_the_end() {
    for model in models() {
        let folder = tempfile::tempdir().unwrap();
        let mut progress = ptr::null_mut();
        // SAFETY: `progress` may be written.
        call(|err| unsafe { selvedge_progress_new(&raw mut progress, err) }).unwrap();
        let mut heard = Heard { progress: Some(progress), ..Heard::default() };
        let options = selvedge_pack_options {
            progress,
            on_progress: Some(hear),
            user_data: (&raw mut heard).cast(),
            ..options(SELVEDGE_SCHEME_INT8)
        };
        let report = pack(&model, &folder.path().join("packed"), &options).unwrap();
        let packed = report["packed"].as_array().unwrap();
        let bytes: u64 = packed.iter().map(|tensor| tensor["before"].as_u64().unwrap()).sum();
        assert!(heard.steps.is_sorted_by_key(|(done, _)| *done), "{:?}", heard.steps);
        assert!(heard.steps.iter().all(|(done, total)| (done <= total, *total) == (true, bytes)), "{:?}", heard.steps);
        assert_eq!((heard.steps.len(), heard.steps.last()), (packed.len() + 1, Some(&(bytes, bytes))));
        assert_eq!(selvedge_progress_free(progress), SELVEDGE_OK);
    }
}

#[test]
fn what_is_cancelled_leaves_nothing_behind() {
    for model in models() {
        let folder = tempfile::tempdir().unwrap();
        let mut cancel = ptr::null_mut();
        // SAFETY: `cancel` may be written.
        call(|err| unsafe { selvedge_cancel_new(&raw mut cancel, err) }).unwrap();
        let mut heard = Heard { cancel: Some(cancel), beside: folder.path().into(), ..Heard::default() };
        let options = selvedge_pack_options {
            cancel,
            on_progress: Some(hear),
            user_data: (&raw mut heard).cast(),
            ..options(SELVEDGE_SCHEME_INT8)
        };
        let (code, message) = pack(&model, &folder.path().join("packed"), &options).unwrap_err();
        assert_eq!(code, Code::Cancelled as i32, "{message}");
        assert_eq!(heard.most, 1, "it had begun to write");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert_eq!(selvedge_cancel_free(cancel), SELVEDGE_OK);
    }
}

#[test]
fn patterns_and_flags_do_what_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("packed");
    let all = pack(&own(), &to, &options(SELVEDGE_SCHEME_INT8)).unwrap();
    let name = all["packed"][0]["name"].as_str().unwrap();
    let (code, message) = pack(&own(), &to, &options(SELVEDGE_SCHEME_F16)).unwrap_err();
    assert_eq!(code, Code::InvalidArgument as i32, "{message}");
    let again = |change: &dyn Fn(&mut selvedge_pack_options)| {
        let mut options = options(SELVEDGE_SCHEME_INT8);
        options.flags = SELVEDGE_PACK_OVERWRITE;
        change(&mut options);
        pack(&own(), &to, &options)
    };
    assert_eq!(again(&|_| ()).unwrap()["packed"], all["packed"], "with the flag it is replaced");
    // Any part of a name, or any one of its letters, may be left open.
    let open = format!("*{}", &name[1..].replace(&name[1..2], "?"));
    let finer = [text(&open), text("no such*")];
    let report = again(&|o| (o.finer, o.finer_count) = (finer.as_ptr(), 2)).unwrap();
    assert_eq!(report["packed"][0]["format"], "f16", "{report}");
    assert_eq!(report["unmatched"], serde_json::json!(["no such*"]));
    let operator = [text("MatMul")];
    let kept = again(&|o| (o.keep, o.keep_count) = (operator.as_ptr(), 1)).unwrap_err();
    assert_eq!(kept.0, Code::Unsupported as i32, "nothing is left to pack: {}", kept.1);
    let other = [text("another")];
    assert!(again(&|o| (o.only, o.only_count) = (other.as_ptr(), 1)).is_err());
    assert!(again(&|o| o.min_elements = u64::MAX).is_err());
    let bits = |bits: f64| again(&|o| (o.scheme, o.mean_bits) = (SELVEDGE_SCHEME_INT4, bits));
    assert!(bits(4.5).unwrap()["after"].as_u64() < bits(8.5).unwrap()["after"].as_u64());
    for wrong in [4.4, -1.0, f64::NAN] {
        let (code, message) = bits(wrong).unwrap_err();
        assert_eq!(code, Code::InvalidArgument as i32);
        assert!(message.contains("mean_bits: expected 4.5 or more"), "{message}");
    }
}

#[test]
fn what_cannot_be_packed_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("packed");
    let code = |model: &Path, to: &Path, options: &selvedge_pack_options| pack(model, to, options).unwrap_err();
    let int8 = options(SELVEDGE_SCHEME_INT8);
    assert_eq!(code(Path::new("no/such.onnx"), &to, &int8).0, Code::NotFound as i32);
    assert_eq!(code(&own(), &folder.path().join("no/such/folder"), &int8).0, Code::NotFound as i32);
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/static/model.safetensors");
    assert_eq!(code(&weights, &to, &int8).0, Code::Unsupported as i32);
    let (got, message) = code(&own(), &to, &options(0));
    assert_eq!((got, &*message), (1, "selvedge_scheme: 0 has no meaning in this version of the library"));
    let flagged = selvedge_pack_options { flags: 2, ..int8 };
    assert!(code(&own(), &to, &flagged).1.contains("the bits 0x2 have no meaning"));
    let (got, message) = code(&own(), Path::new(""), &int8);
    assert_eq!((got, &*message), (1, "to: expected the name of a file, got \"\""));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
