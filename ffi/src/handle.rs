//! Handles: numbers that name objects, so that a stale or foreign one is an error and nothing worse.
//!
//! A handle is a tag (which type), a slot (where) and a generation (which tenant of the slot). Freeing
//! moves the slot's generation on, so every copy of the old handle is known to be stale. On 64-bit
//! machines the tag makes the number an address that no pointer can have. There is a table per type.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use selvedge::{Code, Error, Result};

/// A type that C holds by handle; `object!` makes one.
pub(crate) trait Object: Send + Sync + Sized + 'static {
    /// Its type in C.
    type Handle;
    /// Its kind of handle.
    const TAG: Tag;
    /// Where its objects are.
    fn table() -> &'static Table<Self>;
}

/// Makes a type an [`Object`], with a table of its own: `object!(Switch, selvedge_cancel, Tag::Cancel)`.
macro_rules! object {
    ($object:ident, $handle:ty, $tag:expr) => {
        impl $crate::handle::Object for $object {
            type Handle = $handle;
            const TAG: $crate::handle::Tag = $tag;

            fn table() -> &'static $crate::handle::Table<Self> {
                static TABLE: $crate::handle::Table<$object> = $crate::handle::Table::new();
                &TABLE
            }
        }
    };
}
pub(crate) use object;

macro_rules! tags {
    ($($(#[$attribute:meta])* $tag:ident = $number:literal, $name:literal;)*) => {
        /// The kind of a handle, and the number that marks it: fixed, not 0, below `1 << TAG_BITS`.
        #[derive(Clone, Copy)]
        pub(crate) enum Tag {
            $($(#[$attribute])* $tag = $number,)*
        }

        impl Tag {
            fn of(number: usize) -> Option<Self> {
                match number {
                    $($(#[$attribute])* $number => Some(Tag::$tag),)*
                    _ => None,
                }
            }

            /// The handle's type in the header.
            const fn name(self) -> &'static str {
                match self {
                    $($(#[$attribute])* Tag::$tag => $name,)*
                }
            }
        }
    };
}

tags! {
    Error = 1, "selvedge_error";
    Cancel = 2, "selvedge_cancel";
    Engine = 3, "selvedge_engine";
    Run = 4, "selvedge_run";
    Answer = 5, "selvedge_answer";
    Progress = 6, "selvedge_progress";
    Buffer = 7, "selvedge_buffer";
    Telemetry = 8, "selvedge_telemetry";
    Profile = 9, "selvedge_profile";
    Monitor = 10, "selvedge_monitor";
    Outbox = 11, "selvedge_outbox";
    Batch = 12, "selvedge_batch";
    Table = 13, "selvedge_table";
    Store = 14, "selvedge_store";
    Staged = 15, "selvedge_staged";
    Cache = 20, "selvedge_cache";
    Schedule = 21, "selvedge_schedule";
    Cascade = 22, "selvedge_cascade";
    Models = 23, "selvedge_models";
    Deployment = 24, "selvedge_deployment";
    #[cfg(test)]
    Test = 31, "number";
}

/// Gives an object a handle.
pub(crate) fn publish<O: Object>(object: O) -> Result<*mut O::Handle> {
    let (slot, generation) = O::table().insert(object).ok_or_else(|| {
        Error::new(Code::OutOfMemory, format!("{}: expected at most {MAX_SLOTS} at a time", O::TAG.name()))
    })?;
    Ok(std::ptr::without_provenance_mut(encode(O::TAG as usize, slot, generation)))
}

/// The object of a handle.
pub(crate) fn resolve<O: Object>(handle: *const O::Handle) -> Result<Arc<O>> {
    read(handle, Arc::clone)
}

/// Reads something of the object of a handle while its slot is locked, which costs half of [`resolve`]. `read` must be short
/// and call nothing of the host's: whoever uses the same handle meanwhile waits.
pub(crate) fn read<O: Object, T>(handle: *const O::Handle, read: impl FnOnce(&Arc<O>) -> T) -> Result<T> {
    let (slot, generation) = decode::<O>(handle.addr())?;
    O::table().read(slot, generation, read).ok_or_else(|| stale::<O>())
}

/// Ends a handle and gives its object; `None` for NULL.
pub(crate) fn retire<O: Object>(handle: *mut O::Handle) -> Result<Option<Arc<O>>> {
    if handle.is_null() {
        return Ok(None);
    }
    let (slot, generation) = decode::<O>(handle.addr())?;
    O::table().remove(slot, generation).map(Some).ok_or_else(|| stale::<O>())
}

/// A handle that no table gives out, for objects that are not in one.
pub(crate) const fn reserved(tag: Tag, generation: usize) -> usize {
    encode(tag as usize, (1 << SLOT_BITS) - 1, generation)
}

const TAG_BITS: u32 = if usize::BITS == 64 { 8 } else { 5 };
const GENERATION_BITS: u32 = if usize::BITS == 64 { 32 } else { 13 };
const SLOT_BITS: u32 = usize::BITS - TAG_BITS - GENERATION_BITS;
const LAST_GENERATION: usize = (1 << GENERATION_BITS) - 1;
/// 32 bits cannot count for ever: there a slot begins anew, and a handle kept over 8,191 reuses of its
/// slot would be taken for the latest one. On 64 bits the slot is given up instead.
const BEGINS_ANEW: bool = usize::BITS < 64;

const fn encode(tag: usize, slot: usize, generation: usize) -> usize {
    tag << (SLOT_BITS + GENERATION_BITS) | slot << GENERATION_BITS | generation
}

#[inline]
fn decode<O: Object>(handle: usize) -> Result<(usize, usize)> {
    if handle >> (SLOT_BITS + GENERATION_BITS) != O::TAG as usize {
        return Err(foreign(O::TAG, handle));
    }
    Ok((handle >> GENERATION_BITS & ((1 << SLOT_BITS) - 1), handle & LAST_GENERATION))
}

/// The failure of something that is no handle of the type expected; the tag 0 is nobody's.
#[cold]
fn foreign(expected: Tag, handle: usize) -> Error {
    if handle == 0 {
        return Error::new(Code::InvalidArgument, format!("{}: expected a handle, got NULL", expected.name()));
    }
    let got = Tag::of(handle >> (SLOT_BITS + GENERATION_BITS));
    let got = got.map_or("something that was never a handle".into(), |tag| format!("a {}", tag.name()));
    Error::new(Code::BadHandle, format!("expected a {}, got {got}", expected.name()))
}

#[cold]
fn stale<O: Object>() -> Error {
    Error::new(Code::BadHandle, format!("{}: expected a live handle, got one that was freed", O::TAG.name()))
}

/// Slots come in chunks, each twice the one before, and never move: a lookup locks its slot only.
pub(crate) struct Table<T> {
    chunks: [OnceLock<Chunk<T>>; CHUNKS],
    vacant: Mutex<Vacant>,
}

type Chunk<T> = Box<[Mutex<Slot<T>>]>;

struct Slot<T> {
    generation: usize,
    object: Option<Arc<T>>,
}

/// Slots to give out: those given back, and those from `fresh` on.
struct Vacant {
    returned: Vec<usize>,
    fresh: usize,
}

const FIRST_CHUNK: usize = 64;
const CHUNKS: usize = SLOT_BITS as usize - FIRST_CHUNK.trailing_zeros() as usize;
/// All chunks together; less than `1 << SLOT_BITS`, so that the last slots are free for `reserved`.
const MAX_SLOTS: usize = FIRST_CHUNK * ((1 << CHUNKS) - 1);
const _: () = assert!(MAX_SLOTS < 1 << SLOT_BITS);

impl<T> Table<T> {
    pub(crate) const fn new() -> Self {
        Self {
            chunks: [const { OnceLock::new() }; CHUNKS],
            vacant: Mutex::new(Vacant { returned: Vec::new(), fresh: 0 }),
        }
    }

    fn insert(&self, object: T) -> Option<(usize, usize)> {
        let number = {
            let mut vacant = lock(&self.vacant);
            match vacant.returned.pop() {
                Some(number) => number,
                None if vacant.fresh == MAX_SLOTS => return None,
                None => {
                    vacant.fresh += 1;
                    vacant.fresh - 1
                }
            }
        };
        let (chunk, index) = place(number);
        let slots = self.chunks[chunk].get_or_init(|| {
            (0..FIRST_CHUNK << chunk).map(|_| Mutex::new(Slot { generation: 1, object: None })).collect()
        });
        let mut slot = lock(&slots[index]);
        slot.object = Some(Arc::new(object));
        Some((number, slot.generation))
    }

    fn read<R>(&self, number: usize, generation: usize, read: impl FnOnce(&Arc<T>) -> R) -> Option<R> {
        let slot = lock(self.slot(number)?);
        if slot.generation == generation { slot.object.as_ref().map(read) } else { None }
    }

    fn remove(&self, number: usize, generation: usize) -> Option<Arc<T>> {
        let mut slot = lock(self.slot(number)?);
        if slot.generation != generation {
            return None;
        }
        let object = slot.object.take()?;
        let spent = generation == LAST_GENERATION;
        slot.generation = if spent { usize::from(BEGINS_ANEW) } else { generation + 1 };
        drop(slot);
        if !spent || BEGINS_ANEW {
            lock(&self.vacant).returned.push(number);
        }
        Some(object)
    }

    fn slot(&self, number: usize) -> Option<&Mutex<Slot<T>>> {
        let (chunk, index) = place(number);
        self.chunks.get(chunk)?.get()?.get(index)
    }
}

/// Chunk and index of a slot: chunk k begins at `FIRST_CHUNK * (2^k - 1)`.
fn place(number: usize) -> (usize, usize) {
    let chunk = (number / FIRST_CHUNK + 1).ilog2() as usize;
    (chunk, number - FIRST_CHUNK * ((1 << chunk) - 1))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
