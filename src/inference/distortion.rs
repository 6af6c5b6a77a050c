//! How far images are from what they should be.

/// The mean squared error of each row of `images` `[n, pixels]` against `targets` `[n, pixels]`.
pub fn mse_of_rows(images: &[f32], targets: &[f32], pixels: usize) -> Vec<f64> {
    let rows = images.chunks_exact(pixels).zip(targets.chunks_exact(pixels));
    let square = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).powi(2);
    rows.map(|(image, target)| image.iter().zip(target).map(square).sum::<f64>() / pixels as f64).collect()
}
