//! Buffers in device memory: made, filled, shown and saved.

use super::argument::{Buffer, byte_count};
use super::element::Element;
use super::fill::Fill;
use super::npy::{self, Array, NpyError};
use crate::check::global::Order;
use crate::machine::{Machine, OutOfBounds};
use crate::memory::{Kind, OutOfMemory};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

/// Elements that are copied at a time.
const CHUNK: u64 = 1 << 16;
/// Elements that are shown.
const SHOWN: u64 = 8;

/// A buffer that could not be made or saved.
#[derive(Debug, thiserror::Error)]
pub enum BufferError {
    /// Its file cannot be used.
    #[error("{0}")]
    Npy(#[from] NpyError),
    /// Too large.
    #[error("{0}, or --memory")]
    Memory(#[from] OutOfMemory),
    /// It is not where it was made: a defect of this program.
    #[error("{0}; this is a defect of softcuda: report it")]
    Lost(#[from] OutOfBounds),
}

/// A device whose operations follow one another.
#[derive(Debug)]
pub struct Device<'a> {
    /// The device.
    pub machine: &'a Machine,
    sequence: u64,
}

impl<'a> Device<'a> {
    /// Nothing was done on it yet.
    pub fn new(machine: &'a Machine) -> Device<'a> {
        Device { machine, sequence: 0 }
    }

    /// The place of the next operation.
    pub fn next_order(&mut self) -> Order {
        self.sequence += 1;
        Order { stream: 0, sequence: self.sequence, after: Arc::default() }
    }
}

/// A buffer in device memory.
#[derive(Clone, Debug)]
pub struct Placed {
    /// Its first address.
    pub address: u64,
    /// The type of its elements.
    pub element: Element,
    /// Its sides.
    pub shape: Vec<u64>,
}

impl Placed {
    /// Allocates and fills a buffer.
    ///
    /// # Errors
    /// There is not enough memory, or the file that fills it cannot be used.
    pub fn make(device: &mut Device, buffer: &Buffer) -> Result<Placed, BufferError> {
        let array = match &buffer.fill {
            Fill::File(path) => Some(Array::open(path, buffer.element)?),
            _ => None,
        };
        let shape = match (&buffer.shape, &array) {
            (Some(shape), Some(array)) => array.expect(shape).map(|()| shape.clone())?,
            (Some(shape), None) => shape.clone(),
            (None, Some(array)) => array.shape.clone(),
            (None, None) => Vec::new(),
        };
        // A number of bytes that does not fit is more than there is.
        let bytes = byte_count(buffer.element, &shape).unwrap_or(u64::MAX);
        let address = device.machine.allocate(bytes, Kind::Device)?;
        let placed = Placed { address, element: buffer.element, shape };
        placed.fill(device, &buffer.fill, array)?;
        Ok(placed)
    }

    fn fill(&self, device: &mut Device, fill: &Fill, mut array: Option<Array>) -> Result<(), BufferError> {
        if *fill == Fill::Unwritten {
            return Ok(());
        }
        for (first, count) in self.chunks() {
            let mut bytes = vec![0; count as usize * self.element.bytes()];
            match &mut array {
                Some(array) => array.read(&mut bytes)?,
                None => {
                    let values = (first..first + count).filter_map(|index| fill.value(self.element, index));
                    for (place, value) in bytes.chunks_exact_mut(self.element.bytes()).zip(values) {
                        place.copy_from_slice(&value.to_le_bytes()[..self.element.bytes()]);
                    }
                }
            }
            let address = self.address + first * self.element.bytes() as u64;
            device.machine.write(&device.next_order(), "the fill of a buffer", address, &bytes)?;
        }
        Ok(())
    }

    fn elements(&self) -> u64 {
        self.shape.iter().product()
    }

    /// The first element and the length of each part that is copied at a time.
    fn chunks(&self) -> impl Iterator<Item = (u64, u64)> + use<> {
        let elements = self.elements();
        (0..elements.div_ceil(CHUNK)).map(move |chunk| (chunk * CHUNK, CHUNK.min(elements - chunk * CHUNK)))
    }

    fn read(&self, device: &mut Device, first: u64, count: u64) -> Result<Vec<u8>, OutOfBounds> {
        let mut bytes = vec![0; count as usize * self.element.bytes()];
        let address = self.address + first * self.element.bytes() as u64;
        device.machine.read(&device.next_order(), "the copy of a buffer", address, &mut bytes)?;
        Ok(bytes)
    }

    /// Saves the buffer as a `.npy` file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, device: &mut Device, path: &Path) -> Result<(), BufferError> {
        npy::write(path, self.element, &self.shape, |writer: &mut dyn Write| {
            for (first, count) in self.chunks() {
                if let Err(error) = writer.write_all(&self.read(device, first, count)?) {
                    return Ok(Err(error));
                }
            }
            Ok(Ok(()))
        })
    }

    /// Its type and shape, such as `f32[64,64]`.
    pub fn describe(&self) -> String {
        let sides: Vec<String> = self.shape.iter().map(u64::to_string).collect();
        format!("{}[{}]", self.element.name(), sides.join(","))
    }

    /// Its first values.
    ///
    /// # Errors
    /// Never, unless this program has a defect.
    pub fn preview(&self, device: &mut Device) -> Result<String, BufferError> {
        let bytes = self.read(device, 0, self.elements().min(SHOWN))?;
        let mut values: Vec<String> = bytes
            .chunks_exact(self.element.bytes())
            .map(|value| {
                let mut bits = [0; 8];
                bits[..value.len()].copy_from_slice(value);
                self.element.show(u64::from_le_bytes(bits))
            })
            .collect();
        if self.elements() > SHOWN {
            values.push("...".to_owned());
        }
        Ok(values.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::run::argument::Argument;
    use crate::settings::{Checks, Settings};

    fn machine() -> Machine {
        Machine::new(Settings { memory: 1 << 20, checks: Checks::ALL, ..Settings::default() }).unwrap()
    }

    fn make(device: &mut Device, text: &str) -> Result<Placed, BufferError> {
        match text.parse() {
            Ok(Argument::Buffer(buffer)) => Placed::make(device, &buffer),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn buffers_longer_than_a_chunk_come_back_whole_from_their_file() {
        let machine = machine();
        let mut device = Device::new(&machine);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ramp.npy");
        let ramp = make(&mut device, "u16[3,30000]=ramp").unwrap();
        ramp.save(&mut device, &path).unwrap();
        let back = make(&mut device, &format!("u16[]=@{}", path.display())).unwrap();
        assert_eq!(back.shape, [3, 30_000]);
        let bytes = back.read(&mut device, 0, 90_000).unwrap();
        assert!(bytes.chunks_exact(2).enumerate().all(|(i, b)| u16::from_le_bytes([b[0], b[1]]) == i as u16));
        assert_eq!(bytes.len(), 180_000);
    }

    #[test]
    fn previews_show_the_first_values() {
        let machine = machine();
        let mut device = Device::new(&machine);
        for (text, shown) in [
            ("f32[9]=ramp", "0 1 2 3 4 5 6 7 ..."),
            ("i8[2]=-3", "-3 -3"),
            ("f64[0]=zeros", ""),
            ("f16[3]=ramp", "0 1 2"),
        ] {
            assert_eq!(make(&mut device, text).unwrap().preview(&mut device).unwrap(), shown, "{text}");
        }
        assert_eq!(make(&mut device, "f32[2,3]").unwrap().describe(), "f32[2,3]");
    }

    #[test]
    fn buffer_beyond_the_memory_is_refused_before_its_content_is_made() {
        let machine = machine();
        let error = make(&mut Device::new(&machine), "f32[1000000000000]=ramp").unwrap_err().to_string();
        assert!(error.starts_with("out of device memory: 4000000000000 bytes"), "{error}");
    }
}
