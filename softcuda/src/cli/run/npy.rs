//! Arrays in `.npy` files.

use super::argument::byte_count;
use super::element::Element;
use npyz::{DType, NpyHeader, Order, WriteOptions, WriterBuilder};
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The longest header that is read: an array of numbers has one of about a hundred bytes.
const LONGEST_HEADER: usize = 4096;

/// An array that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum NpyError {
    /// The file cannot be read.
    #[error("{} cannot be read: {cause}; name a .npy file that exists", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        cause: io::Error,
    },
    /// The content is not an array of numbers.
    #[error("{} is not an array of numbers: {reason}; save it anew with numpy.save", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The elements have another type.
    #[error(
        "{} holds elements of type {found}, the buffer has {expected} ({}): convert the array with astype, or change the \
         buffer's type", path.display(), expected_name
    )]
    Type {
        /// The file.
        path: PathBuf,
        /// The file's type, as numpy writes it.
        found: String,
        /// The buffer's type, as numpy writes it.
        expected: &'static str,
        /// The buffer's type.
        expected_name: &'static str,
    },
    /// Columns run fastest.
    #[error("{} is in Fortran order: save numpy.ascontiguousarray of it", path.display())]
    Fortran {
        /// The file.
        path: PathBuf,
    },
    /// The number of elements is another.
    #[error("{} has the shape {found:?}, the buffer {expected:?}: give the buffer the same number of elements", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// The file's shape.
        found: Vec<u64>,
        /// The buffer's.
        expected: Vec<u64>,
    },
    /// The file cannot be written.
    #[error("{} cannot be written: {cause}; name a file in a folder where you may write, on a disk with room", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        cause: io::Error,
    },
}

/// An array of which the header was read; its elements follow.
#[derive(Debug)]
pub struct Array {
    path: PathBuf,
    /// Its shape.
    pub shape: Vec<u64>,
    data: BufReader<File>,
}

impl Array {
    /// Opens an array of `element`s; its file is as long as its shape demands.
    ///
    /// # Errors
    /// The file is missing, or not such an array.
    pub fn open(path: &Path, element: Element) -> Result<Array, NpyError> {
        let unreadable = |cause| NpyError::Unreadable { path: path.to_owned(), cause };
        let malformed = |reason: String| NpyError::Malformed { path: path.to_owned(), reason };
        let file = File::open(path).map_err(unreadable)?;
        let length = file.metadata().map_err(unreadable)?.len();
        let mut data = BufReader::new(file);
        let text = read_header(&mut data).map_err(|error| malformed(error.to_string()))?;
        let header = NpyHeader::from_reader(&text[..]).map_err(|error| malformed(error.to_string()))?;
        let found = header.dtype().descr();
        if found.trim_matches('\'') != element.npy() {
            let (expected, expected_name) = (element.npy(), element.name());
            return Err(NpyError::Type { path: path.to_owned(), found, expected, expected_name });
        }
        let shape = header.shape().to_vec();
        if header.order() == Order::Fortran && shape.len() > 1 {
            return Err(NpyError::Fortran { path: path.to_owned() });
        }
        let there = length.saturating_sub(text.len() as u64);
        if byte_count(element, &shape) != Some(there) {
            return Err(malformed(format!("{there} bytes do not hold an array of shape {shape:?}")));
        }
        Ok(Array { path: path.to_owned(), shape, data })
    }

    /// Checks the array against the shape of the buffer that it is to fill.
    ///
    /// # Errors
    /// The numbers of elements differ.
    pub fn expect(&self, expected: &[u64]) -> Result<(), NpyError> {
        if self.shape.iter().product::<u64>() == expected.iter().product::<u64>() {
            return Ok(());
        }
        let (path, found, expected) = (self.path.clone(), self.shape.clone(), expected.to_vec());
        Err(NpyError::Shape { path, found, expected })
    }

    /// Reads the next elements into `bytes`.
    ///
    /// # Errors
    /// The file cannot be read, or was cut off meanwhile.
    pub fn read(&mut self, bytes: &mut [u8]) -> Result<(), NpyError> {
        self.data.read_exact(bytes).map_err(|cause| NpyError::Unreadable { path: self.path.clone(), cause })
    }
}

/// Everything before the elements: magic, version, length and the text that describes the array.
fn read_header(reader: &mut impl Read) -> io::Result<Vec<u8>> {
    let invalid = |reason: &str| io::Error::new(io::ErrorKind::InvalidData, reason.to_owned());
    let mut header = vec![0; 10];
    reader.read_exact(&mut header).map_err(|_| invalid("it is shorter than a header"))?;
    if !header.starts_with(b"\x93NUMPY") {
        return Err(invalid("it does not begin like a .npy file"));
    }
    let mut length = u64::from(u16::from_le_bytes([header[8], header[9]]));
    if header[6] > 1 {
        let mut high = [0; 2];
        reader.read_exact(&mut high)?;
        length |= u64::from(u16::from_le_bytes(high)) << 16;
        header.extend(high);
    }
    if length > LONGEST_HEADER as u64 {
        return Err(invalid("its header is longer than that of an array of numbers"));
    }
    let start = header.len();
    header.resize(start + length as usize, 0);
    reader.read_exact(&mut header[start..]).map_err(|_| invalid("its header is cut off"))?;
    if is_plain(&header[start..]) { Ok(header) } else { Err(invalid("its header describes no array of numbers")) }
}

/// Whether a header is shallow, and the product of all its numbers fits 64 bits: the library that interprets it checks
/// neither.
fn is_plain(text: &[u8]) -> bool {
    const BRACKETS: usize = 8;
    let numbers = text.split(|byte| !byte.is_ascii_digit()).filter(|digits| !digits.is_empty());
    let product = numbers.into_iter().try_fold(1u64, |product, digits| {
        let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
        product.checked_mul(number.max(1))
    });
    product.is_some() && text.iter().filter(|byte| b"([{-+~".contains(byte)).count() <= BRACKETS
}

/// Writes an array whole or not at all: `fill` is asked for its bytes, which take the name `path` when they are on the
/// disk.
///
/// # Errors
/// The file cannot be written, or `fill` fails.
pub fn write<E: From<NpyError>>(
    path: &Path,
    element: Element,
    shape: &[u64],
    fill: impl FnOnce(&mut dyn Write) -> Result<io::Result<()>, E>,
) -> Result<(), E> {
    let unwritable = |cause| NpyError::Unwritable { path: path.to_owned(), cause };
    // A link is followed, not replaced.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let permissions = fs::Permissions::from_mode(0o666);
    let file = tempfile::Builder::new().prefix(".softcuda-").permissions(permissions).tempfile_in(folder);
    let mut writer = BufWriter::new(file.map_err(unwritable)?);
    write_header(&mut writer, element, shape).map_err(unwritable)?;
    fill(&mut writer)?.map_err(unwritable)?;
    let file = writer.into_inner().map_err(|error| unwritable(error.into_error()))?;
    file.as_file().sync_all().map_err(unwritable)?;
    file.persist(&target).map_err(|error| unwritable(error.error))?;
    Ok(())
}

fn write_header(writer: &mut impl Write, element: Element, shape: &[u64]) -> io::Result<()> {
    let invalid = |error| io::Error::new(io::ErrorKind::InvalidInput, format!("{error}"));
    let dtype = DType::new_scalar(element.npy().parse().map_err(invalid)?);
    WriteOptions::new_header_only().dtype(dtype).shape(shape).writer(writer).write_header_only()?;
    Ok(())
}

/// Whether a file could be written to `path`, as far as this can be told before.
///
/// # Errors
/// Its folder does not exist, or `path` is something other than a file.
pub fn check_target(path: &Path) -> Result<(), NpyError> {
    let unwritable = |reason: &str| NpyError::Unwritable { path: path.to_owned(), cause: io::Error::other(reason) };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(unwritable("its folder does not exist"));
    }
    match fs::metadata(path) {
        Ok(old) if !old.is_file() => Err(unwritable("it is there and not an ordinary file")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(element: Element, shape: &[u64], bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        write::<NpyError>(&path, element, shape, |writer| Ok(writer.write_all(bytes))).unwrap();
        (folder, path)
    }

    #[test]
    fn arrays_of_every_type_come_back_as_they_were() {
        for name in ["u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64", "f16", "bf16", "f32", "f64"] {
            let element = Element::parse(name).unwrap();
            let bytes: Vec<u8> = (0..6 * element.bytes() as u8).collect();
            let (_folder, path) = written(element, &[2, 3], &bytes);
            let mut array = Array::open(&path, element).unwrap();
            let mut read = vec![0; bytes.len()];
            array.read(&mut read).unwrap();
            assert_eq!((array.shape, read), (vec![2, 3], bytes), "{name}");
        }
    }

    #[test]
    fn another_type_or_number_of_elements_is_refused() {
        let (_folder, path) = written(Element::F64, &[3], &[0; 24]);
        let error = Array::open(&path, Element::F32).unwrap_err().to_string();
        assert!(error.contains("'<f8'") && error.contains("<f4 (f32)"), "{error}");
        let array = Array::open(&path, Element::F64).unwrap();
        assert!(array.expect(&[3, 1]).is_ok());
        assert!(array.expect(&[4]).unwrap_err().to_string().contains("[3], the buffer [4]"));
    }

    #[test]
    fn header_that_does_not_fit_its_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        let deep = "(".repeat(2000);
        for shape in ["(5,)", "(9223372036854775807, 4, 0)", "(99999999999999999999,)", &deep, "(-1,)", "7"] {
            let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n");
            let mut file = b"\x93NUMPY\x01\x00".to_vec();
            file.extend((text.len() as u16).to_le_bytes());
            file.extend(text.as_bytes());
            file.extend([0; 16]);
            fs::write(&path, &file).unwrap();
            let error = Array::open(&path, Element::F32).unwrap_err().to_string();
            assert!(error.contains("is not an array of numbers"), "{shape}: {error}");
            fs::write(&path, &file[..20]).unwrap();
            assert!(Array::open(&path, Element::F32).is_err());
        }
    }

    #[test]
    fn columns_that_run_fastest_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        let options = WriteOptions::new_header_only().dtype(DType::new_scalar("<f4".parse().unwrap()));
        let mut file = Vec::new();
        options.shape(&[2, 2]).order(Order::Fortran).writer(&mut file).write_header_only().unwrap();
        file.extend([0; 16]);
        fs::write(&path, &file).unwrap();
        assert!(matches!(Array::open(&path, Element::F32), Err(NpyError::Fortran { .. })));
    }

    #[test]
    fn failed_write_leaves_the_old_file_and_nothing_else() {
        let (folder, path) = written(Element::Unsigned(8), &[1], &[7]);
        let before = fs::read(&path).unwrap();
        let full = |_: &mut dyn Write| Ok(Err(io::ErrorKind::StorageFull.into()));
        assert!(write::<NpyError>(&path, Element::F64, &[1], full).is_err());
        assert_eq!(fs::read(&path).unwrap(), before);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
