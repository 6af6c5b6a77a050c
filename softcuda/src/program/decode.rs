//! From the syntax tree of a function to the instructions that the executor runs.

mod arithmetic;
mod control;
mod memory;
mod moves;
mod operands;
mod warp;

use super::instruction::{Action, Class, Guard, Instruction, Operands};
use super::layout::{Layout, Slots, place};
use super::symbols::{Symbols, shared_variables};
use crate::exec::ops::Handler;
use crate::ptx::Error;
use crate::ptx::ast::{self, Function, Module, Space};
use std::collections::HashMap;

/// Bytes that the parameters of a kernel may take, by the PTX manual.
const MAX_KERNEL_PARAMETERS: u64 = 32764;

/// The code of one function.
#[derive(Clone, Debug, Default)]
pub struct Code {
    /// Its name.
    pub name: std::sync::Arc<str>,
    /// Its instructions; the last one never falls through.
    pub instructions: Vec<Instruction>,
    /// For each instruction the index of its syntax in the body.
    pub syntax: Vec<u32>,
    /// Its slots.
    pub layout: Layout,
    /// Its parameters in its parameter memory: offset and bytes. A kernel's lie in the parameter block.
    pub parameters: Vec<(usize, usize)>,
    /// Its results likewise.
    pub results: Vec<(usize, usize)>,
    /// Bytes of static shared memory, with what device functions use.
    pub shared_bytes: u64,
    /// Whether `vprintf` and its like are called through this declaration.
    pub declared_only: bool,
}

/// Decodes one function.
///
/// # Errors
/// The first instruction that this driver does not know, with its place.
pub fn decode(module: &Module, function: &Function, symbols: &Symbols) -> Result<Code, Error> {
    let Some(body) = &function.body else {
        return Ok(Code { name: function.name.as_str().into(), declared_only: true, ..Code::default() });
    };
    let mut decoder = Decoder::new(module, function, body, symbols)?;
    for (index, instruction) in body.instructions.iter().enumerate() {
        decoder.starts.push(decoder.code.len() as u32);
        decoder.current = index as u32;
        decoder.instruction(instruction)?;
    }
    decoder.starts.push(decoder.code.len() as u32);
    decoder.current = body.instructions.len().saturating_sub(1) as u32;
    decoder.finish(function)
}

impl Code {
    /// Registers of 32 bits that are alive at once, at most: in the order of the text, from the first to the last
    /// mention of each. What a device's own compiler allots differs; this is an estimate.
    pub fn registers_alive(&self) -> u32 {
        let mut mentions = HashMap::new();
        for (index, instruction) in self.instructions.iter().enumerate() {
            let Operands { d, a, b, c, e, .. } = instruction.operands;
            for slot in [d, a, b, c, e] {
                let range = mentions.entry(slot).or_insert((index, index));
                range.1 = index;
            }
        }
        let mut change = vec![0i32; self.instructions.len() + 1];
        for (slot, (first, last)) in mentions {
            if usize::from(slot) < self.layout.words.max(self.layout.doubles) {
                let weight = if usize::from(slot) < self.layout.doubles { 2 } else { 1 };
                change[first] += weight;
                change[last] -= weight;
            }
        }
        let alive = change.iter().scan(0, |alive, step| {
            *alive += step;
            Some(*alive)
        });
        alive.max().unwrap_or(0).unsigned_abs()
    }
}

struct Decoder<'a> {
    module: &'a Module,
    body: &'a ast::Body,
    symbols: &'a Symbols,
    kernel: bool,
    slots: Slots,
    code: Vec<Instruction>,
    syntax: Vec<u32>,
    /// Where the instructions of each syntax instruction begin: what labels stand for.
    starts: Vec<u32>,
    current: u32,
    labels: HashMap<&'a str, usize>,
    shared: HashMap<String, u64>,
    dynamic_shared: HashMap<String, u64>,
    shared_end: u64,
    local: HashMap<String, u64>,
    parameters: HashMap<String, u64>,
    kernel_parameters: HashMap<String, u64>,
    kernel_parameter_bytes: u64,
    formal_parameters: Vec<(usize, usize)>,
    formal_results: Vec<(usize, usize)>,
    guard: Option<Guard>,
}

impl<'a> Decoder<'a> {
    fn new(
        module: &'a Module,
        function: &'a Function,
        body: &'a ast::Body,
        symbols: &'a Symbols,
    ) -> Result<Self, Error> {
        let bad = |what: String| Error { position: function.position, what, near: function.name.clone() };
        let slots = Slots::new(&body.registers).map_err(bad)?;
        let mut decoder = Decoder {
            module,
            body,
            symbols,
            kernel: function.kernel,
            slots,
            code: Vec::new(),
            syntax: Vec::new(),
            starts: Vec::new(),
            current: 0,
            labels: body.labels.iter().map(|(name, index)| (name.as_str(), *index)).collect(),
            shared: symbols.common_shared.clone(),
            dynamic_shared: HashMap::new(),
            shared_end: symbols.common_end,
            local: HashMap::new(),
            parameters: HashMap::new(),
            kernel_parameters: HashMap::new(),
            kernel_parameter_bytes: 0,
            formal_parameters: Vec::new(),
            formal_results: Vec::new(),
            guard: None,
        };
        decoder.place_variables(function).ok_or_else(|| bad("the variables take more than 2^64 bytes".to_owned()))?;
        if decoder.kernel_parameter_bytes > MAX_KERNEL_PARAMETERS {
            return Err(bad(format!("the kernel's parameters take more than {MAX_KERNEL_PARAMETERS} bytes")));
        }
        let layout = decoder.slots.layout_mut();
        if layout.local_bytes > 512 << 10 || layout.parameter_bytes > 64 << 10 || decoder.shared_end > 1 << 24 {
            return Err(bad("the local, shared or parameter memory is larger than any device has".to_owned()));
        }
        Ok(decoder)
    }

    fn place_variables(&mut self, function: &Function) -> Option<()> {
        let in_space = |space: Space| self.body.variables.iter().filter(move |variable| variable.space == space);
        let (local, local_end) = place(in_space(Space::Local), 0)?;
        let (own, mut parameter_end) = place(in_space(Space::Param), 0)?;
        self.parameters = own.into_iter().collect();
        if self.kernel {
            let (placed, end) = place(function.parameters.iter(), 0)?;
            self.kernel_parameters = placed.into_iter().collect();
            self.kernel_parameter_bytes = end;
        } else {
            for (list, formals) in
                [(&function.parameters, &mut self.formal_parameters), (&function.returns, &mut self.formal_results)]
            {
                let (placed, end) = place(list.iter(), parameter_end)?;
                formals.extend(placed.iter().zip(list).map(|((_, offset), v)| (*offset as usize, v.size as usize)));
                self.parameters.extend(placed);
                parameter_end = end;
            }
        }
        self.local = local.into_iter().collect();
        self.place_shared(function)?;
        let layout = self.slots.layout_mut();
        layout.local_bytes = u32::try_from(local_end.checked_next_multiple_of(16)?).ok()?;
        layout.parameter_bytes = usize::try_from(parameter_end.checked_next_multiple_of(16)?).ok()?;
        Some(())
    }

    fn place_shared(&mut self, function: &Function) -> Option<()> {
        let variables = shared_variables(self.module, self.body);
        let (dynamic, fixed): (Vec<_>, Vec<_>) =
            variables.into_iter().partition(|variable| variable.unsized_array || variable.external);
        if function.kernel {
            let own = fixed.into_iter().filter(|variable| !self.symbols.common_shared.contains_key(&variable.name));
            let (placed, end) = place(own, self.symbols.common_end)?;
            self.shared.extend(placed);
            self.shared_end = end;
        }
        // Dynamic shared memory begins behind the static part, at the largest alignment that a variable may have.
        self.dynamic_shared = dynamic.into_iter().map(|variable| (variable.name.clone(), 0)).collect();
        Some(())
    }

    fn instruction(&mut self, instruction: &ast::Instruction) -> Result<(), Error> {
        self.guard = match &instruction.guard {
            Some((name, negated)) => Some(Guard {
                predicate: self.predicate_named(instruction, name)?,
                negate: if *negated { u32::MAX } else { 0 },
            }),
            None => None,
        };
        let known = self.control(instruction)?
            || self.memory(instruction)?
            || self.warp(instruction)?
            || self.moves(instruction)?
            || self.arithmetic(instruction)?;
        if known { Ok(()) } else { Err(unknown(instruction)) }
    }

    fn finish(mut self, function: &Function) -> Result<Code, Error> {
        // Control never runs off the end: a function without a `ret` at its end returns there.
        self.guard = None;
        self.emit(Action::Return, Operands::default(), Class::Control);
        self.resolve_branches(function)?;
        Ok(Code {
            name: function.name.as_str().into(),
            instructions: self.code,
            syntax: self.syntax,
            layout: self.slots.finish(),
            parameters: self.formal_parameters,
            results: self.formal_results,
            shared_bytes: self.shared_end,
            declared_only: false,
        })
    }

    /// Branches were decoded with the syntax index of their label.
    fn resolve_branches(&mut self, function: &Function) -> Result<(), Error> {
        let missing = || Error {
            position: function.position,
            what: "a branch leaves the function".to_owned(),
            near: function.name.clone(),
        };
        for instruction in &mut self.code {
            match &mut instruction.action {
                Action::Branch(target) => *target = *self.starts.get(*target as usize).ok_or_else(missing)?,
                Action::BranchTable(_, targets) => {
                    let resolved: Option<Vec<u32>> =
                        targets.iter().map(|target| self.starts.get(*target as usize).copied()).collect();
                    *targets = resolved.ok_or_else(missing)?.into();
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn emit(&mut self, action: Action, operands: Operands, class: Class) {
        self.emit_counted(action, operands, class, 0);
    }

    fn emit_counted(&mut self, action: Action, operands: Operands, class: Class, flops: u32) {
        self.code.push(Instruction { guard: self.guard, action, operands, class, flops });
        self.syntax.push(self.current);
    }

    fn compute(&mut self, handler: Handler, operands: Operands, class: Class) {
        self.emit(Action::Compute(handler.choose()), operands, class);
    }

    fn compute_counted(&mut self, handler: Handler, operands: Operands, class: Class, flops: u32) {
        self.emit_counted(Action::Compute(handler.choose()), operands, class, flops);
    }
}

/// The text of an instruction's opcode with its modifiers.
pub fn opcode_text(instruction: &ast::Instruction) -> String {
    let mut text = instruction.opcode.clone();
    for modifier in &instruction.modifiers {
        text.push('.');
        text.push_str(modifier);
    }
    text
}

fn error(instruction: &ast::Instruction, what: impl Into<String>) -> Error {
    Error { position: instruction.position, what: what.into(), near: opcode_text(instruction) }
}

fn unknown(instruction: &ast::Instruction) -> Error {
    error(instruction, "an instruction that this driver does not know: compile for sm_75 to sm_90, or avoid it")
}

/// Whether the modifiers contain `word`.
fn has(instruction: &ast::Instruction, word: &str) -> bool {
    instruction.modifiers.iter().any(|modifier| modifier == word)
}

/// All modifiers that name types, in order.
fn types(instruction: &ast::Instruction) -> Vec<ast::Type> {
    instruction.modifiers.iter().filter_map(|modifier| ast::Type::parse(modifier)).collect()
}

/// Refuses modifiers outside of `known`, which types and the words of `instruction` itself are not.
fn only(instruction: &ast::Instruction, known: &[&str]) -> Result<(), Error> {
    match instruction.modifiers.iter().find(|word| ast::Type::parse(word).is_none() && !known.contains(&word.as_str()))
    {
        None => Ok(()),
        Some(word) => Err(error(instruction, format!("modifier .{word}, which this driver does not know here"))),
    }
}
