use super::*;

fn layout() -> Layout {
    let cache =
        |layers: usize| Cache { rotations: [0, 0], keys: vec![(1, 6); layers], values: vec![(1, 2, 5); layers] };
    Layout { caches: vec![cache(2), cache(1)] }
}

/// What is written for one sequence is read back, in its stream.
#[test]
fn a_state_is_read_as_it_is_written() {
    let layout = layout();
    assert_eq!(layout.bytes(7), 7 * 3 * 16);
    let rows: Vec<u8> = (0..layout.bytes(7)).map(|i| i as u8).collect();
    let state = layout.write(2, 4, 7, &rows).unwrap();
    let (read, streams) = Layout::read(&state).unwrap();
    assert_eq!(read.as_ref(), Some(&layout));
    assert_eq!(streams[0], Rows { in_order: true, tokens: 7, bytes: rows.clone() });
    assert!(streams[1..].iter().all(|stream| stream.tokens == 0) && streams.len() == 4);
    assert_eq!(layout.write(0, 4, 6, &rows).unwrap_err().code(), crate::Code::Internal);
}

/// However a state is cut or changed, it is refused or read; it never panics, nor takes memory that it does not have.
#[test]
fn a_damaged_state_is_refused_or_read() {
    let layout = layout();
    let state = layout.write(0, 2, 3, &vec![1; layout.bytes(3)]).unwrap();
    let mut refused = 0;
    for i in 0..state.len() {
        refused += usize::from(Layout::read(&state[..i]).is_err());
        for bit in 0..8 {
            let mut state = state.clone();
            state[i] ^= 1 << bit;
            let _ = Layout::read(&state);
        }
    }
    // It may end after its first cache.
    assert_eq!(refused, state.len() - 2);
}
