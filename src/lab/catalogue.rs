//! The kernels by name.

use super::case::Case;
use super::header::Header;
use super::products::MOST_TERMS;
use super::staircase::Step;
use super::{Error, cases, ceilings, products};
pub use crate::backend::cuda::gemm::Size;
use crate::backend::cuda::sources;

/// An extent of a problem, as the command line spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Axis {
    /// `--m`.
    M,
    /// `--n`.
    N,
    /// `--k`.
    K,
}

impl Axis {
    /// Its name: `m`, `n` or `k`.
    pub fn name(self) -> &'static str {
        match self {
            Self::M => "m",
            Self::N => "n",
            Self::K => "k",
        }
    }

    /// The extent of a size along it.
    pub fn of(self, size: Size) -> usize {
        match self {
            Self::M => size.m,
            Self::N => size.n,
            Self::K => size.k,
        }
    }

    fn of_mut(self, size: &mut Size) -> &mut usize {
        match self {
            Self::M => &mut size.m,
            Self::N => &mut size.n,
            Self::K => &mut size.k,
        }
    }
}

/// A kernel, or a few of them in sequence, with what is said of it.
#[derive(Debug)]
pub struct Entry {
    /// Its name: a file of `kernels/` without its ending, or what the sequence is called.
    pub name: &'static str,
    /// The files of the kernels that it launches, its own first.
    pub files: &'static [&'static str],
    /// The oldest compute capability that it runs on.
    pub needs: (u32, u32),
    /// The extents that it has.
    pub axes: &'static [Axis],
    /// What each of them counts.
    pub counted: &'static [&'static str],
    /// Its extents in a step of training one of the models on batches of 100; 1 where it has no such axis.
    pub usual: Size,
    /// Floats that it takes for each element that its axes count.
    each: usize,
    /// A header of its own, where its first file's is not about it.
    header: Option<&'static str>,
    make: fn(&'static str, Size) -> Case,
}

/// Elements that a matrix may have: 256 MiB of f32, and a few times that in f64 to hold results against.
const MOST_ELEMENTS: usize = 1 << 26;

impl Entry {
    /// The kernel on a problem of this size, for a device of this compute capability.
    ///
    /// # Errors
    /// The device is too old, or an extent is none that the kernel can be run at.
    pub fn case(&'static self, capability: (u32, u32), size: Size) -> Result<Case, Error> {
        if capability < self.needs {
            return Err(Error::TooOld { name: self.name, needs: self.needs, has: capability });
        }
        self.check(size)?;
        Ok((self.make)(self.name, size))
    }

    /// Its usual size with these extents along `--m`, `--n` and `--k` in place of its own.
    ///
    /// # Errors
    /// One is along an axis that it does not have.
    pub fn size(&self, extents: [Option<usize>; 3]) -> Result<Size, Error> {
        let mut size = self.usual;
        for (axis, extent) in [Axis::M, Axis::N, Axis::K].into_iter().zip(extents) {
            let Some(value) = extent else { continue };
            if !self.axes.contains(&axis) {
                return Err(Error::Size { axis: axis.name(), value, problem: self.no_such(axis) });
            }
            *axis.of_mut(&mut size) = value;
        }
        Ok(size)
    }

    /// A size as the command line spells it: `--m 100 --n 400`.
    pub fn spelt(&self, size: Size) -> String {
        self.axes.iter().map(|axis| format!("--{} {}", axis.name(), axis.of(size))).collect::<Vec<_>>().join(" ")
    }

    /// Its header.
    pub fn header(&self) -> Header {
        let text = self.header.or_else(|| sources::text(self.files[0]));
        text.and_then(|text| Header::parse(text).ok())
            .expect("every kernel begins with a header, as a test of the catalogue holds")
    }

    /// Whether the kernel can be run at `size`, and the memory for it be had. Nothing is allocated for a size that cannot.
    fn check(&self, size: Size) -> Result<(), Error> {
        for axis in [Axis::M, Axis::N, Axis::K] {
            let value = axis.of(size);
            let fault = |problem: String| Err(Error::Size { axis: axis.name(), value, problem });
            match value {
                0 => return fault("leaves nothing to compute; choose 1 or more".to_owned()),
                1 => {}
                _ if !self.axes.contains(&axis) => return fault(self.no_such(axis)),
                _ if axis == Axis::K && value > MOST_TERMS => {
                    return fault(format!(
                        "is too long a sum to hold an f32 result against; choose at most {MOST_TERMS}"
                    ));
                }
                _ => {}
            }
        }
        for [first, second] in [[Axis::M, Axis::N], [Axis::M, Axis::K], [Axis::K, Axis::N]] {
            let (value, other) = (first.of(size), second.of(size));
            let most = MOST_ELEMENTS / self.each;
            if value.checked_mul(other).is_none_or(|elements| elements > most) {
                return Err(too_large(
                    most,
                    if value > 1 { (first, value, second, other) } else { (second, other, first, value) },
                ));
            }
        }
        Ok(())
    }

    /// Why there is no such extent.
    fn no_such(&self, axis: Axis) -> String {
        let counted = self.axes.iter().zip(self.counted);
        let has: Vec<String> = counted.map(|(axis, counted)| format!("--{} ({counted})", axis.name())).collect();
        format!("makes no sense: {} has no --{}; it has {}", self.name, axis.name(), has.join(" and "))
    }
}

fn too_large(elements: usize, (axis, value, other, extent): (Axis, usize, Axis, usize)) -> Error {
    let most = elements / extent.min(elements);
    let times = if extent == 1 { String::new() } else { format!(" times --{} {extent}", other.name()) };
    let problem = format!("{times} is more than the {elements} elements that are run here; choose at most {most}");
    Error::Size { axis: axis.name(), value, problem: problem.trim_start().to_owned() }
}

/// The kernel of this name.
pub fn find(name: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.name == name)
}

/// The kernel of this name.
///
/// # Errors
/// There is none; the error names a few that are like it.
pub fn named(name: &str) -> Result<&'static Entry, Error> {
    find(name).ok_or_else(|| Error::Unknown { name: name.to_owned(), near: near(name) })
}

/// Names that are told where there is none of that name.
const MOST_NEAR: usize = 5;

/// Names that have `name` in them, or else differ from it in a few letters, as a question.
fn near(name: &str) -> String {
    let asked = name.to_lowercase().replace(".cu", "");
    let names = || ENTRIES.iter().map(|entry| entry.name);
    let has_it = |candidate: &&str| !asked.is_empty() && candidate.contains(&asked);
    let mut found: Vec<&str> = names().filter(has_it).collect();
    if found.is_empty() {
        let distance = |name: &&str| {
            let last = name.rsplit('/').next().unwrap_or(name);
            let word = last.trim_start_matches(|c: char| c.is_ascii_digit() || c == '_');
            distance(&asked, name).min(distance(&asked, word))
        };
        let least = names().map(|name| distance(&name)).min().unwrap_or_default();
        let is_near = |candidate: &&str| distance(candidate) == least && 2 * least <= asked.chars().count();
        found = names().filter(is_near).collect();
    }
    found.truncate(MOST_NEAR);
    if found.is_empty() { String::new() } else { format!("; did you mean {}?", found.join(", ")) }
}

/// Letters to change, add or take away to make one word of the other (Levenshtein 1965).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.chars().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[row.len() - 1]
}

/// Kernels that compute the same, each with one idea more than the one before.
#[derive(Clone, Copy, Debug)]
pub struct Staircase {
    /// Its name.
    pub name: &'static str,
    /// What its steps compute.
    pub what: &'static str,
    /// The names of its steps, from the bottom up.
    pub steps: &'static [&'static str],
}

/// All staircases.
pub static STAIRCASES: &[Staircase] = &[
    Staircase {
        name: "gemm",
        what: "a product of matrices, C = A B",
        steps: &[
            "gemm/1_naive",
            "gemm/2_coalesced",
            "gemm/3_shared_tile",
            "gemm/4_tile1d",
            "gemm/5_tile2d",
            "gemm/6_vectorised",
            "gemm/7_async_copy",
            "gemm/8_split_k",
            "gemm/9_tf32",
            "gemm/10_bf16",
        ],
    },
    Staircase {
        name: "bce",
        what: "a sum over many elements, the binary cross-entropy",
        steps: &["bce/1_one_thread", "bce/2_shared_memory", "bce/3_shuffle", "bce/4_vectorised"],
    },
    Staircase {
        name: "epilogue",
        what: "a layer, y = LeakyReLU(A B + bias)",
        steps: &["epilogue/1_separate", "epilogue/2_fused"],
    },
];

/// The staircase of this name.
pub fn staircase(name: &str) -> Option<&'static Staircase> {
    STAIRCASES.iter().find(|staircase| staircase.name == name)
}

/// Any device that kernels run on.
const TURING: (u32, u32) = (7, 5);
const AMPERE: (u32, u32) = (8, 0);

/// The first layer of both models on a batch.
const LAYER: Size = Size { m: 100, n: 400, k: 784 };

const fn matrix(m: usize, n: usize) -> Size {
    Size { m, n, k: 1 }
}

/// A step of the staircase of products.
const fn product(
    name: &'static str,
    files: &'static [&'static str],
    needs: (u32, u32),
    make: fn(&'static str, Size) -> Case,
) -> Entry {
    let (axes, counted): (&[Axis], &[&str]) =
        (&[Axis::M, Axis::N, Axis::K], &["rows of C", "columns of C", "terms of each sum"]);
    Entry { name, files, needs, axes, counted, usual: LAYER, each: 1, header: None, make }
}

/// A kernel on a matrix.
const fn on_matrix(
    name: &'static str,
    files: &'static [&'static str],
    counted: &'static [&'static str],
    usual: Size,
    make: fn(&'static str, Size) -> Case,
) -> Entry {
    Entry { name, files, needs: TURING, axes: &[Axis::M, Axis::N], counted, usual, each: 1, header: None, make }
}

/// A kernel on a row of numbers.
const fn on_row(
    name: &'static str,
    files: &'static [&'static str],
    counted: &'static [&'static str],
    length: usize,
    make: fn(&'static str, Size) -> Case,
) -> Entry {
    let usual = matrix(1, length);
    Entry { name, files, needs: TURING, axes: &[Axis::N], counted, usual, each: 1, header: None, make }
}

/// A step of the staircase of the loss, on the last layer of both models.
const fn bce_step(name: &'static str, files: &'static [&'static str], make: fn(&'static str, Size) -> Case) -> Entry {
    on_matrix(name, files, ROWS_AND_COLUMNS, matrix(100, 784), make)
}

const ROWS_AND_COLUMNS: &[&str] = &["rows", "columns"];
const ROWS_AND_UNITS: &[&str] = &["rows", "latent units"];

/// The header of `epilogue/1_separate`.
const SEPARATE: &str = "\
// epilogue/1_separate: y = LeakyReLU(A B + bias), a kernel for each of the three.
//
// Shapes    A [M, K], B [K, N], y [M, N] row-major f32; bias [N] f32
// Launch    gemm/8_split_k, then add_bias on C, then leaky_relu on C
// Cost      2MNK + 2MN FLOP; 4(MK + KN + 5MN + N) bytes of global memory at least
// Bound     latency of three launches at a batch of 100; the traffic of C where it is large
// Order     that of gemm/8_split_k: deterministic
// Idea      a kernel for each operation. C goes to memory three times and comes back twice, and each launch waits for the one before
// Checked   tests/lab
";

/// The header of `epilogue/2_fused`.
const FUSED: &str = "\
// epilogue/2_fused: y = LeakyReLU(A B + bias) in one launch, the bias and the activation an epilogue of the product.
//
// Shapes    A [M, K], B [K, N], y [M, N] row-major f32; bias [N] f32
// Launch    gemm/8_split_k with EPILOGUE=BIAS_LEAKY_RELU
// Cost      2MNK + 2MN FLOP; 4(MK + KN + MN + N) bytes of global memory at least
// Bound     FP32 issue where the grid fills the chip; latency of the pipeline's first tiles and of the last block where not
// Order     that of gemm/8_split_k: deterministic
// Idea      1_separate loads what the product had in registers a moment ago. Here each sum gets its bias and its activation before
//           it is stored: C goes to memory once, and there is one launch
// Checked   tests/lab
";

/// Parameters of the variational autoencoder.
const PARAMETERS: usize = 1_189_984;

/// All kernels: the staircases, then the others by name.
pub static ENTRIES: &[Entry] = &[
    product("gemm/1_naive", &["gemm/1_naive.cu"], TURING, |name, size| products::case(name, Step::Naive, size)),
    product("gemm/2_coalesced", &["gemm/2_coalesced.cu"], TURING, |name, size| {
        products::case(name, Step::Coalesced, size)
    }),
    product("gemm/3_shared_tile", &["gemm/3_shared_tile.cu"], TURING, |name, size| {
        products::case(name, Step::SharedTile, size)
    }),
    product("gemm/4_tile1d", &["gemm/4_tile1d.cu"], TURING, |name, size| products::case(name, Step::Tile1d, size)),
    product("gemm/5_tile2d", &["gemm/5_tile2d.cu"], TURING, |name, size| products::case(name, Step::Tile2d, size)),
    product("gemm/6_vectorised", &["gemm/6_vectorised.cu"], TURING, |name, size| {
        products::case(name, Step::Vectorised, size)
    }),
    product("gemm/7_async_copy", &["gemm/7_async_copy.cu"], AMPERE, |name, size| {
        products::case(name, Step::AsyncCopy, size)
    }),
    product("gemm/8_split_k", &["gemm/8_split_k.cu"], AMPERE, |name, size| products::case(name, Step::SplitK, size)),
    product("gemm/9_tf32", &["gemm/9_tf32.cu"], AMPERE, |name, size| products::case(name, Step::Tf32, size)),
    product("gemm/10_bf16", &["gemm/10_bf16.cu"], AMPERE, |name, size| products::case(name, Step::Bf16, size)),
    bce_step("bce/1_one_thread", &["bce/1_one_thread.cu"], |name, size| {
        cases::bce_loss(name, &cases::BCE_STEPS[0], size)
    }),
    bce_step("bce/2_shared_memory", &["bce/2_shared_memory.cu", "sum.cu"], |name, size| {
        cases::bce_loss(name, &cases::BCE_STEPS[1], size)
    }),
    bce_step("bce/3_shuffle", &["bce/3_shuffle.cu", "sum.cu"], |name, size| {
        cases::bce_loss(name, &cases::BCE_STEPS[2], size)
    }),
    bce_step("bce/4_vectorised", &["bce/4_vectorised.cu", "sum.cu"], |name, size| {
        cases::bce_loss(name, &cases::BCE_STEPS[3], size)
    }),
    Entry {
        header: Some(SEPARATE),
        ..product(
            "epilogue/1_separate",
            &["gemm/8_split_k.cu", "add_bias.cu", "leaky_relu.cu"],
            AMPERE,
            products::separate,
        )
    },
    Entry { header: Some(FUSED), ..product("epilogue/2_fused", &["gemm/8_split_k.cu"], AMPERE, products::fused) },
    on_matrix("add_bias", &["add_bias.cu"], ROWS_AND_COLUMNS, matrix(100, 400), products::add_bias),
    Entry { each: 4, ..on_row("adam", &["adam.cu"], &["parameters"], PARAMETERS, cases::adam) },
    on_matrix("bce/gradient", &["bce/gradient.cu"], ROWS_AND_COLUMNS, matrix(100, 784), cases::bce_gradient),
    Entry {
        each: 8,
        ..on_row("ceiling/copy", &["ceiling/copy.cu"], &["quads of floats"], 1 << 16, |_, size| {
            ceilings::copy(size.n, ceilings::blocks_of(size.n), true)
        })
    },
    Entry {
        each: 256,
        ..on_row("ceiling/fma", &["ceiling/fma.cu"], &["blocks"], 4, |_, size| ceilings::chains(64, size.n as u32))
    },
    on_matrix("finish", &["finish.cu"], &["partial losses", "partial divergences"], matrix(100, 40), cases::finish),
    on_matrix("gather", &["gather.cu"], &["images", "pixels of each"], matrix(100, 784), cases::gather),
    on_matrix(
        "importance_backward",
        &["importance_backward.cu"],
        ROWS_AND_UNITS,
        matrix(100, 200),
        cases::importance_backward,
    ),
    Entry {
        each: cases::DRAWS,
        ..on_matrix(
            "importance_weights",
            &["importance_weights.cu"],
            &["images, of 5 draws each", "pixels of each"],
            matrix(100, 784),
            cases::importance_weights,
        )
    },
    on_matrix("kl", &["kl.cu"], ROWS_AND_UNITS, matrix(100, 200), cases::kl),
    on_matrix("leaky_relu", &["leaky_relu.cu"], ROWS_AND_COLUMNS, matrix(100, 400), cases::leaky_relu),
    on_matrix("reparameterise", &["reparameterise.cu"], ROWS_AND_UNITS, matrix(100, 200), cases::reparameterise),
    on_matrix(
        "reparameterise_backward",
        &["reparameterise_backward.cu"],
        ROWS_AND_UNITS,
        matrix(100, 200),
        cases::reparameterise_backward,
    ),
    on_matrix("sigmoid", &["sigmoid.cu"], ROWS_AND_COLUMNS, matrix(100, 784), cases::sigmoid),
    on_matrix("standard_normal", &["standard_normal.cu"], ROWS_AND_COLUMNS, matrix(100, 200), cases::standard_normal),
    on_row("sum", &["sum.cu"], &["parts"], 77, cases::sum),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::weights::layout_of;
    use crate::nn::{Dims, Kind};

    #[test]
    fn adam_usually_updates_the_variational_autoencoder() {
        let dims = Dims { input: 784, hidden: 400, latent: 200 };
        assert_eq!(layout_of(Kind::Variational, dims).len(), PARAMETERS);
    }

    #[test]
    fn a_distance_counts_letters_changed_added_and_taken_away() {
        for (a, b, letters) in
            [("", "", 0), ("adam", "adam", 0), ("adma", "adam", 2), ("adm", "adam", 1), ("", "kl", 2)]
        {
            assert_eq!((distance(a, b), distance(b, a)), (letters, letters), "{a} {b}");
        }
    }

    #[test]
    fn names_that_are_like_it_are_told() {
        assert_eq!(near("split_k"), "; did you mean gemm/8_split_k?");
        assert_eq!(near("naiv"), "; did you mean gemm/1_naive?");
        assert_eq!(near("adma"), "; did you mean adam, ceiling/fma?");
        assert_eq!(near("sigmod"), "; did you mean sigmoid?");
        assert_eq!(near("gemm/1_niave.cu"), "; did you mean gemm/1_naive?");
        assert_eq!(near("gemm").matches("gemm/").count(), MOST_NEAR);
        assert_eq!((near("entirely else"), near("")), (String::new(), String::new()));
    }
}
