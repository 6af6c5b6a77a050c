//! A picture of coloured pixels: rectangles, grey images and words, written as PNG.

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, RasterizedChar, get_raster, get_raster_width};
use png::{BitDepth, ColorType, Encoder};

use super::grid::{Error, grey};
use super::palette::{Rgb, WHITE};

/// Height of a line of text, in pixels.
pub(super) const LINE: usize = 16;

/// Size and width of every letter, bold or not.
const HEIGHT: RasterHeight = RasterHeight::Size16;
pub(super) const LETTER: usize = get_raster_width(FontWeight::Regular, HEIGHT);
const _: () = assert!(LETTER == get_raster_width(FontWeight::Bold, HEIGHT));

/// Pixels, white at first; places are (x, y) from the upper left corner. What leaves the canvas is cut off.
pub(super) struct Canvas {
    width: usize,
    pixels: Vec<[u8; 3]>,
}

impl Canvas {
    /// A white canvas.
    pub(super) fn new(width: usize, height: usize) -> Self {
        Self { width, pixels: vec![WHITE.bytes(); width * height] }
    }

    /// The `length` pixels that go to the right from `x`, `y`, as far as there are any.
    fn row(&mut self, x: usize, y: usize, length: usize) -> &mut [[u8; 3]] {
        let end = (y + 1) * self.width;
        if x >= self.width || end > self.pixels.len() {
            return &mut [];
        }
        let from = y * self.width + x;
        &mut self.pixels[from..(from + length).min(end)]
    }

    /// Fills a rectangle of `size` (width, height).
    pub(super) fn fill(&mut self, (x, y): (usize, usize), size: (usize, usize), colour: Rgb) {
        for line in y..y + size.1 {
            self.row(x, line, size.0).fill(colour.bytes());
        }
    }

    /// Draws an image of `columns` columns, each pixel a square of side `magnification`; 0 is black, 1 white.
    pub(super) fn image(&mut self, (x, y): (usize, usize), image: &[f32], columns: usize, magnification: usize) {
        for (i, row) in image.chunks_exact(columns).enumerate() {
            for (j, value) in row.iter().enumerate() {
                let place = (x + j * magnification, y + i * magnification);
                self.fill(place, (magnification, magnification), Rgb::grey(grey(*value)));
            }
        }
    }

    /// Writes a line of `text` whose upper left corner is at `x`, `y`; a blank for what is not ASCII.
    pub(super) fn text(&mut self, (x, y): (usize, usize), text: &str, weight: FontWeight, ink: Rgb) {
        let letters = text.chars().map(|letter| get_raster(letter, weight, HEIGHT));
        for (i, letter) in letters.enumerate() {
            for (line, shades) in letter.iter().flat_map(RasterizedChar::rows).enumerate() {
                let place = self.row(x + i * LETTER, y + line, shades.len());
                place.iter_mut().zip(shades).for_each(|(pixel, shade)| blend(pixel, ink.bytes(), *shade));
            }
        }
    }

    /// The picture as PNG. Equal pixels give equal bytes.
    pub(super) fn png(&self) -> Result<Vec<u8>, Error> {
        let mut png = Vec::new();
        let height = self.pixels.len() / self.width;
        // Who makes a canvas has checked that both sides fit.
        let mut encoder = Encoder::new(&mut png, self.width as u32, height as u32);
        encoder.set_color(ColorType::Rgb);
        encoder.set_depth(BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(self.pixels.as_flattened())?;
        writer.finish()?;
        Ok(png)
    }
}

/// Covers `pixel` with `ink`, fully at 255.
fn blend(pixel: &mut [u8; 3], ink: [u8; 3], shade: u8) {
    for (pixel, ink) in pixel.iter_mut().zip(ink) {
        let (own, new, shade) = (u32::from(*pixel), u32::from(ink), u32::from(shade));
        *pixel = ((own * (255 - shade) + new * shade + 127) / 255) as u8;
    }
}
