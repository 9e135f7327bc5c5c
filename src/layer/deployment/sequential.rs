//! Sequential test of two rates of failure, which may be looked at after every answer.
//!
//! With `sₐ` failures of `nₐ` answers of the control and `s` of `n` of the candidate, the evidence against a hypothesis H
//! about the rates (θₐ, θ) is
//!
//! ```text
//!            ∫∫ θₐ^sₐ (1−θₐ)^(nₐ−sₐ) · θ^s (1−θ)^(n−s) dJ(θₐ) dJ(θ)        J = Beta(½, ½), Jeffreys' prior
//!       E = ─────────────────────────────────────────────────────────
//!              max over H of θₐ^sₐ (1−θₐ)^(nₐ−sₐ) · θ^s (1−θ)^(n−s)
//! ```
//!
//! The numerator is a product of two beta-binomial mixtures (Robbins, "Statistical methods related to the law of the iterated
//! logarithm", Annals of Mathematical Statistics 41, 1970). Under any (θₐ, θ) of H the quotient is at most the numerator
//! over the true likelihood, which is a martingale of mean 1; so, by Ville's inequality, the chance that E **ever** reaches
//! 1/α is at most α (the argument of Wasserman, Ramdas and Balakrishnan, "Universal inference", PNAS 117, 2020, section 8).
//! It holds after each answer, for any order of the arms that does not depend on the answers to come, and for H with
//! many rates: nothing is estimated beforehand.

use statrs::function::gamma::ln_gamma;

/// Failures among answers of one arm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rate {
    pub(super) failures: u64,
    pub(super) of: u64,
}

const PRIOR: f64 = 0.5;
/// ln B(½, ½) = ln π.
const LN_PRIOR: f64 = 1.144_729_885_849_400_2;
/// Halvings of an interval no longer than 1: to 2⁻⁴⁰.
const HALVINGS: usize = 40;

/// ln E against "the candidate fails no more often than the control". Below 0 where there is nothing to see.
pub(super) fn ln_worse(control: Rate, candidate: Rate) -> f64 {
    if control.of == 0 || candidate.share() <= control.share() {
        return f64::NEG_INFINITY;
    }
    // The likelihood is largest at the border, where both rates are one.
    let all = Rate { failures: control.failures + candidate.failures, of: control.of + candidate.of };
    control.ln_mixture() + candidate.ln_mixture() - all.ln_likelihood(all.share())
}

/// ln E against "the candidate fails more often than the control, by `margin` or more".
pub(super) fn ln_no_worse(control: Rate, candidate: Rate, margin: f64) -> f64 {
    if control.of == 0 || candidate.of == 0 || candidate.share() >= control.share() + margin {
        return f64::NEG_INFINITY;
    }
    let border = |theta: f64| control.ln_likelihood(theta) + candidate.ln_likelihood(theta + margin);
    let theta = largest(0.0, 1.0 - margin, |theta| control.slope(theta) + candidate.slope(theta + margin));
    control.ln_mixture() + candidate.ln_mixture() - border(theta)
}

/// Where a concave function with this slope is largest.
fn largest(mut low: f64, mut high: f64, slope: impl Fn(f64) -> f64) -> f64 {
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if slope(middle) > 0.0 { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

impl Rate {
    pub(super) fn share(self) -> f64 {
        self.failures as f64 / self.of.max(1) as f64
    }

    fn successes(self) -> u64 {
        self.of - self.failures
    }

    fn ln_mixture(self) -> f64 {
        let (s, f) = (self.failures as f64 + PRIOR, self.successes() as f64 + PRIOR);
        ln_gamma(s) + ln_gamma(f) - ln_gamma(s + f) - LN_PRIOR
    }

    fn ln_likelihood(self, theta: f64) -> f64 {
        // 0 · ln 0 is 0.
        let part = |count: u64, theta: f64| if count == 0 { 0.0 } else { count as f64 * theta.ln() };
        part(self.failures, theta) + part(self.successes(), 1.0 - theta)
    }

    fn slope(self, theta: f64) -> f64 {
        let part = |count: u64, theta: f64| if count == 0 { 0.0 } else { count as f64 / theta };
        part(self.failures, theta) - part(self.successes(), 1.0 - theta)
    }
}
