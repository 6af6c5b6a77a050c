//! Arithmetic, logic and conversions.

use super::{Decoder, error, has, only, types};
use crate::exec::ops::{Handler, bits, convert, float, half, integer, predicate};
use crate::numeric::Rounding;
use crate::numeric::float::Property;
use crate::numeric::integer::{Limit, PermuteMode};
use crate::program::instruction::{Class, Operands, Register};
use crate::program::layout::SlotKind;
use crate::ptx::Error;
use crate::ptx::ast::{Instruction, Operand, Type};

const ROUNDINGS: [&str; 5] = ["rn", "rz", "rm", "rp", "rna"];
const FLOAT_WORDS: &[&str] = &["rn", "rz", "rm", "rp", "ftz", "sat", "NaN", "xorsign", "abs", "relu", "approx", "full"];

/// What an instruction of arithmetic does: its handler with its immediate, and what it counts as.
struct Step {
    handler: Handler,
    imm: u32,
    class: Class,
    flops: u32,
}

impl Step {
    /// One that has no floating-point operations.
    fn new(handler: Handler, imm: u32, class: Class) -> Step {
        Step { handler, imm, class, flops: 0 }
    }
}

impl Decoder<'_> {
    /// Decodes arithmetic; false for others.
    pub(super) fn arithmetic(&mut self, i: &Instruction) -> Result<bool, Error> {
        let Some(&ty) = types(i).first() else { return Ok(false) };
        match (i.opcode.as_str(), ty) {
            ("cvt", _) => self.cvt(i)?,
            ("and" | "or" | "xor" | "not", Type::Pred) => self.predicate_logic(i)?,
            ("testp", _) => self.testp(i, ty)?,
            (_, Type::F(16) | Type::F16x2 | Type::Bf16 | Type::Bf16x2) => return self.half_arithmetic(i, ty),
            (_, Type::F(32)) => return self.float32(i),
            (_, Type::F(64)) => return self.float64(i),
            _ => return self.integer(i, ty),
        }
        Ok(true)
    }

    /// Emits `d = f(a, ...)`, operands being of types `from` and the result of type `to`.
    fn apply(&mut self, i: &Instruction, step: Step, to: Type, from: &[Type]) -> Result<(), Error> {
        self.expect_operands(i, &[from.len() + 1])?;
        let d = self.destination(i, &i.operands[0], to)?;
        let mut slots = [0; 4];
        for (index, ty) in from.iter().enumerate() {
            slots[index] = self.source(i, &i.operands[index + 1], *ty)?;
        }
        let [a, b, c, e] = slots;
        self.compute_counted(step.handler, Operands { d, a, b, c, e, imm: step.imm }, step.class, step.flops);
        Ok(())
    }

    fn float_flags(&self, i: &Instruction) -> u32 {
        let rounding =
            i.modifiers.iter().filter(|word| ROUNDINGS.contains(&word.as_str())).find_map(|word| Rounding::parse(word));
        let flag = |word: &str, bit: u32| if has(i, word) { bit } else { 0 };
        float::rounding_bits(rounding.unwrap_or(Rounding::NearestEven))
            | flag("ftz", float::FTZ)
            | flag("sat", float::SAT)
            | flag("NaN", float::NAN)
            | flag("xorsign", float::XORSIGN)
            | flag("relu", half::RELU)
    }

    fn float32(&mut self, i: &Instruction) -> Result<bool, Error> {
        let (opcode, imm, ty) = (i.opcode.as_str(), self.float_flags(i), Type::F(32));
        let approximate = has(i, "approx") || has(i, "full");
        let (handler, sources, class, flops) = match opcode {
            "add" | "sub" | "mul" => (float::binary32(opcode, imm), 2, Class::Float32, 1),
            "fma" | "mad" => (Some(float::fma32(imm)), 3, Class::Float32, 2),
            "div" if approximate => (float::approximate32(opcode, has(i, "full")), 2, Class::Special, 1),
            "div" => (float::binary32(opcode, imm), 2, Class::Float32, 1),
            "rcp" | "sqrt" if !approximate => (float::unary32(opcode, imm), 1, Class::Float32, 1),
            "rcp" | "sqrt" | "rsqrt" | "ex2" | "lg2" | "sin" | "cos" | "tanh" => {
                (float::approximate32(opcode, false), 1, Class::Special, 1)
            }
            "min" | "max" if i.operands.len() == 4 => {
                (Some(float::minmax32_of_three(opcode, imm)), 3, Class::Float32, 0)
            }
            "min" | "max" => (Some(float::minmax32(opcode, imm)), 2, Class::Float32, 0),
            "abs" | "neg" => (float::sign32(opcode, imm), 1, Class::Float32, 0),
            "copysign" => (float::sign32(opcode, imm), 2, Class::Float32, 0),
            _ => return Ok(false),
        };
        only(i, FLOAT_WORDS)?;
        let Some(handler) = handler else { return Ok(false) };
        self.apply(i, Step { handler, imm, class, flops }, ty, &[ty; 3][..sources])?;
        Ok(true)
    }

    fn float64(&mut self, i: &Instruction) -> Result<bool, Error> {
        let (opcode, imm, ty) = (i.opcode.as_str(), self.float_flags(i), Type::F(64));
        let (handler, sources, flops) = match opcode {
            "add" | "sub" | "mul" | "div" => (float::binary64(opcode, imm), 2, 1),
            "min" | "max" | "copysign" => (float::binary64(opcode, imm), 2, 0),
            "fma" | "mad" => (Some(float::fma64(imm)), 3, 2),
            "rcp" | "rsqrt" if has(i, "approx") => (float::approximate64(opcode, has(i, "ftz")), 1, 1),
            "rcp" | "sqrt" => (float::unary64(opcode, imm), 1, 1),
            "abs" | "neg" => (float::unary64(opcode, imm), 1, 0),
            _ => return Ok(false),
        };
        only(i, FLOAT_WORDS)?;
        let Some(handler) = handler else { return Ok(false) };
        self.apply(i, Step { handler, imm, class: Class::Float64, flops }, ty, &[ty; 3][..sources])?;
        Ok(true)
    }

    fn half_arithmetic(&mut self, i: &Instruction, ty: Type) -> Result<bool, Error> {
        let (opcode, imm) = (i.opcode.as_str(), self.float_flags(i));
        let bf16 = matches!(ty, Type::Bf16 | Type::Bf16x2);
        let pair = matches!(ty, Type::F16x2 | Type::Bf16x2);
        let (handler, sources, flops) = match opcode {
            "add" | "sub" | "mul" => (half::binary(opcode, bf16, pair, imm), 2, 1),
            "min" | "max" => (half::binary(opcode, bf16, pair, imm), 2, 0),
            "fma" => (Some(half::fma(bf16, pair)), 3, 2),
            "neg" | "abs" => (half::unary(opcode, bf16, pair), 1, 0),
            "ex2" | "tanh" => (half::unary(opcode, bf16, pair), 1, 1),
            _ => return Ok(false),
        };
        only(i, FLOAT_WORDS)?;
        let Some(handler) = handler else { return Ok(false) };
        let flops = if pair { 2 * flops } else { flops };
        self.apply(i, Step { handler, imm, class: Class::Float16, flops }, ty, &[ty; 3][..sources])?;
        Ok(true)
    }

    fn integer(&mut self, i: &Instruction, ty: Type) -> Result<bool, Error> {
        let word = Type::U(32);
        let (handler, to, from): (Option<Handler>, Type, Vec<Type>) = match i.opcode.as_str() {
            "add" | "sub" | "addc" | "subc" if has(i, "cc") || i.opcode.ends_with('c') => return self.carry(i, ty),
            "mad" | "madc" if has(i, "cc") || i.opcode == "madc" => return self.mad_carry(i, ty),
            "add" | "sub" if has(i, "sat") => {
                (integer::saturating(&i.opcode).filter(|_| ty == Type::S(32)), ty, vec![ty; 2])
            }
            "mul" if has(i, "wide") => (integer::mul_wide(ty), widened(ty), vec![ty; 2]),
            "mul" if has(i, "hi") => (integer::mul_hi(ty), ty, vec![ty; 2]),
            "mad" if has(i, "wide") => (integer::mad_wide(ty), widened(ty), vec![ty, ty, widened(ty)]),
            "mad" if has(i, "hi") => (integer::mad_hi(ty, has(i, "sat")), ty, vec![ty; 3]),
            "mad" => (integer::mad_lo(ty), ty, vec![ty; 3]),
            "mul24" | "mad24" => {
                let half = if has(i, "hi") { "hi" } else { "lo" };
                let sources = if i.opcode == "mul24" { 2 } else { 3 };
                (integer::product24(&i.opcode, half, ty, has(i, "sat")), ty, vec![ty; sources])
            }
            "add" | "sub" | "mul" | "min" | "max" | "and" | "or" | "xor" => {
                (integer::binary(&i.opcode, ty), ty, vec![ty; 2])
            }
            "div" | "rem" => (integer::quotient(&i.opcode, ty), ty, vec![ty; 2]),
            "abs" | "neg" | "not" | "cnot" => (integer::unary(&i.opcode, ty), ty, vec![ty]),
            "sad" => (integer::sad(ty), ty, vec![ty; 3]),
            "shl" | "shr" => (bits::shift(&i.opcode, ty), ty, vec![ty, word]),
            "shf" => {
                let limit = if has(i, "wrap") { Limit::Wrap } else { Limit::Clamp };
                (Some(bits::funnel_shift(has(i, "l"), limit)), ty, vec![word; 3])
            }
            "bfe" => (bits::extract_field(ty), ty, vec![ty, word, word]),
            "bfi" => (bits::insert_field(ty), ty, vec![ty, ty, word, word]),
            "bfind" => (bits::find_leading(ty, has(i, "shiftamt")), word, vec![ty]),
            "brev" => (bits::count(&i.opcode, ty), ty, vec![ty]),
            "clz" | "popc" => (bits::count(&i.opcode, ty), word, vec![ty]),
            "prmt" => {
                let mode = i.modifiers.iter().find_map(|word| PermuteMode::parse(word)).unwrap_or(PermuteMode::Index);
                (Some(bits::permute(mode)), ty, vec![word; 3])
            }
            "lop3" => return self.lop3(i),
            "szext" => (bits::sign_extend(ty, limit(i)), ty, vec![ty, word]),
            "bmsk" => (Some(bits::mask(limit(i))), ty, vec![word; 2]),
            "fns" => (Some(bits::find_nth_set()), ty, vec![word, word, Type::S(32)]),
            "dp4a" | "dp2a" => return self.dot_product(i),
            _ => return Ok(false),
        };
        only(
            i,
            &[
                "lo", "hi", "wide", "sat", "l", "r", "wrap", "clamp", "shiftamt", "f4e", "b4e", "rc8", "ecl", "ecr",
                "rc16",
            ],
        )?;
        let Some(handler) = handler else { return Ok(false) };
        self.apply(i, Step::new(handler, 0, Class::Integer), to, &from)?;
        Ok(true)
    }

    fn carry_flags(&self, i: &Instruction) -> u32 {
        let takes = if i.opcode.ends_with('c') { integer::CARRY_IN } else { 0 };
        takes | if has(i, "cc") { integer::CARRY_OUT } else { 0 }
    }

    fn carry(&mut self, i: &Instruction, ty: Type) -> Result<bool, Error> {
        only(i, &["cc"])?;
        let Some(handler) = integer::carrying(&i.opcode, ty) else { return Ok(false) };
        self.apply(i, Step::new(handler, self.carry_flags(i), Class::Integer), ty, &[ty; 2])?;
        Ok(true)
    }

    fn mad_carry(&mut self, i: &Instruction, ty: Type) -> Result<bool, Error> {
        only(i, &["cc", "lo", "hi"])?;
        let half = if has(i, "hi") { "hi" } else { "lo" };
        let Some(handler) = integer::mad_carrying(half, ty) else { return Ok(false) };
        self.apply(i, Step::new(handler, self.carry_flags(i), Class::Integer), ty, &[ty; 3])?;
        Ok(true)
    }

    fn lop3(&mut self, i: &Instruction) -> Result<bool, Error> {
        only(i, &[])?;
        self.expect_operands(i, &[5])?;
        let table = u32::try_from(self.immediate(i, 4)?).ok().filter(|table| *table < 256);
        let imm = table.ok_or_else(|| error(i, "a table from 0 to 255 is expected"))?;
        let ty = Type::B(32);
        let d = self.destination(i, &i.operands[0], ty)?;
        let [a, b, c] = [1, 2, 3].map(|index| self.source(i, &i.operands[index], ty));
        self.compute(bits::lop3(), Operands { d, a: a?, b: b?, c: c?, imm, ..Operands::default() }, Class::Integer);
        Ok(true)
    }

    fn dot_product(&mut self, i: &Instruction) -> Result<bool, Error> {
        only(i, &["lo", "hi"])?;
        let [a, b] = types(i)[..] else { return Err(error(i, "two types are expected")) };
        let imm = u32::from(a.signed()) | u32::from(b.signed()) << 1 | u32::from(has(i, "hi")) << 2;
        let handler = if i.opcode == "dp4a" { integer::dp4a() } else { integer::dp2a() };
        self.apply(i, Step::new(handler, imm, Class::Integer), Type::B(32), &[Type::B(32); 3])?;
        Ok(true)
    }

    fn predicate_logic(&mut self, i: &Instruction) -> Result<(), Error> {
        only(i, &[])?;
        let d = self.predicate_destination(i, self.operand(i, 0)?)?;
        let unary = i.opcode == "not";
        self.expect_operands(i, &[if unary { 2 } else { 3 }])?;
        let a = self.predicate(i, &i.operands[1])?;
        let b = if unary { Self::always() } else { self.predicate(i, &i.operands[2])? };
        if a.negate != 0 || b.negate != 0 {
            return Err(error(i, "a negated predicate as an operand"));
        }
        let handler = predicate::logic(&i.opcode).ok_or_else(|| error(i, "logic that predicates do not have"))?;
        self.compute(handler, Operands { d, a: a.predicate, b: b.predicate, ..Operands::default() }, Class::Predicate);
        Ok(())
    }

    fn testp(&mut self, i: &Instruction, ty: Type) -> Result<(), Error> {
        self.expect_operands(i, &[2])?;
        let property = i
            .modifiers
            .iter()
            .find_map(|word| Property::parse(word))
            .ok_or_else(|| error(i, "the property is missing"))?;
        if !matches!(ty, Type::F(32 | 64)) {
            return Err(error(i, "f32 or f64 is expected"));
        }
        let d = self.predicate_destination(i, &i.operands[0])?;
        let a = self.source(i, &i.operands[1], ty)?;
        let handler = float::test_property(property, ty.bits() == 64);
        self.compute(handler, Operands { d, a, b: a, ..Operands::default() }, Class::Predicate);
        Ok(())
    }

    fn cvt(&mut self, i: &Instruction) -> Result<(), Error> {
        const WORDS: &[&str] = &[
            "rn",
            "rz",
            "rm",
            "rp",
            "rna",
            "rni",
            "rzi",
            "rmi",
            "rpi",
            "ftz",
            "sat",
            "satfinite",
            "relu",
            "e4m3x2",
            "e5m2x2",
            "pack",
        ];
        only(i, WORDS)?;
        if has(i, "pack") {
            return Err(error(i, "a conversion that this driver does not know"));
        }
        let rounding = i.modifiers.iter().find_map(|word| Rounding::parse(word)).unwrap_or(Rounding::NearestEven);
        let integral = ["rni", "rzi", "rmi", "rpi"].iter().any(|word| has(i, word));
        let flag = |word: &str, bit: u32| if has(i, word) { bit } else { 0 };
        let imm = float::rounding_bits(rounding)
            | flag("ftz", float::FTZ)
            | flag("sat", convert::SATURATE)
            | flag("satfinite", convert::SATFINITE)
            | flag("relu", half::RELU)
            | if integral { convert::INTEGRAL } else { 0 };
        for (word, e5m2) in [("e4m3x2", false), ("e5m2x2", true)] {
            if has(i, word) {
                return self.cvt_fp8(i, e5m2, imm);
            }
        }
        match types(i)[..] {
            [to @ (Type::F16x2 | Type::Bf16x2), from @ Type::F(32)] => {
                self.apply(i, Step::new(half::pack(to == Type::Bf16x2), imm, Class::Conversion), to, &[from; 2])
            }
            [to, from] => self.convert(i, to, from, imm),
            _ => Err(error(i, "two types are expected")),
        }
    }

    fn cvt_fp8(&mut self, i: &Instruction, e5m2: bool, imm: u32) -> Result<(), Error> {
        match types(i)[..] {
            [from @ Type::F(32)] => {
                self.apply(i, Step::new(convert::pack_fp8(e5m2), imm, Class::Conversion), Type::B(16), &[from; 2])
            }
            [to @ Type::F16x2] => {
                self.apply(i, Step::new(convert::unpack_fp8(e5m2), imm, Class::Conversion), to, &[Type::B(16)])
            }
            _ => Err(error(i, "a conversion that this driver does not know")),
        }
    }

    /// A conversion of one number; registers may be wider than their types.
    fn convert(&mut self, i: &Instruction, to: Type, from: Type, imm: u32) -> Result<(), Error> {
        self.expect_operands(i, &[2])?;
        let (d, register) = self.destination_any(i, &i.operands[0])?;
        let a = self.source_any(i, &i.operands[1], from)?;
        let source_bits = match &i.operands[1] {
            Operand::Register(name) => match self.slots.register(name) {
                Some((SlotKind::Word(_) | SlotKind::Double(_), ty)) => ty.bits(),
                _ => from.bits(),
            },
            _ => from.bits(),
        };
        let width = register.bits().max(16);
        if width < to.bits() || source_bits < from.bits() {
            return Err(error(i, "a register narrower than its type"));
        }
        let imm =
            convert::conversion_bits(to, from, width, imm).ok_or_else(|| error(i, "types that cannot be converted"))?;
        let ((d, to_wide), (a, from_wide)) = match (d, a) {
            (Register::Sink, _) | (_, Register::Sink) => return Err(error(i, "a register is expected")),
            (d, a) => (slot_and_width(d), slot_and_width(a)),
        };
        let handler = convert::convert(to, from, from_wide, to_wide, imm);
        self.compute(handler, Operands { d, a, imm, ..Operands::default() }, Class::Conversion);
        Ok(())
    }
}

fn slot_and_width(register: Register) -> (u16, bool) {
    match register {
        Register::Word(slot) => (slot, false),
        Register::Double(slot) => (slot, true),
        Register::Sink => (0, false),
    }
}

fn limit(i: &Instruction) -> Limit {
    if has(i, "wrap") { Limit::Wrap } else { Limit::Clamp }
}

/// The type of twice the width.
fn widened(ty: Type) -> Type {
    match ty {
        Type::U(bits) => Type::U(bits.saturating_mul(2)),
        Type::S(bits) => Type::S(bits.saturating_mul(2)),
        other => other,
    }
}
