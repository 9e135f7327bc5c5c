//! Which runtime opens a model where speed is measured, and what is kept of that.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{model, product, value};
use crate::onnx::{NewNode, put};
use crate::{Ask, Backend, Engine, Options, Tensor, Tensors, open};

/// The one file of measurements in a folder, and what it says.
fn kept(folder: &Path) -> (PathBuf, Value) {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files = files.filter(|path| path.extension().is_some_and(|e| e == "json"));
    let path = files.next().unwrap();
    assert_eq!(files.next(), None);
    let text = fs::read(&path).unwrap();
    (path, serde_json::from_slice(&text).unwrap())
}

fn choice(engine: &dyn Engine) -> &str {
    engine.spec().choice.as_deref().unwrap()
}

#[test]
fn the_fastest_is_taken_and_known_the_next_time() {
    let Some(model) = product(8, 17, &[]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let options = || Options::new().threads(1).measure(folder.path());
    let engine = open(model.clone(), options()).unwrap();
    let (path, said) = kept(folder.path());
    let figures = said["figures"].as_array().unwrap();
    let fastest =
        figures.iter().filter(|f| f["nanoseconds"].is_u64()).min_by_key(|f| f["nanoseconds"].as_u64()).unwrap();
    assert_eq!(fastest["backend"], engine.spec().provenance.backend, "{said}");
    for backend in [Backend::Tract, Backend::Rten, Backend::Ort].into_iter().filter(|backend| backend.is_built()) {
        assert!(figures.iter().any(|f| f["backend"] == backend.name()), "{said}");
        assert!(choice(&*engine).contains(backend.name()), "{}", choice(&*engine));
    }
    assert!(choice(&*engine).contains(" ms a call was measured"), "{}", choice(&*engine));

    // A figure that no measurement gives tells that none was made.
    let slow = figures.iter().position(|f| f["nanoseconds"].is_u64() && f["backend"] != fastest["backend"]);
    let Some(slow) = slow else { return };
    let mut changed = said.clone();
    changed["figures"][slow]["nanoseconds"] = 1.into();
    fs::write(&path, changed.to_string()).unwrap();
    let again = open(model.clone(), options()).unwrap();
    assert_eq!(said["figures"][slow]["backend"], again.spec().provenance.backend);
    assert_eq!(kept(folder.path()).1, changed);

    // Another number of threads has a file of its own.
    open(model, Options::new().measure(folder.path())).unwrap();
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().filter(|e| e.as_ref().unwrap().path() != path).count(),
        2,
        "and a lock"
    );
}

#[test]
fn what_was_measured_elsewhere_or_cannot_be_read_is_measured_again() {
    let Some(model) = product(8, 17, &[]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let options = || Options::new().measure(folder.path());
    open(model.clone(), options()).unwrap();
    let (path, said) = kept(folder.path());
    let mut elsewhere = said.clone();
    elsewhere["here"]["cores"] = 1_000_000.into();
    let mut another_runtime = said.clone();
    for figure in another_runtime["figures"].as_array_mut().unwrap() {
        figure["runtime"] = "of another version".into();
    }
    let mut unknown = said.clone();
    unknown["figures"][0]["backend"] = "no such one".into();
    unknown["figures"][0]["nanoseconds"] = 0.into();
    let texts =
        [elsewhere.to_string(), another_runtime.to_string(), unknown.to_string(), String::new(), "{".repeat(70_000)];
    for text in texts {
        fs::write(&path, &text).unwrap();
        open(model.clone(), options()).unwrap();
        let (_, now) = kept(folder.path());
        assert_eq!(now["here"], said["here"], "{}", &text[..text.len().min(200)]);
        let names =
            |said: &Value| said["figures"].as_array().unwrap().iter().map(|f| f["runtime"].clone()).collect::<Vec<_>>();
        assert_eq!(names(&now), names(&said));
    }
}

#[test]
fn a_folder_that_cannot_be_written_keeps_no_model_from_opening() {
    let Some(model) = product(8, 17, &[]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "of somebody else").unwrap();
    let engine = open(model, Options::new().measure(&file)).unwrap();
    assert!(choice(&*engine).contains("was measured"), "{}", choice(&*engine));
    assert_eq!(fs::read(&file).unwrap(), b"of somebody else");
}

#[test]
fn what_cannot_be_measured_goes_by_the_rule() {
    if product(8, 17, &[]).is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // Texts are not made up.
    let mut graph = Vec::new();
    NewNode { op: "Identity", inputs: &["x"], output: "y", ..NewNode::default() }.put(&mut graph);
    put(&mut graph, 2, b"echo");
    put(&mut graph, 11, &value("x", 8, &[1]));
    put(&mut graph, 12, &value("y", 8, &[1]));
    let echo = model(8, 17, &graph);
    let engine = open(echo.clone(), Options::new().measure(folder.path())).unwrap();
    let by_rule = open(echo, Options::new()).unwrap();
    assert_eq!(engine.spec().choice, by_rule.spec().choice);
    assert!(fs::read_dir(folder.path()).unwrap().next().is_none());
}

#[test]
fn a_runtime_that_lacks_an_operator_is_told_and_kept() {
    if product(8, 17, &[]).is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut graph = Vec::new();
    NewNode { op: "Det", inputs: &["x"], output: "y", ..NewNode::default() }.put(&mut graph);
    put(&mut graph, 2, b"determinant");
    put(&mut graph, 11, &value("x", 1, &[2, 2]));
    put(&mut graph, 12, &value("y", 1, &[]));
    let determinant = model(8, 17, &graph);
    for _ in 0..2 {
        let engine = open(determinant.clone(), Options::new().measure(folder.path())).unwrap();
        assert_eq!(engine.spec().provenance.backend, "ort");
        assert!(choice(&*engine).contains("no operator Det"), "{}", choice(&*engine));
        let x = Tensor::new(&[2, 2], vec![2.0f32, 0.0, 0.0, 3.0]).unwrap();
        let answer = engine.run(Tensors::from([("x", x)])).unwrap();
        assert_eq!(answer.output("y").unwrap().as_slice::<f32>().unwrap(), [6.0]);
    }
}

#[test]
fn a_named_backend_is_not_measured() {
    let Some(model) = product(8, 17, &[]) else { return };
    let folder = tempfile::tempdir().unwrap();
    open(model, Options::new().backend(Backend::Ort).measure(folder.path())).unwrap();
    assert!(fs::read_dir(folder.path()).unwrap().next().is_none());
}

/// What does not fit one app's limit is not passed over for another's.
#[test]
fn what_was_refused_for_its_memory_is_not_kept() {
    let Some(model) = product(8, 17, &[]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let memory = |backend| open(model.clone(), Options::new().backend(backend)).unwrap().spec().memory.total();
    let pure = if Backend::Tract.is_built() { Backend::Tract } else { Backend::Rten };
    let (pure, ort) = (memory(pure), memory(Backend::Ort));
    assert_ne!(pure, ort);
    let limited = Options::new().memory_limit(pure.min(ort)).measure(folder.path());
    let engine = open(model.clone(), limited).unwrap();
    assert!(choice(&*engine).contains("was measured"), "{}", choice(&*engine));
    assert!(fs::read_dir(folder.path()).unwrap().next().is_none());
    open(model, Options::new().measure(folder.path())).unwrap();
    kept(folder.path());
}
