//! A model's four arenas.

use std::sync::Arc;

use super::initialisation::pytorch_default;
use crate::backend::{Backend, Error};
use crate::tensor::{Arena, Layout};

/// Parameters, gradients and Adam's two moments: four flat buffers with one layout.
pub struct Parameters<B: Backend> {
    /// The parameters.
    pub values: Arena<B::Buffer>,
    /// dL/d(parameters) of the last backward pass.
    pub gradients: Arena<B::Buffer>,
    /// Adam's running mean of the gradients.
    pub first_moment: Arena<B::Buffer>,
    /// Adam's running mean of their squares.
    pub second_moment: Arena<B::Buffer>,
}

impl<B: Backend> Parameters<B> {
    /// Freshly initialised parameters, zero moments.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(backend: &mut B, layout: Layout, seed: u64) -> Result<Self, Error> {
        let layout = Arc::new(layout);
        let mut arena = || -> Result<_, Error> { Ok(Arena::new(Arc::clone(&layout), backend.zeros(layout.len())?)) };
        let (values, gradients, first_moment, second_moment) = (arena()?, arena()?, arena()?, arena()?);
        let mut parameters = Self { values, gradients, first_moment, second_moment };
        backend.write(&mut parameters.values.storage, &pytorch_default(&layout, seed))?;
        Ok(parameters)
    }

    /// What lies where in each of the four.
    pub fn layout(&self) -> &Layout {
        self.values.layout()
    }

    /// Enqueues one step of Adam.
    pub fn adam(&mut self, backend: &mut B) {
        backend.adam(
            self.values.layout().len(),
            &mut self.values.storage,
            &self.gradients.storage,
            &mut self.first_moment.storage,
            &mut self.second_moment.storage,
        );
    }
}
