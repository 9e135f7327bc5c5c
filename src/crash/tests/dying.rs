//! Processes that really die inside an engine, or beside one. The child is this test binary again.

#![expect(unsafe_code, reason = "dies by signals, and by a write to nowhere")]

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;

use crate::crash::{Attempt, CrashPhase, CrashRecord, Death, InCall, Mark, Model, Way};
use crate::{Code, Digest, Result};

const FOLDER: &str = "SELVEDGE_CRASH_FOLDER";
const HOW: &str = "SELVEDGE_CRASH_HOW";
const WAY: Way = Way { backend: "tract", threads: 1, is_mapped: true, is_accelerated: false };

fn enter(attempt: &Attempt, way: Way) -> Result<Option<InCall>> {
    attempt.enter(&Model { name: "rain", digest: Digest([5; 32]), runtime: "tract 1", way })
}

fn attempt(folder: &Path) -> Attempt {
    Attempt::new(&CrashRecord::new(folder).app_version("1"), "asked".into(), 0)
}

/// An engine that is open.
fn opened(folder: &Path) -> Arc<Mark> {
    let attempt = attempt(folder);
    drop(enter(&attempt, WAY).unwrap());
    let mark = attempt.mark().unwrap();
    mark.opened();
    mark
}

#[test]
fn child() {
    let (Ok(folder), Ok(how)) = (std::env::var(FOLDER), std::env::var(HOW)) else { return };
    let folder = Path::new(&folder);
    let (phase, how) = how.split_once(' ').unwrap();
    match how {
        "handler" => install(libc::SIGSEGV, report),
        "survive" => install(libc::SIGFPE, go_on),
        _ => {}
    }
    if phase == "open" {
        let attempt = attempt(folder);
        let _in_call = enter(&attempt, WAY).unwrap().unwrap();
        return die(how);
    }
    let mark = opened(folder);
    mark.begin_run();
    if phase == "several" {
        // Two that have answered; or one of them that has not.
        let (name, how) = how.strip_prefix("early ").map_or(("both", how), |how| ("early", how));
        let other = opened(folder);
        other.begin_run();
        mark.answered();
        if name == "both" {
            other.answered();
        }
        return die(how);
    }
    if phase == "later" {
        mark.answered();
    }
    let in_call = (phase != "beside").then(|| mark.call());
    die(how);
    drop(in_call);
    mark.end_run();
}

/// Not inlined: each frame takes room on the stack.
#[inline(never)]
fn overflow(n: u64) -> u64 {
    let frame = std::hint::black_box([n; 512]);
    if n == u64::MAX { 0 } else { overflow(n + 1) + frame[7] }
}

fn die(how: &str) {
    match how {
        "abort" => std::process::abort(),
        // SAFETY: none: the process is to die of it.
        "null" => unsafe { std::ptr::without_provenance_mut::<u8>(8).write_volatile(1) },
        "overflow" => println!("{}", overflow(1)),
        "exit" => std::process::exit(3),
        "handler" => raise(libc::SIGSEGV),
        "wait" => loop {
            std::thread::park();
        },
        "survive" => raise(libc::SIGFPE),
        _ if how.starts_with("thread ") => {
            let name = how.split_once(' ').unwrap().1.to_string();
            let thread = std::thread::Builder::new().name(name).spawn(|| {
                // One more, as a runtime starts it: of no name of its own.
                std::thread::spawn(std::process::abort).join()
            });
            let _ = thread.unwrap().join();
        }
        signal => raise(signal.parse().unwrap()),
    }
}

fn raise(signal: i32) {
    // SAFETY: it has no conditions.
    unsafe { libc::raise(signal) };
}

type Handler = extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);

/// The handler of a crash reporter: says that it was called, and ends the process in its own way.
extern "C" fn report(_: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the text is readable; both calls may be made in a handler.
    unsafe {
        let text = if (*info).si_signo == libc::SIGSEGV { &b"reported"[..] } else { b"something else" };
        libc::write(1, text.as_ptr().cast(), text.len());
        libc::_exit(7);
    }
}

/// That of a virtual machine, which makes an exception of the signal.
extern "C" fn go_on(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {}

fn install(signal: i32, handler: Handler) {
    // SAFETY: the struct is whole, and its handler of the kind that the flag says.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO;
        libc::sigaction(signal, &action, std::ptr::null_mut());
    }
}

/// Sends a signal to the thread that is inside the engine; elsewhere than on Linux, to any.
fn send(child: &std::process::Child, signal: i32) {
    let process = child.id().cast_signed();
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let tasks = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
        let is_inside = |task: &std::path::PathBuf| {
            std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name.starts_with("crash::tests"))
        };
        let inside = tasks.map(|task| task.path()).find(is_inside);
        if let Some(thread) = inside.and_then(|task| task.file_name()?.to_str()?.parse::<i32>().ok()) {
            // SAFETY: the child is ours and has not been waited for.
            unsafe { libc::syscall(libc::SYS_tgkill, process, thread, signal) };
            return;
        }
    }
    // SAFETY: as above.
    unsafe { libc::kill(process, signal) };
}

fn command(folder: &Path, how: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["crash::tests::dying::child", "--exact", "--nocapture", "--test-threads=1"]);
    command.env(FOLDER, folder).env(HOW, how).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a child until it ends; gives how, and what it said.
fn run(folder: &Path, how: &str) -> (ExitStatus, String) {
    let output = command(folder, how).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status, String::from_utf8_lossy(&said).into_owned())
}

fn deaths(folder: &Path) -> Vec<Death> {
    CrashRecord::new(folder).entries().unwrap().into_iter().flat_map(|entry| entry.deaths).collect()
}

#[test]
fn every_fault_inside_a_call_is_known_with_its_signal_and_phase() {
    let signals = [("abort", 6), ("null", 11), ("overflow", 11), ("4", 4), ("8", 8)];
    let phases = [("open", CrashPhase::Open), ("first", CrashPhase::FirstUse), ("later", CrashPhase::LaterUse)];
    for (how, signal) in signals {
        for (name, phase) in phases {
            let folder = tempfile::tempdir().unwrap();
            let (status, said) = run(folder.path(), &format!("{name} {how}"));
            // Rust says that the stack has overflowed, and aborts, for which the alternate stack may be too small.
            let aborts = how == "overflow" && status.signal() == Some(6);
            assert!(aborts || status.signal() == Some(signal), "{how} {name}: {said}");
            assert_eq!(how == "overflow", said.contains("has overflowed its stack"), "{said}");
            let deaths = deaths(folder.path());
            assert_eq!(deaths.len(), 1, "{how} {name}: {deaths:?}");
            let death = &deaths[0];
            assert_eq!((death.signal, death.phase, death.is_sure), (Some(signal), phase, true), "{how} {name}");
            assert!(death.time.elapsed().unwrap().as_secs() < 600, "{death}");
        }
    }
}

#[test]
fn the_same_is_not_tried_again_and_the_second_death_is_the_last() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), "open null");
    let first = attempt(folder.path());
    let error = enter(&first, WAY).map(|_| ()).unwrap_err();
    assert!(first.is_next() && error.code() == Code::Quarantined, "{error}");
    let gentle = Way { is_mapped: false, ..WAY };
    let second = Attempt::new(&CrashRecord::new(folder.path()).app_version("1"), "asked".into(), 1);
    drop(enter(&second, gentle).unwrap());
    let why = second.why().unwrap();
    assert!(why.starts_with("rung 1 of the crash record: it ended the process on 20"), "{why}");
    assert!(why.ends_with("while it was opened with tract 1, by signal 11 (SIGSEGV)"), "{why}");
}

#[test]
fn a_new_version_of_the_runtime_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), "open null");
    assert!(enter(&attempt(folder.path()), WAY).is_err());
    let updated = attempt(folder.path());
    let model = Model { name: "rain", digest: Digest([5; 32]), runtime: "tract 2", way: WAY };
    drop(updated.enter(&model).unwrap());
    assert_eq!(deaths(folder.path()), [], "the old version's deaths are discarded");
}

#[test]
fn a_runtimes_own_thread_counts_and_the_apps_does_not() {
    if !cfg!(any(target_os = "linux", target_os = "android")) {
        return;
    }
    for (thread, count) in [("selvedge-ort", 1), ("renderer", 0)] {
        let folder = tempfile::tempdir().unwrap();
        let (status, said) = run(folder.path(), &format!("first thread {thread}"));
        assert_eq!(status.signal(), Some(6), "{said}");
        assert_eq!(deaths(folder.path()).len(), count, "{thread}");
    }
}

#[test]
fn what_is_no_fault_of_the_engine_counts_for_nothing() {
    // Ends without a signal; faults of this thread that no engine is part of; a signal that was dealt with.
    for how in ["open exit", "first exit", "beside null", "beside abort", "first survive"] {
        let folder = tempfile::tempdir().unwrap();
        run(folder.path(), how);
        assert_eq!(deaths(folder.path()), [], "{how}");
        drop(enter(&attempt(folder.path()), WAY).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "{how}: only the lock is left");
    }
}

#[test]
fn a_fault_on_a_thread_of_several_engines_is_not_sure() {
    if !cfg!(any(target_os = "linux", target_os = "android")) {
        return;
    }
    let both = [(false, CrashPhase::LaterUse), (false, CrashPhase::LaterUse)];
    for (way, expected) in [("several", &both[..]), ("several early", &[(true, CrashPhase::FirstUse)])] {
        let folder = tempfile::tempdir().unwrap();
        let (status, said) = run(folder.path(), &format!("{way} thread selvedge-ort"));
        assert_eq!(status.signal(), Some(6), "{said}");
        let found: Vec<(bool, CrashPhase)> =
            deaths(folder.path()).iter().map(|death| (death.is_sure, death.phase)).collect();
        assert_eq!(found, expected, "{way}");
    }
}

#[test]
fn a_kill_from_outside_counts_for_nothing() {
    for signal in [libc::SIGKILL, libc::SIGTERM, libc::SIGSEGV, libc::SIGABRT] {
        let folder = tempfile::tempdir().unwrap();
        let mut child = command(folder.path(), "open wait").spawn().unwrap();
        let is_mark =
            |e: std::io::Result<std::fs::DirEntry>| e.unwrap().file_name().to_string_lossy().ends_with(".mark");
        // A folder that is not there yet has none.
        while !std::fs::read_dir(folder.path()).is_ok_and(|mut names| names.any(is_mark)) {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        // The lock of the mark comes right after it.
        std::thread::sleep(std::time::Duration::from_millis(50));
        let living = attempt(folder.path());
        drop(enter(&living, WAY).unwrap());
        assert_eq!(deaths(folder.path()), [], "of a process that lives");
        let status = loop {
            // Rust's own handler lets the first SIGSEGV pass.
            send(&child, signal);
            std::thread::sleep(std::time::Duration::from_millis(20));
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
        };
        assert_eq!(status.signal(), Some(signal));
        assert_eq!(deaths(folder.path()), [], "signal {signal}");
        drop(enter(&attempt(folder.path()), WAY).unwrap());
    }
}

#[test]
fn a_crash_reporter_that_was_there_before_still_reports() {
    let folder = tempfile::tempdir().unwrap();
    let (status, said) = run(folder.path(), "first handler");
    assert_eq!(status.code(), Some(7), "{said}");
    assert!(said.contains("reported"), "{said}");
    assert_eq!(deaths(folder.path())[0].signal, Some(libc::SIGSEGV));
}

#[test]
fn looking_and_clearing_change_what_they_say_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let record = CrashRecord::new(folder.path());
    run(folder.path(), "later abort");
    let before = record.entries().unwrap();
    for _ in 0..20 {
        assert_eq!(record.entries().unwrap(), before);
    }
    assert_eq!((&*before[0].model, before[0].digest, &*before[0].app_version), ("rain", Digest([5; 32]), "1"));
    record.clear_model(Digest([6; 32])).unwrap();
    assert_eq!(record.entries().unwrap(), before);
    record.clear_model(Digest([5; 32])).unwrap();
    assert_eq!(record.entries().unwrap(), []);
    run(folder.path(), "later abort");
    record.clear().unwrap();
    assert_eq!(record.entries().unwrap(), []);
}

#[test]
fn what_the_platform_says_is_believed_before_the_next_open() {
    let folder = tempfile::tempdir().unwrap();
    let record = CrashRecord::new(folder.path());
    let (_, _) = run(folder.path(), "open abort");
    let process = |name: std::fs::DirEntry| {
        let bytes = std::fs::read(name.path()).unwrap();
        (bytes.len() == 336).then(|| u32::from_le_bytes(bytes[264..268].try_into().unwrap()))
    };
    let process = std::fs::read_dir(folder.path()).unwrap().find_map(|name| process(name.unwrap())).unwrap();
    assert_eq!(record.explain(process + 1, super::Exit::Otherwise).unwrap(), 0);
    assert_eq!(record.entries().unwrap().len(), 1);
    assert_eq!(record.explain(process, super::Exit::Otherwise).unwrap(), 0);
    assert_eq!(record.entries().unwrap(), [], "it was no crash");
}

#[test]
fn engines_of_one_process_have_marks_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let marks: Vec<Arc<Mark>> = (0..70).map(|_| opened(folder.path())).collect();
    let count = || std::fs::read_dir(folder.path()).unwrap().count() - 1;
    assert_eq!(count(), 70);
    let calls: Vec<InCall> = marks.iter().map(Mark::call).collect();
    drop(calls);
    drop(marks);
    assert_eq!(count(), 0);
}
