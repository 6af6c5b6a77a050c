//! Branches, calls, barriers, fences and what ends a thread.

use super::{Decoder, error, has, only};
use crate::program::instruction::{
    Action, Barrier, BarrierResult, Call, CallTarget, Class, FenceScope, Operands, Reduction,
};
use crate::program::symbols::Symbol;
use crate::ptx::Error;
use crate::ptx::ast::{Instruction, Operand, Type};

impl Decoder<'_> {
    /// Decodes an instruction of control; false for others.
    pub(super) fn control(&mut self, i: &Instruction) -> Result<bool, Error> {
        let action = match i.opcode.as_str() {
            "bra" => Action::Branch(self.label(i, self.operand(i, 0)?)?),
            "brx" => self.branch_table(i)?,
            "call" => Action::Call(Box::new(self.call(i)?)),
            "ret" => Action::Return,
            "exit" => Action::Exit,
            "trap" => Action::Trap,
            "brkpt" | "pmevent" | "discard" | "applypriority" | "prefetch" | "prefetchu" | "griddepcontrol"
            | "setmaxnreg" => Action::Nothing,
            "nanosleep" => Action::Yield,
            "bar" | "barrier" if has(i, "warp") => return Ok(false),
            "bar" | "barrier" if !has(i, "cluster") => Action::Barrier(Box::new(self.barrier(i)?)),
            "barrier" => Action::Nothing,
            "membar" | "fence" => Action::Fence(self.fence(i)?),
            _ => return Ok(false),
        };
        let class = match action {
            Action::Barrier(_) | Action::Fence(_) => Class::Barrier,
            Action::Nothing | Action::Yield => Class::Other,
            _ => Class::Control,
        };
        self.emit(action, Operands::default(), class);
        Ok(true)
    }

    /// The index of the syntax instruction that a label stands before.
    fn label(&self, i: &Instruction, operand: &Operand) -> Result<u32, Error> {
        let Operand::Symbol(name, 0) = operand else { return Err(error(i, "a label is expected")) };
        self.label_named(i, name)
    }

    fn label_named(&self, i: &Instruction, name: &str) -> Result<u32, Error> {
        self.labels
            .get(name)
            .map(|index| *index as u32)
            .ok_or_else(|| error(i, format!("label {name} is not in this function")))
    }

    fn branch_table(&mut self, i: &Instruction) -> Result<Action, Error> {
        self.expect_operands(i, &[2])?;
        let register = self.source_any(i, &i.operands[0], Type::U(32))?;
        let Operand::Symbol(name, 0) = &i.operands[1] else {
            return Err(error(i, "the name of .branchtargets is expected"));
        };
        let (_, labels) = (self.body.branch_targets.iter().find(|(known, _)| known == name))
            .ok_or_else(|| error(i, format!("no .branchtargets {name} in this function")))?;
        let targets: Result<Vec<u32>, Error> = labels.iter().map(|label| self.label_named(i, label)).collect();
        Ok(Action::BranchTable(register, targets?.into()))
    }

    fn call(&mut self, i: &Instruction) -> Result<Call, Error> {
        let [Operand::List(results), target, Operand::List(arguments), ..] = i.operands.as_slice() else {
            return Err(error(i, "a call takes results, a function and arguments"));
        };
        let results = self.call_parameters(i, results)?;
        let arguments = self.call_parameters(i, arguments)?;
        let target = match target {
            Operand::Symbol(name, 0) => match (name.as_str(), self.symbols.names.get(name)) {
                ("vprintf", _) => CallTarget::Printf,
                ("__assertfail", _) => CallTarget::AssertFail,
                ("malloc", _) => CallTarget::Malloc,
                ("free", _) => CallTarget::Free,
                (_, Some(Symbol::Function(index))) if self.module.functions[*index].body.is_some() => {
                    CallTarget::Function(*index)
                }
                _ => return Err(error(i, format!("function {name} is not defined in this module: link it in"))),
            },
            register @ Operand::Register(_) => CallTarget::Indirect(self.source_any(i, register, Type::U(64))?),
            _ => return Err(error(i, "a function's name or a register is expected")),
        };
        if let CallTarget::Function(index) = target {
            let callee = &self.module.functions[index];
            if callee.kernel || callee.parameters.len() != arguments.len() || callee.returns.len() != results.len() {
                return Err(error(i, format!("{} takes other arguments or is a kernel", callee.name)));
            }
        }
        Ok(Call { target, arguments, results })
    }

    /// The places of a call's parameters in this function's parameter memory.
    fn call_parameters(&self, i: &Instruction, list: &[Operand]) -> Result<Vec<(usize, usize)>, Error> {
        list.iter()
            .map(|operand| {
                let Operand::Symbol(name, 0) = operand else {
                    return Err(error(i, "the name of a .param variable is expected"));
                };
                let variable = self.body.variables.iter().find(|variable| variable.name == *name);
                match (self.parameters.get(name), variable) {
                    (Some(offset), Some(variable)) => Ok((*offset as usize, variable.size as usize)),
                    _ => Err(error(i, format!("{name} is not a .param variable of this function"))),
                }
            })
            .collect()
    }

    fn barrier(&mut self, i: &Instruction) -> Result<Barrier, Error> {
        only(i, &["sync", "arrive", "red", "aligned", "cta", "popc", "and", "or"])?;
        let (reduces, arrives) = (has(i, "red"), has(i, "arrive"));
        if !reduces && !arrives && !has(i, "sync") {
            return Err(error(i, "a barrier that neither waits, arrives nor reduces"));
        }
        let mut operands = i.operands.iter();
        let result = if reduces { operands.next() } else { None };
        let mut rest: Vec<&Operand> = operands.collect();
        let predicate = if reduces { rest.pop() } else { None };
        if rest.is_empty() || rest.len() > 2 || arrives && rest.len() != 2 {
            return Err(error(i, "the number of a barrier, and for .arrive of its threads, is expected"));
        }
        let number = self.source_any(i, rest[0], Type::U(32))?;
        let threads = rest.get(1).map(|operand| self.source_any(i, operand, Type::U(32))).transpose()?;
        let reduction = match (result, predicate) {
            (Some(result), Some(predicate)) => {
                let guard = self.predicate(i, predicate)?;
                let (kind, result) = if has(i, "popc") {
                    (Reduction::Count, BarrierResult::Count(self.destination_any(i, result)?.0))
                } else {
                    let kind = if has(i, "and") { Reduction::And } else { Reduction::Or };
                    (kind, BarrierResult::Predicate(self.predicate_destination(i, result)?))
                };
                Some((kind, guard, result))
            }
            (None, None) => None,
            _ => return Err(error(i, "a result and a predicate are expected")),
        };
        let aligned = i.opcode == "bar" || has(i, "aligned");
        Ok(Barrier { number, threads, waits: !arrives, aligned, reduction })
    }

    fn fence(&self, i: &Instruction) -> Result<FenceScope, Error> {
        only(i, &["cta", "gl", "gpu", "sys", "cluster", "sc", "acq_rel", "acquire", "release", "level"])?;
        Ok(if has(i, "cta") { FenceScope::Block } else { FenceScope::Device })
    }
}
