//! The inside of rooms, and how large they may be.

use crate::modules::Crate;
use crate::{File, INSIDE, ONLY_DECLARE, inside, rooms};

const MOD: &str = "mod budget;\nmod format;\nmod inspect;\nmod llama;\nmod open;\nmod options;\nmod tract;\n\
    pub use open::open;\npub use options::Options;\npub(crate) use tract::Tract;";

/// A backend with one more file, against the table of the house.
fn found(path: &str, text: &str) -> Vec<String> {
    let mut files = vec![
        File::new("src/lib.rs", "mod backend;\nmod layer;\npub use backend::Options;"),
        File::new("src/backend/mod.rs", MOD),
        File::new("src/backend/open.rs", "use super::{Options, llama, tract}; pub fn open() { llama::open() }"),
        File::new("src/backend/inspect/mod.rs", "use super::format::Format; use super::tract::Tract;"),
        File::new("src/backend/options.rs", "pub struct Options;"),
        File::new("src/backend/format.rs", "use super::Options; pub enum Format {}"),
        File::new("src/backend/budget.rs", "use super::options::Options; pub fn afford() {}"),
        File::new("src/backend/tract/mod.rs", "mod plan;\nuse crate::Options; pub struct Tract;"),
        File::new("src/backend/tract/plan.rs", "use super::super::budget::afford; use super::Tract;"),
        File::new(
            "src/backend/llama/mod.rs",
            "mod check;\nmod native;\nmod plan;\nmod serve;\npub(crate) fn open() { serve::run(check::check()) }",
        ),
        File::new("src/backend/llama/check/mod.rs", "pub fn check() {}"),
        File::new("src/backend/llama/native/mod.rs", "pub struct Model;"),
        File::new("src/backend/llama/plan.rs", "use super::check::check; pub struct Plan;"),
        File::new(
            "src/backend/llama/serve/mod.rs",
            "mod worker;\nuse super::{plan::Plan, native::Model}; pub fn run() {}",
        ),
        File::new("src/backend/llama/serve/worker.rs", "use super::super::check; fn f() { check::check() }"),
        File::new(
            "src/layer/mod.rs",
            "mod cache;\nmod monitor;\npub mod probe;\nmod route;\npub use monitor::Monitor;",
        ),
        File::new("src/layer/monitor/mod.rs", "use super::{probe::Probe, route::Route}; pub struct Monitor;"),
        File::new("src/layer/cache/mod.rs", ""),
        File::new("src/layer/probe.rs", "pub struct Probe;"),
        File::new("src/layer/route.rs", "pub struct Route;"),
    ];
    files.retain(|file| file.path != path);
    files.push(File::new(path, text));
    let library = Crate::read(&files, "src/lib.rs");
    [inside::violations(&library, INSIDE), inside::definitions(&library, ONLY_DECLARE)].concat()
}

fn only(path: &str, text: &str, violation: &str) {
    assert_eq!(found(path, text), [violation], "of {path}:\n{text}");
}

fn none(path: &str, text: &str) {
    assert_eq!(found(path, text), <[String; 0]>::default(), "of {path}:\n{text}");
}

#[test]
fn a_runtime_that_imports_another_is_seen() {
    let plan = "src/backend/tract/plan.rs";
    let wrong = |name: &str| format!("src/backend: tract may not import llama ({name} in {plan})");
    only(plan, "use super::super::llama::open;", &wrong("open"));
    only(plan, "use crate::backend::llama::native::Model;", &wrong("Model"));
    only(plan, "use crate::backend::llama; fn f() { llama::open() }", &wrong("open"));
    only(plan, "fn f() { crate::backend::llama::open() }", &wrong("open"));
    let by_mod = "src/backend: llama may not import tract (Tract in src/backend/llama/native/mod.rs)";
    only("src/backend/llama/native/mod.rs", "pub struct Model;\nuse crate::backend::Tract;", by_mod);
    none(plan, "#[cfg(test)]\nuse super::super::llama::open;");
    none(plan, "/// [`crate::backend::llama::open`]\nconst LLAMA: &str = \"crate::backend::llama::open\";");
    none(plan, "use llama::open; use crate::backend::Options;");
}

#[test]
fn the_way_up_to_the_door_is_seen() {
    let at_door = "src/backend: tract may not import open (open in src/backend/tract/plan.rs)";
    only("src/backend/tract/plan.rs", "use crate::backend::open;", at_door);
    only(
        "src/backend/format.rs",
        "pub enum Format {}\nuse super::budget::afford;",
        "src/backend: format may not import budget (afford in src/backend/format.rs)",
    );
    only(
        "src/backend/options.rs",
        "pub struct Options;\nuse super::format::Format;",
        "src/backend: options may not import format (Format in src/backend/options.rs)",
    );
}

#[test]
fn a_mod_rs_that_does_work_is_seen() {
    let defines = |names: &str| format!("src/backend/mod.rs: defines {names}; it only declares and re-exports");
    only(
        "src/backend/mod.rs",
        &format!("{MOD}\nfn afford() {{}}\nmacro_rules! m {{ () => {{ fn g() {{}} }} }}"),
        &defines("afford, m"),
    );
    only("src/backend/mod.rs", &format!("{MOD}\npub(crate) const unsafe fn f() {{ struct Inner; }}"), &defines("f"));
    only(
        "src/backend/mod.rs",
        &format!("{MOD}\nuse format::Format;"),
        "src/backend: mod may not import format (Format in src/backend/mod.rs)",
    );
}

#[test]
fn llama_is_a_house_of_floors() {
    let wrong = |what: &str| format!("src/backend/llama: {what}");
    only(
        "src/backend/llama/check/mod.rs",
        "pub fn check() {}\nuse super::plan::Plan;",
        &wrong("check may not import plan (Plan in src/backend/llama/check/mod.rs)"),
    );
    only(
        "src/backend/llama/native/mod.rs",
        "pub struct Model;\nuse super::check::check;",
        &wrong("native may not import check (check in src/backend/llama/native/mod.rs)"),
    );
    only(
        "src/backend/llama/plan.rs",
        "pub struct Plan;\nuse super::serve::run;",
        &wrong("plan may not import serve (run in src/backend/llama/plan.rs)"),
    );
    only(
        "src/backend/llama/serve/worker.rs",
        "use crate::backend::llama::open;",
        &wrong("serve may not import mod (open in src/backend/llama/serve/worker.rs)"),
    );
}

#[test]
fn layers_stand_apart() {
    only(
        "src/layer/cache/mod.rs",
        "use super::Monitor;",
        "src/layer: cache may not import monitor (Monitor in src/layer/cache/mod.rs)",
    );
    only(
        "src/layer/probe.rs",
        "pub struct Probe;\nuse crate::layer::route::Route;",
        "src/layer: probe may not import route (Route in src/layer/probe.rs)",
    );
    none("src/layer/cache/mod.rs", "use crate::layer::{probe::Probe, route::Route};");
}

#[test]
fn a_child_without_a_place_is_seen() {
    let with = MOD.replace("mod tract;", "mod tract;\nmod source;");
    let mut found = found("src/backend/mod.rs", &with);
    assert!(found.is_empty(), "the file is not there: {found:?}");
    let files = [
        File::new("src/lib.rs", "mod backend;"),
        File::new("src/backend/mod.rs", "mod source;\n#[cfg(test)]\nmod tests;"),
        File::new("src/backend/source.rs", ""),
        File::new("src/backend/tests.rs", ""),
    ];
    found = inside::violations(&Crate::read(&files, "src/lib.rs"), INSIDE);
    assert_eq!(found, ["src/backend: 'source' is not in the table of its inside"]);
}

#[test]
fn a_room_that_is_too_large_is_seen() {
    let file = |path: &str, lines: usize| File::new(path, "fn f() {}\n".repeat(lines));
    let files = [
        file("src/lib.rs", 100),
        file("src/a/mod.rs", 60),
        File::new("src/b.rs", "fn f() {}\n".repeat(40) + "#[cfg(test)]\nmod m {\n    fn g() {}\n}\n"),
        file("src/a/tests.rs", 100),
        file("src/a/tests/b.rs", 100),
        file("cli/src/main.rs", 100),
    ];
    let sizes = rooms::sizes(&files);
    assert_eq!(sizes, [("a".to_string(), 60, 60), ("b".to_string(), 40, 40)]);
    assert_eq!(rooms::too_large(&sizes, 50, &[]), ["src/a: 60 lines, 60 % of the library, at most 50 %"]);
    assert!(rooms::too_large(&sizes, 60, &[]).is_empty());
    assert!(rooms::too_large(&sizes, 50, &[("a", 60, "r")]).is_empty());
    assert_eq!(rooms::too_large(&sizes, 60, &[("a", 70, "r")]), ["src/a: is listed as larger than 60 % and is not"]);
}
