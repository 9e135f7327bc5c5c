//! Memory of the caller's: the only file that reads and writes through its pointers, but for `cells`, which reads columns.
//!
//! Nothing is assumed of a pointer but what the header asks for: it may be NULL where its length is 0,
//! and it may be misaligned, for some languages pack their structs by hand. A size, a count or a length is checked before
//! a byte is read that is there only if it is right.

#![expect(unsafe_code, reason = "reads and writes the caller's memory")]

use std::ffi::c_char;
use std::mem::MaybeUninit;
use std::ptr;

use selvedge::{Code, Error, Result};

use crate::abi;

mod place;
mod values;

pub(crate) use place::{NO_PLACE, Out, OutText, Place, both};
pub(crate) use values::{Values, borrow_values, check_apart};

/// The largest struct a caller may claim, the longest array, and the longest name or path: beyond is a wild value.
const MAX_STRUCT: usize = 4096;
const MAX_COUNT: usize = 1 << 16;
const MAX_NAME: usize = 1 << 16;
/// The most bytes of anything. On 64 bits, where pointers have room for more than a process can, 128 TiB.
const MAX_BYTES: usize = isize::MAX as usize >> if usize::BITS == 64 { 16 } else { 0 };

/// A struct of the header that begins with `struct_size`.
///
/// # Safety
///
/// It is `repr(C)`, begins with `struct_size: usize`, and any bytes are a value of it.
pub(crate) unsafe trait Struct: Copy {
    /// Its name in the header.
    const NAME: &'static str;
    /// Its size at first, which every caller has.
    const FIRST: usize = size_of::<Self>();
}

/// The structs, each with the field that was added first, if there is one: it begins where the first version ended.
macro_rules! structs {
    ($($name:ident $([$added:ident])?)*) => {$(
        // SAFETY: `repr(C)`; its fields are numbers and raw pointers; the first is `struct_size`.
        unsafe impl Struct for abi::$name {
            const NAME: &'static str = stringify!($name);
            $(const FIRST: usize = std::mem::offset_of!(abi::$name, $added);)?
        }
        const _: () = assert!(std::mem::offset_of!(abi::$name, struct_size) == 0);
    )*};
}

structs! {
    selvedge_log_line selvedge_source selvedge_options[crash_folder] selvedge_call selvedge_tensor selvedge_tensors
    selvedge_output selvedge_message[reasoning] selvedge_generate[grammar] selvedge_embed selvedge_event[name]
    selvedge_tool selvedge_tool_call selvedge_document selvedge_adapter selvedge_score selvedge_rerank
    selvedge_prefixes selvedge_limits
    selvedge_column selvedge_rows selvedge_fit selvedge_alert selvedge_monitor_options selvedge_outbox_options
    selvedge_http_request selvedge_http_response selvedge_retry selvedge_judgement selvedge_pack_options
    selvedge_stage selvedge_threshold selvedge_history selvedge_estimate
    selvedge_trust[authorities] selvedge_package selvedge_import_options selvedge_repository
}

/// A place for a struct, of the size its caller says.
pub(crate) struct OutStruct<T> {
    place: *mut T,
    size: usize,
}

impl<T: Struct> OutStruct<T> {
    /// Zeroes all of the struct but its size; fails if it is NULL or of a wrong size.
    ///
    /// # Safety
    ///
    /// `place` is NULL, or points to as many writable bytes as its `struct_size` says, while this lives.
    pub(crate) unsafe fn zeroed(place: *mut T) -> Result<Self> {
        // SAFETY: the caller vouches for it.
        let size = unsafe { struct_size(place) }?;
        // SAFETY: `size` bytes may be written, and it is at least `T::FIRST`.
        unsafe { place.cast::<u8>().add(AFTER_SIZE).write_bytes(0, size - AFTER_SIZE) };
        Ok(Self { place, size })
    }
}

impl<T: Struct> Place for OutStruct<T> {
    type Value = T;

    /// Writes what the caller has room for; its `struct_size` stays.
    fn set(&self, value: T) {
        let len = self.size.min(size_of::<T>()) - AFTER_SIZE;
        // SAFETY: whoever made this vouched for `size` bytes, and a Rust value does not overlap them.
        unsafe {
            let from = (&raw const value).cast::<u8>().add(AFTER_SIZE);
            ptr::copy_nonoverlapping(from, self.place.cast::<u8>().add(AFTER_SIZE), len);
        }
    }
}

/// Structs of the caller's that a call reads, and writes some fields of.
pub(crate) struct InOut<T> {
    place: *mut T,
    stride: usize,
    /// What they hold; [`InOut::write`] makes it so.
    pub(crate) values: Vec<T>,
}

impl<T: Struct> InOut<T> {
    /// Reads them, and lets `clear` zero what the call is to write.
    ///
    /// # Safety
    ///
    /// As of [`read_array`], and they may be written for as long as this lives.
    pub(crate) unsafe fn cleared(name: &str, place: *mut T, count: usize, clear: fn(&mut T)) -> Result<Self> {
        // SAFETY: the caller vouches for it.
        let (mut values, stride) = unsafe { read_strided(name, place, count) }?;
        values.iter_mut().for_each(clear);
        let own = Self { place, stride, values };
        own.write();
        Ok(own)
    }

    /// Writes what the caller has room for; each `struct_size` stays.
    pub(crate) fn write(&self) {
        let len = self.stride.min(size_of::<T>()) - AFTER_SIZE.min(self.stride);
        for (i, value) in self.values.iter().enumerate() {
            // SAFETY: whoever made this vouched for as many structs of this size.
            unsafe {
                let from = ptr::from_ref(value).cast::<u8>().add(AFTER_SIZE);
                let to = self.place.cast::<u8>().add(i * self.stride + AFTER_SIZE);
                ptr::copy_nonoverlapping(from, to, len);
            }
        }
    }
}

/// Room of the caller's for values.
pub(crate) struct Room<T> {
    place: *mut T,
    /// How many fit.
    pub(crate) capacity: usize,
}

impl Room<u8> {
    /// Room for bytes; fails if there is no such memory.
    ///
    /// # Safety
    ///
    /// `place` is NULL with `capacity` 0, or as many bytes may be written there for as long as this lives.
    pub(crate) unsafe fn of_bytes(name: &str, place: *mut u8, capacity: usize) -> Result<Self> {
        if capacity > 0 && place.is_null() {
            return Err(null(name));
        }
        check_len(name, place, capacity)?;
        Ok(Self { place, capacity })
    }
}

impl<T: Copy> Room<T> {
    /// Room for an array of values; fails if there cannot be one.
    ///
    /// # Safety
    ///
    /// `place` is NULL with `capacity` 0, or as many values may be written there for as long as this lives.
    pub(crate) unsafe fn of_values(name: &str, place: *mut T, capacity: usize) -> Result<Self> {
        if has_elements(name, place, capacity)? {
            check_len(name, place.cast(), capacity * size_of::<T>())?;
        }
        Ok(Self { place, capacity })
    }

    /// Writes values to its beginning; those that do not fit are left out.
    pub(crate) fn write(&self, values: &[T]) {
        let len = values.len().min(self.capacity) * size_of::<T>();
        // SAFETY: whoever made this vouched for `capacity` values, aligned or not. The library's own do not overlap them.
        unsafe { ptr::copy_nonoverlapping(values.as_ptr().cast::<u8>(), self.place.cast::<u8>(), len) };
    }
}

const AFTER_SIZE: usize = size_of::<usize>();

/// Reads a struct of any version.
///
/// # Safety
///
/// `place` is NULL, or points to as many readable bytes as its `struct_size` says.
pub(crate) unsafe fn read<T: Struct>(place: *const T) -> Result<T> {
    // SAFETY: the caller vouches for it.
    let size = unsafe { struct_size(place) }?;
    // SAFETY: as above, and the size can be one.
    unsafe { read_sized(place, size) }
}

/// Reads a struct of a size that was checked; its own is not looked at again.
///
/// # Safety
///
/// `place` points to `size` readable bytes, at least `T::FIRST`.
unsafe fn read_sized<T: Struct>(place: *const T, size: usize) -> Result<T> {
    let (bytes, known) = (place.cast::<u8>(), size.min(size_of::<T>()));
    let mut value = MaybeUninit::<T>::zeroed();
    // SAFETY: `known` bytes may be read there and fit here.
    unsafe { ptr::copy_nonoverlapping(bytes, value.as_mut_ptr().cast(), known) };
    // SAFETY: `size` bytes may be read.
    let rest = unsafe { std::slice::from_raw_parts(bytes.add(known), size - known) };
    if rest.iter().any(|b| *b != 0) {
        let message = format!("{}: a field that this version of the library does not know is not zero", T::NAME);
        return Err(invalid(message));
    }
    // SAFETY: any bytes are a value of a `Struct`, and those beyond `known` are zero.
    Ok(unsafe { value.assume_init() })
}

/// Reads a struct that may be left out.
///
/// # Safety
///
/// As of [`read`].
pub(crate) unsafe fn read_optional<T: Struct>(place: *const T) -> Result<Option<T>> {
    // SAFETY: the caller vouches for it.
    if place.is_null() { Ok(None) } else { unsafe { read(place) }.map(Some) }
}

/// Reads an array of structs, each as large as the first says it is. One that says otherwise is not read.
///
/// # Safety
///
/// `place` points to structs as of [`read`], one after another: to `count`, or to those up to one of another size, of
/// which no more than the size need be there.
pub(crate) unsafe fn read_array<T: Struct>(name: &str, place: *const T, count: usize) -> Result<Vec<T>> {
    // SAFETY: the caller vouches for it.
    Ok(unsafe { read_strided(name, place, count) }?.0)
}

/// Reads an array of structs, and says how large each is.
///
/// # Safety
///
/// As of [`read_array`].
unsafe fn read_strided<T: Struct>(name: &str, place: *const T, count: usize) -> Result<(Vec<T>, usize)> {
    if !has_elements(name, place, count)? {
        return Ok((Vec::new(), 0));
    }
    // SAFETY: there is at least one.
    let stride = unsafe { struct_size(place) }?;
    check_len(name, place.cast(), count * stride)?;
    let mut structs = Vec::with_capacity(count);
    for i in 0..count {
        // SAFETY: all before are there and have the size of the first, so that the next begins here with its own.
        let (element, size) = unsafe {
            let element = place.byte_add(i * stride);
            (element, element.cast::<usize>().read_unaligned())
        };
        if size != stride {
            return Err(invalid(format!("{name}[{i}].struct_size: expected {stride} as in [0], got {size}")));
        }
        // SAFETY: it is as large as it says.
        structs.push(unsafe { read_sized(element, stride) }?);
    }
    Ok((structs, stride))
}

/// Reads an array of plain values: texts, dimensions.
///
/// # Safety
///
/// `place` is NULL with `count` 0, or points to `count` values.
pub(crate) unsafe fn read_values<T: Copy>(name: &str, place: *const T, count: usize) -> Result<Vec<T>> {
    if !has_elements(name, place, count)? {
        return Ok(Vec::new());
    }
    check_len(name, place.cast(), count * size_of::<T>())?;
    // SAFETY: value i is there.
    Ok((0..count).map(|i| unsafe { place.add(i).read_unaligned() }).collect())
}

/// Reads texts, of which there may be more than an array of structs has.
///
/// # Safety
///
/// `place` is NULL with `count` 0, or points to `count` texts, each as of [`text`].
pub(crate) unsafe fn read_texts(name: &str, place: *const abi::selvedge_text, count: usize) -> Result<Vec<String>> {
    if count > 0 && place.is_null() {
        return Err(null(name));
    }
    check_len(name, place.cast(), count.saturating_mul(size_of::<abi::selvedge_text>()))?;
    let mut texts = Vec::new();
    texts
        .try_reserve_exact(count)
        .map_err(|e| Error::new(Code::OutOfMemory, format!("{name}: no memory for {count} texts")).because(e))?;
    for i in 0..count {
        // SAFETY: text i is there, and its bytes are.
        texts.push(
            unsafe {
                let one = place.add(i).read_unaligned();
                text(name, one.data, one.len)
            }?
            .to_owned(),
        );
    }
    Ok(texts)
}

/// Borrows bytes.
///
/// # Safety
///
/// `place` is NULL with `len` 0, or points to `len` readable bytes that stay as they are during `'a`.
pub(crate) unsafe fn bytes<'a>(name: &str, place: *const u8, len: usize) -> Result<&'a [u8]> {
    if len == 0 {
        return Ok(&[]);
    }
    if place.is_null() {
        return Err(null(name));
    }
    check_len(name, place, len)?;
    // SAFETY: not NULL, and the caller vouches for the rest.
    Ok(unsafe { std::slice::from_raw_parts(place, len) })
}

/// Borrows a text.
///
/// # Safety
///
/// As of [`bytes`].
pub(crate) unsafe fn text<'a>(name: &str, place: *const c_char, len: usize) -> Result<&'a str> {
    // SAFETY: the caller vouches for it.
    let bytes = unsafe { bytes(name, place.cast(), len) }?;
    std::str::from_utf8(bytes).map_err(|e| invalid(format!("{name}: expected UTF-8")).because(e))
}

/// Borrows a name or a path.
///
/// # Safety
///
/// As of [`bytes`].
pub(crate) unsafe fn name<'a>(name: &str, place: *const c_char, len: usize) -> Result<&'a str> {
    // What is longer than memory, `bytes` refuses.
    if (MAX_NAME + 1..=MAX_BYTES).contains(&len) {
        return Err(invalid(format!("{name}: expected at most {MAX_NAME} bytes, got {len}")));
    }
    // SAFETY: the caller vouches for it.
    unsafe { text(name, place, len) }
}

pub(crate) fn invalid(message: String) -> Error {
    Error::new(Code::InvalidArgument, message)
}

fn null(name: &str) -> Error {
    invalid(format!("{name}: expected a pointer, got NULL"))
}

/// Whether there is anything in an array; fails if there cannot be.
fn has_elements<T>(name: &str, place: *const T, count: usize) -> Result<bool> {
    match count {
        0 => Ok(false),
        _ if place.is_null() => Err(null(name)),
        1..=MAX_COUNT => Ok(true),
        _ => Err(invalid(format!("{name}: expected at most {MAX_COUNT}, got {count}"))),
    }
}

/// Refuses bytes that cannot be there: at NULL, or beyond the address space.
pub(crate) fn check_span(name: &str, place: *const u8, len: usize) -> Result<()> {
    if len > 0 && place.is_null() {
        return Err(null(name));
    }
    check_len(name, place, len)
}

/// Refuses a length that nothing in memory has.
fn check_len(name: &str, place: *const u8, len: usize) -> Result<()> {
    if len <= MAX_BYTES && place.addr().checked_add(len).is_some() {
        return Ok(());
    }
    Err(invalid(format!("{name}: a length of {len} exceeds the address space")))
}

/// # Safety
///
/// `place` is NULL or begins with a readable size.
unsafe fn struct_size<T: Struct>(place: *const T) -> Result<usize> {
    if place.is_null() {
        return Err(null(T::NAME));
    }
    // SAFETY: every `Struct` begins with its size.
    let size = unsafe { place.cast::<usize>().read_unaligned() };
    if (T::FIRST..=MAX_STRUCT).contains(&size) {
        Ok(size)
    } else {
        Err(invalid(format!("{}.struct_size: expected {} to {MAX_STRUCT}, got {size}", T::NAME, T::FIRST)))
    }
}
