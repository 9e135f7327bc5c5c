//! The sizes, counts, lengths and alignments that are tried at every place.

use super::callee::Callee;
use super::ground::Ground;
use super::places::{Array, Block, Bytes, Place, places};
use super::*;

type Call = Box<dyn Fn(&Callee, &mut Ground) -> selvedge_status>;

/// A call, and what must come of it.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) expected: selvedge_status,
    pub(super) call: Call,
}

const SIZE: usize = size_of::<usize>();
/// Bytes between the end and the guard page: none, and two that break the alignment.
const GAPS: [usize; 3] = [0, 1, 4];
/// Sizes that no struct can have.
const NO_SIZES: [usize; 7] = [0, 1, SIZE - 1, SIZE, 4097, isize::MAX as usize, usize::MAX];

/// All cases, always in the same order.
pub(super) fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for place in places() {
        match place {
            Place::Block(block) => block_cases(block, &mut all),
            Place::Array(array) => array_cases(array, &mut all),
            Place::Bytes(bytes) => bytes_cases(bytes, &mut all),
        }
    }
    all
}

/// A struct, or a place for a result.
fn block_cases(block: Block, all: &mut Vec<Case>) {
    let good = (block.good)();
    let mut add = |what: String, expected: selvedge_status, put: Box<dyn Fn(&mut Ground) -> *mut u8>| {
        let call: Call = Box::new(move |callee, ground| (block.call)(callee, put(ground)));
        all.push(Case { name: format!("{}, {what}", block.name), expected, call });
    };
    add("NULL".into(), block.null, Box::new(|_| ptr::null_mut()));
    for gap in GAPS {
        let good = good.clone();
        add(format!("{gap} before the end"), block.then, Box::new(move |ground| ground.put_before(&good, gap)));
    }
    if !block.grows {
        return;
    }
    for size in [good.len() + SIZE, good.len() + 3 * SIZE, 4096] {
        let newer = resized(&good, size);
        let mut unknown = newer.clone();
        unknown[size - 1] = 1;
        add(format!("{size} bytes"), block.then, Box::new(move |ground| ground.put(&newer)));
        let expected = if block.written { block.then } else { INVALID };
        add(format!("{size} bytes, one not zero"), expected, Box::new(move |ground| ground.put(&unknown)));
    }
    let first = first_size(good.len());
    if first < good.len() {
        let older = resized(&good, first);
        add(format!("the first {first} bytes"), block.then, Box::new(move |ground| ground.put(&older)));
    }
    for size in NO_SIZES.into_iter().chain([first - SIZE, first - 1]) {
        add(format!("size {size} alone"), INVALID, Box::new(move |ground| ground.put(&size.to_ne_bytes())));
    }
}

/// The size of a struct's first version, which its oldest callers have; of those in arrays, [`first_element`] says it.
fn first_size(size: usize) -> usize {
    match size {
        _ if size == size_of::<selvedge_options>() => std::mem::offset_of!(selvedge_options, crash_folder),
        _ if size == size_of::<selvedge_event>() => std::mem::offset_of!(selvedge_event, name),
        _ if size == size_of::<selvedge_generate>() => std::mem::offset_of!(selvedge_generate, grammar),
        _ if size == size_of::<selvedge_trust>() => std::mem::offset_of!(selvedge_trust, authorities),
        _ => size,
    }
}

/// The same of the elements of an array.
fn first_element(array: &Array, size: usize) -> usize {
    if array.name.ends_with(".messages") { std::mem::offset_of!(selvedge_message, reasoning) } else { size }
}

/// An array: of structs that grow, or of values.
fn array_cases(array: Array, all: &mut Vec<Case>) {
    let good = (array.good)();
    let size = good[0].len();
    let mut add = |what: String, expected: selvedge_status, bytes: Vec<u8>, gap: usize, count: usize| {
        let call: Call = Box::new(move |callee, ground| (array.call)(callee, ground.put_before(&bytes, gap), count));
        all.push(Case { name: format!("{}, {what}", array.name), expected, call });
    };
    add("none, at the end".into(), array.empty, Vec::new(), 0, 0);
    for count in [array.most + 1, 65_537, isize::MAX as usize, usize::MAX, usize::MAX / size + 1, usize::MAX / size + 2]
    {
        add(format!("{count} said, 1 there"), INVALID, good[0].clone(), 0, count);
    }
    for count in 1..=good.len() {
        for gap in GAPS {
            add(format!("{count}, {gap} before the end"), array.then, good[..count].concat(), gap, count);
        }
        if !array.grows {
            continue;
        }
        let first = first_element(&array, size);
        for stride in [size, size + SIZE, 4096].into_iter().chain((first < size).then_some(first)) {
            let newer: Vec<_> = good[..count].iter().map(|element| resized(element, stride)).collect();
            let mut unknown = newer.concat();
            let last = unknown.len() - 1;
            if stride > size {
                unknown[last] = 1;
                add(format!("{count} of {stride} bytes, one not zero"), INVALID, unknown, 0, count);
            }
            add(format!("{count} of {stride} bytes"), array.then, newer.concat(), 0, count);
            // Element k, of which there is no more than its size. The first one's is believed if it can be.
            for k in 0..count {
                let others = [size, size + SIZE, size + 2 * SIZE, 4096].into_iter().filter(|s| k > 0 && *s != stride);
                for wrong in NO_SIZES.into_iter().chain([first - SIZE, first - 1]).chain(others) {
                    let bytes = [newer[..k].concat(), wrong.to_ne_bytes().to_vec()].concat();
                    add(format!("{count} of {stride} bytes, but [{k}] of {wrong}"), INVALID, bytes, 0, count);
                }
            }
        }
    }
    for (count, expected) in [(0, array.null), (1, INVALID), (3, INVALID), (usize::MAX, INVALID)] {
        let call: Call = Box::new(move |callee, _| (array.call)(callee, ptr::null(), count));
        all.push(Case { name: format!("{}, {count} at NULL", array.name), expected, call });
    }
}

/// A text, or a tensor's data.
fn bytes_cases(bytes: Bytes, all: &mut Vec<Case>) {
    let mut add = |what: String, expected: selvedge_status, put: Box<dyn Fn(&mut Ground) -> *mut u8>, len: usize| {
        let call: Call = Box::new(move |callee, ground| (bytes.call)(callee, put(ground), len));
        all.push(Case { name: format!("{}, {what}", bytes.name), expected, call });
    };
    let good = bytes.good;
    for gap in GAPS {
        add(
            format!("{gap} before the end"),
            bytes.then,
            Box::new(move |ground| ground.put_before(good, gap)),
            good.len(),
        );
    }
    add("none, at NULL".into(), bytes.null, Box::new(|_| ptr::null_mut()), 0);
    add("none, at the end".into(), bytes.empty, Box::new(|ground| ground.put(&[])), 0);
    add("some, at NULL".into(), INVALID, Box::new(|_| ptr::null_mut()), 1);
    let beyond = (usize::MAX >> 16) + 1;
    let mut wrong = vec![usize::MAX, usize::MAX - 1, isize::MAX as usize + 1, isize::MAX as usize];
    wrong.extend((usize::BITS == 64).then_some(beyond));
    match bytes.most {
        Most::Exactly => wrong.extend([good.len() - 1, good.len() + 1, 2 * good.len(), 4097, 1 << 20]),
        Most::Bounded => wrong.extend([65_537, 1 << 20]),
        Most::Memory => {}
    }
    for len in wrong {
        add(format!("{len} said, {} there", good.len()), INVALID, Box::new(move |ground| ground.put(good)), len);
    }
}

/// How many bytes a place can take.
#[derive(Clone, Copy)]
pub(super) enum Most {
    /// As many as something else says.
    Exactly,
    /// A name's.
    Bounded,
    /// Whatever fits into memory.
    Memory,
}

/// A struct of another version: its size, and zeros after what is known.
fn resized(good: &[u8], size: usize) -> Vec<u8> {
    let mut bytes = good.to_vec();
    bytes.resize(size, 0);
    bytes[..SIZE].copy_from_slice(&size.to_ne_bytes());
    bytes
}
