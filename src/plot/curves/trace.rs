//! The part of a series that lies within the axes.

use super::{Scale, Series, Style};
use crate::plot::axis::Axis;
use crate::plot::rect::{Point, Rect};

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
}
