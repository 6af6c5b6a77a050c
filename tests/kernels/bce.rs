//! The binary cross-entropy, in four steps that add up the same elements: against f64, at the smallest length, at odd ones and at a
//! batch's; and what each step improves over the one before, by the counts of a device in software.

use cudarc::driver::PushKernelArg;
use softcuda::counts::LaunchCounts;

use crate::device::{BLOCK, Device};
use crate::elements::{BOUND, LENGTHS, assert_total, binary, sum};
use crate::emulated::{self, assert_no_report, checked};
use crate::oracle::{self, assert_close, uniform, widen};

/// A kernel that adds up the loss.
struct Loss {
    file: &'static str,
    entry: &'static str,
    /// Threads of a block.
    block: usize,
    /// Elements that a block adds up.
    share: usize,
}

const LOSSES: [Loss; 4] = [
    Loss { file: "bce/1_one_thread.cu", entry: "bce_one_thread", block: 1, share: usize::MAX },
    Loss { file: "bce/2_shared_memory.cu", entry: "bce_shared_memory", block: BLOCK, share: BLOCK },
    Loss { file: "bce/3_shuffle.cu", entry: "bce_shuffle", block: BLOCK, share: BLOCK },
    Loss { file: "bce/4_vectorised.cu", entry: "bce_vectorised", block: BLOCK, share: 4 * BLOCK },
];

/// The loss of all elements, in two stages.
fn loss_of(device: &Device, step: &Loss, logits: &[f32], targets: &[f32]) -> f64 {
    let (a, t, length) = (device.upload(logits), device.upload(targets), logits.len() as u64);
    let (kernel, blocks) = (device.kernel(step.file, step.entry), logits.len().div_ceil(step.share));
    let mut partial = device.room::<f64>(blocks);
    device.launch_blocks(&kernel, blocks, step.block, |launch| {
        launch.arg(&a).arg(&t).arg(&mut partial).arg(&length);
    });
    sum(device, &partial)
}

fn agrees(device: &Device, logits: &[f32], targets: &[f32]) {
    let (a, t) = (widen(logits), widen(targets));
    let want: f64 = a.iter().zip(&t).map(|(a, t)| oracle::bce(*a, *t)).sum();
    for step in &LOSSES {
        let got = loss_of(device, step, logits, targets);
        assert_total(step.entry, got, want);
        assert_eq!(got.to_bits(), loss_of(device, step, logits, targets).to_bits(), "{}: two sums differ", step.entry);
    }
    let want: Vec<f64> = a.iter().zip(&t).map(|(a, t)| oracle::sigmoid(*a) - t).collect();
    let gradient = binary(device, "bce/gradient.cu", "bce_gradient", [logits, targets]);
    assert_close("its gradient", &gradient, &want, BOUND);
}

#[test]
fn every_loss_agrees_with_f64() {
    let Some(device) = Device::open() else { return };
    for length in LENGTHS.into_iter().chain([31, 255, 257, 2 * BLOCK + 2]) {
        agrees(&device, &uniform(5, length, -8.0, 8.0), &uniform(6, length, 0.0, 1.0));
    }
    // Where a sigmoid rounds to 0 or 1, its logarithm would be lost.
    agrees(&device, &[200.0, -200.0, 50.0, -50.0, 17.5], &[0.0, 1.0, 0.25, 0.75, 1.0]);
    assert_no_report(&checked());
}

/// Elements of whole blocks in all steps, a number of them that no other test has.
const ELEMENTS: usize = 48 * 4 * BLOCK;

/// The counts of each step on ELEMENTS elements, found by what they load: tests run side by side.
fn counts(device: &Device) -> [LaunchCounts; 4] {
    let (logits, targets) = (uniform(5, ELEMENTS, -8.0, 8.0), uniform(6, ELEMENTS, 0.0, 1.0));
    LOSSES.map(|step| {
        loss_of(device, &step, &logits, &targets);
        let launches = emulated::driver(&checked()).launches().unwrap();
        let is_ours =
            |launch: &LaunchCounts| launch.kernel == step.entry && launch.global_loads.bytes == 8 * ELEMENTS as u64;
        let counts = launches.into_iter().find(is_ours).unwrap();
        println!("{}", figures(&counts));
        counts
    })
}

fn figures(counts: &LaunchCounts) -> String {
    format!(
        "{}: {} blocks, {:.2} lanes, {} warp instructions, {} load requests of {:.2} sectors, {} shared wavefronts, {} barriers",
        counts.kernel,
        counts.grid[0],
        counts.active_lanes(),
        counts.warp_instructions,
        counts.global_loads.requests,
        counts.global_loads.per_request(),
        shared_wavefronts(counts),
        counts.barriers
    )
}

fn shared_wavefronts(counts: &LaunchCounts) -> u64 {
    counts.shared_loads.transactions + counts.shared_stores.transactions
}

#[test]
fn each_loss_does_what_its_header_says_better_than_the_one_before() {
    let Some(device) = Device::open() else { return };
    let [one, shared, shuffle, quads] = counts(&device);
    // One lane, and nearly all of 32; one block, and one for every 256 elements.
    assert!(one.active_lanes() <= 1.0 && shared.active_lanes() > 25.0, "{}", one.active_lanes());
    assert_eq!([&one, &shared, &shuffle, &quads].map(|counts| counts.grid[0] as usize), [1, 192, 192, 48]);
    assert_eq!((one.global_loads.requests, shared.global_loads.requests), (2 * ELEMENTS as u64, ELEMENTS as u64 / 16));
    // A sector for each of its floats, and 4 for 32 of them.
    assert_eq!((one.global_loads.per_request(), shared.global_loads.per_request()), (1.0, 4.0));
    // Warps at a barrier: 8 barriers a block, then one.
    assert_eq!((shared.barriers, shuffle.barriers), (8 * shuffle.barriers, shuffle.barriers));
    assert!(shared_wavefronts(&shuffle) < shared_wavefronts(&shared) / 2);
    // A quarter of the blocks, of the requests, and of what ends a block.
    assert_eq!(shuffle.global_loads.requests, 4 * quads.global_loads.requests);
    assert_eq!((shuffle.barriers, shared_wavefronts(&shuffle)), (4 * quads.barriers, 4 * shared_wavefronts(&quads)));
    assert_eq!(quads.global_loads.per_request(), 16.0);
    assert!(quads.warp_instructions < shuffle.warp_instructions);
}
