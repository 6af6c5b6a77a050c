//! A training step's own code allocates nothing once the first steps are past, ragged last batches included.
//!
//! The crate that multiplies matrices takes packing space from the allocator in each of its calls, on whichever thread makes it. So
//! this allocator looks at the stack of each allocation and counts those of that crate apart: there must be none of any other
//! origin, and every byte must be free again after the steps. A stack that cannot be read counts as ours.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicUsize, Ordering::SeqCst};

use latent::backend::cpu::Cpu;
use latent::backend::{Backend, Noise, Sums};
use latent::nn::{Autoencoder, Dims, VanillaAE, VariationalAE};

/// Every function of the crate has one of these in its path.
const GEMM_CRATE: [&str; 2] = ["gemm_common::", "gemm_f32::"];

static WATCHING: AtomicBool = AtomicBool::new(false);
static OURS: AtomicUsize = AtomicUsize::new(0);
static OF_THE_GEMM_CRATE: AtomicUsize = AtomicUsize::new(0);
/// Bytes allocated and not yet freed while watching.
static LIVE: AtomicIsize = AtomicIsize::new(0);
/// The stack of the last allocation of ours.
static STACK: Mutex<String> = Mutex::new(String::new());

thread_local! {
    /// Whether this thread is reading a stack, which allocates too.
    static LOOKING: Cell<bool> = const { Cell::new(false) };
}

struct Watched;

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size() as isize);
        // SAFETY: as promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(-(layout.size() as isize));
        // SAFETY: as promised by the caller.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watched = Watched;

/// Keeps account of `bytes` allocated, or freed where negative.
fn note(bytes: isize) {
    if !WATCHING.load(SeqCst) || LOOKING.replace(true) {
        return;
    }
    LIVE.fetch_add(bytes, SeqCst);
    if bytes > 0 {
        let stack = Backtrace::force_capture().to_string();
        if GEMM_CRATE.iter().any(|path| stack.contains(path)) {
            OF_THE_GEMM_CRATE.fetch_add(1, SeqCst);
        } else {
            OURS.fetch_add(1, SeqCst);
            *STACK.lock().unwrap() = stack;
        }
    }
    LOOKING.set(false);
}

/// What was allocated while `body` ran: by whom, and how many bytes were left.
#[derive(Debug, PartialEq)]
struct Account {
    ours: usize,
    of_the_gemm_crate: usize,
    live: isize,
}

fn watch(body: impl FnOnce()) -> Account {
    OURS.store(0, SeqCst);
    OF_THE_GEMM_CRATE.store(0, SeqCst);
    LIVE.store(0, SeqCst);
    WATCHING.store(true, SeqCst);
    body();
    WATCHING.store(false, SeqCst);
    Account { ours: OURS.load(SeqCst), of_the_gemm_crate: OF_THE_GEMM_CRATE.load(SeqCst), live: LIVE.load(SeqCst) }
}

const DIMS: Dims = Dims { input: 784, hidden: 400, latent: 200 };
const BATCHES: [usize; 3] = [100, 100, 37];

/// An epoch of training and one of validation, as the training loop has them, its ragged batches included.
fn epochs<B: Backend>(backend: &mut B, model: &mut impl Autoencoder<B>, images: &mut B::Images, order: &[u32]) {
    backend.set_order(images, order, 0).unwrap();
    for rows in BATCHES {
        model.train_step(backend, images, rows).unwrap();
    }
    backend.set_order(images, order, 0).unwrap();
    for rows in BATCHES {
        model.evaluation_step(backend, images, rows, Noise::Drawn).unwrap();
    }
}

fn check(threads: usize, backend: &mut Cpu, mut model: impl Autoencoder<Cpu>) {
    let count: usize = BATCHES.iter().sum();
    let order: Vec<u32> = (0..count as u32).rev().collect();
    let mut images = backend.load_images(vec![99; count * DIMS.input], DIMS.input).unwrap();
    backend.set_sums(Sums::zeros(DIMS.latent));
    epochs(backend, &mut model, &mut images, &order);
    // The crate keeps a slab for each thread from its first product on. Beside a busy machine a thread may come late to it.
    for last in [false, false, false, true] {
        let seen = watch(|| epochs(backend, &mut model, &mut images, &order));
        println!("{}, {threads} threads: {seen:?}", model.kind());
        assert_eq!(seen.ours, 0, "{}, {threads} threads: the last by\n{}", model.kind(), STACK.lock().unwrap());
        if seen.live == 0 {
            break;
        }
        assert!(!last, "{}, {threads} threads: {} bytes stay after every epoch", model.kind(), seen.live);
    }
}

/// One test, so that no other allocates meanwhile.
#[test]
fn a_step_allocates_nothing_of_its_own() {
    let planted = watch(|| drop(std::hint::black_box(vec![1u8; 100])));
    assert_eq!(planted, Account { ours: 1, of_the_gemm_crate: 0, live: 0 }, "the watch is blind");
    let kept = watch(|| std::mem::forget(std::hint::black_box(vec![1u8; 100])));
    assert_eq!(kept.live, 100, "the watch does not see what stays");
    for threads in [1, 2, 3] {
        let backend = &mut Cpu::new(threads).unwrap();
        let model = VanillaAE::new(backend, DIMS, BATCHES[0], 1).unwrap();
        check(threads, backend, model);
        let model = VariationalAE::new(backend, DIMS, BATCHES[0], 1).unwrap();
        check(threads, backend, model);
    }
}
