//! What the lanes of a warp do together.

use super::{Decoder, error, has, only, types};
use crate::numeric::mma::Variant;
use crate::program::instruction::{
    Action, Class, Guard, MatrixProduct, Operands, Reduction, Register, ShuffleMode, VoteMode, WarpOp,
};
use crate::program::layout::ALWAYS;
use crate::ptx::Error;
use crate::ptx::ast::{Instruction, Operand, Type};

impl Decoder<'_> {
    /// Decodes an exchange between lanes; false for others.
    pub(super) fn warp(&mut self, i: &Instruction) -> Result<bool, Error> {
        match i.opcode.as_str() {
            "shfl" => self.shuffle(i)?,
            "vote" => self.vote(i)?,
            "match" => self.matching(i)?,
            "redux" => self.redux(i)?,
            "activemask" => {
                let d = self.destination(i, self.operand(i, 0)?, Type::B(32))?;
                self.emit(Action::Warp(WarpOp::ActiveMask, None), Operands { d, ..Operands::default() }, Class::Warp);
            }
            "elect" => {
                self.expect_operands(i, &[2])?;
                let (d, e) = self.destination_pair(&i.operands[0]);
                let d = if matches!(d, Operand::Sink) { u16::MAX } else { self.destination(i, d, Type::B(32))? };
                let e = e.map_or(Ok(0), |e| self.predicate_destination(i, e))?;
                let members = Some(self.source_any(i, &i.operands[1], Type::B(32))?);
                self.emit(Action::Warp(WarpOp::Elect, members), Operands { d, e, ..Operands::default() }, Class::Warp);
            }
            "bar" | "barrier" => {
                only(i, &["warp", "sync"])?;
                let members = Some(self.source_any(i, self.operand(i, 0)?, Type::B(32))?);
                self.emit(Action::Warp(WarpOp::Synchronise, members), Operands::default(), Class::Barrier);
            }
            "mma" => self.product(i)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The operand that names the lanes which must come together; all where the old form has none.
    fn members(&mut self, i: &Instruction, index: usize) -> Result<Option<Register>, Error> {
        if !has(i, "sync") {
            return Ok(None);
        }
        let operand = self.operand(i, index)?;
        Ok(Some(self.source_any(i, operand, Type::B(32))?))
    }

    fn shuffle(&mut self, i: &Instruction) -> Result<(), Error> {
        only(i, &["sync", "up", "down", "bfly", "idx"])?;
        let mode = match () {
            () if has(i, "up") => ShuffleMode::Up,
            () if has(i, "down") => ShuffleMode::Down,
            () if has(i, "bfly") => ShuffleMode::Butterfly,
            () => ShuffleMode::Index,
        };
        self.expect_operands(i, &[4, 5])?;
        let (d, p) = self.destination_pair(&i.operands[0]);
        let d = self.destination(i, d, Type::B(32))?;
        let e = p.map_or(Ok(u16::MAX), |p| self.predicate_destination(i, p))?;
        let [a, b, c] = [1, 2, 3].map(|index| self.source(i, &i.operands[index], Type::B(32)));
        let members = self.members(i, 4)?;
        let operands = Operands { d, a: a?, b: b?, c: c?, e, imm: 0 };
        self.emit(Action::Warp(WarpOp::Shuffle(mode), members), operands, Class::Warp);
        Ok(())
    }

    fn vote(&mut self, i: &Instruction) -> Result<(), Error> {
        only(i, &["sync", "all", "any", "uni", "ballot"])?;
        let mode = match () {
            () if has(i, "all") => VoteMode::All,
            () if has(i, "any") => VoteMode::Any,
            () if has(i, "uni") => VoteMode::Uniform,
            () => VoteMode::Ballot,
        };
        self.expect_operands(i, &[2, 3])?;
        let d = match mode {
            VoteMode::Ballot => self.destination(i, &i.operands[0], Type::B(32))?,
            _ => self.predicate_destination(i, &i.operands[0])?,
        };
        let predicate = self.predicate(i, &i.operands[1])?;
        let members = self.members(i, 2)?;
        self.emit(
            Action::Warp(WarpOp::Vote(mode, predicate), members),
            Operands { d, ..Operands::default() },
            Class::Warp,
        );
        Ok(())
    }

    fn matching(&mut self, i: &Instruction) -> Result<(), Error> {
        only(i, &["sync", "any", "all"])?;
        self.expect_operands(i, &[3])?;
        let ty = *types(i).last().ok_or_else(|| error(i, "the type is missing"))?;
        let (d, p) = self.destination_pair(&i.operands[0]);
        let d = self.destination(i, d, Type::B(32))?;
        let e = p.map_or(Ok(u16::MAX), |p| self.predicate_destination(i, p))?;
        let a = self.source(i, &i.operands[1], ty)?;
        let members = self.members(i, 2)?;
        let wide = ty.bits() == 64;
        let op = if has(i, "all") { WarpOp::MatchAll(wide) } else { WarpOp::MatchAny(wide) };
        self.emit(Action::Warp(op, members), Operands { d, a, e, ..Operands::default() }, Class::Warp);
        Ok(())
    }

    fn redux(&mut self, i: &Instruction) -> Result<(), Error> {
        only(i, &["sync", "add", "min", "max", "and", "or", "xor"])?;
        self.expect_operands(i, &[3])?;
        let ty = *types(i).last().ok_or_else(|| error(i, "the type is missing"))?;
        let reduction = match (i.modifiers.get(1).map(String::as_str), ty) {
            (Some("add"), Type::U(32) | Type::S(32)) => Reduction::Add,
            (Some("min"), Type::U(32)) => Reduction::MinUnsigned,
            (Some("max"), Type::U(32)) => Reduction::MaxUnsigned,
            (Some("min"), Type::S(32)) => Reduction::MinSigned,
            (Some("max"), Type::S(32)) => Reduction::MaxSigned,
            (Some("and"), Type::B(32)) => Reduction::And,
            (Some("or"), Type::B(32)) => Reduction::Or,
            (Some("xor"), Type::B(32)) => Reduction::Xor,
            _ => return Err(error(i, "a reduction that this driver does not know")),
        };
        let d = self.destination(i, &i.operands[0], ty)?;
        let a = self.source(i, &i.operands[1], ty)?;
        let members = self.members(i, 2)?;
        self.emit(
            Action::Warp(WarpOp::Reduce(reduction), members),
            Operands { d, a, ..Operands::default() },
            Class::Warp,
        );
        Ok(())
    }

    fn product(&mut self, i: &Instruction) -> Result<(), Error> {
        let words: Vec<&str> = i.modifiers.iter().map(String::as_str).collect();
        let variant =
            Variant::parse(&words).ok_or_else(|| error(i, "a shape or types of mma that this driver does not know"))?;
        self.expect_operands(i, &[4])?;
        let wide = has(i, "f64");
        let ty = if wide { Type::F(64) } else { Type::B(32) };
        let counts = [variant.registers_c(), variant.registers_a(), variant.registers_b(), variant.registers_c()];
        let mut lists = Vec::new();
        for (index, count) in counts.into_iter().enumerate() {
            let elements = match &i.operands[index] {
                Operand::Vector(elements) => elements.as_slice(),
                single => std::slice::from_ref(single),
            };
            let count = if wide { count / 2 } else { count };
            if elements.len() != count {
                return Err(error(i, format!("{} registers where the shape has {count}", elements.len())));
            }
            let kind = if wide { Register::Double } else { Register::Word };
            let mut registers = Vec::new();
            for element in elements {
                registers.push(kind(if index == 0 {
                    self.destination(i, element, ty)?
                } else {
                    self.source(i, element, ty)?
                }));
            }
            lists.push(registers);
        }
        let mut lists = lists.into_iter();
        let [Some(d), Some(a), Some(b), Some(c)] = [lists.next(), lists.next(), lists.next(), lists.next()] else {
            return Err(error(i, "four operands are expected"));
        };
        let shape = variant.shape();
        let flops = (2 * shape.m * shape.n * shape.k / 32) as u32;
        let product = MatrixProduct { variant, d, a, b, c };
        let members = Action::MatrixProduct(Box::new(product));
        self.emit_counted(members, Operands::default(), Class::Matrix, flops);
        Ok(())
    }

    /// A guard that always holds.
    pub(super) fn always() -> Guard {
        Guard { predicate: ALWAYS, negate: 0 }
    }
}
