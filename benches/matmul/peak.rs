//! The most that the machine multiplies: loops of what a product cannot do without, in registers alone.
#![cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "instructions in a row that no compiler may change"))]

use selvedge::kernel::{BlockFormat, Isa};

/// Multiplications and additions in a second, as `rounds` of the loop take `seconds`.
pub(crate) struct Peak {
    pub(crate) name: &'static str,
    /// In a round.
    pub(crate) products: f64,
    pub(crate) run: fn(u64),
}

/// The loop that a format's product with an instruction set cannot beat.
pub(crate) fn of(isa: Isa, format: BlockFormat) -> Option<Peak> {
    match (isa, format) {
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512, BlockFormat::F16 | BlockFormat::Bf16) => {
            Some(Peak { name: "vfmadd231ps zmm", products: 12.0 * 16.0, run: x86::fma_512 })
        }
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512, _) => Some(Peak { name: "vpdpbusd zmm", products: 12.0 * 64.0, run: x86::vnni_512 }),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx2, BlockFormat::F16 | BlockFormat::Bf16) => {
            Some(Peak { name: "vfmadd231ps ymm", products: 12.0 * 8.0, run: x86::fma_256 })
        }
        // Products of codes of four bits may be added in sixteen.
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx2, BlockFormat::Q4_0 | BlockFormat::Q4_1 | BlockFormat::Q4K) => {
            Some(Peak { name: "vpmaddubsw, vpaddw", products: 4.0 * 32.0, run: x86::narrow_256 })
        }
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx2, _) => Some(Peak { name: "vpmaddubsw, vpmaddwd, vpaddd", products: 4.0 * 32.0, run: x86::wide_256 }),
        _ => None,
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::asm;

    /// Repeats instructions; all vector registers are theirs.
    macro_rules! repeat {
        ($name:ident, $($instruction:literal),+) => {
            pub(super) fn $name(rounds: u64) {
                assert!(rounds > 0);
                // SAFETY: `of` names the loop for an instruction set that is in use; only registers change, and the
                // values in them are of no account.
                unsafe {
                    asm!(
                        "2:",
                        $($instruction,)+
                        "dec {rounds}",
                        "jnz 2b",
                        rounds = inout(reg) rounds => _,
                        out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
                        out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
                        out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
                        out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
                        options(nomem, nostack)
                    );
                }
            }
        };
    }

    repeat!(
        vnni_512,
        "vpdpbusd zmm0, zmm14, zmm15",
        "vpdpbusd zmm1, zmm14, zmm15",
        "vpdpbusd zmm2, zmm14, zmm15",
        "vpdpbusd zmm3, zmm14, zmm15",
        "vpdpbusd zmm4, zmm14, zmm15",
        "vpdpbusd zmm5, zmm14, zmm15",
        "vpdpbusd zmm6, zmm14, zmm15",
        "vpdpbusd zmm7, zmm14, zmm15",
        "vpdpbusd zmm8, zmm14, zmm15",
        "vpdpbusd zmm9, zmm14, zmm15",
        "vpdpbusd zmm10, zmm14, zmm15",
        "vpdpbusd zmm11, zmm14, zmm15"
    );
    repeat!(
        fma_512,
        "vxorps xmm14, xmm14, xmm14",
        "vxorps xmm15, xmm15, xmm15",
        "vfmadd231ps zmm0, zmm14, zmm15",
        "vfmadd231ps zmm1, zmm14, zmm15",
        "vfmadd231ps zmm2, zmm14, zmm15",
        "vfmadd231ps zmm3, zmm14, zmm15",
        "vfmadd231ps zmm4, zmm14, zmm15",
        "vfmadd231ps zmm5, zmm14, zmm15",
        "vfmadd231ps zmm6, zmm14, zmm15",
        "vfmadd231ps zmm7, zmm14, zmm15",
        "vfmadd231ps zmm8, zmm14, zmm15",
        "vfmadd231ps zmm9, zmm14, zmm15",
        "vfmadd231ps zmm10, zmm14, zmm15",
        "vfmadd231ps zmm11, zmm14, zmm15"
    );
    repeat!(
        fma_256,
        "vxorps xmm14, xmm14, xmm14",
        "vxorps xmm15, xmm15, xmm15",
        "vfmadd231ps ymm0, ymm14, ymm15",
        "vfmadd231ps ymm1, ymm14, ymm15",
        "vfmadd231ps ymm2, ymm14, ymm15",
        "vfmadd231ps ymm3, ymm14, ymm15",
        "vfmadd231ps ymm4, ymm14, ymm15",
        "vfmadd231ps ymm5, ymm14, ymm15",
        "vfmadd231ps ymm6, ymm14, ymm15",
        "vfmadd231ps ymm7, ymm14, ymm15",
        "vfmadd231ps ymm8, ymm14, ymm15",
        "vfmadd231ps ymm9, ymm14, ymm15",
        "vfmadd231ps ymm10, ymm14, ymm15",
        "vfmadd231ps ymm11, ymm14, ymm15"
    );
    repeat!(
        narrow_256,
        "vpmaddubsw ymm8, ymm14, ymm15",
        "vpaddw ymm0, ymm0, ymm8",
        "vpmaddubsw ymm9, ymm14, ymm15",
        "vpaddw ymm1, ymm1, ymm9",
        "vpmaddubsw ymm10, ymm14, ymm15",
        "vpaddw ymm2, ymm2, ymm10",
        "vpmaddubsw ymm11, ymm14, ymm15",
        "vpaddw ymm3, ymm3, ymm11"
    );
    repeat!(
        wide_256,
        "vpmaddubsw ymm8, ymm14, ymm15",
        "vpmaddwd ymm8, ymm8, ymm13",
        "vpaddd ymm0, ymm0, ymm8",
        "vpmaddubsw ymm9, ymm14, ymm15",
        "vpmaddwd ymm9, ymm9, ymm13",
        "vpaddd ymm1, ymm1, ymm9",
        "vpmaddubsw ymm10, ymm14, ymm15",
        "vpmaddwd ymm10, ymm10, ymm13",
        "vpaddd ymm2, ymm2, ymm10",
        "vpmaddubsw ymm11, ymm14, ymm15",
        "vpmaddwd ymm11, ymm11, ymm13",
        "vpaddd ymm3, ymm3, ymm11"
    );
}
