//! The syntax tree of a PTX module: what stands in the text, with names resolved to nothing yet.

use std::fmt;

/// A place in the PTX text; both numbers start at 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Position {
    /// Line of the text.
    pub line: u32,
    /// Column, in characters.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A whole PTX text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Module {
    /// `.version major.minor`.
    pub version: (u32, u32),
    /// The first word of `.target`, such as `sm_80`.
    pub target: String,
    /// Source files by the index that `.loc` uses.
    pub files: Vec<(u32, String)>,
    /// Variables at module level: `.global`, `.const` and `.shared`.
    pub variables: Vec<Variable>,
    /// Kernels and device functions, in the order of the text; a declaration without a body is kept too.
    pub functions: Vec<Function>,
    /// Names declared `.extern` or forward (`.visible .func f;`) are in `functions` with `body: None`.
    pub aliases: Vec<(String, String)>,
}

/// A fundamental type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// Untyped bits: 8, 16, 32, 64, 128.
    B(u8),
    /// Unsigned integer: 8, 16, 32, 64.
    U(u8),
    /// Signed integer: 8, 16, 32, 64.
    S(u8),
    /// IEEE float: 16, 32, 64.
    F(u8),
    /// Two f16 in 32 bits.
    F16x2,
    /// bfloat16.
    Bf16,
    /// Two bfloat16 in 32 bits.
    Bf16x2,
    /// TensorFloat-32, in 32 bits.
    Tf32,
    /// A predicate.
    Pred,
}

impl Type {
    /// Bits that a value takes; 1 for a predicate.
    pub fn bits(self) -> u32 {
        match self {
            Type::B(bits) | Type::U(bits) | Type::S(bits) | Type::F(bits) => u32::from(bits),
            Type::Bf16 => 16,
            Type::F16x2 | Type::Bf16x2 | Type::Tf32 => 32,
            Type::Pred => 1,
        }
    }

    /// Bytes that a value takes in memory; a predicate cannot be stored and counts as 1.
    pub fn bytes(self) -> u32 {
        self.bits().div_ceil(8)
    }

    /// Whether the type is a signed integer.
    pub fn signed(self) -> bool {
        matches!(self, Type::S(_))
    }

    /// The type that a modifier names, such as `f32` (without the dot).
    pub fn parse(word: &str) -> Option<Type> {
        Some(match word {
            "b8" => Type::B(8),
            "b16" => Type::B(16),
            "b32" => Type::B(32),
            "b64" => Type::B(64),
            "b128" => Type::B(128),
            "u8" => Type::U(8),
            "u16" => Type::U(16),
            "u32" => Type::U(32),
            "u64" => Type::U(64),
            "s8" => Type::S(8),
            "s16" => Type::S(16),
            "s32" => Type::S(32),
            "s64" => Type::S(64),
            "f16" => Type::F(16),
            "f32" => Type::F(32),
            "f64" => Type::F(64),
            "f16x2" => Type::F16x2,
            "bf16" => Type::Bf16,
            "bf16x2" => Type::Bf16x2,
            "tf32" => Type::Tf32,
            "pred" => Type::Pred,
            _ => return None,
        })
    }
}

/// A state space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Space {
    /// Device memory.
    Global,
    /// Memory of a block.
    Shared,
    /// Memory of a thread.
    Local,
    /// Constant memory.
    Const,
    /// Parameters of kernels and functions.
    Param,
    /// No space named: the address itself tells.
    Generic,
}

/// A variable or a parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Variable {
    /// Its name; unique in its scope (those of inner scopes are made unique by the parser).
    pub name: String,
    /// Where it lies.
    pub space: Space,
    /// Alignment in bytes: `.align`, else that of the type (times the vector's length).
    pub align: u32,
    /// Type of an element.
    pub ty: Type,
    /// Bytes of the whole: elements times vector length times size of the type; 0 for an array without a length (`[]`).
    pub size: u64,
    /// Whether an array has no length: dynamic shared memory.
    pub unsized_array: bool,
    /// Initial value, flattened in order; shorter than the variable means zeros.
    pub initial: Vec<Initial>,
    /// Whether `.extern` stands before it.
    pub external: bool,
    /// Where it is declared.
    pub position: Position,
}

/// One element of an initial value.
#[derive(Clone, Debug, PartialEq)]
pub enum Initial {
    /// Bits of the element, of its type's size.
    Bits(u64),
    /// Address of a variable or function plus an offset; `generic(name)` sets `generic`.
    Address {
        /// The variable or function.
        symbol: String,
        /// Bytes added.
        offset: i64,
        /// Whether `generic()` stands around it.
        generic: bool,
    },
}

/// A kernel (`.entry`) or a device function (`.func`).
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Whether it is an `.entry`.
    pub kernel: bool,
    /// Parameters in order.
    pub parameters: Vec<Variable>,
    /// Return parameters (none or one).
    pub returns: Vec<Variable>,
    /// `.maxntid`, as threads in a block.
    pub max_threads: Option<u32>,
    /// `.reqntid` x, y, z.
    pub required_block: Option<[u32; 3]>,
    /// `.minnctapersm`.
    pub min_blocks: Option<u32>,
    /// `.maxnreg`.
    pub max_registers: Option<u32>,
    /// What stands between the braces; none for a declaration.
    pub body: Option<Body>,
    /// Where its name stands.
    pub position: Position,
}

/// The body of a function, its inner scopes dissolved.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Body {
    /// All registers by name, `%r<4>` spread out to `%r0` .. `%r3`.
    pub registers: Vec<(String, Type)>,
    /// Variables in `.local`, `.shared`, `.param` (of calls), `.const` and `.global`.
    pub variables: Vec<Variable>,
    /// Instructions in order.
    pub instructions: Vec<Instruction>,
    /// Labels: name, and the index of the instruction that follows (may equal the number of instructions).
    pub labels: Vec<(String, usize)>,
    /// `.branchtargets`: name of the list, and its labels.
    pub branch_targets: Vec<(String, Vec<String>)>,
    /// `.callprototype`s: name, returns, parameters.
    pub prototypes: Vec<(String, Vec<Variable>, Vec<Variable>)>,
}

/// One instruction.
#[derive(Clone, Debug, PartialEq)]
pub struct Instruction {
    /// Where it begins in the PTX text.
    pub position: Position,
    /// Source line by `.loc`: file index and line.
    pub source: Option<(u32, u32)>,
    /// `@p` or `@!p`: register and whether it is negated.
    pub guard: Option<(String, bool)>,
    /// The first word, such as `mad`.
    pub opcode: String,
    /// The words after it without their dots, such as `lo`, `s32`; `::` stays inside a word (`shared::cta`).
    pub modifiers: Vec<String>,
    /// Operands in order. For `call`: see [`Operand::List`].
    pub operands: Vec<Operand>,
}

/// One operand.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// A register or special register, with its percent sign and any `.x` (`%tid.x`, `%r3`), as written.
    Register(String),
    /// `!%p1`.
    Not(String),
    /// `%r1|%p2`: two destinations.
    Pair(Box<Operand>, Box<Operand>),
    /// An integer; bits of a two's complement number of 64 bits.
    Integer(i64),
    /// `0f3F800000`: bits of an f32.
    Float32(u32),
    /// `0d3FF0000000000000`, or a decimal float: bits of an f64.
    Float64(u64),
    /// `[%rd1+8]`, `[symbol+8]`, `[8]`, `[symbol]`.
    Address {
        /// A register, a symbol, or none for an absolute address.
        base: AddressBase,
        /// Bytes added.
        offset: i64,
    },
    /// `{%r1, %r2}`.
    Vector(Vec<Operand>),
    /// `(a, b)` of a call: the returns, or the arguments.
    List(Vec<Operand>),
    /// The name of a variable, function, label or prototype, with an optional offset (`symbol+4`).
    Symbol(String, i64),
    /// `_`: a destination that is not wanted.
    Sink,
}

/// What an address starts from.
#[derive(Clone, Debug, PartialEq)]
pub enum AddressBase {
    /// A register.
    Register(String),
    /// A variable.
    Symbol(String),
    /// Nothing.
    Absolute,
}
