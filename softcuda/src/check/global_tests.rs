use std::sync::Barrier;

use proptest::prelude::*;

use super::*;

const BASE: u64 = 0x10_0000_0000;
const SPAN: u64 = 1 << 20;

fn shadow() -> GlobalShadow {
    GlobalShadow::new(BASE, SPAN).unwrap()
}

/// The place of an operation that comes after none of other streams.
fn order(stream: u32, sequence: u64) -> Order {
    Order { stream, sequence, after: Arc::default() }
}

/// The place of an operation that comes after operation `n` of each stream `s`, `(s, n)`.
fn after(stream: u32, sequence: u64, after: &[(u32, u64)]) -> Order {
    Order { stream, sequence, after: Arc::new(after.iter().copied().collect()) }
}

fn launch(shadow: &GlobalShadow, blocks: u32) -> Arc<LaunchRaces> {
    shadow.begin_launch(order(0, 1), "kernel".into(), [blocks, 1, 1], [64, 1, 1])
}

/// One block, with the accesses of single lanes in short.
struct Block(BlockRaces);

impl Block {
    fn new(launch: &Arc<LaunchRaces>, block: u64) -> Block {
        Block(BlockRaces::new(launch, block))
    }

    /// The race of an access of `bytes` bytes by the first thread of a warp, which then acquires what it may.
    fn bytes(&mut self, kind: Kind, site: u32, warp: u32, offset: u64, bytes: u32) -> Option<Race> {
        let addresses = [BASE + offset; LANES];
        let mut races = Vec::new();
        let access = Access { kind, site: Site(site), warp, mask: 1, addresses: &addresses, bytes };
        self.0.access(&access, &mut |race| races.push(race));
        self.0.acquire(kind, 1, &addresses);
        assert!(races.len() <= 1);
        races.pop()
    }

    fn touch(&mut self, kind: Kind, site: u32, offset: u64) -> Option<Race> {
        self.bytes(kind, site, 0, offset, 4)
    }

    fn read(&mut self, offset: u64) -> Option<Race> {
        self.touch(Kind::Read, 1, offset)
    }

    fn write(&mut self, offset: u64) -> Option<Race> {
        self.touch(Kind::Write, 2, offset)
    }

    fn atomic(&mut self, offset: u64) -> Option<Race> {
        self.touch(Kind::Atomic, 3, offset)
    }
}

/// Checks a copy of the driver.
fn copy(shadow: &GlobalShadow, order: &Order, offset: u64, len: u64, write: bool) -> Option<Race> {
    let mut races = Vec::new();
    shadow.range_access(order, "cuMemcpy", BASE + offset, len, write, &mut |race| races.push(race));
    assert!(races.len() <= 1);
    races.pop()
}

const KINDS: [Kind; 5] = [Kind::Read, Kind::Write, Kind::StrongRead, Kind::StrongWrite, Kind::Atomic];

#[test]
fn blocks_race_where_one_writes_plainly_or_a_plain_read_meets_a_strong_write() {
    for first in KINDS {
        for second in KINDS {
            let shadow = shadow();
            let launch = launch(&shadow, 2);
            assert_eq!(Block::new(&launch, 0).touch(first, 1, 64), None);
            let race = Block::new(&launch, 1).touch(second, 2, 64);
            let strong_write = |kind| matches!(kind, Kind::StrongWrite | Kind::Atomic);
            let expected = first == Kind::Write
                || second == Kind::Write
                || (first == Kind::Read && strong_write(second))
                || (second == Kind::Read && strong_write(first));
            assert_eq!(race.is_some(), expected, "{first:?} then {second:?}");
            if let Some(race) = race {
                assert_eq!((race.other.kind, race.access.kind), (first, second));
                assert_eq!((race.other.block, race.access.block), ([0; 3], [1, 0, 0]));
            }
        }
    }
}

#[test]
fn block_does_not_race_with_itself() {
    let shadow = shadow();
    let mut block = Block::new(&launch(&shadow, 2), 1);
    for kind in KINDS.into_iter().chain(KINDS.into_iter().rev()) {
        for warp in 0..2 {
            assert_eq!(block.bytes(kind, 1, warp, 64, 4), None);
        }
    }
}

#[test]
fn race_names_both_places_whoever_comes_first() {
    let race_of = |write_first: bool| {
        let shadow = shadow();
        let launch = shadow.begin_launch(order(0, 1), "stencil".into(), [2, 3, 1], [16, 4, 1]);
        let (mut reader, mut writer) = (Block::new(&launch, 5), Block::new(&launch, 2));
        if write_first {
            assert_eq!(writer.bytes(Kind::Write, 7, 1, 128, 16), None);
            reader.bytes(Kind::Read, 9, 0, 136, 4)
        } else {
            assert_eq!(reader.bytes(Kind::Read, 9, 0, 136, 4), None);
            writer.bytes(Kind::Write, 7, 1, 128, 16)
        }
    };
    let race = race_of(true).unwrap();
    assert_eq!(race.address, BASE + 136);
    assert_eq!((&*race.access.operation, race.access.site, race.access.kind), ("stencil", Site(9), Kind::Read));
    assert_eq!((race.access.block, race.access.thread), ([1, 2, 0], [0; 3]));
    assert_eq!((race.other.site, race.other.kind), (Site(7), Kind::Write));
    assert_eq!((race.other.block, race.other.thread), ([0, 1, 0], [0, 2, 0]));
    assert_eq!(race_of(false).unwrap(), race);
}

#[test]
fn neighbouring_bytes_do_not_race() {
    let shadow = shadow();
    let launch = launch(&shadow, 4);
    for block in 0..4 {
        assert_eq!(Block::new(&launch, block).bytes(Kind::Write, 1, 0, 64 + block, 1), None);
    }
    let race = Block::new(&launch, 0).bytes(Kind::Read, 2, 0, 64, 4).unwrap();
    assert_eq!((race.address, race.other.block), (BASE + 67, [3, 0, 0]));
}

#[test]
fn bytes_that_a_block_stores_one_by_one_are_all_remembered() {
    let shadow = shadow();
    let launch = launch(&shadow, 2);
    let mut writer = Block::new(&launch, 0);
    writer.bytes(Kind::Write, 1, 0, 64, 1);
    writer.bytes(Kind::Write, 2, 0, 66, 2);
    assert!(Block::new(&launch, 1).bytes(Kind::Read, 3, 0, 64, 1).is_some());
    assert!(Block::new(&launch, 1).bytes(Kind::Read, 3, 0, 66, 1).is_some());
    assert_eq!(Block::new(&launch, 1).bytes(Kind::Read, 3, 0, 65, 1), None);
}

#[test]
fn writer_that_is_one_of_three_readers_races_with_the_others() {
    for writer in 0..4 {
        let shadow = shadow();
        let launch = launch(&shadow, 4);
        for reader in 0..3 {
            assert_eq!(Block::new(&launch, reader).read(64), None);
        }
        assert!(Block::new(&launch, writer).write(64).is_some(), "block {writer}");
    }
}

#[test]
fn plain_read_takes_the_place_of_a_strong_one() {
    let shadow = shadow();
    let launch = launch(&shadow, 4);
    for block in 0..2 {
        Block::new(&launch, block).touch(Kind::StrongRead, 1, 64);
    }
    assert_eq!(Block::new(&launch, 2).read(64), None);
    assert!(Block::new(&launch, 3).atomic(64).is_some());
}

#[test]
fn own_read_and_atomic_are_both_remembered() {
    let shadow = shadow();
    let launch = launch(&shadow, 3);
    let mut block = Block::new(&launch, 0);
    block.read(64);
    block.atomic(64);
    assert!(Block::new(&launch, 1).atomic(64).is_some());
    let mut block = Block::new(&launch, 0);
    block.atomic(128);
    block.read(128);
    assert!(Block::new(&launch, 1).read(128).is_some());
}

#[test]
fn lanes_are_checked_each_at_its_address() {
    let shadow = shadow();
    let launch = launch(&shadow, 2);
    Block::new(&launch, 0).write(64 + 4 * 21);
    let addresses = std::array::from_fn(|lane| BASE + 64 + 4 * lane as u64);
    let mut races = Vec::new();
    let access = Access { kind: Kind::Read, site: Site(1), warp: 1, mask: !1, addresses: &addresses, bytes: 4 };
    Block::new(&launch, 1).0.access(&access, &mut |race| races.push(race));
    let sides = races.into_iter().map(|race| (race.address, race.other.thread, race.access.thread));
    assert_eq!(sides.collect::<Vec<_>>(), [(BASE + 64 + 84, [32 + 21, 0, 0], [0; 3])]);
}

#[test]
fn launches_of_one_stream_do_not_race() {
    let shadow = shadow();
    for sequence in 1..4 {
        let launch = shadow.begin_launch(order(0, sequence), "kernel".into(), [2, 1, 1], [32, 1, 1]);
        let block = sequence % 2;
        assert_eq!(Block::new(&launch, block).read(64), None);
        assert_eq!(Block::new(&launch, block).write(64), None);
        shadow.end_launch(launch);
    }
}

#[test]
fn streams_race_unless_an_event_orders_them() {
    let shadow = shadow();
    let first = shadow.begin_launch(order(0, 5), "writer".into(), [1; 3], [32, 1, 1]);
    Block::new(&first, 0).write(64);
    shadow.end_launch(first);
    for (last, ordered) in [(4, false), (5, true), (6, true)] {
        let second = shadow.begin_launch(after(1, 1 + last, &[(0, last)]), "reader".into(), [1; 3], [32, 1, 1]);
        let race = Block::new(&second, 0).read(64);
        assert_eq!(race.is_none(), ordered, "after {last}");
        if let Some(race) = race {
            assert_eq!((&*race.other.operation, &*race.access.operation), ("writer", "reader"));
        }
    }
    let third = shadow.begin_launch(order(2, 1), "reader".into(), [1; 3], [32, 1, 1]);
    assert!(Block::new(&third, 0).read(64).is_some());
}

#[test]
fn order_is_looked_up_behind_an_operation_that_is_not_ordered() {
    let shadow = shadow();
    let _unordered = shadow.begin_launch(order(7, 1), "other".into(), [1; 3], [32, 1, 1]);
    let mut writers: Vec<_> =
        (0..2).map(|stream| shadow.begin_launch(order(stream, 1), "writer".into(), [3, 1, 1], [32, 1, 1])).collect();
    for (stream, writer) in writers.drain(..).enumerate() {
        for block in 0..3 {
            Block::new(&writer, block).write(64 * stream as u64 + 4 * block);
        }
    }
    let reader = shadow.begin_launch(after(2, 1, &[(1, 1)]), "reader".into(), [1; 3], [32, 1, 1]);
    let mut reader = Block::new(&reader, 0);
    for block in 0..3 {
        assert!(reader.read(4 * block).is_some());
        assert_eq!(reader.read(64 + 4 * block), None);
    }
}

#[test]
fn copies_are_operations_of_their_streams() {
    let shadow = shadow();
    assert_eq!(copy(&shadow, &order(0, 1), 64, 256, true), None);
    assert_eq!(copy(&shadow, &after(1, 1, &[(0, 1)]), 64, 256, false), None);
    assert_eq!(copy(&shadow, &order(0, 2), 64, 256, false), None, "reads do not race");
    let race = copy(&shadow, &after(2, 1, &[(1, 1)]), 131, 100, true).unwrap();
    assert_eq!((race.address, race.access.site, &*race.access.operation), (BASE + 131, Site::NONE, "cuMemcpy"));
    assert_eq!(copy(&shadow, &after(3, 1, &[(0, 2), (1, 1), (2, 1)]), 0, SPAN, true), None);
    let launch = shadow.begin_launch(order(4, 1), "kernel".into(), [1; 3], [32, 1, 1]);
    assert_eq!(&*Block::new(&launch, 0).read(100).unwrap().other.operation, "cuMemcpy");
}

#[test]
fn new_allocation_has_no_past() {
    for len in [4, 4096, 512 << 10] {
        let shadow = shadow();
        copy(&shadow, &order(0, 1), 0, SPAN, true);
        shadow.mark_unwritten(BASE + 1024, len);
        assert_eq!(copy(&shadow, &order(1, 1), 1024, len, true), None);
        assert!(copy(&shadow, &order(2, 1), 1020, 4, true).is_some());
        assert!(copy(&shadow, &order(2, 1), 1024 + len, 4, true).is_some());
    }
}

#[test]
fn two_threads_always_find_the_race_of_their_blocks() {
    for (one, other) in [(Kind::Write, Kind::Write), (Kind::Read, Kind::Write), (Kind::Read, Kind::Atomic)] {
        for turn in 0..200 {
            let shadow = shadow();
            let launch = launch(&shadow, 2);
            let start = Barrier::new(2);
            let found = std::thread::scope(|scope| {
                let run = |block, kind| {
                    let (launch, start) = (&launch, &start);
                    scope.spawn(move || {
                        let mut block = Block::new(launch, block);
                        start.wait();
                        (0..32).map(|word| block.touch(kind, 1, 4 * word).is_some()).collect::<Vec<_>>()
                    })
                };
                let threads = [run(0, one), run(1, other)];
                threads.map(|thread| thread.join().unwrap())
            });
            let missed = (0..32).find(|&word| !found[0][word] && !found[1][word]);
            assert_eq!(missed, None, "turn {turn} of {one:?} and {other:?}");
        }
    }
}

#[test]
fn concurrent_readers_are_both_remembered() {
    for _ in 0..200 {
        let shadow = shadow();
        let launch = launch(&shadow, 2);
        let start = Barrier::new(2);
        std::thread::scope(|scope| {
            for block in 0..2 {
                let (launch, start) = (&launch, &start);
                scope.spawn(move || {
                    let mut block = Block::new(launch, block);
                    start.wait();
                    (0..32).for_each(|word| assert_eq!(block.read(4 * word), None));
                });
            }
        });
        for writer in 0..2 {
            let mut writer = Block::new(&launch, writer);
            (0..32).for_each(|word| assert!(writer.write(4 * word).is_some()));
        }
    }
}

/// The races of the last of `blocks` blocks, each of which stores a part and counts itself.
fn last_block_done(blocks: u64, mut fence: impl FnMut(&mut BlockRaces)) -> usize {
    let shadow = shadow();
    let launch = launch(&shadow, blocks as u32);
    let mut races = 0;
    for block in 0..blocks {
        let mut part = Block::new(&launch, block);
        races += part.write(64 + 4 * block).iter().count();
        fence(&mut part.0);
        races += part.atomic(0).iter().count();
        if block + 1 == blocks {
            races += (0..blocks).filter_map(|block| part.read(64 + 4 * block)).count();
        }
    }
    races
}

#[test]
fn last_block_done_may_read_what_the_others_fenced() {
    assert_eq!(last_block_done(8, BlockRaces::fence), 0);
    assert_eq!(last_block_done(8, |_| ()), 7);
}

#[test]
fn fence_before_the_store_does_not_release_it() {
    let shadow = shadow();
    let launch = launch(&shadow, 2);
    let mut writer = Block::new(&launch, 0);
    writer.0.fence();
    writer.write(64);
    writer.atomic(0);
    let mut reader = Block::new(&launch, 1);
    reader.atomic(0);
    assert!(reader.read(64).is_some());
}

#[test]
fn store_after_the_release_is_not_released() {
    let shadow = shadow();
    let launch = launch(&shadow, 2);
    let mut writer = Block::new(&launch, 0);
    writer.write(64);
    writer.0.fence();
    writer.atomic(0);
    let mut reader = Block::new(&launch, 1);
    writer.write(68);
    reader.touch(Kind::StrongRead, 4, 0);
    assert_eq!(reader.read(64), None);
    assert!(reader.read(68).is_some());
    writer.0.fence();
    writer.touch(Kind::StrongWrite, 5, 0);
    reader.touch(Kind::StrongRead, 4, 0);
    assert_eq!(reader.read(68), None);
}

#[test]
fn only_a_strong_access_of_the_same_address_acquires() {
    for (kind, offset, ordered) in
        [(Kind::StrongRead, 0, true), (Kind::Atomic, 0, true), (Kind::Atomic, 4, false), (Kind::StrongWrite, 0, false)]
    {
        let shadow = shadow();
        let launch = launch(&shadow, 2);
        let mut writer = Block::new(&launch, 0);
        writer.write(64);
        writer.0.fence();
        writer.touch(Kind::StrongWrite, 5, 0);
        let mut reader = Block::new(&launch, 1);
        reader.touch(kind, 4, offset);
        assert_eq!(reader.read(64).is_none(), ordered, "{kind:?} at {offset}");
    }
}

#[test]
fn release_needs_the_stores_before_its_barrier_fenced() {
    let pass = |barrier: bool, fence: bool| {
        let shadow = shadow();
        let launch = launch(&shadow, 2);
        let mut writer = Block::new(&launch, 0);
        writer.0.fence();
        writer.bytes(Kind::Write, 1, 1, 64, 4);
        if barrier {
            writer.0.barrier(0b11);
        }
        if fence {
            writer.0.fence();
        }
        writer.atomic(0);
        let mut reader = Block::new(&launch, 1);
        reader.atomic(0);
        reader.read(64).is_none()
    };
    assert!(pass(true, true));
    assert!(!pass(true, false));
    assert!(pass(false, false), "without a barrier, warp 0 releases for itself");
}

#[test]
fn releases_carry_what_their_block_acquired() {
    let pass = |links: [bool; 3]| {
        let shadow = shadow();
        let launch = launch(&shadow, 4);
        Block::new(&launch, 0).write(64);
        let mut first = Block::new(&launch, 0);
        first.write(64);
        first.0.fence();
        first.touch(Kind::StrongWrite, 1, 0);
        for block in 1..4 {
            let mut next = Block::new(&launch, block);
            if links[block as usize - 1] {
                next.touch(Kind::StrongRead, 1, 4 * (block - 1));
            }
            if block == 3 {
                return next.read(64).is_none();
            }
            next.0.fence();
            next.touch(Kind::StrongWrite, 1, 4 * block);
        }
        false
    };
    assert!(pass([true; 3]));
    for missing in 0..3 {
        assert!(!pass(std::array::from_fn(|link| link != missing)), "link {missing}");
    }
}

#[test]
fn release_does_not_carry_what_was_acquired_after_it() {
    let shadow = shadow();
    let launch = launch(&shadow, 3);
    let [mut first, mut middle, mut last] = [0, 1, 2].map(|block| Block::new(&launch, block));
    middle.0.fence();
    middle.touch(Kind::StrongWrite, 1, 4);
    last.touch(Kind::StrongRead, 1, 4);
    first.write(64);
    first.0.fence();
    first.touch(Kind::StrongWrite, 1, 0);
    middle.touch(Kind::StrongRead, 1, 0);
    assert!(last.read(64).is_some());
    middle.touch(Kind::StrongWrite, 1, 4);
    last.touch(Kind::StrongRead, 1, 4);
    assert_eq!(last.read(64), None);
}

/// The races of `blocks` blocks that exchange their neighbours' values over grid barriers; block 0 passes the barrier
/// numbered `unfenced` without a fence.
fn grid_barriers(blocks: u64, unfenced: Option<usize>) -> usize {
    let shadow = shadow();
    let launch = launch(&shadow, blocks as u32);
    let mut grid: Vec<Block> = (0..blocks).map(|block| Block::new(&launch, block)).collect();
    let mut races = 0;
    for turn in 0..20 {
        for (block, value) in grid.iter_mut().zip(0..) {
            races += block.write(64 + 4 * value).iter().count();
        }
        races += pass_barrier(&mut grid, unfenced != Some(2 * turn));
        for (block, value) in grid.iter_mut().zip(0..) {
            races += block.read(64 + 4 * ((value + 1) % blocks)).iter().count();
        }
        races += pass_barrier(&mut grid, unfenced != Some(2 * turn + 1));
    }
    races
}

fn pass_barrier(grid: &mut [Block], first_fences: bool) -> usize {
    let mut races = 0;
    for (index, block) in grid.iter_mut().enumerate() {
        if index > 0 || first_fences {
            block.0.fence();
        }
        races += block.atomic(0).iter().count();
    }
    for block in grid {
        races += block.touch(Kind::StrongRead, 4, 0).iter().count();
    }
    races
}

#[test]
fn grid_barriers_order_all_blocks() {
    for blocks in [2, 3, 17] {
        assert_eq!(grid_barriers(blocks, None), 0);
    }
    assert_eq!(grid_barriers(5, Some(0)), 1, "block 4 reads what block 0 wrote");
    assert!(grid_barriers(5, Some(10)) > 0);
}

#[test]
fn spinning_on_an_atomic_adds_to_no_log() {
    let shadow = shadow();
    let launch = launch(&shadow, 2);
    let mut blocks = [0, 1].map(|block| Block::new(&launch, block));
    for block in &mut blocks {
        block.0.fence();
        (0..100).for_each(|_| assert_eq!(block.atomic(0), None));
    }
    (0..100).for_each(|turn| assert_eq!(blocks[turn % 2].atomic(0), None));
    assert!(launch.releases.acquirable(BASE) <= 2);
}

#[test]
fn kernel_without_fences_keeps_no_logs() {
    let shadow = shadow();
    let launch = launch(&shadow, 2);
    for block in 0..2 {
        let mut block = Block::new(&launch, block);
        block.atomic(0);
        block.touch(Kind::StrongWrite, 1, 0);
    }
    assert_eq!(launch.releases.acquirable(BASE), 0);
}

#[test]
fn segments_used_up_are_taken_anew_once_nothing_runs() {
    let shadow = shadow();
    shadow.races.write_table().next = LAST_SEGMENT - 2;
    let running = launch(&shadow, 2);
    Block::new(&running, 0).write(64);
    let unchecked = shadow.begin_launch(order(1, 1), "kernel".into(), [2, 1, 1], [32, 1, 1]);
    assert_eq!(Block::new(&unchecked, 0).write(64), None);
    drop(unchecked);
    assert!(!shadow.clear_races(), "a launch is under way");
    assert!(Block::new(&running, 1).write(64).is_some());
    drop(running);
    let next = shadow.begin_launch(order(2, 1), "kernel".into(), [2, 1, 1], [32, 1, 1]);
    assert_eq!(Block::new(&next, 0).write(64), None);
    assert!(Block::new(&next, 1).write(64).is_some());
}

#[test]
fn block_that_finds_no_segment_after_a_release_goes_on() {
    let shadow = shadow();
    shadow.races.write_table().next = LAST_SEGMENT - 2;
    let launch = launch(&shadow, 2);
    let mut block = Block::new(&launch, 0);
    for _ in 0..3 {
        assert_eq!(block.write(64), None);
        block.0.fence();
        block.atomic(0);
    }
    assert!(Block::new(&launch, 1).write(64).is_some());
}

#[test]
fn more_blocks_than_segments_go_unchecked() {
    let shadow = shadow();
    let grid = [u32::MAX, u32::MAX, u32::MAX];
    let launch = shadow.begin_launch(order(0, 1), "kernel".into(), grid, [32, 1, 1]);
    for block in [0, u64::MAX] {
        assert_eq!(Block::new(&launch, block).write(64), None);
    }
}

#[test]
fn accesses_outside_the_span_are_left_out() {
    let shadow = shadow();
    let launch = launch(&shadow, 2);
    for block in 0..2 {
        let mut block = Block::new(&launch, block);
        for offset in [SPAN, SPAN - 3, 0u64.wrapping_sub(4), u64::MAX - BASE] {
            let addresses = [BASE.wrapping_add(offset); LANES];
            let access = Access { kind: Kind::Write, site: Site(1), warp: 0, mask: 1, addresses: &addresses, bytes: 4 };
            block.0.access(&access, &mut |race| panic!("{race:?}"));
        }
        assert_eq!(block.write(SPAN - 4).is_some(), block.0.view.block == 1);
    }
    assert_eq!(copy(&shadow, &order(0, 2), SPAN, u64::MAX, true), None);
    assert_eq!(shadow.first_unwritten(BASE + SPAN, 64), None);
    assert_eq!(shadow.first_unwritten(0, BASE), None);
}

#[test]
fn bytes_that_nothing_wrote_are_found_exactly() {
    let shadow = shadow();
    assert_eq!(shadow.first_unwritten(BASE, 4), Some(BASE));
    shadow.mark_written(BASE + 61, 70);
    assert_eq!(shadow.first_unwritten(BASE + 61, 70), None);
    assert_eq!(shadow.first_unwritten(BASE + 61, 71), Some(BASE + 131));
    assert_eq!(shadow.first_unwritten(BASE + 60, 4), Some(BASE + 60));
    shadow.mark_unwritten(BASE + 64, 1);
    assert_eq!(shadow.first_unwritten(BASE + 61, 70), Some(BASE + 64));
}

#[test]
fn lanes_read_unwritten_bytes_contiguous_or_not() {
    let shadow = shadow();
    let ascending: [u64; LANES] = std::array::from_fn(|lane| BASE + 256 + 8 * lane as u64);
    let descending: [u64; LANES] = std::array::from_fn(|lane| ascending[31 - lane]);
    shadow.mark_lanes(!(1 << 20), &ascending, 8);
    let hole = ascending[20];
    assert_eq!(shadow.unwritten_lane(u32::MAX, &ascending, 8), Some((20, hole)));
    assert_eq!(shadow.unwritten_lane(u32::MAX, &descending, 8), Some((11, hole)));
    assert_eq!(shadow.unwritten_lane(!(1 << 20), &ascending, 8), None);
    assert_eq!(shadow.unwritten_lane(u32::MAX, &[hole - 4; LANES], 8), Some((0, hole)));
    shadow.mark_lanes(u32::MAX, &ascending, 8);
    assert_eq!(shadow.unwritten_lane(u32::MAX, &descending, 8), None);
    assert_eq!(shadow.first_unwritten(BASE + 256, 257), Some(BASE + 512));
    assert_eq!(shadow.first_unwritten(BASE + 255, 1), Some(BASE + 255));
}

proptest! {
    #[test]
    fn written_bytes_follow_a_plain_model(steps in prop::collection::vec((0..3, 0..3000u64, 0..3000u64, 0..1500u64), 1..40)) {
        let shadow = shadow();
        let mut model = vec![false; 4500];
        for (step, dst, src, len) in steps {
            let (to, from, count) = (dst as usize, src as usize, len as usize);
            match step {
                0 => {
                    shadow.mark_written(BASE + dst, len);
                    model[to..to + count].fill(true);
                }
                1 => {
                    shadow.mark_unwritten(BASE + dst, len);
                    model[to..to + count].fill(false);
                }
                _ if dst.abs_diff(src) >= len => {
                    shadow.copy_written(BASE + dst, BASE + src, len);
                    model.copy_within(from..from + count, to);
                }
                _ => {}
            }
        }
        for (byte, written) in model.iter().enumerate() {
            prop_assert_eq!(shadow.first_unwritten(BASE + byte as u64, 1).is_none(), *written, "byte {}", byte);
        }
    }
}

#[test]
fn large_ranges_are_unmarked_page_by_page_and_to_the_byte() {
    let shadow = GlobalShadow::new(BASE, 64 << 20).unwrap();
    shadow.mark_written(BASE, 64 << 20);
    let (from, to) = (BASE + 4097, BASE + (48 << 20) + 77);
    shadow.mark_unwritten(from, to - from);
    assert_eq!(shadow.first_unwritten(BASE, 4097), None);
    assert_eq!(shadow.first_unwritten(to, 1 << 20), None);
    for byte in [from, from + (1 << 20), to - 1] {
        assert_eq!(shadow.first_unwritten(byte, 1), Some(byte));
    }
}

#[test]
fn copy_takes_bytes_outside_the_span_for_written() {
    let shadow = shadow();
    shadow.copy_written(BASE + 100, 5, 200);
    assert_eq!(shadow.first_unwritten(BASE + 100, 200), None);
    shadow.mark_unwritten(BASE, 512);
    shadow.copy_written(BASE + 100, BASE - 10, 20);
    assert_eq!(shadow.first_unwritten(BASE + 100, 20), Some(BASE + 110));
}

#[test]
fn span_of_a_large_device_takes_no_memory_of_its_own() {
    let shadow = GlobalShadow::new(BASE, 64 << 30).unwrap();
    let last = BASE + (64 << 30) - 4;
    shadow.mark_written(last, 4);
    assert_eq!(shadow.first_unwritten(last, 4), None);
    shadow.mark_unwritten(BASE, 64 << 30);
    assert_eq!(shadow.first_unwritten(last, 4), Some(last));
}
