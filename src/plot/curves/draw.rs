//! From a chart to SVG.

use std::io;

use plotters::backend::SVGBackend;
use plotters::chart::ChartBuilder;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::element::{Circle, DashedPathElement, PathElement, Rectangle};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontFamily, IntoFont, RGBColor, ShapeStyle, TRANSPARENT, TextStyle, WHITE};

use super::legend::{self, Legend};
use super::trace;
use super::{Chart, Colour, Error, Scale, Style};
use crate::plot::axis::{self, Axis, Margin};
use crate::plot::palette::{self, Rgb, printable};
use crate::plot::rect::Point;
use crate::plot::units::{FONT, TITLE_FONT, UNITS, px};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), DrawingAreaErrorKind<io::Error>>;

/// (width, height) of a chart that stands alone, of one beside others, and of one that a telephone shows in full size.
const ALONE: (i32, i32) = (px(760), px(440));
const BESIDE: (i32, i32) = (px(560), px(400));
const SMALL: (i32, i32) = (px(400), px(300));

/// Room around the plot; on its left the labels of the ticks decide.
const TOP: i32 = px(46);
const RIGHT: i32 = px(22);
const BOTTOM: i32 = px(12);
const LEFT: i32 = px(12);
const X_LABELS: i32 = px(44);
const TICK: i32 = px(4);

/// The most ticks that are easy to read.
const X_TICKS: usize = 10;
const Y_TICKS: usize = 8;

const X_MARGIN: Margin = Margin(0.02);
const Y_MARGIN: Margin = Margin(0.06);

const LINE_WIDTH: i32 = px(2);
const DASH: (i32, i32) = (px(7), px(5));
const DISC: i32 = px(4);
const HALO: i32 = px(1);

const INK: RGBColor = rgb(palette::INK);
const AXIS: RGBColor = rgb(palette::AXIS);
const GRID: RGBColor = rgb(palette::GRID);

const FAMILY: FontFamily<'static> = FontFamily::Name(palette::FAMILY);

const fn rgb(Rgb(red, green, blue): Rgb) -> RGBColor {
    RGBColor(red, green, blue)
}

/// `charts` in a row as one SVG document: one 760 x 440 pixels, several 560 x 400 each, taller where a legend needs it.
///
/// # Errors
/// There is no chart, a chart has no point to show, or its y range is not one.
pub fn svg_side_by_side(charts: &[Chart]) -> Result<String, Error> {
    svg_of_size(charts, if charts.len() == 1 { ALONE } else { BESIDE })
}

/// `chart` as an SVG document of 400 x 300 pixels, for a page that shows several.
///
/// # Errors
/// As [`svg_side_by_side`].
pub fn small_svg(chart: &Chart) -> Result<String, Error> {
    svg_of_size(std::slice::from_ref(chart), SMALL)
}

fn svg_of_size(charts: &[Chart], size: (i32, i32)) -> Result<String, Error> {
    let panels = charts.iter().map(|chart| Panel::new(chart, size)).collect::<Result<Vec<_>, _>>()?;
    // The plots stand level: all leave the room that the highest legend needs.
    let above = panels.iter().map(|panel| panel.legend.above).max().ok_or(Error::NoChart)?;
    let (width, height) = (size.0 * charts.len() as i32, size.1 + above);
    let mut drawing = String::new();
    draw_row(&panels, (width as u32, height as u32), above, &mut drawing)
        .map_err(|error| Error::Drawing(error.to_string()))?;
    let (shown_width, shown_height) = (width / UNITS, height / UNITS);
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{shown_width}\" height=\"{shown_height}\" \
         viewBox=\"0 0 {width} {height}\" stroke-linejoin=\"round\">\n{drawing}</svg>\n"
    ))
}

fn draw_row(panels: &[Panel], size: (u32, u32), above: i32, drawing: &mut String) -> Drawn {
    let root = SVGBackend::with_string(drawing, size).into_drawing_area();
    root.fill(&WHITE)?;
    for (panel, area) in panels.iter().zip(root.split_evenly((1, panels.len()))) {
        panel.draw(&area, above)?;
    }
    root.present()
}

/// A chart laid out.
struct Panel<'a> {
    chart: &'a Chart,
    x: Axis,
    y: Axis,
    /// Room for the labels of y.
    y_labels: i32,
    /// What each series shows, in units from the plot's upper left corner.
    pieces: Vec<Vec<Vec<Point>>>,
    legend: Legend,
}

impl<'a> Panel<'a> {
    fn new(chart: &'a Chart, size: (i32, i32)) -> Result<Self, Error> {
        let empty = || Error::Empty { title: chart.title.clone() };
        let places: Vec<_> = chart.series.iter().map(|s| trace::places(s, chart.y_scale)).collect();
        let points = || places.iter().flatten().flatten();
        let x_range = axis::range_around(Scale::Linear, points().map(|p| p.0), X_MARGIN).ok_or_else(empty)?;
        let y_range = match chart.y_range {
            Some(range) => axis::range_between(chart.y_scale, range).ok_or_else(|| Error::Range {
                title: chart.title.clone(),
                low: range.0,
                high: range.1,
            })?,
            None => axis::range_around(chart.y_scale, points().map(|p| p.1), Y_MARGIN).ok_or_else(empty)?,
        };
        let x = Axis::new(Scale::Linear, x_range, X_TICKS, points().all(|p| p.0.fract() == 0.0));
        let y = Axis::new(chart.y_scale, y_range, Y_TICKS, false);
        let y_labels = FONT + px(12) + y.label_width() + 2 * TICK;
        let plot = (size.0 - LEFT - y_labels - RIGHT, size.1 - TOP - X_LABELS - BOTTOM);
        let pixel = |p: Point| (x.part(p.0) * f64::from(plot.0), (1.0 - y.part(p.1)) * f64::from(plot.1));
        let pieces: Vec<Vec<Vec<Point>>> = (places.iter().zip(&chart.series))
            .map(|(places, series)| trace::pieces(places, series.style, &x, &y))
            .map(|pieces| pieces.into_iter().map(|piece| piece.into_iter().map(pixel).collect()).collect())
            .collect();
        if pieces.iter().all(Vec::is_empty) {
            return Err(empty());
        }
        let legend = Legend::place(&chart.series, plot, &pieces.concat());
        Ok(Self { chart, x, y, y_labels, pieces, legend })
    }

    /// Draws the chart with `above` units free between the title and the plot.
    fn draw(&self, area: &Area, above: i32) -> Drawn {
        let top = TOP + above;
        let title = text_style(TITLE_FONT).pos(Pos::new(HPos::Center, VPos::Center));
        let left = LEFT + self.y_labels;
        let width = area.dim_in_pixel().0 as i32;
        area.draw_text(&printable(&self.chart.title), &title, ((left + width - RIGHT) / 2, TOP / 2))?;
        self.draw_axes(area, top)?;
        for (i, pieces) in self.pieces.iter().enumerate() {
            let series = &self.chart.series[i];
            for piece in pieces {
                let points = piece.iter().map(|(x, y)| (left + x.round() as i32, top + y.round() as i32));
                draw_piece(area, points.collect(), series.style, colour(self.chart, i))?;
            }
        }
        self.draw_legend(area, (left, top))
    }

    fn draw_axes(&self, area: &Area, top: i32) -> Drawn {
        let mut plot = ChartBuilder::on(area)
            .margin_top(top)
            .margin_right(RIGHT)
            .margin_bottom(BOTTOM)
            .margin_left(LEFT)
            .x_label_area_size(X_LABELS)
            .y_label_area_size(self.y_labels)
            .build_cartesian_2d(self.x.clone(), self.y.clone())?;
        plot.configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(ShapeStyle::from(GRID).stroke_width(px(1) as u32))
            .axis_style(ShapeStyle::from(AXIS).stroke_width(px(1) as u32))
            .set_all_tick_mark_size(TICK)
            .label_style(text_style(FONT))
            .axis_desc_style(text_style(FONT))
            .x_desc(printable(&self.chart.x_label))
            .y_desc(printable(&self.chart.y_label))
            .draw()
    }

    /// Draws the legend; `origin` is the plot's upper left corner.
    fn draw_legend(&self, area: &Area, origin: (i32, i32)) -> Drawn {
        if let Some((left, top, right, bottom)) = self.legend.ground {
            let corners = [(origin.0 + left, origin.1 + top), (origin.0 + right, origin.1 + bottom)];
            area.draw(&Rectangle::new(corners, WHITE.filled()))?;
            let [(left, top), (right, bottom)] = corners;
            let frame = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
            area.draw(&PathElement::new(frame, ShapeStyle::from(GRID).stroke_width(px(1) as u32)))?;
        }
        for entry in &self.legend.entries {
            let series = &self.chart.series[entry.series];
            let (x, y) = (origin.0 + entry.left, origin.1 + entry.middle);
            let sample = match series.style {
                Style::Markers => vec![(x + legend::SAMPLE / 2, y)],
                Style::Line | Style::Dashed => vec![(x, y), (x + legend::SAMPLE, y)],
            };
            draw_piece(area, sample, series.style, colour(self.chart, entry.series))?;
            let label = text_style(FONT).pos(Pos::new(HPos::Left, VPos::Center));
            area.draw_text(&printable(&series.label), &label, (x + legend::SAMPLE + legend::SAMPLE_GAP, y))?;
        }
        Ok(())
    }
}

/// Draws a line through `points`, or a disc where there is but one.
fn draw_piece(area: &Area, points: Vec<(i32, i32)>, style: Style, colour: RGBColor) -> Drawn {
    let first = points[0];
    if points.iter().all(|point| *point == first) {
        // A white rim keeps discs apart from each other and from a line beneath.
        area.draw(&Circle::new(first, DISC + HALO, WHITE.filled()))?;
        return area.draw(&Circle::new(first, DISC, colour.filled()));
    }
    let line = ShapeStyle::from(colour).stroke_width(LINE_WIDTH as u32);
    match style {
        Style::Dashed => area.draw(&DashedPathElement::new(points, DASH.0, DASH.1, line)),
        Style::Line | Style::Markers => area.draw(&PathElement::new(points, line)),
    }
}

/// The colour of series `i`.
fn colour(chart: &Chart, i: usize) -> RGBColor {
    rgb(chart.series[i].colour.unwrap_or(Colour::ORDER[i % Colour::ORDER.len()]).rgb())
}

fn text_style(size: i32) -> TextStyle<'static> {
    // The SVG writer divides sizes by 1.24.
    (FAMILY, 1.24 * f64::from(size)).into_font().color(&INK)
}
