use super::*;

object!(u32, u8, Tag::Test);

#[test]
fn slots_fill_the_chunks_without_gap_or_overlap() {
    let mut expected = (0, 0);
    for number in 0..FIRST_CHUNK * 31 {
        assert_eq!(place(number), expected);
        expected.1 += 1;
        if expected.1 == FIRST_CHUNK << expected.0 {
            expected = (expected.0 + 1, 0);
        }
    }
    assert_eq!(place(MAX_SLOTS - 1), (CHUNKS - 1, (FIRST_CHUNK << (CHUNKS - 1)) - 1));
}

#[test]
fn a_slot_that_has_counted_to_the_end_is_given_up() {
    let table = Table::new();
    let (number, generation) = table.insert('a').unwrap();
    assert!(table.remove(number, generation).is_some());
    lock(table.slot(number).unwrap()).generation = LAST_GENERATION;
    assert_eq!(table.insert('b'), Some((number, LAST_GENERATION)), "the slot is used again");
    assert!(table.remove(number, LAST_GENERATION).is_some());
    let (next, _) = table.insert('c').unwrap();
    assert_ne!(next, number);
    for generation in [0, 1, 2, LAST_GENERATION] {
        assert!(table.read(number, generation, |_| ()).is_none());
    }
}

#[test]
fn handles_of_one_slot_differ_and_the_old_ones_are_stale() {
    let mut old: Vec<*mut u8> = Vec::new();
    for i in 0..1000u32 {
        let handle = publish(i).unwrap();
        assert_eq!(*resolve::<u32>(handle).unwrap(), i);
        assert_eq!(read(handle, |number: &Arc<u32>| **number).unwrap(), i);
        assert!(!old.contains(&handle));
        for stale in &old {
            assert_eq!(resolve::<u32>(*stale).unwrap_err().code(), Code::BadHandle);
            let read = read(*stale, |_: &Arc<u32>| panic!("read of another object"));
            assert_eq!(read.unwrap_err().code(), Code::BadHandle);
        }
        assert_eq!(retire::<u32>(handle).unwrap().as_deref(), Some(&i));
        assert_eq!(retire::<u32>(handle).unwrap_err().code(), Code::BadHandle);
        old.push(handle);
    }
    assert!(u32::table().chunks[1].get().is_none(), "one slot was enough");
}

#[test]
fn a_number_that_was_never_a_handle_is_refused() {
    let top = usize::BITS - TAG_BITS;
    let tag = Tag::Test as usize;
    let never = [tag << top, (tag << top) | 1, reserved(Tag::Test, 1), encode(tag, MAX_SLOTS - 1, 1)];
    for wild in [1, 0xdead_beef, usize::MAX].into_iter().chain(never) {
        let handle = std::ptr::without_provenance_mut(wild);
        assert_eq!(resolve::<u32>(handle).unwrap_err().code(), Code::BadHandle, "{wild:#x}");
        assert_eq!(retire::<u32>(handle).unwrap_err().code(), Code::BadHandle, "{wild:#x}");
    }
    assert_eq!(resolve::<u32>(std::ptr::null()).unwrap_err().code(), Code::InvalidArgument);
    assert!(retire::<u32>(std::ptr::null_mut()).unwrap().is_none());
}
