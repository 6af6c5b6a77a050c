//! `ldmatrix`, `stmatrix` and `mma`.

use super::Fault;
use super::access::{Request, addresses};
use super::frame::{FULL, Frame, LANES, write};
use super::worker::{Spot, Worker, read_register};
use crate::check::global::Kind;
use crate::numeric::mma;
use crate::program::instruction::{MatrixProduct, MatrixTransfer, Register};

/// Rows of a matrix, and its columns of two bytes.
const SIDE: usize = 8;

impl Worker<'_> {
    /// Loads or stores matrices of 8 by 8 elements of two bytes: lane `8 i + r` gives the address of row r of matrix i,
    /// and lane l holds elements 2 (l mod 4) and the next of row l / 4.
    pub fn matrix_transfer(&mut self, spot: &mut Spot<'_>, t: &MatrixTransfer, mask: u32) -> Result<(), Fault> {
        let rows = addresses(spot, &t.address);
        let count = t.registers.len();
        let givers = if count * SIDE == LANES { FULL } else { (1 << (count * SIDE)) - 1 };
        let kind = if t.store { Kind::Write } else { Kind::Read };
        let request = Request { kind, bytes: 16, mask: givers, values: None, releases: false };
        let pointers = self.locate(spot, t.space, &rows, request)?;
        for (matrix, register) in t.registers.iter().enumerate() {
            let Register::Word(slot) = *register else { continue };
            let row = |row: usize| pointers[matrix * SIDE + row].cast::<[u16; SIDE]>();
            if t.store {
                store_matrix(spot.registers(), slot, t.transposed, row);
            } else {
                // SAFETY: `locate` gave pointers to 16 accessible bytes for each row, aligned to 16.
                let rows: [[u16; SIDE]; SIDE] = std::array::from_fn(|index| unsafe { row(index).read() });
                let element = |r: usize, c: usize| u32::from(if t.transposed { rows[c][r] } else { rows[r][c] });
                let fragment = std::array::from_fn(|lane| {
                    let (r, c) = (lane / 4, 2 * (lane % 4));
                    element(r, c) | element(r, c + 1) << 16
                });
                write(spot.registers_mut(), slot, fragment, mask);
            }
        }
        Ok(())
    }
}

fn store_matrix(frame: &Frame, slot: u16, transposed: bool, row: impl Fn(usize) -> *mut [u16; SIDE]) {
    let fragment = frame.words[usize::from(slot)].0;
    let mut rows = [[0u16; SIDE]; SIDE];
    for (lane, pair) in fragment.iter().enumerate() {
        let (r, c) = (lane / 4, 2 * (lane % 4));
        for (column, half) in [(c, *pair as u16), (c + 1, (*pair >> 16) as u16)] {
            if transposed {
                rows[column][r] = half;
            } else {
                rows[r][column] = half;
            }
        }
    }
    for (index, values) in rows.iter().enumerate() {
        // SAFETY: `locate` gave pointers to 16 accessible bytes for each row, aligned to 16.
        unsafe { row(index).write(*values) };
    }
}

/// `d = a b + c` over the warp's fragments.
pub fn multiply(frame: &mut Frame, product: &MatrixProduct, mask: u32) {
    let [a, b, c] = [&product.a, &product.b, &product.c].map(|registers| fragments(frame, registers));
    let result = mma::mma(&product.variant, &a, &b, &c);
    let mut words = result.iter();
    for register in &product.d {
        let Some(low) = words.next() else { return };
        match register {
            Register::Word(slot) => write(frame, *slot, *low, mask),
            Register::Double(slot) => {
                let Some(high) = words.next() else { return };
                let values = std::array::from_fn(|lane| u64::from(high[lane]) << 32 | u64::from(low[lane]));
                write(frame, *slot, values, mask);
            }
            Register::Sink => {}
        }
    }
}

/// Registers as words: one of 64 bits is two, the lower first.
fn fragments(frame: &Frame, registers: &[Register]) -> Vec<mma::Register> {
    let mut words = Vec::with_capacity(8);
    for register in registers {
        let values = read_register(frame, *register);
        words.push(values.map(|value| value as u32));
        if matches!(register, Register::Double(_)) {
            words.push(values.map(|value| (value >> 32) as u32));
        }
    }
    words
}
