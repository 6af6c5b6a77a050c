//! Rectangles and what lies in them.

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

    /// Whether it and `other` share more than an edge.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let share = |a: (f64, f64), b: (f64, f64)| a.0 < b.1 && b.0 < a.1;
        share(self.x, other.x) && share(self.y, other.y)
    }

    /// The same with `margin` more on each side.
    pub(super) fn grown(&self, margin: f64) -> Self {
        let grown = |(low, high): (f64, f64)| (low - margin, high + margin);
        Self { x: grown(self.x), y: grown(self.y) }
    }

    /// Whether `other` lies inside.
    pub(super) fn holds(&self, other: &Self) -> bool {
        let holds = |outer: (f64, f64), inner: (f64, f64)| outer.0 <= inner.0 && inner.1 <= outer.1;
        holds(self.x, other.x) && holds(self.y, other.y)
    }

    /// Whether any of `line` lies inside.
    pub(super) fn touches(&self, line: &[Point]) -> bool {
        match line {
            [point] => self.clip(*point, *point).is_some(),
            _ => line.windows(2).any(|pair| self.clip(pair[0], pair[1]).is_some()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rectangle_is_touched_by_a_line_that_only_crosses_it() {
        let rect = Rect { x: (1.0, 2.0), y: (1.0, 2.0) };
        assert!(rect.touches(&[(0.0, 0.0), (3.0, 3.0)]));
        assert!(!rect.touches(&[(0.0, 2.0), (1.0, 3.0), (3.0, 3.0)]));
        assert!(rect.touches(&[(1.5, 1.5)]) && !rect.touches(&[(0.5, 1.5)]));
    }
    #[test]
    fn rectangles_that_share_an_edge_do_not_overlap() {
        let rect = |left: f64, top: f64| Rect { x: (left, left + 1.0), y: (top, top + 1.0) };
        assert!(rect(0.0, 0.0).overlaps(&rect(0.5, 0.5)) && rect(0.5, 0.5).overlaps(&rect(0.0, 0.0)));
        assert!(!rect(0.0, 0.0).overlaps(&rect(1.0, 0.0)) && !rect(0.0, 0.0).overlaps(&rect(0.5, 1.0)));
        assert!(rect(0.0, 0.0).grown(0.1).overlaps(&rect(1.0, 0.0)));
        assert!(rect(0.0, 0.0).grown(0.1).holds(&rect(0.05, 0.0)) && !rect(0.0, 0.0).holds(&rect(0.5, 0.0)));
    }
}
