//! Initial parameters.

use rand_distr::{Distribution, Uniform};

use crate::noise::{Address, PhiloxRng, Stream};
use crate::tensor::{Layout, Shape};

/// PyTorch's default for `Linear`: weight and bias uniform in ±1/sqrt(inputs).
///
/// That is what `kaiming_uniform_(weight, a=sqrt(5))` comes to: its bound is sqrt(6 / ((1 + a^2) inputs)) (He et al. 2015).
/// Every parameter has its own address, by its place in the layout.
pub fn pytorch_default(layout: &Layout, seed: u64) -> Vec<f32> {
    let mut values = Vec::with_capacity(layout.len());
    for (i, slot) in layout.slots().iter().enumerate() {
        let inputs = match slot.shape {
            Shape::Matrix(_, inputs) => inputs,
            Shape::Vector(_) => inputs_of_weight(layout, &slot.name),
        };
        let bound = 1.0 / (inputs as f32).sqrt();
        let rng = PhiloxRng::new(Address { seed, stream: Stream::Initialisation, step: i as u64 });
        let uniform =
            Uniform::new_inclusive(-bound, bound).expect("a bound of a non-empty layer is positive and finite");
        values.extend(uniform.sample_iter(rng).take(slot.shape.len()));
    }
    values
}

/// The inputs of the layer whose bias is called `bias`.
fn inputs_of_weight(layout: &Layout, bias: &str) -> usize {
    let weight = bias.replace(".bias", ".weight");
    match layout.get(&weight).map(|slot| slot.shape) {
        Some(Shape::Matrix(_, inputs)) => inputs,
        other => unreachable!("{weight} is {other:?}, not the weight of a layer"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_fill_the_range_of_their_layer() {
        let mut layout = Layout::default();
        layout.push("a.weight", Shape::Matrix(300, 100));
        layout.push("a.bias", Shape::Vector(300));
        let values = pytorch_default(&layout, 1);
        for slot in layout.slots() {
            let values = &values[slot.range()];
            let n = values.len() as f32;
            assert!(values.iter().all(|v| v.abs() <= 0.1));
            let variance = values.iter().map(|v| v * v).sum::<f32>() / n;
            // Variance of U(-b, b) is b^2 / 3; five standard errors of its estimate.
            assert!((variance * 300.0 - 1.0).abs() <= 5.0 * (0.8 / n).sqrt(), "{}: {variance}", slot.name);
        }
        assert_ne!(values, pytorch_default(&layout, 2));
        assert_eq!(values, pytorch_default(&layout, 1));
    }
}
