//! Images of one's own: PNG, `.npy` and IDX files.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use super::{Fault, idx};
use crate::tensor::{Array, NpyError};

/// The largest PNG that is read, in pixels.
const MOST_PIXELS: u64 = 1 << 26;

/// A file that holds no images that can be used.
#[derive(Debug, thiserror::Error)]
pub enum OwnError {
    /// It cannot be read.
    #[error("cannot read {path}: {source}; name a PNG, .npy or IDX file")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is no PNG that can be used.
    #[error("{path}: no whole PNG image ({problem}); save it anew, grey or in colour")]
    Png {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// It is no array that can be used.
    #[error("{path}: {source}")]
    Npy {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: NpyError,
    },
    /// Its array is none of images.
    #[error(
        "{path}: an array of shape {shape:?}; images are [count, pixels], [count, rows, columns] or [rows, columns]"
    )]
    Shape {
        /// The file.
        path: PathBuf,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// It is no IDX file that can be used.
    #[error("{path}: {fault}; name a PNG, .npy or IDX file of images")]
    Idx {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: Fault,
    },
    /// It holds no image.
    #[error("{path}: holds no image; name a file with at least one")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A value that is no brightness.
    #[error(
        "{path}: pixel {pixel} of image {image} is {value}, not a number from 0 to 1; scale the images to that range"
    )]
    Value {
        /// The file.
        path: PathBuf,
        /// The image, from 0.
        image: usize,
        /// The pixel, from 0.
        pixel: usize,
        /// Its value.
        value: f32,
    },
}

/// Images of one size.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnImages {
    /// Rows and columns, where the file says them: an array `[count, pixels]` does not.
    pub shape: Option<(usize, usize)>,
    /// Pixels of an image.
    pub pixels: usize,
    /// `[count, pixels]`, 0 the background and 1 full ink.
    pub values: Vec<f32>,
}

impl OwnImages {
    /// Reads a PNG (grey or colour, whose luma counts, over black where it is transparent), a `.npy` array (bytes, or floats from 0 to 1)
    /// or an IDX file, compressed or not; which it is, its first bytes tell.
    ///
    /// # Errors
    /// The file holds no images that can be used.
    pub fn read(path: &Path) -> Result<Self, OwnError> {
        let at = || path.to_owned();
        let bytes = std::fs::read(path).map_err(|source| OwnError::Unreadable { path: at(), source })?;
        let images = if bytes.starts_with(b"\x89PNG") {
            png(&bytes).map_err(|problem| OwnError::Png { path: at(), problem })?
        } else if bytes.starts_with(b"\x93NUMPY") {
            let array = Array::from_bytes(&bytes).map_err(|source| OwnError::Npy { path: at(), source })?;
            Self::of_array(array).map_err(|shape| OwnError::Shape { path: at(), shape })?
        } else {
            let images = idx::read_images(path).map_err(|fault| OwnError::Idx { path: at(), fault })?;
            let values = images.pixels().iter().map(|byte| f32::from(*byte) / 255.0).collect();
            let (rows, columns) = (images.rows(), images.columns());
            Self { shape: Some((rows, columns)), pixels: rows * columns, values }
        };
        if images.values.is_empty() {
            return Err(OwnError::Empty { path: at() });
        }
        match images.values.iter().position(|value| !(0.0..=1.0).contains(value)) {
            None => Ok(images),
            Some(index) => Err(OwnError::Value {
                path: at(),
                image: index / images.pixels,
                pixel: index % images.pixels,
                value: images.values[index],
            }),
        }
    }

    /// The images in an array, or its shape where it holds none.
    fn of_array(array: Array) -> Result<Self, Vec<usize>> {
        let (shape, pixels) = match array.shape[..] {
            [_, rows, columns] => (Some((rows, columns)), rows * columns),
            // Rows and columns of one image rather than several images, unless so many rows cannot be meant.
            [rows, columns] if rows == columns => (Some((rows, columns)), rows * columns),
            [_, pixels] => (None, pixels),
            _ => return Err(array.shape),
        };
        let scale = if array.bytes { 1.0 / 255.0 } else { 1.0 };
        let values = array.values.into_iter().map(|value| scale * value).collect();
        Ok(Self { shape, pixels: pixels.max(1), values })
    }

    /// How many images there are.
    pub fn len(&self) -> usize {
        self.values.len() / self.pixels
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Whether these look like ink on paper, dark on bright, where the sets have bright on dark: most of the pixels are bright.
    pub fn looks_inverted(&self) -> bool {
        let bright = self.values.iter().filter(|value| **value > 0.5).count();
        2 * bright > self.values.len()
    }

    /// Makes bright pixels dark and dark ones bright.
    pub fn invert(&mut self) {
        self.values.iter_mut().for_each(|value| *value = 1.0 - *value);
    }
}

/// The image in a PNG, or what is wrong with it.
fn png(bytes: &[u8]) -> Result<OwnImages, String> {
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(|error| error.to_string())?;
    let (columns, rows) = reader.info().size();
    if u64::from(columns) * u64::from(rows) > MOST_PIXELS {
        return Err(format!("{rows} x {columns} pixels are more than 2^26"));
    }
    let mut buffer = vec![0; reader.output_buffer_size().ok_or("its size overflows")?];
    let frame = reader.next_frame(&mut buffer).map_err(|error| error.to_string())?;
    let channels = frame.color_type.samples();
    let values = buffer[..frame.buffer_size()].chunks_exact(channels).map(brightness).collect();
    let (rows, columns) = (rows as usize, columns as usize);
    Ok(OwnImages { shape: Some((rows, columns)), pixels: rows * columns, values })
}

/// The luma of a pixel (ITU-R BT.601) over black.
fn brightness(channels: &[u8]) -> f32 {
    let unit = |byte: u8| f32::from(byte) / 255.0;
    let luma = |r: u8, g: u8, b: u8| 0.299 * unit(r) + 0.587 * unit(g) + 0.114 * unit(b);
    let value = match *channels {
        [grey] => unit(grey),
        [grey, alpha] => unit(grey) * unit(alpha),
        [r, g, b] => luma(r, g, b),
        [r, g, b, alpha, ..] => luma(r, g, b) * unit(alpha),
        [] => 0.0,
    };
    value.min(1.0)
}
