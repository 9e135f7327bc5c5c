//! Upper tails of distributions, also where the probability itself is too small for an `f64`.

use std::f64::consts::PI;

use statrs::function::erf::erfc;
use statrs::function::gamma::{gamma_ur, ln_gamma};

/// Below this a probability is computed as a logarithm.
const FAINT: f64 = 1e-280;

/// ln P(χ² with `df` degrees of freedom ≥ x).
pub(super) fn ln_chi2(x: f64, df: f64) -> f64 {
    if df <= 0.0 || x <= 0.0 {
        return 0.0;
    }
    if x == f64::INFINITY {
        return f64::NEG_INFINITY;
    }
    let (a, x) = (df / 2.0, x / 2.0);
    let p = gamma_ur(a, x);
    if p > FAINT { p.min(1.0).ln() } else { a * x.ln() - x - ln_gamma(a) + continued_fraction(a, x).ln() }
}

/// Γ(a, x)·eˣ·x⁻ᵃ by Legendre's continued fraction, evaluated after Lentz; for x > a + 1 (DLMF 8.9.2).
fn continued_fraction(a: f64, x: f64) -> f64 {
    let mut b = x + 1.0 - a;
    let (mut c, mut d) = (f64::MAX, 1.0 / b);
    let mut value = d;
    for i in 1..10_000 {
        let step = f64::from(i);
        let numerator = -step * (step - a);
        b += 2.0;
        d = 1.0 / (numerator * d + b);
        c = b + numerator / c;
        value *= c * d;
        if (c * d - 1.0).abs() < 1e-15 {
            break;
        }
    }
    value
}

/// ln P(standard normal ≥ z).
pub(super) fn ln_normal(z: f64) -> f64 {
    if z < 20.0 {
        return (0.5 * erfc(z / 2f64.sqrt())).ln();
    }
    // The asymptotic series (DLMF 7.12.1); its fourth term is below 1e-8 here.
    let s = 1.0 / (z * z);
    -z * z / 2.0 - (z * (2.0 * PI).sqrt()).ln() + (1.0 - s * (1.0 - 3.0 * s * (1.0 - 5.0 * s))).ln()
}

/// ln P(Σ wᵢ·χ²₁ ≥ x) for weights ≥ 0, largest first, by the saddlepoint approximation (Kuonen, *Saddlepoint
/// approximations for distributions of quadratic forms in normal variables*, Biometrika 1999): off by a few per cent of
/// the probability, and by less than a fifth however far out. Equal weights are computed exactly.
pub(super) fn ln_weighted_chi2(x: f64, weights: &[f64]) -> f64 {
    let weights: Vec<f64> = weights.iter().copied().filter(|w| *w > 0.0).collect();
    let (Some(most), Some(least)) = (weights.first(), weights.last()) else { return 0.0 };
    if x <= 0.0 {
        return 0.0;
    }
    if most - least < 1e-3 * most {
        let mean = weights.iter().sum::<f64>() / weights.len() as f64;
        return ln_chi2(x / mean, weights.len() as f64);
    }
    let (mut k1, mut k2, mut k3) = (0.0, 0.0, 0.0);
    for w in &weights {
        (k1, k2, k3) = (k1 + w, k2 + 2.0 * w * w, k3 + 8.0 * w * w * w);
    }
    if ((x - k1) / k2.sqrt()).abs() < 1e-4 {
        // At the mean the formula below is 0/0; this is its limit.
        return (0.5 - k3 / (6.0 * (2.0 * PI).sqrt() * k2.powf(1.5))).ln();
    }
    let t = saddlepoint(x, &weights);
    let k: f64 = weights.iter().map(|w| -0.5 * (-2.0 * t * w).ln_1p()).sum();
    let curvature: f64 = weights.iter().map(|w| 2.0 * (w / (1.0 - 2.0 * t * w)).powi(2)).sum();
    let w = t.signum() * (2.0 * (t * x - k)).max(0.0).sqrt();
    let v = t * curvature.sqrt();
    ln_normal(w + (v / w).ln() / w)
}

/// The t below 1/2w₁ with K′(t) = Σ wᵢ/(1 − 2twᵢ) = x.
///
/// With s = 1/(1 − 2tw₁) > 0 and ρᵢ = wᵢ/w₁ the sum is Σ wᵢ·s/((1 − ρᵢ)·s + ρᵢ), which rises with s, is concave, and is
/// at most n·w₁·s: Newton's steps from x/(n·w₁) climb to the root and never pass it.
fn saddlepoint(x: f64, weights: &[f64]) -> f64 {
    let most = weights[0];
    let mut s = x / (weights.len() as f64 * most);
    for _ in 0..60 {
        let (mut sum, mut slope) = (0.0, 0.0);
        for w in weights {
            let rho = w / most;
            let below = (1.0 - rho) * s + rho;
            sum += w * s / below;
            slope += w * rho / (below * below);
        }
        let step = (x - sum) / slope;
        s += step;
        if step <= 1e-13 * s {
            break;
        }
    }
    (1.0 - 1.0 / s) / (2.0 * most)
}

/// ln P(X ≥ marked) for X hypergeometric: `drawn` taken without replacement from the `total`, of which `all_marked`
/// are marked (Fisher's exact test, one-sided). 0 where `marked` is no more than its expectation.
pub(super) fn ln_hypergeometric(marked: u64, drawn: u64, all_marked: u64, total: u64) -> f64 {
    let [k, n, m, t] = [marked, drawn, all_marked, total].map(|x| x as f64);
    if k * t <= n * m {
        return 0.0;
    }
    let ln_choose = |a: f64, b: f64| ln_gamma(a + 1.0) - ln_gamma(b + 1.0) - ln_gamma(a - b + 1.0);
    let first = ln_choose(m, k) + ln_choose(t - m, n - k) - ln_choose(t, n);
    let ratio = |x: f64| (m - x) * (n - x) / ((x + 1.0) * (t - m - n + x + 1.0));
    (first + f64::ln(falling_sum(k, n.min(m), ratio))).min(0.0)
}

/// ln P(X ≥ part) for X binomial: `of` cases with probability `p` each. 0 where `part` is no more than its expectation.
pub(super) fn ln_binomial(part: u64, of: u64, p: f64) -> f64 {
    let (k, n) = (part as f64, of as f64);
    if k <= n * p || part > of {
        return 0.0;
    }
    if p <= 0.0 {
        return f64::NEG_INFINITY;
    }
    let ln_choose = ln_gamma(n + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n - k + 1.0);
    let first = ln_choose + k * p.ln() + (n - k) * (-p).ln_1p();
    let ratio = |x: f64| (n - x) / (x + 1.0) * p / (1.0 - p);
    (first + f64::ln(falling_sum(k, n, ratio))).min(0.0)
}

/// Terms that are summed one by one: enough for windows of millions of rows.
const MAX_TERMS: usize = 20_000;

/// 1 and the terms after it up to `last`, each `ratio` times the one before; above the expectation the ratio falls. Where
/// the terms are too many, the rest is summed as if it fell no more: no less than it is.
fn falling_sum(from: f64, last: f64, ratio: impl Fn(f64) -> f64) -> f64 {
    let (mut sum, mut term, mut x) = (1.0, 1.0, from);
    for _ in 0..MAX_TERMS {
        if x >= last || term <= 1e-17 * sum {
            return sum;
        }
        term *= ratio(x);
        sum += term;
        x += 1.0;
    }
    let ratio = ratio(x).min(1.0 - f64::EPSILON);
    sum + term * ratio / (1.0 - ratio)
}
