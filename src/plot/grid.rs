//! Many small images in one greyscale PNG.

use png::{BitDepth, ColorType, Encoder};

/// Brightness between the images: images on black and on white both stand out from it.
const SEPARATOR_GREY: u8 = 96;

/// Space before the next pair of rows, in widths of the separator.
const PAIR_GAP: usize = 4;

/// The largest picture drawn, in pixels of the PNG: 16384 x 16384.
pub const MAX_PIXELS: usize = 1 << 28;

/// A picture that cannot be drawn.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A size in the grid is zero, or there is no image.
    #[error("nothing to draw: {what} is 0; it must be at least 1")]
    Zero {
        /// The size that is zero.
        what: &'static str,
    },
    /// The pixels are not a whole number of images.
    #[error("{pixels} pixels are not a whole number of {rows}x{columns} images: check the image size")]
    Ragged {
        /// Number of pixels given.
        pixels: usize,
        /// Rows of an image.
        rows: usize,
        /// Columns of an image.
        columns: usize,
    },
    /// Inputs and reconstructions differ in number.
    #[error("{inputs} pixels of input beside {reconstructions} of reconstruction: give as many of each")]
    Unpaired {
        /// Number of input pixels.
        inputs: usize,
        /// Number of reconstruction pixels.
        reconstructions: usize,
    },
    /// The picture would be larger than 2^28 pixels.
    #[error("{images} images magnified {magnification} times exceed 2^28 pixels: draw fewer or magnify less")]
    TooLarge {
        /// Number of images.
        images: usize,
        /// Magnification asked for.
        magnification: usize,
    },
    /// The PNG encoder refused.
    #[error("cannot encode the picture ({0}): draw fewer images or magnify less")]
    Encoding(#[from] png::EncodingError),
}

/// How images of one size are laid out in a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Pixel rows of an image.
    pub rows: usize,
    /// Pixel columns of an image.
    pub columns: usize,
    /// Images side by side; fewer if there are fewer.
    pub per_row: usize,
    /// Side of the square in the PNG that shows one pixel of an image.
    pub magnification: usize,
    /// Grey lines around the images, in pixels of an image; 0 for none.
    pub separator: usize,
}

impl Grid {
    /// `per_row` images of `rows` x `columns` pixels side by side, magnified twice, one pixel apart.
    pub fn new(rows: usize, columns: usize, per_row: usize) -> Self {
        Self { rows, columns, per_row, magnification: 2, separator: 1 }
    }

    /// The PNG of `images` [n, rows, columns], left to right and top to bottom.
    ///
    /// 0 is black and 1 is white; values outside are clamped, NaN is black.
    ///
    /// # Errors
    /// A size is zero, the pixels are not a whole number of images, or the picture is too large.
    pub fn png(&self, images: &[f32]) -> Result<Vec<u8>, Error> {
        let mut canvas = self.canvas(images, 1)?;
        for (i, image) in images.chunks_exact(canvas.image_len()).enumerate() {
            canvas.put(i % canvas.per_row, i / canvas.per_row, image);
        }
        canvas.encode(self.magnification)
    }

    /// The PNG of `inputs` [n, rows, columns] in rows, each row above that of its `reconstructions` [n, rows, columns].
    ///
    /// A wider gap parts one pair of rows from the next. Brightness as in [`Grid::png`].
    ///
    /// # Errors
    /// As [`Grid::png`], and if the two differ in number.
    pub fn pairs_png(&self, inputs: &[f32], reconstructions: &[f32]) -> Result<Vec<u8>, Error> {
        if inputs.len() != reconstructions.len() {
            return Err(Error::Unpaired { inputs: inputs.len(), reconstructions: reconstructions.len() });
        }
        let mut canvas = self.canvas(inputs, 2)?;
        let pixels = canvas.image_len();
        let pairs = inputs.chunks_exact(pixels).zip(reconstructions.chunks_exact(pixels));
        for (i, (input, reconstruction)) in pairs.enumerate() {
            let (x, y) = (i % canvas.per_row, 2 * (i / canvas.per_row));
            canvas.put(x, y, input);
            canvas.put(x, y + 1, reconstruction);
        }
        canvas.encode(self.magnification)
    }

    /// An empty canvas for `images`, in which each row of images takes `lines` rows of cells that belong together.
    fn canvas(&self, images: &[f32], lines: usize) -> Result<Canvas, Error> {
        let sizes = [
            ("the number of rows", self.rows),
            ("the number of columns", self.columns),
            ("the number of images per row", self.per_row),
            ("the magnification", self.magnification),
            ("the number of images", images.len()),
        ];
        if let Some((what, _)) = sizes.into_iter().find(|(_, size)| *size == 0) {
            return Err(Error::Zero { what });
        }
        let ragged = Error::Ragged { pixels: images.len(), rows: self.rows, columns: self.columns };
        let Some(n) = self.rows.checked_mul(self.columns).filter(|p| images.len().is_multiple_of(*p)) else {
            return Err(ragged);
        };
        let n = images.len() / n;
        let too_large = Error::TooLarge { images: n, magnification: self.magnification };
        Canvas::new(self, n, lines).ok_or(too_large)
    }
}

/// The picture at one byte a pixel of an image, before magnification.
struct Canvas {
    rows: usize,
    columns: usize,
    separator: usize,
    per_row: usize,
    lines: usize,
    width: usize,
    pixels: Vec<u8>,
}

impl Canvas {
    /// None if the magnified picture exceeds [`MAX_PIXELS`].
    fn new(grid: &Grid, images: usize, lines: usize) -> Option<Self> {
        let Grid { rows, columns, magnification, separator, .. } = *grid;
        let per_row = grid.per_row.min(images);
        let groups = images.div_ceil(per_row);
        let gap = if lines > 1 { separator.checked_mul(PAIR_GAP - 1)? } else { 0 };
        // Each cell brings the separator before it; one more closes the picture.
        let side = |cells: usize, size: usize| {
            cells.checked_mul(size.checked_add(separator)?)?.checked_add(separator)?.checked_mul(magnification)
        };
        let width = side(per_row, columns)?;
        let gaps = gap.checked_mul(groups - 1)?.checked_mul(magnification)?;
        let height = side(groups.checked_mul(lines)?, rows)?.checked_add(gaps)?;
        if width.checked_mul(height)? > MAX_PIXELS {
            return None;
        }
        let (width, height) = (width / magnification, height / magnification);
        Some(Self { rows, columns, separator, per_row, lines, width, pixels: vec![SEPARATOR_GREY; width * height] })
    }

    fn image_len(&self) -> usize {
        self.rows * self.columns
    }

    /// Draws `image` in column `x` and row `y` of the cells.
    fn put(&mut self, x: usize, y: usize, image: &[f32]) {
        let gap = if self.lines > 1 { y / self.lines * (PAIR_GAP - 1) * self.separator } else { 0 };
        let left = self.separator + x * (self.columns + self.separator);
        let top = self.separator + y * (self.rows + self.separator) + gap;
        for (i, row) in image.chunks_exact(self.columns).enumerate() {
            let from = (top + i) * self.width + left;
            for (pixel, value) in self.pixels[from..from + self.columns].iter_mut().zip(row) {
                *pixel = grey(*value);
            }
        }
    }

    /// The PNG with every pixel a square of side `magnification`.
    fn encode(&self, magnification: usize) -> Result<Vec<u8>, Error> {
        let mut magnified = Vec::with_capacity(self.pixels.len() * magnification * magnification);
        for row in self.pixels.chunks_exact(self.width) {
            let from = magnified.len();
            magnified.extend(row.iter().flat_map(|pixel| std::iter::repeat_n(*pixel, magnification)));
            let wide = from..magnified.len();
            for _ in 1..magnification {
                magnified.extend_from_within(wide.clone());
            }
        }
        let width = self.width * magnification;
        let mut png = Vec::new();
        // Both sides are at most MAX_PIXELS, which fits u32.
        let mut encoder = Encoder::new(&mut png, width as u32, (magnified.len() / width) as u32);
        encoder.set_color(ColorType::Grayscale);
        encoder.set_depth(BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&magnified)?;
        writer.finish()?;
        Ok(png)
    }
}

/// 0 to 255 for 0 to 1, to the nearest; NaN is 0, because a conversion to an integer makes it so.
pub(super) fn grey(value: f32) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0).round() as u8
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Cursor;

    use super::*;

    const S: u8 = SEPARATOR_GREY;

    /// (width, height, pixels) of a PNG.
    fn decode(png: &[u8]) -> (usize, usize, Vec<u8>) {
        let mut reader = png::Decoder::new(Cursor::new(png)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.color_type, info.bit_depth), (ColorType::Grayscale, BitDepth::Eight));
        (info.width as usize, info.height as usize, pixels)
    }

    fn unmagnified(rows: usize, columns: usize, per_row: usize) -> Grid {
        Grid { magnification: 1, ..Grid::new(rows, columns, per_row) }
    }

    #[test]
    fn images_stand_in_order_between_separators() {
        // Three 1x2 images, two a row: the fourth place stays empty.
        let png = unmagnified(1, 2, 2).png(&[0.0, 0.2, 0.4, 0.6, 0.8, 1.0]).unwrap();
        #[rustfmt::skip]
        let want = vec![
            S,   S,   S, S,   S,   S, S,
            S,   0,  51, S, 102, 153, S,
            S,   S,   S, S,   S,   S, S,
            S, 204, 255, S,   S,   S, S,
            S,   S,   S, S,   S,   S, S,
        ];
        assert_eq!(decode(&png), (7, 5, want));
    }

    #[test]
    fn magnified_picture_repeats_every_pixel() {
        let images: Vec<f32> = (0..3 * 2 * 3).map(|i| i as f32 / 17.0).collect();
        let (width, height, small) = decode(&unmagnified(2, 3, 2).png(&images).unwrap());
        for magnification in [2, 5] {
            let grid = Grid { magnification, ..Grid::new(2, 3, 2) };
            let (wide, high, large) = decode(&grid.png(&images).unwrap());
            assert_eq!((wide, high), (width * magnification, height * magnification));
            for (i, pixel) in large.iter().enumerate() {
                let (x, y) = (i % wide / magnification, i / wide / magnification);
                assert_eq!(*pixel, small[y * width + x]);
            }
        }
    }

    #[test]
    fn reconstructions_stand_beneath_their_inputs_and_pairs_apart() {
        let png = unmagnified(1, 1, 2).pairs_png(&[0.2, 0.4, 0.6], &[0.0, 1.0, 0.8]).unwrap();
        #[rustfmt::skip]
        let want = vec![
            S,   S, S,   S, S,
            S,  51, S, 102, S,
            S,   S, S,   S, S,
            S,   0, S, 255, S,
            S,   S, S,   S, S,
            S,   S, S,   S, S,
            S,   S, S,   S, S,
            S,   S, S,   S, S,
            S, 153, S,   S, S,
            S,   S, S,   S, S,
            S, 204, S,   S, S,
            S,   S, S,   S, S,
        ];
        assert_eq!(decode(&png), (5, 12, want));
    }

    #[test]
    fn images_touch_without_a_separator() {
        let grid = Grid { separator: 0, ..unmagnified(1, 1, 2) };
        assert_eq!(decode(&grid.png(&[0.0, 0.2, 0.4, 0.6]).unwrap()), (2, 2, vec![0, 51, 102, 153]));
    }

    #[test]
    fn values_are_clamped_and_nan_is_black() {
        let values = [f32::NAN, f32::NEG_INFINITY, -0.1, 0.5, 1.1, f32::INFINITY];
        let grid = Grid { separator: 0, ..unmagnified(1, 6, 1) };
        assert_eq!(decode(&grid.png(&values).unwrap()).2, [0, 0, 0, 128, 255, 255]);
    }

    #[test]
    fn equal_images_give_equal_bytes() {
        let images: Vec<f32> = (0..784 * 6).map(|i| (i % 29) as f32 / 28.0).collect();
        let grid = Grid::new(28, 28, 3);
        assert_eq!(grid.png(&images).unwrap(), grid.png(&images).unwrap());
    }

    #[test]
    fn a_grid_that_cannot_be_drawn_is_an_error() {
        let good = Grid::new(2, 2, 3);
        let images = [0.0; 8];
        for grid in [
            Grid { rows: 0, ..good },
            Grid { columns: 0, ..good },
            Grid { per_row: 0, ..good },
            Grid { magnification: 0, ..good },
        ] {
            assert!(matches!(grid.png(&images), Err(Error::Zero { .. })), "{grid:?}");
        }
        assert!(matches!(good.png(&[]), Err(Error::Zero { .. })));
        assert!(matches!(good.png(&images[1..]), Err(Error::Ragged { pixels: 7, .. })));
        assert!(matches!(Grid { rows: usize::MAX, ..good }.png(&images), Err(Error::Ragged { .. })));
        assert!(matches!(good.pairs_png(&images, &images[4..]), Err(Error::Unpaired { .. })));
        for magnification in [10_000, usize::MAX] {
            assert!(matches!(Grid { magnification, ..good }.png(&images), Err(Error::TooLarge { .. })));
        }
        assert!(matches!(
            Grid { separator: usize::MAX, ..good }.pairs_png(&images, &images),
            Err(Error::TooLarge { .. })
        ));
    }

    #[test]
    fn a_row_longer_than_the_images_is_cut_to_them() {
        assert_eq!(decode(&unmagnified(1, 1, usize::MAX).png(&[1.0, 1.0]).unwrap()).0, 5);
    }
}
