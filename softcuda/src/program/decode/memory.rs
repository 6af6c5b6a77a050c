//! Loads, stores, atomics, asynchronous copies and matrix loads.

use super::{Decoder, error, has, only, types};
use crate::program::instruction::{
    Action, AsyncCopy, Atomic, AtomicOp, Class, MatrixTransfer, Operands, Register, Space, Transfer,
};
use crate::ptx::Error;
use crate::ptx::ast::{Instruction, Operand, Type};

const CACHE_WORDS: &[&str] = &[
    "weak",
    "volatile",
    "relaxed",
    "acquire",
    "release",
    "acq_rel",
    "cta",
    "cluster",
    "gpu",
    "sys",
    "ca",
    "cg",
    "cs",
    "lu",
    "cv",
    "wb",
    "wt",
    "nc",
    "global",
    "shared",
    "shared::cta",
    "local",
    "const",
    "param",
    "param::entry",
    "param::func",
    "v2",
    "v4",
    "mmio",
    "L1::evict_normal",
    "L1::evict_unchanged",
    "L1::evict_first",
    "L1::evict_last",
    "L1::no_allocate",
    "L2::64B",
    "L2::128B",
    "L2::256B",
];

impl Decoder<'_> {
    /// Decodes an instruction that touches memory; false for others.
    pub(super) fn memory(&mut self, i: &Instruction) -> Result<bool, Error> {
        match i.opcode.as_str() {
            "ld" | "ldu" => self.transfer(i, true)?,
            "st" => self.transfer(i, false)?,
            "atom" | "red" if !has(i, "async") => self.atomic(i)?,
            "cp" if has(i, "async") && !has(i, "bulk") => self.async_copy(i)?,
            "ldmatrix" | "stmatrix" => self.matrix_transfer(i)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn space(&self, i: &Instruction) -> Space {
        let named = |word: &str| i.modifiers.iter().any(|modifier| modifier.split("::").next() == Some(word));
        match () {
            () if named("shared") => Space::Shared,
            () if named("local") => Space::Local,
            () if named("global") || named("const") => Space::Global,
            () if named("param") && self.kernel => Space::KernelParameter,
            () if named("param") => Space::CallParameter,
            () => Space::Generic,
        }
    }

    fn transfer(&mut self, i: &Instruction, load: bool) -> Result<(), Error> {
        only(i, CACHE_WORDS)?;
        self.expect_operands(i, &[2])?;
        let (data, address) = if load { (&i.operands[0], &i.operands[1]) } else { (&i.operands[1], &i.operands[0]) };
        let ty = *types(i).last().ok_or_else(|| error(i, "the type is missing"))?;
        if ty.bits() > 64 || ty == Type::Pred {
            return Err(error(i, "a type that this driver does not load or store"));
        }
        let (space, address) = self.address(i, address, self.space(i))?;
        let elements = match data {
            Operand::Vector(elements) => elements.as_slice(),
            single => std::slice::from_ref(single),
        };
        let expected = if has(i, "v4") {
            4
        } else if has(i, "v2") {
            2
        } else {
            1
        };
        if elements.len() != expected {
            return Err(error(i, format!("{} registers for a vector of {expected}", elements.len())));
        }
        let mut registers = Vec::new();
        for element in elements {
            let register = if load { self.destination_any(i, element)?.0 } else { self.source_any(i, element, ty)? };
            if ty.bits() == 64 && matches!(register, Register::Word(_)) {
                return Err(error(i, "a register narrower than the type"));
            }
            registers.push(register);
        }
        let strong = ["volatile", "relaxed", "acquire", "release", "mmio"].iter().any(|word| has(i, word));
        let transfer = Box::new(Transfer { space, address, bytes: ty.bytes(), signed: ty.signed(), strong, registers });
        let (action, class) =
            if load { (Action::Load(transfer), Class::Load) } else { (Action::Store(transfer), Class::Store) };
        self.emit(action, Operands { imm: u32::from(has(i, "release")), ..Operands::default() }, class);
        Ok(())
    }

    fn atomic(&mut self, i: &Instruction) -> Result<(), Error> {
        const OPS: [(&str, AtomicOp); 10] = [
            ("add", AtomicOp::Add),
            ("min", AtomicOp::Min),
            ("max", AtomicOp::Max),
            ("and", AtomicOp::And),
            ("or", AtomicOp::Or),
            ("xor", AtomicOp::Xor),
            ("exch", AtomicOp::Exchange),
            ("cas", AtomicOp::CompareAndSwap),
            ("inc", AtomicOp::Increment),
            ("dec", AtomicOp::Decrement),
        ];
        let (_, op) = *OPS
            .iter()
            .find(|(word, _)| has(i, word))
            .ok_or_else(|| error(i, "an atomic operation that this driver does not know"))?;
        let names = OPS.map(|(word, _)| word);
        only(
            i,
            &[
                &names[..],
                &[
                    "noftz",
                    "relaxed",
                    "acquire",
                    "release",
                    "acq_rel",
                    "cta",
                    "cluster",
                    "gpu",
                    "sys",
                    "global",
                    "shared",
                    "shared::cta",
                ],
            ]
            .concat(),
        )?;
        let ty = *types(i).last().ok_or_else(|| error(i, "the type is missing"))?;
        let fits = match ty {
            Type::F(_) | Type::F16x2 | Type::Bf16 | Type::Bf16x2 => op == AtomicOp::Add,
            Type::B(16) => op == AtomicOp::CompareAndSwap,
            Type::U(32 | 64) | Type::S(32 | 64) | Type::B(32 | 64) => true,
            _ => false,
        };
        if !fits {
            return Err(error(i, "an atomic operation on a type that does not have it"));
        }
        let returns = i.opcode == "atom";
        let mut operands = i.operands.as_slice();
        let destination = match operands {
            [first, rest @ ..] if returns => {
                operands = rest;
                Some(self.destination_any(i, first)?.0)
            }
            _ => None,
        };
        let second = op == AtomicOp::CompareAndSwap;
        let [address, values @ ..] = operands else { return Err(error(i, "an address is expected")) };
        if values.len() != if second { 2 } else { 1 } {
            return Err(error(i, "operands that do not fit the operation"));
        }
        let (space, address) = self.address(i, address, self.space(i))?;
        let slot = |decoder: &mut Self, operand| decoder.source(i, operand, ty);
        let kind = if ty.bits() == 64 { Register::Double } else { Register::Word };
        let a = kind(slot(self, &values[0])?);
        let b = if second { kind(slot(self, &values[1])?) } else { a };
        let releases = has(i, "release") || has(i, "acq_rel");
        let atomic = Atomic { space, address, op, ty, destination, a, b, releases };
        self.emit(Action::Atomic(Box::new(atomic)), Operands::default(), Class::Atomic);
        Ok(())
    }

    fn async_copy(&mut self, i: &Instruction) -> Result<(), Error> {
        if has(i, "commit_group") {
            self.emit(Action::AsyncCommit, Operands::default(), Class::Other);
            return Ok(());
        }
        if has(i, "wait_all") {
            self.emit(Action::AsyncWait(None), Operands::default(), Class::Barrier);
            return Ok(());
        }
        if has(i, "wait_group") {
            let groups =
                u32::try_from(self.immediate(i, 0)?).map_err(|_| error(i, "a number of groups is expected"))?;
            self.emit(Action::AsyncWait(Some(groups)), Operands::default(), Class::Barrier);
            return Ok(());
        }
        only(
            i,
            &[
                "async",
                "ca",
                "cg",
                "shared",
                "shared::cta",
                "global",
                "L2::64B",
                "L2::128B",
                "L2::256B",
                "L2::cache_hint",
            ],
        )?;
        self.expect_operands(i, &[3, 4])?;
        let (_, target) = self.address(i, &i.operands[0], Space::Shared)?;
        let (_, source) = self.address(i, &i.operands[1], Space::Global)?;
        let bytes = match self.immediate(i, 2)? {
            bytes @ (4 | 8 | 16) => bytes as u32,
            _ => return Err(error(i, "a copy of 4, 8 or 16 bytes is expected")),
        };
        let (mut source_bytes, mut ignore_source) = (None, None);
        match i.operands.get(3) {
            Some(operand @ Operand::Register(name)) if self.predicate_named(i, name).is_ok() => {
                ignore_source = Some(self.predicate(i, operand)?)
            }
            Some(operand @ Operand::Not(_)) => ignore_source = Some(self.predicate(i, operand)?),
            Some(operand) => source_bytes = Some(self.source_any(i, operand, Type::U(32))?),
            None => {}
        }
        let copy = AsyncCopy { target, source, bytes, source_bytes, ignore_source };
        self.emit(Action::AsyncCopy(Box::new(copy)), Operands::default(), Class::Load);
        Ok(())
    }

    fn matrix_transfer(&mut self, i: &Instruction) -> Result<(), Error> {
        only(i, &["sync", "aligned", "m8n8", "x1", "x2", "x4", "trans", "shared", "shared::cta"])?;
        self.expect_operands(i, &[2])?;
        let store = i.opcode == "stmatrix";
        let (data, address) = if store { (&i.operands[1], &i.operands[0]) } else { (&i.operands[0], &i.operands[1]) };
        let space = self.space(i);
        let (space, address) = self.address(i, address, space)?;
        let elements = match data {
            Operand::Vector(elements) => elements.as_slice(),
            single => std::slice::from_ref(single),
        };
        let expected = if has(i, "x4") {
            4
        } else if has(i, "x2") {
            2
        } else {
            1
        };
        if elements.len() != expected || !has(i, "b16") || !has(i, "m8n8") {
            return Err(error(i, format!("{} registers for {expected} matrices of m8n8.b16", elements.len())));
        }
        let registers: Result<Vec<Register>, Error> = elements
            .iter()
            .map(|element| {
                Ok(Register::Word(if store {
                    self.source(i, element, Type::B(32))?
                } else {
                    self.destination(i, element, Type::B(32))?
                }))
            })
            .collect();
        let transfer = MatrixTransfer { space, address, transposed: has(i, "trans"), registers: registers?, store };
        let class = if store { Class::Store } else { Class::Load };
        self.emit(Action::MatrixTransfer(Box::new(transfer)), Operands::default(), class);
        Ok(())
    }
}
