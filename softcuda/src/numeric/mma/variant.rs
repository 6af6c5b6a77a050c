//! Which matrices an `mma` instruction multiplies.

/// The sizes of the product: `m` by `k` times `k` by `n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Rows of `a` and of the result.
    pub m: usize,
    /// Columns of `b` and of the result.
    pub n: usize,
    /// Columns of `a`, rows of `b`.
    pub k: usize,
}

/// The type of a factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// An `f32` whose low 13 bits are ignored.
    Tf32,
    /// Two `f16` to a register.
    F16,
    /// Two `bf16` to a register.
    Bf16,
    /// One `f64` to two registers.
    F64,
    /// Four signed bytes to a register.
    S8,
    /// Four unsigned bytes to a register.
    U8,
}

impl Element {
    fn parse(modifier: &str) -> Option<Self> {
        Some(match modifier {
            "tf32" => Self::Tf32,
            "f16" => Self::F16,
            "bf16" => Self::Bf16,
            "f64" => Self::F64,
            "s8" => Self::S8,
            "u8" => Self::U8,
            _ => return None,
        })
    }

    /// How many lie in a register, be it of 32 bits or, for `f64`, of 64.
    pub(super) fn per_register(self) -> usize {
        match self {
            Self::Tf32 | Self::F64 => 1,
            Self::F16 | Self::Bf16 => 2,
            Self::S8 | Self::U8 => 4,
        }
    }

    fn words(self) -> usize {
        if self == Self::F64 { 2 } else { 1 }
    }
}

/// The type of the addend and of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Accumulator {
    /// Two `f16` to a register.
    F16,
    /// One `f32` to a register.
    F32,
    /// One `f64` to two registers.
    F64,
    /// One `s32` to a register.
    S32,
}

impl Accumulator {
    fn parse(modifier: &str) -> Option<Self> {
        Some(match modifier {
            "f16" => Self::F16,
            "f32" => Self::F32,
            "f64" => Self::F64,
            "s32" => Self::S32,
            _ => return None,
        })
    }
}

/// A supported form of `mma.sync.aligned`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Variant {
    shape: Shape,
    a: Element,
    b: Element,
    accumulator: Accumulator,
    saturate: bool,
}

impl Variant {
    /// The form that the modifiers of an instruction name, in their order; `None` where it is not supported.
    pub fn parse(modifiers: &[&str]) -> Option<Self> {
        let ["sync", "aligned", shape, "row", "col", rest @ ..] = modifiers else { return None };
        let (saturate, types) = match rest {
            ["satfinite", types @ ..] => (true, types),
            ["rn", types @ ..] if types.first() == Some(&"f64") => (false, types),
            types => (false, types),
        };
        let [d, a, b, c] = types else { return None };
        if d != c {
            return None;
        }
        let variant = Self {
            shape: parse_shape(shape)?,
            a: Element::parse(a)?,
            b: Element::parse(b)?,
            accumulator: Accumulator::parse(d)?,
            saturate,
        };
        variant.is_supported().then_some(variant)
    }

    fn is_supported(&self) -> bool {
        use Accumulator as Acc;
        use Element::{Bf16, F16, F64, S8, Tf32, U8};
        let Shape { m, n: 8, k } = self.shape else { return false };
        match (self.a, self.b, self.accumulator) {
            (Tf32, Tf32, Acc::F32) => m == 16 && matches!(k, 4 | 8) && !self.saturate,
            (F16, F16, Acc::F16 | Acc::F32) => m == 16 && matches!(k, 8 | 16) && !self.saturate,
            (Bf16, Bf16, Acc::F32) => m == 16 && matches!(k, 8 | 16) && !self.saturate,
            (F64, F64, Acc::F64) => matches!((m, k), (8, 4) | (16, 4 | 8 | 16)) && !self.saturate,
            (S8 | U8, S8 | U8, Acc::S32) => matches!((m, k), (8, 16) | (16, 16 | 32)),
            _ => false,
        }
    }

    /// The sizes of the product.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The type of the elements of `a`.
    pub fn a(&self) -> Element {
        self.a
    }

    /// The type of the elements of `b`.
    pub fn b(&self) -> Element {
        self.b
    }

    /// The type of the addend and of the result.
    pub fn accumulator(&self) -> Accumulator {
        self.accumulator
    }

    /// Whether an integer result clamps instead of wrapping.
    pub fn saturates(&self) -> bool {
        self.saturate
    }

    /// How many 32-bit registers of each lane `a` takes.
    pub fn registers_a(&self) -> usize {
        self.shape.m * self.shape.k / 32 / self.a.per_register() * self.a.words()
    }

    /// How many 32-bit registers of each lane `b` takes.
    pub fn registers_b(&self) -> usize {
        self.shape.n * self.shape.k / 32 / self.b.per_register() * self.b.words()
    }

    /// How many 32-bit registers of each lane the addend takes, and the result too.
    pub fn registers_c(&self) -> usize {
        let elements = self.shape.m * self.shape.n / 32;
        match self.accumulator {
            Accumulator::F16 => elements / 2,
            Accumulator::F32 | Accumulator::S32 => elements,
            Accumulator::F64 => elements * 2,
        }
    }
}

/// The sizes in a modifier such as `m16n8k8`.
fn parse_shape(modifier: &str) -> Option<Shape> {
    let (m, rest) = modifier.strip_prefix('m')?.split_once('n')?;
    let (n, k) = rest.split_once('k')?;
    Some(Shape { m: m.parse().ok()?, n: n.parse().ok()?, k: k.parse().ok()? })
}
