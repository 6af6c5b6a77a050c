//! How the learning rate goes over the epochs.

use serde::{Deserialize, Serialize};

/// How the learning rate goes from its value in the first epoch to a share of it in the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// Not at all.
    #[default]
    Constant,
    /// Along half a wave of a cosine (Loshchilov and Hutter 2017).
    Cosine,
    /// By the same factor each epoch.
    Exponential,
}

impl Schedule {
    /// The learning rate in `epoch` of `epochs`, from 1, as a share of the first; `last` is the share in the last epoch.
    pub fn share(self, epoch: u32, epochs: u32, last: f64) -> f64 {
        let way = f64::from(epoch.saturating_sub(1)) / f64::from(epochs.saturating_sub(1).max(1));
        match self {
            Self::Constant => 1.0,
            Self::Cosine => last + (1.0 - last) * 0.5 * (1.0 + (std::f64::consts::PI * way).cos()),
            Self::Exponential => last.powf(way),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_begin_with_the_whole_and_end_with_the_last_share() {
        for schedule in [Schedule::Cosine, Schedule::Exponential] {
            let shares: Vec<f64> = (1..=11).map(|epoch| schedule.share(epoch, 11, 0.01)).collect();
            assert!((shares[0] - 1.0).abs() < 1e-12 && (shares[10] - 0.01).abs() < 1e-12, "{schedule:?} {shares:?}");
            assert!(shares.is_sorted_by(|a, b| a > b), "{schedule:?} {shares:?}");
            assert_eq!(schedule.share(1, 1, 0.01), 1.0);
        }
        assert!((Schedule::Cosine.share(6, 11, 0.0) - 0.5).abs() < 1e-12);
        assert!((Schedule::Exponential.share(6, 11, 0.01) - 0.1).abs() < 1e-12);
        assert_eq!(Schedule::Constant.share(6, 11, 0.01), 1.0);
    }
}
