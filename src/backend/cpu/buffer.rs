//! Memory for f32 values.

use std::ops::{Deref, DerefMut};

use memmap2::{MmapMut, MmapOptions};

use crate::backend::Error;

/// f32 values in memory of their own, zero at first.
///
/// The system is asked for huge pages: a step walks through some 35 MB of parameters, moments and gradients, and with pages of
/// 4 KiB the processor's prefetchers stop at each one's end.
pub struct Buffer {
    map: MmapMut,
    len: usize,
}

impl Buffer {
    /// `len` zeros.
    ///
    /// # Errors
    /// Out of memory.
    pub fn zeros(len: usize) -> Result<Self, Error> {
        let bytes = len.saturating_mul(size_of::<f32>());
        let out_of_memory = |_| Error::OutOfMemory { bytes, purpose: "a buffer" };
        // An empty mapping is an error to some systems.
        let map = MmapOptions::new().len(bytes.max(size_of::<f32>())).map_anon().map_err(out_of_memory)?;
        // A system without huge pages says so; the buffer works all the same.
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        Ok(Self { map, len })
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &bytemuck::cast_slice(&self.map)[..self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut bytemuck::cast_slice_mut(&mut self.map)[..self.len]
    }
}
