use crate::device::device;
use crate::problem::Problem;
use latent::backend::cuda::gemm::{Epilogue, Layout, Size};
use latent::lab::staircase::Step;

#[test]
fn each_step() {
    let Some(mut device) = device() else { return };
    for size in [Size { m: 256, n: 256, k: 256 }, Size { m: 100, n: 400, k: 784 }, Size { m: 1920, n: 1920, k: 64 }] {
        println!("{size:?}");
        let problem = Problem::of_reals(size, Layout::Nn, Epilogue::Plain);
        for step in Step::ALL {
            let (_, c) = device.multiply(step, &problem);
            let fma = (size.m * size.n * size.k) as f64 / 32.0;
            println!(
                "{:18} blocks {:5} gl/req {:6.2} gs/req {:6.2} bytes/FMA {:7.4} shreq/FMA {:6.3} shwf/req {:5.3} st wf/req {:5.3} stores/FMA {:.4} FMA {:5.1}% instr/FMA {:6.3}",
                step.name(),
                c.grid[0],
                c.global_loads.per_request(),
                c.global_stores.per_request(),
                c.bytes_moved() as f64 / fma / 32.0,
                c.shared_loads.requests as f64 / fma,
                c.shared_loads.per_request(),
                c.shared_stores.per_request(),
                c.classes.get("store").copied().unwrap_or(0) as f64 / fma / 32.0,
                100.0 * c.fma_share(),
                c.warp_instructions as f64 / fma
            );
        }
    }
}
