//! Where the legend stands: in a corner that no line enters, else above the plot.
//!
//! Lengths are in the units of the drawing, from the plot's upper left corner.

use super::Series;
use crate::plot::rect::{Point, Rect};
use crate::plot::units::{FONT, px, text_width};

/// Length of the sample of a line, and the space between it and the label.
pub(super) const SAMPLE: i32 = px(26);
pub(super) const SAMPLE_GAP: i32 = px(8);

/// Distance from the corner, height of an entry, space around the entries, and space between entries in a row.
const INSET: i32 = px(6);
const ENTRY_HEIGHT: i32 = FONT + px(7);
const PADDING: i32 = px(8);
const ENTRY_GAP: i32 = px(20);

/// How near a line may come.
const CLEARANCE: f64 = px(4) as f64;

/// One line of the legend.
pub(super) struct Entry {
    /// The series it explains.
    pub series: usize,
    /// Left end of its sample.
    pub left: i32,
    /// Its middle height.
    pub middle: i32,
}

/// The legend of a chart.
pub(super) struct Legend {
    /// One for each series that has a label.
    pub entries: Vec<Entry>,
    /// (left, top, right, bottom) of the box it stands in; None above the plot.
    pub ground: Option<(i32, i32, i32, i32)>,
    /// Height needed above the plot.
    pub above: i32,
}

impl Legend {
    /// The legend of `series` over a plot of `size` (width, height) in which `lines` are drawn.
    pub(super) fn place(series: &[Series], size: (i32, i32), lines: &[Vec<Point>]) -> Self {
        let width = |label: &str| SAMPLE + SAMPLE_GAP + text_width(label);
        let named = series.iter().enumerate().filter(|(_, s)| !s.label.is_empty());
        let widths: Vec<(usize, i32)> = named.map(|(i, s)| (i, width(&s.label))).collect();
        if widths.is_empty() {
            return Self { entries: Vec::new(), ground: None, above: 0 };
        }
        Self::in_corner(&widths, size, lines).unwrap_or_else(|| Self::above(&widths, size.0))
    }

    /// In the first corner where it fits and no line enters; `widths` are (series, width of its entry).
    fn in_corner(widths: &[(usize, i32)], size: (i32, i32), lines: &[Vec<Point>]) -> Option<Self> {
        let width = widths.iter().map(|(_, width)| width).max()? + 2 * PADDING;
        let height = ENTRY_HEIGHT * widths.len() as i32 + 2 * PADDING;
        let (right, bottom) = (size.0 - width - INSET, size.1 - height - INSET);
        if right < INSET || bottom < INSET {
            return None;
        }
        let corners = [(right, INSET), (right, bottom), (INSET, bottom), (INSET, INSET)];
        let free = |(left, top): &(i32, i32)| {
            let grown = |from: i32, len: i32| (f64::from(from) - CLEARANCE, f64::from(from + len) + CLEARANCE);
            let ground = Rect { x: grown(*left, width), y: grown(*top, height) };
            !lines.iter().any(|line| ground.touches(line))
        };
        let (left, top) = corners.into_iter().find(free)?;
        let middle = |line: i32| top + PADDING + ENTRY_HEIGHT * line + ENTRY_HEIGHT / 2;
        let entries = widths.iter().zip(0..);
        Some(Self {
            entries: entries.map(|((i, _), n)| Entry { series: *i, left: left + PADDING, middle: middle(n) }).collect(),
            ground: Some((left, top, left + width, top + height)),
            above: 0,
        })
    }

    /// In rows from left to right above the plot; a row that is full is followed by another.
    fn above(widths: &[(usize, i32)], plot_width: i32) -> Self {
        let (mut left, mut row) = (0, 0);
        let mut entries = Vec::with_capacity(widths.len());
        for (i, width) in widths {
            if left > 0 && left + width > plot_width {
                (left, row) = (0, row + 1);
            }
            entries.push(Entry { series: *i, left, middle: row * ENTRY_HEIGHT + ENTRY_HEIGHT / 2 });
            left += width + ENTRY_GAP;
        }
        let above = (row + 1) * ENTRY_HEIGHT + PADDING;
        entries.iter_mut().for_each(|entry| entry.middle -= above);
        Self { entries, ground: None, above }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::curves::Style;

    const SIZE: (i32, i32) = (px(600), px(300));

    fn legend(lines: &[Vec<Point>]) -> Legend {
        let series = ["train", "validation"].map(|label| Series::new(label, vec![], Style::Line));
        Legend::place(&series, SIZE, lines)
    }

    fn line(points: &[(i32, i32)]) -> Vec<Point> {
        points.iter().map(|(x, y)| (f64::from(px(*x)), f64::from(px(*y)))).collect()
    }

    #[test]
    fn legend_takes_the_first_corner_without_a_line() {
        let falling = line(&[(0, 0), (30, 280), (600, 290)]);
        let rising = line(&[(0, 300), (600, 0)]);
        let (left, top, right, bottom) = legend(&[falling]).ground.expect("a corner");
        assert!(left > px(300) && right < px(600) && top > 0 && bottom < px(150), "upper right");
        let (left, top, ..) = legend(std::slice::from_ref(&rising)).ground.expect("a corner");
        assert!(left > px(300) && top > px(150), "lower right");
        let (left, top, ..) = legend(&[rising, line(&[(300, 290), (600, 290)])]).ground.expect("a corner");
        assert!(left < px(300) && top < px(150), "upper left");
    }

    #[test]
    fn a_series_without_a_label_is_not_in_the_legend() {
        let series = ["", "train", ""].map(|label| Series::new(label, vec![], Style::Line));
        let entries = Legend::place(&series, SIZE, &[]).entries;
        assert_eq!(entries.iter().map(|entry| entry.series).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn legend_stands_above_when_no_corner_is_free() {
        let frame = line(&[(0, 20), (600, 20), (600, 280), (0, 280)]);
        let legend = legend(&[frame]);
        assert!(legend.ground.is_none() && legend.above > 0);
        assert!(legend.entries.iter().all(|entry| entry.middle < 0));
        assert_eq!(legend.entries[0].middle, legend.entries[1].middle, "one row");
    }

    #[test]
    fn a_legend_too_large_for_a_corner_takes_as_many_rows_as_it_needs() {
        let series: Vec<Series> = (0..40).map(|i| Series::new(format!("series {i}"), vec![], Style::Line)).collect();
        let legend = Legend::place(&series, SIZE, &[]);
        let rows: std::collections::BTreeSet<i32> = legend.entries.iter().map(|entry| entry.middle).collect();
        assert!(rows.len() > 1 && rows.iter().all(|y| *y < 0 && -y < legend.above));
    }
}
