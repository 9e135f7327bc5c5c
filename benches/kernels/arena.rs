//! Memory as an app should keep it: huge pages, written once before anything is timed.

use memmap2::{Advice, MmapMut};

/// A buffer of numbers on huge pages, where the system has them.
pub(crate) struct Arena {
    map: MmapMut,
    len: usize,
}

impl Arena {
    pub(crate) fn new(len: usize) -> Self {
        let mut map = MmapMut::map_anon((len * 4).next_multiple_of(2 << 20)).unwrap();
        #[cfg(target_os = "linux")]
        map.advise(Advice::HugePage).unwrap();
        map.fill(1);
        Self { map, len }
    }

    pub(crate) fn floats(&mut self) -> &mut [f32] {
        &mut bytemuck::cast_slice_mut(&mut self.map)[..self.len]
    }

    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        &mut self.map[..self.len * 4]
    }
}
