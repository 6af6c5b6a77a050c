//! Threads that share one step's work.
//!
//! A training step is sixteen short bursts of 15 to 400 microseconds. Measured on two cores over the products of a step: with
//! rayon's `join` 3.0 ms, with threads that do not sleep in between 2.3 ms; the difference is the time a sleeper needs to
//! wake. So a thread that runs out of work stays awake for about as long as its partner needs for one more task, and only then
//! sleeps. Beside a process that keeps one of two cores busy an epoch takes 1.9 times as long: whoever has a core does all tasks
//! that nobody else has begun. (Offering the core at each look, by `yield_now`, loses it for a whole time slice: 2.6 times.)

use std::any::Any;
use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, Thread};

/// How often an idle thread looks for work before it sleeps: for about 80 microseconds, at 40 ns a look.
const LOOKS: usize = 2000;

type Task<'a> = dyn Fn(usize) + Sync + 'a;

struct Shared {
    /// The current burst's task. Written only while `unclaimed` and `unfinished` are 0; read only by who claimed an index.
    task: UnsafeCell<*const Task<'static>>,
    /// Indices not yet claimed: whoever lowers it from n to n - 1 carries out index n - 1.
    unclaimed: AtomicUsize,
    /// Indices not yet carried out.
    unfinished: AtomicUsize,
    /// Set when the pool is dropped.
    closing: AtomicBool,
    /// Whether the thread that started the burst sleeps until it is finished.
    caller_sleeps: AtomicBool,
    /// That thread, written before it sleeps.
    caller: Mutex<Thread>,
    /// The first panic of a task.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

// SAFETY: `task` is the only part that is not Sync by itself. It is written by the one thread that holds the pool by `&mut` while
// no index is open, and read after a claim, which happens after (Acquire after Release on `unclaimed`) that write.
unsafe impl Sync for Shared {}
// SAFETY: the pointer in `task` is followed only while the closure it points to is alive (see `Pool::run`).
unsafe impl Send for Shared {}

struct Worker {
    sleeps: Arc<AtomicBool>,
    handle: JoinHandle<()>,
}

/// A fixed number of threads, the caller among them.
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<Worker>,
}

impl Pool {
    /// Starts `threads` - 1 workers; the caller of [`Pool::run`] is the last thread.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn new(threads: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            task: UnsafeCell::new(&|_| {}),
            unclaimed: AtomicUsize::new(0),
            unfinished: AtomicUsize::new(0),
            closing: AtomicBool::new(false),
            caller_sleeps: AtomicBool::new(false),
            caller: Mutex::new(thread::current()),
            panic: Mutex::new(None),
        });
        let mut pool = Self { shared, workers: Vec::new() };
        for i in 1..threads {
            let sleeps = Arc::new(AtomicBool::new(false));
            let (shared, its_sleeps) = (Arc::clone(&pool.shared), Arc::clone(&sleeps));
            let body = move || work(&shared, &its_sleeps);
            let handle = thread::Builder::new().name(format!("latent-{i}")).spawn(body)?;
            pool.workers.push(Worker { sleeps, handle });
        }
        Ok(pool)
    }

    /// How many threads share the work.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `task` once with every index below `tasks`, in any order and on any thread, and returns when all are done.
    pub fn run(&mut self, tasks: usize, task: &Task<'_>) {
        let shared = &*self.shared;
        // SAFETY: only the lifetime changes. Every claimed index is counted in `unfinished` until its call has returned, and
        // this function does not return before that is 0, so nobody follows the pointer after the closure is gone.
        let task = unsafe { std::mem::transmute::<*const Task<'_>, *const Task<'static>>(task) };
        // SAFETY: no index is open, so nobody reads; `&mut self` keeps other callers out.
        unsafe { *shared.task.get() = task };
        shared.unfinished.store(tasks, Ordering::Relaxed);
        shared.unclaimed.store(tasks, Ordering::SeqCst);
        for worker in self.workers.iter().take(tasks.saturating_sub(1)) {
            wake(&worker.sleeps, worker.handle.thread());
        }
        while shared.carry_out_one() {}
        shared.wait_until_finished();
        let panic = lock(&shared.panic).take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        for worker in self.workers.drain(..) {
            worker.handle.thread().unpark();
            // A worker's panics were caught and passed on by `run`; there is nothing more to learn here.
            let _ = worker.handle.join();
        }
    }
}

impl Shared {
    /// Claims an index and carries it out; false if none was left.
    fn carry_out_one(&self) -> bool {
        let claim = |n: usize| n.checked_sub(1);
        let Ok(n) = self.unclaimed.fetch_update(Ordering::SeqCst, Ordering::Relaxed, claim) else { return false };
        // SAFETY: index n - 1 is claimed and unfinished, so the pointer was written before and the closure is alive.
        let task = unsafe { &**self.task.get() };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| task(n - 1))) {
            lock(&self.panic).get_or_insert(panic);
        }
        self.unfinished.fetch_sub(1, Ordering::SeqCst);
        true
    }

    fn wait_until_finished(&self) {
        let finished = || self.unfinished.load(Ordering::SeqCst) == 0;
        while !look_for(finished) {
            *lock(&self.caller) = thread::current();
            self.caller_sleeps.store(true, Ordering::SeqCst);
            if !finished() {
                thread::park();
            }
            self.caller_sleeps.store(false, Ordering::SeqCst);
        }
    }
}

/// The life of a worker.
fn work(shared: &Shared, sleeps: &AtomicBool) {
    loop {
        while shared.carry_out_one() {
            if shared.unfinished.load(Ordering::SeqCst) == 0 {
                wake(&shared.caller_sleeps, &lock(&shared.caller));
            }
        }
        if shared.closing.load(Ordering::SeqCst) {
            return;
        }
        let something = || shared.unclaimed.load(Ordering::SeqCst) > 0 || shared.closing.load(Ordering::SeqCst);
        if !look_for(something) {
            sleeps.store(true, Ordering::SeqCst);
            if !something() {
                thread::park();
            }
            sleeps.store(false, Ordering::SeqCst);
        }
    }
}

/// Looks for `event` up to [`LOOKS`] times; whether it came.
fn look_for(event: impl Fn() -> bool) -> bool {
    (0..LOOKS).any(|_| {
        std::hint::spin_loop();
        event()
    })
}

/// No code that can panic runs under these locks, so a poisoned one holds a good value.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wake(sleeps: &AtomicBool, thread: &Thread) {
    // Looking first keeps the cache line shared while nobody sleeps.
    if sleeps.load(Ordering::SeqCst) && sleeps.swap(false, Ordering::SeqCst) {
        thread.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_is_carried_out_once_whatever_the_threads() {
        for threads in [1, 2, 5] {
            let mut pool = Pool::new(threads).expect("threads");
            for tasks in [0, 1, 2, 7, 100].repeat(50) {
                let counts: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
                pool.run(tasks, &|i| {
                    counts[i].fetch_add(1, Ordering::Relaxed);
                });
                assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 1), "{threads} threads, {tasks} tasks");
            }
        }
    }

    #[test]
    fn workers_that_slept_wake_again() {
        let mut pool = Pool::new(3).expect("threads");
        for _ in 0..5 {
            thread::sleep(std::time::Duration::from_millis(5));
            let done = AtomicUsize::new(0);
            pool.run(20, &|_| {
                thread::sleep(std::time::Duration::from_micros(300));
                done.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(done.into_inner(), 20);
        }
    }

    #[test]
    fn a_panic_in_a_task_reaches_the_caller_and_the_pool_lives_on() {
        let mut pool = Pool::new(2).expect("threads");
        let result = catch_unwind(AssertUnwindSafe(|| pool.run(8, &|i| assert!(i != 3, "task three"))));
        assert!(result.is_err());
        let done = AtomicUsize::new(0);
        pool.run(8, &|_| {
            done.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(done.into_inner(), 8);
    }
}
