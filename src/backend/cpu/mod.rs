//! The processor as a backend: operations are carried out at once, their work shared by a few threads.
//!
//! Every operation is cut into tasks by shape alone, and every sum has one order, so any number of threads gives the same
//! bits. Loops over elements are compiled for several vector extensions, and the widest present is taken at run time.

mod buffer;
mod elementwise;
mod parts;
mod pool;
mod product;

use std::collections::HashMap;
use std::ops::Range;

pub use self::buffer::Buffer;
use self::elementwise as loops;
use self::parts::Parts;
use self::pool::Pool;
use self::product::{Operand, product, strips};
use super::{
    Activation, Backend, Draws, Error, Glance, Hyperparameters, InputGradient, Linear, Noise, NonFinite, Step, Sums,
    Weighed, adam,
};
use crate::math;
use crate::noise::{Address, Stream};

/// Rows of a batch that one task of an elementwise operation handles. A multiple of 4, so that a task's noise begins with a
/// whole block of the generator whatever the number of columns.
const ROWS_PER_TASK: usize = 16;

/// Parameters that one task of Adam handles: four arrays of them fit into a core's second-level cache.
const PARAMETERS_PER_TASK: usize = 32 * 1024;

/// Images of a byte a pixel, and the order in which batches take them.
pub struct Images {
    pixels: Vec<u8>,
    /// What the images should become, where that is something else.
    targets: Option<Vec<u8>>,
    pixels_per_image: usize,
    order: Vec<u32>,
    position: usize,
}

/// The CPU backend.
pub struct Cpu {
    pool: Pool,
    hyperparameters: Hyperparameters,
    steps: HashMap<Stream, u64>,
    /// The step being carried out.
    current: Step,
    sums: Sums,
    non_finite: Option<NonFinite>,
    /// One partial loss a task, added in the order of tasks.
    partial: Vec<f64>,
}

impl Cpu {
    /// A backend that works on `threads` threads, at least one.
    ///
    /// # Errors
    /// [`Error::Threads`] where the system refuses one.
    pub fn new(threads: usize) -> Result<Self, Error> {
        let pool = Pool::new(threads.max(1)).map_err(|source| Error::Threads { threads, source })?;
        Ok(Self {
            pool,
            hyperparameters: Hyperparameters { learning_rate: 1e-3, beta: 1.0, seed: 1, free_bits: 0.0 },
            steps: HashMap::new(),
            current: Step::once(Stream::Training, 0),
            sums: Sums::default(),
            non_finite: None,
            partial: Vec::new(),
        })
    }

    /// How many threads it works on.
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// Where the noise of the current step begins.
    fn address(&self) -> Address {
        let stream = self.current.stream;
        Address { seed: self.hyperparameters.seed, stream, step: self.step(stream) }
    }

    /// Adds up the first `tasks` partial losses. If the sum is not finite, keeps the first number of `suspects` that explains it.
    fn add_up(&mut self, tasks: usize, suspects: &[Suspect<'_>]) -> f64 {
        let sum: f64 = self.partial[..tasks].iter().sum();
        if !sum.is_finite() && self.non_finite.is_none() {
            let step = self.step(self.current.stream);
            let found = suspects.iter().find_map(|suspect| suspect.find(step));
            let Suspect { tensor, .. } = suspects[0];
            self.non_finite = found.or(Some(NonFinite { step, tensor, row: 0, column: 0, value: sum as f32 }));
        }
        sum
    }

    /// batch `[rows, pixels]` = the next images in the order of `images`, out of `source`.
    fn take_next(&mut self, images: &Images, source: &[u8], batch: &mut Buffer) {
        let (rows, pixels) = (self.current.rows, images.pixels_per_image);
        let order = &images.order[images.position..images.position + rows];
        let batch = Parts::new(&mut batch[..rows * pixels]);
        let (tasks, rows_of) = row_tasks(rows);
        self.pool.run(tasks, &|task| {
            for row in rows_of(task) {
                let first = order[row] as usize * pixels;
                // SAFETY: a row belongs to one task.
                let out = unsafe { batch.part(row * pixels..(row + 1) * pixels) };
                loops::bytes_to_unit(&source[first..first + pixels], out);
            }
        });
    }

    /// y `[rows, outputs]` = x W^T, without bias.
    fn multiply(&mut self, layer: Linear, params: &Buffer, x: &Buffer, y: &mut Buffer) {
        let rows = self.current.rows;
        let (weight, _) = layer.parameters(params);
        let (x, w_t) = (Operand::row_major(x, layer.inputs), Operand::row_major(weight, layer.inputs).transposed());
        let y = Parts::new(&mut y[..rows * layer.outputs]);
        let strips = strips(layer.outputs);
        self.pool.run(strips.count, &|task| {
            let columns = strips.range(task);
            let size = (rows, columns.len(), layer.inputs);
            // SAFETY: a column belongs to one strip.
            unsafe { product(size, &y, columns.start, layer.outputs, x, w_t.skip_columns(columns.start)) };
        });
    }
}

/// A tensor that a loss was computed from: some columns of a row-major matrix.
struct Suspect<'a> {
    tensor: &'static str,
    values: &'a [f32],
    stride: usize,
    columns: Range<usize>,
    /// Whether a value makes the loss infinite or NaN.
    breaks: fn(f32) -> bool,
}

impl Suspect<'_> {
    fn find(&self, step: u64) -> Option<NonFinite> {
        let place = |i: usize| (i / self.stride, i % self.stride);
        let guilty = |i: &usize| self.columns.contains(&place(*i).1) && (self.breaks)(self.values[*i]);
        let index = (0..self.values.len()).find(guilty)?;
        let (row, column) = place(index);
        let column = column - self.columns.start;
        Some(NonFinite { step, tensor: self.tensor, row, column, value: self.values[index] })
    }
}

/// How many tasks handle `rows` rows of an elementwise operation, and which rows task `i` handles.
fn row_tasks(rows: usize) -> (usize, impl Fn(usize) -> Range<usize>) {
    (rows.div_ceil(ROWS_PER_TASK), move |i| i * ROWS_PER_TASK..((i + 1) * ROWS_PER_TASK).min(rows))
}

/// Makes room for one partial sum a task. The first step of a kind may grow it; later ones find it large enough.
fn reserve(partial: &mut Vec<f64>, tasks: usize) {
    if partial.len() < tasks {
        partial.resize(tasks, 0.0);
    }
}

impl Backend for Cpu {
    type Buffer = Buffer;
    type Images = Images;

    fn describe(&self) -> String {
        let threads = self.threads();
        if threads == 1 { "cpu, 1 thread".to_owned() } else { format!("cpu, {threads} threads") }
    }

    fn zeros(&mut self, len: usize) -> Result<Buffer, Error> {
        Buffer::zeros(len)
    }

    fn write(&mut self, buffer: &mut Buffer, values: &[f32]) -> Result<(), Error> {
        buffer[..values.len()].copy_from_slice(values);
        Ok(())
    }

    fn read(&mut self, buffer: &Buffer, len: usize) -> Result<Vec<f32>, Error> {
        Ok(buffer[..len].to_vec())
    }

    fn load_images(&mut self, pixels: Vec<u8>, pixels_per_image: usize) -> Result<Images, Error> {
        let order = (0..(pixels.len() / pixels_per_image) as u32).collect();
        Ok(Images { pixels, targets: None, pixels_per_image, order, position: 0 })
    }

    fn replace_pixels(&mut self, images: &mut Images, pixels: &[u8]) -> Result<(), Error> {
        images.pixels.copy_from_slice(pixels);
        Ok(())
    }

    fn set_targets(&mut self, images: &mut Images, pixels: &[u8]) -> Result<(), Error> {
        images.targets = Some(pixels.to_vec());
        Ok(())
    }

    fn set_order(&mut self, images: &mut Images, order: &[u32], position: usize) -> Result<(), Error> {
        images.order.clear();
        images.order.extend_from_slice(order);
        images.position = position;
        Ok(())
    }

    fn set_hyperparameters(&mut self, hyperparameters: Hyperparameters) {
        self.hyperparameters = hyperparameters;
    }

    fn set_step(&mut self, stream: Stream, step: u64) {
        self.steps.insert(stream, step);
    }

    fn step(&self, stream: Stream) -> u64 {
        self.steps.get(&stream).copied().unwrap_or(0)
    }

    fn set_sums(&mut self, sums: Sums) {
        self.sums = sums;
    }

    fn sums(&mut self) -> Result<Sums, Error> {
        Ok(self.sums.clone())
    }

    fn non_finite(&mut self) -> Result<Option<NonFinite>, Error> {
        Ok(self.non_finite)
    }

    fn glance(&mut self) -> Result<Option<Glance>, Error> {
        let Sums { images, bce, kl, bound, .. } = self.sums;
        Ok(Some(Glance { images, bce, kl, bound, non_finite: self.non_finite }))
    }

    fn run(&mut self, step: Step, body: impl FnOnce(&mut Self)) -> Result<(), Error> {
        self.current = step;
        body(self);
        *self.steps.entry(step.stream).or_insert(0) += 1;
        Ok(())
    }

    fn gather(&mut self, images: &mut Images, batch: &mut Buffer) {
        self.take_next(images, &images.pixels, batch);
        images.position += self.current.rows;
        self.sums.images += self.current.rows as u64;
    }

    fn gather_target(&mut self, images: &mut Images, batch: &mut Buffer) {
        self.take_next(images, images.targets.as_ref().unwrap_or(&images.pixels), batch);
    }

    fn standard_normal(&mut self, out: &mut Buffer, columns: usize) {
        let (address, rows) = (self.address(), self.current.rows);
        let out = Parts::new(&mut out[..rows * columns]);
        let (tasks, rows_of) = row_tasks(rows);
        self.pool.run(tasks, &|task| {
            let rows = rows_of(task);
            let elements = rows.start * columns..rows.end * columns;
            // SAFETY: a row belongs to one task.
            let part = unsafe { out.part(elements.clone()) };
            loops::standard_normal(address, elements.start, part);
        });
    }

    fn linear(&mut self, layer: Linear, params: &Buffer, x: &Buffer, y: &mut Buffer, activation: Activation) {
        let rows = self.current.rows;
        let (weight, bias) = layer.parameters(params);
        let (x, w_t) = (Operand::row_major(x, layer.inputs), Operand::row_major(weight, layer.inputs).transposed());
        let y = Parts::new(&mut y[..rows * layer.outputs]);
        let strips = strips(layer.outputs);
        self.pool.run(strips.count, &|task| {
            let columns = strips.range(task);
            let size = (rows, columns.len(), layer.inputs);
            // SAFETY: a column belongs to one strip.
            unsafe { product(size, &y, columns.start, layer.outputs, x, w_t.skip_columns(columns.start)) };
            for row in 0..rows {
                let first = row * layer.outputs;
                // SAFETY: as above.
                let y = unsafe { y.part(first + columns.start..first + columns.end) };
                loops::bias_activation(&bias[columns.clone()], activation, y);
            }
        });
    }

    fn linear_bce(&mut self, layer: Linear, params: &Buffer, x: &Buffer, target: &Buffer, dlogits: &mut Buffer) {
        let rows = self.current.rows;
        let (weight, bias) = layer.parameters(params);
        let (x, w_t) = (Operand::row_major(x, layer.inputs), Operand::row_major(weight, layer.inputs).transposed());
        let out = Parts::new(&mut dlogits[..rows * layer.outputs]);
        let strips = strips(layer.outputs);
        reserve(&mut self.partial, strips.count);
        let partial = Parts::new(&mut self.partial);
        self.pool.run(strips.count, &|task| {
            let columns = strips.range(task);
            let size = (rows, columns.len(), layer.inputs);
            // SAFETY: a column belongs to one strip.
            unsafe { product(size, &out, columns.start, layer.outputs, x, w_t.skip_columns(columns.start)) };
            let mut bce = 0.0;
            for row in 0..rows {
                let part = row * layer.outputs + columns.start..row * layer.outputs + columns.end;
                // SAFETY: as above.
                let a = unsafe { out.part(part.clone()) };
                bce += loops::bce_and_gradient(&bias[columns.clone()], &target[part.clone()], a);
            }
            // SAFETY: a task has one element.
            let partial = unsafe { partial.part(task..task + 1) };
            partial[0] = bce;
        });
        let (values, stride) = (&dlogits[..rows * layer.outputs], layer.outputs);
        let breaks = |gradient: f32| !gradient.is_finite();
        self.sums.bce +=
            self.add_up(strips.count, &[Suspect { tensor: "logits", values, stride, columns: 0..stride, breaks }]);
    }

    fn linear_backward(
        &mut self,
        layer: Linear,
        params: &Buffer,
        x: &Buffer,
        dy: &Buffer,
        grads: &mut Buffer,
        input: Option<InputGradient<'_, Buffer>>,
    ) {
        let (rows, Linear { inputs, outputs, .. }) = (self.current.rows, layer);
        let (weight, _) = layer.parameters(params);
        let dy_matrix = Operand::row_major(dy, outputs);
        let grads = Parts::new(grads);
        let gradient_strips = strips(outputs);
        let gradients = |task: usize| {
            let units = gradient_strips.range(task);
            let (size, first) = ((units.len(), inputs, rows), layer.weight + units.start * inputs);
            let (dy_t, x) = (dy_matrix.skip_columns(units.start).transposed(), Operand::row_major(x, inputs));
            // SAFETY: a unit's weights and bias belong to one strip, and those of a layer to nothing else.
            unsafe { product(size, &grads, first, inputs, dy_t, x) };
            // SAFETY: as above.
            let db = unsafe { grads.part(layer.bias + units.start..layer.bias + units.end) };
            loops::column_sums(&dy[..rows * outputs], outputs, units.clone(), db);
        };
        let Some(InputGradient { dx, activation }) = input else {
            return self.pool.run(gradient_strips.count, &gradients);
        };
        let dx = Parts::new(&mut dx[..rows * inputs]);
        let input_strips = strips(inputs);
        let input_gradient = |task: usize| {
            let columns = input_strips.range(task);
            let w = Operand::row_major(weight, inputs).skip_columns(columns.start);
            // SAFETY: a column belongs to one strip.
            unsafe { product((rows, columns.len(), outputs), &dx, columns.start, inputs, dy_matrix, w) };
            for row in 0..rows {
                let part = row * inputs + columns.start..row * inputs + columns.end;
                // SAFETY: as above.
                let dx = unsafe { dx.part(part.clone()) };
                loops::times_derivative(activation, &x[part.clone()], dx);
            }
        };
        // The two products need nothing of each other, so they share one burst.
        self.pool.run(input_strips.count + gradient_strips.count, &|task| match task.checked_sub(input_strips.count) {
            None => input_gradient(task),
            Some(task) => gradients(task),
        });
    }

    fn reparameterise(&mut self, latent: usize, posterior: &Buffer, noise: Noise, eps: &mut Buffer, z: &mut Buffer) {
        let (rows, address) = (self.current.rows, self.address());
        for moments in [&mut self.sums.mean, &mut self.sums.mean_squared] {
            // Where nobody said how many units there are.
            moments.resize(latent.max(moments.len()), 0.0);
        }
        let (eps, z) = (Parts::new(&mut eps[..rows * latent]), Parts::new(&mut z[..rows * latent]));
        let (tasks, rows_of) = row_tasks(rows);
        reserve(&mut self.partial, tasks);
        let partial = Parts::new(&mut self.partial);
        let sample = |task: usize| {
            let part = rows_of(task).start * latent..rows_of(task).end * latent;
            // SAFETY: a row belongs to one task, and a task has one partial sum.
            let (eps, z, partial) =
                unsafe { (eps.part(part.clone()), z.part(part.clone()), partial.part(task..task + 1)) };
            let posterior = &posterior[2 * part.start..2 * part.end];
            if noise == Noise::Drawn {
                loops::standard_normal(address, part.start, eps);
            }
            match noise {
                Noise::Mean => loops::copy_mean(latent, posterior, z),
                Noise::Drawn | Noise::Given => loops::sample(latent, posterior, eps, z),
            }
            partial[0] = loops::kl_sum(latent, posterior);
        };
        let (sum, squares) = (&mut self.sums.mean[..], &mut self.sums.mean_squared[..]);
        let moments = Parts::new(sum);
        let squares = Parts::new(squares);
        self.pool.run(tasks + 1, &|task| {
            if task < tasks {
                return sample(task);
            }
            // SAFETY: this is the one task that touches the moments.
            let (sum, squares) = unsafe { (moments.part(0..latent), squares.part(0..latent)) };
            loops::add_moments(latent, &posterior[..2 * rows * latent], sum, squares);
        });
        let posterior = &posterior[..2 * rows * latent];
        let suspect =
            |tensor, columns, breaks| Suspect { tensor, values: posterior, stride: 2 * latent, columns, breaks };
        let mean = suspect("mean", 0..latent, |m| !(m * m).is_finite());
        let log_var = suspect("log_var", latent..2 * latent, |v| !v.is_finite() || math::exp(v).is_infinite());
        self.sums.kl += self.add_up(tasks, &[mean, log_var]);
    }

    fn reparameterise_backward(
        &mut self,
        latent: usize,
        posterior: &Buffer,
        eps: &Buffer,
        dz: &Buffer,
        dposterior: &mut Buffer,
    ) {
        let rows = self.current.rows;
        let Hyperparameters { beta, free_bits, .. } = self.hyperparameters;
        let divergence = (beta as f32, free_bits as f32);
        let out = Parts::new(&mut dposterior[..2 * rows * latent]);
        let (tasks, rows_of) = row_tasks(rows);
        self.pool.run(tasks, &|task| {
            let part = rows_of(task).start * latent..rows_of(task).end * latent;
            let double = 2 * part.start..2 * part.end;
            // SAFETY: a row belongs to one task.
            let out = unsafe { out.part(double.clone()) };
            let (eps, dz) = (&eps[part.clone()], &dz[part]);
            loops::posterior_gradient(latent, divergence, &posterior[double], eps, dz, out);
        });
    }

    fn linear_importance(
        &mut self,
        layer: Linear,
        params: &Buffer,
        x: &Buffer,
        target: &Buffer,
        draws: Draws<'_, Buffer>,
        weighed: Weighed<'_, Buffer>,
    ) {
        let (rows, beta) = (self.current.rows, self.hyperparameters.beta);
        let (pixels, latent) = (layer.outputs, draws.latent);
        let (_, bias) = layer.parameters(params);
        let Weighed { weights, dlogits } = weighed;
        self.multiply(layer, params, x, dlogits);
        let images = rows.div_ceil(draws.per_image);
        reserve(&mut self.partial, 2 * images);
        let (losses, bounds) = self.partial[..2 * images].split_at_mut(images);
        let (losses, bounds) = (Parts::new(losses), Parts::new(bounds));
        let (weights, out) = (Parts::new(&mut weights[..rows]), Parts::new(&mut dlogits[..rows * pixels]));
        self.pool.run(images, &|image| {
            let of_image = image * draws.per_image..rows.min((image + 1) * draws.per_image);
            // SAFETY: an image and its rows belong to one task.
            let (weights, loss, bound) = unsafe {
                (weights.part(of_image.clone()), losses.part(image..image + 1), bounds.part(image..image + 1))
            };
            let gradient = |row: usize| {
                // SAFETY: as above, and each is given back before the next is taken.
                unsafe { out.part(row * pixels..(row + 1) * pixels) }
            };
            loss[0] = 0.0;
            let log_weight = |row: usize| {
                let bce = loops::bce_and_gradient(bias, &target[row * pixels..(row + 1) * pixels], gradient(row));
                loss[0] += bce;
                let code = row * latent..(row + 1) * latent;
                let log_var = &draws.posterior[2 * code.start + latent..2 * code.end];
                beta * loops::log_ratio(&draws.eps[code.clone()], log_var, &draws.z[code]) - bce
            };
            let log_weights: Vec<f64> = of_image.clone().map(log_weight).collect();
            bound[0] = -(of_image.len() as f64) * loops::shares(&log_weights, weights);
            // Where a logit spoiled the weights, the gradients still show which.
            if bound[0].is_finite() {
                of_image.zip(weights).for_each(|(row, weight)| loops::scale(*weight, gradient(row)));
            }
        });
        self.sums.bound += self.partial[images..2 * images].iter().sum::<f64>();
        let (values, breaks) = (&dlogits[..rows * pixels], |gradient: f32| !gradient.is_finite());
        self.sums.bce +=
            self.add_up(images, &[Suspect { tensor: "logits", values, stride: pixels, columns: 0..pixels, breaks }]);
    }

    fn importance_backward(
        &mut self,
        draws: Draws<'_, Buffer>,
        weights: &Buffer,
        dz: &Buffer,
        dposterior: &mut Buffer,
    ) {
        let (rows, latent, beta) = (self.current.rows, draws.latent, self.hyperparameters.beta as f32);
        let out = Parts::new(&mut dposterior[..2 * rows * latent]);
        let (tasks, rows_of) = row_tasks(rows);
        self.pool.run(tasks, &|task| {
            for row in rows_of(task) {
                let code = row * latent..(row + 1) * latent;
                let double = 2 * code.start..2 * code.end;
                // SAFETY: a row belongs to one task.
                let out = unsafe { out.part(double.clone()) };
                let log_var = &draws.posterior[double][latent..];
                let code = [&draws.eps[code.clone()], &draws.z[code.clone()], &dz[code]];
                loops::importance_gradient(beta * weights[row], log_var, code, out);
            }
        });
    }

    fn adam(
        &mut self,
        len: usize,
        params: &mut Buffer,
        grads: &Buffer,
        first_moment: &mut Buffer,
        second_moment: &mut Buffer,
    ) {
        if self.non_finite.is_some() {
            return;
        }
        let step = self.step(Stream::Training);
        let (step_size, root_scale) = adam::corrections(self.hyperparameters.learning_rate, step);
        let (p, m, v) = (Parts::new(params), Parts::new(first_moment), Parts::new(second_moment));
        self.pool.run(len.div_ceil(PARAMETERS_PER_TASK), &|task| {
            let part = task * PARAMETERS_PER_TASK..((task + 1) * PARAMETERS_PER_TASK).min(len);
            // SAFETY: a parameter belongs to one task.
            let (p, m, v) = unsafe { (p.part(part.clone()), m.part(part.clone()), v.part(part.clone())) };
            loops::adam(step_size, root_scale, p, &grads[part], m, v);
        });
    }
}

impl Linear {
    /// This layer's weight and bias in an arena.
    fn parameters(self, arena: &[f32]) -> (&[f32], &[f32]) {
        let weight = &arena[self.weight..self.weight + self.inputs * self.outputs];
        (weight, &arena[self.bias..self.bias + self.outputs])
    }
}
