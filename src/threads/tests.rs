use super::*;

#[test]
fn as_many_start_as_are_wanted_where_the_system_allows() {
    assert_eq!(startable(0, 0), 0);
    assert_eq!(startable(3, 1 << 20), 3);
    assert_eq!(granted("test", 2, 0).unwrap(), 2);
    assert!(pool().is_ok());
}

#[test]
fn memory_that_must_be_left_is_left() {
    assert_eq!(startable(2, isize::MAX as usize), 0);
    let error = granted("test", 2, isize::MAX as usize).unwrap_err();
    assert_eq!(error.code(), Code::OutOfMemory, "{error}");
}

#[test]
fn a_stack_is_as_large_as_asked() {
    fn depth(n: usize) -> usize {
        let block = std::hint::black_box([n as u8; 1024]);
        if n == 0 { block[0] as usize } else { 1 + depth(n - 1) }
    }
    assert_eq!(on_stack("deep", 64 << 20, || Ok(depth(20_000))).unwrap(), 20_000);
    let error = on_stack("failing", 1 << 20, || -> Result<()> { panic!("of {}", "its own") }).unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::Panic, "failing: it panicked: of its own"));
    let error = on_stack("huge", isize::MAX as usize, || Ok(())).unwrap_err();
    assert_eq!(error.code(), Code::OutOfMemory, "{error}");
}
