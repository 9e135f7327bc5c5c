//! Instruction sets that llama.cpp was compiled for: on a processor that lacks one of them, its first kernel is an illegal
//! instruction, and ends the process.
//!
//! The library itself says what it was compiled for, so that this is right of a build for `target-cpu=native` or with another
//! `GGML_CPU_ARM_ARCH`, too.

#![expect(unsafe_code, reason = "asks llama.cpp how it was compiled")]

#[cfg(test)]
mod tests;

use std::ffi::c_int;

use llama_cpp_sys_2 as sys;

use crate::{Error, Result};

/// An instruction set: its name, what tells whether llama.cpp was compiled for it, and whether the processor has it.
type Set = (&'static str, unsafe extern "C" fn() -> c_int, bool);

/// # Errors
///
/// [`Unsupported`](crate::Code::Unsupported) if the processor lacks an instruction set that llama.cpp was compiled for; all that
/// it lacks are named.
pub(in crate::backend::llama) fn check() -> Result<()> {
    lacking(&sets())
}

fn lacking(sets: &[Set]) -> Result<()> {
    let lacking: Vec<&str> = needed(sets).filter(|(_, _, there)| !there).map(|(name, _, _)| *name).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    Err(Error::unsupported(format!("llama.cpp was built for {}, which this processor lacks", lacking.join(", "))))
}

/// The sets that llama.cpp was compiled for.
fn needed(sets: &[Set]) -> impl Iterator<Item = &Set> {
    // SAFETY: each returns a constant of the build, for which no set is used.
    sets.iter().filter(|(_, compiled_for, _)| unsafe { compiled_for() } != 0)
}

#[cfg(target_arch = "x86_64")]
fn sets() -> Vec<Set> {
    use std::is_x86_feature_detected as has;
    vec![
        ("SSE3", sys::ggml_cpu_has_sse3, has!("sse3")),
        ("SSSE3", sys::ggml_cpu_has_ssse3, has!("ssse3")),
        // Told by no function of its own; compiled for wherever AVX is.
        ("SSE4.2", sys::ggml_cpu_has_avx, has!("sse4.2")),
        ("AVX", sys::ggml_cpu_has_avx, has!("avx")),
        ("AVX2", sys::ggml_cpu_has_avx2, has!("avx2")),
        ("F16C", sys::ggml_cpu_has_f16c, has!("f16c")),
        ("FMA", sys::ggml_cpu_has_fma, has!("fma")),
        ("BMI2", sys::ggml_cpu_has_bmi2, has!("bmi2")),
        ("AVX-VNNI", sys::ggml_cpu_has_avx_vnni, has!("avxvnni")),
        ("AVX-512F", sys::ggml_cpu_has_avx512, has!("avx512f")),
        ("AVX-512VBMI", sys::ggml_cpu_has_avx512_vbmi, has!("avx512vbmi")),
        ("AVX-512VNNI", sys::ggml_cpu_has_avx512_vnni, has!("avx512vnni")),
        ("AVX-512BF16", sys::ggml_cpu_has_avx512_bf16, has!("avx512bf16")),
    ]
}

#[cfg(target_arch = "aarch64")]
fn sets() -> Vec<Set> {
    use std::arch::is_aarch64_feature_detected as has;
    vec![
        ("NEON", sys::ggml_cpu_has_neon, has!("neon")),
        ("half precision (FEAT_FP16)", sys::ggml_cpu_has_fp16_va, has!("fp16")),
        ("dot products (FEAT_DotProd)", sys::ggml_cpu_has_dotprod, has!("dotprod")),
        ("8-bit products (FEAT_I8MM)", sys::ggml_cpu_has_matmul_int8, has!("i8mm")),
        ("SVE", sys::ggml_cpu_has_sve, has!("sve")),
    ]
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn sets() -> Vec<Set> {
    Vec::new()
}
