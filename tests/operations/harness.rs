//! What the test bodies share: buffers that tell what was touched, and everything at once.
//!
//! The benchmark `gpu` includes these files too, to hold a real device against them.

use latent::backend::{Backend, Hyperparameters, Step, Sums};
use latent::noise::Stream;

use crate::{importance, layers, posterior, steps};

/// Hands the names of all test bodies to a macro. A body takes a function that makes a fresh backend.
macro_rules! every_body {
    ($each:ident) => {
        $each! {
            layers::linear_agrees_with_f64,
            layers::linear_backward_agrees_with_f64,
            layers::products_of_integers_are_exact,
            layers::linear_bce_agrees_with_f64,
            layers::linear_bce_is_right_where_the_sigmoid_saturates,
            posterior::reparameterise_agrees_with_f64,
            posterior::drawn_noise_is_that_of_its_address,
            posterior::standard_normal_is_that_of_its_address,
            posterior::reparameterise_backward_agrees_with_f64,
            posterior::divergence_below_the_free_bits_has_no_gradient,
            importance::importance_weights_agree_with_f64,
            importance::a_draw_that_outweighs_all_others_takes_the_whole_image,
            importance::importance_backward_agrees_with_f64,
            importance::an_infinite_logit_of_a_draw_is_named,
            steps::adam_agrees_with_f64_step_by_step,
            steps::gather_takes_images_in_order_from_a_position,
            steps::targets_are_taken_beside_their_images_and_replaced_in_place,
            steps::every_stream_counts_its_own_steps,
            steps::sums_add_to_what_was_set,
            steps::sums_take_their_units_from_the_first_posterior,
            steps::the_first_non_finite_number_is_named_and_stops_adam,
            steps::an_infinite_logit_is_named,
        }
    };
}
pub(crate) use every_body;

/// What an output holds before an operation, and beyond its elements afterwards.
pub const UNTOUCHED: f32 = -777.25;

/// Elements that a buffer has beyond those of the step.
const ROOM: usize = 37;

/// `values`, then numbers that spoil every result they enter.
pub fn input<B: Backend>(backend: &mut B, values: &[f32]) -> B::Buffer {
    let mut buffer = backend.zeros(values.len() + ROOM).unwrap();
    backend.write(&mut buffer, &[values, &[f32::NAN; ROOM]].concat()).unwrap();
    buffer
}

/// Room for `len` elements and more.
pub fn output<B: Backend>(backend: &mut B, len: usize) -> B::Buffer {
    let mut buffer = backend.zeros(len + ROOM).unwrap();
    backend.write(&mut buffer, &vec![UNTOUCHED; len + ROOM]).unwrap();
    buffer
}

/// The first `len` elements of an [`output`], after a look at those beyond.
#[track_caller]
pub fn result<B: Backend>(backend: &mut B, buffer: &B::Buffer, len: usize) -> Vec<f32> {
    let mut values = backend.read(buffer, len + ROOM).unwrap();
    assert_eq!(values.split_off(len), [UNTOUCHED; ROOM], "elements beyond the {len} of the step");
    values
}

pub fn training(rows: usize) -> Step {
    Step::once(Stream::Training, rows)
}

pub fn bits(values: &[f32]) -> Vec<u64> {
    values.iter().map(|v| u64::from(v.to_bits())).collect()
}

/// Sums with a part for each latent unit, none of them zero.
pub fn some_sums(units: usize) -> Sums {
    let part = |first: usize| (0..units).map(|i| (first + i) as f64).collect();
    Sums { images: 1000, bce: 2000.0, kl: 3000.0, bound: 4000.0, mean: part(40), mean_squared: part(50) }
}

/// What every operation leaves at ordinary, odd and smallest shapes, bit for bit.
pub fn everything<B: Backend>(backend: &mut B) -> Vec<(String, Vec<u64>)> {
    backend.set_hyperparameters(Hyperparameters { learning_rate: 1e-3, beta: 0.7, seed: 5, free_bits: 0.0 });
    let mut all = layers::everything(backend);
    all.extend(posterior::everything(backend));
    all.extend(importance::everything(backend));
    all.extend(steps::everything(backend));
    all
}
