use crate::sync::Privacy;
use crate::sync::privacy::Noise;

#[test]
fn a_bin_is_told_in_steps_of_the_least_count_and_nothing_is_lost() {
    let privacy = Privacy::default();
    let (mut reported, mut held, mut noise) = (vec![], vec![], Noise::default());
    let mut sum = [0; 3];
    let mut before = vec![0; 3];
    for window in [[9, 10, 0], [1, 3, 0], [0, 6, 0], [25, 0, 1], [4, 4, 4]] {
        privacy.add(&window, &mut reported, &mut held, &mut noise).unwrap();
        for i in 0..3 {
            sum[i] += window[i];
            assert_eq!(reported[i] + held[i], sum[i]);
            assert!(held[i] < 10);
            let grown = reported[i] - before[i];
            assert!(grown == 0 || grown >= 10, "bin {i} grew by {grown}");
        }
        before.clone_from(&reported);
    }
    assert_eq!(reported, [35, 23, 0]);
}

#[test]
fn without_privacy_all_is_told() {
    let (mut reported, mut held) = (vec![], vec![]);
    Privacy::NONE.add(&[1, 0, 7], &mut reported, &mut held, &mut Noise::default()).unwrap();
    assert_eq!((reported, held), (vec![1, 0, 7], vec![0, 0, 0]));
}

#[test]
fn the_noise_is_discrete_laplace() {
    const N: usize = 200_000;
    for epsilon in [0.5, 1.0, 2.0] {
        let privacy = Privacy { min_count: 1, epsilon: Some(epsilon) };
        let (mut reported, mut held) = (vec![], vec![]);
        // Far from zero, so that nothing is clamped.
        privacy.add(&vec![1000; N], &mut reported, &mut held, &mut Noise::default()).unwrap();
        let t = f64::exp(-epsilon);
        for x in -4i64..=4 {
            let p = (1.0 - t) / (1.0 + t) * t.powi(x.abs() as i32);
            let got = reported.iter().filter(|c| **c as i64 - 1000 == x).count() as f64 / N as f64;
            // Six standard errors: a false alarm once in 5e8 draws.
            let error = 6.0 * (p * (1.0 - p) / N as f64).sqrt();
            assert!((got - p).abs() < error, "ε {epsilon}, x {x}: expected {p} ± {error}, got {got}");
        }
    }
}

#[test]
fn a_senseless_epsilon_is_refused() {
    for epsilon in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = Privacy { min_count: 1, epsilon: Some(epsilon) }.check().unwrap_err();
        assert!(error.message().starts_with("privacy: epsilon: expected"), "{error}");
    }
}
