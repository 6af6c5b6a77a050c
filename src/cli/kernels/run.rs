//! `kernels run`: one kernel, verified, then measured or counted.

use clap::Args;
use serde_json::{Value, json};
use softcuda::counts::LaunchCounts;

use super::counted;
use super::machine::{Machine, Where};
use super::text::{duration, quantity};
use crate::backend::cuda::DeviceInfo;
use crate::backend::cuda::device::Version;
use crate::cli::{Error, display};
use crate::lab::case::{Agreement, Case};
use crate::lab::catalogue::{self, Entry, Size};
use crate::lab::measure::{self, Measured, Spread};

/// Options of `kernels run`.
#[derive(Args, Clone, Debug)]
pub struct Run {
    /// The kernel, as `latent kernels list` names it
    name: String,
    /// Rows [default: those of a training step, as `latent kernels show` tells them]
    #[arg(long)]
    m: Option<usize>,
    /// Columns [default: as for --m]
    #[arg(long)]
    n: Option<usize>,
    /// Terms of each sum [default: as for --m]
    #[arg(long)]
    k: Option<usize>,
    #[command(flatten)]
    place: Where,
    /// One line of JSON
    #[arg(long)]
    json: bool,
}

impl Run {
    /// Runs the kernel.
    ///
    /// # Errors
    /// The input is at fault, or the kernel or its device.
    pub fn run(&self) -> Result<(), Error> {
        let entry = catalogue::named(&self.name)?;
        let size = entry.size([self.m, self.n, self.k])?;
        let mut machine = Machine::open(self.place)?;
        let case = entry.case(machine.bench.info().compute_capability, size)?;
        let ((placed, agreement), mut counts) = machine.counted(|bench| {
            let placed = bench.place(&case)?;
            let agreement = bench.verify(&placed)?;
            Ok((placed, agreement))
        })?;
        machine.take_occupancy(&case, &mut counts);
        let is_hardware = !machine.is_software();
        let measured = is_hardware.then(|| measure::measure(&machine.bench, &placed, case.work)).transpose()?;
        let done = Done { entry, size, case: &case, info: machine.bench.info(), agreement, measured, counts: &counts };
        if self.json {
            display::line(&done.as_json().to_string());
        } else {
            done.lines().iter().for_each(|line| display::line(line));
        }
        Ok(())
    }
}

/// A run that succeeded: measured on a GPU, counted on softcuda.
struct Done<'a> {
    entry: &'static Entry,
    size: Size,
    case: &'a Case,
    info: &'a DeviceInfo,
    agreement: Agreement,
    measured: Option<Measured>,
    counts: &'a [LaunchCounts],
}

impl Done<'_> {
    fn capability(&self) -> Version {
        let (major, minor) = self.info.compute_capability;
        Version(major, minor)
    }

    fn as_json(&self) -> Value {
        let Size { m, n, k } = self.size;
        let mut value = json!({
            "name": self.entry.name,
            "size": {"m": m, "n": n, "k": k},
            "device": {
                "name": self.info.name,
                "compute_capability": self.capability().to_string(),
                "is_softcuda": self.measured.is_none(),
            },
            "work": self.case.work,
            "agreement": self.agreement,
        });
        match self.measured {
            Some(measured) => value["measured"] = json!(measured),
            None => value["counts"] = json!(self.counts),
        }
        value
    }

    fn lines(&self) -> Vec<String> {
        let (name, size, device) = (self.entry.name, self.entry.spelt(self.size), &self.info.name);
        let heading = format!("{name} at {size} on {device}");
        let figures = self.measured.map_or_else(|| counted::lines(self.counts, self.case), timed);
        [heading, verdict(self.agreement)].into_iter().chain(figures).collect()
    }
}

/// How near the results are to those in float64.
fn verdict(Agreement { compared, worst, worst_share }: Agreement) -> String {
    if worst == 0.0 {
        return format!("exact: all {compared} numbers are as expected, bit for bit");
    }
    let share = 100.0 * worst_share;
    format!(
        "agrees with float64: of {compared} numbers the worst is off by {worst:.1e}, {share:.1} % of what rounding explains"
    )
}

fn timed(measured: Measured) -> Vec<String> {
    let Measured { hot, cold, gflop_per_second, gb_per_second } = measured;
    let spread = |Spread { median, min, max }: Spread| {
        format!("{:>10}  ({} to {})", duration(median), duration(min), duration(max))
    };
    vec![
        String::new(),
        format!("with warm caches  {}   {}/s", spread(hot), quantity(gflop_per_second * 1e9, "FLOP")),
        format!("with cold caches  {}   {}/s", spread(cold), quantity(gb_per_second * 1e9, "B")),
    ]
}
