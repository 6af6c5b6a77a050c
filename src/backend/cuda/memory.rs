//! Memory of the device.

use std::sync::Arc;

use cudarc::driver::{CudaSlice, CudaStream, DevicePtr, DeviceRepr, ValidAsZeroBits};

use super::Error;

/// Values that lie on the device, zero at first.
pub struct Memory<T> {
    slice: CudaSlice<T>,
    address: u64,
}

/// f32 values on the device.
pub type Buffer = Memory<f32>;

impl<T: DeviceRepr + ValidAsZeroBits> Memory<T> {
    /// `len` zeros.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], or the device failed.
    pub fn zeros(stream: &Arc<CudaStream>, len: usize) -> Result<Self, Error> {
        // The driver allocates nothing of no bytes.
        let slice = stream
            .alloc_zeros::<T>(len.max(1))
            .map_err(|error| Error::allocation(stream, len.saturating_mul(size_of::<T>()), error))?;
        let address = slice.device_ptr(stream).0;
        Ok(Self { slice, address })
    }
}

impl<T: DeviceRepr> Memory<T> {
    /// The device's address of element `offset`.
    pub fn at(&self, offset: usize) -> u64 {
        self.address + (offset * size_of::<T>()) as u64
    }

    /// How many values it holds.
    pub fn len(&self) -> usize {
        self.slice.len()
    }

    /// Enqueues a copy of `values` to the elements from `offset` on.
    ///
    /// # Errors
    /// The device failed.
    pub fn write(&mut self, stream: &Arc<CudaStream>, offset: usize, values: &[T]) -> Result<(), Error> {
        if values.is_empty() {
            return Ok(());
        }
        let mut part = self.slice.slice_mut(offset..offset + values.len());
        stream.memcpy_htod(values, &mut part).map_err(Error::fault("copying to the device"))
    }

    /// Enqueues a copy of the first elements into `values`, which are there once the stream is synchronised.
    ///
    /// # Errors
    /// The device failed.
    pub fn read(&self, stream: &Arc<CudaStream>, values: &mut [T]) -> Result<(), Error> {
        if values.is_empty() {
            return Ok(());
        }
        let part = self.slice.slice(..values.len());
        stream.memcpy_dtoh(&part, values).map_err(Error::fault("copying from the device"))
    }

    /// The allocation.
    pub fn slice(&self) -> &CudaSlice<T> {
        &self.slice
    }
}

/// Memory that grows with what is asked of it. What it grows out of lives on until [`Scratch::settle`], because launches that were
/// not yet enqueued may name it.
pub struct Scratch<T> {
    current: Option<Memory<T>>,
    outgrown: Vec<Memory<T>>,
}

impl<T> Default for Scratch<T> {
    fn default() -> Self {
        Self { current: None, outgrown: Vec::new() }
    }
}

impl<T: DeviceRepr + ValidAsZeroBits> Scratch<T> {
    /// The address of room for `len` values; 0 for none.
    ///
    /// # Errors
    /// Out of memory, or the device failed.
    pub fn reserve(&mut self, stream: &Arc<CudaStream>, len: usize) -> Result<u64, Error> {
        if len == 0 {
            return Ok(0);
        }
        if self.current.as_ref().is_none_or(|memory| memory.len() < len) {
            let grown = Memory::zeros(stream, len)?;
            self.outgrown.extend(self.current.replace(grown));
        }
        Ok(self.current.as_ref().map_or(0, |memory| memory.at(0)))
    }

    /// Frees what was outgrown; everything that names it is enqueued.
    pub fn settle(&mut self) {
        self.outgrown.clear();
    }

    /// Enqueues a copy of `values` to the front of the room that was reserved for them.
    ///
    /// # Errors
    /// The device failed.
    pub fn write(&mut self, stream: &Arc<CudaStream>, values: &[T]) -> Result<(), Error> {
        self.current.as_mut().map_or(Ok(()), |memory| memory.write(stream, 0, values))
    }

    /// Enqueues a copy of the first elements into `values`, as [`Memory::read`] does.
    ///
    /// # Errors
    /// The device failed.
    pub fn read(&self, stream: &Arc<CudaStream>, values: &mut [T]) -> Result<(), Error> {
        self.current.as_ref().map_or(Ok(()), |memory| memory.read(stream, values))
    }
}
