//! Two groups of weights, times those of four rows of activations.
#![expect(unsafe_code, reason = "vector instructions")]

use std::arch::asm;
use std::arch::x86_64::__m256i;

use super::VECTORS;

/// A function that adds products of two groups in four rows. Spelled out, since the compiler would add them in another
/// order, for which it has too few registers.
macro_rules! products_of_four {
    ($(#[$doc:meta])* $name:ident, $multiply:literal, $add:literal) => {
        $(#[$doc])*
        ///
        /// # Safety
        ///
        /// The CPU has the features; 128 aligned bytes of weights and 32 of activations can be read.
        #[inline]
        #[target_feature(enable = "avx2")]
        pub(super) unsafe fn $name(to: &mut [[__m256i; VECTORS]; 4], weights: *const u8, codes: *const u32) {
            let [[a0, a1], [b0, b1], [c0, c1], [d0, d1]] = to;
            // SAFETY: the caller's.
            unsafe {
                asm!(
                    "vmovdqa {w0}, ymmword ptr [{weights} + 0]",
                    "vmovdqa {w1}, ymmword ptr [{weights} + 32]",
                    "vpbroadcastd {y}, dword ptr [{codes} + 0]",
                    concat!($multiply, " {x}, {w0}, {y}"),
                    concat!($multiply, " {y}, {w1}, {y}"),
                    concat!($add, " {a0}, {a0}, {x}"),
                    concat!($add, " {a1}, {a1}, {y}"),
                    "vpbroadcastd {y}, dword ptr [{codes} + 4]",
                    concat!($multiply, " {x}, {w0}, {y}"),
                    concat!($multiply, " {y}, {w1}, {y}"),
                    concat!($add, " {b0}, {b0}, {x}"),
                    concat!($add, " {b1}, {b1}, {y}"),
                    "vpbroadcastd {y}, dword ptr [{codes} + 8]",
                    concat!($multiply, " {x}, {w0}, {y}"),
                    concat!($multiply, " {y}, {w1}, {y}"),
                    concat!($add, " {c0}, {c0}, {x}"),
                    concat!($add, " {c1}, {c1}, {y}"),
                    "vpbroadcastd {y}, dword ptr [{codes} + 12]",
                    concat!($multiply, " {x}, {w0}, {y}"),
                    concat!($multiply, " {y}, {w1}, {y}"),
                    concat!($add, " {d0}, {d0}, {x}"),
                    concat!($add, " {d1}, {d1}, {y}"),
                    "vmovdqa {w0}, ymmword ptr [{weights} + 64]",
                    "vmovdqa {w1}, ymmword ptr [{weights} + 96]",
                    "vpbroadcastd {y}, dword ptr [{codes} + 16]",
                    concat!($multiply, " {x}, {w0}, {y}"),
                    concat!($multiply, " {y}, {w1}, {y}"),
                    concat!($add, " {a0}, {a0}, {x}"),
                    concat!($add, " {a1}, {a1}, {y}"),
                    "vpbroadcastd {y}, dword ptr [{codes} + 20]",
                    concat!($multiply, " {x}, {w0}, {y}"),
                    concat!($multiply, " {y}, {w1}, {y}"),
                    concat!($add, " {b0}, {b0}, {x}"),
                    concat!($add, " {b1}, {b1}, {y}"),
                    "vpbroadcastd {y}, dword ptr [{codes} + 24]",
                    concat!($multiply, " {x}, {w0}, {y}"),
                    concat!($multiply, " {y}, {w1}, {y}"),
                    concat!($add, " {c0}, {c0}, {x}"),
                    concat!($add, " {c1}, {c1}, {y}"),
                    "vpbroadcastd {y}, dword ptr [{codes} + 28]",
                    concat!($multiply, " {x}, {w0}, {y}"),
                    concat!($multiply, " {y}, {w1}, {y}"),
                    concat!($add, " {d0}, {d0}, {x}"),
                    concat!($add, " {d1}, {d1}, {y}"),
                    weights = in(reg) weights,
                    codes = in(reg) codes,
                    w0 = out(ymm_reg) _,
                    w1 = out(ymm_reg) _,
                    x = out(ymm_reg) _,
                    y = out(ymm_reg) _,
                    a0 = inout(ymm_reg) *a0,
                    a1 = inout(ymm_reg) *a1,
                    b0 = inout(ymm_reg) *b0,
                    b1 = inout(ymm_reg) *b1,
                    c0 = inout(ymm_reg) *c0,
                    c1 = inout(ymm_reg) *c1,
                    d0 = inout(ymm_reg) *d0,
                    d1 = inout(ymm_reg) *d1,
                    options(pure, readonly, nostack, preserves_flags)
                );
            }
        }
    };
}

products_of_four!(
    /// Of bytes, added in sixteen bits.
    add_products_of_four,
    "vpmaddubsw",
    "vpaddw"
);
products_of_four!(
    /// Of numbers of sixteen bits: a group is half as many.
    add_wide_products_of_four,
    "vpmaddwd",
    "vpaddd"
);
