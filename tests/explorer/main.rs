//! `explorer.html` in a browser: it computes what latent computes, does what a person asks of it, and asks nothing of the network.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod browser;
#[path = "../program/mod.rs"]
mod program;

use std::path::PathBuf;

use browser::Browser;
use latent::backend::cpu::Cpu;
use latent::inference::{Codec, Trained};
use latent::nn::{Kind, Weights};
use latent::train::read_model;
use program::Place;
use serde_json::{Value, json};

/// Bound on the difference of any output: the page's weights are half-precision floats.
const BOUND: f64 = 1e-3;
const DESKTOP: (u32, u32) = (1280, 900);
const PHONE: (u32, u32) = (360, 740);

/// A run of each model, trained a little, with its page.
struct Pages {
    place: Place,
}

impl Pages {
    fn new() -> Self {
        let place = Place::new();
        let sizes = ["--dataset", "digits", "--hidden-dim", "40", "--latent-dim", "8", "--batch-size", "200"];
        for kind in ["ae", "vae"] {
            place.succeed(&[&[kind], &sizes[..], &["--epochs", "1", "--name", kind]].concat());
            place.succeed(&["export", &format!("runs/{kind}"), "--explorer"]);
        }
        Self { place }
    }

    fn page(&self, kind: &str) -> PathBuf {
        self.place.path(&format!("runs/{kind}/export/explorer.html"))
    }

    fn weights(&self, kind: &str) -> Weights {
        read_model(&self.place.path(&format!("runs/{kind}/model.safetensors"))).unwrap()
    }
}

/// The code of `image` and the image of `code`, as latent computes them.
fn computed(weights: &Weights, image: &[f32], code: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let mut backend = Cpu::new(1).unwrap();
    let of = |codec: &mut dyn Codec| (codec.encode(image).unwrap().mean, codec.decode(code).unwrap());
    match weights.kind {
        Kind::Vanilla => of(&mut Trained::vanilla(&mut backend, weights).unwrap()),
        Kind::Variational => of(&mut Trained::variational(&mut backend, weights).unwrap()),
    }
}

#[track_caller]
fn assert_near(what: &str, got: &Value, want: &[f32], bound: f64) {
    let got = got.as_array().unwrap();
    assert_eq!(got.len(), want.len(), "{what}");
    for (got, want) in got.iter().zip(want) {
        let got = got.as_f64().unwrap();
        assert!((got - f64::from(*want)).abs() <= bound, "{what}: {got}, not {want}");
    }
}

#[test]
fn the_pages_forward_pass_is_latents() {
    let Some(mut browser) = Browser::start() else { return };
    let pages = Pages::new();
    for kind in ["ae", "vae"] {
        browser.open(&pages.page(kind), DESKTOP, false);
        let image: Vec<f32> = (0..784).map(|i| if i % 3 == 0 { (i * 37 % 256) as f32 / 255.0 } else { 0.0 }).collect();
        let code: Vec<f32> = (0..8).map(|i| i as f32 / 4.0 - 1.0).collect();
        let (want_code, want_image) = computed(&pages.weights(kind), &image, &code);
        let encoded = browser.evaluate(&format!("Array.from(model.encode({}))", json!(image)));
        let decoded = browser.evaluate(&format!("Array.from(model.decode({}))", json!(code)));
        assert_near(&format!("{kind}'s code"), &encoded, &want_code, BOUND);
        assert_near(&format!("{kind}'s image"), &decoded, &want_image, BOUND);
    }
}

/// The pixels of a canvas, red of each, 0 to 255.
fn pixels(browser: &mut Browser, id: &str) -> Vec<f64> {
    let script = format!(
        "(() => {{ const c = document.getElementById('{id}'); \
         return Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).filter((_, i) => i % 4 === 0); }})()"
    );
    browser.evaluate(&script).as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
}

/// What the page shows is what its code decodes to.
fn assert_shows_its_code(browser: &mut Browser) {
    let decoded = browser.evaluate("Array.from(model.decode(code))");
    let shown = pixels(browser, "image");
    for (value, pixel) in decoded.as_array().unwrap().iter().zip(shown) {
        assert!((255.0 * value.as_f64().unwrap() - pixel).abs() <= 1.0, "{value} is shown as {pixel}");
    }
}

/// The places of the plane's two units.
fn place(browser: &mut Browser) -> (f64, f64) {
    let place = browser.evaluate("PLANE.map(placeOf)");
    (place[0].as_f64().unwrap(), place[1].as_f64().unwrap())
}

fn near((a, b): (f64, f64), (c, d): (f64, f64)) -> bool {
    (a - c).abs() < 0.06 && (b - d).abs() < 0.06
}

#[test]
fn a_person_walks_draws_and_resets_on_a_desk_and_on_a_phone() {
    let Some(mut browser) = Browser::start() else { return };
    let pages = Pages::new();
    for (kind, size, dark) in [("vae", DESKTOP, false), ("vae", PHONE, true), ("ae", DESKTOP, true)] {
        let name = format!("{kind}-{}{}", size.0, if dark { "-dark" } else { "" });
        browser.open(&pages.page(kind), size, dark);
        assert_eq!(browser.evaluate("document.documentElement.scrollWidth <= innerWidth"), json!(true), "{name}");
        assert_shows_its_code(&mut browser);
        browser.drag("#reset", &[(0.5, 0.5)]);
        let middle = pixels(&mut browser, "image");

        // A click, and a drag from there; up is more.
        browser.drag("#plane", &[(0.75, 0.25)]);
        assert!(near(place(&mut browser), (1.5, 1.5)), "{name}: {:?}", place(&mut browser));
        let clicked = pixels(&mut browser, "image");
        assert!(clicked != middle, "{name}");
        assert_shows_its_code(&mut browser);
        browser.drag("#plane", &[(0.5, 0.5), (0.4, 0.6), (0.25, 0.9)]);
        let in_sight = "(() => { const b = document.getElementById('image').getBoundingClientRect(); \
                        return b.top >= 0 && b.bottom <= innerHeight; })()";
        assert_eq!(browser.evaluate(in_sight), json!(true), "{name}: the image cannot be seen from the plane");
        assert!(near(place(&mut browser), (-1.5, -2.4)), "{name}: {:?}", place(&mut browser));
        assert_shows_its_code(&mut browser);

        // Keys move the ring, with Shift further, and never out of the plane.
        let before = place(&mut browser);
        browser.evaluate("document.getElementById('plane').focus()");
        browser.key("ArrowRight", false);
        browser.key("ArrowUp", true);
        assert!(near(place(&mut browser), (before.0 + 0.1, before.1 + 0.5)), "{name}");
        let said = browser.evaluate("document.getElementById('plane').getAttribute('aria-valuetext')");
        assert_eq!(said.as_str().unwrap().matches(" at -1.").count(), 2, "{name}: {said}");
        (0..8).for_each(|_| browser.key("ArrowLeft", true));
        assert!((place(&mut browser).0 + 3.0).abs() < 1e-5, "{name}");

        // A slider sets its unit and nothing else; the button sets all back.
        browser.evaluate("document.querySelectorAll('#sliders input')[2].focus()");
        let third = "placeOf(data.units[2])";
        let was = browser.evaluate(third).as_f64().unwrap();
        browser.key("ArrowRight", false);
        let moved = browser.evaluate(third).as_f64().unwrap();
        assert!(moved > was && moved < was + 0.5, "{name}: {was} to {moved}");
        assert_shows_its_code(&mut browser);
        browser.drag("#reset", &[(0.5, 0.5)]);
        assert!(pixels(&mut browser, "image") == middle, "{name}");

        // A drawn digit is encoded: the code is that of what the network sees.
        let stroke: Vec<(f64, f64)> =
            (0..=12).map(|i| (0.55 - 0.01 * f64::from(i), 0.2 + 0.05 * f64::from(i))).collect();
        browser.drag("#drawing", &stroke);
        let seen = pixels(&mut browser, "seen");
        let ink = seen.iter().sum::<f64>() / 255.0;
        assert!((20.0..200.0).contains(&ink), "{name}: {ink} pixels of ink");
        let image: Vec<f32> = seen.iter().map(|value| (*value / 255.0) as f32).collect();
        let (want, _) = computed(&pages.weights(kind), &image, &[0.0; 8]);
        let code = browser.evaluate("Array.from(code)");
        assert_near(&format!("{name}: the drawing's code"), &code, &want, 0.05);
        assert!(pixels(&mut browser, "reconstruction") == pixels(&mut browser, "image"), "{name}");
        assert_shows_its_code(&mut browser);
        browser.picture(&name);
        browser.drag("#clear", &[(0.5, 0.5)]);
        assert!(pixels(&mut browser, "drawing").iter().all(|value| *value == 0.0), "{name}");

        // A test image is taken by a button.
        browser.drag("#examples button:nth-child(4)", &[(0.5, 0.5)]);
        assert!(pixels(&mut browser, "seen").iter().any(|value| *value > 128.0), "{name}");
        assert_shows_its_code(&mut browser);
        assert_eq!(browser.faults(), [""; 0], "{name}");
    }
}

/// The image `[28, 28]` that becomes of strokes, whose points are shares of the field.
fn digit(browser: &mut Browser, strokes: &[&[(f64, f64)]]) -> Vec<f64> {
    let image = browser.evaluate(&format!("Array.from(digitOf({}, 28))", json!(strokes)));
    image.as_array().unwrap().iter().map(|ink| ink.as_f64().unwrap()).collect()
}

/// Strokes of any size and place become what the training images look like: ink in a box of 20 pixels, its centre of mass in the
/// middle, a pen of one width.
#[test]
fn a_drawing_is_scaled_and_centred() {
    let Some(mut browser) = Browser::start() else { return };
    let pages = Pages::new();
    browser.open(&pages.page("vae"), DESKTOP, false);
    let dot = digit(&mut browser, &[&[(0.3, 0.2)]]).iter().sum::<f64>();
    assert!((2.0..12.0).contains(&dot), "a dot becomes {dot} pixels of ink");
    assert_eq!(digit(&mut browser, &[]), [0.0; 784]);
    let drawings: [&[&[(f64, f64)]]; 4] = [
        &[&[(0.1, 0.1), (0.1, 0.4)]],
        &[&[(0.5, 0.6), (0.9, 0.6), (0.9, 0.95), (0.5, 0.95), (0.5, 0.6)]],
        &[&[(0.2, 0.9), (0.8, 0.8)], &[(0.5, 0.7), (0.55, 0.75)]],
        &[&[(0.0, 0.0), (1.0, 1.0)]],
    ];
    for strokes in drawings {
        let image = digit(&mut browser, strokes);
        let (mut mass, mut sum) = (0.0, [0.0; 2]);
        let (mut least, mut most) = ([28; 2], [0; 2]);
        for (i, ink) in image.iter().enumerate() {
            let place = [i % 28, i / 28];
            mass += ink;
            for axis in 0..2 {
                sum[axis] += ink * (place[axis] as f64 + 0.5);
                if *ink > 0.5 {
                    (least[axis], most[axis]) = (least[axis].min(place[axis]), most[axis].max(place[axis]));
                }
            }
        }
        assert!(sum.iter().all(|sum| (sum / mass - 14.0).abs() < 0.1), "{strokes:?}: {sum:?} / {mass}");
        let longest = (0..2).map(|axis| most[axis] - least[axis] + 1).max().unwrap();
        assert!((19..=21).contains(&longest), "{strokes:?}: {longest} pixels of ink");
    }
}

/// What a page's rule refuses: a request that its own script makes.
#[test]
fn a_request_is_refused_by_the_page_itself() {
    let Some(mut browser) = Browser::start() else { return };
    let pages = Pages::new();
    browser.open(&pages.page("ae"), DESKTOP, false);
    let attempt = "fetch('data:text/plain,x').then(() => 'taken', () => 'refused')";
    assert_eq!(browser.evaluate(attempt), json!("refused"));
}
