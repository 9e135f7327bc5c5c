//! Numbers that are written out, and numbers that stand for names.

/// The number that a text says: 1 for `true` and 0 for `false`, in any case, since that is how a model gets them.
pub(crate) fn read_number(text: &str) -> Option<f32> {
    match text.trim() {
        text if text.eq_ignore_ascii_case("true") => Some(1.0),
        text if text.eq_ignore_ascii_case("false") => Some(0.0),
        text => text.parse().ok(),
    }
}

/// The number that stands for the name of a category: the one that it says, else a negative whole number made of its
/// FNV-1a hash.
pub(crate) fn category_code(name: &str) -> f32 {
    if let Some(number) = read_number(name).filter(|number| number.is_finite()) {
        return number;
    }
    let hash = name.bytes().fold(0x811c_9dc5_u32, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
    // 2^23 to 2^24: whole numbers that an f32 holds exactly, away from codes that people choose.
    -(((hash >> 9) | 1 << 23) as f32)
}
