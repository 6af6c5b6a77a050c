//! The plan of a device's memory against what a model asks a backend for.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use latent::backend::{
    Activation, Backend, Draws, Error, Glance, Hyperparameters, InputGradient, Linear, Noise, NonFinite, Step, Sums,
    Weighed,
};
use latent::nn::{Dims, Kind, MemoryPlan, VanillaAE, VariationalAE};
use latent::noise::Stream;

/// A backend that allocates nothing and notes what it is asked for.
#[derive(Default)]
struct Accountant {
    floats: Vec<usize>,
}

impl Backend for Accountant {
    type Buffer = ();
    type Images = ();

    fn describe(&self) -> String {
        "accountant".to_owned()
    }
    fn zeros(&mut self, len: usize) -> Result<(), Error> {
        self.floats.push(len);
        Ok(())
    }
    fn write(&mut self, (): &mut (), _: &[f32]) -> Result<(), Error> {
        Ok(())
    }
    fn read(&mut self, (): &(), _: usize) -> Result<Vec<f32>, Error> {
        unreachable!()
    }
    fn load_images(&mut self, _: Vec<u8>, _: usize) -> Result<(), Error> {
        unreachable!()
    }
    fn set_order(&mut self, (): &mut (), _: &[u32], _: usize) -> Result<(), Error> {
        unreachable!()
    }
    fn replace_pixels(&mut self, (): &mut (), _: &[u8]) -> Result<(), Error> {
        unreachable!()
    }
    fn set_targets(&mut self, (): &mut (), _: &[u8]) -> Result<(), Error> {
        unreachable!()
    }
    fn set_hyperparameters(&mut self, _: Hyperparameters) {}
    fn set_step(&mut self, _: Stream, _: u64) {}
    fn step(&self, _: Stream) -> u64 {
        0
    }
    fn set_sums(&mut self, _: Sums) {}
    fn sums(&mut self) -> Result<Sums, Error> {
        unreachable!()
    }
    fn non_finite(&mut self) -> Result<Option<NonFinite>, Error> {
        unreachable!()
    }
    fn glance(&mut self) -> Result<Option<Glance>, Error> {
        unreachable!()
    }
    fn run(&mut self, _: Step, _: impl FnOnce(&mut Self)) -> Result<(), Error> {
        unreachable!()
    }
    fn gather(&mut self, (): &mut (), (): &mut ()) {}
    fn gather_target(&mut self, (): &mut (), (): &mut ()) {}
    fn standard_normal(&mut self, (): &mut (), _: usize) {}
    fn linear(&mut self, _: Linear, (): &(), (): &(), (): &mut (), _: Activation) {}
    fn linear_bce(&mut self, _: Linear, (): &(), (): &(), (): &(), (): &mut ()) {}
    fn linear_backward(&mut self, _: Linear, (): &(), (): &(), (): &(), (): &mut (), _: Option<InputGradient<'_, ()>>) {
    }
    fn reparameterise(&mut self, _: usize, (): &(), _: Noise, (): &mut (), (): &mut ()) {}
    fn reparameterise_backward(&mut self, _: usize, (): &(), (): &(), (): &(), (): &mut ()) {}
    fn linear_importance(&mut self, _: Linear, (): &(), (): &(), (): &(), _: Draws<'_, ()>, _: Weighed<'_, ()>) {}
    fn importance_backward(&mut self, _: Draws<'_, ()>, (): &(), (): &(), (): &mut ()) {}
    fn adam(&mut self, _: usize, (): &mut (), (): &(), (): &mut (), (): &mut ()) {}
}

#[test]
fn the_plan_of_a_model_is_what_it_allocates() {
    for dims in [Dims { input: 784, hidden: 400, latent: 200 }, Dims { input: 33, hidden: 17, latent: 5 }] {
        for rows in [1, 37, 100] {
            for kind in [Kind::Vanilla, Kind::Variational] {
                let mut backend = Accountant::default();
                match kind {
                    Kind::Vanilla => drop(VanillaAE::new(&mut backend, dims, rows, 1).unwrap()),
                    Kind::Variational => drop(VariationalAE::new(&mut backend, dims, rows, 1).unwrap()),
                }
                let allocated = 4 * backend.floats.iter().sum::<usize>() as u64;
                assert_eq!(MemoryPlan::of_model(kind, dims, rows).total(), allocated, "{kind} {dims} {rows}");
            }
        }
    }
}

#[test]
fn the_plan_with_several_draws_is_what_a_model_allocates_for_them() {
    let (dims, rows, draws, images) = (Dims { input: 33, hidden: 17, latent: 5 }, 20, 5, 7);
    let mut backend = Accountant::default();
    VariationalAE::new(&mut backend, dims, rows, 1).unwrap().weigh_draws(&mut backend, draws).unwrap();
    let allocated = 4 * backend.floats.iter().sum::<usize>() as u64;
    let places_in_the_order = 4 * ((draws - 1) * images) as u64;
    let plan = MemoryPlan::of_model(Kind::Variational, dims, rows).with_draws(rows, images, draws);
    assert_eq!(plan.total(), allocated + places_in_the_order);
}
