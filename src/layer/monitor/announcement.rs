//! Announcement of a model in the log: the record that maps its slot to it.

use super::binning::Binning;
use super::history::seal;
use super::identity::ModelIdentity;
use super::shared::Shared;
use crate::telemetry::{ModelSlot, Position, Reason, Record, Telemetry};

#[derive(Default)]
pub(super) struct Announcement {
    /// Where the record lies; `None` if it could not be sealed.
    pub(super) sealed: Option<Position>,
    /// Records that had given way to the limit of the log when it was looked at last.
    given_way: u64,
}

impl Announcement {
    /// Announces the model under this profile.
    pub(super) fn announce(
        &mut self,
        identity: &ModelIdentity,
        binning: Option<&Binning>,
        bare_slot: ModelSlot,
        telemetry: &Telemetry,
    ) {
        self.sealed = seal(telemetry, &Record::Model(identity.record(binning, bare_slot)));
    }

    /// Announces the model, unless the log still has its record or its reader knows it. While nothing is read, the
    /// limit of the log takes the oldest records, and windows of nobody would be worth nothing.
    pub(super) fn renew(&mut self, identity: &ModelIdentity, shared: &Shared, telemetry: &Telemetry) {
        let status = telemetry.status();
        let by_limit = status.dropped.iter().filter(|(reason, _)| matches!(reason, Reason::Limit | Reason::DiskFull));
        let given_way = by_limit.fold(0, |sum: u64, (_, records)| sum.saturating_add(*records));
        let has_left = |at: Position| status.oldest.is_none_or(|oldest| oldest > at);
        if self.sealed.is_none_or(|at| given_way > self.given_way && has_left(at)) {
            self.announce(identity, shared.binning.get(), shared.bare_slot, telemetry);
        }
        self.given_way = given_way;
    }
}
