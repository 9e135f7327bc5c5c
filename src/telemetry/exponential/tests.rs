use super::{Exponential, index};

fn of(values: &[u64]) -> Exponential {
    let mut e = Exponential::default();
    values.iter().for_each(|v| e.record(*v));
    e
}

/// Values of all magnitudes, the same each time.
fn values(n: u64, most_bits: u32) -> Vec<u64> {
    let mut x = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x
    };
    (0..n).map(|_| next() >> (64 - most_bits + next() as u32 % most_bits)).collect()
}

#[test]
fn a_value_lies_in_its_bucket() {
    for scale in 0..=Exponential::MAX_SCALE {
        let base = 2f64.powf(2f64.powi(-scale));
        for v in (1..5000).chain((5..64).flat_map(|b| [(1u64 << b) - 1, 1 << b, (1 << b) + 1])) {
            let i = index(v, scale);
            // Beyond 2^53 a float cannot tell the neighbours of a power of two apart.
            let slack = if v > 1 << 40 { 1e-9 } else { 1e-13 };
            let (low, high) = (base.powi(i), base.powi(i + 1));
            assert!(low * (1.0 - slack) < v as f64 && v as f64 <= high * (1.0 + slack), "{v} at {scale}: {low} {high}");
            assert_eq!(index(v, scale) >> scale, index(v, 0), "{v} at {scale}");
        }
    }
}

#[test]
fn merging_is_the_same_as_recording_all() {
    let all = values(6000, 50);
    for parts in [1, 2, 7, 600] {
        let mut merged = Exponential::default();
        for part in all.chunks(all.len() / parts) {
            merged.merge(&of(part));
        }
        assert_eq!(merged, of(&all), "{parts} parts");
    }
    let (a, b) = (of(&all[..10]), of(&all[10..]));
    let (mut ab, mut ba) = (a.clone(), b.clone());
    ab.merge(&b);
    ba.merge(&a);
    assert_eq!(ab, ba);
}

#[test]
fn quantiles_are_as_exact_as_the_scale() {
    let mut values: Vec<u64> = values(5000, 20).into_iter().map(|v| v + 1000).collect();
    let e = of(&values);
    values.sort_unstable();
    for q in [0.01, 0.5, 0.9, 0.99, 1.0] {
        let exact = values[((q * 5000.0f64).ceil() as usize).max(1) - 1] as f64;
        let width = 2f64.powf(2f64.powi(-e.scale));
        let ratio = e.quantile(q).unwrap() / exact;
        assert!((1.0 / width..=width).contains(&ratio), "{q}: {ratio}, width {width}");
    }
    assert_eq!((e.min, e.max), (values[0], values[4999]));
}

#[test]
fn the_ends_of_the_range() {
    assert_eq!(Exponential::default().quantile(0.5), None);
    let mut e = of(&[0, 0, u64::MAX, 1]);
    assert_eq!((e.count(), e.zero_count, e.min, e.max, e.sum), (4, 2, 0, u64::MAX, u64::MAX));
    assert_eq!(e.quantile(0.5), Some(0.0));
    assert_eq!(e.quantile(1.0), Some(u64::MAX as f64));
    assert!(e.buckets.len() <= Exponential::MAX_BUCKETS && e.is_valid());
    e.merge(&Exponential::default());
    assert_eq!(e.count(), 4);
    let mut empty = Exponential::default();
    empty.merge(&e);
    assert_eq!(empty, e);
}
