//! Labelled points in a plane.

use super::axis::{Margin, range_around};
use super::curves::Scale;
use super::palette::{AXIS, Colour, GRID, Rgb};
use super::rect::{Point, Rect};
use super::svg::{Anchor, BODY, SMALL, Style, Svg, TITLE};

/// Size of the picture: a square of points, and the legend at its right.
const WIDTH: f64 = 760.0;
const EDGE: f64 = 16.0;
const LEGEND: f64 = 96.0;

/// Points, and how much is seen of what lies beneath them.
const RADIUS: f64 = 1.6;
const OPACITY: f64 = 0.5;

/// A plot that cannot be drawn.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// There is no finite point.
    #[error("no point to draw: give at least one whose coordinates are finite")]
    Empty,
    /// A point too many or too few.
    #[error("{points} points with {labels} labels: give one of each")]
    Ragged {
        /// Points.
        points: usize,
        /// Labels.
        labels: usize,
    },
}

/// Points with a label each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scatter {
    /// What is shown.
    pub title: String,
    /// What to see in it, sentences beneath the title.
    pub sentences: Vec<String>,
    /// What lies along the axes; empty where they mean nothing.
    pub x_label: String,
    /// As `x_label`.
    pub y_label: String,
    /// (x, y).
    pub points: Vec<(f32, f32)>,
    /// One for each point.
    pub labels: Vec<u8>,
}

/// The colours of the labels 0 to 9 and, from the first again, of those beyond: the palette, brown, grey and olive.
fn colour(label: u8) -> Rgb {
    const MORE: [Rgb; 3] = [Rgb(0x8c, 0x51, 0x0a), Rgb(0x8c, 0x95, 0x9f), Rgb(0xb5, 0xa6, 0x00)];
    let place = usize::from(label) % (Colour::ORDER.len() + MORE.len());
    Colour::ORDER.get(place).map_or_else(|| MORE[place - Colour::ORDER.len()], |colour| colour.rgb())
}

impl Scatter {
    /// The plot as an SVG document, 760 pixels wide; each label's name stands in the middle of its points. Points that are not finite
    /// are left out. Equal data give equal bytes.
    ///
    /// # Errors
    /// There is nothing to draw, or not one label a point.
    pub fn svg(&self) -> Result<String, Error> {
        if self.points.len() != self.labels.len() {
            return Err(Error::Ragged { points: self.points.len(), labels: self.labels.len() });
        }
        let finite = |(point, label): (&(f32, f32), &u8)| {
            (point.0.is_finite() && point.1.is_finite()).then(|| ((f64::from(point.0), f64::from(point.1)), *label))
        };
        let points: Vec<(Point, u8)> = self.points.iter().zip(&self.labels).filter_map(finite).collect();
        let x_range = range(points.iter().map(|(point, _)| point.0))?;
        let y_range = range(points.iter().map(|(point, _)| point.1))?;
        let mut svg = Svg::default();
        let top = svg.heading(&self.title, &self.sentences, EDGE, WIDTH - 2.0 * EDGE) + 6.0;
        let side = WIDTH - 2.0 * EDGE - LEGEND - TITLE;
        let (left, bottom) = (EDGE + TITLE, top + side);
        let field = Rect { x: (left, left + side), y: (top, bottom) };
        svg.frame(&field, GRID);
        let place = |(x, y): Point| {
            let part = |value: f64, (low, high): (f64, f64)| (value - low) / (high - low);
            (left + side * part(x, x_range), bottom - side * part(y, y_range))
        };
        self.draw_origin(&mut svg, &field, place((0.0, 0.0)));
        let classes = classes(&points);
        for (label, places) in &classes {
            svg.dots(places.iter().map(|point| place(*point)), RADIUS, colour(*label), OPACITY);
        }
        draw_names(&mut svg, &classes, place);
        draw_legend(&mut svg, &classes, (left + side + EDGE, top));
        let axis = Style::new(SMALL).coloured(AXIS).anchored(Anchor::Middle);
        svg.text((left + side / 2.0, bottom + TITLE), axis, &self.x_label);
        svg.upwards((EDGE + SMALL / 2.0, top + side / 2.0), axis, &self.y_label);
        Ok(svg.document(WIDTH, bottom + 2.0 * TITLE))
    }

    /// Lines through zero, where the axes mean something.
    fn draw_origin(&self, svg: &mut Svg, field: &Rect, (x, y): Point) {
        if self.x_label.is_empty() {
            return;
        }
        let lines = [((x, field.y.0), (x, field.y.1)), ((field.x.0, y), (field.x.1, y))];
        for (a, b) in lines.into_iter().filter_map(|(a, b)| field.clip(a, b)) {
            svg.line(&[a, b], GRID, 1.0);
        }
    }
}

fn range(values: impl Iterator<Item = f64>) -> Result<(f64, f64), Error> {
    range_around(Scale::Linear, values, Margin(0.04)).ok_or(Error::Empty)
}

/// The points of each label, labels rising.
fn classes(points: &[(Point, u8)]) -> Vec<(u8, Vec<Point>)> {
    let of = |label| points.iter().filter(|(_, other)| *other == label).map(|(point, _)| *point).collect::<Vec<_>>();
    (0..=u8::MAX).map(|label| (label, of(label))).filter(|(_, points)| !points.is_empty()).collect()
}

/// Each label where half of its points lie to the left and half below.
fn draw_names(svg: &mut Svg, classes: &[(u8, Vec<Point>)], place: impl Fn(Point) -> Point) {
    let style = Style::new(TITLE).bold().anchored(Anchor::Middle);
    for (label, points) in classes {
        let middle = |mut values: Vec<f64>| {
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        let at = place((
            middle(points.iter().map(|point| point.0).collect()),
            middle(points.iter().map(|point| point.1).collect()),
        ));
        svg.disc(at, 11.0, Rgb(0xff, 0xff, 0xff), colour(*label));
        svg.text(at, style, &label.to_string());
    }
}

/// Each label with its colour and how many points it has, one below the other.
fn draw_legend(svg: &mut Svg, classes: &[(u8, Vec<Point>)], (left, top): Point) {
    let style = Style::new(BODY);
    for (row, (label, points)) in classes.iter().enumerate() {
        let y = top + 12.0 + 22.0 * row as f64;
        svg.disc((left + 6.0, y), 5.0, colour(*label), colour(*label));
        svg.text((left + 18.0, y), style.bold(), &label.to_string());
        svg.text((left + 44.0, y), style.coloured(AXIS), &points.len().to_string());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn spiral(count: usize) -> Scatter {
        let at = |i: usize| {
            let angle = i as f32 * 0.01;
            (angle * angle.cos(), angle * angle.sin())
        };
        Scatter {
            title: "A spiral".to_owned(),
            points: (0..count).map(at).collect(),
            labels: (0..count).map(|i| (i * 10 / count) as u8).collect(),
            ..Scatter::default()
        }
    }

    #[test]
    fn ten_thousand_points_fit_into_a_page() {
        let svg = spiral(10_000).svg().unwrap();
        assert!(svg.len() < 200_000, "{} bytes", svg.len());
        assert_eq!(svg.matches("h0").count(), 10_000);
        let colours: std::collections::BTreeSet<String> = (0..10).map(|label| colour(label).to_string()).collect();
        assert_eq!(colours.len(), 10);
        assert!(colours.iter().all(|colour| svg.contains(&format!("stroke=\"{colour}\""))));
    }

    #[test]
    fn points_without_a_place_are_left_out_and_nothing_is_refused() {
        let mut plot = spiral(20);
        plot.points[3].0 = f32::NAN;
        assert_eq!(plot.svg().unwrap().matches("h0").count(), 19);
        plot.points.fill((f32::INFINITY, 0.0));
        assert_eq!(plot.svg(), Err(Error::Empty));
        plot.points.pop();
        assert_eq!(plot.svg(), Err(Error::Ragged { points: 19, labels: 20 }));
    }
}
