//! Promises of `open` for a file that is a model, and for things that are none.

use std::fs::{self, File};
use std::path::Path;
use std::sync::{Arc, Mutex};

use selvedge::{Answer, Ask, Backend, Bytes, Cancel, Code, Loading, OpenProgress, Options, Source, open};
use sha2::{Digest as _, Sha256};

use crate::cases::Case;
use crate::fixtures;
use crate::serving::assert_same;

impl Case {
    fn file(&self) -> (Backend, &Path) {
        let (backend, file) = self.file.as_ref().expect("an engine that came from a file");
        (*backend, file)
    }

    /// The options that the case's own engine was opened with, as far as an answer depends on them.
    fn options(&self) -> Options {
        let backend = self.file().0;
        Options::new().backend(backend).threads(if backend == Backend::Llama { 2 } else { 1 })
    }

    fn refused(&self, source: impl Into<Source>, options: Options) -> (Code, String) {
        match open(source, options) {
            Ok(_) => panic!("it opened"),
            Err(error) => (error.code(), error.to_string()),
        }
    }
}

pub(crate) fn every_source_gives_the_same_answer(case: &Case) {
    const BEFORE: usize = 12_345;
    let (_, path) = case.file();
    let model = fs::read(path).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("app.apk");
    fs::write(&archive, [&vec![0xA5; BEFORE], &*model, &[0x5A; 777]].concat()).unwrap();
    let range = BEFORE as u64..(BEFORE + model.len()) as u64;

    let expected: Answer = case.engine.run(case.good()).unwrap();
    let check = |source: Source, loading: Loading| {
        let reported = format!("{source:?} {loading:?}");
        let engine = open(source, case.options().loading(loading)).unwrap_or_else(|e| panic!("{reported}: {e}"));
        let answer = engine.run(case.good()).unwrap_or_else(|e| panic!("{reported}: {e}"));
        assert_same(&answer, &expected);
        assert_eq!(answer.provenance.digest, expected.provenance.digest, "{reported}");
    };
    for loading in [Loading::Mapped, Loading::Read] {
        check(path.into(), loading);
        check(File::open(path).unwrap().into(), loading);
        check(Source::file(File::open(&archive).unwrap(), range.clone()), loading);
    }
    check(model.clone().into(), Loading::Mapped);
    check(Bytes::copy_from(&model).unwrap().into(), Loading::Read);

    let past = 0..fs::metadata(&archive).unwrap().len() + 1;
    let (code, message) = case.refused(Source::file(File::open(&archive).unwrap(), past), case.options());
    assert_eq!(code, Code::InvalidArgument, "{message}");
}

pub(crate) fn the_content_counts_and_not_the_name(case: &Case) {
    let (backend, path) = case.file();
    let folder = tempfile::tempdir().unwrap();
    // Without an explicit backend, an ONNX file goes to the first of these that is there.
    let of_onnx = [Backend::Tract, Backend::Rten, Backend::Ort];
    let first = of_onnx.into_iter().find(|first| first.is_built());
    let picked = first.filter(|_| of_onnx.contains(&backend)).unwrap_or(backend);
    let misnamed = if matches!(backend, Backend::Llama | Backend::Table) { "model.onnx" } else { "model.gguf" };
    for name in ["model", misnamed] {
        let named = folder.path().join(name);
        fs::copy(path, &named).unwrap();
        let engine = open(&named, Options::new().threads(2)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(engine.spec().provenance.backend, picked.name());
        let explicit = open(&named, case.options()).unwrap();
        assert_eq!(explicit.spec().provenance.backend, backend.name());
        (case.right)(&explicit.run(case.good()).unwrap());
    }
}

pub(crate) fn another_backend_does_not_open_it(case: &Case) {
    let (backend, path) = case.file();
    // A table may be a GGUF file, too.
    let reads_gguf = |backend| matches!(backend, Backend::Llama | Backend::Table);
    for other in [Backend::Llama, Backend::Ort, Backend::Rten, Backend::Tract, Backend::Table] {
        if reads_gguf(other) != reads_gguf(backend) {
            let (code, message) = case.refused(path, Options::new().backend(other));
            assert_eq!(code, Code::Unsupported, "{message}");
            assert!(message.contains(other.name()), "{message}");
        }
    }
}

pub(crate) fn the_digest_is_checked(case: &Case) {
    let (_, path) = case.file();
    let right = selvedge::Digest(Sha256::digest(fs::read(path).unwrap()).into());
    let wrong = selvedge::Digest([7; 32]);
    for loading in [Loading::Mapped, Loading::Read] {
        assert!(open(path, case.options().loading(loading).digest(right)).is_ok());
        let (code, message) = case.refused(path, case.options().loading(loading).digest(wrong));
        assert_eq!(code, Code::Corrupt, "{message}");
        assert!(message.contains(&right.to_string()) && message.contains(&wrong.to_string()), "{message}");
    }
}

pub(crate) fn the_memory_limit_is_kept(case: &Case) {
    let (_, path) = case.file();
    let needs = case.engine.spec().memory.total();
    assert!(needs > 0);
    assert!(open(path, case.options().memory_limit(needs)).is_ok());
    for limit in [needs - 1, 1, 0] {
        let (code, message) = case.refused(path, case.options().memory_limit(limit));
        assert_eq!(code, Code::OutOfMemory, "{message}");
        // What is needed and what there is.
        for number in [needs, limit] {
            let said = message.split(|c: char| !c.is_ascii_digit()).any(|word| word == number.to_string());
            assert!(said, "{message}: does not say {number}");
        }
    }
}

pub(crate) fn an_open_can_be_cancelled(case: &Case) {
    let (_, path) = case.file();
    let cancelled = Cancel::new();
    cancelled.cancel();
    let (code, message) = case.refused(path, case.options().cancel(&cancelled));
    assert_eq!(code, Code::Cancelled, "{message}");

    // From within: at the first sign of each phase that is not the end of the last one.
    let phases: [fn(OpenProgress) -> bool; 2] =
        [|p| matches!(p, OpenProgress::Digest(..)), |p| matches!(p, OpenProgress::Load(part) if part < 1.0)];
    for phase in phases {
        let cancel = Cancel::new();
        let (switch, seen) = (cancel.clone(), Arc::new(Mutex::new(false)));
        let reported = seen.clone();
        let options = case.options().cancel(&cancel).progress(move |progress| {
            if phase(progress) {
                switch.cancel();
                *reported.lock().unwrap() = true;
            }
        });
        match (open(path, options), *seen.lock().unwrap()) {
            (Err(error), true) => assert_eq!(error.code(), Code::Cancelled, "{error}"),
            (Ok(_), true) => panic!("it opened though it was cancelled"),
            (opened, false) => assert!(opened.is_ok(), "nothing was reported, and it failed"),
        }
    }
    case.serves();
}

pub(crate) fn progress_is_told(case: &Case) {
    let (_, path) = case.file();
    let reported = Arc::new(Mutex::new(Vec::new()));
    let (tell, here) = (reported.clone(), std::thread::current().id());
    let options = case.options().progress(move |progress| {
        assert_eq!(std::thread::current().id(), here, "reported on another thread");
        tell.lock().unwrap().push(progress);
    });
    open(path, options).unwrap();
    let (mut digested, mut loaded) = (Vec::new(), Vec::new());
    for progress in reported.lock().unwrap().iter() {
        match progress {
            OpenProgress::Digest(done, total) => digested.push((*done, *total)),
            OpenProgress::Load(part) => loaded.push(*part),
            other => panic!("{other:?} is new: say how it goes on"),
        }
    }
    let len = fs::metadata(path).unwrap().len();
    assert!(digested.is_sorted() && digested.iter().all(|(_, total)| *total == len), "{digested:?}");
    assert_eq!(digested.last(), Some(&(len, len)));
    assert!(loaded.is_sorted() && loaded.iter().all(|part| (0.0..=1.0).contains(part)), "{loaded:?}");
    assert_eq!(loaded.last(), Some(&1.0));
}

pub(crate) fn what_is_no_model_is_told(case: &Case) {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let missing = folder.path().join("no such model.onnx");
    let things = [
        (missing, &[Code::NotFound][..]),
        (folder.path().into(), &[Code::InvalidArgument]),
        (file("empty.onnx", b""), &[Code::Corrupt]),
        (file("readme.txt", b"This is a text, and no model.\n"), &[Code::Corrupt, Code::Unsupported]),
        (file("app.zip", b"PK\x03\x04\x14\0\0\0\x08\0rest of an archive"), &[Code::Unsupported]),
        (file("zeros", &[0; 5000]), &[Code::Corrupt, Code::Unsupported]),
    ];
    for (path, codes) in things {
        for (options, loading) in
            [(Options::new(), Loading::Mapped), (case.options(), Loading::Mapped), (case.options(), Loading::Read)]
        {
            let (code, message) = case.refused(&path, options.loading(loading));
            assert!(codes.contains(&code), "expected {codes:?}, got {code:?}: {message}");
            let name = path.file_stem().unwrap().to_str().unwrap();
            assert!(message.contains(name), "{message}: does not name {name}");
        }
    }
}

/// The fixtures that may be `Unsupported`; every other one has its right answer.
fn beyond(backend: Backend) -> &'static [&'static str] {
    match backend {
        // It has no operator Loop.
        Backend::Tract => &["map.onnx", "sequence.onnx", "slow.onnx"],
        // It has four types, and computes three more in them.
        Backend::Rten => &[
            "echo_bf16.onnx",
            "echo_f64.onnx",
            "echo_i16.onnx",
            "echo_i64.onnx",
            "echo_string.onnx",
            "echo_u16.onnx",
            "echo_u32.onnx",
            "echo_u64.onnx",
            "map.onnx",
            "sequence.onnx",
        ],
        _ => &["map.onnx", "sequence.onnx"],
    }
}

pub(crate) fn every_fixture_is_right_or_unsupported(case: &Case) {
    let (backend, _) = case.file();
    if matches!(backend, Backend::Llama | Backend::Table) {
        return; // The fixtures are ONNX.
    }
    let mut wrong = Vec::new();
    for name in fixtures::expected()["runnable"].as_object().unwrap().keys() {
        let ran = open(fixtures::path(name), case.options()).and_then(|engine| engine.run(fixtures::request(name)));
        match ran {
            Err(e) if e.code() == Code::Unsupported && beyond(backend).contains(&&**name) => {}
            // On a processor where its sums would overflow; another one computes it.
            Err(e) if backend == Backend::Rten && name == "matmul_integer.onnx" && e.message().contains("16 bits") => {}
            Err(e) => wrong.push(format!("{name}: {:?}: {e}", e.code())),
            Ok(_) if beyond(backend).contains(&&**name) => wrong.push(format!("{name} runs: take it off the list")),
            Ok(answer) => {
                for (output, expected) in fixtures::answer(name) {
                    if answer.output(&output).ok() != expected.as_ref() {
                        wrong.push(format!("{name}: '{output}' is {:?}", answer.output(&output)));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
