//! SVG written directly: boxes, lines, discs and texts, in pixels from the upper left corner.

use std::fmt::Write as _;

use super::palette::{FAMILY, INK, Rgb, printable};
use super::rect::{Point, Rect};
use super::units::{FONT, text_width};

/// Sizes of text, in pixels.
pub(super) const TITLE: f64 = 16.0;
pub(super) const BODY: f64 = 13.0;
pub(super) const SMALL: f64 = 11.0;

/// Distance from a text's middle down to its baseline, in parts of its size.
const BASELINE: f64 = 0.35;

/// Which part of a text lies at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    /// Its beginning.
    Start,
    /// Its middle.
    Middle,
    /// Its end.
    End,
}

/// How a text is set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub size: f64,
    pub anchor: Anchor,
    pub colour: Rgb,
    pub bold: bool,
}

impl Style {
    /// Of `size`, from its beginning, in ink.
    pub(super) const fn new(size: f64) -> Self {
        Self { size, anchor: Anchor::Start, colour: INK, bold: false }
    }

    pub(super) const fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    pub(super) const fn anchored(self, anchor: Anchor) -> Self {
        Self { anchor, ..self }
    }

    pub(super) const fn coloured(self, colour: Rgb) -> Self {
        Self { colour, ..self }
    }

    /// Width of `text`, estimated, with room for the wider fonts that stand in where Helvetica is missing.
    pub(super) fn width(&self, text: &str) -> f64 {
        let helvetica = f64::from(text_width(text)) * self.size / f64::from(FONT);
        if self.bold { 1.25 * helvetica } else { 1.12 * helvetica }
    }

    /// Where `text` lies whose anchor is at `at`.
    pub(super) fn ground(&self, at: Point, text: &str) -> Rect {
        let width = self.width(text);
        let left = match self.anchor {
            Anchor::Start => at.0,
            Anchor::Middle => at.0 - width / 2.0,
            Anchor::End => at.0 - width,
        };
        Rect { x: (left, left + width), y: (at.1 - self.size / 2.0, at.1 + self.size / 2.0) }
    }

    /// `text` in lines of at most `width`, broken at spaces.
    pub(super) fn lines(&self, text: &str, width: f64) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for word in text.split_whitespace() {
            match lines.last_mut() {
                Some(line) if self.width(&format!("{line} {word}")) <= width => *line += &format!(" {word}"),
                _ => lines.push(word.to_owned()),
            }
        }
        lines
    }
}

/// A drawing.
#[derive(Default)]
pub(super) struct Svg {
    body: String,
}

impl Svg {
    /// Fills a rectangle.
    pub(super) fn fill(&mut self, rect: &Rect, colour: Rgb) {
        let [x, y, width, height] = [rect.x.0, rect.y.0, rect.x.1 - rect.x.0, rect.y.1 - rect.y.0].map(number);
        self.add(&format!("<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{colour}\"/>"));
    }

    /// Draws a rectangle's edge.
    pub(super) fn frame(&mut self, rect: &Rect, colour: Rgb) {
        let [x, y, width, height] = [rect.x.0, rect.y.0, rect.x.1 - rect.x.0, rect.y.1 - rect.y.0].map(number);
        self.add(&format!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"none\" stroke=\"{colour}\"/>"
        ));
    }

    /// A line through `points`.
    pub(super) fn line(&mut self, points: &[Point], colour: Rgb, width: f64) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{},{}", number(*x), number(*y))).collect();
        let (points, width) = (points.join(" "), number(width));
        self.add(&format!(
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"/>"
        ));
    }

    /// A disc with an edge.
    pub(super) fn disc(&mut self, (x, y): Point, radius: f64, fill: Rgb, edge: Rgb) {
        let [x, y, radius] = [x, y, radius].map(number);
        self.add(&format!(
            "<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\" fill=\"{fill}\" stroke=\"{edge}\" stroke-width=\"1.5\"/>"
        ));
    }

    /// Discs of one colour that are seen through, each at its place; far shorter than a disc after the other.
    pub(super) fn dots(&mut self, places: impl IntoIterator<Item = Point>, radius: f64, colour: Rgb, opacity: f64) {
        let dot = |(x, y): Point| format!("M{} {}h0", number(x), number(y));
        let path: String = places.into_iter().map(dot).collect();
        let (width, opacity) = (number(2.0 * radius), number(opacity));
        self.add(&format!(
            "<path d=\"{path}\" stroke=\"{colour}\" stroke-width=\"{width}\" stroke-linecap=\"round\" \
             stroke-opacity=\"{opacity}\" fill=\"none\"/>"
        ));
    }

    /// A text whose anchor's middle height is at `at`.
    pub(super) fn text(&mut self, at: Point, style: Style, text: &str) {
        let (x, y, size) = (number(at.0), number(at.1 + BASELINE * style.size), number(style.size));
        let anchor = match style.anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let weight = if style.bold { " font-weight=\"bold\"" } else { "" };
        let (colour, text) = (style.colour, escaped(text));
        self.add(&format!(
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" text-anchor=\"{anchor}\" fill=\"{colour}\"{weight}>{text}</text>"
        ));
    }

    /// A text that runs upwards, its middle at `at`.
    pub(super) fn upwards(&mut self, at: Point, style: Style, text: &str) {
        let (x, y, size) = (number(at.0), number(at.1), number(style.size));
        let (colour, text, down) = (style.colour, escaped(text), number(BASELINE * style.size));
        self.add(&format!(
            "<text transform=\"translate({x} {y}) rotate(-90)\" y=\"{down}\" font-size=\"{size}\" text-anchor=\"middle\" \
             fill=\"{colour}\">{text}</text>"
        ));
    }

    /// The title and sentences beneath it, from `left`; returns the height at which they end.
    pub(super) fn heading(&mut self, title: &str, sentences: &[String], left: f64, width: f64) -> f64 {
        let (style, text) = (Style::new(TITLE).bold(), Style::new(BODY));
        let mut top = 12.0;
        for line in style.lines(title, width) {
            self.text((left, top + TITLE / 2.0), style, &line);
            top += TITLE + 6.0;
        }
        top += 2.0;
        for line in sentences.iter().flat_map(|sentence| text.lines(sentence, width)) {
            self.text((left, top + BODY / 2.0), text, &line);
            top += BODY + 5.0;
        }
        top
    }

    fn add(&mut self, element: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.body, "{element}");
    }

    /// The document, on white.
    pub(super) fn document(self, width: f64, height: f64) -> String {
        let (width, height) = (number(width.ceil()), number(height.ceil()));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"{FAMILY}\" stroke-linejoin=\"round\">\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"#FFFFFF\"/>\n{}</svg>\n",
            self.body
        )
    }
}

/// A tenth of a pixel is as fine as anyone sees.
fn number(x: f64) -> String {
    let text = format!("{x:.1}");
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}

fn escaped(text: &str) -> String {
    printable(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// What the tests of pictures look at.
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod seen {
    use super::*;

    /// The value of an attribute.
    fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
        tag.split_once(&format!(" {name}=\""))?.1.split_once('"').map(|(value, _)| value)
    }

    /// Every text that runs from left to right, and where it lies.
    pub(crate) fn texts(svg: &str) -> Vec<(String, Rect)> {
        let tags =
            svg.split("<text").skip(1).map(|part| part.split_once("</text>").unwrap().0.split_once('>').unwrap());
        let place = |(tag, text): (&str, &str)| {
            let value = |name| attribute(tag, name)?.parse::<f64>().ok();
            let anchor = match attribute(tag, "text-anchor")? {
                "start" => Anchor::Start,
                "middle" => Anchor::Middle,
                _ => Anchor::End,
            };
            let style = Style { bold: tag.contains("bold"), ..Style::new(value("font-size")?).anchored(anchor) };
            let at = (value("x")?, value("y")? - BASELINE * style.size);
            Some((text.to_owned(), style.ground(at, text)))
        };
        tags.filter_map(place).collect()
    }

    /// Panics where texts overlap, or one leaves the picture.
    pub(crate) fn assert_legible(svg: &str) {
        let size = |name| attribute(svg, name).unwrap().parse::<f64>().unwrap();
        let picture = Rect { x: (0.0, size("width")), y: (0.0, size("height")) };
        let texts = texts(svg);
        for (i, (text, ground)) in texts.iter().enumerate() {
            assert!(picture.holds(ground), "{text:?} leaves the picture: {ground:?}");
            for (other, its) in &texts[i + 1..] {
                assert!(!ground.overlaps(its), "{text:?} and {other:?} overlap: {ground:?}, {its:?}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_at_spaces_and_hold_every_word() {
        let style = Style::new(BODY);
        let text = "a warp's load touches as many sectors as its lanes lie apart";
        let lines = style.lines(text, 120.0);
        assert!(lines.len() > 2 && lines.iter().all(|line| style.width(line) <= 120.0), "{lines:?}");
        assert_eq!(lines.join(" "), text);
        assert_eq!(style.lines("wider-than-the-line", 10.0), ["wider-than-the-line"]);
    }

    #[test]
    fn texts_are_escaped_and_found_where_they_are_put() {
        let mut svg = Svg::default();
        svg.text((100.0, 50.0), Style::new(BODY).anchored(Anchor::End), "a < b & c\u{7}");
        let svg = svg.document(200.0, 100.0);
        let texts = seen::texts(&svg);
        assert_eq!(texts[0].0, "a &lt; b &amp; c ");
        assert!((texts[0].1.x.1 - 100.0).abs() < 1e-9 && texts[0].1.y.0 < 50.0 && texts[0].1.y.1 > 50.0);
    }

    #[test]
    #[should_panic(expected = "overlap")]
    fn texts_over_each_other_are_not_legible() {
        let mut svg = Svg::default();
        svg.text((10.0, 50.0), Style::new(BODY), "one text");
        svg.text((40.0, 55.0), Style::new(BODY), "another");
        seen::assert_legible(&svg.document(200.0, 100.0));
    }
}
