//! What came of a launch, for people and for programs.

use super::buffers::{Device, Placed};
use super::kernel::Shape;
use crate::exec::Fault;
use crate::program::Kernel;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::PathBuf;

/// A launch that was made.
pub struct Outcome<'a> {
    /// The kernel.
    pub kernel: &'a Kernel,
    /// How it was launched.
    pub shape: Shape,
    /// Why it ended before its end, if it did.
    pub fault: Option<Fault>,
    /// The buffers among its arguments.
    pub buffers: &'a [Option<Placed>],
    /// Buffers that are saved, and where.
    pub outputs: &'a [(usize, PathBuf)],
}

impl Outcome<'_> {
    /// The launch, the findings, some values and the counts.
    pub fn text(&self, device: &mut Device) -> String {
        let Shape { grid: [x, y, z], block: [bx, by, bz], shared_bytes, cooperative } = self.shape;
        let kind = if cooperative { ", cooperative" } else { "" };
        let name = &self.kernel.name;
        let mut text = format!(
            "launched {name}: grid ({x}, {y}, {z}), block ({bx}, {by}, {bz}), {shared_bytes} bytes of dynamic shared memory{kind}\n\n"
        );
        self.write_findings(device, &mut text);
        self.write_values(device, &mut text);
        let summary = device.machine.counts.summary();
        text + "\n" + &summary.to_string()
    }

    fn write_findings(&self, device: &Device, text: &mut String) {
        let reports = device.machine.reporter.snapshot();
        for report in &reports {
            let _ = write!(text, "{report}\n\n");
        }
        match reports.len() {
            0 if !device.machine.settings.checks.any() => *text += "nothing was checked\n",
            0 => *text += "no findings\n",
            1 => *text += "1 finding\n",
            count => {
                let _ = writeln!(text, "{count} findings");
            }
        }
        if let Some(fault) = &self.fault {
            let _ = writeln!(text, "the launch failed: {fault}");
        }
        if !reports.is_empty() || self.fault.is_some() {
            self.write_allocations(device, text);
        }
    }

    /// Reports speak of allocations by number.
    fn write_allocations(&self, device: &Device, text: &mut String) {
        for (index, buffer) in self.buffers() {
            if let Some(allocation) = device.machine.memory.find(buffer.address) {
                let _ = writeln!(text, "argument {index}, {}, is allocation {}", buffer.describe(), allocation.number);
            }
        }
    }

    fn buffers(&self) -> impl Iterator<Item = (usize, &Placed)> {
        self.buffers.iter().enumerate().filter_map(|(index, buffer)| Some((index, buffer.as_ref()?)))
    }

    /// The first values of the buffers that are saved, or of the last one.
    fn write_values(&self, device: &mut Device, text: &mut String) {
        if self.fault.is_some() {
            if !self.outputs.is_empty() {
                *text += "nothing was saved\n";
            }
            return;
        }
        let last = self.buffers().last().map(|(index, _)| index);
        let wanted = |index: usize| match self.outputs {
            [] => Some(index) == last,
            outputs => outputs.iter().any(|(output, _)| *output == index),
        };
        for (index, buffer) in self.buffers().filter(|(index, _)| wanted(*index)) {
            let values = buffer.preview(device).unwrap_or_else(|error| error.to_string());
            let _ = writeln!(text, "argument {index}, {}: {values}", buffer.describe());
        }
    }

    /// The same as one JSON document.
    pub fn json(&self, device: &Device) -> String {
        let outputs: Vec<Value> = self
            .outputs
            .iter()
            .filter_map(|(index, path)| {
                let buffer = self.buffers.get(*index)?.as_ref()?;
                Some(json!({ "argument": index, "type": buffer.element.name(), "shape": buffer.shape, "file": path }))
            })
            .collect();
        let document = json!({
            "kernel": &*self.kernel.name,
            "grid": self.shape.grid,
            "block": self.shape.block,
            "shared_bytes": self.shape.shared_bytes,
            "cooperative": self.shape.cooperative,
            "fault": self.fault.map(|fault| fault.to_string()),
            "reports": device.machine.reporter.snapshot(),
            "counts": device.machine.counts.summary(),
            "outputs": if self.fault.is_none() { outputs } else { Vec::new() },
        });
        format!("{document:#}\n")
    }
}
