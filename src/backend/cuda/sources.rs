//! The text of every file in `kernels/`, embedded into the program.

/// A table of the named files of `kernels/`: their names and their texts.
macro_rules! embedded {
    ($($file:literal),* $(,)?) => {
        &[$(($file, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/kernels/", $file)))),*]
    };
}

/// Every file of `kernels/`: its path there, by which others include it, and its text.
pub const FILES: &[(&str, &str)] = embedded![
    "adam.cu",
    "add_bias.cu",
    "bce/1_one_thread.cu",
    "bce/2_shared_memory.cu",
    "bce/3_shuffle.cu",
    "bce/4_vectorised.cu",
    "bce/gradient.cu",
    "block_sum.cuh",
    "ceiling/copy.cu",
    "ceiling/fma.cu",
    "control.cuh",
    "finish.cu",
    "finish.cuh",
    "gather.cu",
    "gemm/10_bf16.cu",
    "gemm/1_naive.cu",
    "gemm/2_coalesced.cu",
    "gemm/3_shared_tile.cu",
    "gemm/4_tile1d.cu",
    "gemm/5_tile2d.cu",
    "gemm/6_vectorised.cu",
    "gemm/7_async_copy.cu",
    "gemm/8_split_k.cu",
    "gemm/9_tf32.cu",
    "gemm/async_copy.cuh",
    "gemm/epilogue.cuh",
    "gemm/form.cuh",
    "gemm/fragment.cuh",
    "gemm/launch.cuh",
    "gemm/mma.cuh",
    "gemm/pipeline.cuh",
    "gemm/product.cuh",
    "gemm/source.cuh",
    "gemm/split_k.cuh",
    "importance_backward.cu",
    "importance_weights.cu",
    "kl.cu",
    "leaky_relu.cu",
    "math.cuh",
    "noise.cuh",
    "quad.cuh",
    "reparameterise.cu",
    "reparameterise_backward.cu",
    "sigmoid.cu",
    "standard_normal.cu",
    "sum.cu"
];

/// The text of `file`.
pub fn text(file: &str) -> Option<&'static str> {
    FILES.iter().find(|(name, _)| *name == file).map(|(_, text)| *text)
}

/// What the kernels may include.
pub fn headers() -> Vec<(&'static str, &'static str)> {
    FILES.iter().copied().filter(|(name, _)| name.ends_with(".cuh")).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    /// The names of the kernels in `folder` and beneath it, relative to `root`.
    fn names(folder: &Path, root: &Path) -> Vec<String> {
        let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let is_kernel = |path: &Path| path.extension().is_some_and(|extension| extension == "cu" || extension == "cuh");
        let of = |path: std::path::PathBuf| match path.is_dir() {
            true => names(&path, root),
            false if is_kernel(&path) => vec![path.strip_prefix(root).unwrap().to_str().unwrap().to_owned()],
            false => Vec::new(),
        };
        paths.flat_map(of).collect()
    }

    #[test]
    fn every_kernel_is_embedded_in_the_order_of_names() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels");
        let mut found = names(&root, &root);
        found.sort();
        assert_eq!(FILES.iter().map(|(name, _)| *name).collect::<Vec<_>>(), found);
    }
}
