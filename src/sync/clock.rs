//! The time of a record on the wall clock.

use std::collections::BTreeMap;

use super::state::Clock;
use crate::telemetry::{Anchor, Stamp};

/// 2020-01-01: a device that believes it is earlier has not set its clock since it was switched on.
const SET: u64 = 1_577_836_800_000_000_000;
/// Boots whose latest anchor is kept: that of the windows to come, and of those that a crash left over.
const BOOTS: usize = 4;

/// A record is sealed a moment after what it tells of, and its anchor right before it: after a sleep of the machine, or a
/// set clock, that anchor and no earlier one tells the time of that moment.
const SEALING: u64 = 500_000_000;

/// The anchors that are known: by boot, nanoseconds since 1970 by those of the monotonic clock.
#[derive(Clone, Debug, Default)]
pub(super) struct Clocks {
    anchors: BTreeMap<Vec<u8>, BTreeMap<u64, u64>>,
}

impl Clocks {
    pub(super) fn new(anchors: Vec<Clock>) -> Self {
        let mut clocks = Self::default();
        anchors.into_iter().for_each(|clock| clocks.insert(clock));
        clocks
    }

    pub(super) fn add(&mut self, anchor: &Anchor) {
        clock(anchor).into_iter().for_each(|clock| self.insert(clock));
    }

    fn insert(&mut self, Clock { boot, monotonic, unix }: Clock) {
        self.anchors.entry(boot).or_default().insert(monotonic, unix);
    }

    /// Nanoseconds since 1970, by the latest anchor before the moment or just after it, or else by the first one. `None` if
    /// its boot has no anchor.
    pub(super) fn unix(&self, stamp: &Stamp) -> Option<u64> {
        let of_boot = self.anchors.get(&stamp.boot[..])?;
        let until = stamp.monotonic_ns.saturating_add(SEALING);
        let before = of_boot.range(..=until).next_back();
        let (monotonic, unix) = before.or_else(|| of_boot.first_key_value())?;
        let past = i128::from(stamp.monotonic_ns) - i128::from(*monotonic);
        u64::try_from(i128::from(*unix) + past).ok()
    }
}

/// Adds an anchor to those that later records need: the latest of each of the last boots.
pub(super) fn remember(anchors: &mut Vec<Clock>, anchor: &Anchor) {
    if let Some(clock) = clock(anchor) {
        anchors.retain(|a| a.boot != clock.boot);
        anchors.push(clock);
        anchors.drain(..anchors.len().saturating_sub(BOOTS));
    }
}

/// An anchor of a clock that was not set says nothing; the next one says for the time before it too.
fn clock(anchor: &Anchor) -> Option<Clock> {
    let unix = u64::try_from(anchor.unix_ns).ok().filter(|unix| *unix >= SET)?;
    Some(Clock { boot: anchor.stamp.boot.to_vec(), monotonic: anchor.monotonic_ns, unix })
}
