//! The device on which kernels are launched one by one.

use std::collections::HashMap;
use std::sync::Arc;

use cudarc::driver::sys::CUevent_flags;
use cudarc::driver::{CudaFunction, CudaSlice, CudaStream, DevicePtr, DriverError, LaunchConfig, PushKernelArg};

use super::Error;
use super::case::{Agreement, Case, Compared, Contents, Expected, Launch, Number};
use crate::backend::cuda::compile::{Compiler, Source};
use crate::backend::cuda::device::{self, DeviceInfo, Opened};
use crate::backend::cuda::{Argument, Error as CudaError};

/// A device, and the kernels that were loaded on it.
pub struct Bench {
    device: Opened,
    compiler: Compiler,
    functions: HashMap<(Source, &'static str), CudaFunction>,
}

/// A case whose buffers lie on the device.
pub struct Placed<'a> {
    case: &'a Case,
    buffers: Vec<CudaSlice<u8>>,
    arguments: Vec<Vec<Argument>>,
}

impl Bench {
    /// The first device.
    ///
    /// # Errors
    /// There is no usable device.
    pub fn open() -> Result<Self, Error> {
        let device = device::open().map_err(CudaError::from)?;
        let compiler = Compiler::new(device.info.compute_capability);
        Ok(Self::with(device, compiler))
    }

    /// A device, with kernels from `compiler`.
    pub fn with(device: Opened, compiler: Compiler) -> Self {
        Self { device, compiler, functions: HashMap::new() }
    }

    /// The device.
    pub fn info(&self) -> &DeviceInfo {
        &self.device.info
    }

    /// Where everything is enqueued.
    pub fn stream(&self) -> &Arc<CudaStream> {
        &self.device.stream
    }

    /// Brings a case's buffers to the device, and its kernels.
    ///
    /// # Errors
    /// A kernel does not compile, or the device failed or has too little memory.
    pub fn place<'a>(&mut self, case: &'a Case) -> Result<Placed<'a>, Error> {
        for launch in &case.launches {
            self.load(launch)?;
        }
        let buffers: Vec<_> = case.buffers.iter().map(|contents| self.upload(contents)).collect::<Result<_, _>>()?;
        let addresses: Vec<u64> = buffers.iter().map(|buffer| buffer.device_ptr(self.stream()).0).collect();
        let arguments = case.launches.iter().map(|launch| (launch.arguments)(&addresses)).collect();
        Ok(Placed { case, buffers, arguments })
    }

    fn load(&mut self, launch: &Launch) -> Result<(), Error> {
        let key = (launch.source.clone(), launch.entry);
        if self.functions.contains_key(&key) {
            return Ok(());
        }
        let image = self.compiler.image(&launch.source).map_err(CudaError::from)?;
        let module = device::load(&self.device, &image).map_err(CudaError::from)?;
        let function = module.load_function(launch.entry).map_err(CudaError::fault("looking for a kernel"))?;
        self.functions.insert(key, function);
        Ok(())
    }

    fn upload(&self, contents: &Contents) -> Result<CudaSlice<u8>, Error> {
        let stream = self.stream();
        let len = contents.len().max(1);
        let slice = match contents {
            Contents::Given(bytes) if !bytes.is_empty() => stream.clone_htod(bytes),
            // SAFETY: any byte is a u8, and what a kernel reads of it unwritten is for the checks of the software device to find.
            Contents::Unwritten(_) => unsafe { stream.alloc(len) },
            Contents::Given(_) | Contents::Zeros(_) => stream.alloc_zeros(len),
        };
        slice.map_err(|error| CudaError::allocation(stream, len, error).into())
    }

    /// Enqueues the case's launches.
    ///
    /// # Errors
    /// The device failed.
    pub fn enqueue(&self, placed: &Placed<'_>) -> Result<(), Error> {
        let enqueued = placed
            .case
            .launches
            .iter()
            .zip(&placed.arguments)
            .try_for_each(|(launch, arguments)| self.enqueue_launch(launch, arguments));
        Ok(enqueued.map_err(CudaError::fault("launching a kernel"))?)
    }

    fn enqueue_launch(&self, launch: &Launch, arguments: &[Argument]) -> Result<(), DriverError> {
        let function = &self.functions[&(launch.source.clone(), launch.entry)];
        let mut builder = self.stream().launch_builder(function);
        arguments.iter().for_each(|argument| {
            builder.arg(argument);
        });
        let config =
            LaunchConfig { grid_dim: (launch.grid, 1, 1), block_dim: (launch.block, 1, 1), shared_mem_bytes: 0 };
        // SAFETY: a case gives each kernel the arguments that it declares, with addresses of buffers that it made as large as the
        // kernel takes them to be; `Placed` keeps them.
        unsafe { builder.launch(config) }.map(drop)
    }

    /// Waits until everything enqueued has been done.
    ///
    /// # Errors
    /// Something enqueued failed.
    pub fn synchronize(&self) -> Result<(), Error> {
        Ok(self.stream().synchronize().map_err(CudaError::fault("waiting for it"))?)
    }

    /// Launches once and holds the results against what must come out.
    ///
    /// # Errors
    /// [`Error::Wrong`], or the device failed.
    pub fn verify(&self, placed: &Placed<'_>) -> Result<Agreement, Error> {
        self.enqueue(placed)?;
        self.synchronize()?;
        let compare = |expected: &Expected| {
            let bytes = self.stream().clone_dtoh(&placed.buffers[expected.buffer]);
            compare(placed.case.name, expected, &bytes.map_err(CudaError::fault("copying from the device"))?)
        };
        placed.case.expected.iter().try_fold(Agreement::default(), |sum, expected| Ok(sum.and(compare(expected)?)))
    }

    /// Seconds that one run of the launches takes by the device's clock, for each of `repetitions`. Ahead of each, `before` may
    /// enqueue work that is not timed.
    ///
    /// # Errors
    /// The device failed.
    pub fn time(
        &self,
        placed: &Placed<'_>,
        repetitions: usize,
        mut before: impl FnMut() -> Result<(), Error>,
    ) -> Result<Vec<f64>, Error> {
        let mark = || -> Result<_, DriverError> {
            let event = self.stream().context().new_event(Some(CUevent_flags::CU_EVENT_DEFAULT))?;
            event.record(self.stream())?;
            Ok(event)
        };
        let mark = || mark().map_err(CudaError::fault("noting the time"));
        let once = |_| -> Result<f64, Error> {
            before()?;
            let start = mark()?;
            self.enqueue(placed)?;
            let end = mark()?;
            Ok(device::seconds_between(&self.device.info, &start, &end)?)
        };
        (0..repetitions).map(once).collect()
    }
}

/// The numbers of `bytes`, as float64.
fn numbers(number: Number, bytes: &[u8]) -> Vec<f64> {
    fn each<const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> f64) -> Vec<f64> {
        bytes.as_chunks::<N>().0.iter().map(|chunk| read(*chunk)).collect()
    }
    match number {
        Number::F32 => each(bytes, |chunk| f64::from(f32::from_ne_bytes(chunk))),
        Number::F64 => each(bytes, f64::from_ne_bytes),
        Number::U64 => each(bytes, |chunk| u64::from_ne_bytes(chunk) as f64),
    }
}

/// Holds what a buffer holds against what it must.
fn compare(name: &'static str, expected: &Expected, bytes: &[u8]) -> Result<Agreement, Error> {
    let found = numbers(expected.number, &bytes[expected.offset..]);
    let found = match expected.compared {
        Compared::Each => found,
        Compared::Sum => vec![found.iter().sum()],
    };
    let mut agreement = Agreement::default();
    for (index, (value, allowed)) in expected.values.iter().zip(&expected.allowed).enumerate() {
        // A result that is too short is as wrong as one that is no number.
        let actual = found.get(index).copied().unwrap_or(f64::NAN);
        let off = (actual - value).abs();
        let is_near = off <= *allowed;
        if !is_near {
            let (what, expected, allowed) = (expected.what, *value, *allowed);
            return Err(Error::Wrong { name, what, index, actual, expected, allowed });
        }
        let share = if *allowed > 0.0 { off / allowed } else { 0.0 };
        agreement = agreement.and(Agreement { compared: 1, worst: off, worst_share: share });
    }
    Ok(agreement)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn expected(values: &[f64], allowed: f64, compared: Compared) -> Expected {
        let (values, allowed) = (values.to_vec(), vec![allowed; values.len()]);
        Expected { what: "C", buffer: 0, offset: 0, number: Number::F32, compared, values, allowed }
    }

    fn bytes(values: &[f32]) -> Vec<u8> {
        bytemuck::cast_slice(values).to_vec()
    }

    #[test]
    fn what_is_near_enough_agrees() {
        let agreement = compare("k", &expected(&[1.0, 2.0], 0.5, Compared::Each), &bytes(&[1.25, 2.0])).unwrap();
        assert_eq!(agreement, Agreement { compared: 2, worst: 0.25, worst_share: 0.5 });
        compare("k", &expected(&[3.0], 0.0, Compared::Sum), &bytes(&[1.0, 2.0])).unwrap();
    }

    #[test]
    fn what_is_off_no_number_or_missing_is_wrong() {
        for (found, index) in [(&[1.0, 2.25][..], 1), (&[f32::NAN, 2.0], 0), (&[1.0], 1)] {
            let error = compare("k", &expected(&[1.0, 2.0], 0.125, Compared::Each), &bytes(found)).unwrap_err();
            assert!(matches!(error, Error::Wrong { index: i, .. } if i == index), "{error}");
        }
    }
}
