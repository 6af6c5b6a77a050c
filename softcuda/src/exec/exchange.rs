//! Shuffles, votes, matches and reductions within a warp.

use super::frame::{Bits, FULL, LANES, write, write_predicate};
use super::warp::lanes;
use super::worker::{Spot, Worker, read_register};
use crate::program::instruction::{Operands, Reduction, Register, ShuffleMode, VoteMode, WarpOp};

impl Worker<'_> {
    /// Executes an exchange between the lanes of `mask`.
    pub fn exchange(&mut self, spot: &mut Spot<'_>, op: &WarpOp, members: Option<Register>, o: &Operands, mask: u32) {
        let registers = spot.registers_mut();
        let first = mask.trailing_zeros() as usize;
        match op {
            WarpOp::Shuffle(mode) => shuffle(registers, *mode, o, mask),
            WarpOp::Vote(mode, guard) => {
                let truth = registers.predicates[usize::from(guard.predicate)] ^ guard.negate;
                vote(registers, *mode, o.d, truth & mask, mask);
            }
            WarpOp::MatchAny(wide) => {
                let values = read_register(registers, if *wide { Register::Double(o.a) } else { Register::Word(o.a) });
                let same = |lane: usize| -> u32 {
                    lanes(mask).filter(|other| values[*other] == values[lane]).fold(0u32, |m, other| m | 1 << other)
                };
                write(registers, o.d, std::array::from_fn(same), mask);
            }
            WarpOp::MatchAll(wide) => {
                let values = read_register(registers, if *wide { Register::Double(o.a) } else { Register::Word(o.a) });
                let all = lanes(mask).all(|lane| values[lane] == values[first]);
                write(registers, o.d, [if all { mask } else { 0 }; LANES], mask);
                if o.e != u16::MAX {
                    write_predicate(registers, o.e, if all { FULL } else { 0 }, mask);
                }
            }
            WarpOp::Reduce(reduction) => {
                let values = u32::read(registers, o.a);
                let result = lanes(mask).map(|lane| values[lane]).reduce(|a, b| reduced(*reduction, a, b)).unwrap_or(0);
                write(registers, o.d, [result; LANES], mask);
            }
            WarpOp::ActiveMask => write(registers, o.d, [mask; LANES], mask),
            WarpOp::Synchronise => {
                let members = members.map_or(mask, |register| read_register(registers, register)[first] as u32);
                if let Some(shadow) = &mut spot.block.shadow {
                    shadow.warp_sync(spot.warp.index, members);
                }
            }
            WarpOp::Elect => {
                if o.d != u16::MAX {
                    write(registers, o.d, [first as u32; LANES], mask);
                }
                if o.e != u16::MAX {
                    write_predicate(registers, o.e, 1 << first, mask);
                }
            }
        }
    }
}

/// `shfl`: each lane takes the value of another one of its segment; the predicate tells whether that one is in range.
fn shuffle(frame: &mut super::frame::Frame, mode: ShuffleMode, o: &Operands, mask: u32) {
    let (values, selector, clamps) = (u32::read(frame, o.a), u32::read(frame, o.b), u32::read(frame, o.c));
    let (mut d, mut inside) = ([0; LANES], 0);
    for lane in 0..LANES {
        let (own, by) = (lane as i32, (selector[lane] & 31) as i32);
        let (clamp, segment) = ((clamps[lane] & 31) as i32, (clamps[lane] >> 8 & 31) as i32);
        let highest = own & segment | clamp & !segment;
        let (source, in_range) = match mode {
            ShuffleMode::Up => (own - by, own - by >= highest),
            ShuffleMode::Down => (own + by, own + by <= highest),
            ShuffleMode::Butterfly => (own ^ by, own ^ by <= highest),
            ShuffleMode::Index => {
                let source = own & segment | by & !segment;
                (source, source <= highest)
            }
        };
        let source = if in_range { source } else { own };
        d[lane] = values[(source & 31) as usize];
        inside |= u32::from(in_range) << lane;
    }
    write(frame, o.d, d, mask);
    if o.e != u16::MAX {
        write_predicate(frame, o.e, inside, mask);
    }
}

fn vote(frame: &mut super::frame::Frame, mode: VoteMode, d: u16, truth: u32, mask: u32) {
    let holds = match mode {
        VoteMode::All => truth == mask,
        VoteMode::Any => truth != 0,
        VoteMode::Uniform => truth == mask || truth == 0,
        VoteMode::Ballot => return write(frame, d, [truth; LANES], mask),
    };
    write_predicate(frame, d, if holds { FULL } else { 0 }, mask);
}

fn reduced(reduction: Reduction, a: u32, b: u32) -> u32 {
    match reduction {
        Reduction::Add | Reduction::Count => a.wrapping_add(b),
        Reduction::MinUnsigned => a.min(b),
        Reduction::MaxUnsigned => a.max(b),
        Reduction::MinSigned => (a as i32).min(b as i32) as u32,
        Reduction::MaxSigned => (a as i32).max(b as i32) as u32,
        Reduction::And => a & b,
        Reduction::Or => a | b,
        Reduction::Xor => a ^ b,
    }
}
