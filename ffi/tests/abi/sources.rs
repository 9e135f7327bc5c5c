//! Models from a path, an open file and memory: what is opened, and when lent memory is given back.

use std::ffi::c_void;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::tensors::{bytes, floats, output, run};
use super::*;

const RAIN: &str = "examples/quickstart/rain.onnx";

/// Counts how often it is told.
extern "C" fn count(user_data: *mut c_void) {
    // SAFETY: every test passes a counter that outlives the call.
    unsafe { &*user_data.cast::<AtomicUsize>() }.fetch_add(1, Ordering::SeqCst);
    // A callback may make any call.
    assert_eq!(selvedge_abi_version(), 1 << 16);
    assert_eq!(selvedge_engine_close(ptr::without_provenance_mut(1)), BAD_HANDLE);
}

fn lent(model: &[u8], released: &AtomicUsize) -> selvedge_source {
    init!(selvedge_source {
        kind: SELVEDGE_SOURCE_MEMORY,
        data: model.as_ptr().cast(),
        data_len: model.len(),
        release: Some(count as unsafe extern "C" fn(*mut c_void)),
        user_data: ptr::from_ref(released).cast_mut().cast(),
    })
}

fn part(file: &File, offset: u64, length: u64) -> selvedge_source {
    init!(selvedge_source {
        kind: SELVEDGE_SOURCE_FILE,
        file: i64::from(file.as_raw_fd()),
        offset: offset,
        length: length,
    })
}

/// What the model says of the weather before 7 January 2012 in Seattle.
#[track_caller]
fn rain_after(engine: *mut selvedge_engine) {
    let weather = [2.5f32, 4.4, 2.2, 2.2];
    let answer = run(engine, &[floats("weather", &[1, 4], &weather)], None).unwrap();
    let rain = f32::from_le_bytes(bytes(&output(answer, 0)).try_into().unwrap());
    assert!((rain - 0.585_324).abs() < 1e-5, "{rain}");
    assert_eq!(selvedge_answer_free(answer), SELVEDGE_OK);
}

#[test]
#[cfg(feature = "tract")]
fn every_kind_of_source_is_the_same_model() {
    let model = std::fs::read(file(RAIN)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let package = folder.path().join("app.apk");
    File::create(&package).unwrap().write_all(&[&[7; 100][..], &model, &[9; 50]].concat()).unwrap();
    let tail = folder.path().join("tail");
    File::create(&tail).unwrap().write_all(&[&[7; 100][..], &model].concat()).unwrap();
    let (whole, package, tail) =
        (File::open(file(RAIN)).unwrap(), File::open(package).unwrap(), File::open(tail).unwrap());
    let released = AtomicUsize::new(0);
    let path = file(RAIN);
    let sources = [
        by_path(&path),
        part(&whole, 0, 0),
        part(&whole, 0, model.len() as u64),
        part(&package, 100, model.len() as u64),
        part(&tail, 100, 0),
        lent(&model, &released),
    ];
    let engines = sources.map(|source| open_source(&source, None).unwrap());
    // The library has a descriptor of its own.
    drop((whole, package, tail));
    for engine in engines {
        rain_after(engine);
        assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
    }
    assert_eq!(released.load(Ordering::SeqCst), 1);
}

#[test]
#[cfg(feature = "tract")]
fn a_descriptor_of_the_caller_stays_open_and_where_it_was() {
    use std::io::Read;
    let mut own = File::open(file(RAIN)).unwrap();
    let loading = init!(selvedge_options { loading: SELVEDGE_LOADING_READ });
    let engine = open_source(&part(&own, 0, 0), Some(&loading)).unwrap();
    rain_after(engine);
    let mut read = Vec::new();
    own.read_to_end(&mut read).unwrap();
    assert_eq!(read, std::fs::read(file(RAIN)).unwrap());
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

#[test]
fn lent_memory_is_released_once_whatever_fails() {
    let model = std::fs::read(file(RAIN)).unwrap();
    let once =
        |what: &str, code: Code, source: &dyn Fn(selvedge_source) -> selvedge_source, terms: selvedge_options| {
            let released = AtomicUsize::new(0);
            let (got, message) = open_source(&source(lent(&model, &released)), Some(&terms)).unwrap_err();
            assert_eq!((got, released.load(Ordering::SeqCst)), (code as i32, 1), "{what}: {message}");
        };
    let good = init!(selvedge_options {});
    let same = |source| source;
    once("flags", Code::InvalidArgument, &|s| selvedge_source { flags: 1, ..s }, good);
    once("no data", Code::InvalidArgument, &|s| selvedge_source { data: ptr::null(), ..s }, good);
    once("too long", Code::InvalidArgument, &|s| selvedge_source { data_len: usize::MAX, ..s }, good);
    once("empty", Code::Corrupt, &|s| selvedge_source { data: ptr::null(), data_len: 0, ..s }, good);
    once(
        "no model",
        Code::Unsupported,
        &|s| selvedge_source { data: c"not a model".as_ptr().cast(), data_len: 11, ..s },
        good,
    );
    once("options", Code::InvalidArgument, &same, selvedge_options { backend: 77, ..good });
    once("backend", Code::Unsupported, &same, selvedge_options { backend: SELVEDGE_BACKEND_LLAMA, ..good });
    let sha256 = [1; 32];
    if cfg!(feature = "tract") {
        once("digest", Code::Corrupt, &same, selvedge_options { sha256: sha256.as_ptr(), ..good });
        let mut cancel = ptr::null_mut();
        // SAFETY: `cancel` may be written.
        call(|err| unsafe { selvedge_cancel_new(&raw mut cancel, err) }).unwrap();
        assert_eq!(selvedge_cancel_set(cancel), SELVEDGE_OK);
        once("cancelled", Code::Cancelled, &same, selvedge_options { cancel, ..good });
        assert_eq!(selvedge_cancel_free(cancel), SELVEDGE_OK);
    }
}

#[test]
fn lent_memory_is_released_where_there_is_no_place_for_the_result() {
    let (model, released) = (std::fs::read(file(RAIN)).unwrap(), AtomicUsize::new(0));
    let source = lent(&model, &released);
    // SAFETY: NULL is what is tested; the source lives during the calls.
    unsafe {
        let null = ptr::null_mut();
        refused(Code::InvalidArgument, |err| selvedge_engine_open_source(&source, ptr::null(), null, err));
        assert_eq!(released.load(Ordering::SeqCst), 1);
        refused(Code::InvalidArgument, |err| selvedge_inspect(&source, ptr::null(), ptr::null_mut(), err));
        assert_eq!(released.load(Ordering::SeqCst), 2, "each call is a loan of its own");
        let validated = call(|err| selvedge_validate(&source, ptr::null(), err));
        assert_eq!(validated.is_ok(), cfg!(any(feature = "tract", feature = "ort")), "{validated:?}");
        assert_eq!(released.load(Ordering::SeqCst), 3);
    }
}

#[test]
fn what_is_not_lent_is_not_released() {
    let (model, released) = (std::fs::read(file(RAIN)).unwrap(), AtomicUsize::new(0));
    let source = lent(&model, &released);
    // A struct that is refused as a whole says nothing that could be believed.
    let (code, _) = open_source(&selvedge_source { struct_size: 8, ..source }, None).unwrap_err();
    assert_eq!(code, Code::InvalidArgument as i32);
    let path = "no/such/model.onnx";
    let by_path = selvedge_source { kind: SELVEDGE_SOURCE_PATH, path: text(path), ..source };
    assert_eq!(open_source(&by_path, None).unwrap_err().0, Code::NotFound as i32);
    let (code, message) = open_source(&selvedge_source { kind: 3, ..source }, None).unwrap_err();
    assert_eq!((code, &*message), (1, "selvedge_source_kind: 3 has no meaning in this version of the library"));
    assert_eq!(released.load(Ordering::SeqCst), 0);
}

#[test]
fn a_file_that_is_none_and_a_part_that_is_not_there_are_refused() {
    let own = File::open(file(RAIN)).unwrap();
    let good = part(&own, 0, 0);
    let no = |source: selvedge_source, expected: &str| {
        let (code, message) = open_source(&source, None).unwrap_err();
        assert_eq!(code, Code::InvalidArgument as i32, "{message}");
        assert!(message.contains(expected), "{message}");
    };
    for none in [-1, i64::MIN, i64::MAX, 1 << 33] {
        no(selvedge_source { file: none, ..good }, &format!("expected an open file, got {none}"));
    }
    // No process has so many.
    no(selvedge_source { file: 1_000_000_007, ..good }, "expected an open file, got 1000000007");
    no(selvedge_source { offset: 1 << 20, ..good }, "range 1048576..1050");
    no(selvedge_source { offset: 1000, length: 51, ..good }, "range 1000..1051");
    no(selvedge_source { offset: u64::MAX, length: 2, ..good }, "expected a part of the file");
    let folder = File::open(env!("CARGO_MANIFEST_DIR")).unwrap();
    no(part(&folder, 0, 0), "a folder");
    for path in ["", "rain\0.onnx"] {
        no(by_path(path), "selvedge_source.path: expected the name of a file");
    }
}

#[test]
fn a_symbolic_link_is_followed_unless_the_options_say_no() {
    let folder = tempfile::tempdir().unwrap();
    let link: PathBuf = folder.path().join("model.onnx");
    std::os::unix::fs::symlink(std::fs::canonicalize(file(RAIN)).unwrap(), &link).unwrap();
    let source = by_path(link.to_str().unwrap());
    let no_symlinks = init!(selvedge_options { flags: SELVEDGE_OPTIONS_NO_SYMLINKS });
    let (code, message) = open_source(&source, Some(&no_symlinks)).unwrap_err();
    assert_eq!(code, Code::InvalidArgument as i32);
    assert!(message.contains("symbolic link"), "{message}");
    // SAFETY: source and options live during the calls.
    unsafe {
        refused(Code::InvalidArgument, |err| selvedge_validate(&source, &no_symlinks, err));
        let followed = call(|err| selvedge_validate(&source, ptr::null(), err));
        assert_eq!(followed.is_ok(), cfg!(any(feature = "tract", feature = "ort")), "{followed:?}");
    }
}

#[test]
fn session_entries_and_the_search_go_to_onnx_runtime_and_nowhere_else() {
    let entries = [selvedge_pair { name: text("session.set_denormal_as_zero"), value: text("1") }];
    let path = file(RAIN);
    let with = |backend| {
        let options = init!(selvedge_options {
            backend: backend,
            flags: SELVEDGE_OPTIONS_SEARCH_PYTHON,
            session_entries: entries.as_ptr(),
            session_entry_count: 1,
        });
        open_source(&by_path(&path), Some(&options))
    };
    let (code, message) = with(SELVEDGE_BACKEND_TRACT).unwrap_err();
    assert_eq!(code, Code::Unsupported as i32);
    assert!(message.contains("session entry 'session.set_denormal_as_zero'"), "{message}");
    if cfg!(feature = "ort") && std::env::var_os("SELVEDGE_ONNXRUNTIME").is_some() {
        let engine = with(SELVEDGE_BACKEND_AUTO).unwrap();
        rain_after(engine);
        assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
    }
    let wrong = init!(selvedge_options { session_entry_count: 1 });
    let (_, message) = open_source(&by_path(&path), Some(&wrong)).unwrap_err();
    assert_eq!(message, "selvedge_options.session_entries: expected a pointer, got NULL");
}

#[test]
#[cfg(all(feature = "tract", feature = "rten"))]
fn what_was_measured_is_kept_in_the_folder_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let options = init!(selvedge_options { measurements: text(folder.path().to_str().unwrap()) });
    let path = file(RAIN);
    for _ in 0..2 {
        let engine = open_source(&by_path(&path), Some(&options)).unwrap();
        let spec = spec_of(engine);
        let choice = spec["choice"].as_str().unwrap();
        assert!(choice.contains("ms a call was measured"), "{choice}");
        rain_after(engine);
        assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
        let kept = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        assert_eq!(kept.filter(|path| path.extension().is_some_and(|e| e == "json")).count(), 1);
    }
}

#[test]
fn an_accelerator_is_for_language_models() {
    let path = file(RAIN);
    let options = init!(selvedge_options { accelerator_layers: SELVEDGE_ACCELERATOR_ALL });
    let (code, message) = open_source(&by_path(&path), Some(&options)).unwrap_err();
    assert_eq!(code, Code::Unsupported as i32);
    assert!(message.contains("accelerator: only a language model of the backend llama takes one"), "{message}");
}

#[test]
fn flags_that_nobody_knows_are_refused() {
    let path = file(RAIN);
    let source = by_path(&path);
    let unknown = init!(selvedge_options { flags: 8 });
    let (code, message) = open_source(&source, Some(&unknown)).unwrap_err();
    assert_eq!(code, Code::InvalidArgument as i32);
    assert!(message.starts_with("selvedge_options.flags"), "{message}");
    let known = SELVEDGE_OPTIONS_NO_SYMLINKS | SELVEDGE_OPTIONS_SEARCH_PYTHON | SELVEDGE_OPTIONS_OWN_PRODUCTS;
    let known = init!(selvedge_options { flags: known });
    // SAFETY: source and options live during the call.
    let validated = unsafe { call(|err| selvedge_validate(&source, &known, err)) };
    assert_eq!(validated.is_ok(), cfg!(any(feature = "tract", feature = "ort")), "{validated:?}");
}
