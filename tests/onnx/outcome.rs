//! Outcome of a case, as a line that a worker can print.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Pass,
    OpenFailed,
    RunFailed,
    Mismatch,
    /// The model takes or gives something that is no [`selvedge::Tensor`].
    Inexpressible,
    /// The process that ran the case died.
    Crash,
    /// The case ran past the time limit.
    Hang,
    /// The suite's own files could not be read: a fault of the suite or of this test.
    Unreadable,
}

impl Verdict {
    const ALL: [(Verdict, &str); 8] = [
        (Verdict::Pass, "pass"),
        (Verdict::OpenFailed, "open failed"),
        (Verdict::RunFailed, "run failed"),
        (Verdict::Mismatch, "mismatch"),
        (Verdict::Inexpressible, "not expressible"),
        (Verdict::Crash, "crash"),
        (Verdict::Hang, "hang"),
        (Verdict::Unreadable, "unreadable"),
    ];

    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(v, _)| *v == self).map_or("?", |(_, name)| name)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) verdict: Verdict,
    pub(crate) detail: String,
}

impl Outcome {
    /// An outcome whose detail is cut to a line of reasonable length.
    pub(crate) fn new(verdict: Verdict, detail: &str) -> Self {
        let detail: String = detail.split_whitespace().collect::<Vec<_>>().join(" ");
        Self { verdict, detail: detail.chars().take(600).collect() }
    }

    pub(crate) fn passed(&self) -> bool {
        self.verdict == Verdict::Pass
    }

    /// One line: the verdict's name, a tab, the detail.
    pub(crate) fn line(&self) -> String {
        format!("{}\t{}", self.verdict.name(), self.detail)
    }

    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (verdict, detail) = line.split_once('\t')?;
        let (verdict, _) = *Verdict::ALL.iter().find(|(_, name)| *name == verdict)?;
        Some(Self { verdict, detail: detail.into() })
    }
}
