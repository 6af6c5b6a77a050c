//! Times on the processor.

use std::time::{Duration, Instant};

use super::cache::Sweep;
use super::{Failure, Options, Spread};

/// Repetitions after which a budget of time does not matter any more.
const MOST: usize = 100_000;

/// Repeats work until a budget of time is spent.
pub struct Clock {
    /// For hot caches and for cold ones each, the warm-up and the emptying of the caches included.
    budget: Duration,
    /// Repetitions at least.
    least: usize,
    /// Whether times are taken at all.
    runs: bool,
    /// Made at the first need: it is large.
    sweep: Option<Sweep>,
}

impl Clock {
    /// One of the lengths that the options ask for.
    pub fn new(options: &Options) -> Self {
        let (budget, least) = if options.quick { (20, 3) } else { (1500, 15) };
        Self { budget: Duration::from_millis(budget), least, runs: !options.counts, sweep: None }
    }

    /// Times with caches as the repetition before left them; none where none are asked for.
    ///
    /// # Errors
    /// `body` failed.
    pub fn hot(&mut self, body: &mut impl FnMut() -> Result<(), Failure>) -> Result<Option<Spread>, Failure> {
        self.repeat(body, |_| ())
    }

    /// Times with operands in memory: before each repetition, twice the last-level cache was walked through.
    ///
    /// # Errors
    /// `body` failed.
    pub fn cold(&mut self, body: &mut impl FnMut() -> Result<(), Failure>) -> Result<Option<Spread>, Failure> {
        self.repeat(body, |clock| clock.sweep.get_or_insert_with(|| Sweep::new(super::threads())).walk())
    }

    /// Lets a fifth of the budget pass as a warm-up, then repeats.
    fn repeat(
        &mut self,
        body: &mut impl FnMut() -> Result<(), Failure>,
        mut before: impl FnMut(&mut Self),
    ) -> Result<Option<Spread>, Failure> {
        if !self.runs {
            return Ok(None);
        }
        let (mut seconds, start) = (Vec::new(), Instant::now());
        let mut warm = false;
        while seconds.len() < self.least || (start.elapsed() < self.budget && seconds.len() < MOST) {
            before(self);
            let begin = Instant::now();
            body()?;
            let took = begin.elapsed().as_secs_f64();
            if warm {
                seconds.push(took);
            }
            warm |= start.elapsed() > self.budget / 5;
        }
        Spread::of(seconds).map(Some)
    }
}
