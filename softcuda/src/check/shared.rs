//! The shadow of one block's shared memory: which bytes were written, and which accesses nothing orders.
//!
//! Races are found by vector clocks over warps. Each warp counts its synchronisations; a barrier tells every warp how
//! far each of the others had come. Two accesses of different threads to the same bytes, one of them a write, race
//! unless the earlier one lies before the count that the later thread knows of the earlier thread's warp. Lanes of one
//! warp are ordered by a barrier or by `bar.warp.sync`, by nothing else: since Volta they need not run in step.
//!
//! The shadow is exact to a byte, but keeps, for every four bytes, only the last write and two reads. Several threads
//! that write parts of the same four bytes hide each other: of their accesses the last one is checked.

use super::report::Site;

/// Lanes of a warp.
pub const LANES: usize = 32;

/// Warps of the largest block.
pub const MAX_WARPS: usize = 32;

/// What an access does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A plain load.
    Read,
    /// A plain store.
    Write,
    /// A read-modify-write that cannot be torn.
    Atomic,
}

impl Kind {
    /// The name that reports carry.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Read => "read",
            Kind::Write => "write",
            Kind::Atomic => "atomic",
        }
    }
}

/// One instruction of one warp that touches shared memory.
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
    /// For each lane its offset in shared memory. Lanes that reach outside the block's memory are left out.
    pub addresses: &'a [u64; LANES],
    /// Bytes a lane, 1 to 16.
    pub bytes: u32,
    /// What each lane of a write stores, in the low `bytes` bytes: lanes that write the same bytes in one instruction
    /// race unless they store the same. Without values such writes pass.
    pub values: Option<&'a [u128; LANES]>,
}

/// Something wrong with an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The lowest lane it was found in.
    pub lane: u32,
    /// The offset in shared memory.
    pub address: u64,
    /// What is wrong.
    pub flaw: Flaw,
}

/// What is wrong with an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It reads bytes that nothing wrote.
    Uninitialised,
    /// Nothing orders it after this earlier access.
    Race(OtherAccess),
    /// It touches bytes that this `cp.async` is still copying.
    Async(OtherAccess),
}

/// The earlier access of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtherAccess {
    /// Which instruction it is.
    pub site: Site,
    /// The warp's number in its block.
    pub warp: u32,
    /// The lane.
    pub lane: u32,
    /// What it did.
    pub kind: Kind,
}

/// The shadow of shared memory; an executor's thread owns one and uses it for block after block.
#[derive(Debug)]
pub struct SharedShadow {
    /// The block's bytes of shared memory.
    bytes: u32,
    /// Which block this is, in every byte; what earlier blocks wrote carries other values. From 1 to 255.
    generation: u32,
    /// For each byte the generation that wrote it, four bytes to a word.
    written: Vec<u32>,
    granules: Vec<Granule>,
    clocks: Clocks,
    /// Whether any byte was ever in flight in this block.
    copies: bool,
    /// The clock at which the block began: copies in flight before it are none of this block's.
    first_clock: u32,
}

/// The accesses to four bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Granule {
    /// The last plain write.
    write: Record,
    /// Two reads or atomics, of different threads.
    reads: [Record; 2],
    /// The `cp.async` under way.
    flight: Record,
}

/// One access: clock 26 bits, warp 5, lane 5, site 23, byte mask 4, atomic 1. Its mask is 0 where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Record(u64);

impl Record {
    const NONE: Record = Record(0);
    const CLOCK_SHIFT: u32 = 38;
    const LANE_SHIFT: u32 = 28;
    const SITE_SHIFT: u32 = 5;
    const MASK_SHIFT: u32 = 1;
    const MASK: u64 = 0xf << Record::MASK_SHIFT;
    const ATOMIC: u64 = 1;

    /// A record of no bytes yet: what all accesses of a warp's instruction share.
    fn new(clock: u32, warp: usize, site: Site, atomic: bool) -> Record {
        let thread = (warp * LANES) as u64;
        let site = site.packed() << Record::SITE_SHIFT;
        Record(u64::from(clock) << Record::CLOCK_SHIFT | thread << Record::LANE_SHIFT | site | u64::from(atomic))
    }

    fn with(self, lane: usize, mask: u32) -> Record {
        Record(self.0 | (lane as u64) << Record::LANE_SHIFT | u64::from(mask) << Record::MASK_SHIFT)
    }

    fn clock(self) -> u32 {
        (self.0 >> Record::CLOCK_SHIFT) as u32
    }

    fn thread(self) -> u32 {
        (self.0 >> Record::LANE_SHIFT) as u32 & 0x3ff
    }

    fn warp(self) -> usize {
        self.thread() as usize / LANES
    }

    fn lane(self) -> usize {
        self.thread() as usize % LANES
    }

    fn mask(self) -> u64 {
        self.0 & Record::MASK
    }

    fn is_atomic(self) -> bool {
        self.0 & Record::ATOMIC != 0
    }

    fn overlaps(self, other: Record) -> bool {
        self.mask() & other.mask() != 0
    }

    /// Whether the two differ at most in their bytes.
    fn same_but_bytes(self, other: Record) -> bool {
        (self.0 ^ other.0) & !Record::MASK == 0
    }

    fn same_thread(self, other: Record) -> bool {
        self.thread() == other.thread() && self.is_atomic() == other.is_atomic()
    }

    /// What takes this record's place when its thread accesses the four bytes again. Bytes of before are kept under the
    /// new site if the thread has not synchronised since: to know of them counts for more than which line it was.
    fn succeeded_by(self, new: Record) -> Record {
        let kept = if self.same_thread(new) && self.clock() == new.clock() { self.mask() } else { 0 };
        Record(new.0 | kept)
    }

    fn other(self, kind: Kind) -> OtherAccess {
        let site = Site((self.0 >> Record::SITE_SHIFT) as u32 & Site::NONE.0);
        OtherAccess { site, warp: self.warp() as u32, lane: self.lane() as u32, kind }
    }

    fn read_kind(self) -> Kind {
        if self.is_atomic() { Kind::Atomic } else { Kind::Read }
    }
}

/// How far each thread knows the others to have come.
#[derive(Debug)]
struct Clocks {
    /// Each warp's count of synchronisations. It grows on from block to block, so that all that earlier blocks did lies
    /// before what any warp knows.
    now: [u32; MAX_WARPS],
    /// `known[w][v]`: what warp `v` did at this clock or earlier comes before what all of warp `w` does now.
    known: [[u32; MAX_WARPS]; MAX_WARPS],
    /// The warps in which some lanes only have synchronised in this block.
    partial: u32,
    /// `lanes[w][l][m]`: what lane `m` of warp `w` did at this clock or earlier comes before what lane `l` does now.
    /// Holds for the warps in `partial`.
    lanes: Box<[[[u32; LANES]; LANES]; MAX_WARPS]>,
}

/// The last clock that fits a record.
const LAST_CLOCK: u32 = (1 << 26) - 1;

impl Clocks {
    fn new() -> Clocks {
        Clocks {
            now: [1; MAX_WARPS],
            known: [[0; MAX_WARPS]; MAX_WARPS],
            partial: 0,
            lanes: Box::new([[[0; LANES]; LANES]; MAX_WARPS]),
        }
    }

    /// Puts everything so far before everything that comes.
    fn begin(&mut self) {
        let last = self.now.iter().fold(0, |last, &clock| last.max(clock));
        self.now = [last + 1; MAX_WARPS];
        self.known = [[last; MAX_WARPS]; MAX_WARPS];
        self.partial = 0;
    }

    fn is_full(&self) -> bool {
        self.now.iter().any(|&clock| clock >= LAST_CLOCK)
    }

    fn barrier(&mut self, warps: u32) {
        let mut joined = [0; MAX_WARPS];
        for warp in ones(warps) {
            for (joined, &known) in joined.iter_mut().zip(&self.known[warp]) {
                *joined = known.max(*joined);
            }
        }
        for warp in ones(warps) {
            joined[warp] = self.now[warp];
            self.now[warp] += 1;
        }
        for warp in ones(warps) {
            self.known[warp] = joined;
        }
    }

    fn warp_sync(&mut self, warp: usize, mask: u32) {
        let now = self.now[warp];
        self.now[warp] += 1;
        if mask == u32::MAX {
            self.known[warp][warp] = now;
            return;
        }
        let lanes = &mut self.lanes[warp];
        if self.partial & 1 << warp == 0 {
            self.partial |= 1 << warp;
            *lanes = [[0; LANES]; LANES];
        }
        let mut joined = [0; LANES];
        for lane in ones(mask) {
            for (joined, &known) in joined.iter_mut().zip(&lanes[lane]) {
                *joined = known.max(*joined);
            }
        }
        ones(mask).for_each(|lane| joined[lane] = now);
        ones(mask).for_each(|lane| lanes[lane] = joined);
    }

    /// Whether the access `old` comes before whatever the thread of `new` does now.
    fn ordered(&self, old: Record, new: Record) -> bool {
        old.thread() == new.thread() || self.synchronised(old, new)
    }

    /// Whether a synchronisation lies between the access `old` and whatever the thread of `new` does now.
    fn synchronised(&self, old: Record, new: Record) -> bool {
        let warp = new.warp();
        old.clock() <= self.known[warp][old.warp()]
            || (old.warp() == warp && self.is_partial(warp) && old.clock() <= self.lanes[warp][new.lane()][old.lane()])
    }

    fn is_partial(&self, warp: usize) -> bool {
        self.partial & 1 << warp != 0
    }
}

/// The set bits, lowest first.
pub(super) fn ones(mut mask: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lowest = mask.trailing_zeros();
        mask &= mask.checked_sub(1)?;
        Some(lowest as usize)
    })
}

/// The four-byte granules that an access of a lane touches, each with the mask of its bytes.
pub(super) fn granules(offset: usize, bytes: usize) -> impl Iterator<Item = (usize, u32)> {
    let end = offset + bytes;
    (offset / 4..end.div_ceil(4)).map(move |granule| {
        let from = offset.saturating_sub(granule * 4);
        let to = (end - granule * 4).min(4);
        (granule, (1 << to) - (1 << from))
    })
}

/// The generation's bytes of a written word under a byte mask.
fn spread(mask: u32) -> u32 {
    // Each bit goes to the lowest bit of its byte; the product then fills the bytes.
    (mask.wrapping_mul(0x0020_4081) & 0x0101_0101) * 0xff
}

impl Default for SharedShadow {
    fn default() -> Self {
        Self::new()
    }
}

impl SharedShadow {
    /// A shadow of no memory yet.
    pub fn new() -> SharedShadow {
        SharedShadow {
            bytes: 0,
            generation: 1,
            written: Vec::new(),
            granules: Vec::new(),
            clocks: Clocks::new(),
            copies: false,
            first_clock: 0,
        }
    }

    /// Begins a block with `bytes` bytes of shared memory: nothing is written, nothing was accessed.
    pub fn begin_block(&mut self, bytes: u32, warps: u32) {
        debug_assert!(warps as usize <= MAX_WARPS);
        let granules = bytes.div_ceil(4) as usize;
        if self.granules.len() < granules {
            self.granules.resize(granules, Granule::default());
            self.written.resize(granules, 0);
        }
        self.bytes = bytes;
        self.copies = false;
        self.generation += 1;
        if self.generation > 255 {
            self.written.fill(0);
            self.generation = 1;
        }
        self.clocks.begin();
        self.forget_when_full();
        self.first_clock = self.clocks.now[0];
    }

    /// Orders what these warps did before what they do next.
    pub fn barrier(&mut self, warps: u32) {
        self.clocks.barrier(warps);
        self.forget_when_full();
    }

    /// Orders what these lanes of a warp did before what they do next.
    pub fn warp_sync(&mut self, warp: u32, mask: u32) {
        self.clocks.warp_sync(warp as usize % MAX_WARPS, mask);
        self.forget_when_full();
    }

    /// Starts the clocks over, once in many millions of synchronisations; accesses before that moment are forgotten.
    fn forget_when_full(&mut self) {
        if self.clocks.is_full() {
            self.granules.fill(Granule::default());
            self.clocks = Clocks::new();
            self.first_clock = 0;
        }
    }

    /// Checks and records an access: for races where `race` is set, for bytes never written where `init` is.
    ///
    /// At most one finding of each sort comes of one access, that of the lowest lane; all lanes are recorded.
    pub fn access(&mut self, access: &Access<'_>, race: bool, init: bool, found: &mut dyn FnMut(Finding)) {
        let unwritten = if init { self.initialise(access) } else { None };
        let conflict = if race { self.order(access) } else { None };
        if let Some(conflict) = conflict {
            found(conflict);
        }
        // Bytes still in flight are unwritten only because they have not arrived: one finding says it all.
        let in_flight = conflict.is_some_and(|conflict| matches!(conflict.flaw, Flaw::Async(_)));
        if !in_flight && let Some(unwritten) = unwritten {
            found(unwritten);
        }
    }

    /// The lanes of an access that lie in the block's memory, each with its offset.
    fn lanes<'a>(&self, access: &Access<'a>) -> impl Iterator<Item = (usize, usize)> + use<'a> {
        let (addresses, bytes, end) = (access.addresses, u64::from(access.bytes), u64::from(self.bytes));
        let inside = move |&lane: &usize| addresses[lane].checked_add(bytes).is_some_and(|last| last <= end);
        ones(access.mask).filter(inside).map(move |lane| (lane, addresses[lane] as usize))
    }

    /// Marks what an access writes, and finds what it reads of bytes never written.
    fn initialise(&mut self, access: &Access<'_>) -> Option<Finding> {
        let mut finding = None;
        if access.kind != Kind::Write {
            finding = self.lanes(access).find_map(|(lane, offset)| {
                let address = self.first_unwritten(offset, access.bytes as usize)?;
                Some(Finding { lane: lane as u32, address: address as u64, flaw: Flaw::Uninitialised })
            });
        }
        if access.kind != Kind::Read {
            for (_, offset) in self.lanes(access) {
                self.mark_written(offset, access.bytes as usize);
            }
        }
        finding
    }

    fn first_unwritten(&self, offset: usize, bytes: usize) -> Option<usize> {
        let all = self.generation * 0x0101_0101;
        granules(offset, bytes).find_map(|(granule, mask)| {
            let missing = (self.written[granule] ^ all) & spread(mask);
            (missing != 0).then(|| granule * 4 + missing.trailing_zeros() as usize / 8)
        })
    }

    fn mark_written(&mut self, offset: usize, bytes: usize) {
        let all = self.generation * 0x0101_0101;
        for (granule, mask) in granules(offset, bytes) {
            let bits = spread(mask);
            self.written[granule] = self.written[granule] & !bits | all & bits;
        }
    }

    /// Checks an access against the earlier ones, and records it.
    fn order(&mut self, access: &Access<'_>) -> Option<Finding> {
        let warp = access.warp as usize % MAX_WARPS;
        let base = Record::new(self.clocks.now[warp], warp, access.site, access.kind == Kind::Atomic);
        match access.kind {
            Kind::Read | Kind::Atomic => self.order_reads(access, base),
            Kind::Write if are_ascending(access) => {
                let mut finding = None;
                for (lane, offset) in self.lanes(access) {
                    self.check_lane(access, base, (lane, offset), &mut finding);
                    self.record_writes(access, base, (lane, offset));
                }
                finding
            }
            Kind::Write => self.order_overlapping_writes(access, base),
        }
    }

    /// Checks and records loads and atomics. Of neighbouring lanes at one address, the first two stand for all: more a
    /// granule does not hold.
    fn order_reads(&mut self, access: &Access<'_>, base: Record) -> Option<Finding> {
        let mut finding = None;
        let all_alike = !self.clocks.is_partial(base.warp());
        let (mut last, mut run) = (usize::MAX, 0);
        for (lane, offset) in self.lanes(access) {
            run = if offset == last { run + 1 } else { 0 };
            last = offset;
            if run >= 2 && all_alike {
                continue;
            }
            self.check_lane(access, base, (lane, offset), &mut finding);
            for (granule, mask) in granules(offset, access.bytes as usize) {
                self.record_read(granule, base.with(lane, mask));
            }
        }
        finding
    }

    /// Checks and records stores of which some may fall on the same bytes.
    ///
    /// All lanes are checked before any is recorded: a record of this very instruction that the second pass meets in
    /// another lane's bytes was then made by the second pass, not by an earlier turn of a loop.
    fn order_overlapping_writes(&mut self, access: &Access<'_>, base: Record) -> Option<Finding> {
        let mut finding = None;
        for at in self.lanes(access) {
            self.check_lane(access, base, at, &mut finding);
        }
        for at in self.lanes(access) {
            if finding.is_none() {
                finding = self.check_within(access, base, at);
            }
            self.record_writes(access, base, at);
        }
        finding
    }

    fn check_lane(&self, access: &Access<'_>, base: Record, at: (usize, usize), finding: &mut Option<Finding>) {
        let (lane, offset) = at;
        if finding.is_some() {
            return;
        }
        let flaw = granules(offset, access.bytes as usize)
            .find_map(|(granule, mask)| Some((granule, self.conflict(granule, base.with(lane, mask), access.kind)?)));
        *finding =
            flaw.map(|(granule, flaw)| Finding { lane: lane as u32, address: (granule * 4).max(offset) as u64, flaw });
    }

    /// The earlier access to a granule that `new` conflicts with.
    fn conflict(&self, granule: usize, new: Record, kind: Kind) -> Option<Flaw> {
        let Granule { write, reads, flight } = self.granules[granule];
        if self.copies && flight.overlaps(new) && flight.clock() >= self.first_clock {
            return Some(Flaw::Async(flight.other(Kind::Write)));
        }
        if write.overlaps(new) && !self.clocks.ordered(write, new) {
            return Some(Flaw::Race(write.other(Kind::Write)));
        }
        let clashes = |read: &&Record| {
            let alike = kind != Kind::Write && read.is_atomic() == new.is_atomic();
            !alike && read.overlaps(new) && !self.clocks.ordered(**read, new)
        };
        reads.iter().find(clashes).map(|read| Flaw::Race(read.other(read.read_kind())))
    }

    /// The lane of this instruction that already stored something else in the same bytes.
    fn check_within(&self, access: &Access<'_>, base: Record, at: (usize, usize)) -> Option<Finding> {
        let (lane, offset) = at;
        let values = access.values?;
        let significant = u128::MAX >> (128 - 8 * access.bytes.clamp(1, 16));
        granules(offset, access.bytes as usize).find_map(|(granule, mask)| {
            let (new, old) = (base.with(lane, mask), self.granules[granule].write);
            let here = base.with(old.lane(), 0);
            let earlier_lane = old.overlaps(new) && old.same_but_bytes(here) && old.lane() != lane;
            let differs = (values[lane] ^ values[old.lane()]) & significant != 0;
            (earlier_lane && differs).then(|| Finding {
                lane: lane as u32,
                address: (granule * 4).max(offset) as u64,
                flaw: Flaw::Race(old.other(Kind::Write)),
            })
        })
    }

    /// Records a load or an atomic, in the place of one that says no more than this does.
    fn record_read(&mut self, granule: usize, new: Record) {
        let [first, second] = self.granules[granule].reads;
        let slot = if first.same_thread(new) {
            0
        } else if second.same_thread(new) {
            1
        } else if self.clocks.synchronised(first, new) {
            0
        } else if self.clocks.synchronised(second, new) || first.warp() == second.warp() && first.warp() != new.warp() {
            // Reads of two warps say more than those of two lanes: a barrier may order one of them only.
            1
        } else {
            return;
        };
        let read = &mut self.granules[granule].reads[slot];
        *read = read.succeeded_by(new);
    }

    fn record_writes(&mut self, access: &Access<'_>, base: Record, at: (usize, usize)) {
        let (lane, offset) = at;
        for (granule, mask) in granules(offset, access.bytes as usize) {
            self.record_write(granule, base.with(lane, mask));
        }
    }

    /// Records a store. Reads of its bytes come before it or were reported: it stands for them.
    fn record_write(&mut self, granule: usize, new: Record) {
        let granule = &mut self.granules[granule];
        granule.write = granule.write.succeeded_by(new);
        for read in &mut granule.reads {
            if read.mask() & !new.mask() == 0 {
                *read = Record::NONE;
            }
        }
    }

    /// Begins a `cp.async` of one lane into these bytes: whatever accesses them before it arrives is in error.
    ///
    /// The copy writes from now on; an earlier access of another thread that nothing orders before it is a race.
    pub fn async_issue(&mut self, site: Site, warp: u32, lane: u32, offset: u64, bytes: u32) -> Option<Finding> {
        let (at, base) = self.async_place(site, warp, lane, offset, bytes)?;
        let addresses = [offset; LANES];
        let access =
            Access { kind: Kind::Write, site, warp, mask: 1 << at.0, addresses: &addresses, bytes, values: None };
        let mut finding = None;
        self.check_lane(&access, base, at, &mut finding);
        self.copies = true;
        for (granule, mask) in granules(at.1, bytes as usize) {
            self.granules[granule].flight = base.with(at.0, mask);
        }
        finding
    }

    /// Ends a `cp.async` that the lane has waited for: its bytes are written, by this lane and now.
    pub fn async_arrive(&mut self, warp: u32, lane: u32, offset: u64, bytes: u32, site: Site) {
        let Some((at, base)) = self.async_place(site, warp, lane, offset, bytes) else { return };
        self.mark_written(at.1, bytes as usize);
        for (granule, mask) in granules(at.1, bytes as usize) {
            let new = base.with(at.0, mask);
            let flight = &mut self.granules[granule].flight;
            flight.0 &= !new.mask();
            self.record_write(granule, new);
        }
    }

    /// The lane and offset of a copy, and what its records share; `None` for one outside the block's memory.
    fn async_place(
        &self,
        site: Site,
        warp: u32,
        lane: u32,
        offset: u64,
        bytes: u32,
    ) -> Option<((usize, usize), Record)> {
        let end = offset.checked_add(u64::from(bytes))?;
        let (warp, lane) = (warp as usize % MAX_WARPS, lane as usize % LANES);
        let inside = end <= u64::from(self.bytes);
        inside.then(|| ((lane, offset as usize), Record::new(self.clocks.now[warp], warp, site, false)))
    }
}

/// Whether each lane's bytes lie after those of the lane before, so that no two lanes share any.
fn are_ascending(access: &Access<'_>) -> bool {
    let mut end = 0;
    ones(access.mask).all(|lane| {
        let address = access.addresses[lane];
        let after = address >= end;
        end = address.saturating_add(u64::from(access.bytes));
        after
    })
}

#[cfg(test)]
#[path = "shared_tests.rs"]
mod tests;
