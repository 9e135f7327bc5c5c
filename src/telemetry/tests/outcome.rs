use super::super::Outcome;
use crate::Code;

#[test]
fn an_outcome_keeps_its_bits() {
    assert_eq!(Outcome::default().bits(), 0);
    assert_eq!(Outcome::answered(4).refused().checked(true).bits(), 0b0011_1100_0000_0000);
    assert_eq!(Outcome::answered(1).checked(false).further().bits(), 0b1001_0001_0000_0000);
    assert_eq!(i32::from(Outcome::failed(Code::DeadlineExceeded).bits()), Code::DeadlineExceeded as i32);
    for bits in 0..=u16::MAX {
        assert_eq!(Outcome::from_bits(bits).bits(), bits);
    }
}

#[test]
fn a_finish_has_number_and_name() {
    let names = (0..=8).map(|number| Outcome::answered(number).finish_name());
    let known = ["complete", "end_of_text", "stop", "length", "context_full"].map(Some);
    assert_eq!(names.collect::<Vec<_>>(), [&[None], &known[..], &[None; 3]].concat());
    assert_eq!([0, 5, 7, 8, 255].map(|number| Outcome::answered(number).finish()), [0, 5, 7, 7, 7]);
    assert_eq!((0..8).filter(|number| Outcome::answered(*number).is_length_stop()).collect::<Vec<_>>(), [4]);
}
