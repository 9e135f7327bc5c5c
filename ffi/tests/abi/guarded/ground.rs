//! Memory whose end is known to the byte.

use std::ffi::c_void;
use std::ptr;

/// What one call points to; it is given back afterwards.
#[derive(Default)]
pub(super) struct Ground(Vec<Guarded>);

/// Whole pages, the last of which may not be touched.
struct Guarded {
    base: *mut c_void,
    len: usize,
}

impl Ground {
    /// A copy of the bytes, right before a page that may not be touched.
    pub(super) fn put(&mut self, bytes: &[u8]) -> *mut u8 {
        self.put_before(bytes, 0)
    }

    /// The same, with `gap` bytes between, so that it is not aligned. Whoever reads these sees values that are wrong
    /// everywhere.
    pub(super) fn put_before(&mut self, bytes: &[u8], gap: usize) -> *mut u8 {
        // SAFETY: asks for a number.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap();
        let open = (bytes.len() + gap).div_ceil(page) * page;
        let len = open + page;
        let (rights, how) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANON);
        // SAFETY: new pages, at an address that the system chooses.
        let base = unsafe { libc::mmap(ptr::null_mut(), len, rights, how, -1, 0) };
        assert_ne!(base, libc::MAP_FAILED);
        self.0.push(Guarded { base, len });
        let place = base.cast::<u8>().wrapping_add(open - gap - bytes.len());
        // SAFETY: the pages are ours, `open` bytes of them may be written, and the last page lies behind those.
        unsafe {
            base.cast::<u8>().write_bytes(0xa5, open);
            ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len());
            assert_eq!(libc::mprotect(base.cast::<u8>().add(open).cast(), page, libc::PROT_NONE), 0);
        }
        place
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // SAFETY: these pages are ours, and the call that they were for has returned.
        unsafe { libc::munmap(self.base, self.len) };
    }
}
