use super::super::Exponential;
use super::super::record::*;
use super::super::tests::examples;
use super::{decode, encode, put_number, take_number};

const BOOT: [u8; 16] = [7; 16];

fn stamp(seq: u64) -> Stamp {
    Stamp { boot: BOOT, epoch: 9, seq, monotonic_ns: 123_456_789 * seq }
}

#[test]
fn every_kind_comes_back_as_it_was() {
    for record in examples(stamp(4)) {
        let mut bytes = Vec::new();
        encode(&record, &stamp(4), &mut bytes);
        bytes.extend(b"rest");
        let (back, rest) = decode(&bytes, BOOT, 9).unwrap();
        assert_eq!((back, rest), (record, &b"rest"[..]));
    }
}

/// Decoding faces bytes whose checksum is right and whose meaning is not: no panic, no allocation beyond reason.
#[test]
fn damaged_records_are_refused_or_harmless() {
    for record in examples(stamp(4)) {
        let mut bytes = Vec::new();
        encode(&record, &stamp(4), &mut bytes);
        for len in 0..bytes.len() {
            assert!(decode(&bytes[..len], BOOT, 9).is_none(), "{len} of {} bytes of {record:?}", bytes.len());
        }
        for i in 0..bytes.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff, bytes[i] ^ 4] {
                let mut changed = bytes.clone();
                changed[i] = value;
                if let Some((Record::Window(mut window), _)) = decode(&changed, BOOT, 9) {
                    let latency = window.latency.clone();
                    window.latency.merge(&latency);
                    window.latency.record(u64::MAX);
                    let _ = window.latency.quantile(0.5);
                }
            }
        }
    }
}

#[test]
fn a_list_of_zeros_cannot_fill_the_memory() {
    let mut bytes = vec![super::WINDOW];
    // seq, monotonic, model, index, rows, two near stamps of three numbers.
    bytes.extend([1, 1, 1, 1, 1, 0, 1, 1, 0, 1, 1]);
    put_number(&mut bytes, 10_000);
    for _ in 0..10_000 {
        put_number(&mut bytes, 60_000);
        bytes.push(0);
        put_number(&mut bytes, 59_999);
    }
    assert!(decode(&bytes, BOOT, 9).is_none());
}

#[test]
fn numbers_of_ten_bytes_end_at_64_bits() {
    for n in [0, 1, 127, 128, 16_383, 16_384, u64::MAX - 1, u64::MAX] {
        let mut bytes = Vec::new();
        put_number(&mut bytes, n);
        assert_eq!(take_number(&mut &bytes[..]), Some(n));
    }
    assert_eq!(take_number(&mut &[0x80; 11][..]), None);
    assert_eq!(take_number(&mut &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2][..]), None);
    assert_eq!(take_number(&mut &[0x80][..]), None);
}

/// The promise on bytes: ten features of 19 bins, with all else that a window holds, in a kilobyte.
#[test]
fn a_window_of_ten_features_takes_a_kilobyte() {
    let mut latency = Exponential::default();
    (0..4096u64).for_each(|i| latency.record(500 + i * 7919 % 9000));
    let window = Window {
        stamp: stamp(1 << 30),
        model: 1,
        index: 1 << 30,
        rows: 4096,
        opened: Stamp { boot: [1; 16], ..stamp(1 << 30) },
        closed: stamp(1 << 30),
        features: vec![vec![4096 / 19; 19]; 10],
        outcomes: (0..8).map(|o| (o, 500)).collect(),
        classes: (0..10).map(|c| (c, 409)).collect(),
        confidence: vec![204; 20],
        entropy: vec![204; 20],
        first_token: latency.clone(),
        latency,
        tokens_in: 1 << 30,
        tokens_out: 1 << 30,
    };
    let mut bytes = Vec::new();
    encode(&Record::Window(window), &stamp(1 << 30), &mut bytes);
    // Beside it: the lanes' numbers and the frame.
    let beside = 1 + 16 * 5 + 12;
    println!("a window of 10 features × 19 bins: {} bytes, at most {beside} beside it", bytes.len());
    assert!(bytes.len() + beside <= 1024, "{} bytes", bytes.len());
}
