//! Combined probes.

use super::{Probe, ProbeFeature, Rows};
use crate::engine::{Answer, Request};

/// Combined probes, several as one: their features stand side by side in each row.
///
/// ```
/// use selvedge::layer::probe::{All, Classes, Columns, Probe};
/// let probe = All::new().and(Columns::of("weather", ["temp", "wind"])).and(Classes::of("rain_tomorrow"));
/// assert_eq!(probe.features().len(), 2 + 3);
/// ```
#[derive(Default)]
pub struct All {
    probes: Vec<Part>,
    width: usize,
}

struct Part {
    probe: Box<dyn Probe>,
    first: usize,
    width: usize,
}

impl All {
    /// A probe of no probes yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more.
    #[must_use]
    pub fn and(mut self, probe: impl Probe + 'static) -> Self {
        let (first, width) = (self.width, probe.features().len());
        self.probes.push(Part { probe: Box::new(probe), first, width });
        self.width += width;
        self
    }
}

impl Probe for All {
    fn features(&self) -> Vec<ProbeFeature> {
        self.probes.iter().flat_map(|part| part.probe.features()).collect()
    }

    fn request(&self, request: &Request, rows: &mut Rows<'_>) {
        for part in &self.probes {
            part.probe.request(request, &mut rows.part(part.first, part.width));
        }
    }

    fn answer(&self, answer: &Answer, rows: &mut Rows<'_>) {
        for part in &self.probes {
            part.probe.answer(answer, &mut rows.part(part.first, part.width));
        }
    }
}

impl std::fmt::Debug for All {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.features().into_iter().map(|feature| feature.name);
        f.debug_list().entries(names).finish()
    }
}
