//! Which sectors of memory one load of a warp touches, lane by lane.

use std::collections::BTreeMap;

use super::palette::{AXIS, Colour, INK, PALE};
use super::rect::Rect;
use super::svg::{Anchor, BODY, SMALL, Style, Svg};

/// Bytes of a sector, and of a word.
const SECTOR: u64 = 32;
const WORD: u64 = 4;

/// Sectors that fit into a row: as many as a warp has lanes.
const MOST: usize = 32;

/// Space between sectors that are not neighbours in memory, and the height of one.
const GAP: f64 = 4.0;
const HEIGHT: f64 = 18.0;

/// Room for a row: its sectors and the sentence beneath.
const ROW: f64 = 46.0;

/// One load of a warp.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// Whose it is.
    pub name: String,
    /// Where each lane begins to read, in bytes from the beginning of the array.
    pub addresses: Vec<u64>,
    /// Bytes that each lane reads: a multiple of 4.
    pub width: u64,
    /// How the lanes lie, in a few words.
    pub what: String,
}

impl Load {
    /// The sectors it touches, in their order in memory, and of each the words that are asked for.
    fn sectors(&self) -> BTreeMap<u64, [bool; (SECTOR / WORD) as usize]> {
        let mut sectors = BTreeMap::new();
        let words = |start: &u64| (start / WORD)..(start + self.width).div_ceil(WORD);
        for word in self.addresses.iter().flat_map(words) {
            let words: &mut [bool; (SECTOR / WORD) as usize] = sectors.entry(word * WORD / SECTOR).or_default();
            words[(word % (SECTOR / WORD)) as usize] = true;
        }
        sectors
    }

    /// How many sectors it touches.
    pub fn touched(&self) -> usize {
        self.sectors().len()
    }

    /// "lanes go along a row: 128 bytes asked for lie in 4 sectors, so 128 bytes move, and not one in vain".
    pub fn sentence(&self) -> String {
        let sectors = self.sectors();
        let asked = sectors.values().flatten().filter(|asked| **asked).count() as u64 * WORD;
        let moved = sectors.len() as u64 * SECTOR;
        let part = if moved == asked { "not one in vain".to_owned() } else { format!("{} in vain", moved - asked) };
        let (what, count) = (&self.what, sectors.len());
        format!("{what}: the {asked} bytes asked for lie in {count} sectors, so {moved} bytes move, {part}")
    }
}

/// Loads under each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Touched {
    /// What is shown, above it.
    pub title: String,
    /// The loads.
    pub loads: Vec<Load>,
}

impl Touched {
    /// Draws it from `top` on, names left of `left`; returns the height at which it ends.
    pub(super) fn draw(&self, svg: &mut Svg, (left, right): (f64, f64), names: f64, top: f64) -> f64 {
        svg.text((names, top + BODY / 2.0), Style::new(BODY).bold(), &self.title);
        self.draw_key(svg, right, top + BODY / 2.0);
        let mut top = top + BODY + 10.0;
        for load in &self.loads {
            let name = Style::new(BODY).anchored(Anchor::End);
            svg.text((left - 8.0, top + HEIGHT / 2.0), name, &load.name);
            draw_sectors(svg, &load.sectors(), (left, right), top);
            svg.text((left, top + HEIGHT + 11.0), Style::new(SMALL).coloured(AXIS), &load.sentence());
            top += ROW;
        }
        top
    }

    /// What the colours mean, in the line of the title, up to `right`.
    fn draw_key(&self, svg: &mut Svg, right: f64, middle: f64) {
        let style = Style::new(SMALL).coloured(AXIS);
        let mut end = right;
        for (text, colour) in [("moves in vain", PALE), ("asked for by a lane", Colour::Blue.rgb())] {
            svg.text((end, middle), style.anchored(Anchor::End), text);
            end -= style.width(text) + 5.0;
            svg.fill(&Rect { x: (end - 10.0, end), y: (middle - 5.0, middle + 5.0) }, colour);
            end -= 24.0;
        }
        svg.text((end, middle), style.anchored(Anchor::End), "a box is a sector: 32 bytes, 8 words");
    }
}

fn draw_sectors(
    svg: &mut Svg,
    sectors: &BTreeMap<u64, [bool; (SECTOR / WORD) as usize]>,
    (left, right): (f64, f64),
    top: f64,
) {
    let size = (right - left) / MOST as f64 - GAP;
    let mut x = left;
    let mut last = None;
    for (sector, words) in sectors.iter().take(MOST) {
        if last.is_some_and(|last| last + 1 != *sector) {
            x += GAP;
        }
        let ground = Rect { x: (x, x + size), y: (top, top + HEIGHT) };
        svg.fill(&ground, PALE);
        let step = size / words.len() as f64;
        for (i, _) in words.iter().enumerate().filter(|(_, asked)| **asked) {
            let x = x + i as f64 * step;
            svg.fill(&Rect { x: (x, x + step), ..ground }, Colour::Blue.rgb());
        }
        svg.frame(&ground, INK);
        x += size;
        last = Some(*sector);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(stride: u64, width: u64) -> Load {
        Load {
            name: "step".to_owned(),
            addresses: (0..32u64).map(|lane| lane * stride).collect(),
            width,
            what: "a column".to_owned(),
        }
    }

    #[test]
    fn a_column_touches_a_sector_a_lane_and_a_row_one_for_eight_lanes() {
        assert_eq!([load(2048, 4).touched(), load(4, 4).touched(), load(16, 16).touched()], [32, 4, 16]);
        assert_eq!(load(0, 4).touched(), 1, "all lanes the same word");
        let off = Load { addresses: (0..32).map(|lane| 4 + 4 * lane).collect(), ..load(4, 4) };
        assert_eq!(off.touched(), 5, "a row that does not begin at a sector");
    }

    #[test]
    fn the_sentence_tells_what_moved_in_vain() {
        let column = "a column: the 128 bytes asked for lie in 32 sectors, so 1024 bytes move, 896 in vain";
        assert_eq!(load(2048, 4).sentence(), column);
        assert!(load(4, 4).sentence().ends_with("4 sectors, so 128 bytes move, not one in vain"));
    }
}
