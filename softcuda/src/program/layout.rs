//! Slots for the registers, constants and special registers of a function, and its parameter and local memory.

use super::instruction::Register;
use crate::exec::frame::{Frame, LANES, Lanes};
use crate::ptx::ast::{Type, Variable};
use std::collections::HashMap;

/// A register that the hardware provides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Special {
    /// `%tid`, by axis.
    Thread(u8),
    /// `%ntid`.
    BlockSize(u8),
    /// `%ctaid`.
    Block(u8),
    /// `%nctaid`.
    GridSize(u8),
    /// `%laneid`.
    Lane,
    /// `%warpid`.
    Warp,
    /// `%nwarpid`.
    Warps,
    /// `%smid`.
    Multiprocessor,
    /// `%nsmid`.
    Multiprocessors,
    /// `%gridid`.
    Grid,
    /// `%lanemask_eq`, `lt`, `le`, `gt`, `ge`, in this order.
    LaneMask(u8),
    /// `%dynamic_smem_size`.
    DynamicShared,
    /// `%total_smem_size`.
    TotalShared,
}

impl Special {
    /// The special register of that name (with its percent sign); none for others.
    pub fn parse(name: &str) -> Option<Special> {
        let (base, axis) = match name.rsplit_once('.') {
            Some((base, "x")) => (base, 0),
            Some((base, "y")) => (base, 1),
            Some((base, "z")) => (base, 2),
            _ => (name, 3),
        };
        Some(match (base, axis) {
            ("%tid", 0..3) => Special::Thread(axis),
            ("%ntid", 0..3) => Special::BlockSize(axis),
            ("%ctaid" | "%clusterid", 0..3) => Special::Block(axis),
            ("%nctaid" | "%nclusterid", 0..3) => Special::GridSize(axis),
            ("%laneid", 3) => Special::Lane,
            ("%warpid", 3) => Special::Warp,
            ("%nwarpid", 3) => Special::Warps,
            ("%smid", 3) => Special::Multiprocessor,
            ("%nsmid", 3) => Special::Multiprocessors,
            ("%gridid", 3) => Special::Grid,
            ("%lanemask_eq", 3) => Special::LaneMask(0),
            ("%lanemask_lt", 3) => Special::LaneMask(1),
            ("%lanemask_le", 3) => Special::LaneMask(2),
            ("%lanemask_gt", 3) => Special::LaneMask(3),
            ("%lanemask_ge", 3) => Special::LaneMask(4),
            ("%dynamic_smem_size", 3) => Special::DynamicShared,
            ("%total_smem_size", 3) => Special::TotalShared,
            _ => return None,
        })
    }
}

/// A value that a slot has from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Constant {
    /// Bits.
    Bits(u64),
    /// A special register.
    Special(Special),
    /// An address in the thread's local memory: bytes from this call's first one.
    Local(u32),
    /// An offset in shared memory behind the kernel's static part, plus bytes.
    DynamicShared(u64),
}

/// A predicate that always holds.
pub const ALWAYS: u16 = 1;
/// A predicate that never holds.
pub const NEVER: u16 = 2;

/// The slots of one function.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// Registers of up to 32 bits proper; constants follow.
    pub words: usize,
    /// Registers of 64 bits proper.
    pub doubles: usize,
    /// Predicates.
    pub predicates: usize,
    /// Constants behind the words.
    pub word_constants: Vec<Constant>,
    /// Constants behind the doubles.
    pub double_constants: Vec<Constant>,
    /// Bytes of parameters of calls for each lane.
    pub parameter_bytes: usize,
    /// Bytes of local memory for each lane.
    pub local_bytes: u32,
}

impl Layout {
    /// A frame of zeros for this function; constants are not filled in.
    pub fn frame(&self, function: usize) -> Frame {
        let words = self.words + self.word_constants.len();
        let doubles = self.doubles + self.double_constants.len();
        let mut predicates = vec![0; self.predicates];
        predicates[usize::from(ALWAYS)] = u32::MAX;
        Frame {
            words: vec![Lanes([0; LANES]); words],
            doubles: vec![Lanes([0; LANES]); doubles],
            predicates,
            parameters: vec![0; self.parameter_bytes * LANES],
            parameter_stride: self.parameter_bytes,
            function,
            ..Frame::default()
        }
    }
}

/// Gives out the slots while a function is decoded.
#[derive(Debug, Default)]
pub struct Slots {
    layout: Layout,
    registers: HashMap<String, (SlotKind, Type)>,
    word_constants: HashMap<Constant, u16>,
    double_constants: HashMap<Constant, u16>,
}

/// A slot and its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotKind {
    /// Up to 32 bits.
    Word(u16),
    /// 64 bits.
    Double(u16),
    /// Predicate.
    Predicate(u16),
}

impl Slots {
    /// Slots for the declared registers; an error names one that cannot have any.
    pub fn new(registers: &[(String, Type)]) -> Result<Slots, String> {
        let mut slots = Slots { layout: Layout { predicates: 3, ..Layout::default() }, ..Slots::default() };
        for (name, ty) in registers {
            let layout = &mut slots.layout;
            let (kind, used) = match ty.bits() {
                1 => (SlotKind::Predicate(layout.predicates as u16), &mut layout.predicates),
                64 => (SlotKind::Double(layout.doubles as u16), &mut layout.doubles),
                128 => return Err(format!("register {name} has 128 bits, which this driver does not know")),
                _ => (SlotKind::Word(layout.words as u16), &mut layout.words),
            };
            *used += 1;
            // Constants follow in the same numbering, and u16::MAX stands for no slot.
            if *used > 48_000 {
                return Err("more than 48000 registers of one kind in a function".to_owned());
            }
            slots.registers.insert(name.clone(), (kind, *ty));
        }
        Ok(slots)
    }

    /// The slot of a declared register, and its type.
    pub fn register(&self, name: &str) -> Option<(SlotKind, Type)> {
        self.registers.get(name).copied()
    }

    /// A slot of up to 32 bits that holds `constant`.
    pub fn word(&mut self, constant: Constant) -> Option<u16> {
        let next = self.layout.words + self.word_constants.len();
        slot_of(&mut self.word_constants, &mut self.layout.word_constants, constant, next)
    }

    /// A slot of 64 bits that holds `constant`.
    pub fn double(&mut self, constant: Constant) -> Option<u16> {
        let next = self.layout.doubles + self.double_constants.len();
        slot_of(&mut self.double_constants, &mut self.layout.double_constants, constant, next)
    }

    /// Room for local variables and parameters of calls.
    pub fn layout_mut(&mut self) -> &mut Layout {
        &mut self.layout
    }

    /// What was given out.
    pub fn finish(self) -> Layout {
        self.layout
    }
}

fn slot_of(
    known: &mut HashMap<Constant, u16>,
    list: &mut Vec<Constant>,
    constant: Constant,
    next: usize,
) -> Option<u16> {
    if let Some(slot) = known.get(&constant) {
        return Some(*slot);
    }
    let slot = u16::try_from(next).ok().filter(|slot| *slot < u16::MAX)?;
    known.insert(constant, slot);
    list.push(constant);
    Some(slot)
}

/// Places variables one after the other, each at its alignment; gives their offsets and the end.
pub fn place<'a>(variables: impl Iterator<Item = &'a Variable>, start: u64) -> Option<(Vec<(String, u64)>, u64)> {
    let mut end = start;
    let mut offsets = Vec::new();
    for variable in variables {
        let offset = end.checked_next_multiple_of(u64::from(variable.align.max(1)))?;
        end = offset.checked_add(variable.size)?;
        offsets.push((variable.name.clone(), offset));
    }
    Some((offsets, end))
}

/// A slot as a register of an instruction; none for predicates.
pub fn as_register(kind: SlotKind) -> Option<Register> {
    match kind {
        SlotKind::Word(slot) => Some(Register::Word(slot)),
        SlotKind::Double(slot) => Some(Register::Double(slot)),
        SlotKind::Predicate(_) => None,
    }
}
