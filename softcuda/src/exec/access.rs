//! From addresses to host memory: bounds, alignment, what the checks want to know, and traffic.

use super::Fault;
use super::frame::{FULL, LANES};
use super::warp::lanes;
use super::worker::{Spot, Worker, read_register, space_of};
use crate::check::Check;
use crate::check::global::{self, Kind};
use crate::check::shared::{self, Flaw};
use crate::counts::{AccessKind, SECTOR, Traffic};
use crate::program::instruction::{Address, Space};
use crate::program::symbols::{LOCAL_WINDOW, PARAMETER_WINDOW, SHARED_WINDOW};

/// What an access does, before it is done.
#[derive(Clone, Copy, Debug)]
pub struct Request<'v> {
    /// What it does.
    pub kind: Kind,
    /// Bytes that each lane touches.
    pub bytes: u32,
    /// The lanes.
    pub mask: u32,
    /// Values that are stored, where two lanes may store the same; for the check of shared memory.
    pub values: Option<&'v [u128; LANES]>,
    /// Whether the instruction itself orders what was stored before.
    pub releases: bool,
}

/// Host addresses of the lanes' data.
pub type Pointers = [*mut u8; LANES];

/// The addresses of all lanes.
pub fn addresses(spot: &Spot<'_>, address: &Address) -> [u64; LANES] {
    let mut addresses = read_register(spot.registers(), address.base);
    for address_of_lane in &mut addresses {
        *address_of_lane = address_of_lane.wrapping_add(address.offset as u64);
    }
    addresses
}

impl Worker<'_> {
    /// Locates an access: checks it, counts it, and gives the host addresses of its lanes (those of others are null).
    ///
    /// # Errors
    /// An address that cannot be touched.
    pub fn locate(
        &mut self,
        spot: &mut Spot<'_>,
        space: Space,
        addresses: &[u64; LANES],
        request: Request<'_>,
    ) -> Result<Pointers, Fault> {
        if space != Space::Generic {
            return self.locate_in(spot, space, addresses, request);
        }
        let mut pointers = [std::ptr::null_mut(); LANES];
        let mut left = request.mask;
        while left != 0 {
            let space = space_of(addresses[left.trailing_zeros() as usize]);
            let same =
                lanes(left).filter(|lane| space_of(addresses[*lane]) == space).fold(0, |mask, lane| mask | 1 << lane);
            let window = match space {
                Space::Shared => SHARED_WINDOW,
                Space::Local => LOCAL_WINDOW,
                _ => 0,
            };
            let inside = addresses.map(|address| address.wrapping_sub(window));
            let part = self.locate_in(spot, space, &inside, Request { mask: same, ..request })?;
            for lane in lanes(same) {
                pointers[lane] = part[lane];
            }
            left &= !same;
        }
        Ok(pointers)
    }

    fn locate_in(
        &mut self,
        spot: &mut Spot<'_>,
        space: Space,
        addresses: &[u64; LANES],
        request: Request<'_>,
    ) -> Result<Pointers, Fault> {
        self.check_alignment(spot, space, addresses, &request)?;
        match space {
            Space::Global | Space::Generic => self.locate_global(spot, addresses, request),
            Space::Shared => self.locate_shared(spot, addresses, request),
            Space::Local => self.locate_local(spot, addresses, request),
            Space::KernelParameter => self.locate_parameter(spot, addresses, request),
            Space::CallParameter => {
                let frame = spot.registers_mut();
                let (stride, base) = (frame.parameter_stride, frame.parameters.as_mut_ptr());
                let fits = |address: u64| address + u64::from(request.bytes) <= stride as u64;
                if !lanes(request.mask).all(|lane| addresses[lane] < stride as u64 && fits(addresses[lane])) {
                    return Err(self.out_of_bounds(spot, addresses, &request, "parameter"));
                }
                Ok(std::array::from_fn(|lane| base.wrapping_add(lane * stride).wrapping_add(addresses[lane] as usize)))
            }
        }
    }

    fn check_alignment(
        &self,
        spot: &Spot<'_>,
        space: Space,
        addresses: &[u64; LANES],
        request: &Request<'_>,
    ) -> Result<(), Fault> {
        let low = u64::from(request.bytes.next_power_of_two()) - 1;
        let mut wrong = 0;
        for (lane, address) in addresses.iter().enumerate() {
            wrong |= u32::from(address & low != 0) << lane;
        }
        if wrong & request.mask == 0 {
            return Ok(());
        }
        let lane = (wrong & request.mask).trailing_zeros();
        if self.context.checks.memory {
            let message = format!(
                "{} of {} bytes in {} memory at an address that is not a multiple of it",
                verb(request.kind),
                request.bytes,
                space_name(space)
            );
            self.finding(Check::Misaligned, spot, lane, addresses[lane as usize], message);
        }
        Err(Fault::MisalignedAddress)
    }

    /// Reports something about one lane.
    pub fn finding(&self, check: Check, spot: &Spot<'_>, lane: u32, address: u64, message: String) {
        let place = (spot.block.index, self.context.thread_index(spot.warp.index, lane));
        self.context.report(check, spot.at.site, place, address, message, None);
    }

    fn out_of_bounds(&self, spot: &Spot<'_>, addresses: &[u64; LANES], request: &Request<'_>, space: &str) -> Fault {
        if self.context.checks.memory {
            let lane = request.mask.trailing_zeros();
            let message = format!("{} of {} bytes beyond {space} memory", verb(request.kind), request.bytes);
            self.finding(Check::OutOfBounds, spot, lane, addresses[lane as usize], message);
        }
        Fault::IllegalAddress
    }

    fn locate_global(
        &mut self,
        spot: &mut Spot<'_>,
        addresses: &[u64; LANES],
        request: Request<'_>,
    ) -> Result<Pointers, Fault> {
        let bytes = u64::from(request.bytes);
        let (mut low, mut high) = (u64::MAX, 0);
        for (lane, address) in addresses.iter().enumerate() {
            let taken = request.mask >> lane & 1 != 0;
            low = if taken { low.min(*address) } else { low };
            high = if taken { high.max(*address) } else { high };
        }
        let (start, end) = self.ranges[spot.at.function][spot.at.pc as usize];
        if low < start || high.saturating_add(bytes) > end {
            self.find_ranges(spot, addresses, &request)?;
        }
        self.count(spot, Space::Global, &request, sectors(addresses, &request));
        if self.context.checks.init || self.context.checks.race {
            self.check_global(spot, addresses, &request);
        }
        let view = self.context.view;
        Ok(std::array::from_fn(|lane| view.host(addresses[lane])))
    }

    /// Looks every lane up among the allocations, and remembers the range of the last.
    fn find_ranges(&mut self, spot: &Spot<'_>, addresses: &[u64; LANES], request: &Request<'_>) -> Result<(), Fault> {
        for lane in lanes(request.mask) {
            match self.context.ranges.find(addresses[lane], u64::from(request.bytes)) {
                Some(range) => self.ranges[spot.at.function][spot.at.pc as usize] = range,
                None => return Err(self.stray(spot, lane as u32, addresses[lane], request)),
            }
        }
        Ok(())
    }

    fn stray(&self, spot: &Spot<'_>, lane: u32, address: u64, request: &Request<'_>) -> Fault {
        if self.context.checks.memory {
            let nearest = self.context.machine.memory.nearest(address);
            let inside = nearest.is_some_and(|near| near.allocation.freed && near.inside());
            let check = if inside { Check::UseAfterFree } else { Check::OutOfBounds };
            let place = nearest.map_or("nothing is allocated".to_owned(), |near| near.to_string());
            let message = format!("{} of {} bytes, {place}", verb(request.kind), request.bytes);
            self.finding(check, spot, lane, address, message);
        }
        Fault::IllegalAddress
    }

    fn check_global(&mut self, spot: &mut Spot<'_>, addresses: &[u64; LANES], request: &Request<'_>) {
        let Some(shadow) = &self.context.machine.shadow else { return };
        if self.context.checks.init {
            let reads = !matches!(request.kind, Kind::Write | Kind::StrongWrite);
            if let Some((lane, address)) =
                shadow.unwritten_lane(request.mask, addresses, request.bytes).filter(|_| reads)
            {
                let nearest =
                    self.context.machine.memory.nearest(address).map_or(String::new(), |near| format!(", {near}"));
                let message = format!("{} of device memory that nothing wrote{nearest}", verb(request.kind));
                self.finding(Check::Uninitialised, spot, lane, address, message);
            }
            if !matches!(request.kind, Kind::Read | Kind::StrongRead) {
                shadow.mark_lanes(request.mask, addresses, request.bytes);
            }
        }
        let Some(mut races) = spot.block.races.take() else { return };
        if request.releases {
            races.fence();
        }
        let access = global::Access {
            kind: request.kind,
            site: spot.at.site,
            warp: spot.warp.index,
            mask: request.mask,
            addresses,
            bytes: request.bytes,
        };
        let context = self.context;
        let seen = &mut spot.block.seen;
        races.access(&access, &mut |race| {
            if seen.insert((race.access.site, race.other.site)) {
                context.batch.add(context.machine.race_report(&race));
            }
        });
        spot.block.races = Some(races);
    }

    /// After an access that may have seen what another block released.
    pub fn acquire(&self, spot: &mut Spot<'_>, kind: Kind, space: Space, mask: u32, addresses: &[u64; LANES]) {
        if let (Some(races), Space::Global | Space::Generic) = (&mut spot.block.races, space) {
            let global = lanes(mask)
                .filter(|lane| space_of(addresses[*lane]) == Space::Global)
                .fold(0, |mask, lane| mask | 1 << lane);
            races.acquire(kind, global, addresses);
        }
    }

    fn locate_shared(
        &mut self,
        spot: &mut Spot<'_>,
        addresses: &[u64; LANES],
        request: Request<'_>,
    ) -> Result<Pointers, Fault> {
        let size = u64::from(self.context.shared_bytes);
        let mut beyond = 0;
        for (lane, address) in addresses.iter().enumerate() {
            beyond |= u32::from(*address > size || address + u64::from(request.bytes) > size) << lane;
        }
        if beyond & request.mask != 0 {
            let lane = (beyond & request.mask).trailing_zeros();
            if self.context.checks.memory {
                let message = format!(
                    "{} of {} bytes at byte {} of the block's {size} bytes of shared memory",
                    verb(request.kind),
                    request.bytes,
                    addresses[lane as usize]
                );
                self.finding(Check::OutOfBounds, spot, lane, addresses[lane as usize], message);
            }
            return Err(Fault::IllegalAddress);
        }
        self.count(spot, Space::Shared, &request, wavefronts(addresses, &request));
        self.check_shared(spot, addresses, &request);
        let base = spot.block.shared_pointer();
        Ok(std::array::from_fn(|lane| base.wrapping_add(addresses[lane] as usize)))
    }

    fn check_shared(&mut self, spot: &mut Spot<'_>, addresses: &[u64; LANES], request: &Request<'_>) {
        let Some(mut shadow) = spot.block.shadow.take() else { return };
        let kind = match request.kind {
            Kind::Read | Kind::StrongRead => shared::Kind::Read,
            Kind::Write | Kind::StrongWrite => shared::Kind::Write,
            Kind::Atomic => shared::Kind::Atomic,
        };
        let access = shared::Access {
            kind,
            site: spot.at.site,
            warp: spot.warp.index,
            mask: request.mask,
            addresses,
            bytes: request.bytes,
            values: request.values,
        };
        let checks = self.context.checks;
        let mut seen = Vec::new();
        shadow.access(&access, checks.race, checks.init, &mut |finding| seen.push(finding));
        spot.block.shadow = Some(shadow);
        for finding in seen {
            self.shared_finding(spot, &finding, verb(request.kind));
        }
    }

    /// Reports a finding about shared memory.
    pub fn shared_finding(&self, spot: &mut Spot<'_>, finding: &shared::Finding, verb: &str) {
        let (check, message, other) = match finding.flaw {
            Flaw::Uninitialised => (
                Check::Uninitialised,
                format!("{verb} of shared memory that nothing wrote, at byte {}", finding.address),
                None,
            ),
            Flaw::Race(other) => (
                Check::SharedRace,
                format!(
                    "{verb} of shared memory at byte {} without a barrier after another thread's access",
                    finding.address
                ),
                Some(other),
            ),
            Flaw::Async(other) => (
                Check::Async,
                format!(
                    "{verb} of shared memory at byte {} before the wait for the copy that fills it",
                    finding.address
                ),
                Some(other),
            ),
        };
        if let Some(other) = &other
            && !spot.block.seen.insert((spot.at.site, other.site))
        {
            return;
        }
        let other = other.map(|other| {
            let thread = self.context.thread_index(other.warp, other.lane);
            self.context.other(other.site, spot.block.index, thread, other.kind.name())
        });
        let place = (spot.block.index, self.context.thread_index(spot.warp.index, finding.lane));
        self.context.report(check, spot.at.site, place, finding.address, message, other);
    }

    fn locate_local(
        &mut self,
        spot: &mut Spot<'_>,
        addresses: &[u64; LANES],
        request: Request<'_>,
    ) -> Result<Pointers, Fault> {
        let stride = spot.warp.local_stride;
        let fits = |address: u64| address <= stride as u64 && address + u64::from(request.bytes) <= stride as u64;
        if !lanes(request.mask).all(|lane| fits(addresses[lane])) {
            return Err(self.out_of_bounds(spot, addresses, &request, "the thread's local"));
        }
        let traffic = &mut self.tally.traffic.local;
        let bytes = u64::from(request.mask.count_ones() * request.bytes);
        // The lanes' words lie side by side on a device: as many sectors as the bytes fill.
        let sectors = bytes.div_ceil(SECTOR);
        traffic.add(&Traffic { requests: 1, bytes, transactions: sectors, least: sectors });
        if self.context.checks.init {
            self.check_local(spot, addresses, &request);
        }
        let base = spot.warp.local.as_mut_ptr();
        Ok(std::array::from_fn(|lane| base.wrapping_add(lane * stride).wrapping_add(addresses[lane] as usize)))
    }

    fn check_local(&self, spot: &mut Spot<'_>, addresses: &[u64; LANES], request: &Request<'_>) {
        let writes = matches!(request.kind, Kind::Write | Kind::StrongWrite);
        for lane in lanes(request.mask) {
            let start = lane * spot.warp.local_stride + addresses[lane] as usize;
            let bytes = start..start + request.bytes as usize;
            if writes {
                spot.warp.local_written[bytes].fill(true);
            } else if spot.warp.local_written[bytes].contains(&false) {
                let message = format!("{} of local memory that nothing wrote", verb(request.kind));
                self.finding(Check::Uninitialised, spot, lane as u32, addresses[lane], message);
                return;
            }
        }
    }

    fn locate_parameter(
        &mut self,
        spot: &Spot<'_>,
        addresses: &[u64; LANES],
        request: Request<'_>,
    ) -> Result<Pointers, Fault> {
        let parameters = &self.context.launch.parameters;
        let inside = addresses.map(|address| address.wrapping_sub(PARAMETER_WINDOW));
        let size = parameters.len() as u64;
        let fits = |address: u64| address <= size && address + u64::from(request.bytes) <= size;
        if !lanes(request.mask).all(|lane| fits(inside[lane])) || request.kind != Kind::Read {
            return Err(self.out_of_bounds(spot, addresses, &request, "the kernel's parameter"));
        }
        let base = parameters.as_ptr().cast_mut();
        Ok(std::array::from_fn(|lane| base.wrapping_add(inside[lane] as usize)))
    }

    /// Counts a request to device or shared memory that takes (transactions, and at least so many).
    pub fn count(&mut self, spot: &Spot<'_>, space: Space, request: &Request<'_>, (transactions, least): (u64, u64)) {
        let kind = match (space, request.kind) {
            (Space::Shared, Kind::Read | Kind::StrongRead) => AccessKind::SharedLoad,
            (Space::Shared, Kind::Write | Kind::StrongWrite) => AccessKind::SharedStore,
            (Space::Shared, Kind::Atomic) => AccessKind::SharedAtomic,
            (_, Kind::Read | Kind::StrongRead) => AccessKind::GlobalLoad,
            (_, Kind::Write | Kind::StrongWrite) => AccessKind::GlobalStore,
            (_, Kind::Atomic) => AccessKind::GlobalAtomic,
        };
        let bytes = u64::from(request.mask.count_ones() * request.bytes);
        let traffic = Traffic { requests: 1, bytes, transactions, least };
        self.tally.add_request((spot.at.function, spot.at.pc), kind, traffic);
    }
}

/// What a kind of access is called.
pub fn verb(kind: Kind) -> &'static str {
    match kind {
        Kind::Read | Kind::StrongRead => "read",
        Kind::Write | Kind::StrongWrite => "write",
        Kind::Atomic => "atomic access",
    }
}

fn space_name(space: Space) -> &'static str {
    match space {
        Space::Generic | Space::Global => "device",
        Space::Shared => "shared",
        Space::Local => "local",
        Space::KernelParameter | Space::CallParameter => "parameter",
    }
}

/// Whether all lanes' data lie side by side, lane after lane.
pub fn contiguous(addresses: &[u64; LANES], bytes: u64) -> bool {
    let mut apart = 0;
    for (lane, address) in addresses.iter().enumerate() {
        apart |= address ^ addresses[0].wrapping_add(lane as u64 * bytes);
    }
    apart == 0
}

/// Whether all lanes have the same address.
pub fn uniform(addresses: &[u64; LANES]) -> bool {
    let mut apart = 0;
    for address in addresses {
        apart |= address ^ addresses[0];
    }
    apart == 0
}

/// Sectors of device memory that a request touches, and the fewest that its distinct bytes fill.
fn sectors(addresses: &[u64; LANES], request: &Request<'_>) -> (u64, u64) {
    let bytes = u64::from(request.bytes);
    let sectors_of = |first: u64, bytes: u64| (first + bytes - 1) / SECTOR - first / SECTOR + 1;
    if request.mask == FULL && contiguous(addresses, bytes) {
        let bytes = bytes * LANES as u64;
        return (sectors_of(addresses[0], bytes), bytes.div_ceil(SECTOR));
    }
    if request.mask == FULL && uniform(addresses) {
        return (sectors_of(addresses[0], bytes), 1);
    }
    // An aligned access of at most 32 bytes lies in one sector.
    let sorted = &mut [0; LANES];
    let sorted = sort(sorted, lanes(request.mask).map(|lane| addresses[lane]));
    let places = distinct(sorted.iter().copied());
    (distinct(sorted.iter().map(|address| address / SECTOR)), (places * bytes).div_ceil(SECTOR))
}

/// The values in ascending order.
fn sort(room: &mut [u64; LANES], values: impl Iterator<Item = u64>) -> &[u64] {
    let mut length = 0;
    for value in values {
        room[length] = value;
        length += 1;
    }
    let sorted = &mut room[..length];
    sorted.sort_unstable();
    sorted
}

/// How many values there are in a list in which equal ones stand side by side.
fn distinct(sorted: impl Iterator<Item = u64>) -> u64 {
    let mut last = None;
    sorted.filter(|value| last.replace(*value) != Some(*value)).count() as u64
}

/// Wavefronts that a request to shared memory takes, and the fewest for its distinct words: in one, each of the 32 banks gives one
/// word of 4 bytes, to all lanes that ask for that word.
pub fn wavefronts(addresses: &[u64; LANES], request: &Request<'_>) -> (u64, u64) {
    let words = u64::from(request.bytes.div_ceil(4));
    if uniform(addresses) {
        return (1, 1);
    }
    if request.mask == FULL && contiguous(addresses, u64::from(request.bytes)) {
        let least = (u64::from(request.bytes) * LANES as u64).div_ceil(128);
        return (least, least);
    }
    // Distinct words of each bank; a request has at most 128.
    let (mut seen, mut used) = ([[u32::MAX; 16]; LANES], [0usize; LANES]);
    for lane in lanes(request.mask) {
        for word in 0..words {
            let word = (addresses[lane] / 4 + word) as u32;
            let bank = word as usize % LANES;
            let known = &mut seen[bank];
            let count = used[bank].min(known.len());
            if !known[..count].contains(&word) {
                if count < known.len() {
                    known[count] = word;
                }
                used[bank] += 1;
            }
        }
    }
    let most = used.iter().copied().max().unwrap_or(0).max(1);
    (most as u64, used.iter().sum::<usize>().max(1).div_ceil(LANES) as u64)
}
