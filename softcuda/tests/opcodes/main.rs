//! Every family of instructions against a plain model, over edge cases and random operands: PTX text in, bits out.

#![allow(
    clippy::precedence,
    clippy::type_complexity,
    reason = "bit arithmetic and tables of functions read best as they are"
)]
#![allow(clippy::unwrap_used, reason = "a failure of the test's own helpers is a failure of the test")]

mod control;
#[path = "../device/mod.rs"]
mod device;
mod float;
mod flow;
mod harness;
mod integer;
mod matrix;
mod memory;
mod predicate;
mod warp;
