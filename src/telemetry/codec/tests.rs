use super::super::record::*;
use super::super::tests::examples;
use super::super::{Exponential, Outcome, RolloutArm, WindowArm};
use super::{decode, decode_payload, encode, encode_payload, is_known, put_number, seq_of, skim_payload, take_number};

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

/// A label grows by a section, which the first readers pass over; one without is as it ever was.
#[test]
fn a_label_says_of_which_answer_it_is_in_a_few_bytes() {
    let label = |confidence, window| {
        let slot = FeedbackRecord { stamp: stamp(4), model_slot: ModelSlot(1), ..FeedbackRecord::default() };
        Record::Feedback(FeedbackRecord { id: 9, predicted: 1, truth: 2, confidence, window, ..slot })
    };
    let payload = |record: &Record| {
        let mut bytes = Vec::new();
        encode_payload(record, &stamp(4), &[], &mut bytes);
        bytes
    };
    let plain = payload(&label(0, 0));
    assert_eq!((plain[0], &plain[plain.len() - 5..]), (super::FEEDBACK, &[1, 9, 1, 2, 0][..]));
    for (confidence, window, section) in [(100, 3, &[4, 2, 100, 3][..]), (255, 300, &[4, 4, 255, 1, 0xac, 2][..])] {
        let bytes = payload(&label(confidence, window));
        assert_eq!((&bytes[..plain.len()], &bytes[plain.len()..]), (&plain[..], section));
        assert_eq!(decode_payload(&bytes, BOOT, 9).unwrap().0, label(confidence, window));
        assert_eq!(skim_payload(&bytes, BOOT, 9).unwrap().0, label(confidence, window));
        // As the first readers do.
        assert_eq!(decode(&bytes, BOOT, 9), Some((label(0, 0), section)));
        for cut in plain.len()..bytes.len() {
            assert_eq!(decode_payload(&bytes[..cut], BOOT, 9).unwrap().0, label(0, 0));
        }
    }
    // Of a later version, and of nobody.
    let strange = [&plain[..], &[99, 1, 7, 4, 2, 100, 3]].concat();
    assert_eq!(decode_payload(&strange, BOOT, 9).unwrap().0, label(100, 3));
    let beyond = [&plain[..], &[4, 3, 0x80, 2, 3]].concat();
    assert_eq!(decode_payload(&beyond, BOOT, 9).unwrap().0, label(0, 0), "no confidence is 256");
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
        model_slot: ModelSlot(1),
        index: 1 << 30,
        rows: 4096,
        opened: Stamp { boot: [1; 16], ..stamp(1 << 30) },
        closed: stamp(1 << 30),
        features: vec![vec![4096 / 19; 19]; 10],
        outcomes: (0..8).map(|o| (Outcome::from_bits(o), 500)).collect(),
        classes: (0..10).map(|c| (c, 409)).collect(),
        embedded: 0,
        embedding: vec![],
        arms: vec![],
        confidence: vec![204; 20],
        entropy: vec![204; 20],
        first_token: latency.clone(),
        latency,
        tokens_in: 1 << 30,
        tokens_out: 1 << 30,
    };
    let sealed = |window: &Window| {
        let (mut bytes, next) = (Vec::new(), [1 << 34; 16]);
        encode_payload(&Record::Window(window.clone()), &stamp(1 << 30), &next, &mut bytes);
        bytes.len() + 12
    };
    let bare = sealed(&window);
    println!("a window of 10 features × 19 bins: {bare} bytes");
    assert!(bare <= 1024, "{bare} bytes");
    // With embeddings: two bytes each for 128 counts, and five for the section. Three each from 16,384 rows on.
    for (rows, most) in [(4096, 261), (16_383, 261), (65_536, 390)] {
        let full = Window { embedded: rows, embedding: vec![rows; 128], ..window.clone() };
        let more = sealed(&full) - bare;
        println!("embeddings of {rows} rows: {more} bytes more");
        assert!(more <= most, "{more} bytes");
    }
}

#[test]
fn a_window_has_sections_behind_its_lanes() {
    let window =
        Window { stamp: stamp(4), rows: 300, embedded: 299, embedding: vec![0, 299, 128, 1], ..Window::default() };
    let (mut bytes, next) = (Vec::new(), [7, 0, 300]);
    encode_payload(&Record::Window(window.clone()), &stamp(4), &next, &mut bytes);
    let whole = bytes.clone();
    let back = |bytes: &[u8]| decode_payload(bytes, BOOT, 9).unwrap();
    assert_eq!(back(&bytes), (Record::Window(window.clone()), next.to_vec()));
    // A section of a later version is passed over, wherever it stands.
    bytes.extend([99, 2, 1, 1]);
    assert_eq!(back(&bytes), (Record::Window(window.clone()), next.to_vec()));
    let bare = Window { embedded: 0, embedding: vec![], ..window.clone() };
    let mut later = Vec::new();
    encode_payload(&Record::Window(bare.clone()), &stamp(4), &next, &mut later);
    let section = &whole[later.len()..];
    assert_eq!(section, [1, 8, 0xab, 2, 0, 0xab, 2, 0x80, 1, 1]);
    later.extend([&[99, 2, 1, 1], section].concat());
    assert_eq!(back(&later), (Record::Window(window.clone()), next.to_vec()));
    // What the first readers see of it is the record and, behind it, the lanes.
    let (record, mut rest) = decode(&whole, BOOT, 9).unwrap();
    assert_eq!((record, super::take_numbers(&mut rest)), (Record::Window(bare), Some(next.to_vec())));
    // One that ends early costs itself and no more.
    for len in whole.len() - section.len()..whole.len() {
        let (Record::Window(cut), lanes) = back(&whole[..len]) else { panic!() };
        assert_eq!((cut.rows, cut.embedded, lanes), (300, 0, next.to_vec()), "{len}");
    }
    for i in 0..section.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut changed = whole.clone();
            changed[later.len() - section.len() - 4 + i] = value;
            let (Record::Window(read), lanes) = back(&changed) else { panic!() };
            assert!(read.rows == 300 && read.embedding.len() < 16 && lanes == next, "{i} {value}");
        }
    }
}

/// The bytes of the section, and that the first readers, which know none, see the same window without it.
#[test]
fn arms_of_a_window_stand_in_a_section_of_their_own() {
    let arm = |arm, rows, requests, failed| WindowArm { arm, rows, requests, failed };
    let arms = vec![arm(RolloutArm::Current, 300, 301, 1), arm(RolloutArm::Canary, 5, 5, 0)];
    let bare = Window { stamp: stamp(4), rows: 305, ..Window::default() };
    let window = Window { arms: arms.clone(), ..bare.clone() };
    let sealed = |window: &Window| {
        let mut bytes = Vec::new();
        encode_payload(&Record::Window(window.clone()), &stamp(4), &[7], &mut bytes);
        bytes
    };
    let (bytes, without) = (sealed(&window), sealed(&bare));
    assert_eq!(bytes[without.len()..], [3, 10, 1, 0xac, 2, 0xad, 2, 1, 2, 5, 5, 0]);
    let back = |bytes: &[u8]| decode_payload(bytes, BOOT, 9).unwrap();
    assert_eq!(back(&bytes), (Record::Window(window.clone()), vec![7]));
    let (record, mut rest) = decode(&bytes, BOOT, 9).unwrap();
    assert_eq!((record, super::take_numbers(&mut rest)), (Record::Window(bare), Some(vec![7])));
    // An arm of a later version, one that is there twice, and one that ends early.
    let with = |section: &[u8]| {
        let mut bytes = without.clone();
        bytes.extend([&[3, section.len() as u8], section].concat());
        let (Record::Window(read), _) = back(&bytes) else { panic!() };
        read.arms
    };
    assert_eq!(with(&[9, 1, 1, 0, 2, 5, 5, 0, 2, 6, 6, 0]), [arms[1]]);
    assert_eq!(with(&[2, 5, 5, 0, 1, 3]), [arms[1]]);
}

/// Counts of zero take no room in a file: a window of many is made as long as its reader asks for.
#[test]
fn a_window_of_zeros_is_as_long_as_its_counts_need() {
    for (features, bins) in [(1, 19), (10, 19), (100, 255), (1024, 255), (300, 0)] {
        let window = Window { stamp: stamp(4), features: vec![vec![0; bins]; features], ..Window::default() };
        let memory = window.memory();
        let mut bytes = Vec::new();
        encode_payload(&Record::Window(window.clone()), &stamp(4), &[5, 6], &mut bytes);
        assert!(memory <= (1 << 10) + 16 * bytes.len(), "{memory} bytes in {}", bytes.len());
        assert!(bytes.len() < 200 + 4 * features + memory / 16, "{memory} bytes in {}", bytes.len());
        let (back, next) = decode_payload(&bytes, BOOT, 9).unwrap();
        assert_eq!((back, next), (Record::Window(window), vec![5, 6]));
    }
}

/// Who needs the numbers alone takes the same records, and no memory for their lists.
#[test]
fn a_record_that_is_skimmed_is_one_that_is_read() {
    for record in examples(stamp(4)) {
        let mut bytes = Vec::new();
        encode_payload(&record, &stamp(4), &[1, 2], &mut bytes);
        let (whole, next) = decode_payload(&bytes, BOOT, 9).unwrap();
        let (skimmed, skimmed_next) = skim_payload(&bytes, BOOT, 9).unwrap();
        assert_eq!((skimmed.stamp(), skimmed_next), (whole.stamp(), next));
        assert_eq!((seq_of(&bytes), is_known(&bytes)), (Some(4), true));
        if let (Record::Window(skimmed), Record::Window(whole)) = (&skimmed, &whole) {
            assert_eq!(skimmed.model_slot, whole.model_slot);
            assert!(skimmed.features.is_empty() && skimmed.outcomes.is_empty());
        }
        if let Record::Drops(_) = whole {
            assert_eq!(skimmed, whole);
        }
        for i in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[i] ^= 0x11;
            let (read, skimmed) = (decode_payload(&changed, BOOT, 9), skim_payload(&changed, BOOT, 9));
            assert_eq!(read.is_some(), skimmed.is_some(), "byte {i} of {record:?}");
        }
    }
}
