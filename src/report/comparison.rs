//! The page of a comparison: rows against a reference, without a telemetry folder.

use std::fmt::Write;

use super::feature::{distribution, grid, measures, probability};
use super::html::{self, card, cards, escaped, thousands};
use crate::drift::{Profile, Verdict, WindowCounts};

/// A comparison of some rows with a reference, as a page for people.
///
/// ```
/// use std::sync::Arc;
/// use selvedge::drift::{FalseAlarm, Judge, Persistence, Policy, Profile, WindowCounts};
/// use selvedge::report::Comparison;
/// let rows: Vec<[f32; 1]> = (0..5000).map(|i| [(i % 97) as f32]).collect();
/// let profile = Arc::new(Profile::fit().number("wind").of_rows(&rows)?);
/// let mut window = WindowCounts::new(&profile);
/// (0..500).for_each(|i| window.add_row(&[profile.features[0].bin((i % 97) as f32 + 40.0)]));
/// let policy = Policy::new(500, FalseAlarm::windows(1000.0)).persistence(Persistence::new(1, 1)?);
/// let verdict = Judge::new(profile.clone(), policy)?.judge(&window)?;
///
/// let page = Comparison::new(&profile, &window, &verdict).named("2012 to 2014", "2015").html();
/// assert!(page.contains("<h3>wind</h3>") && page.contains("drift in 1 of 1 features"));
/// # Ok::<(), selvedge::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Comparison<'a> {
    profile: &'a Profile,
    window: &'a WindowCounts,
    verdict: &'a Verdict,
    names: [&'a str; 2],
}

impl<'a> Comparison<'a> {
    /// A comparison as it was judged: `window` has the counts of `profile`'s bins, and `verdict` is what a
    /// [`Judge`](crate::drift::Judge) of `profile` said of it.
    pub fn new(profile: &'a Profile, window: &'a WindowCounts, verdict: &'a Verdict) -> Self {
        Self { profile, window, verdict, names: ["the reference", "the window"] }
    }

    /// Says what the reference and the rows are called.
    #[must_use]
    pub fn named(self, reference: &'a str, window: &'a str) -> Self {
        Self { names: [reference, window], ..self }
    }

    /// One page of HTML that stands alone: it loads nothing and runs no script.
    #[must_use]
    pub fn html(&self) -> String {
        let [reference, window] = self.names.map(escaped);
        let mut page = html::head("Selvedge: drift", &format!("Is {window} still like {reference}?"));
        let drifted = self.verdict.features.iter().filter(|f| f.finding.is_some()).count();
        let features = self.verdict.features.len();
        let class = if drifted > 0 { "bad-text" } else { "good-text" };
        let found = if drifted > 0 { format!("drift in {drifted} of {features} features") } else { "no drift".into() };
        let _ = writeln!(page, "<p class=\"{class}\"><strong>{found}</strong></p>");
        page += &cards(&[
            card("reference rows", thousands(self.profile.rows), ""),
            card("window rows", thousands(self.window.rows), ""),
            card("features", features.to_string(), ""),
            card("drifted", drifted.to_string(), class),
        ]);
        page += "<h2>Features</h2>\n<p class=\"soft\"><span class=\"key ref\"></span>reference <span class=\"key now\"></span>";
        page += "window · the strongest evidence first</p>\n";
        page += &grid(features);
        let mut order: Vec<usize> = (0..features).collect();
        order.sort_by(|a, b| self.verdict.features[*a].ln_p.total_cmp(&self.verdict.features[*b].ln_p));
        order.into_iter().for_each(|i| self.feature(&mut page, i));
        let _ = writeln!(
            page,
            "</div>\n<p class=\"soft\">Drift is what chance alone brings in fewer than {} comparisons of all features \
             together. PSI and the distances are shown, and never decide.</p>\n</body></html>",
            once_in(self.verdict.level)
        );
        page
    }

    fn feature(&self, page: &mut String, i: usize) {
        let (Some(feature), Some(drift)) = (self.profile.features.get(i), self.verdict.features.get(i)) else { return };
        let finding = drift.finding.map_or_else(
            || "<span class=\"soft\">no drift</span>".to_string(),
            |f| format!("<span class=\"bad-text\">{}</span>", f.name()),
        );
        let name = escaped(&feature.name);
        let _ = writeln!(page, "<div class=\"card\"><div class=\"head\"><h3>{name}</h3>{finding}</div>");
        *page += &distribution(feature, self.window.features.get(i).map_or(&[], |counts| counts), "window");
        let _ = writeln!(page, "<p class=\"soft\">{}</p></div>", measures(drift));
    }
}

/// `1 in 1,000`, by a level.
fn once_in(level: f64) -> String {
    match (1.0 / level).round() {
        times if times < 1e15 => format!("1 in {}", thousands(times as u64)),
        _ => probability(level.ln()),
    }
}
