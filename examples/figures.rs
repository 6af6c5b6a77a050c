//! Draws the README's loss curves from a run of both models:
//!
//! ```text
//! cargo run --release -- both --name full
//! cargo run --release --example figures -- runs/full docs
//! ```

use std::error::Error;
use std::path::{Path, PathBuf};

use latent::files::write_atomically;
use latent::plot::curves::{Chart, Colour, Series, Style, svg_side_by_side};
use latent::train::{Record, Which};

/// Average training loss per image of the VAE with these settings, (epoch, nats): the stored outputs of Jackson-Kang's
/// Pytorch-VAE-tutorial, `01_Variational_AutoEncoder.ipynb`, at two commits, scaled by 599/600 (they divide by one batch too few).
const PUBLISHED: [(&str, [(f64, f64); 5]); 2] = [
    ("published, first", [(1.0, 172.84), (5.0, 109.66), (10.0, 104.67), (20.0, 101.45), (30.0, 100.16)]),
    ("published, second", [(1.0, 173.64), (5.0, 110.16), (10.0, 104.77), (20.0, 101.51), (30.0, 100.20)]),
];

/// The same of the AE, by PyTorch 2.15 with the tutorial's classes.
const PYTORCH_AE: [(f64, f64); 6] =
    [(1.0, 139.99), (2.0, 79.69), (5.0, 63.23), (10.0, 57.95), (20.0, 54.75), (30.0, 53.43)];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [run, docs] = arguments.as_slice() else {
        return Err("usage: figures RUN_OF_BOTH FOLDER".into());
    };
    let mut vae = vec![curve("latent", &run.join("vae"))?.coloured(Colour::Blue)];
    for ((label, points), colour) in PUBLISHED.into_iter().zip([Colour::Vermilion, Colour::Green]) {
        vae.push(Series::new(label, points.to_vec(), Style::Markers).coloured(colour));
    }
    let ae = vec![
        curve("latent", &run.join("ae"))?.coloured(Colour::Blue),
        Series::new("PyTorch", PYTORCH_AE.to_vec(), Style::Markers).coloured(Colour::Vermilion),
    ];
    let charts = [chart("VAE on MNIST", vae, (95.0, 180.0)), chart("AE on MNIST", ae, (45.0, 145.0))];
    write_atomically(&docs.join("curves.svg"), svg_side_by_side(&charts)?.as_bytes())?;
    Ok(())
}

/// The training loss of a run.
fn curve(label: &str, run: &Path) -> Result<Series, Box<dyn Error>> {
    let text = std::fs::read_to_string(run.join("metrics.jsonl"))?;
    let records: Vec<Record> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let training = records.iter().filter(|record| record.which == Which::Train);
    let points = training.map(|record| (f64::from(record.epoch), record.averages.loss)).collect();
    Ok(Series::new(label, points, Style::Line))
}

fn chart(title: &str, series: Vec<Series>, y_range: (f64, f64)) -> Chart {
    Chart {
        title: title.to_owned(),
        x_label: "epoch".to_owned(),
        y_label: "training loss, nats an image".to_owned(),
        series,
        y_range: Some(y_range),
        ..Chart::default()
    }
}
