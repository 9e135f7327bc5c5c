//! Lanes, sixteen of them: the vector operations that every format is written in, and that each instruction set spells.
#![expect(unsafe_code, reason = "vector instructions and raw block pointers")]

/// Sixteen lanes of bytes or `f32`, by one instruction set.
///
/// # Safety
///
/// All methods require that the CPU has the instruction set, and pointers to be valid for what the method says; none
/// needs an alignment, but for `stream`. They are inlined always, and must be, into functions that enable the
/// instruction set: a call of such a method that stays a call is slow by far.
pub(super) trait Lanes: Copy {
    /// Sixteen bytes.
    type Bytes: Copy;
    /// Sixty-four bytes.
    type Wide: Copy;
    /// Sixteen `f32`.
    type Floats: Copy;

    /// Reads 16 bytes.
    unsafe fn bytes(from: *const u8) -> Self::Bytes;
    /// Byte `i` is 16 where bit `i` is set, else 0.
    unsafe fn sixteens(bits: u16) -> Self::Bytes;
    /// Each byte shifted right, then `and`ed; `mask << SHIFT` must fit a byte.
    unsafe fn bits<const SHIFT: i32>(bytes: Self::Bytes, mask: u8) -> Self::Bytes;
    /// Each byte shifted left; no set bit may leave its byte.
    unsafe fn left<const SHIFT: i32>(bytes: Self::Bytes) -> Self::Bytes;
    /// Bit by bit.
    unsafe fn or(a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    /// Reads 8 bytes: sixteen nibbles, the lower of each byte first.
    unsafe fn nibbles(from: *const u8) -> Self::Bytes;
    /// Byte `i` is that at `from[i]`, less than 16; 0 for 255.
    unsafe fn pick(bytes: Self::Bytes, from: &[u8; 16]) -> Self::Bytes;
    /// Bit by bit, with a mask for each byte.
    unsafe fn mask(bytes: Self::Bytes, mask: &[u8; 16]) -> Self::Bytes;
    /// Each byte, some bits flipped.
    unsafe fn flip(bytes: Self::Bytes, bits: u8) -> Self::Bytes;
    /// Each byte less a number.
    unsafe fn less(bytes: Self::Bytes, number: i8) -> Self::Bytes;

    /// Reads 64 bytes.
    unsafe fn wide(from: *const u8) -> Self::Wide;
    /// Reads 32 bytes: as they are, then shifted right, with bits of their neighbours on top.
    unsafe fn twice<const SHIFT: i32>(from: *const u8) -> Self::Wide;
    /// As [`Lanes::bits`].
    unsafe fn wide_bits<const SHIFT: i32>(bytes: Self::Wide, mask: u8) -> Self::Wide;
    /// As [`Lanes::left`].
    unsafe fn wide_left<const SHIFT: i32>(bytes: Self::Wide) -> Self::Wide;
    /// As [`Lanes::or`].
    unsafe fn wide_or(a: Self::Wide, b: Self::Wide) -> Self::Wide;
    /// As [`Lanes::less`].
    unsafe fn wide_less(bytes: Self::Wide, number: i8) -> Self::Wide;
    /// In order.
    unsafe fn split(bytes: Self::Wide) -> [Self::Bytes; 4];

    /// Signed bytes to numbers.
    unsafe fn floats(bytes: Self::Bytes) -> Self::Floats;
    /// `then` of the level of each lower nibble.
    unsafe fn low<A: Affine<Self>>(levels: &[i8; 16], bytes: Self::Bytes, then: A) -> Self::Floats;
    /// `then` of the level of each upper nibble.
    unsafe fn high<A: Affine<Self>>(levels: &[i8; 16], bytes: Self::Bytes, then: A) -> Self::Floats;

    /// One binary16, at 2 bytes.
    unsafe fn half(from: *const u8) -> f32;
    /// One binary16, at 2 bytes, in all lanes.
    unsafe fn halves(from: *const u8) -> Self::Floats;
    /// Two binary16, at 4 bytes: one in the first eight lanes, one in the others.
    unsafe fn two_halves(from: *const u8) -> Self::Floats;
    /// A number in all lanes.
    unsafe fn splat(number: f32) -> Self::Floats;
    /// The number at 4 bytes in all lanes, by a load that the compiler does not turn into shuffles of registers: ports
    /// for loads are idle where those for shuffles are not.
    unsafe fn load_splat(from: *const f32) -> Self::Floats;
    /// Sixteen binary32, at 64 bytes.
    unsafe fn from_f32(from: *const u8) -> Self::Floats;
    /// Sixteen binary16, at 32 bytes.
    unsafe fn from_f16(from: *const u8) -> Self::Floats;
    /// Sixteen bfloat16, at 32 bytes.
    unsafe fn from_bf16(from: *const u8) -> Self::Floats;
    /// Writes 64 bytes.
    unsafe fn store(to: *mut f32, floats: Self::Floats);
    /// Writes 64 bytes past the caches; `to` must be aligned to 64.
    unsafe fn stream(to: *mut f32, floats: Self::Floats);
    /// Orders what was streamed before what is written later.
    unsafe fn fence();
    /// Writes 32 bytes: each rounded to binary16.
    unsafe fn store_f16(to: *mut u8, floats: Self::Floats);
    /// Writes 32 bytes: each rounded to bfloat16.
    unsafe fn store_bf16(to: *mut u8, floats: Self::Floats);

    unsafe fn times(a: Self::Floats, b: Self::Floats) -> Self::Floats;
    unsafe fn plus(a: Self::Floats, b: Self::Floats) -> Self::Floats;
    unsafe fn minus(a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `a · b + c`, for products that are exact, so that it does not matter whether they are rounded.
    unsafe fn exact_times_plus(a: Self::Floats, b: Self::Floats, c: Self::Floats) -> Self::Floats;
    /// `a · b - c`, for products that are exact.
    unsafe fn exact_times_minus(a: Self::Floats, b: Self::Floats, c: Self::Floats) -> Self::Floats;

    /// The sums, in `f32`, of the products of each four of 32 signed bytes, times `scale`, added to eight lanes.
    unsafe fn add_products(lanes: Self::Eight, scale: f32, codes: Self::Codes, query: *const i8) -> Self::Eight;
    /// Eight `f32`.
    type Eight: Copy;
    /// Thirty-two signed bytes.
    type Codes: Copy;
    unsafe fn no_sums() -> Self::Eight;
    unsafe fn eight(lanes: Self::Eight) -> [f32; 8];
    /// Reads 32 signed bytes.
    unsafe fn codes(from: *const u8) -> Self::Codes;
    /// Reads 16 bytes: their lower nibbles, then their upper ones, less 8.
    unsafe fn nibble_codes(from: *const u8) -> Self::Codes;
}

/// What becomes of a level: a struct and no closure, since it must be inlined always.
///
/// # Safety
///
/// As for [`Lanes`].
pub(super) trait Affine<L: Lanes>: Copy {
    unsafe fn of(self, floats: L::Floats) -> L::Floats;
}

/// `x · .0`
#[derive(Clone, Copy)]
pub(super) struct Times<F>(pub(super) F);
/// `x · .0 + .1`, the product being exact: a scale has 11 significant bits, with the scale of a group 17, and `x` has five.
#[derive(Clone, Copy)]
pub(super) struct TimesPlus<F>(pub(super) F, pub(super) F);
/// `x · .0 - .1`, the product being exact, as above
#[derive(Clone, Copy)]
pub(super) struct TimesMinus<F>(pub(super) F, pub(super) F);

impl<L: Lanes> Affine<L> for Times<L::Floats> {
    #[inline(always)]
    unsafe fn of(self, floats: L::Floats) -> L::Floats {
        // SAFETY: the caller's.
        unsafe { L::times(floats, self.0) }
    }
}

impl<L: Lanes> Affine<L> for TimesPlus<L::Floats> {
    #[inline(always)]
    unsafe fn of(self, floats: L::Floats) -> L::Floats {
        // SAFETY: the caller's.
        unsafe { L::exact_times_plus(floats, self.0, self.1) }
    }
}

impl<L: Lanes> Affine<L> for TimesMinus<L::Floats> {
    #[inline(always)]
    unsafe fn of(self, floats: L::Floats) -> L::Floats {
        // SAFETY: the caller's.
        unsafe { L::exact_times_minus(floats, self.0, self.1) }
    }
}

/// Where sixteen weights go.
///
/// # Safety
///
/// As for [`Lanes`]; 64 bytes at the pointer are the caller's, aligned to 64 for [`Stream`].
pub(super) trait Sink<L: Lanes>: Copy {
    unsafe fn put(self, to: *mut f32, floats: L::Floats);
}

/// Through the caches.
#[derive(Clone, Copy)]
pub(super) struct Store;
/// Past the caches.
#[derive(Clone, Copy)]
pub(super) struct Stream;
/// Times a number, onto what is there.
#[derive(Clone, Copy)]
pub(super) struct Add(pub(super) f32);
/// Onto what is there: `Add(1.0)` in less time.
#[derive(Clone, Copy)]
pub(super) struct Plus;

impl<L: Lanes> Sink<L> for Store {
    #[inline(always)]
    unsafe fn put(self, to: *mut f32, floats: L::Floats) {
        // SAFETY: the caller's.
        unsafe { L::store(to, floats) }
    }
}

impl<L: Lanes> Sink<L> for Stream {
    #[inline(always)]
    unsafe fn put(self, to: *mut f32, floats: L::Floats) {
        // SAFETY: the caller's.
        unsafe { L::stream(to, floats) }
    }
}

impl<L: Lanes> Sink<L> for Add {
    #[inline(always)]
    unsafe fn put(self, to: *mut f32, floats: L::Floats) {
        // SAFETY: the caller's.
        unsafe { L::store(to, L::plus(L::from_f32(to.cast()), L::times(floats, L::splat(self.0)))) }
    }
}

impl<L: Lanes> Sink<L> for Plus {
    #[inline(always)]
    unsafe fn put(self, to: *mut f32, floats: L::Floats) {
        // SAFETY: the caller's.
        unsafe { L::store(to, L::plus(L::from_f32(to.cast()), floats)) }
    }
}
