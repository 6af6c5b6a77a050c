//! The shadow of a device's global memory: which bytes were written, and which accesses nothing orders.
//!
//! Races are looked for between blocks of a launch, and between launches and copies of different streams; the threads
//! of one block are taken as ordered. For every four bytes the shadow keeps the last plain write, and two reads or strong
//! accesses of different blocks. A record names its *segment*: the stretch of one block of one launch between two of its
//! releases. Of two accesses on two host threads at once, the later to record itself always sees the other, so that
//! whether a race is found does not depend on how the threads run.
//!
//! Blocks of a launch are ordered by atomics and fences alone: a block that passed a fence after its last plain store
//! *releases* with each atomic and strong store, and *acquires* with each atomic and strong load of the same address.
//!
//! What it leaves out: four bytes that more than two blocks read remember two of them; and of blocks that write
//! different bytes of the same four, the last.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::mapping::Mapping;
use super::releases::{Knowledge, Releases};
use super::report::Site;
use super::shared::{LANES, granules, ones};
use super::written::Written;

/// What an access does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A plain load.
    Read,
    /// A plain store.
    Write,
    /// A volatile, relaxed or acquiring load.
    StrongRead,
    /// A volatile, relaxed or releasing store.
    StrongWrite,
    /// A read-modify-write.
    Atomic,
}

impl Kind {
    /// The name that reports carry.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Read | Kind::StrongRead => "read",
            Kind::Write | Kind::StrongWrite => "write",
            Kind::Atomic => "atomic",
        }
    }

    /// Whether an access of this kind may not meet one of the other unless something orders them.
    fn conflicts_with(self, other: Kind) -> bool {
        match (self, other) {
            (Kind::Write, _) | (_, Kind::Write) => true,
            (Kind::Read, other) | (other, Kind::Read) => matches!(other, Kind::StrongWrite | Kind::Atomic),
            _ => false,
        }
    }

    /// Whether whatever conflicts with `other` conflicts with this too.
    fn covers(self, other: Kind) -> bool {
        self == other || other == Kind::StrongRead || matches!((self, other), (Kind::Atomic, Kind::StrongWrite))
    }

    fn releases(self) -> bool {
        matches!(self, Kind::StrongWrite | Kind::Atomic)
    }

    fn acquires(self) -> bool {
        matches!(self, Kind::StrongRead | Kind::Atomic)
    }

    /// The bits of a record; that of a plain write needs none, for it has a place of its own.
    fn code(self) -> u64 {
        match self {
            Kind::Read | Kind::Write => 0,
            Kind::StrongRead => 1,
            Kind::StrongWrite => 2,
            Kind::Atomic => 3,
        }
    }
}

/// One instruction of one warp that touches global memory.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// What it does.
    pub kind: Kind,
    /// Which instruction it is.
    pub site: Site,
    /// The warp's number in its block.
    pub warp: u32,
    /// The lanes that take part.
    pub mask: u32,
    /// For each lane its address. Lanes that reach outside the shadow's span are left out.
    pub addresses: &'a [u64; LANES],
    /// Bytes a lane, 1 to 16.
    pub bytes: u32,
}

/// The place of an operation among those of all streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Its stream.
    pub stream: u32,
    /// Its number in the stream: all smaller ones of the stream come before it.
    pub sequence: u64,
    /// For each other stream the last operation that comes before it; one that comes before none is absent.
    pub after: Arc<BTreeMap<u32, u64>>,
}

impl Order {
    /// Whether this operation comes after the other.
    pub fn follows(&self, other: &Order) -> bool {
        if self.stream == other.stream {
            return other.sequence < self.sequence;
        }
        self.after.get(&other.stream).is_some_and(|&last| other.sequence <= last)
    }
}

/// Two accesses that nothing orders.
///
/// Which of the two comes first is no matter of time: of one launch it is that of the smaller site, block and thread; of
/// two operations that of the smaller stream and sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Race {
    /// An address that both touch.
    pub address: u64,
    /// The second access.
    pub access: RacingAccess,
    /// The first access.
    pub other: RacingAccess,
}

/// One of the two accesses of a race.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RacingAccess {
    /// The kernel, or the driver's function.
    pub operation: Arc<str>,
    /// The instruction; [`Site::NONE`] for the host's.
    pub site: Site,
    /// The block: x, y, z.
    pub block: [u32; 3],
    /// The thread in its block: x, y, z.
    pub thread: [u32; 3],
    /// What it did.
    pub kind: Kind,
}

/// The shadow of a device's memory; shared by all threads.
#[derive(Debug)]
pub struct GlobalShadow {
    written: Written,
    races: Arc<Races>,
}

/// The accesses to a span of memory.
#[derive(Debug)]
struct Races {
    base: u64,
    span: u64,
    /// Three words for every four bytes: the last plain write, and two other accesses.
    records: Mapping,
    table: RwLock<Table>,
}

/// What the numbers of segments stand for. They grow with time; 0 is no segment.
#[derive(Debug)]
struct Table {
    next: u32,
    /// Operations under way.
    running: u32,
    /// All segments in use, by their numbers.
    stretches: Vec<Stretch>,
    /// For each stream its operations, as sequence and first segment.
    streams: BTreeMap<u32, Vec<(u64, u32)>>,
}

/// Segments in a row.
#[derive(Clone, Debug)]
struct Stretch {
    start: u32,
    operation: Arc<Operation>,
    /// The block and its clock at `start` if all are of one block; otherwise each is the first segment of a block.
    block: Option<(u32, u32)>,
}

impl Stretch {
    /// The block and its clock that a segment of this stretch stands for.
    fn place(&self, segment: u32) -> (u32, u32) {
        let offset = segment - self.start;
        self.block.map_or((offset, 0), |(block, clock)| (block, clock + offset))
    }
}

/// A launch, or a copy or set of the driver.
#[derive(Debug)]
struct Operation {
    order: Order,
    name: Arc<str>,
    grid: [u32; 3],
    block: [u32; 3],
}

/// One access: segment 25 bits, thread 10, site 23, byte mask 4, kind 2. 0 where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Record(u64);

impl Record {
    const SEGMENT_SHIFT: u32 = 39;
    const THREAD_SHIFT: u32 = 29;
    const SITE_SHIFT: u32 = 6;
    const MASK_SHIFT: u32 = 2;
    const MASK: u64 = 0xf << Record::MASK_SHIFT;

    /// A record of no bytes yet: what all accesses of a warp's instruction share.
    fn new(segment: u32, warp: u32, site: Site, kind: Kind) -> Record {
        let thread = u64::from(warp) % 32 * LANES as u64;
        let place = u64::from(segment) << Record::SEGMENT_SHIFT | thread << Record::THREAD_SHIFT;
        Record(place | site.packed() << Record::SITE_SHIFT | kind.code())
    }

    fn with(self, lane: usize, mask: u32) -> Record {
        Record(self.0 | (lane as u64) << Record::THREAD_SHIFT | u64::from(mask) << Record::MASK_SHIFT)
    }

    fn segment(self) -> u32 {
        (self.0 >> Record::SEGMENT_SHIFT) as u32
    }

    fn thread(self) -> u32 {
        (self.0 >> Record::THREAD_SHIFT) as u32 & 0x3ff
    }

    fn site(self) -> Site {
        Site((self.0 >> Record::SITE_SHIFT) as u32 & Site::NONE.0)
    }

    fn mask(self) -> u64 {
        self.0 & Record::MASK
    }

    fn overlaps(self, other: Record) -> bool {
        self.mask() & other.mask() != 0
    }

    /// The kind, of a record that is no plain write.
    fn kind(self) -> Kind {
        match self.0 & 3 {
            0 => Kind::Read,
            1 => Kind::StrongRead,
            2 => Kind::StrongWrite,
            _ => Kind::Atomic,
        }
    }

    /// What takes the place of this record: bytes that the same segment accessed are kept.
    fn succeeded_by(self, new: Record) -> Record {
        let kept = if self.segment() == new.segment() { self.mask() } else { 0 };
        Record(new.0 | kept)
    }
}

/// The last number of a segment.
const LAST_SEGMENT: u32 = (1 << 25) - 1;

/// How many segments a block takes at once when it releases.
const SEGMENTS_A_BLOCK: u32 = 16;

impl GlobalShadow {
    /// A shadow of `span` bytes from the address `base` on, a multiple of 4; it takes memory only for what is touched.
    pub fn new(base: u64, span: u64) -> io::Result<GlobalShadow> {
        let words = usize::try_from(span.div_ceil(4)).ok().and_then(|granules| granules.checked_mul(3));
        let records = Mapping::new(words.ok_or(io::ErrorKind::OutOfMemory)?)?;
        let table = RwLock::new(Table::new());
        Ok(GlobalShadow { written: Written::new(base, span)?, races: Arc::new(Races { base, span, records, table }) })
    }

    /// Marks a range as written.
    pub fn mark_written(&self, address: u64, len: u64) {
        self.written.mark(address, len);
    }

    /// Marks a range as a new allocation: nothing wrote it, and nothing accessed it.
    pub fn mark_unwritten(&self, address: u64, len: u64) {
        self.written.unmark(address, len);
        self.races.forget(address, len);
    }

    /// Marks the bytes of a copy as written where those of its source are.
    pub fn copy_written(&self, dst: u64, src: u64, len: u64) {
        self.written.copy(dst, src, len);
    }

    /// The first byte of a range that nothing wrote.
    pub fn first_unwritten(&self, address: u64, len: u64) -> Option<u64> {
        self.written.first_unwritten(address, len)
    }

    /// The first lane that reads a byte that nothing wrote, and the address of the byte.
    pub fn unwritten_lane(&self, mask: u32, addresses: &[u64; LANES], bytes: u32) -> Option<(u32, u64)> {
        self.written.unwritten_lane(mask, addresses, bytes)
    }

    /// Marks what each lane writes.
    pub fn mark_lanes(&self, mask: u32, addresses: &[u64; LANES], bytes: u32) {
        self.written.mark_lanes(mask, addresses, bytes);
    }

    /// Forgets all accesses, unless an operation is under way; says whether it did.
    pub fn clear_races(&self) -> bool {
        let mut table = self.races.write_table();
        let idle = table.running == 0;
        if idle {
            self.races.clear(&mut table);
        }
        idle
    }

    /// Begins a launch. Operations of one stream begin in the order of their sequence.
    ///
    /// The launch is over when its last [`BlockRaces`] and this reference are gone. When there are more blocks than the
    /// segments left can stand for, older records are forgotten; while other launches run, this one goes unchecked.
    pub fn begin_launch(&self, order: Order, kernel: Arc<str>, grid: [u32; 3], block: [u32; 3]) -> Arc<LaunchRaces> {
        Arc::new(self.races.begin(Operation { order, name: kernel, grid, block }))
    }

    /// Ends a launch whose blocks are done.
    pub fn end_launch(&self, launch: Arc<LaunchRaces>) {
        drop(launch);
    }

    /// Checks and records a copy or set of the driver, as one operation of its stream; finds one race at most.
    pub fn range_access(
        &self,
        order: &Order,
        name: &str,
        address: u64,
        len: u64,
        write: bool,
        found: &mut dyn FnMut(Race),
    ) {
        let launch = self.begin_launch(order.clone(), name.into(), [1; 3], [1; 3]);
        let kind = if write { Kind::Write } else { Kind::Read };
        BlockRaces::new(&launch, 0).range(kind, address, len, found);
    }
}

impl Races {
    fn read_table(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_table(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn clear(&self, table: &mut Table) {
        self.records.clear(0..self.records.len());
        *table = Table::new();
    }

    /// The part of a range that lies in the span, as offsets.
    fn clip(&self, address: u64, len: u64) -> (u64, u64) {
        let inside = |address: u64| address.saturating_sub(self.base).min(self.span);
        (inside(address), inside(address.saturating_add(len)))
    }

    fn forget(&self, address: u64, len: u64) {
        let (from, to) = self.clip(address, len);
        self.records.clear(from as usize / 4 * 3..to.div_ceil(4) as usize * 3);
    }

    fn begin(self: &Arc<Self>, operation: Operation) -> LaunchRaces {
        let [x, y, z] = operation.grid.map(u64::from);
        let blocks = x.saturating_mul(y).saturating_mul(z);
        let mut table = self.write_table();
        if blocks > table.room() && table.running == 0 {
            self.clear(&mut table);
        }
        table.running += 1;
        let operation = Arc::new(operation);
        let segments = (blocks <= table.room()).then(|| table.begin(&operation, blocks as u32));
        LaunchRaces { races: Arc::clone(self), operation, segments, releases: Releases::default() }
    }

    /// The records of four bytes.
    fn granule(&self, granule: usize) -> &[AtomicU64] {
        &self.records[granule * 3..granule * 3 + 3]
    }
}

impl Table {
    fn new() -> Table {
        Table { next: 1, running: 0, stretches: Vec::new(), streams: BTreeMap::new() }
    }

    fn room(&self) -> u64 {
        u64::from(LAST_SEGMENT + 1 - self.next)
    }

    fn take(&mut self, count: u32, operation: &Arc<Operation>, block: Option<(u32, u32)>) -> u32 {
        let start = self.next;
        self.next += count;
        self.stretches.push(Stretch { start, operation: Arc::clone(operation), block });
        start
    }

    fn begin(&mut self, operation: &Arc<Operation>, blocks: u32) -> Segments {
        let start = self.take(blocks, operation, None);
        let order = &operation.order;
        self.streams.entry(order.stream).or_default().push((order.sequence, start));
        Segments { start, blocks, floor: self.floor(order).min(start) }
    }

    /// The first segment of any operation that does not come before this one.
    fn floor(&self, order: &Order) -> u32 {
        let first = |(stream, operations): (&u32, &Vec<(u64, u32)>)| {
            let before = if *stream == order.stream {
                operations.partition_point(|&(sequence, _)| sequence < order.sequence)
            } else {
                let last = order.after.get(stream);
                last.map_or(0, |last| operations.partition_point(|(sequence, _)| sequence <= last))
            };
            operations.get(before).map(|&(_, start)| start)
        };
        self.streams.iter().filter_map(first).min().unwrap_or(self.next)
    }

    fn find(&self, segment: u32) -> Option<&Stretch> {
        let after = self.stretches.partition_point(|stretch| stretch.start <= segment);
        self.stretches.get(after.checked_sub(1)?)
    }
}

/// The race checks of one launch, shared by its blocks.
#[derive(Debug)]
pub struct LaunchRaces {
    races: Arc<Races>,
    operation: Arc<Operation>,
    /// `None` for a launch that goes unchecked.
    segments: Option<Segments>,
    releases: Releases,
}

/// The segments that a launch begins with.
#[derive(Clone, Copy, Debug)]
struct Segments {
    /// That of block 0.
    start: u32,
    blocks: u32,
    /// All segments below it come before this launch.
    floor: u32,
}

impl Drop for LaunchRaces {
    fn drop(&mut self) {
        self.races.write_table().running -= 1;
    }
}

/// The race checks of one block, owned by the thread that executes it.
#[derive(Debug)]
pub struct BlockRaces {
    launch: Arc<LaunchRaces>,
    view: View,
    /// The releases that the segment of the next access comes after.
    clock: u32,
    /// The segments taken, which follow the present one.
    spare: u32,
    /// Whether the block released since its last plain access.
    released: bool,
    /// The warps that may not release: some store that comes before what they do next is not fenced.
    unfenced: u32,
}

/// What a block knows of the order of accesses.
#[derive(Debug)]
struct View {
    segments: Segments,
    block: u32,
    /// The segment of the next access; 0 where nothing is checked.
    segment: u32,
    knowledge: Knowledge,
    /// The last stretch of another operation that was looked up: its segments, and whether it comes before this launch.
    last: (u32, u32, bool),
}

impl BlockRaces {
    /// Begins the block with this number of a launch: x fastest, z slowest.
    pub fn new(launch: &Arc<LaunchRaces>, block_linear: u64) -> BlockRaces {
        let unchecked = Segments { start: 0, blocks: 0, floor: 0 };
        let segments = launch.segments.filter(|segments| block_linear < u64::from(segments.blocks));
        let segments = segments.unwrap_or(unchecked);
        let block = block_linear as u32;
        let segment = if segments.blocks == 0 { 0 } else { segments.start + block };
        let view = View { segments, block, segment, knowledge: Knowledge::default(), last: (0, 0, false) };
        BlockRaces { launch: Arc::clone(launch), view, clock: 0, spare: 0, released: false, unfenced: u32::MAX }
    }

    /// Checks and records an access, before it is carried out; reports one race at most.
    ///
    /// An atomic or a strong load is followed by [`BlockRaces::acquire`], after it is carried out.
    pub fn access(&mut self, access: &Access<'_>, found: &mut dyn FnMut(Race)) {
        if self.view.segment == 0 {
            return;
        }
        if self.released && matches!(access.kind, Kind::Read | Kind::Write) {
            self.renew_segment();
        }
        let base = Record::new(self.view.segment, access.warp, access.site, access.kind);
        let (mut race, mut last) = (None, None);
        for lane in ones(access.mask) {
            let address = access.addresses[lane];
            if last.replace(address) == Some(address) {
                continue;
            }
            let Some(offset) = self.offset(address, access.bytes) else { continue };
            for (granule, mask) in granules(offset, access.bytes as usize) {
                let new = base.with(lane, mask);
                let old = self.view.touch(&self.launch, granule, new, access.kind);
                race = race.or(old.map(|old| (granule, new, old)));
            }
        }
        if let Some((granule, new, old)) = race {
            found(self.describe(granule, (new, access.kind), old));
        }
        if access.kind == Kind::Write {
            self.unfenced |= 1 << (access.warp % 32);
        } else if access.kind.releases() {
            self.release(access);
        }
    }

    /// Takes in what other blocks released at these addresses, once an access that reads them is carried out.
    pub fn acquire(&mut self, kind: Kind, mask: u32, addresses: &[u64; LANES]) {
        if !kind.acquires() {
            return;
        }
        let (releases, knowledge) = (&self.launch.releases, &mut self.view.knowledge);
        ones(mask).for_each(|lane| releases.acquire(addresses[lane], knowledge));
    }

    /// A fence of the whole device, or a wider one: the block's stores so far come before its next release.
    ///
    /// The block's warps run in turn on one thread, so a fence of any of them is taken to cover all stores before it.
    pub fn fence(&mut self) {
        self.unfenced = 0;
    }

    /// A barrier of these warps: the stores of each come before the releases of all.
    pub fn barrier(&mut self, warps: u32) {
        if self.unfenced & warps != 0 {
            self.unfenced |= warps;
        }
    }

    /// Checks and records an access of the driver to a range.
    fn range(&mut self, kind: Kind, address: u64, len: u64, found: &mut dyn FnMut(Race)) {
        if self.view.segment == 0 {
            return;
        }
        let base = Record::new(self.view.segment, 0, Site::NONE, kind);
        let (from, to) = self.launch.races.clip(address, len);
        let mut race = None;
        for (granule, mask) in granules(from as usize, (to - from) as usize) {
            let new = base.with(0, mask);
            let old = self.view.touch(&self.launch, granule, new, kind);
            race = race.or(old.map(|old| (granule, new, old)));
        }
        if let Some((granule, new, old)) = race {
            found(self.describe(granule, (new, kind), old));
        }
    }

    fn offset(&self, address: u64, bytes: u32) -> Option<usize> {
        let offset = address.checked_sub(self.launch.races.base)?;
        let end = offset.checked_add(u64::from(bytes))?;
        (end <= self.launch.races.span).then_some(offset as usize)
    }

    fn release(&mut self, access: &Access<'_>) {
        if self.unfenced & 1 << (access.warp % 32) != 0 {
            return;
        }
        let mut last = None;
        for lane in ones(access.mask) {
            let address = access.addresses[lane];
            if last.replace(address) != Some(address) {
                self.launch.releases.release(address, self.view.block, self.clock, &self.view.knowledge);
            }
        }
        self.released = true;
    }

    /// Goes on to a new segment after a release. Where none is left, later accesses pass for earlier ones.
    ///
    /// Strong accesses do without: they take part in the synchronisation itself, and a block may spin on them.
    fn renew_segment(&mut self) {
        self.released = false;
        if self.spare > 0 {
            self.view.segment += 1;
            self.spare -= 1;
        } else {
            let mut table = self.launch.races.write_table();
            if table.room() < u64::from(SEGMENTS_A_BLOCK) {
                return;
            }
            let place = Some((self.view.block, self.clock + 1));
            self.view.segment = table.take(SEGMENTS_A_BLOCK, &self.launch.operation, place);
            self.spare = SEGMENTS_A_BLOCK - 1;
        }
        self.clock += 1;
    }

    fn describe(&self, granule: usize, (new, kind): (Record, Kind), (old, old_kind): (Record, Kind)) -> Race {
        let both = (new.mask() & old.mask()) >> Record::MASK_SHIFT;
        let address = self.launch.races.base + granule as u64 * 4 + u64::from(both.trailing_zeros());
        let table = self.launch.races.read_table();
        let mut sides = [(new, kind), (old, old_kind)].map(|(record, kind)| {
            let stretch = table.find(record.segment());
            let operation = stretch.map_or(&self.launch.operation, |stretch| &stretch.operation);
            let block = stretch.map_or(0, |stretch| stretch.place(record.segment()).0);
            let key = (operation.order.stream, operation.order.sequence, record.site(), block, record.thread(), kind);
            (key, operation.describe(record, block, kind))
        });
        sides.sort_by_key(|side| side.0);
        let [(_, other), (_, access)] = sides;
        Race { address, access, other }
    }
}

impl View {
    /// Records an access to four bytes, and finds an earlier one that it conflicts with.
    ///
    /// The record is made first and the others are read after it, both in the one order of sequentially consistent
    /// operations: of two accesses at once, the one whose record comes later sees the other's.
    fn touch(&mut self, launch: &LaunchRaces, granule: usize, new: Record, kind: Kind) -> Option<(Record, Kind)> {
        let [write, others @ ..] = launch.races.granule(granule) else { return None };
        let replaced = if kind == Kind::Write { exchange_write(write, new) } else { None };
        if kind != Kind::Write {
            self.record(launch, others, new);
        }
        let written = replaced.unwrap_or_else(|| Record(write.load(Ordering::SeqCst)));
        if self.races_with(launch, new, written) {
            return Some((written, Kind::Write));
        }
        let mut others = others.iter().map(|other| Record(other.load(Ordering::SeqCst)));
        let clash = others.find(|&other| kind.conflicts_with(other.kind()) && self.races_with(launch, new, other))?;
        Some((clash, clash.kind()))
    }

    fn races_with(&mut self, launch: &LaunchRaces, new: Record, old: Record) -> bool {
        old.overlaps(new) && !self.comes_before(launch, old)
    }

    /// Records an access that is no plain write, in the place of one that says no more.
    fn record(&mut self, launch: &LaunchRaces, slots: &[AtomicU64], new: Record) {
        loop {
            let Some((slot, old)) = self.choose(launch, slots, new) else { return };
            let next = old.succeeded_by(new).0;
            if slot.compare_exchange(old.0, next, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                return;
            }
        }
    }

    /// The slot that a record goes to, and what is there; `None` if what is there says as much.
    fn choose<'a>(
        &mut self,
        launch: &LaunchRaces,
        slots: &'a [AtomicU64],
        new: Record,
    ) -> Option<(&'a AtomicU64, Record)> {
        let mut free = None;
        let mut weak = None;
        for slot in slots {
            let old = Record(slot.load(Ordering::SeqCst));
            if old.segment() == new.segment() {
                let (known, covered) = (old.kind().covers(new.kind()), new.mask() & !old.mask() == 0);
                if known && covered {
                    return None;
                }
                if known || new.kind().covers(old.kind()) {
                    return Some((slot, old));
                }
            } else if free.is_none() && self.comes_before(launch, old) {
                free = Some((slot, old));
            } else if old.kind() == Kind::StrongRead && new.kind() != Kind::StrongRead {
                weak = Some((slot, old));
            }
        }
        free.or(weak)
    }

    /// Whether an earlier access, or none, comes before what this block does now.
    fn comes_before(&mut self, launch: &LaunchRaces, old: Record) -> bool {
        let segment = old.segment();
        if segment < self.segments.floor || segment == self.segment {
            return true;
        }
        let block = segment.wrapping_sub(self.segments.start);
        if block < self.segments.blocks {
            return self.knows(launch, block, 0);
        }
        let (start, end, before) = self.last;
        if (start..end).contains(&segment) { before } else { self.look_up(launch, segment) }
    }

    /// Whether a segment that is neither old nor one of those this launch began with comes before.
    fn look_up(&mut self, launch: &LaunchRaces, segment: u32) -> bool {
        let table = launch.races.read_table();
        let Some(stretch) = table.find(segment) else { return true };
        if Arc::ptr_eq(&stretch.operation, &launch.operation) {
            let (block, clock) = stretch.place(segment);
            drop(table);
            return self.knows(launch, block, clock);
        }
        let next = table.stretches.partition_point(|stretch| stretch.start <= segment);
        let end = table.stretches.get(next).map_or(table.next, |stretch| stretch.start);
        let before = launch.operation.order.follows(&stretch.operation.order);
        self.last = (stretch.start, end, before);
        before
    }

    fn knows(&mut self, launch: &LaunchRaces, block: u32, clock: u32) -> bool {
        block == self.block || launch.releases.knows(block, clock, &mut self.knowledge)
    }
}

impl Operation {
    fn describe(&self, record: Record, block: u32, kind: Kind) -> RacingAccess {
        RacingAccess {
            operation: Arc::clone(&self.name),
            site: record.site(),
            block: coordinates(block, self.grid),
            thread: coordinates(record.thread(), self.block),
            kind,
        }
    }
}

/// The coordinates of a number in a grid: x fastest, z slowest.
fn coordinates(number: u32, [x, y, _]: [u32; 3]) -> [u32; 3] {
    let (x, y) = (x.max(1), y.max(1));
    [number % x, number / x % y, number / x / y]
}

/// Records a plain write, and returns the one before it; `None` where the segment's own is there and says as much.
fn exchange_write(slot: &AtomicU64, new: Record) -> Option<Record> {
    let mut old = Record(slot.load(Ordering::SeqCst));
    loop {
        let own = old.segment() == new.segment();
        if own && old.site() == new.site() && new.mask() & !old.mask() == 0 {
            return None;
        }
        let next = old.succeeded_by(new).0;
        match slot.compare_exchange(old.0, next, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => return Some(old),
            Err(now) => old = Record(now),
        }
    }
}

#[cfg(test)]
#[path = "global_tests.rs"]
mod tests;
