//! The checked-in lists of the cases that do not pass: names under headings that say why.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::case::Case;
use crate::outcome::{Outcome, Verdict};

/// A heading that begins so holds cases whose outcome depends on the machine: they may pass.
pub(crate) const EITHER: &str = "may pass: ";
/// The line that tells which runtime a list was made with.
const RUNTIME: &str = "made with ";

/// A list of cases that do not pass.
pub(crate) struct Known {
    /// The runtime that the list was made with.
    pub(crate) runtime: String,
    /// Heading by case.
    reasons: BTreeMap<String, String>,
}

impl Known {
    /// Reads a list. Lines are `# heading`, a case's name, or empty.
    pub(crate) fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_default();
        let (mut runtime, mut reasons, mut heading) = (String::new(), BTreeMap::new(), "");
        for line in text.lines().map(str::trim).filter(|l| !l.is_empty()) {
            match line.strip_prefix("# ") {
                Some(words) => {
                    heading = words;
                    runtime = words.strip_prefix(RUNTIME).map_or(runtime, Into::into);
                }
                None => {
                    let before = reasons.insert(line.to_string(), heading.to_string());
                    assert!(before.is_none(), "{}: '{line}' is listed twice", path.display());
                }
            }
        }
        Self { runtime, reasons }
    }

    /// What is not as listed, in words: failures that are not listed, listed cases that pass, and names
    /// that the suite has not. With another `runtime` than the list's, more may pass. Dying is never as listed.
    pub(crate) fn differences(&self, results: &[(&Case, Outcome)], runtime: &str) -> Vec<String> {
        let mut found = Vec::new();
        for (Case { name, .. }, outcome) in results {
            let heading = self.reasons.get(name);
            let dead = matches!(outcome.verdict, Verdict::Crash | Verdict::Hang | Verdict::Unreadable);
            if dead || (heading.is_none() && !outcome.passed()) {
                found.push(format!("{name} fails: {}: {}", outcome.verdict.name(), outcome.detail));
            }
            if let Some(heading) = heading
                && outcome.passed()
                && runtime == self.runtime
                && !heading.starts_with(EITHER)
            {
                found.push(format!("{name} passes, but is listed under '{heading}'"));
            }
        }
        let gone = self.reasons.keys().filter(|name| results.iter().all(|(case, _)| case.name != **name));
        found.extend(gone.map(|name| format!("{name} is listed, but the suite has no such case")));
        found
    }

    /// The list of what does not pass now, grouped by `reason`; what may pass stays listed.
    pub(crate) fn rewritten(
        &self,
        results: &[(&Case, Outcome)],
        runtime: &str,
        reason: impl Fn(&Case, &Outcome) -> String,
    ) -> String {
        let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (case, outcome) in results {
            let heading = match self.reasons.get(&case.name) {
                _ if !outcome.passed() => reason(case, outcome),
                Some(heading) if heading.starts_with(EITHER) => heading.clone(),
                _ => continue,
            };
            groups.entry(heading).or_default().push(&case.name);
        }
        let mut text = format!(
            "# Cases of the ONNX backend suite that do not pass, by reason.\n# {RUNTIME}{runtime}\n\
             # Rewritten by: SELVEDGE_SUITE_WRITE=1 cargo test --all-features --test onnx\n"
        );
        for (heading, names) in groups {
            let _ = write!(text, "\n# {heading}\n{}\n", names.join("\n"));
        }
        text
    }
}
