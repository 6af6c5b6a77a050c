//! What a stream or a graph is asked to do.

use super::code::{Code, Outcome};
use super::context::Context;
use super::event::{Event, Mark};
use super::graph::Graph;
use super::module::Function;
use super::plan::Run;
use super::state::{Driver, lock};
use super::transfer::{Copy3, Fill};
use crate::check::Order;
use crate::exec;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// A function of the client, with what it is to be told.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostFunction {
    /// Its address.
    pub function: u64,
    /// Its argument.
    pub data: u64,
}

impl HostFunction {
    /// Calls it as `void (*)(void *)`.
    pub fn call(self) {
        // SAFETY: the client gave this address as that of such a function, and it was checked not to be null.
        let function: unsafe extern "C" fn(u64) = unsafe { std::mem::transmute(self.function as usize) };
        // SAFETY: the client gave the argument for this function.
        unsafe { function(self.data) };
    }

    /// Calls it as the callback of a stream.
    pub fn call_back(self, stream: u64, status: Code) {
        // SAFETY: the client gave this address as that of such a function, and it was checked not to be null.
        let function: unsafe extern "C" fn(u64, Code, u64) = unsafe { std::mem::transmute(self.function as usize) };
        // SAFETY: the client gave the argument for this function.
        unsafe { function(stream, status, self.data) };
    }
}

/// The launch of a kernel.
#[derive(Clone)]
pub struct KernelCall {
    /// The kernel.
    pub function: Arc<Function>,
    /// Blocks of the grid.
    pub grid: [u32; 3],
    /// Threads of a block.
    pub block: [u32; 3],
    /// Bytes of dynamic shared memory.
    pub shared_bytes: u32,
    /// Whether all blocks are alive together.
    pub cooperative: bool,
    /// The parameter block, as it was when the call was made.
    pub parameters: Vec<u8>,
}

/// One thing to do.
#[derive(Clone)]
pub enum Operation {
    /// Runs a kernel.
    Kernel(KernelCall),
    /// Copies.
    Copy(Copy3),
    /// Fills.
    Fill(Fill),
    /// Calls a function of the client.
    Host(HostFunction),
    /// Does nothing.
    Empty,
    /// Records an event, from within a graph.
    Record(Arc<Event>),
    /// Waits for an event, from within a graph.
    Wait(Arc<Event>),
    /// A launch of a graph.
    Graph(Arc<Run>),
    /// A graph within a graph.
    Child(Arc<Graph>),
    /// An allocation in the stream's order. The memory is there from the call on, so nothing is left to do.
    Allocate,
    /// Gives device memory back.
    Free(u64),
}

impl Operation {
    /// The number that the interface gives this kind of node.
    pub fn node_type(&self) -> u32 {
        match self {
            Operation::Kernel(_) => 0,
            Operation::Copy(_) => 1,
            Operation::Fill(_) => 2,
            Operation::Host(_) => 3,
            Operation::Graph(_) | Operation::Child(_) => 4,
            Operation::Empty => 5,
            Operation::Wait(_) => 6,
            Operation::Record(_) => 7,
            Operation::Allocate => 10,
            Operation::Free(_) => 11,
        }
    }

    /// How many operations of its stream it stands for.
    pub fn steps(&self) -> u64 {
        match self {
            Operation::Graph(run) => run.steps(),
            _ => 1,
        }
    }

    /// Does it.
    pub fn run(&self, driver: &'static Driver, context: &Arc<Context>, order: &Order) -> Outcome {
        match self {
            Operation::Kernel(call) => call.run(driver, order),
            Operation::Copy(copy) => copy.run(driver, order),
            Operation::Fill(fill) => fill.run(driver, order),
            Operation::Host(function) => {
                function.call();
                Ok(())
            }
            Operation::Graph(run) => run.run(driver, context, order),
            Operation::Record(event) => record(event, driver, context),
            Operation::Wait(event) => wait(event),
            Operation::Empty | Operation::Allocate | Operation::Child(_) => Ok(()),
            Operation::Free(address) => {
                // A second free is for the checks to report; the stream goes on.
                let _ = super::memory::free_now(driver, context, *address);
                Ok(())
            }
        }
    }
}

impl KernelCall {
    fn run(&self, driver: &Driver, order: &Order) -> Outcome {
        let launch = exec::Launch {
            kernel: self.function.kernel,
            grid: self.grid,
            block: self.block,
            shared_bytes: self.shared_bytes,
            cooperative: self.cooperative,
            parameters: self.parameters.clone(),
            order: order.clone(),
        };
        exec::run(&driver.machine, &self.function.module.program, &launch).map_err(Code::from)
    }
}

/// A record within a graph only marks the moment: all of the graph is one piece of its stream's work.
fn record(event: &Event, driver: &Driver, context: &Context) -> Outcome {
    let time = Arc::new(OnceLock::from(Instant::now()));
    let legacy = lock(&context.streams).legacy.clone();
    let (after, ticket) = (lock(&driver.known).clone(), super::queue::Ticket::done());
    *lock(&event.mark) = Mark::Recorded { ticket, after, stream: legacy.number, sequence: 0, time };
    Ok(())
}

fn wait(event: &Event) -> Outcome {
    if let Mark::Recorded { ticket, .. } = lock(&event.mark).clone() {
        ticket.wait();
    }
    Ok(())
}
