//! `cp.async`: copies whose data arrive only when they are waited for.

use super::Fault;
use super::access::{Request, addresses, wavefronts};
use super::frame::LANES;
use super::warp::lanes;
use super::worker::{Spot, Worker, read_register};
use crate::check::Site;
use crate::check::global::Kind;
use crate::program::instruction::{AsyncCopy, Space};

/// One lane's copy under way.
#[derive(Clone, Copy, Debug)]
pub struct LaneCopy {
    lane: u32,
    target: u64,
    bytes: u32,
    data: [u8; 16],
    site: Site,
    /// The group that it was committed to, counted by its lane.
    group: Option<u64>,
}

/// The copies of a warp that are under way.
#[derive(Clone, Debug, Default)]
pub struct Pending {
    copies: Vec<LaneCopy>,
    /// Groups that each lane has committed.
    committed: [u64; LANES],
}

impl Pending {
    /// Closes the groups of the lanes of `mask`.
    pub fn commit(&mut self, mask: u32) {
        for copy in self.copies.iter_mut().filter(|copy| mask >> copy.lane & 1 != 0 && copy.group.is_none()) {
            copy.group = Some(self.committed[copy.lane as usize]);
        }
        lanes(mask).for_each(|lane| self.committed[lane] += 1);
    }

    /// Takes out what must have arrived when the lanes of `mask` have at most `groups` groups under way.
    fn due(&mut self, mask: u32, groups: Option<u32>) -> Vec<LaneCopy> {
        let committed = self.committed;
        let is_due = |copy: &LaneCopy| {
            mask >> copy.lane & 1 != 0
                && match (groups, copy.group) {
                    (None, _) => true,
                    (Some(left), Some(group)) => group + u64::from(left) < committed[copy.lane as usize],
                    (Some(_), None) => false,
                }
        };
        let (due, rest) = self.copies.iter().partition(|copy| is_due(copy));
        self.copies = rest;
        due
    }
}

impl Worker<'_> {
    /// Starts a copy: the source is read, the target stays as it was.
    pub fn start_copy(&mut self, spot: &mut Spot<'_>, copy: &AsyncCopy, mask: u32) -> Result<(), Fault> {
        let targets = addresses(spot, &copy.target);
        let sources = addresses(spot, &copy.source);
        let mut wanted = [copy.bytes; LANES];
        if let Some(register) = copy.source_bytes {
            wanted = read_register(spot.registers(), register).map(|bytes| (bytes as u32).min(copy.bytes));
        }
        if let Some(guard) = copy.ignore_source {
            let ignored = spot.registers().predicates[usize::from(guard.predicate)] ^ guard.negate;
            lanes(ignored).for_each(|lane| wanted[lane] = 0);
        }
        let reads = lanes(mask).filter(|lane| wanted[*lane] == copy.bytes).fold(0, |mask, lane| mask | 1 << lane);
        let mut data = [[0; 16]; LANES];
        self.read_sources(spot, &sources, copy.bytes, reads, &mut data)?;
        for lane in lanes(mask & !reads).filter(|lane| wanted[*lane] > 0) {
            // A shorter copy: byte by byte, so that only what is read is checked.
            for byte in 0..wanted[lane] {
                let mut one = [[0; 16]; LANES];
                let shifted = sources.map(|source| source.wrapping_add(u64::from(byte)));
                self.read_sources(spot, &shifted, 1, 1 << lane, &mut one)?;
                data[lane][byte as usize] = one[lane][0];
            }
        }
        let request = Request { kind: Kind::Write, bytes: copy.bytes, mask, values: None, releases: false };
        self.count(spot, Space::Shared, &request, wavefronts(&targets, &request));
        for lane in lanes(mask) {
            self.issue(spot, lane, targets[lane], copy.bytes, data[lane])?;
        }
        Ok(())
    }

    fn read_sources(
        &mut self,
        spot: &mut Spot<'_>,
        sources: &[u64; LANES],
        bytes: u32,
        mask: u32,
        data: &mut [[u8; 16]; LANES],
    ) -> Result<(), Fault> {
        if mask == 0 {
            return Ok(());
        }
        let request = Request { kind: Kind::Read, bytes, mask, values: None, releases: false };
        let pointers = self.locate(spot, Space::Global, sources, request)?;
        for lane in lanes(mask) {
            // SAFETY: `locate` gave a pointer to so many accessible bytes; the target is 16 bytes of the host's own.
            unsafe { std::ptr::copy_nonoverlapping(pointers[lane], data[lane].as_mut_ptr(), bytes as usize) };
        }
        Ok(())
    }

    fn issue(
        &mut self,
        spot: &mut Spot<'_>,
        lane: usize,
        target: u64,
        bytes: u32,
        data: [u8; 16],
    ) -> Result<(), Fault> {
        let size = u64::from(self.context.shared_bytes);
        if target > size || target + u64::from(bytes) > size || !target.is_multiple_of(u64::from(bytes)) {
            let mut targets = [0; LANES];
            targets[lane] = target;
            // The same complaint as a store there would get.
            let request = Request { kind: Kind::Write, bytes, mask: 1 << lane, values: None, releases: false };
            return self.locate(spot, Space::Shared, &targets, request).map(|_| ());
        }
        let found = spot
            .block
            .shadow
            .as_mut()
            .filter(|_| self.context.checks.race)
            .and_then(|shadow| shadow.async_issue(spot.at.site, spot.warp.index, lane as u32, target, bytes));
        if let Some(finding) = found {
            self.shared_finding(spot, &finding, "asynchronous write");
        }
        spot.warp.pending.copies.push(LaneCopy {
            lane: lane as u32,
            target,
            bytes,
            data,
            site: spot.at.site,
            group: None,
        });
        Ok(())
    }

    /// Waits for copies: their data arrive now.
    pub fn wait_copies(&mut self, spot: &mut Spot<'_>, groups: Option<u32>, mask: u32) -> Result<(), Fault> {
        for copy in spot.warp.pending.due(mask, groups) {
            let base = spot.block.shared_pointer();
            // SAFETY: `issue` checked that the target lies in the block's shared memory.
            unsafe {
                std::ptr::copy_nonoverlapping(copy.data.as_ptr(), base.add(copy.target as usize), copy.bytes as usize)
            };
            if let Some(shadow) = &mut spot.block.shadow {
                shadow.async_arrive(spot.warp.index, copy.lane, copy.target, copy.bytes, copy.site);
            }
        }
        Ok(())
    }
}
