//! Findings: where an instruction stands in the sources, what was found there, and the sink that merges and writes it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use serde::{Deserialize, Serialize};

/// How many distinct reports a [`Reporter`] or a [`Batch`] keeps.
pub const MAX_REPORTS: usize = 10_000;

/// The number of one PTX instruction, unique among all modules of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Site(pub u32);

impl Site {
    /// How many bits a number takes in the records of the shadow state.
    pub const BITS: u32 = 23;

    /// No instruction: an operation of the host, or an instruction beyond the last number.
    pub const NONE: Site = Site((1 << Site::BITS) - 1);

    /// The number as it is packed into a record.
    pub(super) fn packed(self) -> u64 {
        u64::from(self.0.min(Site::NONE.0))
    }
}

/// Where one instruction comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The kernel or device function that holds it.
    pub function: Arc<str>,
    /// The source file, known where the module was compiled with line information.
    pub file: Option<Arc<str>>,
    /// The line in `file`, from 1; 0 where it is not known.
    pub line: u32,
    /// The text of the instruction.
    pub instruction: Arc<str>,
}

/// The sources of every registered instruction; shared by all threads.
#[derive(Debug, Default)]
pub struct Sites {
    sources: RwLock<Vec<Source>>,
}

impl Sites {
    /// Numbers the instructions of a module: the first gets the returned number, each next one the number after.
    ///
    /// Instructions that no longer fit the numbers get [`Site::NONE`]: they are checked all the same, and reported
    /// without a source.
    pub fn register(&self, sources: Vec<Source>) -> u32 {
        let mut known = self.sources.write().unwrap_or_else(PoisonError::into_inner);
        let base = known.len();
        let room = Site::NONE.0 as usize - base;
        known.extend(sources.into_iter().take(room));
        base as u32
    }

    /// The source of an instruction; `None` for the host's operations.
    pub fn get(&self, site: Site) -> Option<Source> {
        self.sources.read().unwrap_or_else(PoisonError::into_inner).get(site.0 as usize).cloned()
    }
}

/// What a report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// An access outside every allocation.
    OutOfBounds,
    /// An address that is not a multiple of the access's size.
    Misaligned,
    /// An access to memory that was freed.
    UseAfterFree,
    /// Memory freed twice.
    DoubleFree,
    /// An address freed that no allocation begins at.
    InvalidFree,
    /// A read of memory that nothing wrote.
    Uninitialised,
    /// Two accesses to shared memory that no barrier orders.
    SharedRace,
    /// Two accesses to global memory that nothing orders.
    GlobalRace,
    /// A barrier that not all of its threads reach.
    Barrier,
    /// Memory used between a `cp.async` and its wait.
    Async,
    /// An allocation still alive at the end of its context.
    Leak,
    /// A kernel that ran beyond its limit of instructions.
    Limit,
    /// A `trap` instruction.
    Trap,
    /// A failed device assertion.
    Assert,
    /// Findings beyond [`MAX_REPORTS`], which were left out.
    More,
}

impl Check {
    /// The name that reports carry, such as `out-of-bounds`.
    pub fn name(self) -> &'static str {
        match self {
            Check::OutOfBounds => "out-of-bounds",
            Check::Misaligned => "misaligned",
            Check::UseAfterFree => "use-after-free",
            Check::DoubleFree => "double-free",
            Check::InvalidFree => "invalid-free",
            Check::Uninitialised => "uninitialised",
            Check::SharedRace => "shared-race",
            Check::GlobalRace => "global-race",
            Check::Barrier => "barrier",
            Check::Async => "async",
            Check::Leak => "leak",
            Check::Limit => "limit",
            Check::Trap => "trap",
            Check::Assert => "assert",
            Check::More => "more",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The earlier access of a race.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Other {
    /// The kernel, or the driver's function for an operation of the host.
    pub kernel: String,
    /// The source file, where known.
    pub file: Option<String>,
    /// The line in `file`, 0 where not known.
    pub line: u32,
    /// The block: x, y, z.
    pub block: [u32; 3],
    /// The thread in its block: x, y, z.
    pub thread: [u32; 3],
    /// The text of the instruction.
    pub instruction: String,
    /// `read`, `write` or `atomic`.
    pub kind: String,
}

/// One finding, seen once or more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// What was found.
    pub check: Check,
    /// The kernel, or the driver's function for an operation of the host.
    pub kernel: String,
    /// The source file, where known.
    pub file: Option<String>,
    /// The line in `file`, 0 where not known.
    pub line: u32,
    /// The block: x, y, z.
    pub block: [u32; 3],
    /// The thread in its block: x, y, z.
    pub thread: [u32; 3],
    /// The text of the instruction.
    pub instruction: String,
    /// The address in its memory space.
    pub address: u64,
    /// What is wrong, in one sentence.
    pub message: String,
    /// The earlier access of a race.
    pub other: Option<Other>,
    /// How often the same finding was seen.
    pub count: u64,
}

impl Report {
    /// What makes two findings the same.
    fn key(&self) -> Key {
        Key {
            kernel: self.kernel.clone(),
            file: self.file.clone(),
            line: self.line,
            check: self.check,
            instruction: self.instruction.clone(),
            other: self.other.as_ref().map(|other| (other.kernel.clone(), other.file.clone(), other.line)),
        }
    }

    /// Takes in the same finding, seen elsewhere: the first place in the order of the grid is the one shown.
    fn merge(&mut self, mut again: Report) {
        let count = self.count.saturating_add(again.count);
        if again.place() < self.place() {
            std::mem::swap(self, &mut again);
        }
        self.count = count;
    }

    /// Orders the occurrences of one finding.
    fn place(&self) -> impl Ord + '_ {
        let backwards = |[x, y, z]: [u32; 3]| [z, y, x];
        (backwards(self.block), backwards(self.thread), self.address, &self.other, &self.message)
    }
}

impl Report {
    /// A finding about what the host did in a call of the driver; without a call, about the end of a context.
    pub fn of_host(check: Check, call: &str, address: u64, message: String) -> Report {
        Report {
            check,
            kernel: call.to_owned(),
            file: None,
            line: 0,
            block: [0; 3],
            thread: [0; 3],
            instruction: String::new(),
            address,
            message,
            other: None,
            count: 1,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check, self.message)?;
        write!(f, "\n  in {}", Place::of(&self.kernel, &self.file, self.line, self.block, self.thread))?;
        write_instruction(f, &self.instruction)?;
        if let Some(other) = &self.other {
            let place = Place::of(&other.kernel, &other.file, other.line, other.block, other.thread);
            write!(f, "\n  after a {} in {place}", other.kind)?;
            write_instruction(f, &other.instruction)?;
        }
        if self.count > 1 {
            write!(f, "\n  seen {} times", self.count)?;
        }
        Ok(())
    }
}

fn write_instruction(f: &mut fmt::Formatter<'_>, instruction: &str) -> fmt::Result {
    if instruction.is_empty() { Ok(()) } else { write!(f, "\n    {instruction}") }
}

/// A place in a kernel's source and grid, as people read it.
struct Place<'a> {
    kernel: &'a str,
    file: Option<&'a str>,
    line: u32,
    block: [u32; 3],
    thread: [u32; 3],
}

impl<'a> Place<'a> {
    fn of(kernel: &'a str, file: &'a Option<String>, line: u32, block: [u32; 3], thread: [u32; 3]) -> Self {
        Place { kernel, file: file.as_deref(), line, block, thread }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kernel)?;
        if let Some(file) = self.file {
            write!(f, " at {file}:{}", self.line)?;
        }
        let ([bx, by, bz], [tx, ty, tz]) = (self.block, self.thread);
        write!(f, ", block ({bx},{by},{bz}) thread ({tx},{ty},{tz})")
    }
}

/// What makes two findings the same; its order is that in which reports are written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    kernel: String,
    file: Option<String>,
    line: u32,
    check: Check,
    instruction: String,
    other: Option<(String, Option<String>, u32)>,
}

/// Merged findings, bounded: of more than fit, those with the smallest keys are kept, whatever order they come in.
#[derive(Debug, Default)]
struct Merged {
    reports: BTreeMap<Key, Report>,
    left_out: u64,
}

impl Merged {
    fn add(&mut self, report: Report, room: usize) {
        match self.reports.entry(report.key()) {
            Entry::Occupied(mut known) => known.get_mut().merge(report),
            Entry::Vacant(new) => {
                new.insert(report);
            }
        }
        if self.reports.len() > room
            && let Some((_, last)) = self.reports.pop_last()
        {
            self.left_out = self.left_out.saturating_add(last.count);
        }
    }
}

/// The findings of one launch, gathered by its threads; handed to [`Reporter::flush_batch`] when the launch ends, so
/// that launches of other streams never see half of them.
#[derive(Debug, Default)]
pub struct Batch {
    merged: Mutex<Merged>,
}

impl Batch {
    /// Adds one finding.
    pub fn add(&self, report: Report) {
        lock(&self.merged).add(report, MAX_REPORTS);
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        lock(&self.merged).reports.is_empty()
    }
}

/// The thread-safe sink of all findings.
///
/// Findings of the same check at the same place in the sources are one report with a count. A report shows the first
/// place in the order of the grid, so it does not depend on the number of host threads; for that, it is written to the
/// file only by [`Reporter::flush`], once. A finding that comes again after that only raises the count in memory.
#[derive(Debug)]
pub struct Reporter {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    sink: Option<Sink>,
    /// Findings since the last flush.
    pending: Merged,
    /// Findings that were flushed.
    flushed: BTreeMap<Key, Report>,
    left_out: u64,
    noted: bool,
}

impl Reporter {
    /// A sink that appends each flushed report to `file`, if there is one, as a line of JSON.
    ///
    /// A file that cannot be opened or written is named once on standard error; findings are still kept in memory.
    pub fn new(file: Option<PathBuf>) -> Self {
        let sink = file.and_then(|path| Sink::open(&path));
        Reporter { state: Mutex::new(State { sink, ..State::default() }) }
    }

    /// Adds one finding, to be written by the next flush.
    pub fn add(&self, report: Report) {
        let mut state = lock(&self.state);
        state.add(report);
    }

    /// Writes the findings that are not yet in the file, in the order of their places in the sources.
    pub fn flush(&self) {
        lock(&self.state).flush();
    }

    /// Takes in and writes the findings of one launch.
    pub fn flush_batch(&self, batch: &Batch) {
        let Merged { reports, left_out } = std::mem::take(&mut *lock(&batch.merged));
        let mut state = lock(&self.state);
        reports.into_values().for_each(|report| state.add(report));
        state.left_out = state.left_out.saturating_add(left_out);
        state.flush();
    }

    /// All findings so far, sorted by their places in the sources; the last one says how many were left out, if any.
    pub fn snapshot(&self) -> Vec<Report> {
        lock(&self.state).snapshot()
    }

    /// Takes all findings out, written or not: what comes later is new, and is written again.
    pub fn take(&self) -> Vec<Report> {
        let mut state = lock(&self.state);
        let reports = state.snapshot();
        state.clear();
        reports
    }

    /// Forgets all findings.
    pub fn clear(&self) {
        lock(&self.state).clear();
    }
}

impl State {
    fn add(&mut self, report: Report) {
        if let Entry::Occupied(mut known) = self.flushed.entry(report.key()) {
            known.get_mut().merge(report);
            return;
        }
        let room = MAX_REPORTS - self.flushed.len().min(MAX_REPORTS);
        self.pending.add(report, room);
    }

    fn flush(&mut self) {
        let Merged { reports, left_out } = std::mem::take(&mut self.pending);
        self.left_out = self.left_out.saturating_add(left_out);
        let note = (self.left_out > 0 && !self.noted).then(|| left_out_report(self.left_out));
        self.noted |= note.is_some();
        if let Some(sink) = &mut self.sink {
            sink.write(reports.values().chain(&note));
        }
        self.flushed.extend(reports);
    }

    fn snapshot(&self) -> Vec<Report> {
        let mut all: BTreeMap<&Key, &Report> = self.flushed.iter().collect();
        all.extend(&self.pending.reports);
        let left_out = self.left_out.saturating_add(self.pending.left_out);
        let note = (left_out > 0).then(|| left_out_report(left_out));
        all.into_values().cloned().chain(note).collect()
    }

    fn clear(&mut self) {
        *self = State { sink: self.sink.take(), ..State::default() };
    }
}

/// The note that stands for the findings beyond the bound.
fn left_out_report(count: u64) -> Report {
    let message =
        format!("findings beyond the first {MAX_REPORTS} were left out: mend those reported and run the program again");
    Report {
        check: Check::More,
        kernel: String::new(),
        file: None,
        line: 0,
        block: [0; 3],
        thread: [0; 3],
        instruction: String::new(),
        address: 0,
        message,
        other: None,
        count,
    }
}

/// The file that reports are appended to; the first error closes it.
#[derive(Debug)]
struct Sink {
    path: PathBuf,
    file: Option<File>,
}

impl Sink {
    fn open(path: &Path) -> Option<Sink> {
        match OpenOptions::new().create(true).append(true).open(path) {
            Ok(file) => Some(Sink { path: path.to_owned(), file: Some(file) }),
            Err(error) => {
                complain(path, &error);
                None
            }
        }
    }

    fn write<'a>(&mut self, reports: impl Iterator<Item = &'a Report>) {
        let Some(file) = &mut self.file else { return };
        if let Err(error) = append(file, reports) {
            complain(&self.path, &error);
            self.file = None;
        }
    }
}

/// Appends the lines in one call, so that processes that share the file do not cut each other's lines.
fn append<'a>(file: &mut File, reports: impl Iterator<Item = &'a Report>) -> io::Result<()> {
    let mut lines = Vec::new();
    for report in reports {
        serde_json::to_writer(&mut lines, report)?;
        lines.push(b'\n');
    }
    file.write_all(&lines)
}

fn complain(path: &Path, error: &io::Error) {
    eprintln!("softcuda: no reports go to {}: {error}; name a file that can be written", path.display());
}

/// Locks whatever a panicking thread left: findings are plain values, complete at every moment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(line: u32, block: [u32; 3], thread: [u32; 3]) -> Report {
        Report {
            check: Check::OutOfBounds,
            kernel: "saxpy".into(),
            file: Some("saxpy.cu".into()),
            line,
            block,
            thread,
            instruction: "st.global.f32 [%rd1], %f1".into(),
            address: 64,
            message: "writes 4 bytes past the end".into(),
            other: None,
            count: 1,
        }
    }

    fn lines(path: &Path) -> Vec<Report> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn same_finding_is_one_report_that_shows_the_first_block_and_thread() {
        let reporter = Reporter::new(None);
        for (block, thread) in
            [([5, 0, 0], [0, 0, 0]), ([0, 1, 0], [0, 0, 0]), ([4, 0, 0], [3, 1, 0]), ([4, 0, 0], [9, 0, 0])]
        {
            reporter.add(report(7, block, thread));
        }
        let found = reporter.take();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].block, found[0].thread, found[0].count), ([4, 0, 0], [9, 0, 0], 4));
        assert!(reporter.snapshot().is_empty());
    }

    #[test]
    fn other_access_tells_findings_apart() {
        let reporter = Reporter::new(None);
        for line in [3, 4, 3] {
            let other = Other {
                kernel: "saxpy".into(),
                file: None,
                line,
                block: [0; 3],
                thread: [0; 3],
                instruction: String::new(),
                kind: "write".into(),
            };
            reporter.add(Report { other: Some(other), ..report(7, [0; 3], [0; 3]) });
        }
        assert_eq!(reporter.snapshot().iter().map(|r| r.count).collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn file_gets_each_finding_once_sorted_and_only_at_a_flush() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reports.jsonl");
        let reporter = Reporter::new(Some(path.clone()));
        reporter.add(report(9, [1, 0, 0], [0; 3]));
        reporter.add(report(2, [1, 0, 0], [0; 3]));
        reporter.add(report(9, [0, 0, 0], [0; 3]));
        assert!(lines(&path).is_empty());
        reporter.flush();
        reporter.add(report(9, [0, 0, 0], [0; 3]));
        reporter.flush();
        let written = lines(&path);
        assert_eq!(written.iter().map(|r| (r.line, r.count, r.block[0])).collect::<Vec<_>>(), [(2, 1, 1), (9, 2, 0)]);
        assert_eq!(reporter.snapshot().iter().map(|r| r.count).collect::<Vec<_>>(), [1, 3]);
        reporter.clear();
        reporter.add(report(9, [0, 0, 0], [0; 3]));
        reporter.flush();
        assert_eq!(lines(&path).len(), 3);
    }

    #[test]
    fn batch_reaches_the_file_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reports.jsonl");
        let reporter = Reporter::new(Some(path.clone()));
        let batch = Batch::default();
        batch.add(report(9, [1, 0, 0], [0; 3]));
        reporter.flush();
        batch.add(report(9, [0, 0, 0], [0; 3]));
        assert!(lines(&path).is_empty());
        reporter.flush_batch(&batch);
        assert!(batch.is_empty());
        assert_eq!(lines(&path).iter().map(|r| (r.block[0], r.count)).collect::<Vec<_>>(), [(0, 2)]);
    }

    #[test]
    fn kept_reports_beyond_the_bound_do_not_depend_on_their_order() {
        let all = MAX_REPORTS as u32 + 5;
        let keep = |order: &mut dyn Iterator<Item = u32>| {
            let reporter = Reporter::new(None);
            order.for_each(|line| reporter.add(report(line, [0; 3], [0; 3])));
            reporter.take()
        };
        let kept = keep(&mut (1..=all).rev());
        assert_eq!(kept, keep(&mut (1..=all)));
        assert_eq!(kept.len(), MAX_REPORTS + 1);
        assert_eq!(kept[MAX_REPORTS - 1].line, MAX_REPORTS as u32);
        assert_eq!((kept[MAX_REPORTS].check, kept[MAX_REPORTS].count), (Check::More, 5));
    }

    #[test]
    fn names_of_checks_are_those_of_their_json() {
        use Check::*;
        let checks = [
            OutOfBounds,
            Misaligned,
            UseAfterFree,
            DoubleFree,
            InvalidFree,
            Uninitialised,
            SharedRace,
            GlobalRace,
            Barrier,
            Async,
            Leak,
            Limit,
            Trap,
            Assert,
            More,
        ];
        for check in checks {
            assert_eq!(serde_json::to_string(&check).unwrap(), format!("\"{}\"", check.name()));
        }
    }

    #[test]
    fn people_read_a_race_with_both_of_its_places() {
        let other = Other {
            kernel: "tile".into(),
            file: Some("tile.cu".into()),
            line: 31,
            block: [0; 3],
            thread: [3, 1, 0],
            instruction: "st.shared.f32 [%r1], %f1".into(),
            kind: "write".into(),
        };
        let text = Report { other: Some(other), count: 8, ..report(40, [2, 0, 0], [1, 0, 0]) }.to_string();
        assert!(text.contains("saxpy.cu:40, block (2,0,0) thread (1,0,0)"), "{text}");
        assert!(text.contains("after a write in tile at tile.cu:31, block (0,0,0) thread (3,1,0)"), "{text}");
        assert!(text.ends_with("seen 8 times"), "{text}");
    }

    #[test]
    fn sites_are_numbered_on_from_module_to_module() {
        let sites = Sites::default();
        let source = |line| Source { function: "f".into(), file: None, line, instruction: "ret".into() };
        assert_eq!(sites.register(vec![source(1), source(2)]), 0);
        assert_eq!(sites.register(vec![source(3)]), 2);
        assert_eq!(sites.get(Site(2)), Some(source(3)));
        assert_eq!(sites.get(Site::NONE), None);
    }
}
