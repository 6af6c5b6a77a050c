//! Which kernel is meant, and whether its arguments and its launch fit it.

use super::element::Element;
use crate::chip::{BLOCK, Chip, GRID};
use crate::program::{Kernel, Parameter};
use crate::ptx::ast::Type;

/// A kernel that cannot be launched as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KernelError {
    /// The module has none.
    #[error("there is no kernel in this file: mark one __global__ (an instance of a template is named by --kernel)")]
    None,
    /// The name, or its absence, does not pick one.
    #[error("{wrong}; name one of these by --kernel:{}", list(.known))]
    Choice {
        /// What is wrong.
        wrong: String,
        /// The kernels there are.
        known: Vec<String>,
    },
    /// More or fewer arguments than parameters.
    #[error("{found} arguments are given, {}", signature(.kernel))]
    Count {
        /// How many are given.
        found: usize,
        /// The kernel.
        kernel: Box<Kernel>,
    },
    /// An argument of another size or kind.
    #[error("argument {index} is {found}, parameter {index} is {}: {}", describe(&kernel.parameters[*index]), signature(.kernel))]
    Argument {
        /// Which one.
        index: usize,
        /// What is given.
        found: String,
        /// The kernel.
        kernel: Box<Kernel>,
    },
    /// A grid or block that does not exist, or does not fit the kernel or device.
    #[error("{0}")]
    Shape(String),
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| format!("\n  {name}")).collect()
}

fn signature(kernel: &Kernel) -> String {
    let parameters: Vec<String> = kernel.parameters.iter().map(describe).collect();
    format!("{} takes {} ({})", kernel.name, parameters.len(), parameters.join(", "))
}

fn describe(parameter: &Parameter) -> String {
    let letter = match parameter.ty {
        _ if parameter.bytes != parameter.ty.bytes() as usize => return format!("{} bytes", parameter.bytes),
        Type::U(64) => return "a pointer or u64".to_owned(),
        Type::U(_) => 'u',
        Type::S(_) => 'i',
        Type::F(_) => 'f',
        _ => 'b',
    };
    format!("{letter}{}", 8 * parameter.bytes)
}

/// The index of the kernel of that name, or of the only one.
///
/// # Errors
/// None, or several, are meant.
pub fn choose(kernels: &[Kernel], name: Option<&str>) -> Result<usize, KernelError> {
    if kernels.is_empty() {
        return Err(KernelError::None);
    }
    let exact = name.and_then(|name| kernels.iter().position(|kernel| &*kernel.name == name));
    let meant = |kernel: &Kernel| name.is_none_or(|name| goes_by(&kernel.name, name));
    let mut candidates = (0..kernels.len()).filter(|index| meant(&kernels[*index]));
    let (first, second) = (exact.or_else(|| candidates.next()), candidates.next());
    match (first, exact.or(second)) {
        (Some(index), _) if exact.is_some() || second.is_none() => Ok(index),
        (first, _) => {
            let wrong = match (name, first) {
                (Some(name), None) => format!("there is no kernel '{name}'"),
                (Some(name), Some(_)) => format!("'{name}' is the name of several kernels"),
                (None, _) => format!("there are {} kernels", kernels.len()),
            };
            let known = kernels.iter().map(|kernel| shown_name(&kernel.name)).collect();
            Err(KernelError::Choice { wrong, known })
        }
    }
}

fn shown_name(mangled: &str) -> String {
    match source_name(mangled) {
        Some(name) => format!("{mangled} ({name})"),
        None => mangled.to_owned(),
    }
}

/// Whether a kernel is called `name` in its source, with or without its namespaces.
fn goes_by(mangled: &str, name: &str) -> bool {
    source_name(mangled).is_some_and(|full| full == name || full.rsplit("::").next() == Some(name))
}

/// The name that a mangled one stands for, without the parameters of templates and functions.
fn source_name(mangled: &str) -> Option<String> {
    let mut rest = mangled.strip_prefix("_Z")?;
    let nested = rest.strip_prefix('N');
    rest = nested.unwrap_or(rest);
    let mut parts = Vec::new();
    loop {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let Ok(length) = rest[..digits].parse::<usize>() else { break };
        let end = digits.checked_add(length)?;
        parts.push(rest.get(digits..end)?);
        rest = &rest[end..];
        if nested.is_none() {
            break;
        }
    }
    (!parts.is_empty()).then(|| parts.join("::"))
}

/// What a parameter gets: its type, none for the address of a buffer, and its bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    /// The scalar's type.
    pub element: Option<Element>,
    /// The scalar's bits, or the address.
    pub bits: u64,
}

impl Value {
    fn bytes(self) -> usize {
        self.element.map_or(8, Element::bytes)
    }

    /// Integers and floating-point numbers are not taken for each other; untyped bits take both.
    fn fits(self, parameter: &Parameter) -> bool {
        let float = self.element.is_some_and(Element::is_float);
        let kind = match parameter.ty {
            Type::F(_) => float,
            Type::U(_) | Type::S(_) => !float,
            _ => true,
        };
        kind && self.bytes() == parameter.bytes
    }
}

/// Whether these types of arguments are those of the kernel's parameters.
///
/// # Errors
/// The first that is not.
pub fn check_arguments(kernel: &Kernel, values: &[Value]) -> Result<(), KernelError> {
    let boxed = || Box::new(kernel.clone());
    if values.len() != kernel.parameters.len() {
        return Err(KernelError::Count { found: values.len(), kernel: boxed() });
    }
    match values.iter().zip(&kernel.parameters).position(|(value, parameter)| !value.fits(parameter)) {
        Some(index) => {
            let found = values[index].element.map_or("a buffer, whose address has 8 bytes", Element::name);
            Err(KernelError::Argument { index, found: found.to_owned(), kernel: boxed() })
        }
        None => Ok(()),
    }
}

/// The parameter block that holds these values, which were checked.
pub fn parameter_block(kernel: &Kernel, values: &[Value]) -> Vec<u8> {
    let mut block = vec![0; kernel.parameter_bytes];
    for (parameter, value) in kernel.parameters.iter().zip(values) {
        block[parameter.offset..parameter.offset + parameter.bytes]
            .copy_from_slice(&value.bits.to_le_bytes()[..parameter.bytes]);
    }
    block
}

/// The grid, block and shared memory of a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Blocks of the grid.
    pub grid: [u32; 3],
    /// Threads of a block.
    pub block: [u32; 3],
    /// Bytes of dynamic shared memory.
    pub shared_bytes: u32,
    /// Whether all blocks are alive together.
    pub cooperative: bool,
}

impl Shape {
    /// Whether the device can launch the kernel so.
    ///
    /// # Errors
    /// What does not fit, and the largest that would.
    pub fn check(&self, kernel: &Kernel, chip: &Chip) -> Result<(), KernelError> {
        let error = |text: String| Err(KernelError::Shape(text));
        let within = |sides: [u32; 3], most: [u32; 3]| sides.iter().zip(most).all(|(n, most)| (1..=most).contains(n));
        if !within(self.grid, GRID) {
            return error(format!("--grid {:?} is not from [1, 1, 1] to {GRID:?}: launch a smaller one", self.grid));
        }
        let threads: u64 = self.block.iter().map(|side| u64::from(*side)).fold(1, u64::saturating_mul);
        if !within(self.block, BLOCK) || threads > kernel.max_threads.into() {
            let most = kernel.max_threads;
            return error(format!(
                "--block {:?} is not from [1, 1, 1] to {BLOCK:?} with at most {most} threads in all: launch a smaller one",
                self.block
            ));
        }
        if let Some(required) = kernel.required_block.filter(|required| *required != self.block) {
            return error(format!("--block {:?} is not what {} demands: use {required:?}", self.block, kernel.name));
        }
        self.check_residency(kernel, chip, threads as u32)
    }

    fn check_residency(&self, kernel: &Kernel, chip: &Chip, threads: u32) -> Result<(), KernelError> {
        let shared = kernel.shared_bytes.saturating_add(self.shared_bytes);
        if shared > chip.shared_opt_in {
            let (fixed, most) = (kernel.shared_bytes, chip.shared_opt_in);
            return Err(KernelError::Shape(format!(
                "--shared {} and the kernel's own {fixed} bytes are more than the {most} of a block: use less, or --cc of a \
                 device with more",
                self.shared_bytes
            )));
        }
        let resident = chip.occupancy(threads, kernel.registers, shared).saturating_mul(chip.multiprocessors);
        let blocks = self.grid.iter().fold(1u64, |product, side| product.saturating_mul((*side).into()));
        if self.cooperative && blocks > resident.into() {
            return Err(KernelError::Shape(format!(
                "{blocks} blocks are more than the {resident} that fit on the device at a time, which --cooperative needs: \
                 use a smaller --grid"
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel(name: &str, types: &[Type]) -> Kernel {
        let mut end = 0;
        let parameters: Vec<Parameter> = types
            .iter()
            .map(|ty| {
                let bytes = ty.bytes() as usize;
                let offset = usize::next_multiple_of(end, bytes);
                end = offset + bytes;
                Parameter { name: String::new(), offset, bytes, ty: *ty }
            })
            .collect();
        Kernel {
            name: name.into(),
            parameters,
            parameter_bytes: end,
            shared_bytes: 1024,
            local_bytes: 0,
            const_bytes: 0,
            registers: 32,
            max_threads: 512,
            required_block: None,
        }
    }

    #[test]
    fn names_of_the_source_are_found_in_mangled_ones() {
        for (mangled, name) in [
            ("_Z5scalePfi", Some("scale")),
            ("_Z5scaleIfEvPT_i", Some("scale")),
            ("_ZN5outer5inner5scaleEPf", Some("outer::inner::scale")),
            ("saxpy", None),
            ("_Z", None),
            ("_Z9short", None),
            ("_Z99999999999999999999x", None),
            ("_ZN2\u{e9}aE", Some("\u{e9}")),
            ("_ZN1\u{e9}E", None),
        ] {
            assert_eq!(source_name(mangled).as_deref(), name, "{mangled}");
        }
    }

    #[test]
    fn kernel_is_chosen_by_any_name_that_only_it_has() {
        let kernels = ["saxpy", "_ZN1a5scaleEPf", "_ZN1b5scaleEPf", "_Z4copyPf"].map(|name| kernel(name, &[]));
        for (name, index) in [("saxpy", 0), ("a::scale", 1), ("_ZN1b5scaleEPf", 2), ("copy", 3)] {
            assert_eq!(choose(&kernels, Some(name)), Ok(index), "{name}");
        }
        assert_eq!(choose(&kernels[..1], None), Ok(0));
        for (name, part) in [
            (Some("scale"), "'scale' is the name of several kernels"),
            (Some("gone"), "there is no kernel 'gone'"),
            (None, "there are 4 kernels"),
        ] {
            let error = choose(&kernels, name).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains("\n  _ZN1a5scaleEPf (a::scale)\n"), "{error}");
        }
        assert_eq!(choose(&[], None), Err(KernelError::None));
    }

    #[test]
    fn arguments_fit_by_size_and_kind() {
        let kernel = kernel("k", &[Type::U(64), Type::U(32), Type::F(32), Type::B(16)]);
        let scalar = |name: &str, bits| Value { element: Element::parse(name), bits };
        let buffer = Value { element: None, bits: 0x1122_3344_5566_7788 };
        let good = [buffer, scalar("i32", -1i64 as u64), scalar("f32", 7), scalar("f16", 9)];
        assert_eq!(check_arguments(&kernel, &good), Ok(()));
        let block = parameter_block(&kernel, &good);
        assert_eq!(block[..8], 0x1122_3344_5566_7788u64.to_le_bytes());
        assert_eq!(block[8..], [255, 255, 255, 255, 7, 0, 0, 0, 9, 0]);
        let error = check_arguments(&kernel, &good[..3]).unwrap_err().to_string();
        assert_eq!(error, "3 arguments are given, k takes 4 (a pointer or u64, u32, f32, b16)");
        for (index, wrong, part) in [
            (0, scalar("u32", 0), "argument 0 is u32, parameter 0 is a pointer or u64"),
            (1, buffer, "argument 1 is a buffer, whose address has 8 bytes, parameter 1 is u32"),
            (1, scalar("f32", 0), "argument 1 is f32, parameter 1 is u32"),
            (2, scalar("i32", 0), "argument 2 is i32, parameter 2 is f32"),
        ] {
            let mut values = good;
            values[index] = wrong;
            let error = check_arguments(&kernel, &values).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains("k takes 4"), "{error}");
        }
    }

    #[test]
    fn launch_that_the_device_cannot_do_is_refused() {
        let (mut kernel, chip) = (kernel("k", &[]), Chip::of((8, 0)));
        let good = Shape { grid: [1, 1, 1], block: [512, 1, 1], shared_bytes: 0, cooperative: false };
        assert_eq!(good.check(&kernel, &chip), Ok(()));
        for (shape, part) in [
            (Shape { grid: [0, 1, 1], ..good }, "--grid [0, 1, 1]"),
            (Shape { grid: [1, 70_000, 1], ..good }, "65535"),
            (Shape { block: [513, 1, 1], ..good }, "at most 512 threads"),
            (Shape { block: [1, 1, 65], ..good }, "to [1024, 1024, 64]"),
            (Shape { block: [u32::MAX, u32::MAX, u32::MAX], ..good }, "--block"),
            (Shape { shared_bytes: 163 << 10, ..good }, "more than the 166912 of a block"),
            (Shape { grid: [100_000, 1, 1], cooperative: true, ..good }, "100000 blocks are more than the 432"),
        ] {
            let error = shape.check(&kernel, &chip).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        kernel.required_block = Some([64, 1, 1]);
        assert!(good.check(&kernel, &chip).unwrap_err().to_string().contains("use [64, 1, 1]"));
    }
}
