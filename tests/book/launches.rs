//! The table of a training step's launches is what the backend launches.

use latent::backend::{Backend, Precision, Step};
use latent::nn::{Autoencoder, Dims, VariationalAE};
use latent::noise::Stream;

use crate::emulated;

const PAGE: &str = include_str!("../../docs/backward.md");
const DIMS: Dims = Dims { input: 784, hidden: 400, latent: 200 };
const BATCH: usize = 100;

/// Kernel and sizes in each row of a numbered table whose second column is a kernel.
fn told(page: &str) -> Vec<(String, String)> {
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [number, kernel, sizes, _] = cells.as_slice() else { return None };
        let kernel = kernel.strip_prefix('`')?.strip_suffix('`')?;
        number.parse::<usize>().ok().map(|_| (kernel.to_owned(), (*sizes).to_owned()))
    };
    page.lines().filter_map(row).collect()
}

#[test]
fn the_launches_told_are_those_of_a_training_step() {
    if !emulated::has_compiler() {
        return;
    }
    let mut cuda = emulated::backend(&emulated::unchecked(), Precision::Fp32);
    let mut model = VariationalAE::new(&mut cuda, DIMS, BATCH, 1).unwrap();
    let mut images = cuda.load_images(vec![0; BATCH * DIMS.input], DIMS.input).unwrap();
    let step = Step::repeated("train", Stream::Training, BATCH);
    cuda.prepare(step, |cuda| model.enqueue_training(cuda, &mut images)).unwrap();
    let launched = cuda.launches().iter().map(|launch| {
        let sizes = launch.products().into_iter().map(|size| format!("{} x {} x {}", size.m, size.n, size.k));
        (launch.kernel.entry().to_owned(), sizes.collect::<Vec<_>>().join(", "))
    });
    assert_eq!(told(PAGE), launched.collect::<Vec<_>>());
}
