//! The IDX format of MNIST: two zero bytes, a type code, the number of dimensions, the dimensions as big-endian u32, then the
//! elements in row-major order (LeCun, Cortes, Burges, *The MNIST database*, "File formats").
//!
//! Nothing in a file is believed before it is checked: memory is asked for only once the file is known to be long enough.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::{Fault, Images};

/// Height and width of an image in pixels: what the models take.
const SIDE: u32 = 28;

const UNSIGNED_BYTE: u8 = 0x08;
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Deflate encodes at most 258 bytes in two bits, so no stream grows by more than this.
const MOST_EXPANSION: u64 = 1032;

/// The header of an IDX file of unsigned bytes.
pub fn header(dimensions: &[usize]) -> Vec<u8> {
    let sizes = dimensions.iter().flat_map(|&d| (d as u32).to_be_bytes());
    [0, 0, UNSIGNED_BYTE, dimensions.len() as u8].into_iter().chain(sizes).collect()
}

/// The images of the file at `path`, compressed or not: an array [count, 28, 28] with count at least 1.
pub fn read_images(path: &Path) -> Result<Images, Fault> {
    images(Reader::open(path)?)
}

/// The labels of the file at `path`, compressed or not: an array [count] of 0 to 9 with count at least 1.
pub fn read_labels(path: &Path) -> Result<Vec<u8>, Fault> {
    labels(Reader::open(path)?)
}

fn images<R: BufRead>(mut reader: Reader<R>) -> Result<Images, Fault> {
    let [count, rows, columns] = reader.dimensions()?;
    if [rows, columns] != [SIDE, SIDE] {
        return Err(Fault::ImageSize { rows, columns });
    }
    let pixels = reader.elements(u64::from(count) * u64::from(SIDE * SIDE))?;
    Ok(Images::new(SIDE as usize, SIDE as usize, pixels))
}

fn labels<R: BufRead>(mut reader: Reader<R>) -> Result<Vec<u8>, Fault> {
    let [count] = reader.dimensions()?;
    let labels = reader.elements(u64::from(count))?;
    match labels.iter().position(|&label| label > 9) {
        Some(index) => Err(Fault::Label { label: labels[index], index, offset: 8 + index as u64 }),
        None => Ok(labels),
    }
}

enum Source<R> {
    Plain(R),
    Gzip(Box<MultiGzDecoder<R>>),
}

impl<R: BufRead> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(plain) => plain.read(buffer),
            Self::Gzip(gzip) => gzip.read(buffer),
        }
    }
}

/// An IDX file that is being read from front to back.
struct Reader<R> {
    source: Source<R>,
    /// The file's length on disk.
    length: u64,
    /// How many uncompressed bytes have been read.
    offset: u64,
}

impl Reader<BufReader<File>> {
    fn open(path: &Path) -> Result<Self, Fault> {
        let fault = |error: io::Error| match error.kind() {
            io::ErrorKind::PermissionDenied => Fault::Denied,
            io::ErrorKind::NotFound => Fault::MissingFile,
            _ => Fault::Read { offset: 0, source: error },
        };
        // Asked before opening: to open a pipe would wait for its writer.
        let metadata = fs::metadata(path).map_err(fault)?;
        if !metadata.is_file() {
            return Err(Fault::NotAFile);
        }
        let file = File::open(path).map_err(fault)?;
        Self::new(BufReader::with_capacity(1 << 16, file), metadata.len())
    }
}

impl<R: BufRead> Reader<R> {
    /// Whether the bytes are compressed is told by the first two: a name can lie.
    fn new(mut file: R, length: u64) -> Result<Self, Fault> {
        let start = file.fill_buf().map_err(|source| Fault::Read { offset: 0, source })?;
        let gzip = start.starts_with(&GZIP);
        let source = if gzip { Source::Gzip(Box::new(MultiGzDecoder::new(file))) } else { Source::Plain(file) };
        Ok(Self { source, length, offset: 0 })
    }

    /// Reads the header of an array of unsigned bytes with `D` dimensions, of which the first is not 0.
    fn dimensions<const D: usize>(&mut self) -> Result<[u32; D], Fault> {
        let header = 4 + 4 * D as u64;
        let magic = self.header_part::<4>(header)?;
        match magic {
            [0, 0, UNSIGNED_BYTE, dimensions] if usize::from(dimensions) == D => {}
            [0, 0, UNSIGNED_BYTE, found] => return Err(Fault::Dimensions { found, expected: D as u8 }),
            [0, 0, found, _] => return Err(Fault::ElementType { found }),
            [first, second, ..] => return Err(Fault::NotIdx { found: [first, second] }),
        }
        let mut sizes = [0; D];
        for size in &mut sizes {
            *size = u32::from_be_bytes(self.header_part(header)?);
        }
        if sizes[0] == 0 { Err(Fault::NoElements) } else { Ok(sizes) }
    }

    /// The next `N` bytes of a header that is `header` bytes long.
    fn header_part<const N: usize>(&mut self, header: u64) -> Result<[u8; N], Fault> {
        let bytes = self.at_most(N as u64)?;
        bytes.try_into().map_err(|_| match self.offset {
            0 => Fault::Empty,
            held => Fault::HeaderCut { held, header },
        })
    }

    /// The `count` bytes that follow the header and end the file.
    fn elements(&mut self, count: u64) -> Result<Vec<u8>, Fault> {
        let promised = self.offset + count;
        match self.source {
            Source::Plain(_) if promised > self.length => {
                return Err(Fault::Truncated { held: self.length, promised });
            }
            Source::Gzip(_) if promised > self.length.saturating_mul(MOST_EXPANSION) => {
                return Err(Fault::Overstated { promised, compressed: self.length });
            }
            _ => {}
        }
        let bytes = self.at_most(count)?;
        if self.offset < promised {
            return Err(Fault::Truncated { held: self.offset, promised });
        }
        // One byte more is asked for also because the decoder compares its checksum only at the end.
        if self.at_most(1)?.is_empty() { Ok(bytes) } else { Err(Fault::TrailingBytes { promised }) }
    }

    /// The next `count` bytes, or fewer where the file ends.
    fn at_most(&mut self, count: u64) -> Result<Vec<u8>, Fault> {
        let mut bytes = Vec::new();
        let size = usize::try_from(count).map_err(|_| Fault::Memory { bytes: count })?;
        bytes.try_reserve_exact(size).map_err(|_| Fault::Memory { bytes: count })?;
        let outcome = (&mut self.source).take(count).read_to_end(&mut bytes);
        self.offset += bytes.len() as u64;
        match outcome {
            Ok(_) => Ok(bytes),
            // The decoder's own errors carry no error number; those of the file beneath it do.
            Err(source) if source.raw_os_error().is_none() && matches!(self.source, Source::Gzip(_)) => {
                Err(Fault::Gzip { offset: self.offset, source })
            }
            Err(source) => Err(Fault::Read { offset: self.offset, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    fn read_from(bytes: &[u8]) -> (Result<Images, Fault>, Result<Vec<u8>, Fault>) {
        let open = || Reader::new(bytes, bytes.len() as u64);
        (open().and_then(images), open().and_then(labels))
    }

    fn compressed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// The headers of images and of labels, whole or changed in one byte.
    fn nearly_header() -> impl Strategy<Value = Vec<u8>> {
        let whole = prop_oneof![Just(header(&[2, 28, 28])), Just(header(&[5]))];
        (whole, any::<prop::sample::Index>(), any::<Option<u8>>()).prop_map(|(mut header, place, byte)| {
            if let Some(byte) = byte {
                let place = place.index(header.len());
                header[place] = byte;
            }
            header
        })
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = read_from(&bytes);
            let _ = read_from(&compressed(&bytes));
            let _ = read_from(&[&GZIP[..], &[8, 0], &bytes].concat());
        }

        #[test]
        fn nearly_right_files_give_what_they_hold_or_a_fault(
            header in nearly_header(),
            body in prop::collection::vec(0..=10u8, 0..1600),
        ) {
            let file = [header, body.clone()].concat();
            for bytes in [file.clone(), compressed(&file)] {
                let (images, labels) = read_from(&bytes);
                if let Ok(images) = images {
                    prop_assert_eq!(images.pixels(), &body[..]);
                }
                if let Ok(labels) = labels {
                    prop_assert_eq!(labels, &body[..]);
                }
            }
        }

        #[test]
        fn a_changed_or_cut_gzip_file_is_never_taken_for_another_array(
            place in any::<prop::sample::Index>(),
            byte in any::<u8>(),
            cut in any::<bool>(),
        ) {
            let body: Vec<u8> = (0..200).map(|i| (i * i % 10) as u8).collect();
            let mut bytes = compressed(&[header(&[200]), body.clone()].concat());
            let place = place.index(bytes.len());
            if cut { bytes.truncate(place) } else { bytes[place] = byte }
            if let Ok(labels) = read_from(&bytes).1 {
                prop_assert!(!cut);
                prop_assert_eq!(labels, body);
            }
        }
    }

    #[test]
    fn a_count_of_four_billion_is_refused_before_memory_is_asked_for() {
        let file = header(&[u32::MAX as usize, 28, 28]);
        assert!(matches!(read_from(&file).0, Err(Fault::Truncated { held: 16, promised: 3_367_254_359_296 })));
        assert!(matches!(read_from(&compressed(&file)).0, Err(Fault::Overstated { .. })));
    }

    #[test]
    fn the_memory_for_the_pixels_is_asked_for_once_and_exactly() {
        let file = [header(&[40, 28, 28]), vec![7; 40 * 784]].concat();
        for bytes in [file.clone(), compressed(&file)] {
            let mut reader = Reader::new(&bytes[..], bytes.len() as u64).unwrap();
            reader.dimensions::<3>().unwrap();
            let pixels = reader.elements(40 * 784).unwrap();
            assert_eq!((pixels.len(), pixels.capacity()), (40 * 784, 40 * 784));
        }
    }

    #[test]
    fn a_failing_disk_is_told_from_a_damaged_gzip_stream() {
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::from_raw_os_error(5))
            }
        }
        let whole = compressed(&header(&[5]));
        let file = BufReader::with_capacity(12, (&whole[..12]).chain(Failing));
        let reader = Reader::new(file, 1000).unwrap();
        assert!(matches!(labels(reader), Err(Fault::Read { .. })));
        let reader = Reader::new(&whole[..12], 1000).unwrap();
        assert!(matches!(labels(reader), Err(Fault::Gzip { .. })));
    }
}
