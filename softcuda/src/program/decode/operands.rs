//! Operands to slots.

use super::{Decoder, error};
use crate::program::instruction::{Address, Guard, Register, Space};
use crate::program::layout::{ALWAYS, Constant, NEVER, SlotKind, Special};
use crate::program::symbols::{CODE_WINDOW, PARAMETER_WINDOW, Symbol};
use crate::ptx::Error;
use crate::ptx::ast::{AddressBase, Instruction, Operand, Type};

/// What a name or an immediate is worth.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// A constant.
    Value(Constant),
    /// Parameters of calls, at this offset.
    CallParameter(u64),
}

impl Decoder<'_> {
    pub(super) fn operand<'i>(&self, instruction: &'i Instruction, index: usize) -> Result<&'i Operand, Error> {
        instruction.operands.get(index).ok_or_else(|| error(instruction, format!("operand {} is missing", index + 1)))
    }

    pub(super) fn expect_operands(&self, instruction: &Instruction, counts: &[usize]) -> Result<(), Error> {
        if counts.contains(&instruction.operands.len()) {
            return Ok(());
        }
        Err(error(instruction, format!("{} operands, where {counts:?} are expected", instruction.operands.len())))
    }

    /// What a name stands for.
    pub(super) fn symbol(&self, instruction: &Instruction, name: &str, offset: i64) -> Result<Place, Error> {
        let plus = |base: u64| base.wrapping_add(offset as u64);
        if let Some(at) = self.local.get(name) {
            return Ok(Place::Value(Constant::Local(plus(*at) as u32)));
        }
        if let Some(at) = self.parameters.get(name) {
            return Ok(Place::CallParameter(plus(*at)));
        }
        let bits = if let Some(at) = self.kernel_parameters.get(name) {
            plus(PARAMETER_WINDOW + at)
        } else if let Some(at) = self.shared.get(name) {
            plus(*at)
        } else if let Some(at) = self.dynamic_shared.get(name) {
            return Ok(Place::Value(Constant::DynamicShared(plus(*at))));
        } else {
            match self.symbols.names.get(name) {
                Some(Symbol::Global(address)) => plus(*address),
                Some(Symbol::Function(index)) => plus(CODE_WINDOW + 16 * *index as u64),
                None => return Err(error(instruction, format!("the name {name} is not declared"))),
            }
        };
        Ok(Place::Value(Constant::Bits(bits)))
    }

    fn constant(&self, instruction: &Instruction, operand: &Operand, ty: Type) -> Result<Constant, Error> {
        Ok(match operand {
            Operand::Integer(value) => match ty {
                // Of a narrow constant only the type's bits are kept, as in a register.
                _ if ty.bits() < 64 => Constant::Bits(*value as u64 & ((1 << ty.bits()) - 1)),
                _ => Constant::Bits(*value as u64),
            },
            Operand::Float32(bits) if ty.bits() == 64 => Constant::Bits(f64::from(f32::from_bits(*bits)).to_bits()),
            Operand::Float32(bits) => Constant::Bits(u64::from(*bits)),
            Operand::Float64(bits) if ty.bits() == 32 => {
                Constant::Bits(u64::from((f64::from_bits(*bits) as f32).to_bits()))
            }
            Operand::Float64(bits) => Constant::Bits(*bits),
            Operand::Symbol(name, offset) => match self.symbol(instruction, name, *offset)? {
                Place::Value(constant) => constant,
                Place::CallParameter(_) => {
                    return Err(error(instruction, format!("the address of parameter {name} is taken")));
                }
            },
            Operand::Register(name) => match Special::parse(name) {
                Some(special) => Constant::Special(special),
                // One cluster holds one block: its ranks are zero and its sizes one.
                None if name.starts_with("%cluster_nctaid") || name.starts_with("%cluster_nctarank") => {
                    Constant::Bits(1)
                }
                None if name.starts_with("%cluster_") || name.starts_with("%envreg") => Constant::Bits(0),
                None => return Err(error(instruction, format!("register {name} is not declared"))),
            },
            _ => return Err(error(instruction, "an operand of a kind that does not belong here")),
        })
    }

    /// A source, in the file of its own register, or as a constant in the file of `ty`.
    pub(super) fn source_any(
        &mut self,
        instruction: &Instruction,
        operand: &Operand,
        ty: Type,
    ) -> Result<Register, Error> {
        if let Operand::Register(name) = operand {
            match self.slots.register(name) {
                Some((SlotKind::Word(slot), _)) => return Ok(Register::Word(slot)),
                Some((SlotKind::Double(slot), _)) => return Ok(Register::Double(slot)),
                Some((SlotKind::Predicate(_), _)) => {
                    return Err(error(instruction, format!("predicate {name} as a number")));
                }
                None => {}
            }
        }
        let constant = self.constant(instruction, operand, ty)?;
        let (slot, kind): (Option<u16>, fn(u16) -> Register) = if ty.bits() == 64 {
            (self.slots.double(constant), Register::Double)
        } else {
            (self.slots.word(constant), Register::Word)
        };
        slot.map(kind).ok_or_else(|| error(instruction, "too many constants in one function"))
    }

    /// A source of type `ty`, in the file of that type.
    pub(super) fn source(&mut self, instruction: &Instruction, operand: &Operand, ty: Type) -> Result<u16, Error> {
        match (self.source_any(instruction, operand, ty)?, ty.bits()) {
            (Register::Word(slot), bits) if bits < 64 => Ok(slot),
            (Register::Double(slot), 64) => Ok(slot),
            _ => Err(error(
                instruction,
                format!("an operand whose register does not have the {} bits of its type", ty.bits()),
            )),
        }
    }

    /// A destination, in the file of its own register.
    pub(super) fn destination_any(
        &self,
        instruction: &Instruction,
        operand: &Operand,
    ) -> Result<(Register, Type), Error> {
        match operand {
            Operand::Sink => Ok((Register::Sink, Type::B(64))),
            Operand::Register(name) => match self.slots.register(name) {
                Some((SlotKind::Word(slot), ty)) => Ok((Register::Word(slot), ty)),
                Some((SlotKind::Double(slot), ty)) => Ok((Register::Double(slot), ty)),
                _ => Err(error(instruction, format!("{name} cannot be a destination here"))),
            },
            _ => Err(error(instruction, "a destination that is no register")),
        }
    }

    /// A destination of type `ty`.
    pub(super) fn destination(&self, instruction: &Instruction, operand: &Operand, ty: Type) -> Result<u16, Error> {
        match (self.destination_any(instruction, operand)?.0, ty.bits()) {
            (Register::Word(slot), bits) if bits < 64 => Ok(slot),
            (Register::Double(slot), 64) => Ok(slot),
            _ => Err(error(instruction, format!("a destination without the {} bits of its type", ty.bits()))),
        }
    }

    pub(super) fn predicate_named(&self, instruction: &Instruction, name: &str) -> Result<u16, Error> {
        match self.slots.register(name) {
            Some((SlotKind::Predicate(slot), _)) => Ok(slot),
            _ => Err(error(instruction, format!("{name} is not a declared predicate"))),
        }
    }

    /// A predicate as a source, perhaps negated, perhaps a constant.
    pub(super) fn predicate(&self, instruction: &Instruction, operand: &Operand) -> Result<Guard, Error> {
        Ok(match operand {
            Operand::Register(name) => Guard { predicate: self.predicate_named(instruction, name)?, negate: 0 },
            Operand::Not(name) => Guard { predicate: self.predicate_named(instruction, name)?, negate: u32::MAX },
            Operand::Integer(value) => Guard { predicate: if *value == 0 { NEVER } else { ALWAYS }, negate: 0 },
            _ => return Err(error(instruction, "an operand that is no predicate")),
        })
    }

    /// A predicate as a destination; `u16::MAX` where it is not wanted.
    pub(super) fn predicate_destination(&self, instruction: &Instruction, operand: &Operand) -> Result<u16, Error> {
        match operand {
            Operand::Sink => Ok(u16::MAX),
            Operand::Register(name) => self.predicate_named(instruction, name),
            _ => Err(error(instruction, "a destination that is no predicate")),
        }
    }

    /// Operand 1, or both parts of `d|p`.
    pub(super) fn destination_pair<'i>(&self, operand: &'i Operand) -> (&'i Operand, Option<&'i Operand>) {
        match operand {
            Operand::Pair(first, second) => (first, Some(second)),
            single => (single, None),
        }
    }

    /// Where an access goes, and in which space: that of the instruction, unless the address names a parameter.
    pub(super) fn address(
        &mut self,
        instruction: &Instruction,
        operand: &Operand,
        space: Space,
    ) -> Result<(Space, Address), Error> {
        let Operand::Address { base, offset } = operand else {
            return Err(error(instruction, "an address in brackets is expected"));
        };
        let absolute = |slots: &mut crate::program::layout::Slots, constant| {
            slots
                .double(constant)
                .map(Register::Double)
                .ok_or_else(|| error(instruction, "too many constants in one function"))
        };
        match base {
            AddressBase::Absolute => {
                Ok((space, Address { base: absolute(&mut self.slots, Constant::Bits(0))?, offset: *offset }))
            }
            AddressBase::Register(name) => {
                let register = self.source_any(instruction, &Operand::Register(name.clone()), Type::U(64))?;
                Ok((space, Address { base: register, offset: *offset }))
            }
            AddressBase::Symbol(name) => match self.symbol(instruction, name, *offset)? {
                Place::CallParameter(at) => {
                    let base = absolute(&mut self.slots, Constant::Bits(at))?;
                    Ok((Space::CallParameter, Address { base, offset: 0 }))
                }
                Place::Value(constant) => {
                    Ok((space, Address { base: absolute(&mut self.slots, constant)?, offset: 0 }))
                }
            },
        }
    }

    pub(super) fn immediate(&self, instruction: &Instruction, index: usize) -> Result<i64, Error> {
        match self.operand(instruction, index)? {
            Operand::Integer(value) => Ok(*value),
            _ => Err(error(instruction, format!("operand {} must be a number", index + 1))),
        }
    }
}
