//! The driver interface: the functions that a CUDA program finds in this library where it looks for `libcuda`.
//!
//! Nothing here is called from Rust: the functions are exported by the shared library. Handles are numbers that are
//! looked up and never followed, so that a wrong one is an error code. Work of a stream is done by a thread of its own,
//! in order; what waits for what is settled when the client makes the call.

mod abi;
mod capture;
mod code;
mod context;
mod control;
mod device;
mod entry;
mod event;
mod graph;
mod launch;
mod memory;
mod module;
mod operation;
mod plan;
mod pool;
mod queue;
mod state;
mod stream;
mod transfer;

pub use control::BUILD;

/// All functions of the interface.
fn entries() -> impl Iterator<Item = &'static abi::Entry> {
    let tables = [
        capture::ENTRIES,
        code::ENTRIES,
        context::ENTRIES,
        device::ENTRIES,
        entry::ENTRIES,
        event::ENTRIES,
        graph::ENTRIES,
        launch::ENTRIES,
        memory::ENTRIES,
        module::ENTRIES,
        pool::ENTRIES,
        stream::ENTRIES,
        transfer::ENTRIES,
    ];
    tables.into_iter().flatten()
}
