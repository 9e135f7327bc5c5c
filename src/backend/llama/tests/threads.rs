//! Threads that the system does not start: fewer compute, or the open is refused; the process goes on.

use super::child::{self, End};
use super::*;
use crate::engine::{Ask, Generate};
use crate::{Options, open};

/// A child under a limit of address space: 512 threads want 4 GiB for their stacks.
#[test]
fn threads_that_do_not_start_are_done_without() {
    for kib in [400_000, 800_000, 1_500_000, 3_000_000] {
        let end = child::alone("threads", "512", &format!("ulimit -v {kib}"));
        assert_eq!(end, End::Taken, "{kib} KiB");
    }
}

pub(super) fn try_all(threads: &str) {
    let count: usize = threads.parse().unwrap();
    assert!(crate::threads::startable(count, 64 << 20) < count);
    let file = File::complete(|i| ((i * 7919 + 13) % 101) as f32 / 500.0 - 0.1).bytes();
    let options = Options::new().threads(threads.parse().unwrap());
    match open(file, options) {
        Ok(engine) => {
            let answer = engine.run(Generate::text("some text").max_tokens(4)).unwrap();
            assert!(answer.usage.output_tokens > 0);
        }
        Err(error) => assert_eq!(error.code(), Code::OutOfMemory, "{error}"),
    }
}
