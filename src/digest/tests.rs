use std::cell::{Cell, RefCell};

use super::{Digest, SLICE};
use crate::{Code, Error};

#[test]
fn a_digest_is_64_hexadecimal_digits() {
    let hex = "00ff".repeat(16);
    let digest: Digest = hex.parse().unwrap();
    assert_eq!((digest.0[0], digest.0[1], digest.to_string()), (0, 255, hex.clone()));
    assert_eq!(hex.to_uppercase().parse::<Digest>().unwrap(), digest);
    for bad in ["", "00", &"+1".repeat(32), &"ä".repeat(32), &hex[1..]] {
        let error = bad.parse::<Digest>().unwrap_err();
        assert_eq!(error.message(), format!("digest: expected 64 hexadecimal digits, got '{bad}'"));
    }
}

#[test]
fn parts_are_hashed_as_one() {
    let of = |parts: &[&[u8]]| Digest::of_parts(parts.iter().copied(), || Ok(()), |_, _| ()).unwrap().to_string();
    // FIPS 180-2, appendix B.1, and the digest of nothing.
    assert_eq!(of(&[b"abc"]), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(of(&[b"a", b"", b"bc"]), of(&[b"abc"]));
    assert_eq!(of(&[]), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

#[test]
fn progress_follows_each_slice_and_a_check_precedes_it() {
    let (long, short) = (vec![0; SLICE + 1], [1; 3]);
    let (checks, seen) = (Cell::new(0), RefCell::new(Vec::new()));
    let check = || {
        checks.set(checks.get() + 1);
        if checks.get() < 3 { Ok(()) } else { Err(Error::new(Code::Cancelled, "enough")) }
    };
    let digest = |check: &dyn Fn() -> crate::Result<()>| {
        Digest::of_parts([&*long, &short[..]], check, |done, total| seen.borrow_mut().push((done, total)))
    };
    assert_eq!(digest(&check).unwrap_err().code(), Code::Cancelled);
    let (slice, total) = (SLICE as u64, SLICE as u64 + 4);
    assert_eq!(seen.take(), [(slice, total), (slice + 1, total)]);
    digest(&|| Ok(())).unwrap();
    assert_eq!(seen.take(), [(slice, total), (slice + 1, total), (total, total)]);
}
