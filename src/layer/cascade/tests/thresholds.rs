use crate::Code;
use crate::layer::cascade::Threshold;

/// `n` answers, of which those of the lower confidences are wrong more often.
fn held_out(n: u32) -> Vec<(f32, bool)> {
    (0..n).map(|i| (i as f32 / n as f32, i % 20 < 10 + i * 10 / n)).collect()
}

#[test]
fn it_is_the_lowest_that_keeps_the_bound() {
    for (n, rate) in [(100, 0.05), (1000, 0.05), (1000, 0.01), (999, 0.1), (19, 0.05), (1000, 0.2)] {
        let held_out = held_out(n);
        let fitted = Threshold::fit(&held_out, rate).unwrap();
        let bound = |above: f32| {
            let wrong = held_out.iter().filter(|(confidence, right)| *confidence > above && !right).count();
            (wrong as f64 + 1.0) / (f64::from(n) + 1.0)
        };
        assert!(fitted.bound <= rate && fitted.bound == bound(fitted.above), "{n}, {rate}: {fitted:?}");
        // Any threshold below lets one more wrong answer pass, which is one too many.
        let below = held_out.iter().map(|(confidence, _)| *confidence).filter(|c| *c < fitted.above);
        assert!(below.map(bound).all(|bound| bound > rate), "{n}, {rate}: a lower one would do");
        let escalated = held_out.iter().filter(|(confidence, _)| !fitted.accepts(*confidence)).count() as f64;
        assert_eq!((fitted.escalated.value, fitted.escalated.of), (escalated / f64::from(n), u64::from(n)));
        let wrong = (fitted.bound * (f64::from(n) + 1.0)).round() - 1.0;
        let accepted = f64::from(n) - escalated;
        assert_eq!(fitted.wrong_of_accepted.value, if accepted > 0.0 { wrong / accepted } else { 0.0 });
    }
}

#[test]
fn a_bound_that_all_keep_accepts_all_that_have_a_confidence() {
    let all_right: Vec<(f32, bool)> = (0..100).map(|i| (i as f32 / 100.0, true)).collect();
    let fitted = Threshold::fit(&all_right, 0.05).unwrap();
    assert!(fitted.above == f32::NEG_INFINITY && fitted.escalated.value == 0.0);
    assert!(fitted.accepts(0.0) && fitted.accepts(-5.0) && !fitted.accepts(f32::NAN));
}

#[test]
fn answers_without_a_confidence_are_escalated_and_counted() {
    let mut held_out = held_out(500);
    let without = Threshold::fit(&held_out, 0.05).unwrap();
    held_out.extend((0..500).map(|i| (f32::NAN, i % 2 == 0)));
    let with = Threshold::fit(&held_out, 0.05).unwrap();
    // Twice as many answers, and none of the new ones can do harm: twice as many of the old ones may be wrong.
    assert!(with.above < without.above && with.escalated.value >= 0.5, "{with:?}");
}

#[test]
fn equal_confidences_stand_or_fall_together() {
    let held_out: Vec<(f32, bool)> = (0..1000).map(|i| (0.9, i % 10 > 0)).collect();
    let fitted = Threshold::fit(&held_out, 0.05).unwrap();
    assert!(!fitted.accepts(0.9) && fitted.escalated.value == 1.0, "a tenth of them is wrong: {fitted:?}");
    assert_eq!((fitted.wrong_of_accepted.of, fitted.wrong_of_accepted.value), (0, 0.0));
}

#[test]
fn nothing_follows_from_too_few() {
    for rate in [0.0, 1.0, -0.1, f64::NAN] {
        assert_eq!(Threshold::fit(&held_out(100), rate).unwrap_err().code(), Code::InvalidArgument);
    }
    let error = Threshold::fit(&held_out(18), 0.05).unwrap_err();
    assert_eq!(error.to_string(), "held-out answers: expected at least 19 for an error rate of 0.05, got 18");
    assert!(Threshold::fit(&held_out(19), 0.05).is_ok());
    assert!(Threshold::fit(&[], 0.5).is_err());
}
