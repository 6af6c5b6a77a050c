//! A queue of work with the one thread that does it, in order.

use super::state::lock;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A piece of work.
pub struct Task {
    /// Its number in the queue; numbers only grow.
    pub sequence: u64,
    /// Work of other queues that must be done before.
    pub waits: Vec<Ticket>,
    /// What to do.
    pub work: Box<dyn FnOnce() + Send>,
}

#[derive(Default)]
struct State {
    tasks: VecDeque<Task>,
    issued: u64,
    done: u64,
    started: bool,
    closing: bool,
}

/// See the module.
#[derive(Default)]
pub struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

/// Work of a queue up to a number.
#[derive(Clone)]
pub struct Ticket {
    queue: Arc<Queue>,
    sequence: u64,
}

impl Ticket {
    /// A ticket for nothing.
    pub fn done() -> Ticket {
        Ticket { queue: Arc::default(), sequence: 0 }
    }

    /// Whether the work is done.
    pub fn is_done(&self) -> bool {
        lock(&self.queue.state).done >= self.sequence
    }

    /// Waits until the work is done.
    pub fn wait(&self) {
        self.wait_until(None);
    }

    /// Waits until the work is done, at most until `deadline`.
    pub fn wait_until(&self, deadline: Option<Instant>) {
        let mut state = lock(&self.queue.state);
        while state.done < self.sequence {
            let left = deadline.map_or(Duration::from_secs(3600), |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return;
            }
            state = self.queue.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Queue {
    /// Adds a task. Without a thread to do it (the system gives none) it is done here and now.
    pub fn push(self: &Arc<Queue>, task: Task) {
        let mut state = lock(&self.state);
        state.issued = task.sequence;
        state.tasks.push_back(task);
        if !state.started {
            state.started = true;
            let queue = self.clone();
            let spawned = std::thread::Builder::new().name("softcuda stream".into()).spawn(move || queue.work());
            if spawned.is_err() {
                state.started = false;
                drop(state);
                while self.step(false) {}
                return;
            }
        }
        drop(state);
        self.changed.notify_all();
    }

    /// All work so far.
    pub fn ticket(self: &Arc<Queue>) -> Ticket {
        Ticket { queue: self.clone(), sequence: lock(&self.state).issued }
    }

    /// Lets the thread end once all work is done.
    pub fn close(&self) {
        lock(&self.state).closing = true;
        self.changed.notify_all();
    }

    fn work(&self) {
        while self.step(true) {}
    }

    /// Does the next task; false when there is none and none will come.
    fn step(&self, wait: bool) -> bool {
        let mut state = lock(&self.state);
        let task = loop {
            match state.tasks.pop_front() {
                Some(task) => break task,
                None if state.closing || !wait => return false,
                None => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        };
        drop(state);
        task.waits.iter().for_each(Ticket::wait);
        (task.work)();
        lock(&self.state).done = task.sequence;
        self.changed.notify_all();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn work_waits_for_that_of_another_queue_and_keeps_its_order() {
        let (first, second) = (Arc::new(Queue::default()), Arc::new(Queue::default()));
        let (open, gate) = mpsc::channel::<()>();
        let (say, heard) = mpsc::channel();
        first.push(Task { sequence: 1, waits: vec![], work: Box::new(move || gate.recv().unwrap()) });
        for sequence in 1..=3 {
            let say = say.clone();
            second.push(Task {
                sequence,
                waits: vec![first.ticket()],
                work: Box::new(move || say.send(sequence).unwrap()),
            });
        }
        assert!(!second.ticket().is_done() && heard.try_recv().is_err());
        open.send(()).unwrap();
        second.ticket().wait();
        assert!(first.ticket().is_done());
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), [1, 2, 3]);
        first.close();
        second.close();
    }

    #[test]
    fn waiting_ends_at_the_deadline() {
        let queue = Arc::new(Queue::default());
        let (open, gate) = mpsc::channel::<()>();
        queue.push(Task { sequence: 1, waits: vec![], work: Box::new(move || gate.recv().unwrap()) });
        queue.ticket().wait_until(Some(Instant::now() + Duration::from_millis(5)));
        assert!(!queue.ticket().is_done());
        open.send(()).unwrap();
        queue.ticket().wait();
        assert!(queue.ticket().is_done());
    }
}
