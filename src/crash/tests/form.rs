//! The bytes of marks and records.

use super::super::format::{Deaths, MARK_BYTES, MAX_DEATHS, MAX_RECORD, MarkFile};
use super::{ASKED, death, mark, subject};
use crate::Code;
use crate::crash::{CrashPhase, Death, Way};

#[test]
fn a_mark_reads_as_it_was_written() {
    for (signal, phase) in
        [(0, CrashPhase::Open), (11, CrashPhase::FirstUse), (6, CrashPhase::LaterUse), (7, CrashPhase::Idle)]
    {
        let way = Way { is_mapped: signal < 7, is_accelerated: signal > 0, ..ASKED };
        let mark = MarkFile { way, phase, runs: 3, rung: 2, ..mark(7, signal) };
        let bytes = mark.encode();
        assert_eq!((bytes.len(), bytes.len()), (MARK_BYTES, 336));
        assert_eq!(&bytes[..8], b"SLVMARK1");
        assert_eq!(u64::from_le_bytes(bytes[296..304].try_into().unwrap()), u64::from(phase.number()));
        assert_eq!(u64::from_le_bytes(bytes[312..320].try_into().unwrap()), signal);
        assert_eq!(bytes[272], u8::from(signal < 7) + 2 * u8::from(signal > 0));
        assert_eq!(MarkFile::decode(&bytes).unwrap(), mark);
    }
}

#[test]
fn deaths_read_as_they_were_written() {
    for count in [1, 2, MAX_DEATHS] {
        let deaths: Vec<Death> =
            (0..count as u8).map(|n| death(n, Way { is_accelerated: n % 2 == 0, ..ASKED })).collect();
        let deaths = Deaths { subject: subject(3), deaths };
        let bytes = deaths.encode();
        assert_eq!(bytes.len(), 176 + 128 * count + 4);
        assert_eq!(Deaths::decode(&bytes).unwrap(), deaths);
    }
    assert_eq!(MAX_RECORD, 176 + 128 * 32 + 4);
}

#[test]
fn of_too_many_deaths_the_last_are_kept() {
    let deaths = (0..MAX_DEATHS as u8 + 5).map(|n| death(n, ASKED)).collect();
    let read = Deaths::decode(&Deaths { subject: subject(3), deaths }.encode()).unwrap();
    assert_eq!((read.deaths.len(), read.deaths[0].id), (MAX_DEATHS, [5; 16]));
}

#[test]
fn texts_are_cut_between_characters_and_show_no_controls() {
    let mut mark = mark(1, 0);
    mark.subject.model = "ä".repeat(40);
    mark.subject.app_version = "1\u{1b}[31m".into();
    let read = MarkFile::decode(&mark.encode()).unwrap();
    assert_eq!(read.subject.model, "ä".repeat(32));
    assert_eq!(read.subject.app_version, "1\u{FFFD}[31m");
}

#[test]
fn any_byte_that_is_wrong_before_the_checksum_makes_a_file_corrupt() {
    let (mark, deaths) = (mark(1, 6).encode(), Deaths { subject: subject(1), deaths: vec![death(1, ASKED)] }.encode());
    for at in 0..280 {
        let mut bad = mark.clone();
        bad[at] ^= 0x40;
        assert_eq!(MarkFile::decode(&bad).unwrap_err().code(), Code::Corrupt, "byte {at}");
    }
    for at in 0..deaths.len() {
        let mut bad = deaths.clone();
        bad[at] ^= 0x40;
        assert_eq!(Deaths::decode(&bad).unwrap_err().code(), Code::Corrupt, "byte {at}");
        assert!(Deaths::decode(&deaths[..at]).is_err(), "{at} bytes");
    }
    (0..MARK_BYTES).for_each(|len| assert!(MarkFile::decode(&mark[..len]).is_err(), "{len} bytes"));
}

#[test]
fn any_words_after_the_checksum_are_read_without_a_panic() {
    let mut bytes = mark(1, 0).encode();
    for fill in [0xff, 0x80, 0x01] {
        bytes[280..].fill(fill);
        assert_eq!(MarkFile::decode(&bytes).map(|_| ()).unwrap_err().code(), Code::Corrupt, "a phase of {fill:x}");
    }
    let mut bytes = mark(1, 0).encode();
    bytes[288..296].fill(0xff);
    bytes[312..320].fill(0xff);
    let mark = MarkFile::decode(&bytes).unwrap();
    assert!(!mark.death(None, false).to_string().is_empty());
}

#[test]
fn a_death_says_when_where_and_by_what() {
    assert_eq!(
        death(1, ASKED).to_string(),
        "2023-11-14T22:13:21Z while it was opened with ONNX Runtime 1.31.1, by signal 6 (SIGABRT)"
    );
}
