//! Every case agrees with float64, and softcuda finds nothing in it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use latent::backend::cuda::compile::Compiler;
use latent::backend::cuda::device;
use latent::lab::case::{Agreement, Case, Contents};
use latent::lab::catalogue::{self, Axis, ENTRIES, Entry, Size};
use latent::lab::{Bench, Error};
use softcuda::counts::LaunchCounts;

use crate::emulated;

const CAPABILITY: (u32, u32) = (8, 0);

/// The bench of this process, for one test at a time; none where there is nothing to compile with.
fn bench() -> Option<MutexGuard<'static, Option<Bench>>> {
    static BENCH: Mutex<Option<Bench>> = Mutex::new(None);
    if !emulated::has_compiler() {
        return None;
    }
    emulated::driver(&emulated::checked());
    let mut bench = BENCH.lock().unwrap_or_else(PoisonError::into_inner);
    let compiler = Compiler::with(CAPABILITY, emulated::cache(), nvrtc::Search::of_this_process());
    bench.get_or_insert_with(|| Bench::with(device::open().unwrap(), compiler));
    Some(bench)
}

fn verify(bench: &mut Bench, case: &Case) -> Result<Agreement, Error> {
    let placed = bench.place(case)?;
    bench.verify(&placed)
}

#[track_caller]
fn assert_agrees(bench: &mut Bench, entry: &'static Entry, size: Size) -> Agreement {
    let case = entry.case(CAPABILITY, size).unwrap_or_else(|error| panic!("{} at {size:?}: {error}", entry.name));
    let agreement = verify(bench, &case).unwrap_or_else(|error| panic!("{} at {size:?}: {error}", entry.name));
    emulated::assert_no_report(&emulated::checked());
    let expected: usize = case.expected.iter().map(|expected| expected.values.len()).sum();
    assert!(expected > 0 && agreement.compared == expected, "{} at {size:?}: {agreement:?}", entry.name);
    agreement
}

/// `size` in the axes that the entry has, and 1 in the others.
fn along(entry: &Entry, size: Size) -> Size {
    let of = |axis| if entry.axes.contains(&axis) { axis.of(size) } else { 1 };
    Size { m: of(Axis::M), n: of(Axis::N), k: of(Axis::K) }
}

#[test]
fn every_case_agrees_with_float64_at_its_usual_size() {
    let Some(mut bench) = bench() else { return };
    for entry in ENTRIES {
        // Adam's parameters one by one say nothing more than some of them.
        let Size { m, n, k } = entry.usual;
        let size = Size { m, n: n.min(4_099), k };
        let agreement = assert_agrees(bench.as_mut().unwrap(), entry, size);
        println!("{:24} {size:?}: {agreement:?}", entry.name);
    }
}

#[test]
fn every_case_agrees_with_float64_at_one_and_at_odd_sizes() {
    let Some(mut bench) = bench() else { return };
    for entry in ENTRIES {
        for size in [Size { m: 1, n: 1, k: 1 }, Size { m: 3, n: 65, k: 33 }, Size { m: 67, n: 35, k: 5 }] {
            assert_agrees(bench.as_mut().unwrap(), entry, along(entry, size));
        }
    }
}

#[test]
fn results_of_one_element_that_are_off_are_found_wherever_they_are() {
    let Some(mut bench) = bench() else { return };
    let bench = bench.as_mut().unwrap();
    for entry in ENTRIES {
        let size = along(entry, Size { m: 5, n: 7, k: 9 });
        let results = entry.case(CAPABILITY, size).unwrap().expected.len();
        for result in 0..results {
            let mut case = entry.case(CAPABILITY, size).unwrap();
            let expected = &mut case.expected[result];
            let last = expected.values.len() - 1;
            expected.values[last] += 1.5 * expected.allowed[last].max(1e-3 * expected.values[last].abs()).max(1e-3);
            let error = verify(bench, &case).unwrap_err();
            let is_told = matches!(error, Error::Wrong { name, index, .. } if name == entry.name && index == last);
            assert!(is_told, "{}, result {result}: {error}", entry.name);
        }
    }
}

#[test]
fn a_kernel_that_is_given_the_wrong_input_is_found() {
    let Some(mut bench) = bench() else { return };
    let bench = bench.as_mut().unwrap();
    for entry in ENTRIES {
        let mut case = entry.case(CAPABILITY, along(entry, Size { m: 5, n: 7, k: 9 })).unwrap();
        let first = case.buffers.iter_mut().find_map(|buffer| match buffer {
            Contents::Given(bytes) => Some(bytes),
            Contents::Zeros(_) | Contents::Unwritten(_) => None,
        });
        let Some(bytes) = first else {
            assert_eq!(entry.name, "ceiling/fma", "only the chains of a ceiling read nothing");
            continue;
        };
        // Of the control, of which noise is made, the number of the step decides; elsewhere it is the last input's last byte.
        let byte = if entry.name == "standard_normal" { 0 } else { bytes.len() - 1 };
        bytes[byte] ^= 0x15;
        let result = verify(bench, &case);
        assert!(matches!(result, Err(Error::Wrong { .. })), "{}: {result:?}", entry.name);
    }
}

#[test]
fn what_a_case_takes_at_least_is_no_more_than_softcuda_counts() {
    let Some(mut bench) = bench() else { return };
    let (bench, driver) = (bench.as_mut().unwrap(), emulated::driver(&emulated::checked()));
    for entry in ENTRIES {
        let case = entry.case(CAPABILITY, Size { n: entry.usual.n.min(4_096), ..entry.usual }).unwrap();
        driver.reset_counts().unwrap();
        verify(bench, &case).unwrap();
        let launches = driver.launches().unwrap();
        assert_eq!(launches.len(), case.launches.len(), "{}", entry.name);
        let flops: u64 = launches.iter().map(|counts| counts.flops).sum();
        let moved: u64 = launches.iter().map(LaunchCounts::bytes_moved).sum();
        let (name, work) = (entry.name, case.work);
        assert!(work.flop <= flops as f64, "{name}: {} FLOP at least, {flops} counted", work.flop);
        assert!(work.bytes <= moved as f64, "{name}: {} bytes at least, {moved} counted", work.bytes);
    }
}

#[test]
fn both_ways_of_a_layer_leave_the_same_bits() {
    let Some(mut bench) = bench() else { return };
    let bench = bench.as_mut().unwrap();
    let results: Vec<Agreement> = ["epilogue/1_separate", "epilogue/2_fused"]
        .map(|name| {
            let entry = catalogue::find(name).unwrap();
            verify(bench, &entry.case(CAPABILITY, entry.usual).unwrap()).unwrap()
        })
        .into();
    assert_eq!(results[0], results[1]);
}
