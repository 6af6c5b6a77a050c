//! A loaded module: PTX decoded for the executor, its variables placed in device memory.

pub mod decode;
pub mod instruction;
pub mod layout;
pub mod symbols;

use crate::check::Source;
use crate::machine::Machine;
use crate::memory::Kind;
use crate::ptx::{self, ast};
use decode::Code;
use std::sync::Arc;
use symbols::{Symbol, Symbols};

/// A module that cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The text is not PTX, or uses what this driver does not know.
    #[error("{0}")]
    Ptx(#[from] ptx::Error),
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
    pub ty: ast::Type,
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

/// A variable in device memory: name, address, bytes.
type Placed = (String, u64, u64);

/// A loaded module.
#[derive(Debug)]
pub struct Program {
    /// Code of all functions, in the order of the text.
    pub functions: Vec<Code>,
    /// Index of the function of each kernel.
    entries: Vec<usize>,
    kernels: Vec<Kernel>,
    variables: Vec<Placed>,
    /// The site of each function's first instruction.
    pub sites: Vec<u32>,
    /// Where its variables lie.
    allocations: Vec<u64>,
}

impl Program {
    /// Decodes `text` and places its variables, initialised.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn load(machine: &Machine, text: &str) -> Result<Program, LoadError> {
        let module = ptx::parse(text)?;
        check_versions(&module, machine)?;
        let mut allocations = Vec::new();
        let loaded = Program::load_module(machine, &module, &mut allocations);
        if loaded.is_err() {
            for address in &allocations {
                let _ = machine.memory.free(*address);
            }
        }
        loaded
    }

    fn load_module(machine: &Machine, module: &ast::Module, allocations: &mut Vec<u64>) -> Result<Program, LoadError> {
        let (symbols, variables) = place_symbols(machine, module, allocations)?;
        initialise(machine, module, &symbols)?;
        let functions: Result<Vec<Code>, ptx::Error> =
            module.functions.iter().map(|function| decode::decode(module, function, &symbols)).collect();
        let functions = functions?;
        let sites = functions
            .iter()
            .zip(&module.functions)
            .map(|(code, function)| register_sites(machine, module, code, function))
            .collect();
        let entries: Vec<usize> = (0..functions.len())
            .filter(|index| module.functions[*index].kernel && module.functions[*index].body.is_some())
            .collect();
        let const_bytes: u64 = module.variables.iter().filter(|v| v.space == ast::Space::Const).map(|v| v.size).sum();
        let kernels =
            entries.iter().map(|index| describe(&functions[*index], &module.functions[*index], const_bytes)).collect();
        Ok(Program { functions, entries, kernels, variables, sites, allocations: std::mem::take(allocations) })
    }

    /// All kernels, in the order of the text.
    pub fn kernels(&self) -> &[Kernel] {
        &self.kernels
    }

    /// The index of the kernel of that name.
    pub fn kernel(&self, name: &str) -> Option<usize> {
        self.kernels.iter().position(|kernel| &*kernel.name == name)
    }

    /// The index of a kernel's function.
    pub fn entry(&self, kernel: usize) -> usize {
        self.entries[kernel]
    }

    /// Address and bytes of the variable of that name.
    pub fn variable(&self, name: &str) -> Option<(u64, u64)> {
        self.variables.iter().find(|(known, _, _)| known == name).map(|(_, address, bytes)| (*address, *bytes))
    }

    /// Frees the module's variables. No launch of it may be under way.
    pub fn unload(&self, machine: &Machine) {
        for address in &self.allocations {
            // Freed twice only if the module is unloaded twice, which changes nothing.
            let _ = machine.memory.free(*address);
        }
    }
}

fn check_versions(module: &ast::Module, machine: &Machine) -> Result<(), LoadError> {
    if let Some(newest) = machine.settings.ptx.filter(|newest| module.version > *newest) {
        return Err(LoadError::Version { found: module.version, newest });
    }
    let digits: String = module.target.chars().filter(char::is_ascii_digit).collect();
    let target: u32 = digits.parse().unwrap_or(0);
    let (major, minor) = machine.settings.compute_capability;
    let device = major * 10 + minor;
    // Code for sm_90a and its like runs on just that device.
    let exact = module.target.ends_with(['a', 'f']);
    if target > device || exact && target != device {
        return Err(LoadError::Target { target, device });
    }
    Ok(())
}

/// Gives every variable in device memory its place, and every function its number.
fn place_symbols(
    machine: &Machine,
    module: &ast::Module,
    allocations: &mut Vec<u64>,
) -> Result<(Symbols, Vec<Placed>), LoadError> {
    let mut symbols = Symbols::default();
    for (index, function) in module.functions.iter().enumerate() {
        // A definition overrides its forward declaration.
        if function.body.is_some() || !symbols.names.contains_key(&function.name) {
            symbols.names.insert(function.name.clone(), Symbol::Function(index));
        }
    }
    let inner = module.functions.iter().filter_map(|function| function.body.as_ref()).flat_map(|body| &body.variables);
    let mut variables = Vec::new();
    for variable in module.variables.iter().chain(inner) {
        if !matches!(variable.space, ast::Space::Global | ast::Space::Const) {
            continue;
        }
        if variable.external {
            let what = format!("variable {} is declared but not defined in this module: link it in", variable.name);
            return Err(ptx::Error { position: variable.position, what, near: variable.name.clone() }.into());
        }
        let address = machine.allocate(variable.size, Kind::Module)?;
        allocations.push(address);
        symbols.names.insert(variable.name.clone(), Symbol::Global(address));
        variables.push((variable.name.clone(), address, variable.size));
    }
    place_common_shared(module, &mut symbols)?;
    Ok((symbols, variables))
}

/// Shared variables that device functions use lie at the same place in every kernel.
fn place_common_shared(module: &ast::Module, symbols: &mut Symbols) -> Result<(), LoadError> {
    let mut common: Vec<&ast::Variable> = Vec::new();
    for body in
        module.functions.iter().filter(|function| !function.kernel).filter_map(|function| function.body.as_ref())
    {
        for variable in symbols::shared_variables(module, body) {
            if !variable.unsized_array && !common.iter().any(|known| known.name == variable.name) {
                common.push(variable);
            }
        }
    }
    let position = common.first().map_or_else(Default::default, |variable| variable.position);
    let too_large =
        || ptx::Error { position, what: "shared variables larger than any device has".to_owned(), near: String::new() };
    let (placed, end) = layout::place(common.into_iter(), 0).ok_or_else(too_large)?;
    (symbols.common_shared, symbols.common_end) = (placed.into_iter().collect(), end);
    Ok(())
}

/// Writes the initial values; what has none is zero.
fn initialise(machine: &Machine, module: &ast::Module, symbols: &Symbols) -> Result<(), LoadError> {
    let inner = module.functions.iter().filter_map(|function| function.body.as_ref()).flat_map(|body| &body.variables);
    for variable in module.variables.iter().chain(inner) {
        let Some(Symbol::Global(address)) = symbols.names.get(&variable.name) else { continue };
        let mut bytes = Vec::new();
        for value in &variable.initial {
            let bits = initial_bits(variable, value, symbols)?;
            bytes.extend_from_slice(&bits.to_le_bytes()[..variable.ty.bytes() as usize]);
        }
        bytes.resize(variable.size as usize, 0);
        machine.initialise(*address, &bytes);
    }
    Ok(())
}

fn initial_bits(variable: &ast::Variable, value: &ast::Initial, symbols: &Symbols) -> Result<u64, LoadError> {
    let (symbol, offset) = match value {
        ast::Initial::Bits(bits) => return Ok(*bits),
        ast::Initial::Address { symbol, offset, .. } => (symbol, *offset),
    };
    let base = match symbols.names.get(symbol) {
        Some(Symbol::Global(address)) => *address,
        Some(Symbol::Function(index)) => symbols::CODE_WINDOW + 16 * *index as u64,
        None => {
            let what = format!("{symbol}, whose address initialises a variable, is not declared in device memory");
            return Err(ptx::Error { position: variable.position, what, near: variable.name.clone() }.into());
        }
    };
    Ok(base.wrapping_add(offset as u64))
}

/// Tells the checks where every instruction stands.
fn register_sites(machine: &Machine, module: &ast::Module, code: &Code, function: &ast::Function) -> u32 {
    let Some(body) = &function.body else { return machine.sites.register(Vec::new()) };
    let file =
        |index: u32| module.files.iter().find(|(known, _)| *known == index).map(|(_, path)| Arc::from(path.as_str()));
    let files: Vec<(u32, Option<Arc<str>>)> = module.files.iter().map(|(index, _)| (*index, file(*index))).collect();
    let sources = code.syntax.iter().map(|syntax| {
        let instruction = body.instructions.get(*syntax as usize);
        let (file, line) = instruction.and_then(|instruction| instruction.source).unwrap_or((0, 0));
        Source {
            function: code.name.clone(),
            file: files.iter().find(|(known, _)| *known == file).and_then(|(_, path)| path.clone()),
            line,
            instruction: instruction.map_or_else(String::new, decode::opcode_text).into(),
        }
    });
    machine.sites.register(sources.collect())
}

fn describe(code: &Code, function: &ast::Function, const_bytes: u64) -> Kernel {
    let mut end = 0;
    let mut parameters = Vec::new();
    for parameter in &function.parameters {
        let offset = usize::next_multiple_of(end, parameter.align.max(1) as usize);
        end = offset + parameter.size as usize;
        parameters.push(Parameter {
            name: parameter.name.clone(),
            offset,
            bytes: parameter.size as usize,
            ty: parameter.ty,
        });
    }
    let registers = code.registers_alive().clamp(16, 255);
    let required = function.required_block.map(|[x, y, z]| x.saturating_mul(y).saturating_mul(z));
    Kernel {
        name: code.name.clone(),
        parameters,
        parameter_bytes: end,
        shared_bytes: code.shared_bytes as u32,
        local_bytes: code.layout.local_bytes,
        const_bytes: const_bytes as u32,
        registers: function.max_registers.map_or(registers, |limit| registers.min(limit)),
        max_threads: function.max_threads.or(required).unwrap_or(1024).min(1024),
        required_block: function.required_block,
    }
}
