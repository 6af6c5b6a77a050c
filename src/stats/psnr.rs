//! How far a picture is from another.

/// The mean of the squared differences.
pub fn mean_squared_error(a: &[f32], b: &[f32]) -> f64 {
    let squares = a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2));
    squares.sum::<f64>() / a.len() as f64
}

/// Peak signal-to-noise ratio in dB of pictures from 0 to 1 whose mean squared error this is: -10 log10(MSE); infinite for equal ones.
pub fn psnr(mean_squared_error: f64) -> f64 {
    -10.0 * mean_squared_error.log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_full_range_everywhere_is_20_db() {
        let mse = mean_squared_error(&[0.1, 0.9, 0.5], &[0.2, 0.8, 0.4]);
        assert!((psnr(mse) - 20.0).abs() < 1e-5, "{}", psnr(mse));
        assert_eq!(psnr(0.0), f64::INFINITY);
    }
}
