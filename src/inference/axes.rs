//! Coordinates in which every unit has the same scale.

use super::Codes;

/// For each unit of a code where its middle is and how far one step goes: a standard deviation.
#[derive(Clone, Debug, PartialEq)]
pub struct Axes {
    centre: Vec<f32>,
    deviation: Vec<f32>,
}

impl Axes {
    /// Those of the prior: 0 and 1.
    pub fn of_prior(latent: usize) -> Self {
        Self { centre: vec![0.0; latent], deviation: vec![1.0; latent] }
    }

    /// Those of `codes`, for a model without a prior: the mean and the standard deviation of each unit over the images.
    pub fn of_codes(codes: &Codes) -> Self {
        let mut sums = vec![0f64; codes.latent];
        for code in codes.mean.chunks_exact(codes.latent) {
            sums.iter_mut().zip(code).for_each(|(sum, value)| *sum += f64::from(*value));
        }
        let images = codes.len().max(1) as f64;
        Self {
            centre: sums.iter().map(|sum| (sum / images) as f32).collect(),
            deviation: codes.variance_of_units().iter().map(|variance| variance.sqrt() as f32).collect(),
        }
    }

    /// The code in the middle of all.
    pub fn centre(&self) -> &[f32] {
        &self.centre
    }

    /// The values of `unit` at each of `steps` standard deviations from its middle.
    pub fn values(&self, unit: usize, steps: &[f64]) -> Vec<f32> {
        steps.iter().map(|step| (*step as f32).mul_add(self.deviation[unit], self.centre[unit])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Kind;

    #[test]
    fn steps_are_standard_deviations_from_the_mean() {
        let codes = Codes::of_model(Kind::Vanilla, 2, vec![1.0, 10.0, 3.0, 10.0, 5.0, 10.0, 7.0, 10.0]);
        let axes = Axes::of_codes(&codes);
        assert_eq!(axes.centre(), [4.0, 10.0]);
        let deviation = 5f32.sqrt();
        assert_eq!(axes.values(0, &[-1.0, 0.0, 2.0]), [4.0 - deviation, 4.0, 2f32.mul_add(deviation, 4.0)]);
        assert_eq!(axes.values(1, &[3.0]), [10.0], "a unit that says nothing stays where it is");
        assert_eq!(Axes::of_prior(2).values(1, &[-3.0, 0.5]), [-3.0, 0.5]);
    }
}
