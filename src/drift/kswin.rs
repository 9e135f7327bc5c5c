//! Kswin.

/// Kswin.
#[derive(Clone, Debug)]
pub struct Kswin;

impl Kswin {
    /// With river's defaults.
    pub fn new() -> Self {
        Self
    }

    /// Adds a value; says whether the stream has changed.
    pub fn update(&mut self, _value: f64) -> bool {
        false
    }
}

impl Default for Kswin {
    fn default() -> Self {
        Self::new()
    }
}
