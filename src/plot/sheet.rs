//! A sheet: rows of small images with words above, beneath and beside them, in one PNG.

use noto_sans_mono_bitmap::FontWeight;

use super::canvas::{Canvas, LETTER, LINE};
use super::grid::{Error, MAX_PIXELS};
pub use super::palette::Colour;
use super::palette::{AXIS, INK};

/// White at the edges, between the labels and the images, and between blocks of rows, in pixels.
const EDGE: usize = 14;
const BESIDE: usize = 10;
const BETWEEN: usize = 14;

/// The title's lines have at least this many letters.
const TITLE_LETTERS: usize = 60;

/// The shortest longer side of an image that is easy on the eye, in pixels.
const EASY: usize = 56;

/// Width of a frame around an image, in the gap beside it.
const FRAME: usize = 3;

/// An image in a sheet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tile<'a> {
    /// `[rows, columns]`, 0 black and 1 white.
    pub pixels: &'a [f32],
    /// The colour of its frame.
    pub frame: Option<Colour>,
}

/// What stands side by side.
#[derive(Clone, Debug, PartialEq)]
pub enum Cells<'a> {
    /// Images.
    Images(Vec<Tile<'a>>),
    /// Words, each in the middle of its column; one that would touch the word before it is left out.
    Words(Vec<String>),
    /// A little white.
    Space,
}

/// A row of a sheet.
#[derive(Clone, Debug, PartialEq)]
pub struct Row<'a> {
    /// Lines beside it, at the left.
    pub label: Vec<String>,
    /// The row itself.
    pub cells: Cells<'a>,
}

/// Rows of images of one size, and what is to be said about them. Words are of ASCII letters.
#[derive(Clone, Debug, PartialEq)]
pub struct Sheet<'a> {
    /// What is shown.
    pub title: String,
    /// What to see in it, sentences beneath the title.
    pub sentences: Vec<String>,
    /// Pixel rows and columns of an image.
    pub shape: (usize, usize),
    /// Side of the square that shows one pixel of an image.
    pub magnification: usize,
    /// White between images, in pixels of the picture.
    pub gap: usize,
    /// From top to bottom.
    pub rows: Vec<Row<'a>>,
}

impl<'a> Row<'a> {
    /// A row of `images`, `[n, pixels]`, without frames.
    pub fn images(label: &[&str], images: &'a [f32], pixels: usize) -> Self {
        let tiles = images.chunks(pixels.max(1)).map(|pixels| Tile { pixels, frame: None });
        Self { label: label.iter().map(ToString::to_string).collect(), cells: Cells::Images(tiles.collect()) }
    }

    /// A row of words.
    pub fn words(label: &str, words: impl IntoIterator<Item = String>) -> Self {
        Self { label: vec![label.to_owned()], cells: Cells::Words(words.into_iter().collect()) }
    }

    /// White between rows that do not belong together.
    pub fn space() -> Self {
        Self { label: Vec::new(), cells: Cells::Space }
    }

    /// How many columns it takes.
    fn columns(&self) -> usize {
        match &self.cells {
            Cells::Images(tiles) => tiles.len(),
            Cells::Words(words) => words.len(),
            Cells::Space => 0,
        }
    }
}

impl<'a> Sheet<'a> {
    /// An empty sheet of images of `shape` (rows, columns), magnified until they are easy on the eye.
    pub fn new(title: String, shape: (usize, usize)) -> Self {
        let magnification = (EASY / shape.0.max(shape.1).max(1)).max(1);
        Self { title, sentences: Vec::new(), shape, magnification, gap: 4, rows: Vec::new() }
    }

    /// The picture. Equal sheets give equal bytes.
    ///
    /// # Errors
    /// There is no image, one has another size than `shape`, or the picture is larger than 2^28 pixels.
    pub fn png(&self) -> Result<Vec<u8>, Error> {
        let layout = self.layout()?;
        let mut canvas = Canvas::new(layout.width, layout.height);
        let mut top = EDGE;
        for (i, line) in layout.heading.iter().enumerate() {
            let weight = if i < layout.title { FontWeight::Bold } else { FontWeight::Regular };
            canvas.text((EDGE, top), line, weight, if i < layout.title { INK } else { AXIS });
            top += LINE + 2;
        }
        top += BETWEEN - 4;
        for row in &self.rows {
            self.draw(&mut canvas, row, layout.left, top);
            top += self.height(row);
        }
        canvas.png()
    }

    /// Draws `row` from `top` on, its cells from `left` on.
    fn draw(&self, canvas: &mut Canvas, row: &Row<'_>, left: usize, top: usize) {
        let middle = top + (self.height(row) - self.below(row)) / 2;
        let from = middle - LINE * row.label.len() / 2;
        for (i, line) in row.label.iter().enumerate() {
            let right = left - BESIDE - LETTER * letters(line);
            canvas.text((right, from + i * LINE), line, FontWeight::Regular, INK);
        }
        match &row.cells {
            Cells::Images(tiles) => self.draw_tiles(canvas, tiles, left, middle),
            Cells::Words(words) => self.draw_words(canvas, words, left, top),
            Cells::Space => {}
        }
    }

    fn draw_tiles(&self, canvas: &mut Canvas, tiles: &[Tile<'_>], left: usize, middle: usize) {
        let (width, height) = self.tile();
        let top = middle - height / 2;
        for (i, tile) in tiles.iter().enumerate() {
            let x = left + i * (width + self.gap);
            if let Some(colour) = tile.frame {
                let place = (x - FRAME, top.saturating_sub(FRAME));
                canvas.fill(place, (width + 2 * FRAME, height + 2 * FRAME), colour.rgb());
            }
            canvas.image((x, top), tile.pixels, self.shape.1, self.magnification);
        }
    }

    fn draw_words(&self, canvas: &mut Canvas, words: &[String], left: usize, top: usize) {
        let mut free = 0;
        for (i, word) in words.iter().enumerate() {
            let (width, middle) = (LETTER * letters(word), left + i * (self.tile().0 + self.gap) + self.tile().0 / 2);
            let from = middle.saturating_sub(width / 2);
            if !word.is_empty() && from >= free {
                canvas.text((from, top), word, FontWeight::Regular, INK);
                free = from + width + LETTER;
            }
        }
    }

    /// Width and height of an image in the picture.
    fn tile(&self) -> (usize, usize) {
        (self.shape.1 * self.magnification, self.shape.0 * self.magnification)
    }

    /// Height of a row, the white beneath it included.
    fn height(&self, row: &Row<'_>) -> usize {
        let cells = match row.cells {
            Cells::Images(_) => self.tile().1,
            Cells::Words(_) => LINE,
            Cells::Space => BETWEEN,
        };
        cells.max(LINE * row.label.len()) + self.below(row)
    }

    /// White beneath a row.
    fn below(&self, row: &Row<'_>) -> usize {
        match row.cells {
            Cells::Images(_) => self.gap,
            Cells::Words(_) => 2,
            Cells::Space => 0,
        }
    }
}

/// Where things stand.
struct Layout {
    width: usize,
    height: usize,
    /// Where the first column begins.
    left: usize,
    /// The lines above the images, those of the title first, and how many those are.
    heading: Vec<String>,
    title: usize,
}

impl Sheet<'_> {
    fn layout(&self) -> Result<Layout, Error> {
        self.check()?;
        let labels = self.rows.iter().flat_map(|row| &row.label).map(|line| letters(line)).max().unwrap_or(0);
        let left = EDGE + if labels > 0 { LETTER * labels + BESIDE } else { 0 };
        let columns = self.rows.iter().map(Row::columns).max().unwrap_or(0);
        let cells = columns * (self.tile().0 + self.gap) - self.gap;
        let width = (left + cells).max(EDGE + TITLE_LETTERS * LETTER) + EDGE;
        let per_line = (width - 2 * EDGE) / LETTER;
        let mut heading = lines(&self.title, per_line);
        let title = heading.len();
        heading.extend(self.sentences.iter().flat_map(|sentence| lines(sentence, per_line)));
        let rows: usize = self.rows.iter().map(|row| self.height(row)).sum();
        let height = EDGE + heading.len() * (LINE + 2) + BETWEEN - 4 + rows + EDGE - self.gap.min(EDGE);
        match width.checked_mul(height) {
            Some(pixels) if pixels <= MAX_PIXELS => Ok(Layout { width, height, left, heading, title }),
            _ => Err(Error::TooLarge { images: self.tiles().count(), magnification: self.magnification }),
        }
    }

    /// That there are images, and of the right size.
    fn check(&self) -> Result<(), Error> {
        let (rows, columns) = self.shape;
        if self.tiles().next().is_none() {
            return Err(Error::Zero { what: "the number of images" });
        }
        match self.tiles().find(|tile| tile.pixels.len() != rows * columns) {
            None => Ok(()),
            Some(tile) => Err(Error::Ragged { pixels: tile.pixels.len(), rows, columns }),
        }
    }

    fn tiles(&self) -> impl Iterator<Item = &Tile<'_>> {
        self.rows.iter().flat_map(|row| match &row.cells {
            Cells::Images(tiles) => &tiles[..],
            Cells::Words(_) | Cells::Space => &[],
        })
    }
}

fn letters(text: &str) -> usize {
    text.chars().count()
}

/// `text` in lines of at most `width` letters, broken at spaces.
fn lines(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if letters(line) + 1 + letters(word) <= width => *line += &format!(" {word}"),
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Cursor;

    use super::*;

    const WHITE: [u8; 3] = [255; 3];

    /// (width, pixels) of a PNG.
    fn decode(png: &[u8]) -> (usize, Vec<[u8; 3]>) {
        let mut reader = png::Decoder::new(Cursor::new(png)).read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let width = reader.next_frame(&mut bytes).unwrap().width as usize;
        (width, bytes.as_chunks::<3>().0.to_vec())
    }

    fn sheet(rows: Vec<Row<'_>>) -> Sheet<'_> {
        Sheet { magnification: 3, rows, ..Sheet::new(String::new(), (1, 2)) }
    }

    /// The smallest rectangle, (left, top, right, bottom) with the ends included, that holds every pixel that is not white.
    fn inked(width: usize, pixels: &[[u8; 3]]) -> (usize, usize, usize, usize) {
        let places = || (0..pixels.len()).filter(|i| pixels[*i] != WHITE).map(|i| (i % width, i / width));
        let (xs, ys) = (|| places().map(|place| place.0), || places().map(|place| place.1));
        (xs().min().unwrap(), ys().min().unwrap(), xs().max().unwrap(), ys().max().unwrap())
    }

    #[test]
    fn images_stand_side_by_side_in_their_frames() {
        let images = [0.0, 0.2, 0.4, 0.6];
        let mut row = Row::images(&[], &images, 2);
        let Cells::Images(tiles) = &mut row.cells else { panic!("no images") };
        tiles[1].frame = Some(Colour::Blue);
        let (width, pixels) = decode(&sheet(vec![row]).png().unwrap());
        let top = (0..pixels.len() / width).find(|y| pixels[y * width + EDGE] != WHITE).unwrap();
        let line: Vec<[u8; 3]> = pixels[(top + 1) * width..][..30 + EDGE].to_vec();
        let blue = Colour::Blue.rgb().bytes();
        let want =
            [([0; 3], 3), ([51; 3], 3), (WHITE, 1), (blue, 3), ([102; 3], 3), ([153; 3], 3), (blue, 3), (WHITE, 11)];
        let want: Vec<[u8; 3]> = want.into_iter().flat_map(|(colour, n)| std::iter::repeat_n(colour, n)).collect();
        assert_eq!(line[EDGE..], want);
        let above = |x: usize| pixels[(top - 1) * width + x];
        assert_eq!((above(EDGE), above(EDGE + 10)), (WHITE, blue));
    }

    #[test]
    fn words_stand_in_the_middle_of_their_columns_and_labels_beside_their_rows() {
        let images = [1.0; 6];
        let ink = |rows| {
            let (width, pixels) = decode(&Sheet { magnification: 20, ..sheet(rows) }.png().unwrap());
            inked(width, &pixels)
        };
        let row = Row::images(&[], &images, 2);
        // The images are white: what is inked is the words.
        let (left, _, right, bottom) = ink(vec![Row::words("", ["".into(), "HH".into(), "".into()]), row.clone()]);
        let middle = EDGE + 40 + 4 + 20;
        assert!((left + right).abs_diff(2 * middle) <= 3 && right - left < 2 * LETTER, "{left} {right} {middle}");
        let label = Row { label: vec!["HHH".into(), "H".into()], ..row };
        let (left, top, right, own) = ink(vec![label]);
        assert!(left >= EDGE && right < EDGE + 3 * LETTER, "{left} {right}");
        assert!(own - top > LINE && own - top < 2 * LINE && bottom > 0, "two lines: {top} to {own}");
    }

    #[test]
    fn a_word_without_room_is_left_out() {
        let images = [1.0; 4];
        let right_end = |words: [&str; 2]| {
            let words = Row::words("", words.map(str::to_owned));
            let (width, pixels) = decode(&sheet(vec![words, Row::images(&[], &images, 2)]).png().unwrap());
            inked(width, &pixels).2
        };
        assert_eq!(right_end(["HHHHH", "HHHHH"]), right_end(["HHHHH", ""]));
        assert!(right_end(["", "HHHHH"]) > right_end(["HHHHH", ""]));
    }

    #[test]
    fn a_long_heading_is_broken_and_stays_in_the_picture() {
        let images = [1.0; 2];
        let words = "a heading of many words ".repeat(20);
        let heading =
            Sheet { title: words.clone(), sentences: vec![words], ..sheet(vec![Row::images(&[], &images, 2)]) };
        let (width, pixels) = decode(&heading.png().unwrap());
        let (left, top, right, bottom) = inked(width, &pixels);
        assert!(left >= EDGE && right < width - EDGE && top >= EDGE, "{left} {right} of {width}, {top}");
        assert!(bottom > 14 * LINE && bottom < pixels.len() / width - EDGE, "{bottom}");
        assert_eq!(lines("one two three", 7), ["one two", "three"]);
        assert_eq!(lines("longer", 3), ["longer"]);
    }

    #[test]
    fn a_sheet_that_cannot_be_drawn_is_an_error() {
        let images = [0.0; 6];
        for rows in [vec![], vec![Row::images(&[], &[], 2)], vec![Row::words("a", ["b".to_owned()])]] {
            assert!(matches!(sheet(rows).png(), Err(Error::Zero { .. })));
        }
        assert!(matches!(sheet(vec![Row::images(&[], &images, 4)]).png(), Err(Error::Ragged { pixels: 4, .. })));
        let large = Sheet { magnification: 20_000, ..sheet(vec![Row::images(&[], &images, 2)]) };
        assert!(matches!(large.png(), Err(Error::TooLarge { images: 3, .. })));
    }

    #[test]
    fn images_are_magnified_until_they_are_easy_on_the_eye() {
        let magnification = |shape| Sheet::new(String::new(), shape).magnification;
        assert_eq!([(28, 28), (4, 5), (100, 3), (1, 787)].map(magnification), [2, 11, 1, 1]);
    }
}
