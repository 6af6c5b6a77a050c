//! Arrays in NumPy's `.npy` format, as far as images and codes need it: u8, f32 and f64, the last index running fastest.
//!
//! A file is `\x93NUMPY`, a version (2 bytes), the length of the header (2 bytes in version 1, 4 later), the header, a Python dictionary
//! with the keys `descr`, `fortran_order` and `shape`, and the elements.

/// Why bytes are not an array that can be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NpyError {
    /// Not the format, or cut off.
    #[error("not a whole .npy file ({0}); save it anew with numpy.save")]
    Format(&'static str),
    /// Elements of another type.
    #[error("holds elements of type {0}; save array.astype('float32')")]
    Type(String),
    /// The first index runs fastest.
    #[error("is in Fortran order; save numpy.ascontiguousarray(array)")]
    Fortran,
}

/// An array.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Its sizes.
    pub shape: Vec<usize>,
    /// Its elements; bytes as 0 to 255.
    pub values: Vec<f32>,
    /// Whether they were bytes.
    pub bytes: bool,
}

const MAGIC: &[u8] = b"\x93NUMPY";

impl Array {
    /// Reads an array. Its size is that of the bytes given: nothing larger is allocated.
    ///
    /// # Errors
    /// The bytes are something else, or an array that cannot be used.
    pub fn from_bytes(file: &[u8]) -> Result<Self, NpyError> {
        let (header, data) = split(file)?;
        let descr = entry(header, "descr").ok_or(NpyError::Format("no descr"))?;
        let descr = descr.trim_start_matches(['\'', '"']).split(['\'', '"']).next().unwrap_or_default();
        let shape = shape(entry(header, "shape").ok_or(NpyError::Format("no shape"))?)?;
        if entry(header, "fortran_order").is_none_or(|order| !order.starts_with("False")) && shape.len() > 1 {
            return Err(NpyError::Fortran);
        }
        let count = shape.iter().try_fold(1usize, |count, size| count.checked_mul(*size));
        let size = match descr {
            "|u1" => 1,
            "<f4" | ">f4" => 4,
            "<f8" | ">f8" => 8,
            other => return Err(NpyError::Type(other.chars().take(32).collect())),
        };
        if count.and_then(|count| count.checked_mul(size)) != Some(data.len()) {
            return Err(NpyError::Format("its length is not that of its shape"));
        }
        Ok(Self { values: elements(descr, data), shape, bytes: size == 1 })
    }

    /// The file of an array of f32.
    pub fn to_bytes(shape: &[usize], values: &[f32]) -> Vec<u8> {
        let sizes: String = shape.iter().map(|size| format!("{size}, ")).collect();
        let dictionary = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", sizes.trim_end());
        // Elements begin at a multiple of 64; the header ends with a line break.
        let length = (MAGIC.len() + 4 + dictionary.len() + 1).next_multiple_of(64) - MAGIC.len() - 4;
        let header = format!("{dictionary:width$}\n", width = length - 1);
        let start = [MAGIC, &[1, 0], &(length as u16).to_le_bytes(), header.as_bytes()].concat();
        start.into_iter().chain(values.iter().flat_map(|value| value.to_le_bytes())).collect()
    }
}

/// The header and the elements.
fn split(file: &[u8]) -> Result<(&str, &[u8]), NpyError> {
    let cut = NpyError::Format("its header is cut off");
    let rest = file.strip_prefix(MAGIC).ok_or(NpyError::Format("it does not begin like one"))?;
    let (length, rest) = match rest {
        [1, _, a, b, rest @ ..] => (u32::from_le_bytes([*a, *b, 0, 0]), rest),
        [2 | 3, _, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]), rest),
        _ => return Err(cut),
    };
    let (header, data) = rest.split_at_checked(length as usize).ok_or(cut)?;
    Ok((std::str::from_utf8(header).map_err(|_| NpyError::Format("its header is no text"))?, data))
}

/// What stands behind a key of the header.
fn entry<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let at = ["'", "\""].into_iter().find_map(|quote| header.find(&format!("{quote}{key}{quote}")))?;
    Some(header[at + key.len() + 2..].trim_start().strip_prefix(':')?.trim_start())
}

/// The sizes in `(2, 3), ...`.
fn shape(text: &str) -> Result<Vec<usize>, NpyError> {
    let fault = NpyError::Format("its shape is no tuple of sizes");
    let Some((sizes, _)) = text.strip_prefix('(').and_then(|text| text.split_once(')')) else { return Err(fault) };
    let sizes = sizes.split(',').map(str::trim).filter(|size| !size.is_empty());
    sizes.map(|size| size.parse().map_err(|_| NpyError::Format("its shape is no tuple of sizes"))).collect()
}

fn elements(descr: &str, data: &[u8]) -> Vec<f32> {
    let (four, _) = data.as_chunks::<4>();
    let (eight, _) = data.as_chunks::<8>();
    match descr {
        "<f4" => four.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        ">f4" => four.iter().map(|bytes| f32::from_be_bytes(*bytes)).collect(),
        "<f8" => eight.iter().map(|bytes| f64::from_le_bytes(*bytes) as f32).collect(),
        ">f8" => eight.iter().map(|bytes| f64::from_be_bytes(*bytes) as f32).collect(),
        _ => data.iter().map(|byte| f32::from(*byte)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As NumPy 2 writes it, by its documentation of the format.
    fn numpy(descr: &str, order: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let mut header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}");
        header += &" ".repeat((64 - (10 + header.len() + 1) % 64) % 64);
        header.push('\n');
        [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), data].concat()
    }

    #[test]
    fn what_was_written_is_read_and_is_what_numpy_writes() {
        let values = [1.0, -2.5, 3.0, 0.0, 5.0, 6.0];
        let file = Array::to_bytes(&[2, 3], &values);
        let data: Vec<u8> = values.iter().flat_map(|x: &f32| x.to_le_bytes()).collect();
        assert_eq!(file, numpy("<f4", "False", "(2, 3,)", &data));
        assert_eq!(Array::from_bytes(&file), Ok(Array { shape: vec![2, 3], values: values.to_vec(), bytes: false }));
    }

    #[test]
    fn bytes_doubles_and_the_other_byte_order_are_read() {
        let read =
            |descr: &str, shape: &str, data: &[u8]| Array::from_bytes(&numpy(descr, "False", shape, data)).unwrap();
        assert_eq!(read("|u1", "(2,)", &[7, 255]), Array { shape: vec![2], values: vec![7.0, 255.0], bytes: true });
        assert_eq!(read("<f8", "(1, 1)", &2.5f64.to_le_bytes()).values, [2.5]);
        assert_eq!(read(">f4", "(1,)", &0.25f32.to_be_bytes()).values, [0.25]);
        assert_eq!(read("<f4", "()", &4f32.to_le_bytes()).shape, [0usize; 0]);
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        let error = |file: &[u8]| Array::from_bytes(file).unwrap_err();
        assert!(matches!(error(b"\x89PNG"), NpyError::Format(_)));
        assert_eq!(error(&numpy("<f4", "True", "(1, 2)", &[0; 8])), NpyError::Fortran);
        assert_eq!(error(&numpy("<i8", "False", "(1,)", &[0; 8])), NpyError::Type("<i8".to_owned()));
        for shape in ["(3,)", "(18446744073709551615, 2)", "(4611686018427387904, 4)", "(-1,)", "5", "(a,)"] {
            assert!(matches!(error(&numpy("<f4", "False", shape, &[0; 8])), NpyError::Format(_)), "{shape}");
        }
        let whole = Array::to_bytes(&[4], &[0.5; 4]);
        for length in 0..whole.len() {
            assert!(Array::from_bytes(&whole[..length]).is_err(), "{length} bytes");
        }
    }
}
