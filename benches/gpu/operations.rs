//! Each operation of a VAE step at its real shapes, on random data, with cold and hot cache.

use cudarc::driver::DriverError;
use latent::backend::cuda::gemm::Variant;
use latent::backend::cuda::{Buffer, Cuda, Kernel, Lap};
use latent::backend::{Activation, Backend, InputGradient, Linear, Noise, Precision, Step, Sums};
use latent::nn::weights::layout_of;
use latent::nn::{Dims, Kind};
use latent::noise::Stream;
use serde::Serialize;

use crate::bench::{Counts, Machine, Quantity, Spread, Unit, counted};
use crate::peaks::Peaks;
use crate::probes::Probes;
use crate::{BATCH, DIMS, Failure};

const REPETITIONS: usize = 100;
const WARM_UP: usize = 10;
/// Batches that the images' order has to hold: those of every repetition, cold and hot.
const BATCHES: usize = 2 * (REPETITIONS + WARM_UP);
const STEP: Step = Step::once(Stream::Training, BATCH);

/// One operation at one shape.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Operation and shape.
    pub operation: String,
    /// How its products are computed.
    pub precision: Precision,
    /// The file of its kernel, the kernel, and how it is cut up.
    pub kernel: String,
    /// Its arithmetic by formula.
    pub flop: Quantity,
    /// Its operands and results, each counted once.
    pub bytes: Quantity,
    /// Times with operands in memory, out of the L2 cache.
    pub cold: Option<Spread>,
    /// Times with operands where the repetition before left them.
    pub hot: Option<Spread>,
    /// Arithmetic in the middle hot time.
    pub arithmetic_rate: Option<Quantity>,
    /// That as a part of the precision's peak.
    pub arithmetic_part: Option<Quantity>,
    /// Bytes in the middle cold time.
    pub memory_rate: Option<Quantity>,
    /// That as a part of what a copy makes of the memory.
    pub memory_part: Option<Quantity>,
    /// Counts, on the software device.
    pub counts: Option<Counts>,
}

/// What the caches hold when an operation begins.
#[derive(Clone, Copy)]
enum Cache {
    Cold,
    Hot,
}

/// A backend in one precision, and what its operations have shown.
pub struct Operations<'a> {
    machine: &'a Machine,
    peaks: &'a Peaks,
    probes: &'a mut Probes,
    cuda: Cuda,
    precision: Precision,
    rows: Vec<Row>,
}

/// The rows of one precision. Operations without a product are the same in all; they stand with fp32.
///
/// # Errors
/// The device failed.
pub fn measure(
    machine: &Machine,
    peaks: &Peaks,
    probes: &mut Probes,
    mut cuda: Cuda,
    precision: Precision,
) -> Result<Vec<Row>, Failure> {
    probes.follow(&cuda)?;
    cuda.set_sums(Sums::zeros(DIMS.latent));
    let mut operations = Operations { machine, peaks, probes, cuda, precision, rows: Vec::new() };
    operations.products()?;
    if precision == Precision::Fp32 {
        operations.others()?;
    }
    if let Some(found) = operations.cuda.non_finite()? {
        return Err(format!("an operation on ordinary numbers gave {found:?}").into());
    }
    Ok(operations.rows)
}

impl Operations<'_> {
    fn products(&mut self) -> Result<(), Failure> {
        let Dims { input, hidden, latent } = DIMS;
        self.linear((input, hidden), Activation::LeakyRelu)?;
        self.linear((hidden, hidden), Activation::LeakyRelu)?;
        self.linear((hidden, 2 * latent), Activation::Identity)?;
        self.linear((latent, hidden), Activation::LeakyRelu)?;
        self.linear((hidden, input), Activation::Sigmoid)?;
        self.linear_bce((hidden, input))?;
        self.linear_backward((hidden, input), Some(Activation::LeakyRelu))?;
        self.linear_backward((hidden, hidden), Some(Activation::LeakyRelu))?;
        self.linear_backward((latent, hidden), Some(Activation::Identity))?;
        self.linear_backward((input, hidden), None)
    }

    fn others(&mut self) -> Result<(), Failure> {
        self.gather()?;
        self.standard_normal()?;
        self.reparameterise()?;
        self.reparameterise_backward()?;
        self.adam()?;
        self.row("end of a step".to_owned(), 0, 0, |_| ())
    }

    fn linear(&mut self, shape: (usize, usize), activation: Activation) -> Result<(), Failure> {
        let (layer, len) = layer(shape);
        let (params, x, mut y) = (self.random(len)?, self.random(BATCH * shape.0)?, self.zeros(BATCH * shape.1)?);
        let name = format!("linear {} -> {}, {activation:?}", shape.0, shape.1);
        let bytes = 4 * (len + BATCH * (shape.0 + shape.1));
        self.row(name, flop(2, shape), bytes, |cuda| cuda.linear(layer, &params, &x, &mut y, activation))
    }

    fn linear_bce(&mut self, shape: (usize, usize)) -> Result<(), Failure> {
        let (layer, len) = layer(shape);
        let (params, x) = (self.random(len)?, self.random(BATCH * shape.0)?);
        let (target, mut dlogits) = (self.random(BATCH * shape.1)?, self.zeros(BATCH * shape.1)?);
        let name = format!("linear_bce {} -> {}", shape.0, shape.1);
        let bytes = 4 * (len + BATCH * (shape.0 + 2 * shape.1));
        self.row(name, flop(2, shape), bytes, |cuda| cuda.linear_bce(layer, &params, &x, &target, &mut dlogits))
    }

    fn linear_backward(&mut self, shape: (usize, usize), activation: Option<Activation>) -> Result<(), Failure> {
        let (layer, len) = layer(shape);
        let (params, x, dy) = (self.random(len)?, self.random(BATCH * shape.0)?, self.random(BATCH * shape.1)?);
        let (mut grads, mut dx) = (self.zeros(len)?, self.zeros(BATCH * shape.0)?);
        let through = activation.map_or("weights alone".to_owned(), |activation| format!("{activation:?}"));
        let name = format!("linear_backward {} -> {}, {through}", shape.0, shape.1);
        // The weight gradient reads x and dy; that of the input reads the weight as well.
        let (products, more) = if activation.is_some() { (4, len + BATCH * shape.0) } else { (2, 0) };
        let bytes = 4 * (len + BATCH * (shape.0 + shape.1) + more);
        self.row(name, flop(products, shape), bytes, |cuda| {
            let input = activation.map(|activation| InputGradient { dx: &mut dx, activation });
            cuda.linear_backward(layer, &params, &x, &dy, &mut grads, input);
        })
    }

    fn gather(&mut self) -> Result<(), Failure> {
        let pixels = (0..(BATCH * DIMS.input) as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let mut images = self.cuda.load_images(pixels, DIMS.input)?;
        let order: Vec<u32> = (0..BATCHES * BATCH).map(|i| (i * 37 % BATCH) as u32).collect();
        self.cuda.set_order(&mut images, &order, 0)?;
        let mut batch = self.zeros(BATCH * DIMS.input)?;
        let name = format!("gather {BATCH} x {}", DIMS.input);
        self.row(name, 0, BATCH * (5 * DIMS.input + 4), |cuda| cuda.gather(&mut images, &mut batch))
    }

    fn standard_normal(&mut self) -> Result<(), Failure> {
        let mut out = self.zeros(BATCH * DIMS.latent)?;
        let name = format!("standard_normal {BATCH} x {}", DIMS.latent);
        self.row(name, 0, 4 * BATCH * DIMS.latent, |cuda| cuda.standard_normal(&mut out, DIMS.latent))
    }

    fn reparameterise(&mut self) -> Result<(), Failure> {
        let len = BATCH * DIMS.latent;
        let (posterior, mut eps, mut z) = (self.random(2 * len)?, self.zeros(len)?, self.zeros(len)?);
        let name = format!("reparameterise {BATCH} x {}", DIMS.latent);
        self.row(name, 0, 16 * len, |cuda| {
            cuda.reparameterise(DIMS.latent, &posterior, Noise::Drawn, &mut eps, &mut z);
        })
    }

    fn reparameterise_backward(&mut self) -> Result<(), Failure> {
        let len = BATCH * DIMS.latent;
        let (posterior, eps, dz) = (self.random(2 * len)?, self.random(len)?, self.random(len)?);
        let mut out = self.zeros(2 * len)?;
        let name = format!("reparameterise_backward {BATCH} x {}", DIMS.latent);
        self.row(name, 0, 24 * len, |cuda| cuda.reparameterise_backward(DIMS.latent, &posterior, &eps, &dz, &mut out))
    }

    fn adam(&mut self) -> Result<(), Failure> {
        let len = layout_of(Kind::Variational, DIMS).len();
        let (mut params, grads) = (self.random(len)?, self.random(len)?);
        let (mut first, mut second) = (self.zeros(len)?, self.zeros(len)?);
        let name = format!("adam over {len} and end of a step");
        self.row(name, 11 * len, 28 * len, |cuda| {
            cuda.adam(len, &mut params, &grads, &mut first, &mut second);
        })
    }

    fn zeros(&mut self, len: usize) -> Result<Buffer, Failure> {
        Ok(self.cuda.zeros(len)?)
    }

    /// Normals scaled to the size of activations.
    fn random(&mut self, len: usize) -> Result<Buffer, Failure> {
        let mut buffer = self.zeros(len)?;
        let draw = |cuda: &mut Cuda| cuda.standard_normal(&mut buffer, len);
        self.cuda.run(Step::once(Stream::Sampling, 1), draw)?;
        let values: Vec<f32> = self.cuda.read(&buffer, len)?.into_iter().map(|value| 0.1 * value).collect();
        self.cuda.write(&mut buffer, &values)?;
        Ok(buffer)
    }

    /// Measures `body`, one operation.
    fn row(
        &mut self,
        operation: String,
        flop: usize,
        bytes: usize,
        mut body: impl FnMut(&mut Cuda),
    ) -> Result<(), Failure> {
        let (mut row, flop, bytes) = (Row::new(operation, self.precision, flop, bytes), flop as f64, bytes as f64);
        if let Some(library) = &self.machine.software {
            // What is compiled and allocated at the first call does not count.
            self.cuda.run(STEP, &mut body)?;
            let mut kernel = None;
            let launches = counted(library, || {
                kernel = self.cuda.laps(STEP, &mut body, || Ok(()))?.first().map(|lap| lap.kernel);
                Ok(self.cuda.synchronize()?)
            })?;
            row.kernel = kernel.map(name).unwrap_or_default();
            row.counts = Some(Counts::of(launches.first()));
        } else {
            let (kernel, cold) = self.times(&mut body, Cache::Cold)?;
            let (_, hot) = self.times(&mut body, Cache::Hot)?;
            row.kernel = name(kernel);
            row.set_arithmetic(hot.giga_rate(flop), self.peaks.arithmetic(self.precision));
            row.set_memory(cold.giga_rate(bytes), self.peaks.memory());
            (row.cold, row.hot) = (Some(cold), Some(hot));
        }
        self.rows.push(row);
        Ok(())
    }

    /// The operation's own launch, which is the first of its step, and its times.
    fn times(&mut self, body: &mut impl FnMut(&mut Cuda), cache: Cache) -> Result<(Kernel, Spread), Failure> {
        let Self { cuda, probes, .. } = self;
        let mut laps = Vec::new();
        for _ in 0..WARM_UP + REPETITIONS {
            let lap: Option<Lap> = cuda.laps(STEP, &mut *body, || prepare(probes, cache))?.first().copied();
            laps.extend(lap);
        }
        let kernel = laps.first().ok_or("an operation launched nothing")?.kernel;
        Ok((kernel, Spread::of(laps.iter().skip(WARM_UP).map(|lap| lap.seconds).collect())?))
    }
}

fn prepare(probes: &mut Probes, cache: Cache) -> Result<(), DriverError> {
    match cache {
        Cache::Cold => probes.copy(),
        Cache::Hot => probes.delay(),
    }
}

impl Row {
    fn new(operation: String, precision: Precision, flop: usize, bytes: usize) -> Self {
        Self {
            operation,
            precision,
            kernel: String::new(),
            flop: Quantity::new(flop as f64, Unit::Flop),
            bytes: Quantity::new(bytes as f64, Unit::Byte),
            cold: None,
            hot: None,
            arithmetic_rate: None,
            arithmetic_part: None,
            memory_rate: None,
            memory_part: None,
            counts: None,
        }
    }

    fn set_arithmetic(&mut self, rate: f64, peak: Option<f64>) {
        self.arithmetic_rate = Some(Quantity::new(rate, Unit::GigaFlop));
        self.arithmetic_part = peak.map(|peak| Quantity::new(100.0 * rate / peak, Unit::Percent));
    }

    fn set_memory(&mut self, rate: f64, peak: Option<f64>) {
        self.memory_rate = Some(Quantity::new(rate, Unit::GigaByte));
        self.memory_part = peak.map(|peak| Quantity::new(100.0 * rate / peak, Unit::Percent));
    }
}

/// A kernel's file and name, and for a product its tile of C.
fn name(kernel: Kernel) -> String {
    let (file, entry) = (kernel.source().file, kernel.entry());
    match kernel {
        Kernel::Gemm(Variant { first, .. }) => format!("{file}: {entry}, {}x{}", first.tile.m, first.tile.n),
        _ => file.to_owned(),
    }
}

fn layer((inputs, outputs): (usize, usize)) -> (Linear, usize) {
    (Linear { inputs, outputs, weight: 0, bias: inputs * outputs }, (inputs + 1) * outputs)
}

/// Floating-point operations of `per_weight` for each weight and image.
fn flop(per_weight: usize, (inputs, outputs): (usize, usize)) -> usize {
    per_weight * BATCH * inputs * outputs
}
