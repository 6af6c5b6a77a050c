//! What the names of a module stand for.

use crate::ptx::ast::{Body, Module, Operand, Space, Variable};
use std::collections::{BTreeSet, HashMap};

/// Where generic addresses of shared memory begin.
pub const SHARED_WINDOW: u64 = 0x1000_0000_0000;
/// Where generic addresses of local memory begin.
pub const LOCAL_WINDOW: u64 = 0x1100_0000_0000;
/// Where generic addresses of a kernel's parameters begin.
pub const PARAMETER_WINDOW: u64 = 0x1200_0000_0000;
/// Bytes of each of these windows.
pub const WINDOW_BYTES: u64 = 1 << 32;
/// Where addresses of functions begin; each is 16 bytes further.
pub const CODE_WINDOW: u64 = 0x1300_0000_0000;

/// What a name of the module stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symbol {
    /// A variable in device memory (constant ones too): its address.
    Global(u64),
    /// A function: its index.
    Function(usize),
}

/// The names of a module.
#[derive(Debug, Default)]
pub struct Symbols {
    /// Variables in device memory, and functions.
    pub names: HashMap<String, Symbol>,
    /// Where the shared variables lie that device functions use: the same place in every kernel.
    pub common_shared: HashMap<String, u64>,
    /// Where the shared memory of a kernel's own begins.
    pub common_end: u64,
}

/// All names that a body uses.
pub fn used_names(body: &Body) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for operand in body.instructions.iter().flat_map(|instruction| &instruction.operands) {
        collect(operand, &mut names);
    }
    names
}

fn collect<'a>(operand: &'a Operand, names: &mut BTreeSet<&'a str>) {
    use crate::ptx::ast::AddressBase;
    match operand {
        Operand::Symbol(name, _) | Operand::Address { base: AddressBase::Symbol(name), .. } => {
            names.insert(name);
        }
        Operand::Vector(items) | Operand::List(items) => items.iter().for_each(|item| collect(item, names)),
        Operand::Pair(a, b) => {
            collect(a, names);
            collect(b, names);
        }
        _ => {}
    }
}

/// The shared variables of a body and of the module that it uses, in the order of the text; dynamic ones apart.
pub fn shared_variables<'a>(module: &'a Module, body: &'a Body) -> Vec<&'a Variable> {
    let used = used_names(body);
    let own = body.variables.iter();
    let of_module = module.variables.iter().filter(|variable| used.contains(variable.name.as_str()));
    of_module.chain(own).filter(|variable| variable.space == Space::Shared).collect()
}
