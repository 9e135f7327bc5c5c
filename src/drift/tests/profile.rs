use super::super::python_random::PythonRandom;
use super::super::{
    Bins, CellValue, Column, FeatureSource, Fit, Fourier, Learner, MAX_BINS, MISSING, Moments, Profile, Row,
    RowDependence,
};
use crate::Code;

fn normal(random: &mut PythonRandom) -> f32 {
    ((0..12).map(|_| random.unit()).sum::<f64>() - 6.0) as f32
}

/// Everything a profile may hold.
fn full() -> Profile {
    let mut random = PythonRandom::new(3);
    let rows: Vec<(f32, &str, f32, [f32; 3], bool)> = (0..600)
        .map(|i| {
            let x = normal(&mut random);
            let sky = ["sun", "rain", "fog", "søl"][random.below(4)];
            let x = if i % 50 == 0 { f32::NAN } else { x };
            (x, sky, random.unit() as f32, [normal(&mut random), 1.0, 0.5], i % 3 != 0)
        })
        .collect();
    Profile::fit()
        .model([7; 32])
        .number("wind")
        .category("sky")
        .output("confidence", FeatureSource::Confidence)
        .embedding(3)
        .block(RowDependence::Rows(5))
        .stream(|sink| {
            rows.iter().try_for_each(|(x, sky, confidence, embedding, right)| {
                let values = [CellValue::Number(*x), CellValue::Category(sky), CellValue::Number(*confidence)];
                sink(&Row::new(&values).embedding(embedding).right(*right))
            })
        })
        .unwrap()
}

#[test]
fn a_profile_comes_back_as_it_was() {
    let profile = full();
    let bytes = profile.encode();
    let back = Profile::decode(&bytes).unwrap();
    assert_eq!(back, profile);
    assert_eq!(back.encode(), bytes);
    assert!(profile.embedding.is_some() && profile.reliability.is_some() && !profile.features[0].dependence.is_empty());
    assert_eq!(profile.features[0].counts.iter().sum::<u64>(), 600);
    assert_eq!(profile.features[0].counts.last(), Some(&12));
    // "A few KB": three features, and an embedding of 1 KB.
    assert!(bytes.len() < 2500, "{} bytes", bytes.len());
}

#[test]
fn no_prefix_and_no_flipped_bit_is_taken_for_a_profile() {
    let bytes = full().encode();
    for end in 0..bytes.len() {
        assert!(Profile::decode(&bytes[..end]).is_err(), "prefix of {end}");
    }
    for bit in 0..8 * bytes.len() {
        let mut broken = bytes.clone();
        broken[bit / 8] ^= 1 << (bit % 8);
        let error = Profile::decode(&broken).unwrap_err();
        assert!([Code::Corrupt, Code::Unsupported].contains(&error.code()), "bit {bit}: {error}");
    }
}

/// With a checksum that fits, the checks behind it must hold, too: nothing panics, and what is taken is written back
/// the same.
#[test]
fn hostile_bytes_with_a_right_checksum_do_no_harm() {
    let bytes = full().encode();
    let (mut taken, mut refused) = (0, 0);
    for at in 6..bytes.len() - 4 {
        for value in [0, 1, 2, 0x7F, 0x80, 0xFF, bytes[at].wrapping_add(1)] {
            let mut broken = bytes[..bytes.len() - 4].to_vec();
            broken[at] = value;
            broken.extend(crc32c::crc32c(&broken).to_le_bytes());
            match Profile::decode(&broken) {
                Ok(profile) => {
                    assert_eq!(profile.encode(), broken, "byte {at} = {value}");
                    taken += 1;
                }
                Err(error) => {
                    // Among the flags is one that an earlier version wrote.
                    let code = if at == 6 && value == 2 { Code::Unsupported } else { Code::Corrupt };
                    assert_eq!(error.code(), code, "{error}");
                    refused += 1;
                }
            }
        }
    }
    assert!(taken > 1000 && refused > 100, "{taken} taken, {refused} refused");
}

#[test]
fn a_later_version_is_unsupported_and_not_corrupt() {
    let mut bytes = full().encode();
    bytes[4] = 2;
    assert_eq!(Profile::decode(&bytes).unwrap_err().code(), Code::Unsupported);
}

#[test]
fn bins_include_their_upper_edge() {
    let bins = Bins::numeric(vec![0.0, 1.0, 2.0]).unwrap();
    let of: Vec<u8> = [-1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5].iter().map(|v| bins.of(*v)).collect();
    assert_eq!(of, [0, 0, 1, 1, 2, 2, 3]);
    assert_eq!((bins.of(f32::NAN), bins.of(f32::INFINITY), bins.of(f32::NEG_INFINITY)), (MISSING, 3, 0));
    assert_eq!(bins.len(), 5);
    let names: Vec<String> = (0..5).map(|i| bins.name(i)).collect();
    assert_eq!(names, ["≤ 0", "(0, 1]", "(1, 2]", "> 2", "missing"]);
    assert_eq!(bins.centres().unwrap(), [0.0, 0.5, 1.5, 2.0]);
    for bad in [vec![1.0], vec![1.0, 1.0], vec![2.0, 1.0], vec![0.0, f32::NAN], vec![0.0; MAX_BINS + 2]] {
        assert_eq!(Bins::numeric(bad).unwrap_err().code(), Code::InvalidArgument);
    }
}

#[test]
fn categories_take_names_and_numbers() {
    let bins = Bins::categories(vec!["rain".into(), "3".into()]).unwrap();
    assert_eq!([bins.of_category("rain"), bins.of_category("3"), bins.of_category("snow")], [0, 1, 2]);
    assert_eq!([bins.of(3.0), bins.of(4.0), bins.of(f32::NAN)], [1, 2, MISSING]);
    assert_eq!(bins.centres(), None);
    assert!(Bins::categories(vec!["a".into(), "a".into()]).is_err());
}

#[test]
fn quantile_bins_are_even_and_their_range_is_the_references() {
    let mut random = PythonRandom::new(1);
    let values: Vec<f32> = (0..16_000).map(|_| normal(&mut random)).collect();
    let profile = Profile::fit().number("x").of_columns(&[Column::F32(&values)]).unwrap();
    let counts = &profile.features[0].counts;
    assert_eq!(counts.len(), 19);
    assert_eq!((counts[0], counts[17], counts[18]), (0, 0, 0));
    // An edge lies between two steps of f16, which hold a row or two.
    assert!(counts[1..17].iter().all(|c| c.abs_diff(1000) <= 5), "{counts:?}");
    let Some(Moments { min, max, mean, deviation }) = profile.features[0].moments else { panic!() };
    assert_eq!(min, values.iter().copied().fold(f32::MAX, f32::min));
    assert_eq!(max, values.iter().copied().fold(f32::MIN, f32::max));
    assert!(mean.abs() < 0.03 && (deviation - 1.0).abs() < 0.02);
}

/// More rows than the sample of quantiles holds: edges by sample, counts exact.
#[test]
fn long_references_are_counted_exactly() {
    let rows = 200_000;
    let value = |i: u32| f64::from(i.wrapping_mul(2_654_435_761)) / f64::from(u32::MAX);
    let values: Vec<f64> = (0..rows).map(value).collect();
    let profile = Profile::fit().number("x").of_columns(&[Column::F64(&values)]).unwrap();
    let counts = &profile.features[0].counts;
    assert_eq!(counts.iter().sum::<u64>(), u64::from(rows));
    // A sample of 65,536 puts each edge within about 0.2 % of the rows, give or take four deviations.
    assert!(counts[1..17].iter().all(|c| c.abs_diff(12_500) < 1600), "{counts:?}");
}

#[test]
fn odd_columns_get_bins_too() {
    let nan = f32::NAN;
    let cases: [(&[f32], &[u64]); 6] = [
        (&[5.0; 4], &[0, 4, 0, 0]),                                // constant
        (&[nan, nan], &[0, 0, 0, 2]),                              // nothing at all
        (&[0.0, -0.0, 1.0], &[0, 2, 1, 0, 0]),                     // two zeros are one
        (&[f32::INFINITY, 1.0, f32::NEG_INFINITY], &[1, 1, 1, 0]), // not in the range
        (&[f32::MIN, f32::MAX], &[1, 1, 0, 0]),                    // no float below the least
        (&[1e-45, 3e-45], &[0, 1, 1, 0, 0]),
    ];
    for (values, want) in cases {
        let profile = Profile::fit().number("x").of_columns(&[Column::F32(values)]).unwrap();
        assert_eq!(profile.features[0].counts, want, "{values:?}: {:?}", profile.features[0].bins);
        assert_eq!(Profile::decode(&profile.encode()).unwrap(), profile);
    }
}

#[test]
fn what_cannot_be_fitted_is_told() {
    let row = [[1.0f32]];
    let code = |fit: Fit| fit.of_rows(&row).unwrap_err().to_string();
    assert!(code(Profile::fit()).contains("at least one feature"));
    assert!(code(Profile::fit().number("a").number("a")).contains("'a' is named twice"));
    assert!(code(Profile::fit().number("a").number("b")).contains("row 0: expected 2 values, got 1"));
    assert!(code(Profile::fit().number("a").bins(1)).contains("bins: expected 2 to 64, got 1"));
    assert!(code(Profile::fit().number("a").categories(65)).contains("categories"));
    assert!(code(Profile::fit().number("a").block(RowDependence::Rows(0))).contains("block"));
    assert!(code(Profile::fit().number("a").block(RowDependence::Rows(9))).contains("half the rows, got 9 of 1"));
    assert!(code(Profile::fit().number("a".repeat(256))).contains("255 bytes"));
    let none: [[f32; 1]; 0] = [];
    assert!(Profile::fit().number("a").of_rows(&none).unwrap_err().to_string().contains("rows, got none"));
    let uneven = Profile::fit().number("a").number("b").of_columns(&[Column::F32(&[1.0]), Column::F32(&[])]);
    assert!(uneven.unwrap_err().to_string().contains("column 1: expected 1 rows, got 0"));
    let mut passes = 0;
    let forgetful = Profile::fit().number("a").stream(|sink| {
        passes += 1;
        (0..3 - passes).try_for_each(|_| sink(&Row::new(&[CellValue::Number(1.0)])))
    });
    assert!(forgetful.unwrap_err().to_string().contains("expected the 2 rows of the first, got 1"));
    let wide = Profile::fit().embedding(3).stream(|sink| sink(&Row::default().embedding(&[1.0])));
    assert!(wide.unwrap_err().to_string().contains("an embedding of 3 numbers, got 1"));
}

#[test]
fn dependence_is_found_where_it_is_and_not_where_it_is_not() {
    let series = |phi: f32| {
        let (mut random, mut x) = (PythonRandom::new(11), 0.0);
        (0..40_000)
            .map(|_| {
                x = phi * x + (1.0 - phi * phi).sqrt() * normal(&mut random);
                x
            })
            .collect::<Vec<f32>>()
    };
    let fit = |phi| {
        Profile::fit().number("x").block(RowDependence::Estimate).of_columns(&[Column::F32(&series(phi))]).unwrap()
    };
    let independent = fit(0.0);
    let weights = &independent.features[0].dependence;
    assert!(independent.block < 10 && weights.iter().all(|w| (w - 1.0).abs() < 0.15), "{weights:?}");
    // The variance of the mean grows by (1 + φ)/(1 − φ) = 5.67, and hardly any other weight does as much.
    let dependent = fit(0.7);
    let weights = &dependent.features[0].dependence;
    assert!((30..400).contains(&dependent.block), "{}", dependent.block);
    assert!((4.3..6.5).contains(&weights[0]) && weights[4] < 2.5, "{weights:?}");
    assert_eq!(weights.len(), 15);
}

#[test]
fn a_learner_learns_what_a_fit_fits() {
    let mut learner = Learner::new(Profile::fit().number("x").category("c"), 100);
    assert!(learner.push(&Row::new(&[CellValue::Missing])).is_err());
    let mut learned = None;
    for i in 0..100 {
        assert_eq!(learner.left(), 100 - i);
        let name = (i % 3).to_string();
        learned = learner.push(&Row::new(&[CellValue::Number(i as f32), CellValue::Category(&name)])).unwrap();
        assert_eq!(learned.is_some(), i == 99);
    }
    let learned = learned.unwrap();
    assert!(learned.learned && learned.rows == 100);
    assert!(Profile::decode(&learned.encode()).unwrap().learned);
    assert_eq!(learner.left(), 100);
}

/// The kernel that the features stand for: zᵀ(x)·z(y) ≈ 8/π²·Σ exp(−k²‖x − y‖²/2σ²)/k² over odd k, within √(1/D) or so.
#[test]
fn signs_of_fourier_features_estimate_their_kernel() {
    let mut random = PythonRandom::new(2);
    let (mut worst, mut mean) = (0f32, 0f32);
    for seed in 0..50 {
        let fourier = Fourier::new(seed, 8, 2.0).unwrap();
        let x: Vec<f32> = (0..8).map(|_| normal(&mut random)).collect();
        let y: Vec<f32> = x.iter().map(|x| x + 0.5 * normal(&mut random)).collect();
        let (zx, zy) = (fourier.signs(&x).unwrap(), fourier.signs(&y).unwrap());
        let apart: u32 = zx.iter().zip(&zy).map(|(a, b)| (a ^ b).count_ones()).sum();
        let got = 1.0 - 2.0 * apart as f32 / Fourier::FEATURES as f32;
        let squares: f32 = x.iter().zip(&y).map(|(a, b)| (a - b) * (a - b)).sum();
        let odd = (1..100).step_by(2).map(|k| (k * k) as f32);
        let kernel: f32 = odd.map(|k2| (-k2 * squares / 8.0).exp() / k2).sum();
        let off = got - 8.0 / std::f32::consts::PI.powi(2) * kernel;
        (worst, mean) = (worst.max(off.abs()), mean + off / 50.0);
    }
    // The deviation of 128 signs is 0.09 at most. A Gaussian kernel would be off by 0.14.
    let fourier = Fourier::new(5, 8, 2.0).unwrap();
    assert!(worst < 0.3 && mean.abs() < 0.05, "{worst} {mean}");
    assert_eq!(fourier.signs(&[0.0; 7]), None);
    assert_eq!(fourier.signs(&[f32::NAN; 8]), None);
    assert_eq!(fourier.signs(&[f32::MAX; 8]), None);
    for (width, scale) in [(0, 1.0), (Fourier::MAX_WIDTH + 1, 1.0), (8, 0.0), (8, f32::NAN), (8, f32::INFINITY)] {
        assert_eq!(Fourier::new(0, width, scale).unwrap_err().code(), Code::InvalidArgument);
    }
}
