//! Every kernel of the catalogue on softcuda with all of its checks, held against float64; and what is asked for in vain.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod catalogue;
#[path = "../emulated/mod.rs"]
mod emulated;
mod verified;
