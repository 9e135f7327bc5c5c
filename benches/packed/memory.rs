//! Memory of the machine that a model holds once it is open and has answered: MiniLM and MobileNetV2 as they are and
//! packed, on both backends. Each in a process of its own, which has opened another model before, so that the runtime
//! itself is not counted.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use selvedge::pack::{Packing, Scheme, pack};
use selvedge::{Backend, Engine, Options, open};

use crate::models::{MINILM, MOBILENET, cosine, pooled, scores, sentences, states, views};
use crate::{corpus, product};

/// Asks a process of this benchmark for one figure: the backend, the model's file, whose model it is, what it has to
/// answer and how near.
const BACKEND: &str = "SELVEDGE_BENCH_BACKEND";
const FILE: &str = "SELVEDGE_BENCH_FILE";
const MODEL: &str = "SELVEDGE_BENCH_MODEL";
const ANSWER: &str = "SELVEDGE_BENCH_ANSWER";
const COSINE: &str = "SELVEDGE_BENCH_COSINE";
const BACKENDS: [Backend; 2] = [Backend::Tract, Backend::Ort];
const CHILDREN: usize = 3;
const ANSWERS: usize = 15;

struct Real {
    name: &'static str,
    file: &'static str,
    packed: &'static [Case],
}

/// A packing of it.
struct Case {
    scheme: Scheme,
    /// The least cosine of its answer.
    cosine: f64,
    /// The most bytes, of those of the file that it was made of.
    bytes: f64,
    /// The most memory, of what that file's model holds: under tract, and under ONNX Runtime.
    memory: [f64; 2],
}

/// What a backend computes in f32 it holds in f32, whatever it was packed to: all 8-bit and f16 weights under tract, and
/// those of convolutions under both. The bars of those say that packing costs nothing; of MobileNetV2 under tract the
/// larger part is room for a run, which the heap lays out now so, now so.
const REAL: [Real; 2] = [
    Real {
        name: "minilm",
        file: MINILM,
        packed: &[
            Case { scheme: Scheme::Int4, cosine: 0.99, bytes: 0.20, memory: [0.60, 0.35] },
            Case { scheme: Scheme::Int8, cosine: 0.999, bytes: 0.27, memory: [1.05, 0.42] },
            Case { scheme: Scheme::F16, cosine: 0.99999, bytes: 0.51, memory: [1.05, 0.65] },
        ],
    },
    // All of its weights are of convolutions, which have no 4-bit form.
    Real {
        name: "mobilenetv2",
        file: MOBILENET,
        packed: &[
            Case { scheme: Scheme::Int8, cosine: 0.999, bytes: 0.30, memory: [1.4, 1.05] },
            Case { scheme: Scheme::F16, cosine: 0.99999, bytes: 0.52, memory: [1.4, 1.05] },
        ],
    },
];

pub(crate) fn bench() {
    let folder = tempfile::tempdir().expect("a folder");
    for real in &REAL {
        let Some(whole) = corpus::path(real.file) else { continue };
        let to = |case: &Case| folder.path().join(format!("{}-{}", real.name, case.scheme.name()));
        for case in real.packed {
            let report = pack(&whole, to(case), &Packing::new(case.scheme), |_| {}).expect("packs");
            let share = report.after as f64 / report.before as f64;
            println!("RATIO packed/{}/{}/bytes_over_f32 {share:.3} <={}", real.name, case.scheme.name(), case.bytes);
        }
        for (i, backend) in BACKENDS.into_iter().enumerate().filter(|(_, backend)| backend.is_built()) {
            let packed: Vec<_> = real
                .packed
                .iter()
                .map(|case| (case.scheme, to(case), Bars { cosine: case.cosine, memory: case.memory[i] }))
                .collect();
            compare(real.name, backend, &whole, &packed);
        }
    }
}

/// The least cosine of an answer, and the most memory.
pub(crate) struct Bars {
    pub(crate) cosine: f64,
    pub(crate) memory: f64,
}

/// Tells what a model holds, and its packed forms in relation to it.
pub(crate) fn compare(model: &str, backend: Backend, whole: &Path, packed: &[(Scheme, PathBuf, Bars)]) {
    let folder = tempfile::tempdir().expect("a folder");
    let answer = folder.path().join("answer");
    let of_whole = answer_of(model, &*opened(whole, backend));
    std::fs::write(&answer, bytemuck::cast_slice::<f32, u8>(&of_whole)).expect("room");
    let reported = |file: &Path, form: &str, cosine: f64| {
        let held = Held::median(model, backend, file, &answer, cosine);
        println!("{model} {} {form}: {held}", backend.name());
        held.own + held.files
    };
    let f32 = reported(whole, "f32", 1.0 - 1e-9);
    for (scheme, file, bars) in packed {
        let share = reported(file, scheme.name(), bars.cosine) / f32;
        let name = format!("{model}/{}/{}", backend.name(), scheme.name());
        println!("RATIO packed/{name}/memory_over_f32 {share:.3} <={}", bars.memory);
    }
}

/// What a process of its own tells of a model.
struct Held {
    open_ms: f64,
    answer_ms: f64,
    /// MiB of memory of the process's own, and of pages of the model's files.
    own: f64,
    files: f64,
}

impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Held { open_ms, answer_ms, own, files } = self;
        write!(
            f,
            "opens in {open_ms:.0} ms, answers in {answer_ms:.1} ms, {own:.1} MiB own and {files:.1} MiB of its files"
        )
    }
}

impl Held {
    /// Of some processes, each figure's median.
    fn median(model: &str, backend: Backend, file: &Path, answer: &Path, cosine: f64) -> Self {
        let all: Vec<[f64; 4]> = (0..CHILDREN)
            .map(|_| {
                let this = std::env::current_exe().expect("this benchmark");
                let out = Command::new(this)
                    .env(BACKEND, backend.name())
                    .env(MODEL, model)
                    .env(FILE, file)
                    .env(ANSWER, answer)
                    .env(COSINE, cosine.to_string())
                    .output()
                    .expect("starts");
                assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
                let reported = String::from_utf8_lossy(&out.stdout);
                let figures: Vec<f64> = reported.split_whitespace().map(|n| n.parse().expect("a number")).collect();
                figures.try_into().expect("four figures")
            })
            .collect();
        let median = |i: usize| {
            let mut of_all: Vec<f64> = all.iter().map(|figures| figures[i]).collect();
            of_all.sort_by(f64::total_cmp);
            of_all[CHILDREN / 2]
        };
        Self { open_ms: median(0), answer_ms: median(1), own: median(2), files: median(3) }
    }
}

/// In a process that was asked for one figure: prints it.
pub(crate) fn asked() -> bool {
    let Some(file) = std::env::var_os(FILE).map(PathBuf::from) else { return false };
    let text = |name: &str| std::env::var(name).expect("asked by this benchmark");
    let (model, name) = (text(MODEL), text(BACKEND));
    let backend = BACKENDS.into_iter().find(|b| b.name() == name).expect("a backend");
    let warm = opened(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/linear.onnx"), backend);
    let expected = std::fs::read(text(ANSWER)).expect("the whole model's answer");
    let expected: Vec<f32> = bytemuck::pod_collect_to_vec(&expected);
    let (own, files) = resident(&file);
    let begun = Instant::now();
    let engine = opened(&file, backend);
    let open_ms = begun.elapsed().as_secs_f64() * 1e3;
    let mut times: Vec<f64> = (0..ANSWERS)
        .map(|_| {
            let begun = Instant::now();
            let near = cosine(&expected, &answer_of(&model, &*engine));
            assert!(near >= text(COSINE).parse().expect("a number"), "{}: cosine {near}", file.display());
            begun.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let (more_own, more_files) = resident(&file);
    println!("{open_ms} {} {} {}", times[ANSWERS / 2], more_own - own, more_files - files);
    drop((warm, engine));
    true
}

fn opened(file: &Path, backend: Backend) -> std::sync::Arc<dyn Engine> {
    open(file, Options::new().backend(backend).threads(1)).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// One sentence's embedding, the product of one row, or one photo's scores.
fn answer_of(model: &str, engine: &dyn Engine) -> Vec<f32> {
    match model {
        "minilm" => pooled(&states(engine, &[sentences()[3].1.clone()])[0]),
        product::MODEL => product::answer(engine),
        _ => scores(engine, &views("photos/chelsea.ppm").expect("lies beside the model")[0]),
    }
}

/// Resident MiB of this process: anonymous ones, and those of files in the model's folder. Zero where the system does not
/// tell.
fn resident(file: &Path) -> (f64, f64) {
    let file = file.canonicalize().unwrap_or_else(|_| file.into());
    let folder = if file.is_dir() { &file } else { file.parent().unwrap_or(&file) };
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    let (mut own, mut files, mut is_of_file) = (0.0, 0.0, false);
    for line in maps.lines() {
        let kib = |key: &str| line.strip_prefix(key)?.trim().strip_suffix(" kB")?.parse::<f64>().ok();
        if let Some(anonymous) = kib("Anonymous:") {
            own += anonymous / 1024.0;
        } else if let Some(all) = kib("Rss:").filter(|_| is_of_file) {
            files += all / 1024.0;
        } else if let Some((_, path)) = line.split_once(" /") {
            is_of_file = Path::new(&format!("/{path}")).starts_with(folder);
        } else if line.split_whitespace().nth(4).is_some_and(|inode| inode == "0") {
            is_of_file = false;
        }
    }
    (own, files)
}
