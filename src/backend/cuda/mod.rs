//! An NVIDIA GPU as a backend. Every kernel is one of `kernels/`, compiled at run time; a step that comes again is one CUDA graph.
//!
//! A step's body enqueues launches as values. At its end they are compared with what was recorded: the same kernels with the
//! same sizes and addresses are one launch of a recorded graph, others are recorded first. So a recording can never stand for
//! buffers that are gone. Counters, settings, sums and the first non-finite number live on the device; after
//! the first steps of a kind nothing is allocated, copied or waited for, but that the host never runs more than
//! sixteen steps ahead.

pub mod cache;
pub mod compile;
pub(crate) mod control;
pub mod device;
pub(crate) mod elementwise;
mod error;
pub mod gemm;
mod kernel;
mod laps;
mod launch;
mod memory;
mod pace;
mod snapshot;
pub mod sources;

use std::collections::HashMap;
use std::sync::Arc;

use bytemuck::Zeroable;
use cudarc::driver::{CudaFunction, CudaStream};

use self::compile::Compiler;
use self::control::{Control, Found, STREAMS, Settings};
pub use self::device::DeviceInfo;
use self::device::Opened;
use self::elementwise as arguments;
use self::elementwise::{BLOCK, QUAD, SAMPLING_BLOCK};
pub use self::error::Error;
use self::gemm::{Epilogue, Family, Layout, Plan, Product, Variant};
pub use self::kernel::Kernel;
pub use self::laps::Lap;
pub use self::launch::Argument;
use self::launch::{Launch, Recording};
pub use self::memory::Buffer;
use self::memory::{Memory, Scratch};
use self::pace::Pace;
use self::snapshot::Snapshot;
use super::{
    Activation, Backend, Draws, Glance, Hyperparameters, InputGradient, Linear, Noise, NonFinite, Precision, Step,
    Sums, Weighed,
};
use crate::backend;
use crate::noise::Stream;

/// Recordings that are kept: a few kinds of steps, each with whole and ragged batches.
const MOST_RECORDINGS: usize = 16;

/// How the operands lie for the gradient at a layer's weight and at its input.
const BACKWARD: [Layout; 2] = [Layout::Tn, Layout::Nn];

/// Rows of the smallest tile of a product.
const SMALLEST_TILE: usize = 32;

/// Words of [`Control`].
const CONTROL_WORDS: usize = size_of::<Control>() / size_of::<u64>();
/// The word at which the losses begin.
const LOSSES_AT: usize = std::mem::offset_of!(Control, losses) / size_of::<u64>();

/// Images of a byte a pixel on the device, and the order in which batches take them.
pub struct Images {
    pixels: Memory<u8>,
    /// What the images should become, where that is something else.
    targets: Option<Memory<u8>>,
    pixels_per_image: usize,
    order: Memory<u32>,
    /// Where in the order the next batch begins; steps move it on.
    position: Memory<u64>,
}

/// The CUDA backend, on one device.
pub struct Cuda {
    device: Opened,
    stream: Arc<CudaStream>,
    family: Family,
    precision: Precision,
    compiler: Compiler,
    functions: HashMap<Kernel, CudaFunction>,
    control: Memory<u64>,
    hyperparameters: Hyperparameters,
    /// The number of the next step of each stream, as the device will have it.
    steps: [u64; STREAMS],
    /// Sums that the host set and the device does not have yet.
    new_sums: Option<Sums>,
    /// Whether the device's settings are not those of the host.
    stale: bool,
    /// Latent units that the sums have a part for.
    units: usize,
    /// For each unit its mean, then for each its square.
    moments: Scratch<f64>,
    /// Latent units and pixels of the last losses, to tell row and column of a non-finite number.
    shapes: (usize, usize),
    current: Step,
    launches: Vec<Launch>,
    /// What the end of the current step has to do.
    end: arguments::Finish,
    /// Adam's arguments, where it is the last launch so far.
    last_adam: Option<arguments::Adam>,
    /// Why the current step cannot be carried out.
    failed: Option<Error>,
    recordings: Vec<Recording>,
    bce_parts: Scratch<f64>,
    kl_parts: Scratch<f64>,
    bound_parts: Scratch<f64>,
    workspace: Scratch<f32>,
    tickets: Scratch<u32>,
    pace: Pace,
    snapshot: Snapshot,
}

impl Cuda {
    /// A backend on `device`, with kernels from `compiler`.
    ///
    /// # Errors
    /// The device is too old for `precision`, or failed.
    pub fn new(device: Opened, compiler: Compiler, precision: Precision) -> Result<Self, Error> {
        let capability = device.info.compute_capability;
        let family = Family::of(capability, precision).ok_or(Error::Precision { precision, capability })?;
        let stream = Arc::clone(&device.stream);
        let mut control = Memory::zeros(&stream, CONTROL_WORDS)?;
        let blank = Control { found: Found::nothing(), ..Control::zeroed() };
        control.write(&stream, 0, bytemuck::cast_slice(&[blank]))?;
        let mut backend = Self {
            family,
            precision,
            compiler,
            functions: HashMap::new(),
            control,
            hyperparameters: Hyperparameters { learning_rate: 1e-3, beta: 1.0, seed: 1, free_bits: 0.0 },
            steps: [0; STREAMS],
            new_sums: None,
            stale: true,
            units: 0,
            moments: Scratch::default(),
            shapes: (0, 0),
            current: Step::once(Stream::Training, 0),
            launches: Vec::new(),
            end: arguments::Finish::zeroed(),
            last_adam: None,
            failed: None,
            recordings: Vec::new(),
            bce_parts: Scratch::default(),
            kl_parts: Scratch::default(),
            bound_parts: Scratch::default(),
            workspace: Scratch::default(),
            tickets: Scratch::default(),
            pace: Pace::new(device.stream.context())?,
            snapshot: Snapshot::new(device.stream.context(), CONTROL_WORDS)?,
            stream,
            device,
        };
        // A device that takes one kernel takes all, and one that does not is known before anything begins.
        backend.load(Kernel::Finish)?;
        Ok(backend)
    }

    /// The device.
    pub fn device(&self) -> &DeviceInfo {
        &self.device.info
    }

    /// What a person should know about the cache of kernels: why nothing can be kept.
    pub fn note(&self) -> Option<&str> {
        self.compiler.note()
    }

    /// How many kernels were compiled, not taken from the cache.
    pub fn compiled(&self) -> usize {
        self.compiler.compiled()
    }

    /// Compiles `text`, a kernel of one's own that messages call `name`, and gives the function `entry` of it, to be launched in
    /// [`Cuda::stream`] on the addresses of buffers (`Buffer::at`). What the backend enqueued before is done by then, and
    /// what it enqueues later comes after: the stream keeps the order.
    ///
    /// # Errors
    /// There is nothing to compile with, the compiler or the driver refuses the text, or it has no such function.
    pub fn function(&mut self, name: &str, text: &str, entry: &str) -> Result<CudaFunction, Error> {
        let image = self.compiler.image_of_text(name, text)?;
        let module = device::load(&self.device, &image)?;
        module.load_function(entry).map_err(Error::fault("looking for a kernel; declare it extern \"C\" __global__"))
    }

    /// Waits until everything enqueued has been done.
    ///
    /// # Errors
    /// Something enqueued failed.
    pub fn synchronize(&mut self) -> Result<(), Error> {
        self.stream.synchronize().map_err(Error::fault("waiting for it"))
    }

    /// Gives the device what the host set since the last step.
    fn settle(&mut self) -> Result<(), Error> {
        if std::mem::take(&mut self.stale) {
            let settings = Settings::new(self.hyperparameters, self.steps);
            self.control.write(&self.stream, 0, bytemuck::cast_slice(&[settings]))?;
        }
        let Some(Sums { images, bce, kl, bound, mean, mean_squared }) = self.new_sums.take() else { return Ok(()) };
        let losses = control::Losses { bce, kl, bound, images };
        self.control.write(&self.stream, LOSSES_AT, bytemuck::cast_slice(&[losses]))?;
        self.units = mean.len();
        self.moments.reserve(&self.stream, 2 * self.units)?;
        self.moments.write(&self.stream, &[mean, mean_squared].concat())
    }

    /// Fetches the control, after everything enqueued has been done.
    fn fetch_control(&mut self) -> Result<Control, Error> {
        self.settle()?;
        let mut words = [0; CONTROL_WORDS];
        self.control.read(&self.stream, &mut words)?;
        self.synchronize()?;
        Ok(bytemuck::cast(words))
    }

    /// Remembers why the step cannot be carried out; the first reason counts.
    fn attempt<T>(&mut self, result: Result<T, Error>) -> Option<T> {
        result.map_err(|error| self.failed.get_or_insert(error)).ok()
    }

    fn enqueue(&mut self, kernel: Kernel, blocks: usize, block: u32, argument: &impl bytemuck::Pod) {
        self.push(Launch::new(kernel, int(blocks) as u32, block, argument));
    }

    fn push(&mut self, launch: Launch) {
        let loaded = self.load(launch.kernel);
        if self.attempt(loaded).is_some() {
            self.last_adam = None;
            self.launches.push(launch);
        }
    }

    /// Makes sure that `kernel` is there to be launched.
    fn load(&mut self, kernel: Kernel) -> Result<(), Error> {
        if self.functions.contains_key(&kernel) {
            return Ok(());
        }
        let image = self.compiler.image(&kernel.source())?;
        let module = device::load(&self.device, &image)?;
        let function = module.load_function(kernel.entry()).map_err(Error::fault("looking for a kernel"))?;
        self.functions.insert(kernel, function);
        Ok(())
    }

    /// Enqueues the sums of what the step has left so far, where the same kind of loss comes once more.
    fn take_sums(&mut self) {
        let blank = self.blank_end();
        let end = std::mem::replace(&mut self.end, blank);
        self.enqueue(Kernel::Finish, 1, BLOCK, &end);
    }

    fn blank_end(&self) -> arguments::Finish {
        arguments::Finish {
            control: self.control.at(0),
            rows: int(self.current.rows),
            stream: self.current.stream as i32,
            ..arguments::Finish::zeroed()
        }
    }

    /// Enqueues the end of the step: as a part of Adam where that is the last launch, on its own elsewhere.
    fn end_step(&mut self) {
        let end = arguments::Finish { advances: 1, ..self.end };
        match self.last_adam.take() {
            Some(adam) => {
                self.launches.pop();
                self.enqueue_adam(arguments::Adam { end, ends_step: 1, ..adam });
            }
            None => self.enqueue(Kernel::Finish, 1, BLOCK, &end),
        }
    }

    fn enqueue_adam(&mut self, adam: arguments::Adam) {
        let threads = (adam.length as usize).div_ceil(QUAD);
        self.enqueue(Kernel::Adam, threads.div_ceil(BLOCK as usize), BLOCK, &adam);
        self.last_adam = Some(adam);
    }

    /// Makes the launches of `step`, which becomes the current one.
    fn collect(&mut self, step: Step, body: impl FnOnce(&mut Self)) -> Result<(), Error> {
        self.settle()?;
        self.current = step;
        self.launches.clear();
        self.last_adam = None;
        self.end = self.blank_end();
        body(self);
        self.end_step();
        self.failed.take().map_or(Ok(()), Err)
    }

    /// Counts the current step, whose launches are enqueued.
    fn complete(&mut self, step: Step) -> Result<(), Error> {
        self.free_outgrown();
        self.steps[step.stream as usize] += 1;
        self.pace.count(&self.stream)
    }

    /// Frees scratch that no launch to come names.
    fn free_outgrown(&mut self) {
        self.bce_parts.settle();
        self.kl_parts.settle();
        self.bound_parts.settle();
        self.workspace.settle();
        self.tickets.settle();
        self.moments.settle();
    }

    // ANCHOR: submit
    /// Carries out the launches of the current step.
    fn submit(&mut self) -> Result<(), Error> {
        if self.current.name.is_none() {
            return self.enqueue_launches().map_err(Error::fault("launching a kernel"));
        }
        let known = self.recordings.iter().position(|recording| recording.is_of(&self.launches));
        let index = match known {
            Some(index) => index,
            None => self.record()?,
        };
        self.recordings[index].launch().map_err(Error::fault("launching a step"))
    }
    // ANCHOR_END: submit

    /// Records the launches of the current step as a graph, in place of the oldest where there are many.
    fn record(&mut self) -> Result<usize, Error> {
        let recording = Recording::new(&self.stream, &self.launches, || self.enqueue_launches());
        let recording = recording.map_err(Error::fault("recording a step"))?;
        if self.recordings.len() == MOST_RECORDINGS {
            self.recordings.remove(0);
        }
        self.recordings.push(recording);
        Ok(self.recordings.len() - 1)
    }

    fn enqueue_launches(&self) -> Result<(), cudarc::driver::DriverError> {
        self.launches.iter().try_for_each(|launch| self.enqueue_launch(launch))
    }

    fn enqueue_launch(&self, launch: &Launch) -> Result<(), cudarc::driver::DriverError> {
        // SAFETY: every launch is made by an operation below, from the kernel's own struct of arguments and the addresses of
        // buffers that the step's body borrows, and only after its kernel was loaded.
        unsafe { launch.enqueue(&self.stream, &self.functions[&launch.kernel]) }
    }

    /// Enqueues one product.
    fn multiply(&mut self, layout: Layout, epilogue: Epilogue, product: Product) {
        let plan = Plan::new(self.family, product.size(), layout, epilogue);
        let Some([product]) = self.with_room([plan], [product]) else { return };
        let aligned = product.is_aligned(layout);
        let variant = Variant { family: self.family, aligned, first: plan.form, second: None };
        self.push(Launch::new(Kernel::Gemm(variant), plan.blocks, variant.block(), &product));
    }

    /// How the gradients at a layer's weight and at its input, which ends as `epilogue` says, share one launch.
    fn plan_backward(&self, products: [Product; 2], epilogue: Epilogue) -> [Plan; 2] {
        let sizes = products.map(|product| product.size());
        Plan::pair(self.family, sizes, BACKWARD, [Epilogue::BiasGradient, epilogue])
    }

    /// Enqueues the gradients at a layer's weight and at its input, which need nothing of each other, in one launch.
    fn multiply_backward(&mut self, products: [Product; 2], epilogue: Epilogue) {
        let plans = self.plan_backward(products, epilogue);
        let Some(products) = self.with_room(plans, products) else { return };
        let aligned = products.iter().zip(BACKWARD).all(|(product, layout)| product.is_aligned(layout));
        let [first, second] = plans.map(|plan| plan.form);
        let variant = Variant { family: self.family, aligned, first, second: Some(second) };
        let blocks = plans[0].blocks + plans[1].blocks;
        let launch = Launch::new(Kernel::Gemm(variant), blocks, variant.block(), &products[0]).with(&products[1]);
        self.push(launch);
    }

    /// Bytes of scratch that the products and the loss of a layer take.
    fn room(&self, layer: Linear, rows: usize) -> usize {
        let forward = sized(rows, layer.outputs, layer.inputs).size();
        let forward = Plan::new(self.family, forward, Layout::Nt, Epilogue::BiasBce);
        let gradients = [sized(layer.outputs, layer.inputs, rows), sized(rows, layer.inputs, layer.outputs)];
        let [weights, inputs] = self.plan_backward(gradients, Epilogue::Derivative);
        let bytes = |plan: Plan| plan.workspace() * size_of::<f32>() + plan.tickets() * size_of::<u32>();
        let losses = forward.tiles as usize * size_of::<f64>();
        bytes(forward).max(bytes(weights) + bytes(inputs)) + losses
    }

    /// Gives products of one launch the room that their plans ask for.
    fn with_room<const N: usize>(&mut self, plans: [Plan; N], mut products: [Product; N]) -> Option<[Product; N]> {
        let (floats, tickets) =
            plans.iter().fold((0, 0), |(floats, tickets), plan| (floats + plan.workspace(), tickets + plan.tickets()));
        let workspace = self.workspace.reserve(&self.stream, floats);
        let tickets = self.tickets.reserve(&self.stream, tickets);
        let (mut workspace, mut tickets) = (self.attempt(workspace)?, self.attempt(tickets)?);
        for (plan, product) in plans.iter().zip(&mut products) {
            (product.splits, product.workspace, product.tickets) = (plan.splits as i32, workspace, tickets);
            workspace += (plan.workspace() * size_of::<f32>()) as u64;
            tickets += (plan.tickets() * size_of::<u32>()) as u64;
        }
        Some(products)
    }

    /// batch `[rows, pixels]` = the next images in the order of `images`, out of `source`.
    fn enqueue_gather(&mut self, images: &Images, source: &Memory<u8>, batch: &Buffer) {
        let (rows, size) = (self.current.rows, images.pixels_per_image);
        let argument = arguments::Gather {
            pixels: source.at(0),
            order: images.order.at(0),
            position: images.position.at(0),
            batch: batch.at(0),
            rows: int(rows),
            size: int(size),
        };
        self.enqueue(Kernel::Gather, blocks_of_quads(rows * size, BLOCK), BLOCK, &argument);
    }
}

/// A size as kernels take it.
fn int(size: usize) -> i32 {
    i32::try_from(size).expect("layers have at most 65,536 units and batches fewer than 2^31 images")
}

impl Backend for Cuda {
    type Buffer = Buffer;
    type Images = Images;

    fn describe(&self) -> String {
        format!("{}, {}", self.device.info.name, self.precision)
    }

    fn free_memory(&self) -> Result<Option<u64>, backend::Error> {
        let (free, _) = self.stream.context().mem_get_info().map_err(Error::fault("asking for its memory"))?;
        Ok(Some(free as u64))
    }

    fn scratch(&self, layers: &[Linear], rows: usize) -> u64 {
        // The number of tiles, and with it that of parts of a sum, changes at multiples of the smallest tile alone.
        let batches = (1..=rows.div_ceil(SMALLEST_TILE)).map(|tiles| rows.min(tiles * SMALLEST_TILE));
        let room = batches.flat_map(|rows| layers.iter().map(move |layer| self.room(*layer, rows))).max();
        // While it grows, the old is there beside the new.
        2 * room.unwrap_or_default() as u64
    }

    fn zeros(&mut self, len: usize) -> Result<Buffer, backend::Error> {
        Ok(Memory::zeros(&self.stream, len)?)
    }

    fn write(&mut self, buffer: &mut Buffer, values: &[f32]) -> Result<(), backend::Error> {
        Ok(buffer.write(&self.stream, 0, values)?)
    }

    fn read(&mut self, buffer: &Buffer, len: usize) -> Result<Vec<f32>, backend::Error> {
        let mut values = vec![0.0; len];
        buffer.read(&self.stream, &mut values)?;
        self.synchronize()?;
        Ok(values)
    }

    fn load_images(&mut self, pixels: Vec<u8>, pixels_per_image: usize) -> Result<Images, backend::Error> {
        let count = pixels.len() / pixels_per_image;
        let mut images = Images {
            pixels: Memory::zeros(&self.stream, pixels.len())?,
            targets: None,
            pixels_per_image,
            order: Memory::zeros(&self.stream, count)?,
            position: Memory::zeros(&self.stream, 1)?,
        };
        images.pixels.write(&self.stream, 0, &pixels)?;
        let order: Vec<u32> = (0..count as u32).collect();
        self.set_order(&mut images, &order, 0)?;
        Ok(images)
    }

    fn replace_pixels(&mut self, images: &mut Images, pixels: &[u8]) -> Result<(), backend::Error> {
        Ok(images.pixels.write(&self.stream, 0, pixels)?)
    }

    fn set_targets(&mut self, images: &mut Images, pixels: &[u8]) -> Result<(), backend::Error> {
        let targets = match images.targets.take() {
            Some(targets) => targets,
            None => Memory::zeros(&self.stream, pixels.len())?,
        };
        Ok(images.targets.insert(targets).write(&self.stream, 0, pixels)?)
    }

    fn set_order(&mut self, images: &mut Images, order: &[u32], position: usize) -> Result<(), backend::Error> {
        if images.order.len() < order.len() {
            images.order = Memory::zeros(&self.stream, order.len())?;
        }
        images.order.write(&self.stream, 0, order)?;
        Ok(images.position.write(&self.stream, 0, &[position as u64])?)
    }

    fn set_hyperparameters(&mut self, hyperparameters: Hyperparameters) {
        self.hyperparameters = hyperparameters;
        self.stale = true;
    }

    fn set_step(&mut self, stream: Stream, step: u64) {
        self.steps[stream as usize] = step;
        self.stale = true;
    }

    fn step(&self, stream: Stream) -> u64 {
        self.steps[stream as usize]
    }

    fn set_sums(&mut self, sums: Sums) {
        self.snapshot.forget();
        self.new_sums = Some(sums);
    }

    fn sums(&mut self) -> Result<Sums, backend::Error> {
        let losses = self.fetch_control()?.losses;
        let mut moments = vec![0.0; 2 * self.units];
        self.moments.read(&self.stream, &mut moments)?;
        self.synchronize()?;
        let mean_squared = moments.split_off(self.units);
        let control::Losses { bce, kl, bound, images } = losses;
        Ok(Sums { images, bce, kl, bound, mean: moments, mean_squared })
    }

    fn non_finite(&mut self) -> Result<Option<NonFinite>, backend::Error> {
        let (latent, pixels) = self.shapes;
        Ok(self.fetch_control()?.found.non_finite(latent, pixels))
    }

    fn glance(&mut self) -> Result<Option<Glance>, backend::Error> {
        self.settle()?;
        let words = self.snapshot.take()?.map(<[u64; CONTROL_WORDS]>::try_from);
        let control: Option<Control> = words.and_then(Result::ok).map(bytemuck::cast);
        self.snapshot.begin(&self.stream, self.control.slice())?;
        let (latent, pixels) = self.shapes;
        Ok(control.map(|Control { losses, found, .. }| Glance {
            images: losses.images,
            bce: losses.bce,
            kl: losses.kl,
            bound: losses.bound,
            non_finite: found.non_finite(latent, pixels),
        }))
    }

    fn prepare(&mut self, step: Step, body: impl FnOnce(&mut Self)) -> Result<(), backend::Error> {
        self.collect(step, body)?;
        self.free_outgrown();
        Ok(())
    }

    fn run(&mut self, step: Step, body: impl FnOnce(&mut Self)) -> Result<(), backend::Error> {
        self.collect(step, body)?;
        self.submit()?;
        Ok(self.complete(step)?)
    }

    fn gather(&mut self, images: &mut Images, batch: &mut Buffer) {
        if self.end.position != 0 {
            self.take_sums();
        }
        self.end.position = images.position.at(0);
        self.enqueue_gather(images, &images.pixels, batch);
    }

    fn gather_target(&mut self, images: &mut Images, batch: &mut Buffer) {
        self.enqueue_gather(images, images.targets.as_ref().unwrap_or(&images.pixels), batch);
    }

    fn standard_normal(&mut self, out: &mut Buffer, columns: usize) {
        let length = self.current.rows * columns;
        let argument = arguments::StandardNormal {
            out: out.at(0),
            control: self.control.at(0),
            length: length as u64,
            stream: self.current.stream as i32,
            _padding: 0,
        };
        self.enqueue(Kernel::StandardNormal, blocks_of_quads(length, BLOCK), BLOCK, &argument);
    }

    fn linear(&mut self, layer: Linear, params: &Buffer, x: &Buffer, y: &mut Buffer, activation: Activation) {
        let epilogue = match activation {
            Activation::Identity => Epilogue::Bias,
            Activation::LeakyRelu => Epilogue::BiasLeakyRelu,
            Activation::Sigmoid => Epilogue::BiasSigmoid,
        };
        self.multiply(Layout::Nt, epilogue, forward(self.current.rows, layer, params, x, y));
    }

    fn linear_bce(&mut self, layer: Linear, params: &Buffer, x: &Buffer, target: &Buffer, dlogits: &mut Buffer) {
        if self.end.bce_parts > 0 {
            self.take_sums();
        }
        self.shapes.1 = layer.outputs;
        let product = forward(self.current.rows, layer, params, x, dlogits);
        let tiles = Plan::new(self.family, product.size(), Layout::Nt, Epilogue::BiasBce).tiles as usize;
        let partial = self.bce_parts.reserve(&self.stream, tiles);
        let Some(partial) = self.attempt(partial) else { return };
        (self.end.bce, self.end.bce_parts) = (partial, int(tiles));
        let product = Product { other: target.at(0), partial, control: self.control.at(0), ..product };
        self.multiply(Layout::Nt, Epilogue::BiasBce, product);
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
        let (rows, Linear { inputs, outputs, weight, bias }) = (self.current.rows, layer);
        let weights = Product {
            a: dy.at(0),
            b: x.at(0),
            c: grads.at(weight),
            bias_gradient: grads.at(bias),
            ..sized(outputs, inputs, rows)
        };
        let Some(InputGradient { dx, activation }) = input else {
            return self.multiply(Layout::Tn, Epilogue::BiasGradient, weights);
        };
        let (epilogue, other) = match activation {
            Activation::LeakyRelu => (Epilogue::Derivative, x.at(0)),
            _ => (Epilogue::Plain, 0),
        };
        let inputs = Product { a: dy.at(0), b: params.at(weight), c: dx.at(0), other, ..sized(rows, inputs, outputs) };
        self.multiply_backward([weights, inputs], epilogue);
    }

    fn reparameterise(&mut self, latent: usize, posterior: &Buffer, noise: Noise, eps: &mut Buffer, z: &mut Buffer) {
        if self.end.kl_parts > 0 {
            self.take_sums();
        }
        self.shapes.0 = latent;
        let rows = self.current.rows;
        let sampling_blocks = blocks_of_quads(rows * latent, SAMPLING_BLOCK);
        let partial = self.kl_parts.reserve(&self.stream, sampling_blocks);
        let moments = self.moments.reserve(&self.stream, 2 * latent);
        let (Some(partial), Some(sum)) = (self.attempt(partial), self.attempt(moments)) else { return };
        if self.units == 0 {
            // Nobody said how many units there are, and the room may hold what was summed before.
            let blank = self.moments.write(&self.stream, &vec![0.0; 2 * latent]);
            self.attempt(blank);
            self.units = latent;
        }
        (self.end.kl, self.end.kl_parts) = (partial, int(sampling_blocks));
        let argument = arguments::Reparameterise {
            posterior: posterior.at(0),
            eps: eps.at(0),
            z: z.at(0),
            partial,
            sum,
            squares: sum + (latent * size_of::<f64>()) as u64,
            control: self.control.at(0),
            rows: int(rows),
            latent: int(latent),
            stream: self.current.stream as i32,
            noise: noise as i32,
            sampling_blocks: int(sampling_blocks),
            _padding: 0,
        };
        let blocks = sampling_blocks + latent.div_ceil(SAMPLING_BLOCK as usize);
        self.enqueue(Kernel::Reparameterise, blocks, SAMPLING_BLOCK, &argument);
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
        let argument = arguments::ReparameteriseBackward {
            posterior: posterior.at(0),
            eps: eps.at(0),
            dz: dz.at(0),
            dposterior: dposterior.at(0),
            control: self.control.at(0),
            rows: int(rows),
            latent: int(latent),
        };
        let blocks = (rows * latent).div_ceil(BLOCK as usize);
        self.enqueue(Kernel::ReparameteriseBackward, blocks, BLOCK, &argument);
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
        if self.end.bce_parts > 0 {
            self.take_sums();
        }
        self.shapes.1 = layer.outputs;
        let rows = self.current.rows;
        let images = rows.div_ceil(draws.per_image);
        let (bce, bound) =
            (self.bce_parts.reserve(&self.stream, images), self.bound_parts.reserve(&self.stream, images));
        let (Some(bce), Some(bound)) = (self.attempt(bce), self.attempt(bound)) else { return };
        (self.end.bce, self.end.bce_parts) = (bce, int(images));
        (self.end.bound, self.end.bound_parts) = (bound, int(images));
        self.linear(layer, params, x, weighed.dlogits, Activation::Identity);
        let argument = arguments::ImportanceWeights {
            logits: weighed.dlogits.at(0),
            target: target.at(0),
            posterior: draws.posterior.at(0),
            eps: draws.eps.at(0),
            z: draws.z.at(0),
            weights: weighed.weights.at(0),
            bce,
            bound,
            control: self.control.at(0),
            rows: int(rows),
            draws: int(draws.per_image),
            latent: int(draws.latent),
            pixels: int(layer.outputs),
        };
        self.enqueue(Kernel::ImportanceWeights, images, BLOCK, &argument);
    }

    fn importance_backward(
        &mut self,
        draws: Draws<'_, Buffer>,
        weights: &Buffer,
        dz: &Buffer,
        dposterior: &mut Buffer,
    ) {
        let (rows, latent) = (self.current.rows, draws.latent);
        let argument = arguments::ImportanceBackward {
            posterior: draws.posterior.at(0),
            eps: draws.eps.at(0),
            z: draws.z.at(0),
            weights: weights.at(0),
            dz: dz.at(0),
            dposterior: dposterior.at(0),
            control: self.control.at(0),
            rows: int(rows),
            latent: int(latent),
        };
        self.enqueue(Kernel::ImportanceBackward, (rows * latent).div_ceil(BLOCK as usize), BLOCK, &argument);
    }

    fn adam(
        &mut self,
        len: usize,
        params: &mut Buffer,
        grads: &Buffer,
        first_moment: &mut Buffer,
        second_moment: &mut Buffer,
    ) {
        self.enqueue_adam(arguments::Adam {
            parameters: params.at(0),
            gradients: grads.at(0),
            first: first_moment.at(0),
            second: second_moment.at(0),
            length: len as u64,
            end: self.end,
            ..arguments::Adam::zeroed()
        });
    }
}

/// A product of this extent, with nothing to work on.
fn sized(m: usize, n: usize, k: usize) -> Product {
    Product { m: int(m), n: int(n), k: int(k), ..Product::default() }
}

/// x W^T of a layer, and its bias.
fn forward(rows: usize, layer: Linear, params: &Buffer, x: &Buffer, y: &Buffer) -> Product {
    Product {
        a: x.at(0),
        b: params.at(layer.weight),
        c: y.at(0),
        bias: params.at(layer.bias),
        ..sized(rows, layer.outputs, layer.inputs)
    }
}

/// Blocks that `length` elements take, four a thread.
fn blocks_of_quads(length: usize, block: u32) -> usize {
    length.div_ceil(QUAD).div_ceil(block as usize)
}
