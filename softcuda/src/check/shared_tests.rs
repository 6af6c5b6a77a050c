use super::*;

/// A block's shadow, with the accesses of single lanes and whole warps in short.
struct Block(SharedShadow);

/// The `n`th instruction of the test's program.
const fn site(n: u32) -> Site {
    Site(n)
}

impl Block {
    fn new() -> Block {
        let mut shadow = SharedShadow::new();
        shadow.begin_block(4096, 8);
        Block(shadow)
    }

    fn run(&mut self, access: &Access<'_>, race: bool, init: bool) -> Vec<Finding> {
        let mut findings = Vec::new();
        self.0.access(access, race, init, &mut |finding| findings.push(finding));
        findings
    }

    /// The race of one lane's access of `bytes` bytes.
    fn lane(&mut self, kind: Kind, n: u32, (warp, lane): (u32, u32), offset: u64, bytes: u32) -> Option<Finding> {
        let addresses = [offset; LANES];
        let access = Access { kind, site: site(n), warp, mask: 1 << lane, addresses: &addresses, bytes, values: None };
        let findings = self.run(&access, true, false);
        assert!(findings.len() <= 1);
        findings.first().copied()
    }

    fn read(&mut self, n: u32, thread: (u32, u32), offset: u64) -> Option<Finding> {
        self.lane(Kind::Read, n, thread, offset, 4)
    }

    fn write(&mut self, n: u32, thread: (u32, u32), offset: u64) -> Option<Finding> {
        self.lane(Kind::Write, n, thread, offset, 4)
    }

    fn atomic(&mut self, n: u32, thread: (u32, u32), offset: u64) -> Option<Finding> {
        self.lane(Kind::Atomic, n, thread, offset, 4)
    }

    /// The race of a whole warp whose lanes access what `offset` says.
    fn warp(&mut self, kind: Kind, n: u32, warp: u32, bytes: u32, offset: impl Fn(u64) -> u64) -> Option<Finding> {
        let addresses = std::array::from_fn(|lane| offset(lane as u64));
        let access = Access { kind, site: site(n), warp, mask: u32::MAX, addresses: &addresses, bytes, values: None };
        self.run(&access, true, false).first().copied()
    }

    /// Whether a warp whose lanes store these values at one address races.
    fn store_values(&mut self, values: &[u128; LANES], bytes: u32) -> Option<Finding> {
        let addresses = [64; LANES];
        let (site, values) = (site(1), Some(values));
        let access = Access { kind: Kind::Write, site, warp: 0, mask: u32::MAX, addresses: &addresses, bytes, values };
        self.run(&access, true, false).first().copied()
    }

    /// The first byte that a lane reads and nothing wrote.
    fn unwritten(&mut self, offset: u64, bytes: u32) -> Option<u64> {
        self.unwritten_as(Kind::Read, offset, bytes)
    }

    fn unwritten_as(&mut self, kind: Kind, offset: u64, bytes: u32) -> Option<u64> {
        let addresses = [offset; LANES];
        let access = Access { kind, site: site(1), warp: 0, mask: 2, addresses: &addresses, bytes, values: None };
        let findings = self.run(&access, false, true);
        assert!(findings.iter().all(|finding| finding.flaw == Flaw::Uninitialised && finding.lane == 1));
        findings.first().map(|finding| finding.address)
    }
}

fn race(n: u32, warp: u32, lane: u32, kind: Kind) -> Option<Flaw> {
    Some(Flaw::Race(OtherAccess { site: site(n), warp, lane, kind }))
}

fn flaw(finding: Option<Finding>) -> Option<Flaw> {
    finding.map(|finding| finding.flaw)
}

#[test]
fn read_after_write_of_another_warp_races_without_a_barrier() {
    let mut block = Block::new();
    assert_eq!(block.write(1, (0, 3), 64), None);
    let finding = block.read(2, (1, 5), 64).unwrap();
    assert_eq!((finding.lane, finding.address), (5, 64));
    assert_eq!(Some(finding.flaw), race(1, 0, 3, Kind::Write));
}

#[test]
fn barrier_orders_every_pair_of_accesses() {
    for (first, second) in [(Kind::Write, Kind::Read), (Kind::Read, Kind::Write), (Kind::Write, Kind::Write)] {
        let mut block = Block::new();
        block.lane(first, 1, (0, 3), 64, 4);
        block.0.barrier(0xff);
        assert_eq!(block.lane(second, 2, (1, 5), 64, 4), None);

        let mut block = Block::new();
        block.lane(first, 1, (0, 3), 64, 4);
        assert_eq!(flaw(block.lane(second, 2, (1, 5), 64, 4)), race(1, 0, 3, first));
    }
}

#[test]
fn reads_do_not_race_with_reads() {
    let mut block = Block::new();
    for warp in 0..8 {
        assert_eq!(block.warp(Kind::Read, 1, warp, 4, |lane| 4 * (lane / 2)), None);
    }
}

#[test]
fn thread_does_not_race_with_itself() {
    let mut block = Block::new();
    for kind in [Kind::Write, Kind::Atomic, Kind::Read, Kind::Write, Kind::Read, Kind::Atomic] {
        assert_eq!(block.lane(kind, 1, (0, 0), 64, 4), None);
    }
}

#[test]
fn barrier_of_some_warps_orders_only_them() {
    let mut block = Block::new();
    block.write(1, (0, 0), 64);
    block.0.barrier(0b0011);
    assert_eq!(block.read(2, (1, 0), 64), None);
    assert_eq!(flaw(block.read(3, (2, 0), 64)), race(1, 0, 0, Kind::Write));
}

#[test]
fn barriers_of_some_warps_order_through_a_common_warp() {
    let mut block = Block::new();
    block.write(1, (0, 0), 64);
    block.0.barrier(0b0011);
    block.0.barrier(0b0110);
    assert_eq!(block.read(2, (2, 0), 64), None);
    assert!(block.write(3, (0, 0), 64).is_some());
}

#[test]
fn lanes_of_a_warp_race_until_they_synchronise() {
    let mut block = Block::new();
    block.write(1, (0, 0), 64);
    assert_eq!(flaw(block.read(2, (0, 1), 64)), race(1, 0, 0, Kind::Write));
    block.0.warp_sync(0, u32::MAX);
    assert_eq!(block.read(2, (0, 1), 64), None);
    block.write(3, (0, 1), 128);
    block.0.barrier(1);
    assert_eq!(block.read(4, (0, 2), 128), None);
}

#[test]
fn warp_sync_orders_its_lanes_only() {
    let mut block = Block::new();
    block.write(1, (0, 0), 64);
    block.0.warp_sync(0, 0x0000_ffff);
    assert_eq!(block.read(2, (0, 1), 64), None);
    assert_eq!(flaw(block.read(2, (0, 20), 64)), race(1, 0, 0, Kind::Write));
    block.0.warp_sync(0, 0x8000_8000);
    assert_eq!(block.write(2, (0, 31), 128), None);
    assert_eq!(block.read(3, (0, 31), 64), None, "lane 15 passes on what it knows of lane 0");
    assert!(block.read(3, (0, 15), 128).is_some());
}

#[test]
fn warp_sync_does_not_order_other_warps() {
    let mut block = Block::new();
    block.write(1, (0, 0), 64);
    block.0.warp_sync(0, u32::MAX);
    block.0.warp_sync(1, u32::MAX);
    assert!(block.read(2, (1, 0), 64).is_some());
}

#[test]
fn partial_warp_sync_is_forgotten_with_its_block() {
    let mut block = Block::new();
    block.write(1, (0, 0), 64);
    block.0.warp_sync(0, 0x3);
    block.0.begin_block(4096, 8);
    block.0.warp_sync(0, 0xc);
    block.write(1, (0, 0), 64);
    assert!(block.read(2, (0, 1), 64).is_some());
}

#[test]
fn neighbouring_bytes_do_not_race() {
    let mut block = Block::new();
    for warp in 0..4 {
        assert_eq!(block.lane(Kind::Write, 1, (warp, 0), 64 + u64::from(warp), 1), None);
    }
    assert_eq!(flaw(block.lane(Kind::Read, 2, (0, 1), 67, 1)), race(1, 3, 0, Kind::Write));
    assert_eq!(block.lane(Kind::Read, 2, (0, 1), 68, 1), None);
}

#[test]
fn wide_accesses_race_in_each_of_their_bytes() {
    for byte in 64..80 {
        let mut block = Block::new();
        block.lane(Kind::Write, 1, (0, 0), 64, 16);
        let finding = block.lane(Kind::Read, 2, (1, 0), byte, 1).unwrap();
        assert_eq!(finding.address, byte);
        assert_eq!(Some(finding.flaw), race(1, 0, 0, Kind::Write));
    }
    let mut block = Block::new();
    block.lane(Kind::Write, 1, (0, 0), 76, 4);
    assert_eq!(block.lane(Kind::Read, 2, (1, 0), 64, 16).unwrap().address, 76);
}

#[test]
fn thread_that_stores_parts_of_four_bytes_is_known_for_all_of_them() {
    let mut block = Block::new();
    block.lane(Kind::Write, 1, (0, 0), 64, 2);
    block.lane(Kind::Write, 2, (0, 0), 66, 2);
    assert!(block.lane(Kind::Read, 3, (1, 0), 64, 2).is_some());
}

#[test]
fn writer_that_is_one_of_three_readers_races_with_the_others() {
    for writer in [(0, 0), (1, 0), (2, 0), (0, 1)] {
        let mut block = Block::new();
        for reader in [(0, 0), (0, 1), (1, 0), (2, 0)] {
            assert_eq!(block.read(1, reader, 64), None);
        }
        assert!(block.write(2, writer, 64).is_some(), "{writer:?}");
    }
}

#[test]
fn reader_of_another_warp_is_remembered_beside_two_lanes_of_one() {
    let mut block = Block::new();
    block.warp(Kind::Read, 1, 0, 4, |_| 64);
    block.read(1, (1, 0), 64);
    block.0.warp_sync(0, u32::MAX);
    assert_eq!(flaw(block.write(2, (0, 9), 64)), race(1, 1, 0, Kind::Read));
}

#[test]
fn reads_before_a_barrier_make_room_for_those_after_it() {
    let mut block = Block::new();
    block.read(1, (0, 0), 64);
    block.read(1, (1, 0), 64);
    block.0.barrier(0xff);
    block.read(2, (2, 0), 64);
    assert_eq!(flaw(block.write(3, (0, 0), 64)), race(2, 2, 0, Kind::Read));
}

#[test]
fn atomics_race_with_plain_accesses_only() {
    let mut block = Block::new();
    for warp in 0..8 {
        assert_eq!(block.warp(Kind::Atomic, 1, warp, 4, |lane| lane % 4 * 4), None);
    }
    assert_eq!(flaw(block.read(2, (0, 5), 0)), race(1, 0, 0, Kind::Atomic));
    assert!(block.write(2, (0, 0), 4).is_some());
    block.0.barrier(0xff);
    assert_eq!(block.read(2, (0, 5), 0), None);
    assert_eq!(flaw(block.atomic(3, (1, 0), 0)), race(2, 0, 5, Kind::Read));
    block.write(4, (0, 0), 8);
    assert_eq!(flaw(block.atomic(5, (1, 0), 8)), race(4, 0, 0, Kind::Write));
}

#[test]
fn atomic_of_the_first_thread_is_recorded() {
    let mut block = Block::new();
    block.atomic(1, (0, 0), 64);
    assert_eq!(flaw(block.read(2, (1, 0), 64)), race(1, 0, 0, Kind::Atomic));
}

#[test]
fn last_of_the_atomics_may_not_read_plainly() {
    let mut block = Block::new();
    block.warp(Kind::Atomic, 1, 0, 4, |_| 64);
    for lane in [0, 1, 31] {
        assert!(block.read(2, (0, lane), 64).is_some(), "lane {lane}");
    }
}

#[test]
fn lanes_of_one_store_race_unless_they_store_the_same() {
    let same = [7; LANES];
    assert_eq!(Block::new().store_values(&same, 4), None);
    let mut last_differs = same;
    last_differs[31] = 8;
    let finding = Block::new().store_values(&last_differs, 4).unwrap();
    assert_eq!(finding.lane, 31);
    assert!(matches!(finding.flaw, Flaw::Race(OtherAccess { lane: 30, warp: 0, kind: Kind::Write, .. })));
    let mut differs_above = same;
    differs_above[31] |= 1 << 32;
    assert_eq!(Block::new().store_values(&differs_above, 4), None);
    assert!(Block::new().store_values(&differs_above, 8).is_some());
}

#[test]
fn turns_of_a_loop_race_though_their_stores_are_one_instruction() {
    let mut block = Block::new();
    block.write(1, (0, 0), 64);
    assert_eq!(flaw(block.write(1, (0, 1), 64)), race(1, 0, 0, Kind::Write));
    block.0.warp_sync(0, u32::MAX);
    assert_eq!(block.store_values(&[7; LANES], 4), None);
    assert!(block.store_values(&[7; LANES], 4).is_some());
}

#[test]
fn whole_warps_in_any_pattern_agree_with_single_lanes() {
    type Pattern = fn(u64) -> u64;
    let patterns: [Pattern; 6] = [
        |lane| lane * 4,
        |_| 64,
        |lane| lane / 16 * 4,
        |lane| 252 - lane * 4,
        |lane| lane * 36 % 128,
        |lane| lane * 16,
    ];
    for first in patterns {
        for second in patterns {
            for kinds in [(Kind::Write, Kind::Read), (Kind::Read, Kind::Write), (Kind::Write, Kind::Atomic)] {
                let mut block = Block::new();
                block.warp(kinds.0, 1, 0, 4, first);
                let finding = block.warp(kinds.1, 2, 1, 4, second);
                let touched: Vec<u64> = (0..32).map(first).collect();
                let expected = (0..32).find(|&lane| touched.contains(&second(lane)));
                assert_eq!(finding.map(|finding| u64::from(finding.lane)), expected);
            }
        }
    }
}

#[test]
fn missing_barriers_of_a_tiled_kernel_are_caught_and_present_ones_pass() {
    let tiles = |between: bool, after: bool| {
        let mut block = Block::new();
        let mut findings = 0;
        for _ in 0..3 {
            for warp in 0..8 {
                findings += block.warp(Kind::Write, 1, warp, 4, |lane| u64::from(warp) * 128 + lane * 4).iter().count();
            }
            if between {
                block.0.barrier(0xff);
            }
            for warp in 0..8 {
                for k in 0..8 {
                    findings += block.warp(Kind::Read, 2, warp, 4, |lane| k * 128 + lane * 4).iter().count();
                }
            }
            if after {
                block.0.barrier(0xff);
            }
        }
        findings
    };
    assert_eq!(tiles(true, true), 0);
    assert!(tiles(false, true) > 0);
    assert!(tiles(true, false) > 0);
}

#[test]
fn blocks_know_nothing_of_each_other() {
    let mut block = Block::new();
    for _ in 0..600 {
        assert_eq!(block.unwritten(64, 4), Some(64));
        assert_eq!(block.read(1, (1, 0), 64), None);
        block.unwritten_as(Kind::Write, 64, 4);
        block.write(1, (1, 0), 64);
        assert_eq!(block.unwritten(64, 4), None);
        block.0.begin_block(4096, 8);
    }
}

#[test]
fn clocks_start_over_when_they_are_used_up() {
    let mut block = Block::new();
    for left in [3, 1, 0] {
        block.write(1, (0, 0), 64);
        block.0.clocks.now.fill(LAST_CLOCK - left);
        block.0.begin_block(4096, 8);
        assert_eq!(block.read(1, (1, 0), 64), None);
        block.0.barrier(0xff);
        block.write(2, (0, 0), 64);
        assert!(block.read(3, (1, 0), 64).is_some(), "{left} left");
        block.0.barrier(0xff);
        assert_eq!(block.read(4, (1, 0), 64), None);
    }
}

#[test]
fn bytes_that_nothing_wrote_are_found_exactly() {
    let mut block = Block::new();
    block.unwritten_as(Kind::Write, 64, 2);
    block.unwritten_as(Kind::Write, 67, 1);
    assert_eq!(block.unwritten(64, 2), None);
    assert_eq!(block.unwritten(64, 4), Some(66));
    assert_eq!(block.unwritten(67, 1), None);
    assert_eq!(block.unwritten(66, 1), Some(66));
    assert_eq!(block.unwritten(63, 1), Some(63));
    block.unwritten_as(Kind::Write, 66, 1);
    assert_eq!(block.unwritten(64, 4), None);
    assert_eq!(block.unwritten(64, 16), Some(68));
}

#[test]
fn atomic_of_unwritten_bytes_is_found_once_and_writes_them() {
    let mut block = Block::new();
    assert_eq!(block.unwritten_as(Kind::Atomic, 64, 4), Some(64));
    assert_eq!(block.unwritten_as(Kind::Atomic, 64, 4), None);
    assert_eq!(block.unwritten(64, 4), None);
}

#[test]
fn copy_is_in_flight_from_its_issue_to_its_arrival() {
    let mut block = Block::new();
    let in_flight = Some(Flaw::Async(OtherAccess { site: site(1), warp: 0, lane: 2, kind: Kind::Write }));
    assert_eq!(block.0.async_issue(site(1), 0, 2, 64, 16), None);
    assert_eq!(flaw(block.read(2, (0, 2), 76)), in_flight, "even its own thread waits");
    assert_eq!(flaw(block.write(3, (1, 0), 64)), in_flight);
    assert_eq!(flaw(block.0.async_issue(site(4), 0, 3, 72, 4)), in_flight);
    assert_eq!(block.read(2, (0, 2), 80), None);
    block.0.begin_block(4096, 8);
    block.0.async_issue(site(1), 0, 2, 64, 16);
    block.0.async_arrive(0, 2, 64, 16, site(1));
    assert_eq!(block.read(2, (0, 2), 76), None);
    assert_eq!(block.unwritten(64, 16), None);
    assert_eq!(flaw(block.read(2, (1, 0), 72)), race(1, 0, 2, Kind::Write), "others wait for a barrier");
    block.0.barrier(0xff);
    assert_eq!(block.read(2, (1, 0), 64), None);
}

#[test]
fn copy_in_flight_is_one_finding_and_not_an_unwritten_byte_too() {
    let mut block = Block::new();
    block.0.async_issue(site(1), 0, 0, 64, 4);
    let addresses = [64; LANES];
    let access =
        Access { kind: Kind::Read, site: site(2), warp: 0, mask: 1, addresses: &addresses, bytes: 4, values: None };
    let findings = block.run(&access, true, true);
    assert!(matches!(findings[..], [Finding { flaw: Flaw::Async(_), .. }]), "{findings:?}");
}

#[test]
fn copy_races_with_earlier_reads_that_no_barrier_orders() {
    let mut block = Block::new();
    block.read(1, (1, 4), 64);
    assert_eq!(flaw(block.0.async_issue(site(2), 0, 0, 64, 16)), race(1, 1, 4, Kind::Read));
    block.0.begin_block(4096, 8);
    block.read(1, (1, 4), 64);
    block.0.barrier(0xff);
    assert_eq!(block.0.async_issue(site(2), 0, 0, 64, 16), None);
}

#[test]
fn copy_that_never_arrived_is_forgotten_with_its_block() {
    let mut block = Block::new();
    block.0.async_issue(site(1), 0, 0, 64, 16);
    block.0.begin_block(4096, 8);
    block.0.async_issue(site(1), 0, 0, 0, 16);
    assert_eq!(block.read(2, (0, 0), 64), None);
}

#[test]
fn lanes_outside_the_memory_are_left_out() {
    let mut block = Block::new();
    for offset in [4093, 4096, 1 << 40, u64::MAX] {
        assert_eq!(block.write(1, (0, 0), offset), None);
        assert_eq!(block.unwritten(offset, 4), None);
        assert_eq!(block.0.async_issue(site(1), 0, 0, offset, 16), None);
        block.0.async_arrive(0, 0, offset, 16, site(1));
    }
    block.write(1, (0, 0), 4092);
    assert!(block.read(2, (1, 0), 4092).is_some());
}

#[test]
fn shadow_grows_with_its_blocks() {
    let mut block = Block::new();
    block.0.begin_block(64 << 10, 1);
    assert_eq!(block.unwritten((64 << 10) - 4, 4), Some((64 << 10) - 4));
    block.0.begin_block(6, 1);
    block.write(1, (0, 0), 4);
    assert_eq!(block.lane(Kind::Read, 2, (0, 1), 4, 2), None, "a word that does not fit was left out");
}
