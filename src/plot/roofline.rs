//! The roofline of a device (Williams, Waterman and Patterson 2009): what its memory feeds and what its units compute, and
//! kernels beneath it.

use super::axis::Axis;
use super::curves::Scale;
use super::palette::{AXIS, Colour, GRID, INK, Rgb};
use super::rect::{Point, Rect};
use super::svg::{Anchor, BODY, SMALL, Style, Svg};

/// The picture's width, the plot's height, and the room left of the plot and beneath it.
const WIDTH: f64 = 980.0;
const HEIGHT: f64 = 500.0;
const EDGE: f64 = 16.0;
const LEFT: f64 = 84.0;
const BELOW: f64 = 48.0;

/// Radius of a mark, and how near another of its kind takes the same label.
const MARK: f64 = 4.5;
const SAME: f64 = 1.5;

/// Marks so near to the next are a group, and so many of them have their names in a column beside them.
const NEIGHBOUR: f64 = 30.0;
const CROWD: usize = 3;

/// Kernels of a folder that are listed one by one.
const LISTED: usize = 3;

/// Height of a name.
const LINE: f64 = SMALL + 3.0;

/// Labels lie on a raster this fine, so far from everything else, and have a line to their mark from this distance on.
const RASTER: f64 = 5.0;
const CLEARANCE: f64 = 2.0;
const LEADER: f64 = 14.0;

const WHITE: Rgb = Rgb(0xff, 0xff, 0xff);

/// The most ticks of an axis.
const TICKS: usize = 12;

/// A roofline that cannot be drawn.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// The device computes or moves nothing.
    #[error("{name:?} is no ceiling: give a rate above 0")]
    Ceiling {
        /// Its name.
        name: String,
    },
}

/// What a device does at most.
#[derive(Clone, Debug, PartialEq)]
pub struct Ceiling {
    /// Its name.
    pub name: String,
    /// GFLOP/s of units that compute, GB/s of memory.
    pub rate: f64,
}

/// A kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// Its name.
    pub name: String,
    /// FLOP for each byte; one without is left out.
    pub intensity: f64,
    /// GFLOP/s.
    pub rate: f64,
    /// A disc, or else a ring.
    pub is_solid: bool,
}

/// A device and kernels.
#[derive(Clone, Debug, PartialEq)]
pub struct Roofline {
    /// What is shown.
    pub title: String,
    /// What to see in it, sentences beneath the title.
    pub sentences: Vec<String>,
    /// The memory.
    pub memory: Ceiling,
    /// The units that compute, each a ceiling of its own.
    pub units: Vec<Ceiling>,
    /// The kernels.
    pub marks: Vec<Mark>,
    /// What discs are and what rings are, for the key; empty where there is none.
    pub key: [String; 2],
}

/// The colours of the units' ceilings.
const COLOURS: [Colour; 4] = [Colour::Vermilion, Colour::Green, Colour::Purple, Colour::Orange];

impl Roofline {
    /// The roofline as an SVG document, 980 pixels wide. Equal data give equal bytes.
    ///
    /// # Errors
    /// A ceiling is none.
    pub fn svg(&self) -> Result<String, Error> {
        let is_none = |ceiling: &&Ceiling| !(ceiling.rate > 0.0 && ceiling.rate.is_finite());
        if let Some(Ceiling { name, .. }) = self.units.iter().chain([&self.memory]).find(is_none) {
            return Err(Error::Ceiling { name: name.clone() });
        }
        let mut svg = Svg::default();
        let top = svg.heading(&self.title, &self.sentences, EDGE, WIDTH - 2.0 * EDGE) + 10.0;
        let plot = Rect { x: (LEFT, WIDTH - EDGE), y: (top, top + HEIGHT) };
        let mut sheet = Sheet::new(plot, self.axes());
        sheet.draw_axes(&mut svg);
        sheet.draw_key(&mut svg, &self.key);
        self.draw_ceilings(&mut svg, &mut sheet);
        let unnamed = self.draw_marks(&mut svg, &mut sheet);
        let mut bottom = plot.y.1 + BELOW;
        if !unnamed.is_empty() {
            let style = Style::new(SMALL).coloured(AXIS);
            let text = format!("no room for the names of {}", unnamed.join(", "));
            for line in style.lines(&text, WIDTH - 2.0 * EDGE) {
                svg.text((EDGE, bottom), style, &line);
                bottom += SMALL + 4.0;
            }
        }
        Ok(svg.document(WIDTH, bottom))
    }

    /// Kernels that can be shown.
    fn shown(&self) -> impl Iterator<Item = &Mark> {
        let has_place = |x: f64| x > 0.0 && x.is_finite();
        self.marks.iter().filter(move |mark| has_place(mark.intensity) && has_place(mark.rate))
    }

    /// Where memory and the fastest unit, and memory and the slowest, are at their limits at once.
    fn ridges(&self) -> (f64, f64) {
        let ridges = self.units.iter().map(|unit| unit.rate / self.memory.rate);
        ridges.fold((f64::INFINITY, 0.0), |(low, high), ridge| (f64::min(low, ridge), f64::max(high, ridge)))
    }

    /// Axes around every kernel and every ridge.
    fn axes(&self) -> (Axis, Axis) {
        let (low, high) = self.ridges();
        let wide = |values: &[f64], (below, above): (f64, f64)| {
            let (low, high) = values.iter().fold((f64::INFINITY, 0.0), |(l, h), v| (f64::min(l, *v), f64::max(h, *v)));
            Axis::new(Scale::Log, ((low / below).log10(), (high * above).log10()), TICKS, false)
        };
        let mut x: Vec<f64> = self.shown().map(|mark| mark.intensity).collect();
        x.extend([low / 4.0, high * 4.0].into_iter().filter(|ridge| ridge.is_finite() && *ridge > 0.0));
        x.extend([0.1]);
        let mut y: Vec<f64> = self.shown().map(|mark| mark.rate).collect();
        y.extend(self.units.iter().map(|unit| unit.rate));
        y.push(x.iter().fold(f64::INFINITY, |low, x| low.min(*x)) * self.memory.rate);
        (wide(&x, (1.6, 1.6)), wide(&y, (8.0, 2.2)))
    }

    fn draw_ceilings(&self, svg: &mut Svg, sheet: &mut Sheet) {
        let (_, high) = self.ridges();
        let left = 10f64.powf(sheet.axes.0.ends().0);
        // The memory's line goes up to the highest ridge; of a device without a unit that computes, across.
        let end = if high > 0.0 { high } else { 10f64.powf(sheet.axes.0.ends().1) };
        let start = left.max(10f64.powf(sheet.axes.1.ends().0) / self.memory.rate);
        let slope = [sheet.at(start, start * self.memory.rate), sheet.at(end, end * self.memory.rate)];
        svg.line(&slope, Colour::Blue.rgb(), 2.5);
        sheet.lines.push(slope);
        for (unit, colour) in self.units.iter().zip(COLOURS.into_iter().cycle()) {
            let right = 10f64.powf(sheet.axes.0.ends().1);
            let line = [sheet.at(unit.rate / self.memory.rate, unit.rate), sheet.at(right, unit.rate)];
            svg.line(&line, colour.rgb(), 2.5);
            sheet.lines.push(line);
            let text = format!("{} {} GFLOP/s", unit.name, thousands(unit.rate));
            let style = Style::new(BODY).anchored(Anchor::End).coloured(colour.rgb());
            let at = (line[1].0 - 6.0, line[1].1 - BODY / 2.0 - 4.0);
            svg.text(at, style, &text);
            sheet.taken.push(style.ground(at, &text));
        }
        let text = format!("{} {} GB/s", self.memory.name, thousands(self.memory.rate));
        let style = Style::new(BODY).anchored(Anchor::End).coloured(Colour::Blue.rgb());
        // Left of the line, at a third of its height, where it is furthest from kernels' names, which lie beneath.
        let third = |a: f64, b: f64| a + (b - a) * 0.62;
        let at = (third(slope[0].0, slope[1].0) - 18.0, third(slope[0].1, slope[1].1));
        svg.text(at, style, &text);
        sheet.taken.push(style.ground(at, &text));
    }

    /// Draws the kernels; returns the names for which there was no room.
    fn draw_marks(&self, svg: &mut Svg, sheet: &mut Sheet) -> Vec<String> {
        let spots = self.spots(sheet);
        sheet.taken.extend(spots.iter().map(|spot| around(spot.at)));
        let mut unnamed = Vec::new();
        for group in spots.chunk_by(|a, b| (a.at.0 - b.at.0).hypot(a.at.1 - b.at.1) <= NEIGHBOUR) {
            let names: Vec<String> = group.iter().map(|spot| together(&spot.names)).collect();
            let grounds = if group.len() < CROWD { None } else { sheet.column(group, &names) };
            for (i, (spot, name)) in group.iter().zip(names).enumerate() {
                let ground = grounds.as_ref().map(|grounds| grounds[i]).or_else(|| sheet.place(spot.at, &name));
                match ground {
                    Some(ground) => sheet.draw_label(svg, spot.at, &ground, &name),
                    None => unnamed.push(name),
                }
            }
        }
        for Spot { at, is_solid, .. } in &spots {
            let (fill, edge) = if *is_solid { (INK, WHITE) } else { (WHITE, INK) };
            svg.disc(*at, MARK, fill, edge);
        }
        unnamed
    }

    /// Where kernels lie, from the right, those at one place together.
    fn spots(&self, sheet: &Sheet) -> Vec<Spot<'_>> {
        let mut spots: Vec<Spot> = Vec::new();
        for mark in self.shown() {
            let at = sheet.at(mark.intensity, mark.rate);
            let is_here = |spot: &&mut Spot| {
                let same = (spot.at.0 - at.0).abs() <= SAME && (spot.at.1 - at.1).abs() <= SAME;
                same && spot.is_solid == mark.is_solid
            };
            match spots.iter_mut().find(is_here) {
                Some(spot) => spot.names.push(&mark.name),
                None => spots.push(Spot { at, is_solid: mark.is_solid, names: vec![&mark.name] }),
            }
        }
        spots.sort_by(|a, b| b.at.0.total_cmp(&a.at.0).then(a.at.1.total_cmp(&b.at.1)));
        spots
    }
}

/// Where kernels lie.
struct Spot<'a> {
    at: Point,
    is_solid: bool,
    names: Vec<&'a str>,
}

/// The plot while it is drawn.
struct Sheet {
    plot: Rect,
    axes: (Axis, Axis),
    /// Where nothing more may be written.
    taken: Vec<Rect>,
    /// Ceilings, which no text may cross.
    lines: Vec<[Point; 2]>,
    /// Lines from texts to their marks, which nothing may cross.
    leaders: Vec<[Point; 2]>,
}

impl Sheet {
    fn new(plot: Rect, axes: (Axis, Axis)) -> Self {
        Self { plot, axes, taken: Vec::new(), lines: Vec::new(), leaders: Vec::new() }
    }

    /// Where an intensity and a rate lie.
    fn at(&self, intensity: f64, rate: f64) -> Point {
        let (x, y) = (self.axes.0.part(intensity.log10()), self.axes.1.part(rate.log10()));
        let Rect { x: (left, right), y: (top, bottom) } = self.plot;
        (left + x * (right - left), bottom - y * (bottom - top))
    }

    fn draw_axes(&self, svg: &mut Svg) {
        let Rect { x: (left, right), y: (top, bottom) } = self.plot;
        let label = Style::new(SMALL);
        for (place, text) in self.axes.0.ticks() {
            let x = left + self.axes.0.part(*place) * (right - left);
            svg.line(&[(x, top), (x, bottom)], GRID, 1.0);
            svg.text((x, bottom + 12.0), label.anchored(Anchor::Middle), text);
        }
        for (place, text) in self.axes.1.ticks() {
            let y = bottom - self.axes.1.part(*place) * (bottom - top);
            svg.line(&[(left, y), (right, y)], GRID, 1.0);
            svg.text((left - 6.0, y), label.anchored(Anchor::End), text);
        }
        svg.line(&[(left, top), (left, bottom), (right, bottom)], AXIS, 1.0);
        let name = Style::new(BODY).anchored(Anchor::Middle);
        svg.text(((left + right) / 2.0, bottom + 32.0), name, "arithmetic intensity, FLOP for each byte");
        svg.upwards((EDGE + 6.0, (top + bottom) / 2.0), name, "GFLOP/s");
    }

    /// What the marks mean, in the upper left corner.
    fn draw_key(&mut self, svg: &mut Svg, key: &[String; 2]) {
        let mut middle = self.plot.y.0 + 14.0;
        for (text, fill) in key.iter().zip([INK, WHITE]).filter(|(text, _)| !text.is_empty()) {
            let at = (self.plot.x.0 + 26.0, middle);
            svg.disc((self.plot.x.0 + 14.0, middle), MARK, fill, INK);
            svg.text(at, Style::new(SMALL), text);
            self.taken.push(Style::new(SMALL).ground(at, text).grown(4.0));
            middle += SMALL + 7.0;
        }
    }

    /// Places for the names of a group, which comes from the right: one below the other, right of it and beneath. The lines
    /// to the marks then do not cross each other, and run through nothing else.
    fn column(&self, group: &[Spot], names: &[String]) -> Option<Vec<Rect>> {
        let style = Style::new(SMALL);
        let widths: Vec<f64> = names.iter().map(|name| style.width(name)).collect();
        let (width, height) = (widths.iter().copied().fold(0.0, f64::max), LINE * names.len() as f64);
        let first = group[0].at;
        let (left, top) = (first.0 + 3.0 * MARK, (first.1 + MARK).min(self.plot.y.1 - height - CLEARANCE));
        let steps = |room: f64| 0..=(room / RASTER).max(0.0) as usize;
        let down = |i: usize| steps(self.plot.y.1 - height - CLEARANCE - top).map(move |j| (i, j));
        let mut places: Vec<(usize, usize)> = steps(self.plot.x.1 - width - left).flat_map(down).collect();
        places.sort_by_key(|(i, j)| i + j);
        let grounds = |(i, j): (usize, usize)| -> Vec<Rect> {
            let (x, y) = (left + i as f64 * RASTER, top + j as f64 * RASTER);
            let ground = |(n, width): (usize, &f64)| Rect {
                x: (x, x + width),
                y: (y + LINE * n as f64, y + LINE * (n as f64 + 1.0)),
            };
            widths.iter().enumerate().map(ground).collect()
        };
        places.into_iter().map(grounds).find(|grounds| self.plot.holds(&grounds[0]) && self.are_free(group, grounds))
    }

    fn are_free(&self, group: &[Spot], grounds: &[Rect]) -> bool {
        let own: Vec<Rect> = group.iter().map(|spot| around(spot.at)).collect();
        let is_own = |taken: &Rect| own.iter().any(|own| own.overlaps(taken));
        let is_clear = |(spot, ground): (&Spot, &Rect)| {
            let grown = ground.grown(CLEARANCE);
            let leader = leader(spot.at, ground);
            let is_in_the_way = |taken: &Rect| taken.overlaps(&grown) || (!is_own(taken) && taken.touches(&leader));
            let crosses = |line: &[Point; 2]| grown.touches(line) || cross(line, &leader);
            let meets = |line: &[Point; 2]| grown.touches(line);
            !(self.taken.iter().any(is_in_the_way) || self.leaders.iter().any(crosses) || self.lines.iter().any(meets))
        };
        group.iter().zip(grounds).all(is_clear)
    }

    /// The free place for `name` that is nearest to its mark at `at`.
    fn place(&self, at: Point, name: &str) -> Option<Rect> {
        let style = Style::new(SMALL);
        let (width, height) = (style.width(name), LINE);
        let steps = |(low, high): (f64, f64), size: f64| {
            let count = ((high - low - size) / RASTER).floor().max(0.0) as usize;
            (0..=count).map(move |i| low + i as f64 * RASTER)
        };
        let mut places: Vec<(i64, Rect)> = steps(self.plot.x, width)
            .flat_map(|x| steps(self.plot.y, height).map(move |y| Rect { x: (x, x + width), y: (y, y + height) }))
            .map(|ground| ((10.0 * distance(at, &ground)) as i64, ground))
            .collect();
        places.sort_by_key(|(distance, _)| *distance);
        places.into_iter().map(|(_, ground)| ground).find(|ground| self.is_free(at, ground))
    }

    fn is_free(&self, at: Point, ground: &Rect) -> bool {
        let grown = ground.grown(CLEARANCE);
        let crosses = |line: &[Point; 2]| grown.touches(line);
        if self.taken.iter().any(|taken| taken.overlaps(&grown)) || self.lines.iter().chain(&self.leaders).any(crosses)
        {
            return false;
        }
        // Nor may the line to its mark run through another text or mark, or across another line.
        let own = around(at);
        let line = leader(at, ground);
        let is_through = |taken: &Rect| !taken.overlaps(&own) && taken.touches(&line);
        let is_across = |other: &[Point; 2]| cross(&line, other);
        distance(at, ground) <= LEADER || !(self.taken.iter().any(is_through) || self.leaders.iter().any(is_across))
    }

    fn draw_label(&mut self, svg: &mut Svg, at: Point, ground: &Rect, name: &str) {
        if distance(at, ground) > LEADER {
            let line = leader(at, ground);
            svg.line(&line, AXIS, 0.7);
            self.leaders.push(line);
        }
        svg.text((ground.x.0, (ground.y.0 + ground.y.1) / 2.0), Style::new(SMALL), name);
        self.taken.push(*ground);
    }
}

/// Where a mark lies.
fn around((x, y): Point) -> Rect {
    Rect { x: (x, x), y: (y, y) }.grown(MARK + 1.5)
}

/// The line from a mark to its name: to the nearest point at the name's middle height.
fn leader(at: Point, ground: &Rect) -> [Point; 2] {
    let (middle, edge) = ((ground.y.0 + ground.y.1) / 2.0, ground.grown(1.0));
    [at, nearest(at, &Rect { y: (middle, middle), ..edge })]
}

/// The point of `ground` nearest to `at`.
fn nearest(at: Point, ground: &Rect) -> Point {
    (at.0.clamp(ground.x.0, ground.x.1), at.1.clamp(ground.y.0, ground.y.1))
}

/// Whether two lines cross.
fn cross([a, b]: &[Point; 2], [c, d]: &[Point; 2]) -> bool {
    let side =
        |from: &Point, to: &Point, p: &Point| (to.0 - from.0) * (p.1 - from.1) - (to.1 - from.1) * (p.0 - from.0);
    side(a, b, c) * side(a, b, d) < 0.0 && side(c, d, a) * side(c, d, b) < 0.0
}

fn distance(at: Point, ground: &Rect) -> f64 {
    let near = nearest(at, ground);
    (at.0 - near.0).hypot(at.1 - near.1)
}

/// The names of kernels at one spot, folder by folder: "gemm/1_naive to 8_split_k, epilogue/1_separate, 2_fused".
fn together(names: &[&str]) -> String {
    let split = |name: &&str| -> (String, String) {
        name.rsplit_once('/').map_or_else(
            || (String::new(), (*name).to_owned()),
            |(folder, rest)| (format!("{folder}/"), rest.to_owned()),
        )
    };
    let parts: Vec<(String, String)> = names.iter().map(split).collect();
    let folder = |part: &[(String, String)]| {
        let (folder, first) = &part[0];
        match part {
            [_, .., (_, last)] if part.len() > LISTED && !folder.is_empty() => format!("{folder}{first} to {last}"),
            _ => folder.clone() + &part.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>().join(", "),
        }
    };
    parts.chunk_by(|a, b| a.0 == b.0).map(folder).collect::<Vec<_>>().join(", ")
}

/// 66900 as "66 900".
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|g| std::str::from_utf8(g).ok()).collect();
    groups.join(" ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::svg::seen::{assert_legible, texts};
    use super::*;

    fn ceiling(name: &str, rate: f64) -> Ceiling {
        Ceiling { name: name.to_owned(), rate }
    }

    fn mark(name: &str, intensity: f64, is_solid: bool) -> Mark {
        Mark { name: name.to_owned(), intensity, rate: 67_000f64.min(3350.0 * intensity), is_solid }
    }

    fn roofline(marks: Vec<Mark>) -> Roofline {
        Roofline {
            title: "Roofline of an NVIDIA H100".to_owned(),
            sentences: vec!["Left of the ridge memory binds, right of it arithmetic.".to_owned()],
            memory: ceiling("memory", 3350.0),
            units: vec![ceiling("FP32", 67_000.0), ceiling("TF32", 494_700.0), ceiling("BF16", 989_400.0)],
            marks,
            key: ["by the bytes that move".to_owned(), "by the least bytes".to_owned()],
        }
    }

    fn crowd() -> Vec<Mark> {
        let names = ["adam", "bce", "kl", "gather", "sigmoid", "leaky_relu", "reparameterise", "standard_normal"];
        let elementwise = (0..16).map(|i| mark(&format!("{}/{i}", names[i % 8]), 0.1 + 0.015 * i as f64, true));
        elementwise.chain((0..10).map(|i| mark(&format!("gemm/{i}_step"), 85.3, false))).collect()
    }

    #[test]
    fn ceilings_and_kernels_have_their_names_and_no_two_lie_over_each_other() {
        let svg = roofline(crowd()).svg().unwrap();
        let found: Vec<String> = texts(&svg).into_iter().map(|(text, _)| text).collect();
        for text in ["FP32 67 000 GFLOP/s", "memory 3 350 GB/s", "adam/0", "gather/11", "by the least bytes"] {
            assert!(found.iter().any(|t| t == text), "{text} is not in {found:?}");
        }
        assert!(found.iter().any(|text| text == "gemm/0_step to 9_step"));
        assert!(!svg.contains("no room for"));
        assert_legible(&svg);
    }

    #[test]
    fn a_name_without_room_is_told_beneath() {
        let marks =
            (0..400).map(|i| mark(&format!("a_kernel_with_quite_a_long_name_{i}"), 0.1 * 1.02f64.powi(i), true));
        let svg = roofline(marks.collect()).svg().unwrap();
        assert!(svg.contains("no room for the names of"));
        assert_legible(&svg);
    }

    #[test]
    fn kernels_at_one_spot_are_named_folder_by_folder() {
        let names = ["gemm/1_a", "gemm/2_b", "gemm/3_c", "gemm/4_d", "epilogue/1_e", "epilogue/2_f", "adam"];
        assert_eq!(together(&names), "gemm/1_a to 4_d, epilogue/1_e, 2_f, adam");
        assert_eq!(together(&["adam"]), "adam");
    }

    #[test]
    fn kernels_lie_where_their_intensity_and_rate_say() {
        let roofline = roofline(vec![mark("bce", 0.5, true)]);
        let plot = Rect { x: (0.0, 100.0), y: (0.0, 100.0) };
        let sheet = Sheet::new(plot, roofline.axes());
        let (ridge, slope) = (sheet.at(20.0, 67_000.0), sheet.at(0.5, 1675.0));
        let ratio = |a: Point, b: Point| (a.1 - b.1) / (b.0 - a.0);
        let other = sheet.at(2.0, 6700.0);
        assert!((ratio(slope, other) - ratio(other, ridge)).abs() < 1e-9, "the memory's line is straight");
        assert!(ridge.1 < slope.1 && slope.0 < ridge.0);
    }

    #[test]
    fn kernels_without_an_intensity_are_left_out() {
        let none = [0.0, -1.0, f64::NAN, f64::INFINITY].map(|intensity| mark("gather", intensity, true));
        let svg = roofline(none.into()).svg().unwrap();
        assert!(!svg.contains("gather") && !svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn equal_data_give_equal_bytes_and_a_ceiling_of_nothing_is_an_error() {
        assert_eq!(roofline(crowd()).svg().unwrap(), roofline(crowd()).svg().unwrap());
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let broken = Roofline { memory: ceiling("memory", rate), ..roofline(crowd()) };
            assert_eq!(broken.svg(), Err(Error::Ceiling { name: "memory".to_owned() }));
        }
    }
}
