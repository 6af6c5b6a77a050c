//! What launches executed and moved: by instruction class, by bytes, by sectors and wavefronts; and which calls the
//! driver got.

use crate::check::{Site, Sites};
use crate::program::Program;
use crate::program::instruction::{Action, Class};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes of a sector, the unit in which device memory moves.
pub const SECTOR: u64 = 32;

/// Requests of one kind: warps' loads or stores in one space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Instructions of warps.
    pub requests: u64,
    /// Bytes that lanes asked for.
    pub bytes: u64,
    /// For device memory the sectors of 32 bytes touched; for shared memory the wavefronts, 32 banks of 4 bytes each.
    pub transactions: u64,
    /// The transactions that the distinct bytes of each request would take if they lay side by side.
    #[serde(default)]
    pub least: u64,
}

impl Traffic {
    /// Adds another's.
    pub fn add(&mut self, other: &Traffic) {
        self.requests += other.requests;
        self.bytes += other.bytes;
        self.transactions += other.transactions;
        self.least += other.least;
    }

    /// Sectors, or wavefronts, for each request.
    pub fn per_request(&self) -> f64 {
        self.transactions as f64 / self.requests.max(1) as f64
    }
}

/// What a source line does to memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessKind {
    /// Loads from device memory, those of `cp.async` among them.
    GlobalLoad,
    /// Stores to device memory.
    GlobalStore,
    /// Atomics on device memory.
    GlobalAtomic,
    /// Loads from shared memory.
    SharedLoad,
    /// Stores to shared memory, those of `cp.async` among them.
    SharedStore,
    /// Atomics on shared memory.
    SharedAtomic,
}

impl AccessKind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::GlobalLoad,
        Self::GlobalStore,
        Self::GlobalAtomic,
        Self::SharedLoad,
        Self::SharedStore,
        Self::SharedAtomic,
    ];

    /// Its name, as in `global load`.
    pub fn name(self) -> &'static str {
        match self {
            Self::GlobalLoad => "global load",
            Self::GlobalStore => "global store",
            Self::GlobalAtomic => "global atomic",
            Self::SharedLoad => "shared load",
            Self::SharedStore => "shared store",
            Self::SharedAtomic => "shared atomic",
        }
    }

    /// Whether it is of shared memory.
    pub fn is_shared(self) -> bool {
        self >= Self::SharedLoad
    }

    /// What its transactions are.
    pub fn unit(self) -> &'static str {
        if self.is_shared() { "wavefronts" } else { "sectors" }
    }
}

/// The requests of one kind that a source line makes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// The source file; empty where the kernel was compiled without line information.
    pub file: String,
    /// The line in it, from 1; 0 where it is not known.
    pub line: u32,
    /// What the line does.
    pub kind: AccessKind,
    /// How much of it.
    #[serde(flatten)]
    pub traffic: Traffic,
}

impl std::fmt::Display for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, unit, each) = (self.kind.name(), self.kind.unit(), self.traffic.per_request());
        write!(f, "{name} {each:.2} {unit} a request")?;
        if self.line > 0 { write!(f, ", {} line {}", self.file, self.line) } else { Ok(()) }
    }
}

/// Counts of one launch, or of all launches of a kernel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LaunchCounts {
    /// The kernel.
    pub kernel: String,
    /// Launches that are counted here.
    pub launches: u64,
    /// Blocks of the grid.
    pub grid: [u32; 3],
    /// Threads of a block.
    pub block: [u32; 3],
    /// Bytes of shared memory of a block, static and dynamic.
    pub shared_bytes: u32,
    /// Instructions of warps.
    pub warp_instructions: u64,
    /// Instructions of lanes: those that a guard or divergence switched off are not among them.
    pub lane_instructions: u64,
    /// Instructions of lanes by class.
    pub classes: BTreeMap<String, u64>,
    /// Floating-point operations; a fused multiply-add is two.
    pub flops: u64,
    /// Fused multiply-adds of lanes in f32.
    #[serde(default)]
    pub fmas: u64,
    /// Loads from device memory.
    pub global_loads: Traffic,
    /// Stores to device memory.
    pub global_stores: Traffic,
    /// Atomics on device memory.
    pub global_atomics: Traffic,
    /// Loads from shared memory.
    pub shared_loads: Traffic,
    /// Stores to shared memory.
    pub shared_stores: Traffic,
    /// Atomics on shared memory.
    pub shared_atomics: Traffic,
    /// Loads and stores of local memory.
    pub local: Traffic,
    /// Where loads, stores and atomics of device and shared memory come from, by file, line and kind.
    #[serde(default)]
    pub accesses: Vec<Access>,
    /// Branches that warps came to, those not taken among them.
    #[serde(default)]
    pub branches: u64,
    /// Branches at which a warp's lanes parted.
    #[serde(default)]
    pub divergent_branches: u64,
    /// Barriers of blocks that warps waited at.
    pub barriers: u64,
    /// Warps that fit on a multiprocessor, of those it has room for.
    pub theoretical_occupancy: f64,
}

impl LaunchCounts {
    /// Lanes that took part in an instruction of a warp, on average, of 32.
    pub fn active_lanes(&self) -> f64 {
        self.lane_instructions as f64 / self.warp_instructions.max(1) as f64
    }

    /// Fused multiply-adds in f32 among all instructions of lanes, from 0 to 1.
    pub fn fma_share(&self) -> f64 {
        self.fmas as f64 / self.lane_instructions.max(1) as f64
    }

    /// Bytes that moved between device memory and the multiprocessors: whole sectors.
    pub fn bytes_moved(&self) -> u64 {
        let sectors =
            self.global_loads.transactions + self.global_stores.transactions + self.global_atomics.transactions;
        sectors * SECTOR
    }

    /// Wavefronts of shared memory that lanes cost each other: those beyond what the bytes take where no two words meet in a bank.
    pub fn bank_conflicts(&self) -> u64 {
        let shared = [self.shared_loads, self.shared_stores, self.shared_atomics];
        shared.iter().map(|traffic| traffic.transactions.saturating_sub(traffic.least)).sum()
    }

    /// The source line with the most transactions for each request of a kind.
    pub fn widest(&self, kind: AccessKind) -> Option<&Access> {
        let of_kind = self.accesses.iter().filter(|access| access.kind == kind);
        of_kind.max_by(|a, b| a.traffic.per_request().total_cmp(&b.traffic.per_request()))
    }

    /// Adds a source line's traffic to that of the same line and kind.
    fn add_access(&mut self, access: &Access) {
        let key = |access: &Access| (access.file.clone(), access.line, access.kind);
        match self.accesses.binary_search_by_key(&key(access), key) {
            Ok(index) => self.accesses[index].traffic.add(&access.traffic),
            Err(index) => self.accesses.insert(index, access.clone()),
        }
    }

    fn traffics_mut(&mut self) -> [&mut Traffic; 7] {
        [
            &mut self.global_loads,
            &mut self.global_stores,
            &mut self.global_atomics,
            &mut self.shared_loads,
            &mut self.shared_stores,
            &mut self.shared_atomics,
            &mut self.local,
        ]
    }

    fn add(&mut self, other: &LaunchCounts) {
        self.launches += other.launches;
        self.warp_instructions += other.warp_instructions;
        self.lane_instructions += other.lane_instructions;
        for (class, count) in &other.classes {
            *self.classes.entry(class.clone()).or_default() += count;
        }
        self.flops += other.flops;
        self.fmas += other.fmas;
        let mut theirs = other.clone();
        for (mine, theirs) in self.traffics_mut().into_iter().zip(theirs.traffics_mut()) {
            mine.add(theirs);
        }
        other.accesses.iter().for_each(|access| self.add_access(access));
        self.branches += other.branches;
        self.divergent_branches += other.divergent_branches;
        self.barriers += other.barriers;
        (self.grid, self.block, self.shared_bytes) = (other.grid, other.block, other.shared_bytes);
        self.theoretical_occupancy = other.theoretical_occupancy;
    }
}

/// What one executor thread counts.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// For each function, warps and lanes that executed each instruction.
    pub executed: Vec<Vec<(u64, u64)>>,
    /// For each function, what each instruction asked of device memory and of shared memory.
    touched: Vec<Vec<Touched>>,
    /// See [`LaunchCounts`], whose traffic alone is filled in.
    pub traffic: LaunchCounts,
}

/// What one instruction asked of device memory and of shared memory, which `cp.async` and generic addresses may both do.
#[derive(Clone, Copy, Debug, Default)]
struct Touched([Option<(AccessKind, Traffic)>; 2]);

impl Tally {
    /// Zeros for a program.
    pub fn new(program: &Program) -> Tally {
        let lengths = || program.functions.iter().map(|code| code.instructions.len());
        let executed = lengths().map(|length| vec![(0, 0); length]).collect();
        let touched = lengths().map(|length| vec![Touched::default(); length]).collect();
        Tally { executed, touched, traffic: LaunchCounts::default() }
    }

    /// Adds a request of the instruction at `pc` of a function.
    pub fn add_request(&mut self, (function, pc): (usize, u32), kind: AccessKind, request: Traffic) {
        let counts = &mut self.traffic;
        let sum = match kind {
            AccessKind::GlobalLoad => &mut counts.global_loads,
            AccessKind::GlobalStore => &mut counts.global_stores,
            AccessKind::GlobalAtomic => &mut counts.global_atomics,
            AccessKind::SharedLoad => &mut counts.shared_loads,
            AccessKind::SharedStore => &mut counts.shared_stores,
            AccessKind::SharedAtomic => &mut counts.shared_atomics,
        };
        sum.add(&request);
        let touched = &mut self.touched[function][pc as usize].0[usize::from(kind.is_shared())];
        touched.get_or_insert((kind, Traffic::default())).1.add(&request);
    }

    /// Adds another thread's.
    pub fn merge(&mut self, other: &Tally) {
        for (mine, theirs) in self.executed.iter_mut().flatten().zip(other.executed.iter().flatten()) {
            mine.0 += theirs.0;
            mine.1 += theirs.1;
        }
        for (mine, theirs) in self.touched.iter_mut().flatten().zip(other.touched.iter().flatten()) {
            for (mine, theirs) in mine.0.iter_mut().zip(theirs.0) {
                let Some((kind, traffic)) = theirs else { continue };
                mine.get_or_insert((kind, Traffic::default())).1.add(&traffic);
            }
        }
        self.traffic.add(&other.traffic);
    }

    /// The counts of a launch, with source lines from `sites`.
    pub fn finish(self, program: &Program, sites: &Sites) -> LaunchCounts {
        let mut counts = self.traffic;
        for (first, touched) in program.sites.iter().zip(&self.touched) {
            for (pc, touched) in touched.iter().enumerate() {
                for (kind, traffic) in touched.0.into_iter().flatten() {
                    let source = sites.get(Site(first + pc as u32));
                    let (file, line) = source.map_or((None, 0), |source| (source.file, source.line));
                    let file = file.map_or_else(String::new, |file| file.to_string());
                    counts.add_access(&Access { file, line, kind, traffic });
                }
            }
        }
        for (code, executed) in program.functions.iter().zip(&self.executed) {
            for (instruction, (warps, lanes)) in code.instructions.iter().zip(executed) {
                counts.warp_instructions += warps;
                counts.lane_instructions += lanes;
                if matches!(instruction.action, Action::Branch(_) | Action::BranchTable(..)) {
                    counts.branches += warps;
                }
                counts.flops += lanes * u64::from(instruction.flops);
                if instruction.class == Class::Float32 && instruction.flops == FMA_FLOPS {
                    counts.fmas += lanes;
                }
                if *lanes > 0 {
                    *counts.classes.entry(class_name(instruction.class).to_owned()).or_default() += lanes;
                }
            }
        }
        counts.launches = 1;
        counts
    }
}

/// Operations of a fused multiply-add; other arithmetic in f32 has one or none.
const FMA_FLOPS: u32 = 2;

fn class_name(class: Class) -> &'static str {
    match class {
        Class::Float32 => "float32",
        Class::Float64 => "float64",
        Class::Float16 => "float16",
        Class::Special => "special",
        Class::Matrix => "matrix",
        Class::Integer => "integer",
        Class::Conversion => "conversion",
        Class::Predicate => "predicate",
        Class::Move => "move",
        Class::Load => "load",
        Class::Store => "store",
        Class::Atomic => "atomic",
        Class::Warp => "warp",
        Class::Barrier => "barrier",
        Class::Control => "control",
        Class::Other => "other",
    }
}

/// All that was counted, as JSON gives it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// One entry for each kernel, by name.
    pub kernels: BTreeMap<String, LaunchCounts>,
    /// Calls of the driver by name.
    pub calls: BTreeMap<String, u64>,
}

/// The counts of a device.
#[derive(Debug, Default)]
pub struct Counts {
    file: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    launches: Vec<Arc<LaunchCounts>>,
    kernels: BTreeMap<String, LaunchCounts>,
    calls: BTreeMap<String, u64>,
    failed: bool,
}

/// Launches that are remembered one by one; the sums go on.
const REMEMBERED: usize = 10_000;

impl Counts {
    /// Counts that are also written to `file`, a JSON object a line.
    pub fn new(file: Option<PathBuf>) -> Counts {
        Counts { file, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a launch.
    pub fn add(&self, counts: LaunchCounts) {
        let mut state = self.lock();
        self.write(&mut state, "launch", &counts);
        let sum = state
            .kernels
            .entry(counts.kernel.clone())
            .or_insert_with(|| LaunchCounts { kernel: counts.kernel.clone(), ..Default::default() });
        sum.add(&counts);
        if state.launches.len() < REMEMBERED {
            state.launches.push(Arc::new(counts));
        }
    }

    /// Adds calls of the driver.
    pub fn add_calls(&self, calls: impl IntoIterator<Item = (String, u64)>) {
        let mut state = self.lock();
        for (name, count) in calls {
            *state.calls.entry(name).or_default() += count;
        }
    }

    /// The launches so far, in the order of their ends.
    pub fn launches(&self) -> Vec<Arc<LaunchCounts>> {
        self.lock().launches.clone()
    }

    /// Sums by kernel, and the calls.
    pub fn summary(&self) -> Summary {
        let state = self.lock();
        Summary { kernels: state.kernels.clone(), calls: state.calls.clone() }
    }

    /// Forgets everything.
    pub fn reset(&self) {
        *self.lock() = State::default();
    }

    /// Writes the sums and the calls to the file, at the end of the process.
    pub fn finish(&self) {
        let summary = self.summary();
        let mut state = self.lock();
        summary.kernels.values().for_each(|kernel| self.write(&mut state, "kernel", kernel));
        self.write(&mut state, "calls", &summary.calls);
    }

    /// Appends one line; a file that cannot be written is complained about once.
    fn write(&self, state: &mut State, kind: &str, value: &impl Serialize) {
        let Some(path) = self.file.as_ref().filter(|_| !state.failed) else { return };
        let line = serde_json::json!({ kind: value }).to_string() + "\n";
        let written = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .and_then(|mut file| file.write_all(line.as_bytes()));
        if let Err(error) = written {
            state.failed = true;
            eprintln!(
                "softcuda: counts cannot be written to {}: {error}; set SOFTCUDA_COUNTS to another file",
                path.display()
            );
        }
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for counts in self.kernels.values() {
            writeln!(f, "{counts}")?;
        }
        if !self.calls.is_empty() {
            writeln!(f, "driver calls")?;
            for (name, count) in &self.calls {
                writeln!(f, "  {name:<40} {count:>10}")?;
            }
        }
        Ok(())
    }
}

impl std::fmt::Display for LaunchCounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [x, y, z] = self.grid;
        let [bx, by, bz] = self.block;
        let times = if self.launches == 1 { "1 launch".to_owned() } else { format!("{} launches", self.launches) };
        writeln!(
            f,
            "{}: {times}, grid ({x}, {y}, {z}), block ({bx}, {by}, {bz}), {} bytes of shared memory",
            self.kernel, self.shared_bytes
        )?;
        writeln!(
            f,
            "  warp instructions {:>16}    active lanes {:>5.2} of 32",
            self.warp_instructions,
            self.active_lanes()
        )?;
        writeln!(
            f,
            "  lane instructions {:>16}    FLOP {}    FMA {} ({:.1} %)",
            self.lane_instructions,
            self.flops,
            self.fmas,
            100.0 * self.fma_share()
        )?;
        for (class, count) in &self.classes {
            writeln!(
                f,
                "    {class:<15} {count:>16}    {:>5.1} %",
                100.0 * *count as f64 / self.lane_instructions.max(1) as f64
            )?;
        }
        let rows = [
            ("global loads", self.global_loads, "sectors"),
            ("global stores", self.global_stores, "sectors"),
            ("global atomics", self.global_atomics, "sectors"),
            ("shared loads", self.shared_loads, "wavefronts"),
            ("shared stores", self.shared_stores, "wavefronts"),
            ("shared atomics", self.shared_atomics, "wavefronts"),
            ("local", self.local, "sectors"),
        ];
        for (name, traffic, unit) in rows.iter().filter(|(_, traffic, _)| traffic.requests > 0) {
            writeln!(
                f,
                "  {name:<15} {:>12} requests  {:>14} bytes  {:>12} {unit}, {:.2} a request",
                traffic.requests,
                traffic.bytes,
                traffic.transactions,
                traffic.per_request()
            )?;
        }
        for access in AccessKind::ALL.into_iter().filter_map(|kind| self.widest(kind)) {
            writeln!(f, "    widest {access}")?;
        }
        writeln!(f, "  bank conflicts {:>19} wavefronts", self.bank_conflicts())?;
        writeln!(f, "  branches {:>25}    divergent {}", self.branches, self.divergent_branches)?;
        writeln!(f, "  bytes moved {:>22}    barriers {}", self.bytes_moved(), self.barriers)?;
        write!(f, "  theoretical occupancy {:>11.0} %", 100.0 * self.theoretical_occupancy)
    }
}
