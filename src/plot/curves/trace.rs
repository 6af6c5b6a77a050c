//! The part of a series that lies within the axes.

use super::axis::Axis;
use super::{Scale, Series, Style};

/// (x, y).
pub(super) type Point = (f64, f64);

/// An upright rectangle.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rect {
    /// (lower, upper) x.
    pub x: (f64, f64),
    /// (lower, upper) y.
    pub y: (f64, f64),
}

impl Rect {
    /// The part of the line from `a` to `b` inside (Liang and Barsky 1984); its ends are `a` and `b` exactly if inside.
    pub(super) fn clip(&self, a: Point, b: Point) -> Option<(Point, Point)> {
        let (mut from, mut to) = (0f64, 1f64);
        for (start, way, (low, high)) in [(a.0, b.0 - a.0, self.x), (a.1, b.1 - a.1, self.y)] {
            if way == 0.0 {
                if !(low..=high).contains(&start) {
                    return None;
                }
            } else {
                let (enter, leave) = ((low - start) / way, (high - start) / way);
                from = from.max(enter.min(leave));
                to = to.min(enter.max(leave));
            }
        }
        let at = |t: f64| (a.0 + t * (b.0 - a.0), a.1 + t * (b.1 - a.1));
        let start = if from == 0.0 { a } else { at(from) };
        (from <= to).then(|| (start, if to == 1.0 { b } else { at(to) }))
    }

    /// Whether any of `line` lies inside.
    pub(super) fn touches(&self, line: &[Point]) -> bool {
        match line {
            [point] => self.clip(*point, *point).is_some(),
            _ => line.windows(2).any(|pair| self.clip(pair[0], pair[1]).is_some()),
        }
    }
}

/// The places of the points of `series`, None for those that cannot be shown.
pub(super) fn places(series: &Series, y_scale: Scale) -> Vec<Option<Point>> {
    series.points.iter().map(|(x, y)| Some((Scale::Linear.place(*x)?, y_scale.place(*y)?))).collect()
}

/// The lines and single points that show `places` within the axes, each an unbroken piece.
pub(super) fn pieces(places: &[Option<Point>], style: Style, x: &Axis, y: &Axis) -> Vec<Vec<Point>> {
    let frame = Rect { x: x.ends(), y: y.ends() };
    let mut pieces: Vec<Vec<Point>> = Vec::new();
    for run in places.split(Option::is_none) {
        let run: Vec<Point> = run.iter().flatten().copied().collect();
        if style == Style::Markers || run.len() == 1 {
            pieces.extend(run.into_iter().filter(|p| frame.touches(&[*p])).map(|p| vec![p]));
            continue;
        }
        // A line goes on as long as it stays inside; where it left and came back, a new piece begins.
        let mut end = None;
        for (a, b) in run.windows(2).filter_map(|pair| frame.clip(pair[0], pair[1])) {
            match pieces.last_mut() {
                Some(piece) if end == Some(a) => piece.push(b),
                _ => pieces.push(vec![a, b]),
            }
            end = Some(b);
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(points: &[Point], style: Style) -> Vec<Vec<Point>> {
        let axis = |range| Axis::new(Scale::Linear, range, 5, false);
        let series = Series::new("", points.to_vec(), style);
        pieces(&places(&series, Scale::Linear), style, &axis((0.0, 10.0)), &axis((0.0, 1.0)))
    }

    #[test]
    fn a_line_is_cut_where_it_leaves_the_range_and_keeps_its_slope() {
        let points = [(0.0, 2.0), (2.0, 0.0), (4.0, 0.5), (6.0, 1.5)];
        assert_eq!(shown(&points, Style::Line), [vec![(1.0, 1.0), (2.0, 0.0), (4.0, 0.5), (5.0, 1.0)]]);
    }

    #[test]
    fn a_line_that_comes_back_is_two_pieces() {
        let points = [(0.0, 0.5), (1.0, 1.5), (2.0, 1.5), (3.0, 0.5)];
        assert_eq!(shown(&points, Style::Dashed), [vec![(0.0, 0.5), (0.5, 1.0)], vec![(2.5, 1.0), (3.0, 0.5)]]);
    }

    #[test]
    fn a_line_breaks_at_a_missing_point_and_lonely_points_remain() {
        let gap = (0.0, f64::NAN);
        let points = [(0.0, 0.5), (1.0, 0.5), gap, (2.0, 0.5), gap, gap, (3.0, 2.0)];
        assert_eq!(shown(&points, Style::Line), [vec![(0.0, 0.5), (1.0, 0.5)], vec![(2.0, 0.5)]]);
    }

    #[test]
    fn markers_outside_the_range_are_left_out() {
        assert_eq!(shown(&[(0.0, 0.5), (1.0, 1.5), (2.0, 1.0)], Style::Markers), [vec![(0.0, 0.5)], vec![(2.0, 1.0)]]);
    }

    #[test]
    fn a_rectangle_is_touched_by_a_line_that_only_crosses_it() {
        let rect = Rect { x: (1.0, 2.0), y: (1.0, 2.0) };
        assert!(rect.touches(&[(0.0, 0.0), (3.0, 3.0)]));
        assert!(!rect.touches(&[(0.0, 2.0), (1.0, 3.0), (3.0, 3.0)]));
        assert!(rect.touches(&[(1.5, 1.5)]) && !rect.touches(&[(0.5, 1.5)]));
    }
}
