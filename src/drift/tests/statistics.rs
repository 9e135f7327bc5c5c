use super::super::calibrate::{Persistence, level, mean_time};
use super::super::eigen::eigenvalues;
use super::super::judge::holm;
use super::super::python_random::PythonRandom;
use super::super::statistic::{chi2, ks_exact};
use super::super::tail::{ln_binomial, ln_chi2, ln_hypergeometric, ln_normal, ln_weighted_chi2};

fn close(got: f64, want: f64, relative: f64) {
    assert!((got - want).abs() <= relative * want.abs(), "expected {want}, got {got}");
}

/// χ² on two degrees of freedom has the tail exp(−x/2), at any depth.
#[test]
fn the_tail_of_chi2_is_right_down_to_where_no_float_reaches() {
    for x in [0.1, 1.0, 10.0, 100.0, 1000.0, 1300.0, 1400.0, 2000.0, 1e5] {
        close(ln_chi2(x, 2.0), -x / 2.0, 1e-12);
    }
    // Four degrees: (1 + x/2)·exp(−x/2).
    for x in [1.0, 50.0, 1250.0, 1290.0, 5000.0] {
        close(ln_chi2(x, 4.0), (1.0 + x / 2.0f64).ln() - x / 2.0, 1e-12);
    }
    assert_eq!(ln_chi2(0.0, 3.0), 0.0);
    assert_eq!(ln_chi2(5.0, 0.0), 0.0);
}

#[test]
fn the_normal_tail_meets_itself_where_the_series_takes_over() {
    close(ln_normal(0.0), 0.5f64.ln(), 1e-14);
    close(ln_normal(20.0 - 1e-9), ln_normal(20.0), 1e-8);
    close(ln_normal(1.959_963_984_540_054), 0.025f64.ln(), 1e-10);
}

/// Against Monte Carlo-free truths: equal weights are χ²; two weights twice each are a sum of two exponentials.
#[test]
fn weighted_chi2_is_close_over_the_whole_tail() {
    close(ln_weighted_chi2(30.0, &[1.0; 15]), ln_chi2(30.0, 15.0), 1e-12);
    close(ln_weighted_chi2(60.0, &[2.0; 15]), ln_chi2(30.0, 15.0), 1e-12);
    let (a, b) = (5.0, 1.0);
    for x in [2.0, 5.0, 12.0, 30.0, 100.0, 300.0, 3000.0] {
        // w·χ²₂ is exponential with mean 2w.
        let exact = f64::ln((a * f64::exp(-x / (2.0 * a)) - b * f64::exp(-x / (2.0 * b))) / (a - b));
        let got = ln_weighted_chi2(x, &[a, a, b, b]);
        assert!((got - exact).abs() < 0.08, "x {x}: expected {exact}, got {got}");
    }
}

#[test]
fn fishers_test_counts_what_can_be_counted() {
    // 3 marked of 10, 4 drawn: P(≥ 2) = (C(3,2)·C(7,2) + C(3,3)·C(7,1)) / C(10,4) = 70/210.
    close(ln_hypergeometric(2, 4, 3, 10), f64::ln(70.0 / 210.0), 1e-12);
    assert_eq!(ln_hypergeometric(1, 4, 3, 10), 0.0);
    assert_eq!(ln_hypergeometric(0, 0, 0, 0), 0.0);
    close(ln_hypergeometric(5, 5, 5, 10), f64::ln(1.0 / 252.0), 1e-11);
    // Of as many rows as can be counted, in a bounded number of steps: a little above the expectation, and far above.
    let most = 1u64 << 62;
    for far in [1 << 20, 1 << 32, most >> 2] {
        assert!(ln_hypergeometric((most >> 1) + far, most, most, most << 1) <= 0.0);
        assert!(ln_binomial((most >> 1) + far, most, 0.5) <= 0.0);
    }
    // Beyond the terms that are summed one by one it is no less than the tail, 0.42 at a fifth of a sigma, and not much more.
    let wide = ln_binomial(500_003_162, 1_000_000_000, 0.5).exp();
    assert!((0.42..0.6).contains(&wide), "{wide}");
}

#[test]
fn the_binomial_tail() {
    close(ln_binomial(1, 3, 0.01), f64::ln(1.0 - 0.99f64.powi(3)), 1e-11);
    close(ln_binomial(10, 10, 0.5), 10.0 * 0.5f64.ln(), 1e-11);
    assert_eq!((ln_binomial(0, 5, 0.0), ln_binomial(1, 5, 0.0)), (0.0, f64::NEG_INFINITY));
    assert_eq!((ln_binomial(5, 5, 1.0), ln_binomial(0, 0, 0.5)), (0.0, 0.0));
    // Ten thousand of a million at 0.9 %: ten deviations.
    assert!((-60.0..-50.0).contains(&ln_binomial(10_000, 1_000_000, 0.009)));
}

#[test]
fn eigenvalues_of_a_known_matrix() {
    // Second differences: 2 − 2·cos(kπ/(n+1)).
    let n = 12;
    let mut a = vec![0.0; n * n];
    for i in 0..n {
        a[i * n + i] = 2.0;
        if i + 1 < n {
            (a[i * n + i + 1], a[(i + 1) * n + i]) = (-1.0, -1.0);
        }
    }
    for (k, got) in (1..=n).rev().zip(eigenvalues(a, n)) {
        close(got, 2.0 - 2.0 * (k as f64 * std::f64::consts::PI / (n + 1) as f64).cos(), 1e-10);
    }
}

#[test]
fn holm_steps_down_and_stops() {
    let ln = |p: &[f64]| p.iter().map(|p| p.ln()).collect::<Vec<_>>();
    assert_eq!(holm(&ln(&[0.01, 0.04, 0.03, 0.005]), 0.05), [true, false, false, true]);
    assert_eq!(holm(&ln(&[0.04, 0.04]), 0.05), [false, false]);
    assert_eq!(holm(&[f64::NEG_INFINITY, 0.0], 1e-300), [true, false]);
    assert!(holm(&[], 0.05).is_empty());
}

#[test]
fn levels_give_the_mean_time_they_were_made_for() {
    let one = Persistence::new(1, 1).unwrap();
    close(level(100.0, 1, one).unwrap(), 0.01, 1e-6);
    close(level(100.0, 50, one).unwrap(), 1.0 - 0.99f64.powf(0.02), 1e-6);
    for (k, n) in [(1, 1), (2, 2), (2, 3), (3, 5), (8, 8)] {
        let persistence = Persistence::new(k, n).unwrap();
        for windows in [10.0, 1e4, 1e9] {
            let alpha = level(windows, 100, persistence).unwrap();
            if alpha > 0.499 {
                continue; // eight of eight within ten windows would take more
            }
            let got = mean_time(alpha, 100, persistence);
            assert!((got / windows - 1.0).abs() < 1e-5, "{k} of {n}, {windows} windows: got {got} at {alpha:e}");
        }
    }
    // Two in a row of a fair coin: six throws on average.
    close(mean_time(0.5, 1, Persistence::new(2, 2).unwrap()), 6.0, 1e-9);
    assert!(level(5.0, 1, one).is_err() && level(f64::NAN, 1, one).is_err());
}

/// The same time, thrown: 2 of 3 at α = 0.02 for 20 tests.
#[test]
fn the_mean_time_is_what_chance_gives() {
    let persistence = Persistence::TWO_OF_THREE;
    let (alpha, tests, runs) = (0.02, 20, 4000);
    let mut random = PythonRandom::new(7);
    let mut windows = 0u64;
    for _ in 0..runs {
        let mut histories = vec![0u8; tests];
        while !{
            windows += 1;
            let mut alarm = false;
            for history in &mut histories {
                alarm |= persistence.push(history, random.unit() < alpha);
            }
            alarm
        } {}
    }
    // A geometric time has a deviation of its mean: 1.6 % of it over 4,000 runs.
    close(windows as f64 / f64::from(runs), mean_time(alpha, tests, persistence), 0.05);
}

#[test]
fn the_exact_ks_test_of_small_samples() {
    assert_eq!(ks_exact(&[1.0, 2.0], &[3.0, 4.0]), (1.0, 2.0 / 6.0));
    assert_eq!(ks_exact(&[1.0, 1.0], &[1.0, 1.0]), (0.0, 1.0));
}

/// `random.Random(12345).random()` and `.sample(range(70), 3)`, `.sample(range(10**6), 3)` of CPython.
#[test]
fn draws_are_those_of_cpython() {
    let mut random = PythonRandom::new(12345);
    assert_eq!([random.unit(), random.unit()], PYTHON_UNITS);
    assert_eq!(random.sample(70, 3), PYTHON_SMALL);
    assert_eq!(random.sample(1_000_000, 3), PYTHON_LARGE);
    assert_eq!(PythonRandom::new(1 << 40).unit(), PYTHON_WIDE);
}

#[test]
fn an_empty_sample_is_no_evidence() {
    let c = chi2(&[1, 2], &[0, 0]);
    assert_eq!((c.statistic, c.df, c.p), (0.0, 0, 1.0));
}

const PYTHON_UNITS: [f64; 2] = [0.41661987254534116, 0.010169169457068361];
const PYTHON_SMALL: [usize; 3] = [38, 47, 24];
const PYTHON_LARGE: [usize; 3] = [283372, 593502, 457418];
const PYTHON_WIDE: f64 = 0.1036394562812375;
