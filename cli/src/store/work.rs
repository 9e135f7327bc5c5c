//! Long work: its progress on a terminal, and its end by Ctrl-C.

use std::io::IsTerminal;
use std::process::exit;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use selvedge::{Code, Error};

use crate::{INTERRUPTED, print};

static PRESSED: AtomicU32 = AtomicU32::new(0);

/// Lets Ctrl-C end the work at its next step; a second one ends the program at once.
pub(super) fn listen() -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(|| {
        if PRESSED.fetch_add(1, Ordering::Relaxed) > 0 {
            exit(i32::from(INTERRUPTED));
        }
    })
}

/// Fails once Ctrl-C was pressed.
pub(super) fn check() -> selvedge::Result<()> {
    match PRESSED.load(Ordering::Relaxed) {
        0 => Ok(()),
        _ => Err(Error::new(Code::Cancelled, "Ctrl-C ended it; what was done so far stays for the next try")),
    }
}

/// Waits, but not beyond Ctrl-C.
pub(super) fn wait(time: Duration) -> selvedge::Result<()> {
    const STEP: Duration = Duration::from_millis(50);
    let mut left = time;
    while !left.is_zero() {
        check()?;
        let step = left.min(STEP);
        sleep(step);
        left -= step;
    }
    check()
}

/// A bar with bytes, speed and the time that is left; on a terminal alone.
pub(super) fn bar(total: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(total);
    // The template is a constant of ours; without it the bar has its default look.
    if let Ok(style) =
        ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta} left {wide_msg}")
    {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// Says what is worked at; a name may come from elsewhere.
pub(super) fn at(bar: &ProgressBar, name: &str) {
    bar.set_message(print::line(name, 80));
}

/// A line on standard error, above the bar.
pub(super) fn note(bar: &ProgressBar, what: &str) {
    bar.suspend(|| eprintln!("note: {}", print::line(what, usize::MAX)));
}
