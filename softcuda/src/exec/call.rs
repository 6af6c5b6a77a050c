//! Calls of device functions, and of the few functions that the driver itself provides.

use super::Fault;
use super::block::fill_constants;
use super::frame::LANES;
use super::warp::{Warp, lanes};
use super::worker::{Spot, Worker, read_register};
use crate::check::Check;
use crate::memory::Kind;
use crate::program::Program;
use crate::program::instruction::{Action, Call, CallTarget};
use crate::program::symbols::CODE_WINDOW;

/// Calls in a call, at most.
const MAX_DEPTH: u32 = 1024;
/// Local memory of a thread, at most: what devices have.
const MAX_LOCAL: usize = 512 << 10;

impl Worker<'_> {
    /// Enters the functions that the lanes call: frames and their lanes; none if the driver did the work itself.
    pub fn enter(&mut self, spot: &mut Spot<'_>, call: &Call, mask: u32) -> Result<Option<Vec<(usize, u32)>>, Fault> {
        let mut entered = Vec::new();
        match call.target {
            CallTarget::Function(function) => entered.push(self.enter_one(spot, call, function, mask)?),
            CallTarget::Indirect(register) => {
                let addresses = read_register(spot.registers(), register);
                let mut left = mask;
                while left != 0 {
                    let address = addresses[left.trailing_zeros() as usize];
                    let same =
                        lanes(left).filter(|lane| addresses[*lane] == address).fold(0, |mask, lane| mask | 1 << lane);
                    let function = self.function_at(address, call).ok_or(Fault::InvalidPc)?;
                    entered.push(self.enter_one(spot, call, function, same)?);
                    left &= !same;
                }
            }
            CallTarget::Printf => {
                self.printf(spot, call, mask)?;
                return Ok(None);
            }
            CallTarget::AssertFail => return Err(self.assert_failed(spot, call, mask)),
            CallTarget::Malloc | CallTarget::Free => {
                self.heap(spot, call, mask);
                return Ok(None);
            }
        }
        Ok(Some(entered))
    }

    /// The function at an address, if it takes what the call gives.
    fn function_at(&self, address: u64, call: &Call) -> Option<usize> {
        let index = usize::try_from(address.checked_sub(CODE_WINDOW)? / 16).ok()?;
        let code = self.context.program.functions.get(index)?;
        let fits = code.parameters.len() == call.arguments.len()
            && code.results.len() == call.results.len()
            && !code.declared_only;
        fits.then_some(index)
    }

    fn enter_one(
        &mut self,
        spot: &mut Spot<'_>,
        call: &Call,
        function: usize,
        mask: u32,
    ) -> Result<(usize, u32), Fault> {
        let program = self.context.program;
        let depth = spot.registers().depth + 1;
        let caller_layout = &program.functions[spot.registers().function].layout;
        let base = spot.registers().local_base + caller_layout.local_bytes;
        let top = base as usize + program.functions[function].layout.local_bytes as usize;
        if depth > MAX_DEPTH || top > MAX_LOCAL {
            let message = format!(
                "call of {} overflows the stack: {depth} calls deep, {top} bytes of local memory",
                program.functions[function].name
            );
            if self.context.checks.memory {
                self.finding(Check::OutOfBounds, spot, mask.trailing_zeros(), 0, message);
            }
            return Err(Fault::LaunchFailed);
        }
        grow_local(spot.warp, top, self.context.checks.init);
        if self.context.checks.init {
            let stride = spot.warp.local_stride;
            lanes(mask).for_each(|lane| spot.warp.local_written[lane * stride..][base as usize..top].fill(false));
        }
        let (callee, fresh) = spot.warp.take_frame(program, function, base);
        let [from, to] = two(&mut spot.warp.frames, spot.frame, callee);
        (to.local_base, to.depth, to.caller, to.live) = (base, depth, Some((spot.frame, spot.at.pc + 1)), mask);
        copy_parameters(
            from.parameters.as_slice(),
            from.parameter_stride,
            &call.arguments,
            &mut to.parameters,
            to.parameter_stride,
            &program.functions[function].parameters,
            mask,
        );
        fill_constants(self.context, &mut spot.warp.frames[callee], spot.warp.index, spot.block.index, fresh);
        Ok((callee, mask))
    }

    fn assert_failed(&self, spot: &Spot<'_>, call: &Call, mask: u32) -> Fault {
        let lane = mask.trailing_zeros();
        let argument =
            |index: usize| call.arguments.get(index).map_or(0, |place| parameter(spot, *place, lane as usize));
        let text = |index: usize| self.read_text(argument(index)).unwrap_or_else(|| "?".to_owned());
        let thread = self.context.thread_index(spot.warp.index, lane);
        let message = format!("assertion `{}` failed in {} at {}:{}", text(0), text(3), text(1), argument(2) as u32);
        eprintln!("softcuda: block {:?}, thread {thread:?}: {message}", spot.block.index);
        if self.context.checks.any() {
            self.finding(Check::Assert, spot, lane, 0, message);
        }
        Fault::Assert
    }

    /// `malloc` and `free` of device code, each lane its own.
    fn heap(&self, spot: &mut Spot<'_>, call: &Call, mask: u32) {
        for lane in lanes(mask) {
            let argument = call.arguments.first().map_or(0, |place| parameter(spot, *place, lane));
            if let (CallTarget::Malloc, Some((offset, _))) = (call.target, call.results.first()) {
                let address = self.context.machine.allocate(argument, Kind::Device).unwrap_or(0);
                let frame = spot.registers_mut();
                let at = lane * frame.parameter_stride + offset;
                frame.parameters[at..at + 8].copy_from_slice(&address.to_le_bytes());
            } else if argument != 0 {
                // Freeing a stray pointer has no effect that device code could see.
                let _ = self.context.machine.free(argument);
            }
        }
    }
}

/// A parameter of a call, as a number.
pub fn parameter(spot: &Spot<'_>, (offset, bytes): (usize, usize), lane: usize) -> u64 {
    let frame = spot.registers();
    let at = lane * frame.parameter_stride + offset;
    let mut number = [0; 8];
    let bytes = bytes.min(8);
    number[..bytes].copy_from_slice(&frame.parameters[at..at + bytes]);
    u64::from_le_bytes(number)
}

/// Copies the results of a call back to its caller, whose call stands at `pc`.
pub fn return_results(program: &Program, warp: &mut Warp, frame: usize, pc: u32, mask: u32) {
    let Some((caller, _)) = warp.frames[frame].caller else { return };
    let Action::Call(call) = &program.functions[warp.frames[caller].function].instructions[pc as usize].action else {
        return;
    };
    let results = &program.functions[warp.frames[frame].function].results;
    let [from, to] = two(&mut warp.frames, frame, caller);
    copy_parameters(
        &from.parameters,
        from.parameter_stride,
        results,
        &mut to.parameters,
        to.parameter_stride,
        &call.results,
        mask,
    );
}

fn copy_parameters(
    from: &[u8],
    from_stride: usize,
    sources: &[(usize, usize)],
    to: &mut [u8],
    to_stride: usize,
    targets: &[(usize, usize)],
    mask: u32,
) {
    for ((source, from_bytes), (target, to_bytes)) in sources.iter().zip(targets) {
        let bytes = *from_bytes.min(to_bytes);
        for lane in lanes(mask) {
            let (a, b) = (lane * from_stride + source, lane * to_stride + target);
            to[b..b + bytes].copy_from_slice(&from[a..a + bytes]);
        }
    }
}

fn two<T>(items: &mut [T], a: usize, b: usize) -> [&mut T; 2] {
    items.get_disjoint_mut([a, b]).expect("a call's frame is not its caller's")
}

/// Makes room for `bytes` bytes of local memory in each lane.
fn grow_local(warp: &mut Warp, bytes: usize, checked: bool) {
    if bytes <= warp.local_stride {
        return;
    }
    let stride = bytes.next_power_of_two().min(MAX_LOCAL);
    let mut local = vec![0; stride * LANES];
    let mut written = vec![false; if checked { stride * LANES } else { 0 }];
    for lane in 0..LANES {
        let old = lane * warp.local_stride..(lane + 1) * warp.local_stride;
        let new = lane * stride;
        local[new..new + old.len()].copy_from_slice(&warp.local[old.clone()]);
        if checked {
            written[new..new + old.len()].copy_from_slice(&warp.local_written[old]);
        }
    }
    (warp.local, warp.local_written, warp.local_stride) = (local, written, stride);
}
