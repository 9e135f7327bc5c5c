//! The code of an alert, as the log names it.

/// The code of an alert: what it says has happened. The numbers are never changed and never reused; in the files stand
/// the names.
///
/// ```
/// use selvedge::telemetry::AlertCode;
/// assert_eq!(AlertCode::from_name("concept_drift"), AlertCode::ConceptDrift);
/// assert_eq!((AlertCode::Shift.number(), AlertCode::Shift.name()), (5, "shift"));
/// assert_eq!(AlertCode::from_name("of_tomorrow").name(), "of_tomorrow");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AlertCode {
    /// Number 1, `dead_feature`: every row of a feature has the same value, and the reference varies.
    DeadFeature,
    /// Number 2, `missing_values`: more values of a feature are missing than in the reference.
    MissingValues,
    /// Number 3, `new_category`: a feature has categories that the reference does not name.
    NewCategory,
    /// Number 4, `out_of_range`: a feature has values outside the reference's range.
    OutOfRange,
    /// Number 5, `shift`: the values of a feature are distributed otherwise.
    Shift,
    /// Number 6, `embedding_drift`: the embeddings are distributed otherwise.
    EmbeddingDrift,
    /// Number 7, `change`: a stream of numbers (confidence, latency, errors) has changed.
    Change,
    /// Number 8, `concept_drift`: the model is wrong more often than it was.
    ConceptDrift,
    /// Number 9, `broken_promise`: a service level objective is broken.
    BrokenPromise,
    /// Number 0: a name that this version does not know, of a later version or of an app's own.
    Other(String),
}

impl AlertCode {
    /// All codes that this version knows, by number.
    pub const ALL: [AlertCode; 9] = [
        AlertCode::DeadFeature,
        AlertCode::MissingValues,
        AlertCode::NewCategory,
        AlertCode::OutOfRange,
        AlertCode::Shift,
        AlertCode::EmbeddingDrift,
        AlertCode::Change,
        AlertCode::ConceptDrift,
        AlertCode::BrokenPromise,
    ];

    /// The number, from 1; 0 for [`Other`](AlertCode::Other).
    #[must_use]
    pub fn number(&self) -> u8 {
        Self::ALL.iter().zip(1..).find(|(code, _)| *code == self).map_or(0, |(_, number)| number)
    }

    /// A stable name for the log and for dashboards.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            AlertCode::DeadFeature => "dead_feature",
            AlertCode::MissingValues => "missing_values",
            AlertCode::NewCategory => "new_category",
            AlertCode::OutOfRange => "out_of_range",
            AlertCode::Shift => "shift",
            AlertCode::EmbeddingDrift => "embedding_drift",
            AlertCode::Change => "change",
            AlertCode::ConceptDrift => "concept_drift",
            AlertCode::BrokenPromise => "broken_promise",
            AlertCode::Other(name) => name,
        }
    }

    /// The code of this name; [`Other`](AlertCode::Other) with the name if this version knows none.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        Self::ALL.into_iter().find(|code| code.name() == name).unwrap_or_else(|| Self::Other(name.into()))
    }

    /// Whether it is about the values of one feature. Such a code may become another one while its alert stands.
    #[must_use]
    pub fn is_of_feature(&self) -> bool {
        (1..=5).contains(&self.number())
    }
}

impl Default for AlertCode {
    /// A code without a name.
    fn default() -> Self {
        Self::Other(String::new())
    }
}
