//! Horizontal bars: the same things one below the other, a panel a quantity, the value written at each bar.

use super::curves::Scale;
use super::palette::{AXIS, Colour, GRID, PALE};
use super::rect::Rect;
use super::svg::{Anchor, BODY, SMALL, Style, Svg};
use super::touched::Touched;

/// Width of the picture, and the space left free at its edges.
const WIDTH: f64 = 980.0;
const EDGE: f64 = 16.0;

/// Height of a row, and of the bar in it.
const ROW: f64 = 25.0;
const BAR: f64 = 14.0;

/// Between panels.
const GAP: f64 = 22.0;

/// Between a bar and what stands at it.
const SPACE: f64 = 5.0;

/// A bar that cannot be drawn.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// There is nothing to draw.
    #[error("no bar to draw: give at least one row and one panel")]
    Empty,
    /// A panel has a bar too many or too few.
    #[error("panel {panel:?} has {bars} bars for {rows} rows: give one for each, None where there is no value")]
    Ragged {
        /// The panel's title.
        panel: String,
        /// Its bars.
        bars: usize,
        /// The picture's rows.
        rows: usize,
    },
}

/// What has a bar in every panel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Its name, at the left.
    pub name: String,
    /// Why it has no bars, in their place.
    pub missing: Option<String>,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// How long it is: not negative. Above a log scale's beginning it is as long as its logarithm.
    pub value: f64,
    /// How much of it is of use, from its beginning; the rest is drawn pale. None for all of it.
    pub useful: Option<f64>,
    /// What is written at it.
    pub label: String,
}

/// One quantity.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// What is measured.
    pub title: String,
    /// A word beneath the title, such as which way is better.
    pub note: String,
    /// A log scale begins at the power of ten at or below the least bar.
    pub scale: Scale,
    /// One for each row.
    pub bars: Vec<Option<Bar>>,
    /// The bars' colour.
    pub colour: Colour,
}

/// Bars of several quantities beside each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bars {
    /// What is shown.
    pub title: String,
    /// What to see in it, sentences beneath the title.
    pub sentences: Vec<String>,
    /// A sketch above the bars.
    pub touched: Option<Touched>,
    /// What is compared.
    pub rows: Vec<Row>,
    /// By which quantities.
    pub panels: Vec<Panel>,
}

impl Bars {
    /// The bars as an SVG document, 980 pixels wide. Equal data give equal bytes.
    ///
    /// # Errors
    /// There is nothing to draw, or a panel has another number of bars than there are rows.
    pub fn svg(&self) -> Result<String, Error> {
        if self.rows.is_empty() || self.panels.is_empty() {
            return Err(Error::Empty);
        }
        if let Some(panel) = self.panels.iter().find(|panel| panel.bars.len() != self.rows.len()) {
            let (bars, rows) = (panel.bars.len(), self.rows.len());
            return Err(Error::Ragged { panel: panel.title.clone(), bars, rows });
        }
        let mut svg = Svg::default();
        let names = self.rows.iter().map(|row| Style::new(BODY).width(&row.name)).fold(0.0, f64::max);
        let left = EDGE + names + 10.0;
        let mut top = svg.heading(&self.title, &self.sentences, EDGE, WIDTH - 2.0 * EDGE) + 12.0;
        if let Some(touched) = &self.touched {
            top = touched.draw(&mut svg, (left, WIDTH - EDGE), EDGE, top) + 12.0;
        }
        let bottom = self.draw_panels(&mut svg, left, top);
        Ok(svg.document(WIDTH, bottom + EDGE))
    }

    /// Draws the rows' names and every panel from `top` on; returns the height at which they end.
    fn draw_panels(&self, svg: &mut Svg, left: f64, top: f64) -> f64 {
        let count = self.panels.len() as f64;
        let width = (WIDTH - EDGE - left - GAP * (count - 1.0)) / count;
        let header = self.panels.iter().map(|panel| panel.title_lines(width).len()).max().unwrap_or(0) as f64;
        let first = top + header * (BODY + 4.0) + SMALL + 10.0;
        let middle = |row: usize| first + (row as f64 + 0.5) * ROW;
        for (i, row) in self.rows.iter().enumerate() {
            let name = Style::new(BODY).anchored(Anchor::End);
            let name = if row.missing.is_some() { name.coloured(AXIS) } else { name };
            svg.text((left - 8.0, middle(i)), name, &row.name);
            if let Some(reason) = &row.missing {
                svg.text((left + SPACE, middle(i)), Style::new(SMALL).coloured(AXIS), reason);
            }
        }
        for (i, panel) in self.panels.iter().enumerate() {
            let x = left + i as f64 * (width + GAP);
            panel.draw_header(svg, (x, width), top, first - SMALL / 2.0 - 8.0);
            panel.draw_bars(svg, (x, width), middle, self.rows.len());
        }
        middle(self.rows.len())
    }
}

impl Panel {
    fn title_lines(&self, width: f64) -> Vec<String> {
        Style::new(BODY).bold().lines(&self.title, width)
    }

    fn draw_header(&self, svg: &mut Svg, (x, width): (f64, f64), top: f64, note: f64) {
        for (i, line) in self.title_lines(width).iter().enumerate() {
            svg.text((x, top + (i as f64 + 0.5) * (BODY + 4.0)), Style::new(BODY).bold(), line);
        }
        svg.text((x, note), Style::new(SMALL).coloured(AXIS), &self.note);
    }

    fn draw_bars(&self, svg: &mut Svg, (x, width): (f64, f64), middle: impl Fn(usize) -> f64, rows: usize) {
        let label = Style::new(SMALL);
        let parts = self.parts();
        let longest = self.longest(width, &parts);
        let ends = (middle(0) - ROW / 2.0, middle(rows) - ROW / 2.0);
        for (i, (bar, part)) in self.bars.iter().zip(&parts).enumerate() {
            let (Some(bar), Some(part)) = (bar, part) else { continue };
            let end = x + part * longest;
            let ground = Rect { x: (x, end), y: (middle(i) - BAR / 2.0, middle(i) + BAR / 2.0) };
            let of_use = bar.useful.map_or(1.0, |useful| (useful / bar.value).clamp(0.0, 1.0));
            let dark = Rect { x: (x, x + of_use * (end - x)), ..ground };
            svg.fill(&ground, PALE);
            svg.fill(&dark, self.colour.rgb());
            svg.text((end + SPACE, middle(i)), label, &bar.label);
        }
        svg.line(&[(x, ends.0), (x, ends.1)], GRID, 1.0);
    }

    /// The length of the longest bar with which every bar and what stands at it fit into `width`.
    fn longest(&self, width: f64, parts: &[Option<f64>]) -> f64 {
        let most = |(bar, part): (&Option<Bar>, &Option<f64>)| {
            let room = width - SPACE - Style::new(SMALL).width(&bar.as_ref()?.label);
            part.filter(|part| *part > 0.0).map(|part| room / part)
        };
        self.bars.iter().zip(parts).filter_map(most).fold(width, f64::min).max(0.0)
    }

    /// The length of each bar as a part of the longest.
    fn parts(&self) -> Vec<Option<f64>> {
        let values = || self.bars.iter().flatten().map(|bar| bar.value).filter(|value| value.is_finite());
        let base = values().filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min).log10().floor();
        let length = |value: f64| match self.scale {
            Scale::Linear => value,
            Scale::Log => (value.log10() - base).max(0.0),
        };
        let longest = values().map(length).fold(0.0, f64::max);
        let part = |bar: &Bar| {
            let part = if longest > 0.0 { length(bar.value) / longest } else { 0.0 };
            bar.value.is_finite().then_some(part.max(0.0))
        };
        self.bars.iter().map(|bar| bar.as_ref().and_then(part)).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::svg::seen::{assert_legible, texts};
    use super::super::touched::Load;
    use super::*;

    fn panel(title: &str, scale: Scale, values: &[Option<f64>]) -> Panel {
        let bar = |value: f64| Bar { value, useful: None, label: format!("{value}") };
        let bars = values.iter().map(|value| value.map(bar)).collect();
        Panel { title: title.to_owned(), note: "less is better".to_owned(), scale, bars, colour: Colour::Blue }
    }

    fn bars() -> Bars {
        let row = |name: &str| Row { name: name.to_owned(), missing: None };
        let too_old = Row { name: "9_tf32".to_owned(), missing: Some("needs sm_80".to_owned()) };
        let load = |name: &str, stride| Load {
            name: name.to_owned(),
            addresses: (0..32u64).map(|lane| lane * stride).collect(),
            width: 4,
            what: "lanes in a row".to_owned(),
        };
        Bars {
            title: "gemm, step by step".to_owned(),
            sentences: vec!["A warp's load moves whole sectors of 32 bytes, however few of them it wants.".to_owned()],
            touched: Some(Touched {
                title: "One load of a warp".to_owned(),
                loads: vec![load("1_naive", 2048), load("2_coalesced", 4)],
            }),
            rows: vec![row("1_naive"), row("2_coalesced"), too_old],
            panels: vec![
                panel("sectors a request, widest load", Scale::Linear, &[Some(32.0), Some(4.0), None]),
                panel("bytes moved, of the least", Scale::Log, &[Some(1000.0), Some(10.0), None]),
                panel("FMA share", Scale::Linear, &[Some(0.0), Some(0.0), None]),
                panel("bank conflicts", Scale::Linear, &[None, None, None]),
            ],
        }
    }

    #[test]
    fn bars_are_as_long_as_their_values_or_their_logarithms() {
        let bars = bars();
        assert_eq!(bars.panels[0].parts(), [Some(1.0), Some(0.125), None]);
        assert_eq!(bars.panels[1].parts(), [Some(1.0), Some(0.0), None]);
        assert_eq!(panel("", Scale::Log, &[Some(2.0), Some(20.0)]).parts()[1], Some(1.0));
        assert_eq!(bars.panels[2].parts(), [Some(0.0), Some(0.0), None], "nothing is longest");
        assert_eq!(panel("", Scale::Linear, &[Some(f64::NAN), Some(1.0)]).parts(), [None, Some(1.0)]);
    }

    #[test]
    fn rows_and_panels_stand_in_the_order_given_with_a_value_at_each_bar() {
        let svg = bars().svg().unwrap();
        let found = texts(&svg);
        let place = |text: &str| found.iter().filter(|(t, _)| t == text).map(|(_, rect)| *rect).collect::<Vec<_>>();
        let last = |text: &str| *place(text).last().unwrap();
        assert!(last("1_naive").y.0 < last("2_coalesced").y.0 && last("2_coalesced").y.0 < last("9_tf32").y.0);
        assert!(last("FMA share").x.0 < last("bank conflicts").x.0);
        let middle = |rect: Rect| (rect.y.0 + rect.y.1) / 2.0;
        assert!((middle(place("32")[0]) - middle(last("1_naive"))).abs() < 0.2, "a value stands in its row");
        assert!(place("needs sm_80").len() == 1 && place("1000").len() == 1);
    }

    #[test]
    fn no_text_lies_over_another_or_outside() {
        assert_legible(&bars().svg().unwrap());
        let mut many = bars();
        many.rows = (0..12).map(|i| Row { name: format!("{i}_some_longer_name"), missing: None }).collect();
        let values: Vec<Option<f64>> = (0..12).map(|i| Some(1234.5 * f64::from(i))).collect();
        many.panels = ["sectors", "bytes", "conflicts", "FMA", "instructions for each FMA or product"]
            .map(|title| panel(title, Scale::Linear, &values))
            .into();
        assert_legible(&many.svg().unwrap());
    }

    #[test]
    fn equal_data_give_equal_bytes_without_a_number_that_is_none() {
        let svg = bars().svg().unwrap();
        assert_eq!(svg, bars().svg().unwrap());
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn what_cannot_be_drawn_is_an_error() {
        assert_eq!(Bars::default().svg(), Err(Error::Empty));
        let mut ragged = bars();
        ragged.panels[1].bars.pop();
        let panel = "bytes moved, of the least".to_owned();
        assert_eq!(ragged.svg(), Err(Error::Ragged { panel, bars: 2, rows: 3 }));
    }
}
