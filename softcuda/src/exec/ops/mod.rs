//! Handlers of the instructions that turn registers into registers, each compiled for the vector extensions that
//! processors have.

pub mod bits;
pub mod convert;
pub mod float;
pub mod half;
pub mod integer;
pub mod predicate;

use crate::exec::frame::Frame;
use crate::program::instruction::{Compute, Operands};

/// One handler, compiled without and with AVX2 and FMA.
#[derive(Clone, Copy, Debug)]
pub struct Handler {
    /// For any processor.
    pub base: Compute,
    /// For x86-64-v3.
    pub v3: Compute,
}

impl Handler {
    /// The version for this processor.
    pub fn choose(self) -> Compute {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt")
        {
            return self.v3;
        }
        self.base
    }
}

/// Gives a closure the signature of a handler.
#[inline(always)]
pub(crate) fn typed<F: Fn(&mut Frame, &Operands, u32)>(body: F) -> F {
    body
}

/// Compiles a closure over (frame, operands, mask) for each vector extension, as a [`Handler`].
macro_rules! handler {
    ($body:expr) => {{
        use $crate::exec::frame::Frame as HandlerFrame;
        use $crate::program::instruction::Operands as HandlerOperands;
        fn base(frame: &mut HandlerFrame, operands: &HandlerOperands, mask: u32) {
            $crate::exec::ops::typed($body)(frame, operands, mask)
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
        fn v3(frame: &mut HandlerFrame, operands: &HandlerOperands, mask: u32) {
            $crate::exec::ops::typed($body)(frame, operands, mask)
        }
        #[cfg(not(target_arch = "x86_64"))]
        use base as v3;
        $crate::exec::ops::Handler { base, v3 }
    }};
}
pub(crate) use handler;
