//! The page: figures, settings, curves and pictures in one HTML file that loads nothing from elsewhere.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::Comparison;
use super::subject::{SAMPLES, Subject};
use super::table::{self, Row, Section};
use crate::cli::error::Error;
use crate::cli::plot::kl::scale;
use crate::cli::plot::losses::Quantity;
use crate::cli::runs::History;
use crate::plot::curves::{Chart, Colour, Series, Style, small_svg};
use crate::plot::grid::Grid;

/// The page may show what it holds, and load nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

const STYLE: &str = include_str!("page.css");

/// Up to so many latent units are shown as discs: they make no curve.
const FEW_UNITS: usize = 20;

/// Images side by side.
const PER_ROW: usize = 10;

impl Comparison {
    /// The page.
    ///
    /// # Errors
    /// A picture cannot be drawn.
    pub fn page(&self) -> Result<String, Error> {
        let title = format!("{} runs compared", self.subjects.len());
        let parts = [
            self.head(&title),
            self.figures(),
            self.settings(),
            self.curves()?,
            self.spectra()?,
            self.reconstructions()?,
            self.samples()?,
        ];
        Ok(format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
             <link rel=\"icon\" href=\"data:,\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n{}\
             </body>\n</html>\n",
            parts.concat()
        ))
    }

    fn head(&self, title: &str) -> String {
        let describe = |subject: &Subject| {
            let (weights, set) = (&subject.model.weights, self.sets.0[subject.set].name);
            let path = subject.path.display().to_string();
            let place = if path == subject.name { String::new() } else { format!(", {}", escaped(&path)) };
            format!(" <span class=\"quiet\">{} {} on {set}{place}</span>", weights.kind, weights.dims)
        };
        let mut html = format!("<h1>{title}</h1>\n{}", self.legend(describe));
        if !self.notes.is_empty() {
            let notes: String = self.notes.iter().map(|note| format!("<li>{}</li>\n", escaped(note))).collect();
            let _ = write!(html, "<ul class=\"notes\">\n{notes}</ul>\n");
        }
        html
    }

    /// Each run and its colour.
    fn coloured(&self) -> impl Iterator<Item = (&Subject, Colour)> {
        self.subjects.iter().zip(Colour::ORDER)
    }

    /// The colour and the name of each run, and what `describe` adds.
    fn legend(&self, describe: impl Fn(&Subject) -> String) -> String {
        let item = |(subject, colour): (&Subject, Colour)| {
            format!("<li>{}{}</li>\n", named(subject, colour), describe(subject))
        };
        let items: String = self.coloured().map(item).collect();
        format!("<ul class=\"runs\">\n{items}</ul>\n")
    }

    fn figures(&self) -> String {
        let test = table::test(&self.subjects, self.test_title(), self.is_comparable());
        let marked = test.rows.iter().any(|row| !row.best.is_empty());
        let star = if marked { "<p class=\"quiet\">&#9733; is the best of its row.</p>\n" } else { "" };
        format!("<h2>Figures</h2>\n{}{star}{}", self.table(&test), self.table(&table::training(&self.subjects)))
    }

    fn settings(&self) -> String {
        let Section { title, rows } = table::settings(&self.subjects);
        let (differing, equal): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(Row::differs);
        let count = equal.len();
        if differing.is_empty() && equal.is_empty() {
            return String::new();
        }
        let mut html = format!("<h2>{title}</h2>\n");
        if differing.is_empty() {
            html += "<p>The runs have the same settings.</p>\n";
        } else {
            let table = self.table(&Section { title: "In these the runs differ".to_owned(), rows: differing });
            let _ = write!(html, "<div class=\"differs\">\n{table}</div>\n");
        }
        if count > 0 {
            let table = self.table(&Section { title: String::new(), rows: equal });
            let _ = write!(html, "<details>\n<summary>{count} that are the same in all</summary>\n{table}</details>\n");
        }
        html
    }

    fn table(&self, section: &Section) -> String {
        let name = |(s, colour): (&Subject, Colour)| format!("<th scope=\"col\">{}</th>", named(s, colour));
        let names: String = self.coloured().map(name).collect();
        let title =
            if section.title.is_empty() { String::new() } else { format!("<p>{}.</p>\n", escaped(&section.title)) };
        let rows: String = section.rows.iter().map(row).collect();
        format!(
            "{title}<div class=\"wide\">\n<table>\n<thead><tr><th></th>{names}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n</div>\n"
        )
    }

    /// The losses over the epochs.
    fn curves(&self) -> Result<String, Error> {
        let history = |s: &Subject| History { name: String::new(), records: s.records.clone() };
        let histories: Vec<History> = self.subjects.iter().map(history).collect();
        let charts: Vec<Chart> = [Quantity::Loss, Quantity::Bce, Quantity::Kl]
            .into_iter()
            .map(|quantity| Chart { title: quantity.title().to_owned(), ..quantity.chart(&histories) })
            .filter(|chart| !chart.series.is_empty())
            .collect();
        if charts.is_empty() {
            return Ok(String::new());
        }
        let about = "A line in training, dashed in validation. The loss is what was minimised, BCE + beta KL unless the settings say otherwise.";
        Ok(format!("<h2>Curves</h2>\n<p>{about}</p>\n{}{}", self.legend(|_| String::new()), figures(&charts)?))
    }

    /// The KL divergence of each model's units, the largest first.
    fn spectra(&self) -> Result<String, Error> {
        let units = |subject: &Subject| subject.seen.as_ref().map_or_else(Vec::new, |seen| seen.units.clone());
        let mut series = Vec::new();
        for (subject, colour) in self.coloured() {
            let points: Vec<(f64, f64)> = (1..).map(f64::from).zip(units(subject).iter().map(|unit| unit.kl)).collect();
            if !points.is_empty() {
                let style = if points.len() > FEW_UNITS { Style::Line } else { Style::Markers };
                series.push(Series::new("", points, style).coloured(colour));
            }
        }
        if series.is_empty() {
            return Ok(String::new());
        }
        let all: Vec<_> = self.subjects.iter().flat_map(units).collect();
        let chart = Chart {
            title: "KL of every latent unit".to_owned(),
            x_label: "latent unit, by its KL".to_owned(),
            y_label: "nats an image".to_owned(),
            series,
            y_scale: scale(&all),
            y_range: None,
        };
        let about = "What each unit of a variational autoencoder says about a test image. Where the curve has fallen off, \
                     the posterior is the prior: those units say nothing.";
        Ok(format!("<h2>Latent units</h2>\n<p>{about}</p>\n{}", figures(&[chart])?))
    }

    /// For each set the images that are shown, and under them what each model makes of them.
    fn reconstructions(&self) -> Result<String, Error> {
        let mut html = String::new();
        for (i, set) in self.sets.0.iter().enumerate() {
            let own = self.coloured().filter(|(subject, _)| subject.set == i);
            let shape = (set.split.images.rows(), set.split.images.columns());
            let mut pictures = String::new();
            for (subject, colour) in own {
                if let Some(seen) = &subject.seen {
                    pictures += &picture(&named(subject, colour), &seen.reconstructions, shape)?;
                }
            }
            if !pictures.is_empty() {
                let images = picture(&format!("images of {}", set.name), &set.originals(), shape)?;
                let _ = write!(html, "<div class=\"images\">\n{images}{pictures}</div>\n");
            }
        }
        if html.is_empty() {
            return Ok(html);
        }
        Ok(format!(
            "<h2>Reconstructions</h2>\n<p>Test images, the first of each class, decoded from the code or the posterior's mean.</p>\n{html}"
        ))
    }

    /// What each variational model draws from the prior.
    fn samples(&self) -> Result<String, Error> {
        let mut pictures = String::new();
        for (subject, colour) in self.coloured() {
            if let Some(samples) = &subject.samples {
                pictures += &picture(&named(subject, colour), samples, subject.model.image_shape())?;
            }
        }
        if pictures.is_empty() {
            return Ok(pictures);
        }
        let about = format!(
            "{SAMPLES} images decoded from codes drawn from the prior with seed {}; models with as many latent units have \
             the same codes in the same places.",
            self.seed
        );
        Ok(format!("<h2>Samples</h2>\n<p>{about}</p>\n<div class=\"images\">\n{pictures}</div>\n"))
    }
}

/// A line of a table.
fn row(row: &Row) -> String {
    let cell = |(i, cell): (usize, &String)| {
        let class = if row.best.contains(&i) { " class=\"best\"" } else { "" };
        format!("<td{class}>{}</td>", escaped(cell))
    };
    let cells: String = row.cells.iter().enumerate().map(cell).collect();
    format!("<tr><th scope=\"row\">{}</th>{cells}</tr>\n", escaped(&row.name))
}

fn figures(charts: &[Chart]) -> Result<String, Error> {
    let mut html = String::new();
    for chart in charts {
        let svg = small_svg(chart)?;
        let _ = write!(html, "<figure role=\"img\" aria-label=\"{}\">\n{svg}</figure>\n", escaped(&chart.title));
    }
    Ok(format!("<div class=\"charts\">\n{html}</div>\n"))
}

/// The colour and the name of a run.
fn named(subject: &Subject, colour: Colour) -> String {
    format!("{}{}", swatch(colour), escaped(&subject.name))
}

fn swatch(colour: Colour) -> String {
    format!("<span class=\"swatch\" style=\"background:{colour}\"></span>")
}

/// Images `[n, rows, columns]` under a `caption`, which is HTML.
fn picture(caption: &str, images: &[f32], (rows, columns): (usize, usize)) -> Result<String, Error> {
    let png = Grid::new(rows, columns, PER_ROW).png(images)?;
    Ok(format!(
        "<figure><figcaption>{caption}</figcaption><img alt=\"{} small images\" src=\"data:image/png;base64,{}\"></figure>\n",
        images.len() / (rows * columns),
        BASE64.encode(png)
    ))
}

/// `text` as it can stand in HTML, in an attribute too.
fn escaped(text: &impl ToString) -> String {
    let text = text.to_string().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escaped(&"<a href='x'>&\"</a>"), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;&lt;/a&gt;");
    }
}
