//! Statistics of scores, points and labels. Nothing here knows a model: slices go in, values come out, sums are f64, and no result
//! depends on the number of threads.

mod error;
mod importance;
mod logistic;
mod neighbours;
mod pca;
mod psnr;
mod roc;
mod sampling;
mod tsne;

pub use error::Error;
pub use importance::{importance_weighted_bound, log_mean_exp};
pub use logistic::{LogisticRegression, Settings};
pub use neighbours::NearestNeighbours;
pub use pca::Pca;
pub use psnr::{mean_squared_error, psnr};
pub use roc::{Roc, average_precision};
pub use sampling::balanced_draw;
pub use tsne::tsne;
