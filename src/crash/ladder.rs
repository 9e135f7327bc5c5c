//! The ladder: which way an open goes after deaths. Pure.

use super::Death;
use super::way::Way;

/// One rung of the ladder: how an engine is opened after it ended a process. A rung changes what it names; what the app asked
/// for stays otherwise, but for [`Options::accelerator`](crate::Options::accelerator), which no rung has.
///
/// ```
/// use selvedge::crash::{CrashRecord, Rung};
/// // At most three starts are lost: as asked, with one thread, with another runtime.
/// let gently = [Rung::new().one_thread(), Rung::new().one_thread().read_whole().other_runtime()];
/// let record = CrashRecord::new("crashes").ladder(gently);
/// # assert_eq!(record.rungs.len(), 2);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rung {
    /// Computes on one thread.
    pub one_thread: bool,
    /// Reads the file whole, and maps nothing.
    pub read_whole: bool,
    /// Takes another runtime, if this build has one for the format, it takes the model, and the app left it to the library:
    /// not with [`Options::backend`](crate::Options::backend) or session entries. Else the rung is without this.
    pub other_runtime: bool,
}

impl Rung {
    /// A rung that changes nothing: never taken after a death, as the same again is not.
    pub fn new() -> Self {
        Self::default()
    }

    /// Computes on one thread.
    #[must_use]
    pub fn one_thread(mut self) -> Self {
        self.one_thread = true;
        self
    }

    /// Reads the file whole.
    #[must_use]
    pub fn read_whole(mut self) -> Self {
        self.read_whole = true;
        self
    }

    /// Takes another runtime.
    #[must_use]
    pub fn other_runtime(mut self) -> Self {
        self.other_runtime = true;
        self
    }
}

/// One thread, read whole, another runtime: all at once, so that two starts are lost at most.
pub(super) const DEFAULT: [Rung; 1] = [Rung { one_thread: true, read_whole: true, other_runtime: true }];

/// What an open is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// This way.
    Go,
    /// This way has died before: the next one.
    Next,
    /// No way any more.
    Refuse,
}

/// What to do of a way, given the deaths that count and the rungs of the ladder. Each way dies once, and there are never more
/// deaths than ways on the ladder.
pub(super) fn decide(deaths: &[Death], way: Way, rungs: usize) -> Decision {
    let mut ways: Vec<Way> = Vec::new();
    deaths.iter().for_each(|death| {
        if !ways.contains(&death.way) {
            ways.push(death.way);
        }
    });
    let of = |way: Way| counted(deaths.iter().filter(|death| death.way == way));
    if ways.iter().map(|way| of(*way)).sum::<usize>() > rungs {
        return Decision::Refuse;
    }
    if of(way) > 0 { Decision::Next } else { Decision::Go }
}

/// How many deaths count: those that are sure, and half of the others, in each phase.
pub(super) fn counted<'a>(deaths: impl IntoIterator<Item = &'a Death>) -> usize {
    let (mut sure, mut unsure) = (0, [0; 5]);
    for death in deaths {
        match death.is_sure {
            true => sure += 1,
            false => unsure[usize::from(death.phase.number())] += 1,
        }
    }
    sure + unsure.into_iter().map(|n| n / 2).sum::<usize>()
}
