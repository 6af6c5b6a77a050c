//! Decoded instructions: what the executor runs.

use crate::exec::frame::Frame;
use crate::numeric;
use std::sync::Arc;

/// Slots of an instruction's operands in its [`Frame`]; which file a slot belongs to, the handler knows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Operands {
    /// Destination.
    pub d: u16,
    /// First source.
    pub a: u16,
    /// Second source.
    pub b: u16,
    /// Third source.
    pub c: u16,
    /// Second destination, or fourth source.
    pub e: u16,
    /// What the modifiers say, or an immediate; the handler knows.
    pub imm: u32,
}

/// Computes one instruction for the lanes of a mask. Handlers are compiled for several vector extensions; one is called
/// only where the processor has what it was compiled for.
pub type Compute = unsafe fn(&mut Frame, &Operands, u32);

/// A guard: predicate and the bits it is to be exclusive-ored with.
#[derive(Clone, Copy, Debug)]
pub struct Guard {
    /// Slot of the predicate.
    pub predicate: u16,
    /// All ones for `@!p`.
    pub negate: u32,
}

/// The state space of an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// The address tells.
    Generic,
    /// Device memory; constant memory lies there too.
    Global,
    /// The block's memory.
    Shared,
    /// The thread's stack.
    Local,
    /// The kernel's parameter block.
    KernelParameter,
    /// Parameters of calls, in the frame.
    CallParameter,
}

/// Where an access goes: a register (or none) plus an offset.
#[derive(Clone, Copy, Debug)]
pub struct Address {
    /// Register of the base.
    pub base: Register,
    /// Bytes added.
    pub offset: i64,
}

/// A register, by its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// Up to 32 bits.
    Word(u16),
    /// 64 bits.
    Double(u16),
    /// A destination that is not wanted.
    Sink,
}

/// A load or a store.
#[derive(Clone, Debug)]
pub struct Transfer {
    /// State space.
    pub space: Space,
    /// Where.
    pub address: Address,
    /// Bytes of one element.
    pub bytes: u32,
    /// Whether a loaded element is sign-extended into a wider register.
    pub signed: bool,
    /// `.volatile`, `.relaxed`, `.acquire`, `.release`: orders, and does not race with atomics.
    pub strong: bool,
    /// Registers: one, or those of a vector.
    pub registers: Vec<Register>,
}

/// What an atomic instruction does with the old value `m` and operands `a`, `b`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtomicOp {
    /// `m + a`.
    Add,
    /// `min(m, a)`.
    Min,
    /// `max(m, a)`.
    Max,
    /// `m & a`.
    And,
    /// `m | a`.
    Or,
    /// `m ^ a`.
    Xor,
    /// `a`.
    Exchange,
    /// `m == a ? b : m`.
    CompareAndSwap,
    /// `m >= a ? 0 : m + 1`.
    Increment,
    /// `m == 0 || m > a ? a : m - 1`.
    Decrement,
}

/// `atom` and `red`.
#[derive(Clone, Debug)]
pub struct Atomic {
    /// State space.
    pub space: Space,
    /// Where.
    pub address: Address,
    /// What is done.
    pub op: AtomicOp,
    /// The type it is done in.
    pub ty: crate::ptx::ast::Type,
    /// Where the old value goes; none for `red`.
    pub destination: Option<Register>,
    /// First operand.
    pub a: Register,
    /// Second operand of a compare-and-swap.
    pub b: Register,
    /// Whether the instruction itself orders (`.acq_rel`, `.release`).
    pub releases: bool,
}

/// How `shfl` chooses its source lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShuffleMode {
    /// From a lower lane.
    Up,
    /// From a higher lane.
    Down,
    /// By exclusive or.
    Butterfly,
    /// By index.
    Index,
}

/// What `vote` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoteMode {
    /// True for all lanes.
    All,
    /// True for some lane.
    Any,
    /// The same for all lanes.
    Uniform,
    /// The mask of lanes for which it is true.
    Ballot,
}

/// What `redux` and `bar.red` compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// Sum.
    Add,
    /// Minimum of unsigned numbers.
    MinUnsigned,
    /// Maximum of unsigned numbers.
    MaxUnsigned,
    /// Minimum of signed numbers.
    MinSigned,
    /// Maximum of signed numbers.
    MaxSigned,
    /// Bitwise and.
    And,
    /// Bitwise or.
    Or,
    /// Bitwise exclusive or.
    Xor,
    /// How many predicates are true.
    Count,
}

/// A barrier of the block.
#[derive(Clone, Debug)]
pub struct Barrier {
    /// Its number: a register.
    pub number: Register,
    /// Threads that take part; all where there is none.
    pub threads: Option<Register>,
    /// Whether the threads wait, or only arrive.
    pub waits: bool,
    /// Whether all lanes of a warp must come together.
    pub aligned: bool,
    /// `.red`: what is reduced, the predicate (and its negation), and the destination.
    pub reduction: Option<(Reduction, Guard, BarrierResult)>,
}

/// Where `bar.red` writes.
#[derive(Clone, Copy, Debug)]
pub enum BarrierResult {
    /// A count, in a register.
    Count(Register),
    /// A truth value, in a predicate.
    Predicate(u16),
}

/// An operation of a whole warp.
#[derive(Clone, Debug)]
pub enum WarpOp {
    /// `shfl`: source a, lane b, clamp c; destination d and, unless it is 0, predicate e.
    Shuffle(ShuffleMode),
    /// `vote`: predicate as a guard; destination d: predicate, or a word for a ballot.
    Vote(VoteMode, Guard),
    /// `match.any`: value a, destination d. `true` for 64 bits.
    MatchAny(bool),
    /// `match.all`: value a, destination d, predicate e (0: none). `true` for 64 bits.
    MatchAll(bool),
    /// `redux`: value a, destination d.
    Reduce(Reduction),
    /// `activemask`: destination d.
    ActiveMask,
    /// `bar.warp.sync`.
    Synchronise,
    /// `elect`: destination d, predicate e.
    Elect,
}

/// `cp.async` of one element a lane.
#[derive(Clone, Debug)]
pub struct AsyncCopy {
    /// Target in shared memory.
    pub target: Address,
    /// Source in global memory.
    pub source: Address,
    /// Bytes written.
    pub bytes: u32,
    /// Bytes read, the rest being zero; a register.
    pub source_bytes: Option<Register>,
    /// A predicate under which the source is ignored.
    pub ignore_source: Option<Guard>,
}

/// `ldmatrix` and `stmatrix`.
#[derive(Clone, Debug)]
pub struct MatrixTransfer {
    /// State space: shared, or generic.
    pub space: Space,
    /// Address of a row, given by each lane.
    pub address: Address,
    /// Whether the matrices are transposed.
    pub transposed: bool,
    /// A register for each matrix.
    pub registers: Vec<Register>,
    /// Whether it stores.
    pub store: bool,
}

/// `mma`.
#[derive(Clone, Debug)]
pub struct MatrixProduct {
    /// Shape and types.
    pub variant: numeric::mma::Variant,
    /// Registers of D, A, B and C.
    pub d: Vec<Register>,
    /// Registers of A.
    pub a: Vec<Register>,
    /// Registers of B.
    pub b: Vec<Register>,
    /// Registers of C.
    pub c: Vec<Register>,
}

/// A call of a device function.
#[derive(Clone, Debug)]
pub struct Call {
    /// The function, or the register that holds its address.
    pub target: CallTarget,
    /// Arguments: offset in this function's parameter memory, and bytes.
    pub arguments: Vec<(usize, usize)>,
    /// Where the results go.
    pub results: Vec<(usize, usize)>,
}

/// What is called.
#[derive(Clone, Copy, Debug)]
pub enum CallTarget {
    /// A function of the module, by index.
    Function(usize),
    /// A register that holds a function's address.
    Indirect(Register),
    /// `vprintf`.
    Printf,
    /// `__assertfail`.
    AssertFail,
    /// `malloc`.
    Malloc,
    /// `free`.
    Free,
}

/// What a memory fence orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FenceScope {
    /// The block.
    Block,
    /// The device, or beyond.
    Device,
}

/// What an instruction does.
#[derive(Clone, Debug)]
pub enum Action {
    /// Registers to registers.
    Compute(Compute),
    /// Jumps.
    Branch(u32),
    /// Jumps to the target that register a chooses.
    BranchTable(Register, Arc<[u32]>),
    /// Calls.
    Call(Box<Call>),
    /// Returns from the function; from the kernel it ends the thread.
    Return,
    /// Ends the thread.
    Exit,
    /// Loads.
    Load(Box<Transfer>),
    /// Stores.
    Store(Box<Transfer>),
    /// Changes memory indivisibly.
    Atomic(Box<Atomic>),
    /// Operates on the warp; the lanes that must come together are in a register.
    Warp(WarpOp, Option<Register>),
    /// Waits at a barrier of the block.
    Barrier(Box<Barrier>),
    /// Orders memory.
    Fence(FenceScope),
    /// Starts a copy.
    AsyncCopy(Box<AsyncCopy>),
    /// Closes a group of copies.
    AsyncCommit,
    /// Waits until at most so many groups are under way; none: until no copy is.
    AsyncWait(Option<u32>),
    /// Loads or stores matrices.
    MatrixTransfer(Box<MatrixTransfer>),
    /// Multiplies matrices.
    MatrixProduct(Box<MatrixProduct>),
    /// Reads a clock into d: 64 bits or 32.
    Clock {
        /// Whether the destination has 64 bits.
        wide: bool,
        /// Whether the upper half is wanted.
        high: bool,
    },
    /// Reads the address space of a generic address: predicate d, register a.
    IsSpace(Space, Register),
    /// Lets others go first.
    Yield,
    /// Stops the launch.
    Trap,
    /// Nothing to do.
    Nothing,
}

/// Classes that instructions are counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// f32 arithmetic, halves too.
    Float32,
    /// f64 arithmetic.
    Float64,
    /// f16 and bf16 arithmetic.
    Float16,
    /// Approximations: `ex2`, `sin`, `rsqrt` and their like.
    Special,
    /// Products of matrices.
    Matrix,
    /// Integer arithmetic and logic.
    Integer,
    /// Conversions.
    Conversion,
    /// Comparisons, selections and logic of predicates.
    Predicate,
    /// Moves of registers.
    Move,
    /// Loads.
    Load,
    /// Stores.
    Store,
    /// Atomics.
    Atomic,
    /// Shuffles, votes and other exchanges in a warp.
    Warp,
    /// Barriers and fences.
    Barrier,
    /// Branches, calls, returns, exits.
    Control,
    /// The rest.
    Other,
}

/// One decoded instruction.
#[derive(Clone, Debug)]
pub struct Instruction {
    /// `@p`.
    pub guard: Option<Guard>,
    /// What it does.
    pub action: Action,
    /// On what.
    pub operands: Operands,
    /// Class it is counted in.
    pub class: Class,
    /// Floating-point operations a lane (a whole warp's for a product of matrices, divided by 32).
    pub flops: u32,
}
