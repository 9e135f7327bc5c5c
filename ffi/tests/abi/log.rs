//! The log: lines told to a function, by level, and a function that is let go of.

use std::ffi::c_void;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::*;

/// There is one log for the process, and other tests write to it, too.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the function was told, of the targets that the tests here write to.
#[derive(Default)]
struct Heard {
    lines: Mutex<Vec<(i32, String)>>,
    released: AtomicUsize,
}

impl Heard {
    fn lines(&self) -> Vec<(i32, String)> {
        std::mem::take(&mut *self.lines.lock().unwrap())
    }
}

const TARGET: &str = "selvedge::test_of_the_log";

unsafe extern "C" fn hear(user_data: *mut c_void, line: *const selvedge_log_line) {
    // SAFETY: the test's own, which outlives the log; the line and its texts live during the call.
    let (heard, line, target, message) = unsafe {
        let line = &*line;
        (&*user_data.cast::<Heard>(), line, CStr::from_ptr(line.target.data), CStr::from_ptr(line.message.data))
    };
    assert_eq!((line.struct_size, line.reserved), (size_of::<selvedge_log_line>(), 0));
    assert_eq!((target.count_bytes(), message.count_bytes()), (line.target.len, line.message.len));
    if target.to_str() != Ok(TARGET) {
        return;
    }
    heard.lines.lock().unwrap().push((line.level, message.to_str().unwrap().to_owned()));
    // A line that is written meanwhile is not told: else this would not end.
    tracing::error!(target: TARGET, "from inside");
    let mut cancel = ptr::null_mut();
    // SAFETY: `cancel` may be written.
    call(|err| unsafe { selvedge_cancel_new(&raw mut cancel, err) }).unwrap();
    assert_eq!(selvedge_cancel_free(cancel), SELVEDGE_OK);
}

unsafe extern "C" fn release(user_data: *mut c_void) {
    // SAFETY: as above.
    unsafe { &*user_data.cast::<Heard>() }.released.fetch_add(1, Ordering::SeqCst);
}

const RELEASE: selvedge_release_fn = Some(release);

fn set(log: selvedge_log_fn, heard: &Heard, level: i32) -> Result<(), (i32, String)> {
    let user_data = ptr::from_ref(heard).cast_mut().cast();
    // SAFETY: whoever calls this keeps what was heard until the function is no longer set.
    call(|err| unsafe { selvedge_log_set(log, user_data, RELEASE, level, err) })
}

fn off() {
    // SAFETY: no function is set.
    call(|err| unsafe { selvedge_log_set(None, ptr::null_mut(), None, SELVEDGE_LOG_OFF, err) }).unwrap();
}

fn write_one_of_each() {
    tracing::error!(target: TARGET, "an error");
    tracing::warn!(target: TARGET, count = 3, name = "warp", "a warning");
    tracing::info!(target: TARGET, "a notice of {}", 7);
    tracing::debug!(target: TARGET, only = true);
    tracing::trace!(target: TARGET, "a step");
}

#[test]
fn lines_come_with_level_and_fields_up_to_the_level_that_was_set() {
    let _alone = alone();
    let heard = Heard::default();
    let expected = [
        (SELVEDGE_LOG_ERROR, "an error"),
        (SELVEDGE_LOG_WARN, "a warning count=3 name=warp"),
        (SELVEDGE_LOG_INFO, "a notice of 7"),
        (SELVEDGE_LOG_DEBUG, "only=true"),
        (SELVEDGE_LOG_TRACE, "a step"),
    ];
    for level in SELVEDGE_LOG_OFF..=SELVEDGE_LOG_TRACE {
        set(Some(hear), &heard, level).unwrap();
        write_one_of_each();
        let lines = heard.lines();
        let told: Vec<(i32, &str)> = lines.iter().map(|(level, line)| (*level, &**line)).collect();
        assert_eq!(told, expected[..level as usize], "level {level}");
    }
    off();
    write_one_of_each();
    assert!(heard.lines().is_empty());
    // Six functions were set, and each was let go of.
    assert_eq!(heard.released.load(Ordering::SeqCst), 6);
}

#[test]
fn a_function_is_released_once_whatever_comes_of_the_call() {
    let _alone = alone();
    let heard = Heard::default();
    for (i, none) in [-1, 6, i32::MAX].into_iter().enumerate() {
        let expected = format!("selvedge_log_level: {none} has no meaning in this version of the library");
        assert_eq!(set(Some(hear), &heard, none).unwrap_err(), (1, expected));
        assert_eq!(heard.released.load(Ordering::SeqCst), i + 1);
    }
    // Without a function there is nothing to keep.
    set(None, &heard, SELVEDGE_LOG_INFO).unwrap();
    assert_eq!(heard.released.load(Ordering::SeqCst), 4);
}

#[test]
fn a_function_may_set_another_and_is_released_after_it_has_returned() {
    unsafe extern "C" fn resign(user_data: *mut c_void, line: *const selvedge_log_line) {
        // SAFETY: as in `hear`.
        let (heard, target) = unsafe { (&*user_data.cast::<Heard>(), CStr::from_ptr((*line).target.data)) };
        if target.to_str() == Ok(TARGET) {
            off();
            assert_eq!(heard.released.load(Ordering::SeqCst), 0, "released while it runs");
            heard.lines.lock().unwrap().push((0, "resigned".into()));
        }
    }
    let _alone = alone();
    let heard = Heard::default();
    set(Some(resign), &heard, SELVEDGE_LOG_ERROR).unwrap();
    write_one_of_each();
    assert_eq!((heard.lines().len(), heard.released.load(Ordering::SeqCst)), (1, 1));
}

#[test]
#[cfg(feature = "llama")]
fn lines_of_a_runtime_below_come_with_it() {
    unsafe extern "C" fn native(user_data: *mut c_void, line: *const selvedge_log_line) {
        // SAFETY: as in `hear`.
        let (heard, target, message) = unsafe {
            let line = &*line;
            (&*user_data.cast::<Heard>(), CStr::from_ptr(line.target.data), CStr::from_ptr(line.message.data))
        };
        if target.to_bytes().starts_with(b"selvedge::llama") {
            heard.lines.lock().unwrap().push((0, message.to_str().unwrap().to_owned()));
        }
    }
    let Some(corpus) = std::env::var_os("SELVEDGE_CORPUS") else { return };
    let path = std::path::Path::new(&corpus).join("smollm2/SmolLM2-135M-Instruct.Q4_1.gguf");
    let _alone = alone();
    let heard = Heard::default();
    set(Some(native), &heard, SELVEDGE_LOG_TRACE).unwrap();
    let options = init!(selvedge_options { context_tokens: 256, parallel: 1 });
    let engine = open_source(&by_path(path.to_str().unwrap()), Some(&options)).unwrap();
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
    off();
    assert!(!heard.lines().is_empty());
}

/// Set in the child that has a subscriber of its own.
const HOST: &str = "SELVEDGE_TEST_HOST";

#[test]
fn a_host_with_a_subscriber_of_its_own_keeps_it() {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["log::a_host_has_its_own", "--exact"])
        .env(HOST, "1")
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
}

/// The child's side.
#[test]
fn a_host_has_its_own() {
    if std::env::var_os(HOST).is_none() {
        return;
    }
    tracing::subscriber::set_global_default(tracing::subscriber::NoSubscriber::default()).unwrap();
    let heard = Heard::default();
    // Nothing to be told asks for nothing.
    set(None, &heard, SELVEDGE_LOG_OFF).unwrap();
    let (code, message) = set(Some(hear), &heard, SELVEDGE_LOG_INFO).unwrap_err();
    assert_eq!((code, heard.released.load(Ordering::SeqCst)), (Code::Busy as i32, 2), "{message}");
}
