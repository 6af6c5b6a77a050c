//! What known GPUs do at most.
//!
//! Rates are those of NVIDIA's data sheets and white papers, at the boost clock and without structured sparsity; of GeForce
//! products tensor cores' with accumulation in float32.

/// A GPU's ceilings.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Gpu {
    /// Its name, as the driver reports it.
    pub name: &'static str,
    /// Its compute capability.
    pub capability: (u32, u32),
    /// Its multiprocessors.
    pub multiprocessors: u32,
    /// TFLOP/s in float32.
    pub fp32: f64,
    /// TFLOP/s of tensor cores in TF32; None where they have none.
    pub tf32: Option<f64>,
    /// TFLOP/s of tensor cores in BF16; None where they have none.
    pub bf16: Option<f64>,
    /// GB/s between device memory and the chip.
    pub memory: f64,
}

/// A GPU with tensor cores for TF32 and BF16.
const fn gpu(
    name: &'static str,
    capability: (u32, u32),
    multiprocessors: u32,
    [fp32, tf32, bf16]: [f64; 3],
    memory: f64,
) -> Gpu {
    Gpu { name, capability, multiprocessors, fp32, tf32: Some(tf32), bf16: Some(bf16), memory }
}

/// A GPU whose tensor cores know neither.
const fn turing(name: &'static str, multiprocessors: u32, fp32: f64, memory: f64) -> Gpu {
    Gpu { name, capability: (7, 5), multiprocessors, fp32, tf32: None, bf16: None, memory }
}

/// The GPUs that are known, in the order of their compute capabilities.
pub const GPUS: &[Gpu] = &[
    // NVIDIA T4 Tensor Core GPU, data sheet (2019); NVIDIA Turing GPU Architecture, appendix on the Tesla T4.
    turing("Tesla T4", 40, 8.1, 320.0),
    // NVIDIA Turing GPU Architecture (WP-09183-001), table 1: the reference board, 1545 MHz.
    turing("NVIDIA GeForce RTX 2080 Ti", 68, 13.4, 616.0),
    // NVIDIA A100 Tensor Core GPU, data sheet (2021), and NVIDIA A100 Tensor Core GPU Architecture, table 1.
    gpu("NVIDIA A100-SXM4-40GB", (8, 0), 108, [19.5, 156.0, 312.0], 1555.0),
    gpu("NVIDIA A100-SXM4-80GB", (8, 0), 108, [19.5, 156.0, 312.0], 2039.0),
    gpu("NVIDIA A100-PCIE-40GB", (8, 0), 108, [19.5, 156.0, 312.0], 1555.0),
    gpu("NVIDIA A100 80GB PCIe", (8, 0), 108, [19.5, 156.0, 312.0], 1935.0),
    // NVIDIA A10 Tensor Core GPU, data sheet (2021).
    gpu("NVIDIA A10", (8, 6), 72, [31.2, 62.5, 125.0], 600.0),
    // NVIDIA Ampere GA102 GPU Architecture, appendix A.
    gpu("NVIDIA GeForce RTX 3090", (8, 6), 82, [35.6, 35.6, 71.0], 936.0),
    // NVIDIA L4 Tensor Core GPU, data sheet (2023): TF32 and BF16 given with sparsity, 120 and 242.
    gpu("NVIDIA L4", (8, 9), 58, [30.3, 60.0, 121.0], 300.0),
    // NVIDIA L40S, data sheet (2023).
    gpu("NVIDIA L40S", (8, 9), 142, [91.6, 183.0, 362.05], 864.0),
    // NVIDIA Ada GPU Architecture v2.1, appendix A.
    gpu("NVIDIA GeForce RTX 4090", (8, 9), 128, [82.6, 82.6, 165.2], 1008.0),
    // NVIDIA H100 Tensor Core GPU, data sheet (2023): TF32 and BF16 given with sparsity, 756 and 1513 (PCIe), 989 and 1979 (SXM).
    gpu("NVIDIA H100 PCIe", (9, 0), 114, [51.0, 378.0, 756.5], 2000.0),
    gpu("NVIDIA H100 80GB HBM3", (9, 0), 132, [67.0, 494.5, 989.5], 3350.0),
    // NVIDIA H200 Tensor Core GPU, data sheet (2024): computes as the H100 SXM does.
    gpu("NVIDIA H200", (9, 0), 132, [67.0, 494.5, 989.5], 4800.0),
    // NVIDIA RTX Blackwell GPU Architecture, appendix A.
    gpu("NVIDIA GeForce RTX 5090", (12, 0), 170, [104.8, 104.8, 209.5], 1792.0),
];

/// The GPU that stands for others where none is at hand: the H100 SXM.
pub fn usual() -> &'static Gpu {
    find("NVIDIA H100 80GB HBM3").unwrap_or(&GPUS[0])
}

/// The GPU that `name` means: the driver's name, or the only one whose name holds its words, in any case.
pub fn find(name: &str) -> Option<&'static Gpu> {
    let simple = |name: &str| name.to_lowercase().replace(['-', '_'], " ");
    let wanted = simple(name);
    let words: Vec<&str> = wanted.split_whitespace().collect();
    let means = |gpu: &&Gpu| {
        let name = simple(gpu.name) + if gpu.name.contains("HBM3") { " sxm" } else { "" };
        !words.is_empty() && words.iter().all(|word| name.split_whitespace().any(|other| other == *word))
    };
    let exact = GPUS.iter().find(|gpu| simple(gpu.name) == wanted);
    exact.or_else(|| {
        let mut found = GPUS.iter().filter(means);
        found.next().filter(|_| found.next().is_none())
    })
}

/// Every name, in a line.
pub fn names() -> String {
    GPUS.iter().map(|gpu| format!("{:?}", gpu.name)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_is_found_by_the_drivers_name_and_by_words_that_only_it_has() {
        for gpu in GPUS {
            assert_eq!(find(gpu.name), Some(gpu));
        }
        let found = |name| find(name).map(|gpu| gpu.name);
        assert_eq!(found("h100 sxm"), Some("NVIDIA H100 80GB HBM3"));
        assert_eq!(found("rtx 4090"), Some("NVIDIA GeForce RTX 4090"));
        assert_eq!(found("t4"), Some("Tesla T4"));
        assert_eq!(found("L4"), Some("NVIDIA L4"));
        for unknown in ["", "A100", "H100", "RTX", "RTX 9999", "NVIDIA"] {
            assert_eq!(found(unknown), None, "{unknown:?} is no single GPU");
        }
    }

    /// Lanes of float32 of a multiprocessor.
    fn lanes(capability: (u32, u32)) -> f64 {
        match capability {
            (7, 5) | (8, 0) => 64.0,
            _ => 128.0,
        }
    }

    #[test]
    fn rates_are_those_of_a_clock_that_such_a_chip_runs_at() {
        for gpu in GPUS {
            let hertz = gpu.fp32 * 1e12 / (2.0 * lanes(gpu.capability) * f64::from(gpu.multiprocessors));
            assert!((1.3e9..2.6e9).contains(&hertz), "{}: {hertz} Hz", gpu.name);
        }
    }

    #[test]
    fn tensor_cores_double_from_tf32_to_bf16_and_are_no_slower_than_float32() {
        for gpu in GPUS {
            let (Some(tf32), Some(bf16)) = (gpu.tf32, gpu.bf16) else {
                assert!(gpu.capability < (8, 0), "{}", gpu.name);
                continue;
            };
            assert!((1.97..2.03).contains(&(bf16 / tf32)) && tf32 >= gpu.fp32, "{}", gpu.name);
        }
    }
}
