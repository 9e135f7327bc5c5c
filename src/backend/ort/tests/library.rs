//! Finding and loading the library. There is one per process, so most of it happens in children.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use super::craft::{field, input, model, node, output, tensor};
use super::fixture::{data, library};
use crate::backend::ort::locate::{Search, Surroundings, VARIABLE, search};
use crate::backend::ort::runtime::Runtime;
use crate::{Ask, Backend, Code, Options};

const ROLE: &str = "SELVEDGE_TEST_CHILD";

/// The working folder of this process, if it is the child that plays `role`.
pub(super) fn child(role: &str) -> Option<PathBuf> {
    (std::env::var_os(ROLE)? == role).then(|| std::env::current_dir().expect("a working folder"))
}

/// Runs a test of this module's parent again, in a process of its own; gives what it wrote to stderr.
pub(super) fn run_child(test: &str, role: &str, variables: &[(&str, Option<OsString>)], folder: &Path) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--nocapture", &format!("backend::ort::tests::{test}")]);
    command.env(ROLE, role).current_dir(folder).stdin(Stdio::null());
    if let Some(library) = library() {
        command.env(VARIABLE, library.canonicalize().unwrap());
    }
    for (name, value) in variables {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let output = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains("1 passed"), "{role}: {}\n{out}\n{err}", output.status);
    err.into_owned()
}

/// Opens a fixture with the library that the environment names, or is found.
fn open() -> crate::Result<std::sync::Arc<dyn crate::Engine>> {
    crate::open(data("linear.onnx"), Options::new().backend(Backend::Ort))
}

#[test]
fn a_named_library_that_does_not_work_is_an_error() {
    if child("named").is_some() {
        let error = open().err().expect("no library");
        assert_eq!(error.code(), Code::MissingRuntime, "{error}");
        for words in [VARIABLE, "nowhere.so", "pip install onnxruntime", "releases"] {
            assert!(error.message().contains(words), "{words}: {error}");
        }
        // A failed search is not the end: the next open may name one that works.
        if let Some(library) = std::env::var_os("WORKING") {
            crate::open(data("linear.onnx"), Options::new().backend(Backend::Ort).onnxruntime(library)).unwrap();
        }
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let nowhere = Some(folder.path().join("nowhere.so").into_os_string());
    let working = library().map(PathBuf::into_os_string);
    let test = "library::a_named_library_that_does_not_work_is_an_error";
    run_child(test, "named", &[(VARIABLE, nowhere), ("WORKING", working)], folder.path());
}

#[test]
#[cfg(target_os = "linux")]
fn another_library_is_not_taken_for_onnxruntime() {
    if child("another").is_some() {
        let error = open().err().expect("no ONNX Runtime");
        assert_eq!(error.code(), Code::MissingRuntime);
        assert!(error.message().contains("OrtGetApiBase"), "{error}");
        return;
    }
    let test = "library::another_library_is_not_taken_for_onnxruntime";
    run_child(test, "another", &[(VARIABLE, Some("libc.so.6".into()))], Path::new("/"));
}

#[test]
fn nothing_found_says_where_it_looked() {
    let around = Surroundings { system: vec!["/no/such/folder".into()], ..Surroundings::default() };
    let error = Runtime::load(&search(None, &around)).err().expect("nothing to load");
    assert_eq!(error.code(), Code::MissingRuntime);
    for words in ["/no/such/folder", VARIABLE, "ORT_DYLIB_PATH", "pip install onnxruntime", "1.24"] {
        assert!(error.message().contains(words), "{words}: {error}");
    }
}

#[test]
#[cfg(unix)]
fn a_process_has_one_library() {
    let Some(library) = library() else { return };
    if child("one").is_some() {
        let open = |library: &Path| {
            crate::open(data("linear.onnx"), Options::new().backend(Backend::Ort).onnxruntime(library)).map(|_| ())
        };
        open(&library).unwrap();
        open(&library).expect("the same again");
        fs::create_dir("link").unwrap();
        let file = search(Some(&library), &Surroundings::default()).candidates.remove(0);
        let link = Path::new("link").join(file.file_name().unwrap());
        std::os::unix::fs::symlink(file, &link).unwrap();
        open(&link).expect("the same by another name");
        open(Path::new("link")).expect("the same by a folder");
        let error = open(Path::new("/other/libonnxruntime.so")).unwrap_err();
        assert_eq!(error.code(), Code::Busy, "{error}");
        self::open().expect("any will do");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    run_child("library::a_process_has_one_library", "one", &[], folder.path());
}

#[test]
#[cfg(unix)]
fn the_wheel_of_a_virtual_environment_is_found() {
    let Some(library) = library() else { return };
    if child("wheel").is_some() {
        // Not by itself: whoever writes there would have his code run.
        assert_eq!(open().err().expect("none is looked for").code(), Code::MissingRuntime);
        let options = Options::new().backend(Backend::Ort).search_python();
        let engine = crate::open(data("linear.onnx"), options).unwrap();
        assert!(engine.run(super::inputs("linear.onnx")).is_ok());
        return;
    }
    let file = search(Some(&library), &Surroundings::default()).candidates.remove(0);
    let folder = tempfile::tempdir().unwrap();
    let capi = folder.path().join("lib/python3.11/site-packages/onnxruntime/capi");
    fs::create_dir_all(&capi).unwrap();
    std::os::unix::fs::symlink(file.canonicalize().unwrap(), capi.join(file.file_name().unwrap())).unwrap();
    let environment = Some(folder.path().as_os_str().to_owned());
    let test = "library::the_wheel_of_a_virtual_environment_is_found";
    let unset = [(VARIABLE, None), ("ORT_DYLIB_PATH", None), ("VIRTUAL_ENV", environment), ("PATH", None)];
    run_child(test, "wheel", &unset, Path::new("/"));
}

#[test]
fn the_search_has_an_order() {
    let root = tempfile::tempdir().unwrap();
    let place = |path: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "").unwrap();
        path
    };
    let name = |version: &str| match cfg!(target_vendor = "apple") {
        true => format!("libonnxruntime{version}.dylib"),
        false => format!("libonnxruntime.so{version}"),
    };
    let beside = place(&format!("app/{}", name("")));
    let (old, new) = (place(&format!("usr/{}", name(".1.9.0"))), place(&format!("usr/{}", name(".1.31.1"))));
    place("usr/libonnxruntime_providers_shared.so");
    let wheel = place(&format!("venv/lib/python3.12/site-packages/onnxruntime/capi/{}", name(".1.31.1")));
    let around = Surroundings {
        variables: [Some("/ours.so".into()), Some("/shared.so".into())],
        ourselves: vec![root.path().join("app/program")],
        system: vec![root.path().join("usr")],
        python: vec![root.path().join("venv")],
        loader: true,
    };
    let first = |option: Option<&str>, around: &Surroundings| {
        let Search { named_by, candidates, .. } = search(option.map(Path::new), around);
        (named_by, candidates)
    };
    let one = |by, path: &str| (Some(by), vec![PathBuf::from(path)]);
    assert_eq!(first(Some("/option.so"), &around), one("Options::onnxruntime", "/option.so"));
    assert_eq!(first(None, &around), one(VARIABLE, "/ours.so"));
    let shared = Surroundings { variables: [None, Some("/shared.so".into())], ..around.clone() };
    assert_eq!(first(None, &shared), one("ORT_DYLIB_PATH", "/shared.so"));
    let (by, found) = first(None, &Surroundings { variables: [None, None], ..around.clone() });
    let files: Vec<&PathBuf> = found.iter().filter(|c| c.is_absolute()).collect();
    assert_eq!((by, files), (None, vec![&beside, &new, &old, &wheel]));
    assert!(!found[1].is_absolute() && found[1].to_string_lossy().contains("onnxruntime"), "then the system's loader");
    assert_eq!(first(Some(root.path().join("usr").to_str().unwrap()), &around).1, [new, old], "a folder");
}

/// Keeps the messages that the runtime logs.
struct Listener;

static HEARD: Mutex<Vec<String>> = Mutex::new(Vec::new());

impl tracing::Subscriber for Listener {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "onnxruntime"
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        struct Message;
        impl tracing::field::Visit for Message {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                if field.name() == "message" {
                    HEARD.lock().unwrap().push(format!("{value:?}"));
                }
            }
        }
        event.record(&mut Message);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn the_runtime_logs_to_tracing_and_not_to_stderr() {
    if library().is_none() {
        return;
    }
    if child("logs").is_some() {
        tracing::subscriber::set_global_default(Listener).unwrap();
        // An initializer that nothing uses is worth a warning of ONNX Runtime's.
        let unused = field(5, tensor("unused", &[1.0]));
        super::open(model(&[node("Neg", &["x"], &["y"], &[]), input("x", &[1]), output("y", &[1]), unused]))
            .unwrap()
            .unwrap();
        super::open(data("unknown_op.onnx")).unwrap().err().expect("refused");
        let heard = HEARD.lock().unwrap();
        assert!(heard.iter().any(|m| m.contains("unused")), "{heard:?}");
        return;
    }
    let err = run_child("library::the_runtime_logs_to_tracing_and_not_to_stderr", "logs", &[], Path::new("/"));
    assert_eq!(err, "");
}
