//! Findings: what is wrong with a feature in one window.

/// The finding on a feature: what is wrong with it, the most telling first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Finding {
    /// Every row has the same value, or none has one, and the reference varies: a pipeline that broke.
    DeadFeature,
    /// More values are missing than in the reference.
    Missing,
    /// Categories that the reference does not name.
    NewCategory,
    /// Values outside the reference's range.
    OutOfRange,
    /// The values are distributed otherwise.
    Shift,
}

impl Finding {
    /// The name, for people: `dead feature`, `missing values`, `new category`, `out of range`, `shift`.
    pub fn name(self) -> &'static str {
        match self {
            Finding::DeadFeature => "dead feature",
            Finding::Missing => "missing values",
            Finding::NewCategory => "new category",
            Finding::OutOfRange => "out of range",
            Finding::Shift => "shift",
        }
    }
}
