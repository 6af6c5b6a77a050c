//! Line charts as SVG.
//!
//! A [`Chart`] is plain data; [`Chart::svg`] draws it and [`svg_side_by_side`] draws several. White background, text as text,
//! the colours that Okabe and Ito chose to be told apart by everybody. Equal charts give equal bytes.

mod draw;
mod legend;
mod trace;

pub use super::palette::Colour;
pub use draw::{small_svg, svg_side_by_side};

/// A chart that cannot be drawn.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No chart was given.
    #[error("no chart to draw: give at least one")]
    NoChart,
    /// No point of any series can be shown.
    #[error("chart {title:?} has no point to draw: give it a finite point inside its y range (above 0 on a log scale)")]
    Empty {
        /// The chart's title.
        title: String,
    },
    /// The y range is not one.
    #[error(
        "chart {title:?} cannot span y from {low} to {high}: give two finite numbers, the lower first (above 0 on a log scale)"
    )]
    Range {
        /// The chart's title.
        title: String,
        /// Lower end asked for.
        low: f64,
        /// Upper end asked for.
        high: f64,
    },
    /// The SVG writer refused.
    #[error("cannot draw the chart: {0}")]
    Drawing(String),
}

/// How y is laid along its axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// Equal differences have equal lengths.
    #[default]
    Linear,
    /// Equal ratios have equal lengths; values of 0 and less cannot be shown.
    Log,
}

/// How the points of a series are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// Joined by a line, in the order given.
    #[default]
    Line,
    /// Joined by a dashed line.
    Dashed,
    /// A disc each.
    Markers,
}

/// Points with a name.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its name in the legend; empty to leave it out there.
    pub label: String,
    /// (x, y) in the units of the chart's axes.
    ///
    /// A line breaks at a point that cannot be shown: not finite, beyond 1e150, or on a log scale below 1e-150.
    pub points: Vec<(f64, f64)>,
    /// How they are drawn.
    pub style: Style,
    /// None for the palette's colour at the series' place in the chart.
    pub colour: Option<Colour>,
}

impl Series {
    /// `points` (x, y) named `label`, drawn as `style` in the colour of its place.
    pub fn new(label: impl Into<String>, points: Vec<(f64, f64)>, style: Style) -> Self {
        Self { label: label.into(), points, style, colour: None }
    }

    /// The same in `colour`, for series that belong together.
    pub fn coloured(self, colour: Colour) -> Self {
        Self { colour: Some(colour), ..self }
    }
}

/// A chart: series over one pair of axes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// What it shows, above it.
    pub title: String,
    /// Name and unit of x.
    pub x_label: String,
    /// Name and unit of y.
    pub y_label: String,
    /// What is drawn, later ones over earlier ones.
    pub series: Vec<Series>,
    /// Linear unless said otherwise.
    pub y_scale: Scale,
    /// (low, high) shown, lines cut off at its ends; None for all points and a margin.
    pub y_range: Option<(f64, f64)>,
}

impl Chart {
    /// The chart as an SVG document, 760 pixels wide.
    ///
    /// # Errors
    /// No point can be shown, or the y range is not one.
    pub fn svg(&self) -> Result<String, Error> {
        svg_side_by_side(std::slice::from_ref(self))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn falling(label: &str, style: Style) -> Series {
        Series::new(label, (1..=30).map(|x| (f64::from(x), 100.0 + 90.0 / f64::from(x))).collect(), style)
    }

    fn chart(series: Vec<Series>) -> Chart {
        Chart {
            title: "Loss".into(),
            x_label: "epoch".into(),
            y_label: "nats per image".into(),
            series,
            ..Chart::default()
        }
    }

    /// What stands between tags, in order.
    fn texts(svg: &str) -> Vec<&str> {
        svg.split('>').filter_map(|part| part.split('<').next()).map(str::trim).filter(|t| !t.is_empty()).collect()
    }

    /// Panics unless every tag that opens is closed in turn.
    fn assert_well_formed(svg: &str) {
        let mut open = Vec::new();
        for tag in svg.split('<').skip(1) {
            let (tag, _) = tag.split_once('>').unwrap();
            assert!(tag.matches('"').count().is_multiple_of(2), "{tag}");
            match tag.strip_prefix('/') {
                Some(name) => assert_eq!(open.pop(), Some(name)),
                None if tag.ends_with('/') => {}
                None => open.push(tag.split(' ').next().unwrap()),
            }
        }
        assert!(open.is_empty(), "{open:?}");
    }

    #[test]
    fn svg_is_well_formed_and_names_everything() {
        let svg = chart(vec![falling("train", Style::Line), falling("validation", Style::Dashed)]).svg().unwrap();
        assert_well_formed(&svg);
        assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
        for text in ["Loss", "epoch", "nats per image", "train", "validation", "10", "30", "100", "180"] {
            assert!(texts(&svg).contains(&text), "{text} is not in {:?}", texts(&svg));
        }
        assert!(svg.contains("sans-serif") && svg.contains("fill=\"#FFFFFF\""));
    }

    #[test]
    fn markup_and_control_characters_in_text_do_no_harm() {
        let mut chart = chart(vec![falling("a < b & \"c\"", Style::Line)]);
        chart.title = "<script>&\u{0}\u{1b}</script>".into();
        let svg = chart.svg().unwrap();
        assert_well_formed(&svg);
        assert!(svg.contains("&lt;script&gt;&amp;") && svg.contains("a &lt; b &amp;") && !svg.contains("<script"));
        assert!(!svg.contains(['\u{0}', '\u{1b}']));
    }

    #[test]
    fn equal_charts_give_equal_bytes() {
        let chart = chart(vec![falling("train", Style::Line), falling("published", Style::Markers)]);
        assert_eq!(chart.svg().unwrap(), chart.clone().svg().unwrap());
    }

    #[test]
    fn every_point_of_a_marker_series_is_a_disc() {
        let none = chart(vec![falling("a", Style::Line)]).svg().unwrap().matches("<circle").count();
        // One halo and one disc a point, and the same in the legend.
        let discs = chart(vec![falling("a", Style::Markers)]).svg().unwrap().matches("<circle").count();
        assert_eq!((none, discs), (0, 2 * 31));
    }

    #[test]
    fn a_single_point_is_visible_whatever_the_style() {
        for style in [Style::Line, Style::Dashed, Style::Markers] {
            let svg = chart(vec![Series::new("train", vec![(1.0, 105.0)], style)]).svg().unwrap();
            assert!(svg.contains("<circle"), "{style:?}");
        }
    }

    #[test]
    fn points_that_are_not_finite_are_left_out() {
        let nan = |x| (x, f64::NAN);
        let points =
            vec![(0.0, 1.0), (1.0, 2.0), nan(2.0), (3.0, 1.0), (4.0, f64::INFINITY), (f64::NAN, 2.0), (5.0, 2.0)];
        let svg = chart(vec![Series::new("train", points, Style::Line)]).svg().unwrap();
        // The line 0-1; the lonely points 3 and 5.
        assert_eq!(svg.matches("stroke=\"#0072B2\"").count(), 2, "one piece and the legend's");
        assert_eq!(svg.matches("<circle").count(), 4);
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn an_empty_chart_is_an_error() {
        let nan = Series::new("nan", vec![(1.0, f64::NAN)], Style::Line);
        for series in [vec![], vec![Series::new("none", vec![], Style::Line)], vec![nan]] {
            assert!(matches!(chart(series).svg(), Err(Error::Empty { title }) if title == "Loss"));
        }
        let outside = Chart { y_range: Some((0.0, 1.0)), ..chart(vec![falling("train", Style::Line)]) };
        assert!(matches!(outside.svg(), Err(Error::Empty { .. })));
        assert!(matches!(svg_side_by_side(&[]), Err(Error::NoChart)));
    }

    #[test]
    fn a_range_that_is_none_is_an_error() {
        for y_range in [(1.0, 1.0), (2.0, 1.0), (f64::NAN, 1.0), (0.0, f64::INFINITY), (1.0, 1.0 + 1e-15)] {
            let chart = Chart { y_range: Some(y_range), ..chart(vec![falling("train", Style::Line)]) };
            assert!(matches!(chart.svg(), Err(Error::Range { .. })), "{y_range:?}");
        }
        let log = Chart { y_scale: Scale::Log, y_range: Some((0.0, 200.0)), ..chart(vec![falling("a", Style::Line)]) };
        assert!(matches!(log.svg(), Err(Error::Range { .. })));
    }

    #[test]
    fn extreme_values_draw_without_panic() {
        let extremes =
            [0.0, -0.0, 5e-324, 1e-150, -1.0, 1.0, 1.0 + f64::EPSILON, 1e16, 1e16 + 2.0, 1e150, f64::MAX, -1e150];
        for a in extremes {
            for b in extremes {
                for y_scale in [Scale::Linear, Scale::Log] {
                    for points in [vec![(a, a), (b, b)], vec![(a, b), (b, a), (1.0, 1.0)]] {
                        let mut chart = Chart { y_scale, ..chart(vec![]) };
                        chart.series = [Style::Line, Style::Dashed].map(|s| Series::new("x", points.clone(), s)).into();
                        match chart.svg() {
                            Ok(svg) => assert!(!svg.contains("NaN") && !svg.contains("inf"), "{a} {b}"),
                            Err(error) => assert!(matches!(error, Error::Empty { .. }), "{a} {b}: {error}"),
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn charts_stand_side_by_side() {
        let charts =
            ["BCE", "KL"].map(|title| Chart { title: title.into(), ..chart(vec![falling(title, Style::Line)]) });
        let svg = svg_side_by_side(&charts).unwrap();
        assert_well_formed(&svg);
        assert!(texts(&svg).contains(&"BCE") && texts(&svg).contains(&"KL"));
    }
}
