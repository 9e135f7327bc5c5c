//! The plan of the house, enforced: who may import whom, down into the rooms and between files; what is public, and by
//! which path; where `unsafe` may stand; how long a file may be.
//!
//! `violations` is a function of paths and texts, so that each rule is shown bad code too and must see it.

mod circles;
mod controls;
mod face;
mod inside;
mod items;
mod manifest;
mod modules;
mod public;
mod rooms;
mod rust;
mod unsafe_code;

use std::path::Path;

use face::Face;
use modules::Crate;
use rust::{blank_strings_and_comments, words};

/// Room, and the rooms it may import. All may import `error`; `error` imports nothing of the crate.
const ROOMS: Table = &[
    ("error", &[]),
    ("digest", &[]),
    ("threads", &[]),
    ("disk", &[]),
    ("tensor", &[]),
    ("crash", &["disk", "digest"]),
    ("engine", &["tensor", "digest", "threads"]),
    ("source", &["tensor"]),
    ("kernel", &["threads"]),
    ("weights", &["kernel", "tensor", "source", "disk"]),
    ("onnx", &["engine", "tensor", "source"]),
    ("pack", &["engine", "tensor", "onnx", "weights", "kernel", "digest", "source", "disk"]),
    ("text", &["engine", "threads", "digest"]),
    (
        "backend",
        &[
            "engine", "tensor", "kernel", "weights", "onnx", "pack", "text", "source", "digest", "threads", "crash",
            "disk",
        ],
    ),
    ("fake", &["engine", "tensor", "digest", "text"]),
    ("telemetry", &["disk", "digest", "threads"]),
    ("drift", &[]),
    ("store", &["disk", "digest", "source", "threads"]),
    // A deployment counts the deaths that the crash record has of its versions.
    ("layer", &["engine", "tensor", "digest", "telemetry", "drift", "store", "threads", "crash"]),
    ("sync", &["telemetry", "drift", "disk", "digest"]),
    // For people, the versions of a store and the deaths of a crash record stand beside what the telemetry tells of them.
    ("report", &["telemetry", "drift", "sync", "store", "crash", "digest", "disk"]),
];

/// The inside of rooms: a parent, and of each child, a file or a folder, the children it may import. `mod` is the
/// parent's own code; `*` is every child, but not `mod`.
const INSIDE: &[(&str, Table)] = &[
    (
        "backend",
        &[
            ("mod", &[]),
            // The door.
            ("open", &["*"]),
            ("inspect", &["*"]),
            // The runtimes.
            ("llama", CELLAR),
            ("ort", CELLAR),
            ("ort_interop", CELLAR),
            ("rten", CELLAR),
            ("tract", CELLAR),
            ("table", CELLAR),
            // The cellar.
            ("format", &["options"]),
            ("budget", &["options"]),
            ("interrupt", &[]),
            ("model", &["options"]),
            ("metadata", &[]),
            ("options", &[]),
        ],
    ),
    (
        "backend::llama",
        &[
            ("mod", &["*"]),
            ("adapters", &["mod", "serve", "native", "check"]),
            ("rerank", &["mod", "check", "native", "serve"]),
            ("score", &["mod", "serve"]),
            ("prefixes", &["mod", "adapters", "saved", "serve", "native"]),
            ("saved", &["serve"]),
            ("serve", &["plan", "native", "check"]),
            ("plan", &["check"]),
            ("native", &[]),
            ("check", &[]),
        ],
    ),
    (
        "store",
        &[
            ("mod", &["*"]),
            ("import", &["files", "manifest", "open", "package", "staged", "trust", "version"]),
            ("serving", &["open", "state", "version"]),
            ("open", &["files", "staged", "state", "trust", "twice", "version"]),
            ("version", &["files", "manifest", "sealed", "trust"]),
            ("staged", &["files", "package"]),
            ("state", &["files", "sealed", "twice"]),
            ("rollout", &["open", "sealed", "twice"]),
            ("twice", &["files"]),
            ("manifest", &["sealed"]),
            ("sealed", &[]),
            ("files", &[]),
            // They know nothing of the store.
            ("package", &[]),
            ("trust", &[]),
        ],
    ),
    (
        "layer",
        &[
            ("mod", &[]),
            ("monitor", ROUTE_AND_PROBE),
            ("deployment", ROUTE_AND_PROBE),
            ("cascade", ROUTE_AND_PROBE),
            ("cache", ROUTE_AND_PROBE),
            ("schedule", ROUTE_AND_PROBE),
            ("route", &[]),
            ("probe", &[]),
        ],
    ),
];
const CELLAR: &[&str] = &["options", "format", "budget", "interrupt", "model", "metadata"];
const ROUTE_AND_PROBE: &[&str] = &["route", "probe"];

/// Of the library without its tests, in percent.
const MAX_SHARE: usize = 20;
/// The rooms that may have a larger share, and why.
const LARGER: &[(&str, usize, &str)] = &[];

/// Files that define nothing.
const ONLY_DECLARE: &[&str] = &["src/lib.rs", "src/backend/mod.rs", "src/layer/mod.rs"];

/// The circles between files that are borne, and why.
const BORNE: &[(&[&str], &str)] = &[
    (
        &["src/backend/tract/file.rs", "src/backend/tract/weights.rs"],
        "one noun in two files: a model file as tract reads it, and the rewriting of its tensors",
    ),
    (
        &["benches/packed/memory.rs", "benches/packed/product.rs"],
        "one benchmark in two files, which compare with the same bars",
    ),
];

/// The crates whose types public signatures may name, and below which path.
const FACE_CRATES: &[(&str, &str)] = &[
    ("std", ""),
    ("half", "selvedge::"),
    ("ndarray", "selvedge::Tensor"),
    ("futures_core", "selvedge::StepStream"),
    ("ort", "selvedge::backend::OrtEngine"),
    // Bounds of `generate_as`.
    ("schemars", "selvedge::Ask"),
    ("serde", "selvedge::Ask"),
    // Bounds of a sealed trait.
    ("bytemuck", "selvedge::Element"),
];
/// The public items as they were checked in.
const FACE: &str = "tests/architecture/public-api.txt";
/// Set to write [`FACE`] anew.
const RENEW: &str = "SELVEDGE_RENEW";

/// The names that several public types share, and why.
const SAME_NAMES: &[(&str, &str)] = &[];

/// The files that may hold `unsafe`. Each announces it with `expect(unsafe_code, …)`; a folder, with a slash at its
/// end, does so in its `main.rs`.
const UNSAFE: &[&str] = &[
    "benches/ffi/",
    "benches/generation/padded.rs",
    "benches/kernels/clock.rs",
    "benches/kernels/limits.rs",
    "benches/kernels/peers.rs",
    "benches/matmul/peak.rs",
    "bindings/kotlin/jni/examples/fake.rs",
    "bindings/kotlin/jni/examples/fake.rs",
    "bindings/kotlin/jni/src/answer.rs",
    "bindings/kotlin/jni/src/base.rs",
    "bindings/kotlin/jni/src/callback.rs",
    "bindings/kotlin/jni/src/engine.rs",
    "bindings/kotlin/jni/src/env.rs",
    "bindings/kotlin/jni/src/failure.rs",
    "bindings/kotlin/jni/src/monitor.rs",
    "bindings/kotlin/jni/src/native.rs",
    "bindings/kotlin/jni/src/pack.rs",
    "bindings/kotlin/jni/src/profile.rs",
    "bindings/kotlin/jni/src/run.rs",
    "bindings/kotlin/jni/src/sync.rs",
    "bindings/kotlin/jni/src/telemetry.rs",
    "bindings/kotlin/jni/src/weights.rs",
    "ffi/src/alert.rs",
    "ffi/src/answer.rs",
    "ffi/src/batch.rs",
    "ffi/src/buffer.rs",
    "ffi/src/cache.rs",
    "ffi/src/cancel.rs",
    "ffi/src/cascade.rs",
    "ffi/src/cells.rs",
    "ffi/src/crash.rs",
    "ffi/src/delayed.rs",
    "ffi/src/deployment.rs",
    "ffi/src/engine.rs",
    "ffi/src/error.rs",
    "ffi/src/fork.rs",
    "ffi/src/generate.rs",
    "ffi/src/import.rs",
    "ffi/src/inspect.rs",
    "ffi/src/loan.rs",
    "ffi/src/log.rs",
    "ffi/src/memory.rs",
    "ffi/src/memory/place.rs",
    "ffi/src/memory/values.rs",
    "ffi/src/models.rs",
    "ffi/src/monitor.rs",
    "ffi/src/options.rs",
    "ffi/src/outbox.rs",
    "ffi/src/output.rs",
    "ffi/src/pack.rs",
    "ffi/src/prefixes.rs",
    "ffi/src/profile.rs",
    "ffi/src/progress.rs",
    "ffi/src/release.rs",
    "ffi/src/report.rs",
    "ffi/src/request.rs",
    "ffi/src/retry.rs",
    "ffi/src/rows.rs",
    "ffi/src/run.rs",
    "ffi/src/schedule.rs",
    "ffi/src/serving.rs",
    "ffi/src/source.rs",
    "ffi/src/staged.rs",
    "ffi/src/store.rs",
    "ffi/src/stored.rs",
    "ffi/src/table.rs",
    "ffi/src/telemetry.rs",
    "ffi/src/texts.rs",
    "ffi/src/tokenizer.rs",
    "ffi/src/version.rs",
    "ffi/tests/abi/",
    "src/backend/llama/native/accelerator.rs",
    "src/backend/llama/native/context.rs",
    // ggml calls the device through structs of its own layout, and its tensors are memory.
    "src/backend/llama/native/device/attention.rs",
    "src/backend/llama/native/device/backend.rs",
    "src/backend/llama/native/device/compute.rs",
    "src/backend/llama/native/device/crew.rs",
    "src/backend/llama/native/device/packed.rs",
    "src/backend/llama/native/logs.rs",
    "src/backend/llama/native/model.rs",
    "src/backend/llama/native/processor.rs",
    "src/backend/llama/native/file.rs",
    "src/backend/llama/native/file/unix.rs",
    "src/backend/llama/native/file/windows.rs",
    "src/backend/llama/native/terminate.rs",
    "src/backend/llama/tests/native.rs",
    "src/backend/llama/tests/terminate.rs",
    "src/backend/ort/runtime.rs",
    "src/backend/ort/session.rs",
    "src/backend/ort/value.rs",
    "src/backend/rten/loaded.rs",
    "src/crash/page.rs",
    "src/crash/signal.rs",
    "src/crash/tests/dying.rs",
    "src/disk/reserve.rs",
    "src/kernel/attention/avx2.rs",
    "src/kernel/attention/avx512.rs",
    "src/kernel/avx2.rs",
    "src/kernel/avx512.rs",
    "src/kernel/decode.rs",
    "src/kernel/generic.rs",
    "src/kernel/int8/avx2.rs",
    "src/kernel/int8/avx512.rs",
    "src/kernel/lanes.rs",
    "src/kernel/neon.rs",
    "src/kernel/prefetch.rs",
    "src/kernel/product/avx2.rs",
    "src/kernel/product/avx2/groups.rs",
    "src/kernel/product/avx512.rs",
    "src/kernel/product/panels.rs",
    "src/kernel/resident.rs",
    "src/kernel/tests/ggml.rs",
    "src/telemetry/map.rs",
    "src/tensor/bytes.rs",
    "src/tensor/tests.rs",
    "src/source/opened.rs",
    "src/source/resident.rs",
    "tests/crash/",
    "tests/gguf/allocator.rs",
    "tests/support/counting.rs",
];

const SEARCHED: &[&str] =
    &["src", "ffi/src", "ffi/tests", "cli/src", "cli/tests", "tests", "examples", "benches", "bindings/kotlin/jni"];
/// Those of the library. Those of the command and of the benchmarks may name what they want.
const MANIFESTS: &[&str] = &["Cargo.toml", "ffi/Cargo.toml", "bindings/kotlin/jni/Cargo.toml"];
/// The crates whose files are looked at for circles: every root, `lib.rs` or `main.rs`, below these.
const CRATES: &[&str] = &["src/", "ffi/src/", "cli/src/", "benches/", "bindings/kotlin/jni/src/"];
const MAX_LINES: usize = 500;
const MAX_MAP_LINES: usize = 119;
const NAMES_WITHOUT_A_JOB: &[&str] = &["util", "utils", "common", "helper", "helpers", "type", "types"];
/// Neither the library nor its C ABI opens a socket; the command may.
const SOCKETS: &[&str] = &["ureq", "TcpStream", "TcpListener", "UdpSocket", "UnixStream"];
const UNFINISHED: &[&str] = &["todo!", "unimplemented!", "dbg!"];

/// A name, and the names it may import.
type Table = &'static [(&'static str, &'static [&'static str])];
/// A file, and its text without strings and comments.
struct File {
    path: String,
    text: String,
    code: String,
}

impl File {
    fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        let (path, text) = (path.into(), text.into());
        // A manifest is read as it stands.
        let code = if path.ends_with(".rs") { blank_strings_and_comments(&text) } else { String::new() };
        Self { path, text, code }
    }

    fn is_code(&self) -> bool {
        self.path.ends_with(".rs")
    }
}

/// What is checked against.
struct Plan<'a> {
    rooms: Table,
    inside: &'a [(&'a str, Table)],
    only_declare: &'a [&'a str],
    may_be_unsafe: &'a [&'a str],
    borne: &'a [(&'a [&'a str], &'a str)],
    same_names: &'a [(&'a str, &'a str)],
}

const PLAN: Plan<'_> = Plan {
    rooms: ROOMS,
    inside: INSIDE,
    only_declare: ONLY_DECLARE,
    may_be_unsafe: UNSAFE,
    borne: BORNE,
    same_names: SAME_NAMES,
};

#[test]
fn the_house_is_as_planned() {
    let files = files();
    the_checker_sees(&files);
    for (room, lines, share) in rooms::sizes(&files) {
        println!("{share:3} % {lines:6} lines  {room}");
    }
    let mut found = violations(&files, &PLAN);
    found.extend(rooms::too_large(&rooms::sizes(&files), MAX_SHARE, LARGER));
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn the_face_is_as_checked_in() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FACE);
    let face = Face::read(&Crate::read(&files(), "src/lib.rs")).text();
    for known in ["selvedge::open: fn(", "selvedge::Tensor: struct", "selvedge::Code::NotFound: variant"] {
        assert!(face.contains(&format!("\n{known}")), "the checker is blind: no {known}");
    }
    if std::env::var_os(RENEW).is_some() {
        std::fs::write(&path, &face).unwrap();
    }
    let changes = face::changes(&std::fs::read_to_string(&path).unwrap_or_default(), &face);
    assert!(
        changes.is_empty(),
        "\n{}\n\nThe public face differs from {FACE}. If it is meant to: {RENEW}=1 cargo test --test architecture\n",
        changes.join("\n")
    );
}

#[test]
fn the_face_names_few_foreign_crates() {
    let found = Face::read(&Crate::read(&files(), "src/lib.rs")).foreign(FACE_CRATES);
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

/// A checker that reads nothing finds no fault.
fn the_checker_sees(files: &[File]) {
    let arrows = rooms::arrows(files, &mut Vec::new());
    for known in [("backend", "engine"), ("engine", "tensor"), ("tensor", "error")] {
        assert!(arrows.contains(&(known.0.into(), known.1.into())), "the checker is blind: no {known:?} in {arrows:?}");
    }
    let library = Crate::read(files, "src/lib.rs");
    let arrows = library.arrows();
    for known in [("src/tensor/mod.rs", "src/error.rs"), ("src/tensor/mod.rs", "src/tensor/dtype.rs")] {
        assert!(arrows.contains_key(&(known.0.into(), known.1.into())), "the checker is blind: no {known:?}");
    }
    let public = public::types(&library);
    assert!(
        public.iter().any(|(name, paths)| name == "Tensor" && paths.len() == 1),
        "the checker is blind: {public:?}"
    );
}

fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &Path| {
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
        File::new(name, std::fs::read_to_string(path).unwrap())
    };
    let mut files: Vec<File> = MANIFESTS.iter().map(|path| read(&root.join(path))).collect();
    let mut folders: Vec<_> = SEARCHED.iter().map(|f| root.join(f)).filter(|f| f.is_dir()).collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                files.push(read(&path));
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// Every break of a rule, as `path: what is wrong`.
fn violations(files: &[File], plan: &Plan<'_>) -> Vec<String> {
    let mut found = rooms::violations(files, plan.rooms);
    let library = Crate::read(files, "src/lib.rs");
    found.extend(inside::violations(&library, plan.inside));
    found.extend(inside::definitions(&library, plan.only_declare));
    found.extend(circles::violations(files, CRATES, plan.borne));
    found.extend(public::several_paths(&library));
    found.extend(public::several_types(&library, plan.same_names));
    found.extend(unsafe_code::violations(files, plan.may_be_unsafe));
    for file in files {
        found.extend(if file.is_code() { of_file(file) } else { manifest::violations(&file.path, &file.text) });
    }
    found
}

/// Length, name, sockets, and what is not finished.
fn of_file(File { path, text, code }: &File) -> Vec<String> {
    let mut found = Vec::new();
    let (lines, most) = (text.lines().count(), if path == "src/lib.rs" { MAX_MAP_LINES } else { MAX_LINES });
    if lines > most {
        found.push(format!("{path}: {lines} lines, at most {most}"));
    }
    for name in path.trim_end_matches(".rs").split('/').filter(|n| NAMES_WITHOUT_A_JOB.contains(n)) {
        found.push(format!("{path}: '{name}' names no job"));
    }
    let is_library = path.starts_with("src/") || path.starts_with("ffi/src/");
    for socket in SOCKETS.iter().filter(|name| is_library && words(code, name).next().is_some()) {
        found.push(format!("{path}: {socket}: the library opens no socket"));
    }
    for unfinished in
        UNFINISHED.iter().filter(|u| words(code, u.trim_end_matches('!')).any(|i| code[i..].starts_with(**u)))
    {
        found.push(format!("{path}: {unfinished}"));
    }
    found
}
