//! Builds a kernel around one instruction, runs it for many operands, and holds the results against a model.

use crate::device::{Device, order};
use softcuda::program::Program;
use softcuda::settings::{Checks, Settings};
use std::sync::{Arc, LazyLock};

/// Operands of one thread: `%a`, `%b`, `%c`, `%e`.
pub type Operands = [u64; 4];

/// Bits of each operand, and of the result `%d`.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub from: &'static [u32],
    pub to: u32,
}

static DEVICE: LazyLock<Device> = LazyLock::new(|| {
    let settings = Settings { checks: Checks::ALL, compute_capability: (9, 0), threads: 1, ..Settings::default() };
    Device::new(settings, ".version 8.0\n.target sm_90\n.address_size 64\n")
});

/// A kernel that loads the operands of its thread, runs `body`, and stores `%d`. `%p` and `%q` are free predicates, `%t`
/// is the thread's number, `%s0` to `%s3` are free words, `%l0` and `%l1` free words of 64 bits.
fn kernel(body: &str, shape: Shape) -> String {
    let mut text = String::from(
        ".version 8.0\n.target sm_90\n.address_size 64\n.visible .entry k(.param .u64 in, .param .u64 out, .param .u32 count)\n{\n\
         .reg .pred %p, %q, %more;\n.reg .b32 %t, %n, %bx, %nt, %s<4>;\n.reg .b64 %at, %base, %l<2>;\n",
    );
    for (index, bits) in shape.from.iter().enumerate() {
        text += &format!(".reg .b{bits} %{};\n", ["a", "b", "c", "e"][index]);
    }
    text += &format!(".reg .b{} %d;\n", shape.to);
    text += "ld.param.u32 %n, [count];\nmov.u32 %t, %tid.x;\nmov.u32 %bx, %ctaid.x;\nmov.u32 %nt, %ntid.x;\n\
             mad.lo.u32 %t, %bx, %nt, %t;\nsetp.ge.u32 %more, %t, %n;\n@%more exit;\nld.param.u64 %base, [in];\n\
             mul.wide.u32 %at, %t, 32;\nadd.u64 %at, %base, %at;\n";
    for (index, bits) in shape.from.iter().enumerate() {
        text += &format!("ld.global.b{bits} %{}, [%at+{}];\n", ["a", "b", "c", "e"][index], 8 * index);
    }
    text += &format!("{body}\nld.param.u64 %base, [out];\nmul.wide.u32 %at, %t, 8;\nadd.u64 %at, %base, %at;\n");
    text += &format!("st.global.b{} [%at], %d;\nret;\n}}\n", shape.to);
    text
}

/// Runs `body` for all operands; results are zero-extended.
pub fn evaluate(body: &str, shape: Shape, inputs: &[Operands]) -> Vec<u64> {
    let device = &*DEVICE;
    let text = kernel(body, shape);
    let program = Program::load(&device.machine, &text).unwrap_or_else(|error| panic!("{body}: {error}"));
    let bytes: Vec<u8> = inputs.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
    let input = device.buffer(&bytes, bytes.len());
    let output = device.buffer(&vec![0; 8 * inputs.len()], 8 * inputs.len());
    let mut parameters = [input.to_le_bytes(), output.to_le_bytes()].concat();
    parameters.extend((inputs.len() as u32).to_le_bytes());
    let grid = [inputs.len().div_ceil(64) as u32, 1, 1];
    let launch = softcuda::exec::Launch {
        kernel: 0,
        grid,
        block: [64, 1, 1],
        shared_bytes: 0,
        cooperative: false,
        parameters,
        order: order(0, 0),
    };
    softcuda::exec::run(&device.machine, &Arc::new(program), &launch).unwrap_or_else(|fault| panic!("{body}: {fault}"));
    let results = device.read((output, 8 * inputs.len()));
    device.machine.free(input).unwrap();
    device.machine.free(output).unwrap();
    results.chunks_exact(8).map(|chunk| u64::from_le_bytes(chunk.try_into().unwrap())).collect()
}

/// Asserts that every result is what `accept` takes; the panic shows operands and result in hexadecimal.
#[track_caller]
pub fn check(body: &str, shape: Shape, inputs: &[Operands], accept: impl Fn(Operands, u64) -> Result<(), String>) {
    for (operands, result) in inputs.iter().zip(evaluate(body, shape, inputs)) {
        if let Err(expected) = accept(*operands, result) {
            panic!("{body}\noperands {operands:x?}\nresult   {result:x}\nexpected {expected}");
        }
    }
}

/// Asserts that every result has the bits that `model` says.
#[track_caller]
pub fn exact(body: &str, shape: Shape, inputs: &[Operands], model: impl Fn(Operands) -> u64) {
    let keep = if shape.to == 64 { u64::MAX } else { (1 << shape.to) - 1 };
    check(body, shape, inputs, |operands, result| {
        let expected = model(operands) & keep;
        if result == expected { Ok(()) } else { Err(format!("{expected:x}")) }
    });
}

/// Numbers that look random (splitmix64).
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

/// Integers where things change: around zero, around the ends of each width, and at shifts around the widths.
pub const EDGES: [u64; 26] = [
    0,
    1,
    2,
    3,
    7,
    15,
    16,
    17,
    31,
    32,
    33,
    63,
    64,
    65,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFFF,
    0x7FFF_FFFF_FFFF_FFFF,
    0x8000_0000_0000_0000,
    u64::MAX,
];

/// f32 where things change: zeros, subnormals, halfway cases, the largest, infinities, NaN.
pub const EDGES32: [u32; 24] = [
    0,
    0x8000_0000,
    1,
    0x8000_0001,
    0x007F_FFFF,
    0x0080_0000,
    0x8080_0000,
    0x3F80_0000,
    0xBF80_0000,
    0x3F80_0001,
    0x3FC0_0000,
    0x4000_0000,
    0x4B00_0000,
    0x4B80_0001,
    0x3F00_0000,
    0x3EFF_FFFF,
    0xC020_0000,
    0x7F7F_FFFF,
    0xFF7F_FFFF,
    0x7F80_0000,
    0xFF80_0000,
    0x7FC0_0000,
    0xFFC0_0001,
    0x4F00_0000,
];

/// All choices of `count` operands from `edges`, with many random ones; beyond two operands a random selection.
pub fn operands(edges: &[u64], count: usize) -> Vec<Operands> {
    let mut random = Random(count as u64);
    let mut inputs = Vec::new();
    if count <= 2 {
        for a in edges {
            for b in edges {
                inputs.push([*a, *b, 0, 0]);
            }
        }
    }
    for _ in 0..1500 {
        inputs.push(std::array::from_fn(|_| {
            let pick = random.next();
            if pick & 1 == 0 { edges[(pick >> 8) as usize % edges.len()] } else { random.next() >> (pick >> 8 & 48) }
        }));
    }
    inputs
}
