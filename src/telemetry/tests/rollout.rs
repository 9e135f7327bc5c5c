use super::super::slot::{self, inference};
use super::super::{Inference, RolloutArm};

/// The bytes of the drawing: an arm takes the two highest bits of the time, which readers of old find 0.
#[test]
fn an_arm_stands_above_the_nanoseconds() {
    let bins = [0; Inference::MAX_BINS];
    for (arm, bits) in [None].into_iter().chain(RolloutArm::ALL.map(Some)).zip(0u64..) {
        let slot = slot::first(&Inference { arm, ..Inference::default() }, 1, 0, 0x0123_4567_89ab_cdef);
        assert_eq!(slot[2], bits << 62 | 0x0123_4567_89ab_cdef);
        let back = inference(&slot, &bins);
        assert_eq!((back.arm, back.at), (arm, 0x0123_4567_89ab_cdef));
    }
    let late = slot::first(&Inference::default(), 1, 0, u64::MAX);
    assert_eq!(inference(&late, &bins).arm, None, "a clock that runs wild makes no arm");
}
