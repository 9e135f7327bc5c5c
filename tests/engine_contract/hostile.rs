//! Files made to do harm: each is a typed error, without an abort, a hang or a grab for memory.
//!
//! They are opened in a child process, so that an abort is a failed test and not the end of the suite.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use selvedge::{Backend, Code, Options, open};

use crate::cases::{Case, skipped};
use crate::fixtures;

const LIST: &str = "SELVEDGE_HOSTILE_LIST";
const STARTED: &str = "started";
/// One file takes milliseconds; what takes this long, hangs.
const NO_HANG: Duration = Duration::from_secs(60);
/// More than the runtimes' own libraries take, and far less than the files claim.
const MAX_KIB: u64 = 256 << 10;

const BROKEN: &[Code] = &[Code::Corrupt];
/// Where taste decides whether a rule is broken or a feature missing.
const REFUSED: &[Code] = &[Code::Corrupt, Code::Unsupported];

struct Hostile {
    path: PathBuf,
    codes: &'static [Code],
}

pub(crate) fn hostile_files_are_typed_errors(case: &Case) {
    let (backend, model) = case.file.as_ref().expect("an engine that came from a file");
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    let mut add = |name: &str, content: &[u8], codes| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        files.push(Hostile { path, codes });
    };
    match backend {
        Backend::Llama | Backend::Table => gguf(&std::fs::read(model).unwrap(), &mut add),
        _ => onnx(&std::fs::read(model).unwrap(), &mut add),
    }
    if matches!(backend, Backend::Ort | Backend::Rten | Backend::Tract) {
        files.extend(rejected_fixtures());
    }
    let wrong = opened_in_a_child(*backend, &files, folder.path(), NO_HANG);
    if cfg!(not(target_os = "linux")) {
        skipped(case.name, "the memory that a hostile file takes is measured on Linux only");
    }
    assert!(wrong.is_empty(), "{} of {} files:\n{}", wrong.len(), files.len(), wrong.join("\n"));
}

fn rejected_fixtures() -> Vec<Hostile> {
    let rejected = fixtures::expected()["rejected"].as_object().unwrap();
    let codes = |name: &str| match name {
        "external/missing/model.onnx" => &[Code::NotFound],
        "opset_future.onnx" | "unknown_op.onnx" => &[Code::Unsupported],
        _ => BROKEN,
    };
    rejected.keys().map(|name| Hostile { path: fixtures::path(name), codes: codes(name) }).collect()
}

type Add<'a> = dyn FnMut(&str, &[u8], &'static [Code]) + 'a;

fn onnx(model: &[u8], add: &mut Add<'_>) {
    for len in 1..model.len() {
        add(&format!("truncated-{len}"), &model[..len], REFUSED);
    }
    let field = |number: u8, content: &[u8]| [&[number << 3 | 2][..], &varint(content.len() as u64), content].concat();
    let claims = |number: u8, len: u64| [&[number << 3 | 2][..], &varint(len), b"few bytes"].concat();
    let head = [8, 8];
    for (name, len) in [("1GB", 1 << 30), ("2^31", 1 << 31), ("2^60", 1 << 60), ("2^64-1", u64::MAX)] {
        let graph = |content: &[u8]| [&head[..], &field(7, content)].concat();
        add(&format!("graph-claims-{name}"), &[&head[..], &claims(7, len)].concat(), BROKEN);
        add(&format!("node-claims-{name}"), &graph(&claims(1, len)), BROKEN);
        add(&format!("weight-claims-{name}"), &graph(&field(5, &claims(9, len))), BROKEN);
        // dims [len], f32, named w, and 4 bytes of data
        let dims = [&[8][..], &varint(len), &[16, 1], &field(8, b"w"), &field(9, &[0; 4])].concat();
        add(&format!("dims-claim-{name}"), &graph(&field(5, &dims)), BROKEN);
    }
    add("endless-varint", &[0xff; 64], REFUSED);
    add("group", &[&head[..], &[7 << 3 | 3; 1000]].concat(), REFUSED);
    add("zeros", &[0; 4096], REFUSED);
    add("noise", &noise(4096), REFUSED);
    // An If in the branch of an If in the branch … : node(1) attribute(5) graph(6).
    let mut graph = Vec::new();
    for _ in 0..20_000 {
        let attribute = [field(1, b"a"), vec![20 << 3, 5], field(6, &graph)].concat();
        graph = field(1, &[field(4, b"If"), field(5, &attribute)].concat());
    }
    add("deep-graphs", &[&head[..], &field(7, &graph), &field(8, &[16, 17])].concat(), REFUSED);
    for len in [1, model.len() / 2, model.len() - 1] {
        let mut flipped = model.to_vec();
        flipped[len] ^= 0x80;
        // May be a valid model of another meaning: what counts is that it comes back.
        add(&format!("flipped-{len}"), &flipped, &[]);
    }
}

fn gguf(model: &[u8], add: &mut Add<'_>) {
    let lens = [4, 5, 7, 8, 16, 23, 24, 25, 31, 32, 33, 100, 1000, 10_000, 100_000, model.len() / 2, model.len() - 1];
    for len in lens.into_iter().filter(|len| *len < model.len()) {
        add(&format!("truncated-{len}"), &model[..len], BROKEN);
    }
    let header = |version: u32, tensors: u64, pairs: u64| {
        [&b"GGUF"[..], &version.to_le_bytes(), &tensors.to_le_bytes(), &pairs.to_le_bytes()].concat()
    };
    let text = |text: &[u8]| [&(text.len() as u64).to_le_bytes()[..], text].concat();
    let pair = |key: &str, kind: u32, value: &[u8]| [&text(key.as_bytes())[..], &kind.to_le_bytes(), value].concat();
    let arch = pair("general.architecture", 8, &text(b"llama"));
    for version in [0, 4, 99, u32::MAX] {
        add(&format!("version-{version}"), &header(version, 0, 0), REFUSED);
    }
    add("nothing", &header(3, 0, 0), REFUSED);
    for (name, n) in [("1GB", 1u64 << 30), ("2^60", 1 << 60), ("2^63", 1 << 63), ("2^64-1", u64::MAX)] {
        let after = |content: &[u8]| [&header(3, 0, 2)[..], &arch, content].concat();
        let n = n.to_le_bytes();
        add(&format!("pairs-{name}"), &[&header(3, 0, u64::from_le_bytes(n))[..], &arch].concat(), BROKEN);
        add(&format!("tensors-{name}"), &[&header(3, u64::from_le_bytes(n), 1)[..], &arch].concat(), BROKEN);
        add(&format!("key-{name}"), &after(&n), BROKEN);
        add(&format!("text-{name}"), &after(&pair("general.name", 8, &n)), BROKEN);
        let array = |kind: u32| pair("tokenizer.ggml.tokens", 9, &[&kind.to_le_bytes()[..], &n].concat());
        add(&format!("array-of-u8-{name}"), &after(&array(0)), BROKEN);
        add(&format!("array-of-texts-{name}"), &after(&array(8)), BROKEN);
        add(&format!("array-of-arrays-{name}"), &after(&array(9)), BROKEN);
        let tensor = |dims: &[[u8; 8]], kind: u32, offset: [u8; 8]| {
            let dims = [&(dims.len() as u32).to_le_bytes()[..], &dims.concat()].concat();
            let info = [&text(b"token_embd.weight")[..], &dims, &kind.to_le_bytes(), &offset].concat();
            [&header(3, 1, 1)[..], &arch, &info, &[0; 64]].concat()
        };
        let one = 1u64.to_le_bytes();
        add(&format!("dims-{name}"), &tensor(&[n], 0, [0; 8]), BROKEN);
        add(&format!("dims-product-{name}"), &tensor(&[n, n, n, n], 0, [0; 8]), BROKEN);
        add(&format!("offset-{name}"), &tensor(&[one], 0, n), BROKEN);
        add(&format!("type-{name}"), &tensor(&[one], 255, [0; 8]), REFUSED);
        add(&format!("rank-{name}"), &tensor(&[one; 9], 0, [0; 8]), BROKEN);
    }
    // The first sizes that llama.cpp counts in two different ways: its assertion ends the process.
    let shapes: [(&[u64], u32); 3] =
        [(&[1 << 31, (1 << 32) - 1], 24), (&[1, (1 << 63) - 1], 24), (&[1 << 32, 0, 1 << 32], 0)];
    for (dims, kind) in shapes {
        let listed =
            [&(dims.len() as u32).to_le_bytes()[..], &dims.iter().flat_map(|d| d.to_le_bytes()).collect::<Vec<_>>()];
        let info = [&text(b"t")[..], &listed.concat(), &kind.to_le_bytes(), &[0; 8]].concat();
        add(&format!("dims-{dims:?}"), &[&header(3, 1, 1)[..], &arch, &info, &[0; 64]].concat(), BROKEN);
        add(&format!("dims-{dims:?}-alone"), &[&header(3, 1, 0)[..], &info, &[0; 64]].concat(), BROKEN);
    }
    for align in [0u32, 3, 1 << 31, u32::MAX] {
        let pairs = [&header(3, 0, 2)[..], &arch, &pair("general.alignment", 4, &align.to_le_bytes())].concat();
        add(&format!("alignment-{align}"), &pairs, REFUSED);
    }
    let unknown = [&header(3, 0, 1)[..], &pair("general.architecture", 8, &text(b"frobnicator"))].concat();
    add("unknown-architecture", &unknown, REFUSED);
    add("zeros", &[&b"GGUF"[..], &[0; 4096]].concat(), REFUSED);
    add("noise", &[&b"GGUF\x03\0\0\0"[..], &noise(4096)].concat(), BROKEN);
}

fn varint(mut n: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while n >= 0x80 {
        bytes.push(n as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
    bytes
}

fn noise(len: usize) -> Vec<u8> {
    let mut state = 1u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// What was wrong with which file. A child that dies is reported, and the next one goes on after the file.
fn opened_in_a_child(backend: Backend, files: &[Hostile], folder: &Path, no_hang: Duration) -> Vec<String> {
    let (mut wrong, mut next) = (Vec::new(), 0);
    while next < files.len() {
        let list = folder.join("list");
        let paths: Vec<&str> = files[next..].iter().map(|file| file.path.to_str().unwrap()).collect();
        std::fs::write(&list, format!("{}\n{}", backend.name(), paths.join("\n"))).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["hostile::a_child_opens_what_it_is_given", "--exact", "--nocapture"])
            .env(LIST, &list)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (send, reported) = channel();
        std::thread::spawn(move || {
            lines.map_while(Result::ok).filter(|l| l.starts_with("@@ ")).try_for_each(|l| send.send(l))
        });
        let mut memory = u64::MAX;
        while next < files.len() {
            let file = files[next].path.display();
            let line = match reported.recv_timeout(no_hang) {
                Ok(line) => line,
                Err(end) => {
                    child.kill().unwrap();
                    let hangs = end == RecvTimeoutError::Timeout;
                    wrong.push(format!("{file}: {}", if hangs { "it hangs" } else { "the process died" }));
                    next += 1;
                    break;
                }
            };
            let mut parts = line.splitn(4, ' ').skip(1);
            let (kib, code, message) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap_or(""));
            let (before, kib) = (memory, kib.parse().unwrap());
            memory = kib;
            if code == STARTED {
                continue;
            }
            if kib > before.saturating_add(MAX_KIB) {
                wrong.push(format!("{file}: took {} KiB", kib - before));
            }
            let expected: Vec<String> = files[next].codes.iter().map(|code| format!("{code:?}")).collect();
            if !expected.is_empty() && !expected.iter().any(|e| e == code) {
                wrong.push(format!("{file}: expected {expected:?}, got {code} {message}"));
            }
            next += 1;
        }
        child.wait().unwrap();
    }
    wrong
}

/// The child's side: opens each file of the list and tells how that went.
#[test]
fn a_child_opens_what_it_is_given() {
    let Some(list) = std::env::var_os(LIST) else { return };
    let list = std::fs::read_to_string(list).unwrap();
    tell(STARTED, "");
    let (backend, files) = list.split_once('\n').unwrap();
    let backends = [Backend::Llama, Backend::Ort, Backend::Rten, Backend::Tract, Backend::Table];
    let backend = backends.into_iter().find(|b| b.name() == backend).unwrap();
    for file in files.lines() {
        misbehave(file);
        match open(file, Options::new().backend(backend).threads(1)) {
            Ok(_) => tell("opened", ""),
            Err(e) => tell(&format!("{:?}", e.code()), &e.to_string().replace('\n', " ")),
        }
    }
}

fn tell(code: &str, message: &str) {
    // A line of its own, whatever the harness or a runtime has written before.
    println!("\n@@ {} {code} {message}", peak_kib());
}

/// The suite itself under test: what a child that goes wrong is reported of.
#[test]
fn a_child_that_goes_wrong_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let built = [Backend::Llama, Backend::Ort, Backend::Rten, Backend::Tract, Backend::Table]
        .into_iter()
        .find(|b| b.is_built())
        .unwrap();
    let names = ["empty", "abort", "empty", "hang", "greed", "empty"];
    let mut files: Vec<_> = names.map(|n| Hostile { path: folder.path().join(n), codes: BROKEN }).into();
    names.iter().for_each(|name| std::fs::write(folder.path().join(name), b"").unwrap());
    files[5].codes = &[Code::NotFound];
    let wrong = opened_in_a_child(built, &files, folder.path(), Duration::from_secs(20));
    let ends = ["abort: the process died", "hang: it hangs", "expected [\"NotFound\"], got Corrupt"];
    let greedy = cfg!(target_os = "linux");
    assert_eq!(wrong.len(), if greedy { 4 } else { 3 }, "{wrong:#?}");
    assert!(ends.iter().all(|end| wrong.iter().any(|w| w.contains(end))), "{wrong:#?}");
    assert!(!greedy || wrong.iter().any(|w| w.contains("greed: took ")), "{wrong:#?}");
}

fn misbehave(file: &str) {
    if file.ends_with("/abort") {
        std::process::abort();
    } else if file.ends_with("/hang") {
        std::thread::sleep(Duration::from_secs(3600));
    } else if file.ends_with("/greed") {
        std::hint::black_box(vec![1u8; 400 << 20]);
    }
}

/// The most memory this process ever had, 0 where the system does not tell.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
