//! The command `softcuda`: runs programs, or a single kernel, under the software driver.

fn main() {}
