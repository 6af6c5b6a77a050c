//! Ranges and ticks.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

use super::curves::Scale;
use super::units::text_width;

/// Values beyond this, or on a log scale below its inverse, are not shown: their differences would overflow.
const LARGEST: f64 = 1e150;

/// A range narrower than this part of its values is a point: its ticks could not be told apart.
const NARROWEST: f64 = 1e-9;

/// Ticks within a decade, in tenths of its power of ten, and the decades from which they are enough. A shorter range has the
/// ticks of a linear axis.
const LOG_TICKS: [(f64, &[u32]); 3] = [(2.5, &[10]), (1.0, &[10, 20, 50]), (0.5, &[10, 15, 20, 30, 40, 50, 60, 80])];

impl Scale {
    /// Where `value` lies along the axis: itself, or its decimal logarithm; None if it cannot be shown.
    pub(super) fn place(self, value: f64) -> Option<f64> {
        match self {
            Self::Linear => (value.abs() <= LARGEST).then_some(value),
            Self::Log => (1.0 / LARGEST..=LARGEST).contains(&value).then(|| value.log10()),
        }
    }

    /// The value at `place`.
    fn value(self, place: f64) -> f64 {
        match self {
            Self::Linear => place,
            Self::Log => 10f64.powf(place),
        }
    }
}

/// Room between the outermost points and the ends of an axis, as parts of their distance.
#[derive(Clone, Copy)]
pub(super) struct Margin(pub f64);

/// The places of `low` and `high` if they span a range.
pub(super) fn range_between(scale: Scale, (low, high): (f64, f64)) -> Option<(f64, f64)> {
    let (low, high) = (scale.place(low)?, scale.place(high)?);
    (low < high && !is_point(low, high)).then_some((low, high))
}

/// A range around all `places`; None if there are none.
pub(super) fn range_around(scale: Scale, places: impl Iterator<Item = f64>, margin: Margin) -> Option<(f64, f64)> {
    let wider = |range: Option<(f64, f64)>, p: f64| Some(range.map_or((p, p), |(l, h)| (l.min(p), h.max(p))));
    let (low, high) = places.fold(None, wider)?;
    if is_point(low, high) {
        let around = if low.abs() > 1.0 / LARGEST { 0.05 * low.abs() } else { 1.0 };
        return Some((low - around, high + around));
    }
    let room = margin.0 * (high - low);
    // An axis of losses or epochs does not reach below 0 for the margin's sake.
    let floor = if scale == Scale::Linear && low >= 0.0 { 0.0 } else { f64::NEG_INFINITY };
    Some(((low - room).max(floor), high + room))
}

fn is_point(low: f64, high: f64) -> bool {
    high - low <= (NARROWEST * low.abs().max(high.abs())).max(1.0 / LARGEST)
}

/// An axis with its ticks, for `plotters`. Its values are places.
#[derive(Clone)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// The axis over `range` (places of `scale`) with at most about `most` ticks, at whole numbers if `whole`.
    pub(super) fn new(scale: Scale, range: (f64, f64), most: usize, whole: bool) -> Self {
        let (low, high) = range;
        let tenths = LOG_TICKS.into_iter().find(|(decades, _)| scale == Scale::Log && high - low >= *decades);
        let ticks = if let Some((_, tenths)) = tenths {
            log_ticks(low, high, most, tenths)
        } else {
            let ticks = linear_ticks(scale.value(low), scale.value(high), most, whole).into_iter();
            ticks.filter_map(|(value, label)| Some((scale.place(value)?, label))).collect()
        };
        Self { low, high, ticks }
    }

    /// Place and label of each tick.
    pub(super) fn ticks(&self) -> &[(f64, String)] {
        &self.ticks
    }

    /// Width of the widest label.
    pub(super) fn label_width(&self) -> i32 {
        self.ticks.iter().map(|(_, label)| text_width(label)).max().unwrap_or(0)
    }

    /// (low, high), in places.
    pub(super) fn ends(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    /// `place` as a part of the axis, from 0 at its beginning to 1 at its end.
    pub(super) fn part(&self, place: f64) -> f64 {
        (place - self.low) / (self.high - self.low)
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, place: &f64, limit: (i32, i32)) -> i32 {
        limit.0 + (self.part(*place) * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        self.ticks.iter().map(|(place, _)| *place).collect()
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, place: &f64) -> String {
        self.ticks.iter().find(|(p, _)| p == place).map(|(_, label)| label.clone()).unwrap_or_default()
    }
}

/// The decimal exponent of positive `x`.
fn exponent(x: f64) -> i32 {
    // The little extra makes 0.1 + 0.2 - 0.2 and the like count as 0.1.
    (x.log10() + 1e-9).floor() as i32
}

/// (value, label) at multiples of 1, 2 or 5 times a power of ten.
fn linear_ticks(low: f64, high: f64, most: usize, whole: bool) -> Vec<(f64, String)> {
    let raw = (high - low) / most as f64;
    let power = 10f64.powi(exponent(raw));
    let round = [1.0, 2.0, 5.0].into_iter().find(|m| m * power >= raw * (1.0 - 1e-9)).unwrap_or(10.0);
    let step = if whole { (round * power).max(1.0) } else { round * power };
    let first = (low / step).ceil();
    let n = ((high / step).floor() - first) as usize;
    let largest = low.abs().max(high.abs());
    (0..=n.min(most + 1)).map(|i| (first + i as f64) * step).map(|v| (v, label(v, step, largest))).collect()
}

/// `value` with the digits that tell it from its neighbours a `step` away, on an axis that reaches to `largest`.
fn label(value: f64, step: f64, largest: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let step = exponent(step);
    if step < -4 || largest >= 1e6 {
        let digits = (exponent(value.abs()) - step).clamp(0, 15) as usize;
        return format!("{value:.digits$e}");
    }
    let decimals = (-step).max(0) as usize;
    format!("{value:.decimals$}")
}

/// (place, label) at `tenths` of the powers of ten; some powers are left out if there are more than `most`.
fn log_ticks(low: f64, high: f64, most: usize, tenths: &[u32]) -> Vec<(f64, String)> {
    let stride = ((high - low) / most as f64).ceil() as i32;
    let exponents = (low.floor() as i32..=high.floor() as i32).filter(|e| e.rem_euclid(stride) == 0);
    let ticks = exponents.flat_map(|e| tenths.iter().map(move |t| (f64::from(*t).log10() - 1.0 + f64::from(e), *t, e)));
    // Rounding must not push a tick at the very end off the axis.
    let inside = |place: f64| (place - place.clamp(low, high)).abs() <= NARROWEST;
    let ticks = ticks.filter(|(place, ..)| inside(*place));
    ticks.map(|(place, t, e)| (place.clamp(low, high), log_label(t, e))).collect()
}

/// `tenths` of 10^`e`.
fn log_label(tenths: u32, e: i32) -> String {
    let mantissa = f64::from(tenths) / 10.0;
    if !(-4..=5).contains(&e) {
        return format!("{mantissa}e{e}");
    }
    let decimals = (i32::from(!tenths.is_multiple_of(10)) - e).max(0) as usize;
    format!("{:.decimals$}", mantissa * 10f64.powi(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: Scale, low: f64, high: f64, most: usize, whole: bool) -> Vec<String> {
        let range = range_between(scale, (low, high)).expect("a range");
        Axis::new(scale, range, most, whole).ticks.into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn linear_ticks_are_round_and_labelled_with_the_digits_they_need() {
        let cases = [
            ((97.0, 183.0), vec!["100", "120", "140", "160", "180"]),
            ((0.0, 1.0), vec!["0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
            ((-0.03, 0.03), vec!["-0.03", "-0.02", "-0.01", "0", "0.01", "0.02", "0.03"]),
            ((0.0, 4e6), vec!["0", "1e6", "2e6", "3e6", "4e6"]),
            ((104.12, 104.21), vec!["104.12", "104.14", "104.16", "104.18", "104.20"]),
            ((1e-7, 4e-7), vec!["1.0e-7", "1.5e-7", "2.0e-7", "2.5e-7", "3.0e-7", "3.5e-7", "4.0e-7"]),
        ];
        for ((low, high), want) in cases {
            assert_eq!(labels(Scale::Linear, low, high, 6, false), want, "{low} to {high}");
        }
    }

    #[test]
    fn ticks_of_whole_numbers_are_whole() {
        assert_eq!(labels(Scale::Linear, 1.0, 3.0, 8, true), ["1", "2", "3"]);
        assert_eq!(labels(Scale::Linear, 0.0, 30.9, 8, true), ["0", "5", "10", "15", "20", "25", "30"]);
    }

    #[test]
    fn log_ticks_thin_out_with_the_decades() {
        assert_eq!(labels(Scale::Log, 98.0, 160.0, 6, false), ["100", "120", "140", "160"]);
        assert_eq!(labels(Scale::Log, 0.09, 0.35, 6, false), ["0.1", "0.15", "0.2", "0.3"]);
        assert_eq!(labels(Scale::Log, 0.5, 20.0, 6, false), ["0.5", "1", "2", "5", "10", "20"]);
        assert_eq!(labels(Scale::Log, 0.001, 1000.0, 6, false), ["0.001", "0.01", "0.1", "1", "10", "100", "1000"]);
        assert_eq!(labels(Scale::Log, 1e-20, 1e20, 6, false).first().map(String::as_str), Some("1e-14"));
    }

    #[test]
    fn ends_and_middle_of_an_axis_are_where_they_belong() {
        let axis = Axis::new(Scale::Log, (0.0, 2.0), 6, false);
        for (value, pixel) in [(1.0, 400), (10.0, 200), (100.0, 0)] {
            assert_eq!(axis.map(&Scale::Log.place(value).expect("positive"), (400, 0)), pixel);
        }
    }

    #[test]
    fn a_range_holds_its_points_with_a_margin_and_keeps_to_zero() {
        let around = |places: &[f64]| range_around(Scale::Linear, places.iter().copied(), Margin(0.1));
        assert_eq!(around(&[20.0, 10.0]), Some((9.0, 21.0)));
        assert_eq!(around(&[0.5, 10.5]), Some((0.0, 11.5)));
        assert_eq!(around(&[-10.0, 10.0]), Some((-12.0, 12.0)));
        assert_eq!(around(&[100.0]), Some((95.0, 105.0)));
        assert_eq!(around(&[0.0, 0.0]), Some((-1.0, 1.0)));
        assert_eq!(around(&[]), None);
    }
}
