//! A page in which a person walks through the latent space: the model is in it, and it needs no server and no network.
//!
//! `page.html` is filled with the style sheet, the scripts and the data. `model.js` computes what the encoder and the decoder compute,
//! `digit.js` makes a digit of a drawing, `plane.js` is the plane of two units, and `page.js` puts them together.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use half::f16;
use serde::Serialize;

use crate::inference::Codes;
use crate::nn::weights::layout_of;
use crate::nn::{Dims, Kind, Weights};

/// Units that have a slider.
const SLIDERS: usize = 12;
/// Codes that are shown in the plane.
const POINTS: usize = 2000;

/// What a page is made of.
#[derive(Clone, Debug)]
pub struct Explorer<'a> {
    /// The page's title.
    pub title: &'a str,
    /// The model.
    pub weights: &'a Weights,
    /// Rows and columns of its images.
    pub shape: (usize, usize),
    /// The codes of some images, at least one.
    pub codes: &'a Codes,
    /// What these images show.
    pub labels: &'a [u8],
    /// A few images to encode, each with what it shows and its pixels.
    pub examples: Vec<(u8, &'a [u8])>,
}

/// What the page's scripts read.
#[derive(Serialize)]
struct Data {
    kind: Kind,
    rows: usize,
    columns: usize,
    dims: Dims,
    /// Half-precision floats in base 64: the layers, first to last, each its weight and then its bias. Of the posterior the mean alone.
    weights: String,
    /// The most active units, the first of which span the plane.
    units: Vec<usize>,
    /// Of all units, the most active first: KL in nats, for the AE the standard deviation.
    activity: Vec<f64>,
    /// How many units say anything.
    active: usize,
    /// Of every unit: where the middle is, and how long a standard deviation.
    centre: Vec<f32>,
    scale: Vec<f32>,
    /// Places in the plane, in standard deviations, and labels.
    points: Vec<(f32, f32, u8)>,
    examples: Vec<Example>,
}

/// An image to encode.
#[derive(Serialize)]
struct Example {
    label: u8,
    /// A byte a pixel, in base 64.
    pixels: String,
}

impl Explorer<'_> {
    /// The page.
    pub fn page(&self) -> String {
        let json = serde_json::to_string(&self.data()).expect("the data are plain numbers and texts");
        // Nothing in the data can end the element that they stand in.
        let json = json.replace('<', "\\u003c");
        let parts = [
            ("{{title}}", escaped(self.title)),
            ("{{css}}", include_str!("page.css").to_owned()),
            ("{{model}}", include_str!("model.js").to_owned()),
            ("{{digit}}", include_str!("digit.js").to_owned()),
            ("{{plane}}", include_str!("plane.js").to_owned()),
            ("{{page}}", include_str!("page.js").to_owned()),
            ("{{data}}", json),
        ];
        let page = include_str!("page.html").to_owned();
        parts.into_iter().fold(page, |page, (place, text)| page.replace(place, &text))
    }

    fn data(&self) -> Data {
        let Self { weights, codes, .. } = self;
        let mut units = codes.most_active();
        let activity = match weights.kind {
            Kind::Variational => codes.kl_of_units(),
            Kind::Vanilla => codes.variance_of_units().into_iter().map(f64::sqrt).collect(),
        };
        let activity = units.iter().map(|unit| activity[*unit]).collect();
        units.truncate(SLIDERS);
        let (centre, scale) = self.axes();
        let plane = [units[0], units[1.min(units.len() - 1)]];
        let place = |row: &[f32], unit: usize| rounded((row[unit] - centre[unit]) / scale[unit]);
        let rows = codes.mean.chunks_exact(codes.latent).zip(self.labels).take(POINTS);
        Data {
            kind: weights.kind,
            rows: self.shape.0,
            columns: self.shape.1,
            dims: weights.dims,
            weights: STANDARD.encode(half_precision(weights)),
            activity,
            active: codes.active_units(),
            points: rows.map(|(row, label)| (place(row, plane[0]), place(row, plane[1]), *label)).collect(),
            examples: self.examples.iter().map(example).collect(),
            units,
            centre,
            scale,
        }
    }

    /// The middle and the standard deviation of every unit: the prior's, for the AE those of the codes.
    fn axes(&self) -> (Vec<f32>, Vec<f32>) {
        let latent = self.weights.dims.latent;
        if self.weights.kind == Kind::Variational {
            return (vec![0.0; latent], vec![1.0; latent]);
        }
        let deviation = |variance: &f64| if *variance > 0.0 { variance.sqrt() as f32 } else { 1.0 };
        let centre = self.codes.mean_of_units().iter().map(|mean| *mean as f32).collect();
        (centre, self.codes.variance_of_units().iter().map(deviation).collect())
    }
}

/// The layers that the page computes, as little-endian half-precision floats.
fn half_precision(weights: &Weights) -> Vec<u8> {
    let code = if weights.kind == Kind::Variational { "encoder.FC_mean" } else { "encoder.FC_latent" };
    let layers =
        ["encoder.FC_input", "encoder.FC_input2", code, "decoder.FC_hidden", "decoder.FC_hidden2", "decoder.FC_output"];
    let layout = layout_of(weights.kind, weights.dims);
    let names = layers.iter().flat_map(|layer| ["weight", "bias"].map(|part| format!("{layer}.{part}")));
    let slots = names.filter_map(|name| layout.get(&name));
    let values = slots.flat_map(|slot| &weights.values[slot.range()]);
    values.flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect()
}

fn example((label, pixels): &(u8, &[u8])) -> Example {
    Example { label: *label, pixels: STANDARD.encode(pixels) }
}

/// A hundredth of a standard deviation is as fine as anyone sees.
fn rounded(place: f32) -> f32 {
    (100.0 * place).round() / 100.0
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
