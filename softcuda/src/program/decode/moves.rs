//! Moves, packing, addresses between spaces, clocks, comparisons and selections.

use super::{Decoder, error, has, only, types};
use crate::exec::ops::{bits, integer, predicate};
use crate::numeric::compare::Comparison;
use crate::program::instruction::{Action, Class, Operands, Space};
use crate::program::layout::{ALWAYS, Constant};
use crate::program::symbols::{LOCAL_WINDOW, SHARED_WINDOW};
use crate::ptx::Error;
use crate::ptx::ast::{Instruction, Operand, Type};

impl Decoder<'_> {
    /// Decodes a move or a comparison; false for others.
    pub(super) fn moves(&mut self, i: &Instruction) -> Result<bool, Error> {
        match i.opcode.as_str() {
            "mov" => self.mov(i)?,
            "cvta" => self.cvta(i)?,
            "isspacep" => self.isspacep(i)?,
            "setp" => self.setp(i)?,
            "set" => self.set(i)?,
            "selp" => self.selp(i)?,
            "slct" => self.slct(i)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn mov(&mut self, i: &Instruction) -> Result<(), Error> {
        self.expect_operands(i, &[2])?;
        let ty = *types(i).last().ok_or_else(|| error(i, "the type is missing"))?;
        match (&i.operands[0], &i.operands[1]) {
            (d, a) if ty == Type::Pred => {
                let guard = self.predicate(i, a)?;
                let d = self.predicate_destination(i, d)?;
                let opcode = if guard.negate == 0 { "mov" } else { "not" };
                let handler = predicate::logic(opcode).ok_or_else(|| error(i, "a move of predicates"))?;
                self.compute(handler, Operands { d, a: guard.predicate, ..Operands::default() }, Class::Predicate);
            }
            (Operand::Vector(parts), a) => self.unpack(i, parts, a, ty)?,
            (d, Operand::Vector(parts)) => self.pack(i, d, parts, ty)?,
            (d, Operand::Register(name)) if name.starts_with("%clock") || name.starts_with("%globaltimer") => {
                let wide = ty.bits() == 64;
                let d = self.destination(i, d, ty)?;
                let high = name.ends_with("_hi");
                self.emit(Action::Clock { wide, high }, Operands { d, ..Operands::default() }, Class::Move);
            }
            (d, a) => {
                let d = self.destination(i, d, ty)?;
                let a = self.source(i, a, ty)?;
                self.compute(bits::copy(ty.bits() == 64), Operands { d, a, ..Operands::default() }, Class::Move);
            }
        }
        Ok(())
    }

    /// `mov.b64 {a, b}, c` and its like.
    fn unpack(&mut self, i: &Instruction, parts: &[Operand], a: &Operand, ty: Type) -> Result<(), Error> {
        let a = self.source(i, a, ty)?;
        let width = self.part_width(i, parts, ty)?;
        if (ty.bits(), parts.len()) == (64, 2) {
            let [d, e] = [&parts[0], &parts[1]].map(|part| match part {
                Operand::Sink => Ok(u16::MAX),
                part => self.destination(i, part, Type::B(32)),
            });
            self.compute(bits::unpack64(), Operands { d: d?, a, e: e?, ..Operands::default() }, Class::Move);
            return Ok(());
        }
        let handler = if ty.bits() == 64 { bits::extract64() } else { bits::extract() };
        // The source may be among the destinations only as the last one, which is written last.
        for (index, part) in parts.iter().enumerate().filter(|(_, part)| !matches!(part, Operand::Sink)) {
            let d = self.destination(i, part, Type::B(16))?;
            self.compute(
                handler,
                Operands { d, a, imm: bits_of_part(width, index), ..Operands::default() },
                Class::Move,
            );
        }
        Ok(())
    }

    /// `mov.b64 c, {a, b}` and its like.
    fn pack(&mut self, i: &Instruction, d: &Operand, parts: &[Operand], ty: Type) -> Result<(), Error> {
        let d = self.destination(i, d, ty)?;
        let width = self.part_width(i, parts, ty)?;
        let mut slots = Vec::new();
        for part in parts {
            slots.push(self.source(i, part, Type::B(if width == 32 { 32 } else { 16 }))?);
        }
        if (ty.bits(), parts.len()) == (64, 2) {
            self.compute(bits::pack64(), Operands { d, a: slots[0], b: slots[1], ..Operands::default() }, Class::Move);
            return Ok(());
        }
        let too_many = || error(i, "too many constants in one function");
        let wide = ty.bits() == 64;
        let zero = if wide { self.slots.double(Constant::Bits(0)) } else { self.slots.word(Constant::Bits(0)) };
        let mut into = zero.ok_or_else(too_many)?;
        let handler = if wide { bits::insert64() } else { bits::insert() };
        for (index, a) in slots.into_iter().enumerate() {
            let imm = bits_of_part(width, index);
            self.compute(handler, Operands { d, a, b: into, imm, ..Operands::default() }, Class::Move);
            into = d;
        }
        Ok(())
    }

    fn part_width(&self, i: &Instruction, parts: &[Operand], ty: Type) -> Result<u32, Error> {
        match (ty.bits(), parts.len() as u32) {
            (64, 2) | (32, 2) | (64, 4) | (32, 4) | (16, 2) => Ok(ty.bits() / parts.len() as u32),
            (bits, count) => Err(error(i, format!("{count} parts of {bits} bits"))),
        }
    }

    fn cvta(&mut self, i: &Instruction) -> Result<(), Error> {
        only(i, &["to", "global", "shared", "shared::cta", "local", "const", "param", "param::entry"])?;
        self.expect_operands(i, &[2])?;
        let window = match () {
            () if has(i, "shared") || has(i, "shared::cta") => SHARED_WINDOW,
            () if has(i, "local") => LOCAL_WINDOW,
            () => 0,
        };
        let d = self.destination(i, &i.operands[0], Type::U(64))?;
        let a = self.source(i, &i.operands[1], Type::U(64))?;
        if window == 0 {
            self.compute(bits::copy(true), Operands { d, a, ..Operands::default() }, Class::Move);
            return Ok(());
        }
        let opcode = if has(i, "to") { "sub" } else { "add" };
        let b =
            self.slots.double(Constant::Bits(window)).ok_or_else(|| error(i, "too many constants in one function"))?;
        let handler =
            integer::binary(opcode, Type::U(64)).ok_or_else(|| error(i, "an address of 64 bits is expected"))?;
        self.compute(handler, Operands { d, a, b, ..Operands::default() }, Class::Move);
        Ok(())
    }

    fn isspacep(&mut self, i: &Instruction) -> Result<(), Error> {
        self.expect_operands(i, &[2])?;
        let space = match () {
            () if has(i, "shared") || has(i, "shared::cta") || has(i, "shared::cluster") => Space::Shared,
            () if has(i, "local") => Space::Local,
            () if has(i, "param") || has(i, "param::entry") => Space::KernelParameter,
            () if has(i, "global") => Space::Global,
            () => return Err(error(i, "a space that this driver cannot tell")),
        };
        let d = self.predicate_destination(i, &i.operands[0])?;
        let register = self.source_any(i, &i.operands[1], Type::U(64))?;
        self.emit(Action::IsSpace(space, register), Operands { d, ..Operands::default() }, Class::Predicate);
        Ok(())
    }

    /// The comparison, the join with a predicate, and the flags of `setp` and `set`.
    fn comparison(&self, i: &Instruction) -> Result<(Comparison, u32), Error> {
        let word = i.modifiers.first().ok_or_else(|| error(i, "the comparison is missing"))?;
        let comparison =
            Comparison::parse(word).ok_or_else(|| error(i, format!("comparison .{word}, which PTX does not have")))?;
        only(i, &[word.as_str(), "and", "or", "xor", "ftz"])?;
        let join = match () {
            () if has(i, "and") => predicate::Join::And,
            () if has(i, "or") => predicate::Join::Or,
            () if has(i, "xor") => predicate::Join::Xor,
            () => predicate::Join::None,
        };
        let flush = if has(i, "ftz") { predicate::FTZ } else { 0 };
        Ok((comparison, join as u32 | flush))
    }

    /// The predicate that a comparison is joined with: its slot, and the flag of its negation.
    fn joined(&self, i: &Instruction, index: usize) -> Result<(u16, u32), Error> {
        let Some(operand) = i.operands.get(index) else { return Ok((ALWAYS, 0)) };
        let guard = self.predicate(i, operand)?;
        Ok((guard.predicate, if guard.negate == 0 { 0 } else { predicate::NEGATE }))
    }

    fn setp(&mut self, i: &Instruction) -> Result<(), Error> {
        let (comparison, mut imm) = self.comparison(i)?;
        self.expect_operands(i, &[if imm & 3 == 0 { 3 } else { 4 }])?;
        let ty = *types(i).last().ok_or_else(|| error(i, "the type is missing"))?;
        let (d, e) = self.destination_pair(&i.operands[0]);
        let d = self.predicate_destination(i, d)?;
        let e = e.map_or(Ok(u16::MAX), |e| self.predicate_destination(i, e))?;
        let (a, b) = (self.source(i, &i.operands[1], ty)?, self.source(i, &i.operands[2], ty)?);
        let (c, negate) = self.joined(i, 3)?;
        imm |= negate;
        let bf16 = if matches!(ty, Type::Bf16 | Type::Bf16x2) { predicate::BF16 } else { 0 };
        let handler = match ty {
            Type::F(16) | Type::Bf16 => Some(predicate::setp_half()),
            Type::F16x2 | Type::Bf16x2 => Some(predicate::setp_pair()),
            Type::F(32) if imm & predicate::FTZ != 0 => Some(predicate::setp_flushed()),
            _ => predicate::setp(comparison, ty),
        };
        let handler = handler.ok_or_else(|| error(i, "a comparison that this type does not have"))?;
        imm |= predicate::comparison_bits(comparison) | bf16;
        self.compute(handler, Operands { d, a, b, c, e, imm }, Class::Predicate);
        Ok(())
    }

    fn set(&mut self, i: &Instruction) -> Result<(), Error> {
        let (comparison, mut imm) = self.comparison(i)?;
        self.expect_operands(i, &[if imm & 3 == 0 { 3 } else { 4 }])?;
        let [to, from] = types(i)[..] else { return Err(error(i, "two types are expected")) };
        let d = self.destination(i, &i.operands[0], to)?;
        let (a, b) = (self.source(i, &i.operands[1], from)?, self.source(i, &i.operands[2], from)?);
        let (c, negate) = self.joined(i, 3)?;
        imm |= negate;
        imm |= match to {
            Type::F(32) => predicate::FLOAT_RESULT,
            Type::F(16) | Type::F16x2 | Type::Bf16 | Type::Bf16x2 => predicate::HALF_RESULT,
            _ => 0,
        };
        if matches!(from, Type::Bf16 | Type::Bf16x2) {
            imm |= predicate::BF16;
        }
        let handler = match from {
            Type::F(16) | Type::Bf16 => Some(predicate::set_half()),
            Type::F16x2 | Type::Bf16x2 if imm & 3 == 0 => Some(predicate::set_pair()),
            Type::F(32) if imm & predicate::FTZ != 0 => Some(predicate::set_flushed()),
            _ => predicate::set(comparison, from),
        };
        let handler = handler.ok_or_else(|| error(i, "a comparison that this type does not have"))?;
        imm |= predicate::comparison_bits(comparison);
        self.compute(handler, Operands { d, a, b, c, imm, ..Operands::default() }, Class::Predicate);
        if matches!(to, Type::U(16) | Type::S(16)) {
            self.compute(bits::extract(), Operands { d, a: d, imm: 16 << 16, ..Operands::default() }, Class::Predicate);
        }
        Ok(())
    }

    fn selp(&mut self, i: &Instruction) -> Result<(), Error> {
        only(i, &[])?;
        self.expect_operands(i, &[4])?;
        let ty = *types(i).last().ok_or_else(|| error(i, "the type is missing"))?;
        let d = self.destination(i, &i.operands[0], ty)?;
        let (a, b) = (self.source(i, &i.operands[1], ty)?, self.source(i, &i.operands[2], ty)?);
        let guard = self.predicate(i, &i.operands[3])?;
        let imm = if guard.negate == 0 { 0 } else { predicate::NEGATE };
        let operands = Operands { d, a, b, c: guard.predicate, imm, ..Operands::default() };
        self.compute(predicate::select(ty.bits() == 64), operands, Class::Predicate);
        Ok(())
    }

    fn slct(&mut self, i: &Instruction) -> Result<(), Error> {
        only(i, &["ftz"])?;
        self.expect_operands(i, &[4])?;
        let [ty, by] = types(i)[..] else { return Err(error(i, "two types are expected")) };
        let d = self.destination(i, &i.operands[0], ty)?;
        let (a, b) = (self.source(i, &i.operands[1], ty)?, self.source(i, &i.operands[2], ty)?);
        let c = self.source(i, &i.operands[3], by)?;
        let imm = if has(i, "ftz") { predicate::FTZ } else { 0 };
        let handler = predicate::select_by_sign(ty.bits() == 64, by == Type::F(32));
        self.compute(handler, Operands { d, a, b, c, imm, ..Operands::default() }, Class::Predicate);
        Ok(())
    }
}

/// Which part of a packed register a step moves: its width in the upper half, its first bit in the lower.
fn bits_of_part(width: u32, index: usize) -> u32 {
    (width << 16) | (index as u32 * width)
}
