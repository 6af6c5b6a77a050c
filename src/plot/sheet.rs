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
            if from >= free {
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
