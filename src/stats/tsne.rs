//! A map of points in two dimensions that keeps neighbours together.

use super::{Error, Pca};

/// Steps of the gradient descent, and the speed-up that Barnes and Hut's tree may take.
const EPOCHS: usize = 1000;
const THETA: f32 = 0.5;
/// The deviation of the first coordinate at the start, as usual.
const START: f32 = 1e-4;

/// Places in the plane `[n, 2]` for `points` `[n, columns]` by t-SNE (van der Maaten and Hinton 2008; with Barnes and Hut's tree, van
/// der Maaten 2014), as the crate `bhtsne` has it.
///
/// It begins with the first two principal components, so that the map does not depend on chance. Distances between groups
/// and the sizes of groups mean little in it; who is beside whom does.
///
/// # Errors
/// Fewer than 3 points for each unit of `perplexity`, fewer than two columns, or a value that is not a number.
pub fn tsne(points: &[f32], columns: usize, perplexity: f32) -> Result<Vec<f32>, Error> {
    let rows: Vec<&[f32]> = points.chunks_exact(columns).collect();
    let needed = (3.0 * perplexity).ceil() as usize + 2;
    if rows.len() < needed {
        return Err(Error::TooFew { found: rows.len(), needed });
    }
    let pca = Pca::new(points, columns, 2)?;
    let scale = START / (pca.explained_variance[0].sqrt() as f32).max(f32::MIN_POSITIVE);
    let start: Vec<f32> = pca.project(points).iter().map(|x| scale * x).collect();
    let distance =
        |a: &&[f32], b: &&[f32]| -> f32 { a.iter().zip(*b).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt() };
    // The order of the crate's sums depends on its threads; with one, the same points give the same map.
    let fault = |error| Error::Numerical(format!("t-SNE cannot have a thread: {error}"));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().map_err(fault)?;
    Ok(pool.install(|| {
        let mut map = bhtsne::tSNE::<f32, &[f32], 2>::new(&rows);
        map.perplexity(perplexity).epochs(EPOCHS).initial_embedding(start).barnes_hut(THETA, distance);
        map.embedding()
    }))
}
