//! temp
use crate::backend::Backend;
use crate::train::{Config, Error};
/// x
pub trait OnBackend {
    /// x
    type Output;
    /// x
    fn run<B: Backend>(self, backend: &mut B) -> Result<Self::Output, Error>;
}
/// x
pub fn with_backend<T: OnBackend>(config: &Config, task: T) -> Result<T::Output, Error> {
    task.run(&mut crate::backend::cpu::Cpu::new(config.threads)?)
}
