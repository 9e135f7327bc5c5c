//! The caller's memory: lent, not copied, and let go of before the call returns.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use selvedge::fake::Fake;
use selvedge::{DType, Dim, Port, Tensor};

use super::engines::Slow;
use super::tensors::{bytes, floats, output, run, tensor};
use super::*;

/// One more float than is copied.
const LENT: usize = 1025;

#[test]
fn an_engine_sees_the_callers_memory_itself_unless_it_is_small_or_misaligned() {
    let port = |name: &str, dtype| Port::tensor(name, dtype, vec![Dim::Any]);
    let engine = Fake::tensors(vec![port("x", DType::F32)], vec![port("at", DType::U64)], |inputs| {
        let x = inputs[0].as_ref().expect("required");
        x.as_slice::<f32>()?;
        Ok(vec![Tensor::new(&[1], vec![x.bytes()?.as_ptr().addr() as u64])?])
    });
    let engine = handle(engine.build());
    let seen_at = |t: selvedge_tensor| {
        let answer = run(engine, &[t], None).unwrap();
        let at = u64::from_le_bytes(bytes(&output(answer, 0)).try_into().unwrap());
        assert_eq!(selvedge_answer_free(answer), SELVEDGE_OK);
        at as usize
    };
    let data = [1.0f32; LENT + 1];
    assert_eq!(seen_at(floats("x", &[LENT as i64], &data[..LENT])), data.as_ptr().addr());
    assert_ne!(seen_at(floats("x", &[LENT as i64 - 1], &data[..LENT - 1])), data.as_ptr().addr());
    let odd = data.as_ptr().cast::<u8>().wrapping_add(1);
    let moved = seen_at(tensor("x", SELVEDGE_F32, &[LENT as i64], odd.cast(), LENT * 4));
    assert_ne!(moved, odd.addr());
    assert!(moved.is_multiple_of(4));
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

#[test]
fn an_output_that_is_an_input_passed_on_does_not_point_to_the_callers_memory() {
    for len in [2, LENT] {
        let engine = handle(Fake::echo(DType::F32).build());
        let mut data = vec![1.5f32; len];
        let expected: Vec<u8> = data.iter().flat_map(|v| v.to_le_bytes()).collect();
        let answer = run(engine, &[floats("x", &[len as i64], &data)], None).unwrap();
        let y = output(answer, 0);
        data.fill(0.0);
        std::hint::black_box(&data);
        assert_eq!(bytes(&y), expected);
        // An output is the next call's input as it is.
        let again = run(engine, &[selvedge_tensor { name: c"x".as_ptr(), ..y }], None).unwrap();
        assert_eq!(selvedge_answer_free(answer), SELVEDGE_OK);
        assert_eq!(bytes(&output(again, 0)), expected);
        assert_eq!(selvedge_answer_free(again), SELVEDGE_OK);
        assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
    }
}

#[test]
fn a_call_does_not_return_before_the_engine_has_let_go_of_its_inputs() {
    let slow = Slow::new(Duration::from_millis(60));
    let released = slow.released.clone();
    let engine = handle(Arc::new(slow));
    let (data, begun) = ([1.0f32; LENT], Instant::now());
    let answer = run(engine, &[floats("x", &[LENT as i64], &data)], None).unwrap();
    assert!(released.load(Ordering::SeqCst), "returned after {:?}", begun.elapsed());
    assert_eq!(selvedge_answer_free(answer), SELVEDGE_OK);
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}
