//! Layouts of blocks, byte by byte, as ggml's `ggml-common.h` lays them out.
//!
//! Scales `d`, minima `m` and `dmin` are IEEE 754 binary16. `lo` and `hi` are the lower and upper nibble of a byte;
//! `qs[16]` of a block of 32 holds weight `j` in `lo(qs[j])` and weight `j + 16` in `hi(qs[j])`. No block has an
//! alignment: a file puts them anywhere.

/// Weights in a small block.
pub(super) const SMALL: usize = 32;
/// Weights in a large block ("super-block").
pub(super) const LARGE: usize = 256;

/// The levels of IQ4_NL and IQ4_XS.
pub(super) const IQ4_LEVELS: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];
/// Twice the values of E2M1, the 4-bit float of the OCP microscaling formats 1.0: sign, two exponent bits, one of mantissa.
pub(super) const E2M1_DOUBLED: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];
/// What a nibble of Q4_0 means.
pub(super) const NIBBLES_LESS_8: [i8; 16] = [-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7];
/// What a nibble of Q4_1 and Q4_K means.
pub(super) const NIBBLES: [i8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// `layout!(name: field = bytes, …, total = bytes)`: the offset of each field, which follow each other without gaps.
macro_rules! layout {
    ($(#[$doc:meta])* $name:ident: $first:ident $(, $previous:ident + $bytes:literal = $field:ident)*; $last:ident + $rest:literal = $total:literal) => {
        $(#[$doc])*
        #[allow(dead_code, reason = "an offset may serve one variant only")]
        pub(super) mod $name {
            pub(in super::super) const $first: usize = 0;
            $(pub(in super::super) const $field: usize = $previous + $bytes;)*
            pub(in super::super) const BYTES: usize = $last + $rest;
            const _: () = assert!(BYTES == $total);
        }
    };
}

layout! {
    /// ```text
    /// 0   2              18
    /// │ d │ qs[16]       │    (nibble - 8) · d
    /// ```
    q4_0: D, D + 2 = QS; QS + 16 = 18
}

layout! {
    /// ```text
    /// 0   2   4          20
    /// │ d │ m │ qs[16]   │    nibble · d + m
    /// ```
    q4_1: D, D + 2 = M, M + 2 = QS; QS + 16 = 20
}

layout! {
    /// Bit `j` of `qh` is the fifth bit of weight `j`.
    /// ```text
    /// 0   2        6          22
    /// │ d │ qh u32 │ qs[16]   │    ((nibble | bit << 4) - 16) · d
    /// ```
    q5_0: D, D + 2 = QH, QH + 4 = QS; QS + 16 = 22
}

layout! {
    /// ```text
    /// 0   2   4        8          24
    /// │ d │ m │ qh u32 │ qs[16]   │    (nibble | bit << 4) · d + m
    /// ```
    q5_1: D, D + 2 = M, M + 2 = QH, QH + 4 = QS; QS + 16 = 24
}

layout! {
    /// ```text
    /// 0   2              34
    /// │ d │ qs i8[32]    │    q · d
    /// ```
    q8_0: D, D + 2 = QS; QS + 32 = 34
}

layout! {
    /// `scales[i]` is of weights `16i .. 16i + 16`: `lo` its scale, `hi` its minimum. Byte `l` of a half's 32 bytes of
    /// `qs` holds weights `l`, `l + 32`, `l + 64`, `l + 96` of the half, two bits each, lowest first.
    /// ```text
    /// 0            16         80  82     84
    /// │ scales[16] │ qs[64]   │ d │ dmin │    (d · lo) · q - dmin · hi
    /// ```
    q2_k: SCALES, SCALES + 16 = QS, QS + 64 = D, D + 2 = DMIN; DMIN + 2 = 84
}

layout! {
    /// `qs` as in Q2_K; bit `j` of `hmask[l]` is set where weight `32j + l` is not to be lowered by 4. Of the sixteen
    /// 6-bit scales, `scales[0..8]` hold the lower four bits (0-7 in `lo`, 8-15 in `hi`) and `scales[8..12]` the upper
    /// two: those of scale `i` at bit `2(i / 4)` of byte `8 + i % 4`.
    /// ```text
    /// 0           32         96           108 110
    /// │ hmask[32] │ qs[64]   │ scales[12] │ d │    (d · (scale - 32)) · (q - (bit ? 0 : 4))
    /// ```
    q3_k: HMASK, HMASK + 32 = QS, QS + 64 = SCALES, SCALES + 12 = D; D + 2 = 110
}

layout! {
    /// Each 32 bytes of `qs` hold 64 weights: 32 in `lo`, the next 32 in `hi`. Scale and minimum of the 32 weights from
    /// `32j`: for `j < 4` the lower six bits of `scales[j]` and `scales[j + 4]`; else `lo(scales[j + 4])` and
    /// `hi(scales[j + 4])`, with bits 4 and 5 from the top of `scales[j - 4]` and `scales[j]`.
    /// ```text
    /// 0   2      4            16          144
    /// │ d │ dmin │ scales[12] │ qs[128]   │    (d · scale) · nibble - dmin · minimum
    /// ```
    q4_k: D, D + 2 = DMIN, DMIN + 2 = SCALES, SCALES + 12 = QS; QS + 128 = 144
}

layout! {
    /// As Q4_K; bit `j` of `qh[l]` is the fifth bit of weight `32j + l`.
    /// ```text
    /// 0   2      4            16       48          176
    /// │ d │ dmin │ scales[12] │ qh[32] │ qs[128]   │    (d · scale) · (nibble | bit << 4) - dmin · minimum
    /// ```
    q5_k: D, D + 2 = DMIN, DMIN + 2 = SCALES, SCALES + 12 = QH, QH + 32 = QS; QS + 128 = 176
}

layout! {
    /// Of each half of 128 weights, with 64 bytes of `ql` and 32 of `qh`: weights `l` and `l + 32` are in
    /// `lo(ql[l])`, `lo(ql[l + 32])`, weights `l + 64` and `l + 96` in `hi`; bits 4 and 5 of the four are in `qh[l]`,
    /// lowest first. `scales[i]` is of weights `16i .. 16i + 16`.
    /// ```text
    /// 0         128      192             208 210
    /// │ ql[128] │ qh[64] │ scales i8[16] │ d │    (d · scale) · (q - 32)
    /// ```
    q6_k: QL, QL + 128 = QH, QH + 64 = SCALES, SCALES + 16 = D; D + 2 = 210
}

layout! {
    /// ```text
    /// 0   2              18
    /// │ d │ qs[16]       │    d · IQ4_LEVELS[nibble]
    /// ```
    iq4_nl: D, D + 2 = QS; QS + 16 = 18
}

layout! {
    /// Scale `j` of 32 weights: four bits from nibble `j` of `scales_l`, two from bit `2j` of `scales_h`.
    /// ```text
    /// 0   2              4             8           136
    /// │ d │ scales_h u16 │ scales_l[4] │ qs[128]   │    (d · (scale - 32)) · IQ4_LEVELS[nibble]
    /// ```
    iq4_xs: D, D + 2 = SCALES_H, SCALES_H + 2 = SCALES_L, SCALES_L + 4 = QS; QS + 128 = 136
}

layout! {
    /// `e` is a power of two, E8M0: `2^(e - 127)`.
    /// ```text
    /// 0   1              17
    /// │ e │ qs[16]       │    2^(e - 128) · E2M1_DOUBLED[nibble]
    /// ```
    mxfp4: E, E + 1 = QS; QS + 16 = 17
}

/// `2^(e - 128)`. The power for NaN (255) gives `2^127`, as in ggml.
pub(super) const fn half_power(e: u8) -> f32 {
    f32::from_bits(if e < 2 { 0x0020_0000 << e } else { (e as u32 - 1) << 23 })
}
