//! Crash records, with all that C sets: children of this binary that die of real signals in tract, and what the next start does.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::c_void;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use serde_json::Value;

use super::watching::json_of;
use super::*;

/// What a child is to do: the folder, when it dies, of what, the version of the app, and the ladder.
const ORDER: &str = "SELVEDGE_FFI_CRASH_ORDER";
const ROWS: usize = 2000;
const FEATURES: usize = 4;

/// Allocations until the one to die at; below 0 while none is.
static FUSE: AtomicI64 = AtomicI64::new(-1);
/// The signal to die of.
static DEATH: AtomicI64 = AtomicI64::new(0);

struct Burning;

#[global_allocator]
static BURNING: Burning = Burning;

// SAFETY: all is passed on to the system's allocator.
unsafe impl GlobalAlloc for Burning {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if FUSE.load(Ordering::Relaxed) >= 0 && FUSE.fetch_sub(1, Ordering::SeqCst) == 0 {
            die();
        }
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(ptr, layout) }
    }
}

fn die() -> ! {
    FUSE.store(-1, Ordering::SeqCst);
    if DEATH.load(Ordering::SeqCst) == i64::from(libc::SIGSEGV) {
        // SAFETY: none: the process is to die of it.
        unsafe { ptr::without_provenance_mut::<u8>(8).write_volatile(1) };
    }
    std::process::abort()
}

fn burn(signal: i32, allocations: i64) {
    DEATH.store(i64::from(signal), Ordering::SeqCst);
    FUSE.store(allocations, Ordering::SeqCst);
}

/// Lights the fuse once the model is hashed, and tract has it.
unsafe extern "C" fn at_load(user_data: *mut c_void, done: u64, total: u64) {
    static HASHED: AtomicU64 = AtomicU64::new(0);
    // SAFETY: the child gave a signal that lives as long as it.
    let signal = unsafe { *user_data.cast::<i32>() };
    if done == 0 && HASHED.load(Ordering::SeqCst) > 0 {
        burn(signal, 20);
    }
    HASHED.store(done.min(total), Ordering::SeqCst);
}

#[derive(Clone, Copy)]
struct Order<'a> {
    folder: &'a Path,
    /// `never`, `load`, `first`, or `wild`: at the first use, by an input whose memory is gone.
    when: &'a str,
    signal: i32,
    version: &'a str,
    /// `default`, `none` or `two`.
    ladder: &'a str,
}

impl Order<'_> {
    fn run(self) -> Output {
        self.spawn().wait_with_output().unwrap()
    }

    fn spawn(self) -> Child {
        let Self { folder, when, signal, version, ladder } = self;
        Command::new(std::env::current_exe().unwrap())
            .args(["crashes::child", "--exact", "--nocapture", "--test-threads=1"])
            .env(ORDER, format!("{}|{when}|{signal}|{version}|{ladder}", folder.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

/// What the child says after this word.
fn said<'a>(output: &'a Output, word: &str) -> Option<&'a str> {
    std::str::from_utf8(&output.stdout).unwrap().lines().find_map(|line| line.split_once(word)).map(|(_, rest)| rest)
}

/// Starts until one does not die; gives how many did, and the last.
fn starts(order: Order) -> (usize, Output) {
    for lost in 0..8 {
        let output = order.run();
        if output.status.success() {
            return (lost, output);
        }
        assert_eq!(output.status.signal(), Some(order.signal), "{output:?}");
    }
    panic!("a crash loop");
}

#[test]
fn child() {
    let Ok(order) = std::env::var(ORDER) else { return };
    let words: Vec<&str> = order.split('|').collect();
    let [folder, when, signal, version, ladder] = words[..] else { panic!("{words:?}") };
    let signal: i32 = signal.parse().unwrap();
    let two = [SELVEDGE_RUNG_ONE_THREAD, SELVEDGE_RUNG_ONE_THREAD | SELVEDGE_RUNG_READ_WHOLE];
    let (crash_rungs, crash_rung_count) = match ladder {
        "default" => (ptr::null(), 0),
        "none" => (two.as_ptr(), 0),
        _ => (two.as_ptr(), 2),
    };
    let mut options = selvedge_options {
        backend: SELVEDGE_BACKEND_TRACT,
        threads: 2,
        crash_folder: text(folder),
        crash_app_version: text(version),
        crash_rungs,
        crash_rung_count,
        ..init!(selvedge_options {})
    };
    if when == "load" {
        options.on_progress = Some(at_load);
        options.user_data = ptr::from_ref(&signal).cast_mut().cast();
    }
    match open_source(&by_path(&file("examples/quickstart/rain.onnx")), Some(&options)) {
        Ok(engine) => {
            println!("\nOPENED {}", spec_of(engine)["choice"]);
            ask(engine, when, signal);
            println!("DONE");
        }
        Err((code, why)) => println!("\nREFUSED {code} {why}"),
    }
}

fn ask(engine: *mut selvedge_engine, when: &str, signal: i32) {
    let days = vec![1.0f32; ROWS * FEATURES];
    let data: *const c_void = match when {
        "wild" => nowhere(ROWS * FEATURES * size_of::<f32>()),
        _ => days.as_ptr().cast(),
    };
    if when == "first" {
        burn(signal, 60);
    }
    let dims = [ROWS as i64, FEATURES as i64];
    let input = init!(selvedge_tensor {
        name: c"weather".as_ptr(),
        name_len: 7,
        dims: dims.as_ptr(),
        rank: 2,
        data: data,
        byte_len: size_of_val(&*days),
        dtype: SELVEDGE_F32,
    });
    let request = init!(selvedge_tensors { inputs: &raw const input, input_count: 1 });
    let mut answer = ptr::null_mut();
    // SAFETY: all lives during the call, but for what is to end it.
    call(|err| unsafe { selvedge_engine_run(engine, &request, ptr::null(), &raw mut answer, err) }).unwrap();
    assert_eq!(selvedge_answer_free(answer), SELVEDGE_OK);
}

/// Memory that nobody may read.
fn nowhere(len: usize) -> *const c_void {
    // SAFETY: new pages, at an address that the system chooses.
    let place = unsafe { libc::mmap(ptr::null_mut(), len, libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANON, -1, 0) };
    assert_ne!(place, libc::MAP_FAILED);
    place
}

fn entries(folder: &Path) -> Value {
    let folder = folder.to_str().unwrap();
    // SAFETY: the pointers live during the call.
    json_of(|out, err| unsafe { selvedge_crash_entries(folder.as_ptr().cast(), folder.len(), out, err) })
}

fn healthy(folder: &Path) -> Order<'_> {
    Order { folder, when: "never", signal: 0, version: "1", ladder: "default" }
}

#[test]
fn a_model_that_dies_costs_two_starts_and_is_then_refused_in_words() {
    let kinds = [
        ("load", libc::SIGABRT, "open", "while it was opened"),
        ("load", libc::SIGSEGV, "open", "while it was opened"),
        ("first", libc::SIGABRT, "first_use", "in its first use"),
        ("wild", libc::SIGSEGV, "first_use", "in its first use"),
    ];
    for (when, signal, phase, words) in kinds {
        let folder = tempfile::tempdir().unwrap();
        let (lost, last) = starts(Order { when, signal, ..healthy(folder.path()) });
        assert_eq!(lost, 2, "{when} {signal}: {last:?}");
        let why = said(&last, "REFUSED ").unwrap_or_else(|| panic!("{last:?}"));
        assert!(why.starts_with(&format!("{} model 'rain' (SHA-256 ", Code::Quarantined as i32)), "{why}");
        for word in ["ended the process 2 times", words, &format!("by signal {signal}"), "20"] {
            assert!(why.contains(word), "'{word}' is not in: {why}");
        }
        let record = entries(folder.path());
        let deaths = record[0]["deaths"].as_array().unwrap();
        assert_eq!((record.as_array().unwrap().len(), deaths.len()), (1, 2), "{record}");
        for (rung, death) in deaths.iter().enumerate() {
            assert_eq!((&death["phase"], &death["signal"]), (&phase.into(), &signal.into()), "{death}");
            assert_eq!((&death["rung"], &death["sure"]), (&rung.into(), &true.into()), "{death}");
            assert_eq!(death["backend"], "tract");
            assert!(death["text"].as_str().unwrap().contains(words) && death["time"].as_u64().unwrap() > 0, "{death}");
        }
        assert_eq!((&record[0]["model"], &record[0]["app_version"]), (&"rain".into(), &"1".into()));
        // A new version of the app begins anew.
        let next = Order { version: "2", ..healthy(folder.path()) }.run();
        assert!(said(&next, "DONE").is_some(), "{next:?}");
    }
}

#[test]
fn the_next_start_is_gentler_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let dying = Order { when: "load", signal: libc::SIGABRT, ..healthy(folder.path()) };
    assert_eq!(dying.run().status.signal(), Some(libc::SIGABRT));
    let gentle = healthy(folder.path()).run();
    assert!(said(&gentle, "DONE").is_some(), "{gentle:?}");
    assert!(said(&gentle, "OPENED ").unwrap().contains("rung 1"), "{gentle:?}");
}

#[test]
fn the_ladder_is_the_one_that_is_given() {
    for (ladder, expected) in [("none", 1), ("two", 3)] {
        let folder = tempfile::tempdir().unwrap();
        let (lost, last) = starts(Order { when: "load", signal: libc::SIGABRT, ladder, ..healthy(folder.path()) });
        assert_eq!(lost, expected, "{ladder}: {last:?}");
        assert!(said(&last, "REFUSED 15 ").is_some(), "{last:?}");
    }
}

#[test]
fn deaths_are_forgotten_when_the_app_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().to_str().unwrap();
    let dying = Order { when: "load", signal: libc::SIGABRT, ladder: "none", ..healthy(folder.path()) };
    let (place, len) = (at.as_ptr().cast(), at.len());
    let clear_model = |digest: &str| {
        let (digest, digest_len) = (digest.as_ptr().cast(), digest.len());
        // SAFETY: the pointers live during the call.
        call(|err| unsafe { selvedge_crash_clear_model(place, len, digest, digest_len, err) })
    };
    assert_eq!(starts(dying).0, 1);
    let digest = entries(folder.path())[0]["digest"].as_str().unwrap().to_owned();
    clear_model(&"7".repeat(64)).unwrap();
    assert_eq!(entries(folder.path()).as_array().unwrap().len(), 1, "another model's");
    assert_eq!(clear_model("7").unwrap_err().0, Code::InvalidArgument as i32);
    clear_model(&digest).unwrap();
    assert_eq!(entries(folder.path()), Value::Array(Vec::new()));
    assert_eq!(starts(dying).0, 1, "it is opened again");
    // SAFETY: the pointers live during the call.
    call(|err| unsafe { selvedge_crash_clear(place, len, err) }).unwrap();
    assert_eq!(entries(folder.path()), Value::Array(Vec::new()));
    assert!(said(&healthy(folder.path()).run(), "DONE").is_some());
}

#[test]
fn what_the_platform_says_of_a_process_is_heard() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().to_str().unwrap();
    let explain = |process, exit, signal| {
        let mut deaths = 7;
        // SAFETY: the pointers live during the call.
        let result = call(|err| unsafe {
            selvedge_crash_explain(at.as_ptr().cast(), at.len(), process, exit, signal, &raw mut deaths, err)
        });
        assert!(result.is_ok() || deaths == 0);
        result.map(|()| deaths)
    };
    assert_eq!(explain(1, SELVEDGE_EXIT_OTHERWISE, 0).unwrap(), 0, "nothing is on record");
    let (code, why) = explain(1, 0, 0).unwrap_err();
    assert_eq!((code, &*why), (1, "selvedge_exit: 0 has no meaning in this version of the library"));
    let dying = Order { when: "load", signal: libc::SIGABRT, ..healthy(folder.path()) };
    let lose = || {
        let child = dying.spawn();
        let process = child.id();
        assert_eq!(child.wait_with_output().unwrap().status.signal(), Some(libc::SIGABRT));
        process
    };
    let deaths = || entries(folder.path()).as_array().unwrap().len();
    let process = lose();
    assert_eq!((explain(process ^ 1, SELVEDGE_EXIT_OTHERWISE, 0).unwrap(), deaths()), (0, 1), "another process");
    assert_eq!((explain(process, SELVEDGE_EXIT_OTHERWISE, 0).unwrap(), deaths()), (0, 0), "it counts no more");
    let process = lose();
    assert_eq!((explain(process, SELVEDGE_EXIT_NATIVE_CRASH, libc::SIGABRT).unwrap(), deaths()), (1, 1));
    assert_eq!((explain(process, SELVEDGE_EXIT_NATIVE_CRASH, libc::SIGABRT).unwrap(), deaths()), (0, 1), "once");
}

#[test]
fn options_of_a_crash_record_that_are_none_are_refused() {
    let no = |options: selvedge_options, words: &str| {
        let (code, why) = open_source(&by_path(&file("examples/quickstart/rain.onnx")), Some(&options)).unwrap_err();
        assert_eq!((code, &*why), (Code::InvalidArgument as i32, words));
    };
    let folder = tempfile::tempdir().unwrap();
    let at = text(folder.path().to_str().unwrap());
    let unknown = [8u32];
    no(
        init!(selvedge_options { crash_folder: at, crash_rungs: unknown.as_ptr(), crash_rung_count: 1 }),
        "selvedge_options.crash_rungs: the bits 0x8 have no meaning in this version of the library",
    );
    let expected = "selvedge_options.crash_folder: expected the name of a folder, got \"\"";
    no(init!(selvedge_options { crash_app_version: text("1") }), expected);
    let one = [SELVEDGE_RUNG_READ_WHOLE];
    no(init!(selvedge_options { crash_rungs: one.as_ptr(), crash_rung_count: 1 }), expected);
    no(
        init!(selvedge_options { crash_folder: text("a\0b") }),
        "selvedge_options.crash_folder: expected the name of a folder, got \"a\\0b\"",
    );
    assert_eq!(entries(folder.path()), Value::Array(Vec::new()));
    assert_eq!(entries(&folder.path().join("none")), Value::Array(Vec::new()));
}
