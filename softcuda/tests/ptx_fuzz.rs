//! A mutation loop over PTX texts: whatever the text, an answer comes soon and takes little memory.
//!
//! `SOFTCUDA_FUZZ_SECONDS` sets how long it runs, `SOFTCUDA_FUZZ_SEED` where it starts. A text that fails is kept in
//! the folder for temporary files, and the message names it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use softcuda::check::global::Order;
use softcuda::exec::{Launch, run};
use softcuda::machine::Machine;
use softcuda::program::{LoadError, Program};
use softcuda::ptx::ast::Position;
use softcuda::ptx::parse;
use softcuda::settings::{Checks, Settings};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The longest time that one text may take.
const TIME_LIMIT: Duration = Duration::from_secs(1);
/// Seconds without an answer after which the process gives up.
const HANG_SECONDS: u32 = 20;
/// The most memory that all texts may add, in KiB.
const MEMORY_LIMIT: u64 = 512 << 10;
/// The longest text that is tried.
const TEXT_LIMIT: usize = 256 << 10;

/// Texts that one device loads: it remembers the places of all instructions it ever loaded.
const LOADS: u32 = 200;
/// Instructions after which a launch is stopped.
const INSTRUCTION_LIMIT: u64 = 2000;

/// What is fuzzed: the parser, then the decoder, then a launch of each kernel.
fn target(text: &str, device: &mut (Machine, u32)) {
    if let Err(error) = parse(text) {
        assert!(within(text, error.position), "the place of '{error}' lies beyond the text");
        assert!(!error.to_string().contains('\n'), "'{error}' has more than one line");
        return;
    }
    if device.1 == LOADS {
        *device = new_device();
    }
    device.1 += 1;
    let machine = &device.0;
    match Program::load(machine, text) {
        Err(LoadError::Ptx(error)) => {
            assert!(within(text, error.position), "the place of '{error}' lies beyond the text")
        }
        Err(_) => {}
        // What kernels print would bury the outcome of the test.
        Ok(program) if text.contains("vprintf") || text.contains("__assertfail") => program.unload(machine),
        Ok(program) => launch_all(machine, &Arc::new(program)),
    }
    machine.reporter.clear();
    machine.counts.reset();
}

fn new_device() -> (Machine, u32) {
    let (limit, memory) = (Some(INSTRUCTION_LIMIT), 16 << 20);
    let settings =
        Settings { checks: Checks::ALL, compute_capability: (9, 0), threads: 1, limit, memory, ..Settings::default() };
    (Machine::new(settings).unwrap(), 0)
}

/// Launches every kernel with a warp and a half, its parameters being zeros: it may fault, but not panic.
fn launch_all(machine: &Machine, program: &Arc<Program>) {
    for (kernel, described) in program.kernels().iter().enumerate() {
        if described.shared_bytes > 64 << 10 || described.max_threads < 48 {
            continue;
        }
        let parameters = vec![0; described.parameter_bytes];
        let order = Order { stream: 0, sequence: 0, after: Arc::default() };
        let (grid, block) = ([2, 1, 1], [48, 1, 1]);
        let _ = run(
            machine,
            program,
            &Launch { kernel, grid, block, shared_bytes: 0, cooperative: false, parameters, order },
        );
    }
    program.unload(machine);
}

/// Whether a place is one of the text, its end included.
fn within(text: &str, place: Position) -> bool {
    let line = text.split('\n').nth(place.line as usize - 1);
    line.is_some_and(|line| (1..=line.chars().count() + 1).contains(&(place.column as usize)))
}

/// Numbers that look random (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 where there is none.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// Texts by hand, dense with what the compiler seldom writes.
const BY_HAND: [&str; 3] = [
    ".version 8.0\n.target sm_80, debug\n.address_size 64\n.file 1 \"a.cu\", 1, 2\n.global .align 8 .v2 .f32 a[2][3] = \
     {{{1.5, -2.0}, {0f3F800000, 0}}, {{1e3}}};\n.const .u64 b[] = {a, a+4, generic(a)-8, 0x10, 017, 0b11, 5U};\n\
     .extern .shared .align 16 .b8 s[];\n.alias f, g;\n.pragma \"x\", \"y\";\n\
     .section .debug_x { l: .b8 1, -2\n.b32 l+4, .y, l-l }\n",
    ".version 8.0\n.target sm_90\n.address_size 64\n.visible .entry k(.param .u64 .ptr .global .align 16 p, .param .b8 \
     q[24]) .maxntid 8, 4, 2 .minnctapersm 2 .reqnctapercluster 2 {\n.reg .b32 %r<9>, x; .reg .pred %p<3>;\n\
     .loc 1 2 3, function_name L+4, inlined_at 1 5 6\n@!%p1 bra.uni L; { .reg .pred x; .reg .b32 %r<2>; @x bra L; \
     L: }\n\
     ts: .branchtargets L, M; brx.idx %r1, ts; shfl.sync.bfly.b32 %r1|%p1, %r2, 0x1f, -1, WARP_SZ;\n\
     L: mov.b64 {%r1, _}, %clock64; M: ld.shared::cta.v2.u32 {%r3, %r4}, [s+-8]; ret; }",
    ".version 8.0\n.target sm_75\n.address_size 64\n.func (.param .b32 r) f (.param .b32 a) .noreturn;\n\
     .weak .func (.param .b32 r) f (.param .b32 a) { { { .param .b32 v; .reg .b64 t; .reg .pred %p;\n\
     pr : .callprototype (.param .b32 _) _ (.param .b32 _) .noreturn; call.uni (v), t, (v, 1), pr; call f;\n\
     st.param.f64 [r+0], 0d3FF0000000000000; setp.lt.and.s32 %p, t, 1.5, !%p; } } }",
];

/// Numbers at the edges of what is allowed, and beyond.
const NUMBERS: [&str; 16] = [
    "0",
    "1",
    "-1",
    "1000000",
    "1000001",
    "4294967295",
    "4294967296",
    "1099511627776",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "0x",
    "0f7FC00000",
    "1e400",
    "08",
];

/// Pieces of the grammar.
const PIECES: [&str; 28] = [
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    "<1000000>",
    ";",
    ",",
    ":",
    "@",
    "@!",
    "|",
    "=",
    "%",
    "$",
    ".",
    "::",
    "/*",
    "*/",
    "//",
    "\"",
    "\n",
    ".reg .b32 %z<1000000>;",
    ".v4",
    "{{{{",
    "L:",
    "é\u{0}",
];

/// The texts that mutations start from.
fn seeds() -> Vec<String> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let files =
        ["ptx_parser", "ptx"].into_iter().flat_map(|folder| tests.join(folder).read_dir().into_iter().flatten());
    let mut paths: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "ptx"));
    paths.sort();
    assert!(paths.len() >= 3, "the snapshots are missing");
    let read = |path: &PathBuf| std::fs::read_to_string(path).unwrap();
    BY_HAND.iter().map(|text| (*text).to_owned()).chain(paths.iter().map(read)).collect()
}

/// Some range of the text's bytes that lies between characters.
fn range(random: &mut Random, text: &str, longest: usize) -> Range<usize> {
    let start = text.floor_char_boundary(random.below(text.len() + 1));
    let length = random.below(longest);
    start..text.floor_char_boundary((start + length).min(text.len())).max(start)
}

/// The token around some place: a run of characters of a name or a number, or one other character.
fn token(random: &mut Random, text: &str) -> Range<usize> {
    let at = text.floor_char_boundary(random.below(text.len()));
    let in_token = |c: char| c.is_ascii_alphanumeric() || "_$%.".contains(c);
    let start = text[..at].char_indices().rev().take_while(|(_, c)| in_token(*c)).last().map_or(at, |(start, _)| start);
    let after = text[at..].char_indices().find(|(_, c)| !in_token(*c)).map_or(text.len(), |(length, _)| at + length);
    let next = text[at..].chars().next().map_or(at, |c| at + c.len_utf8());
    start..after.max(next)
}

/// The digits that follow some place, or nothing.
fn digits(random: &mut Random, text: &str) -> Range<usize> {
    let from = text.floor_char_boundary(random.below(text.len()));
    let start = text[from..].find(|c: char| c.is_ascii_digit()).map_or(text.len(), |length| from + length);
    let end = text[start..].find(|c: char| !c.is_ascii_digit()).map_or(text.len(), |length| start + length);
    start..end
}

fn flip_byte(random: &mut Random, text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let at = random.below(bytes.len());
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << random.below(8);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn swap_tokens(random: &mut Random, text: &str) -> String {
    let (mut first, mut second) = (token(random, text), token(random, text));
    if second.start < first.start {
        std::mem::swap(&mut first, &mut second);
    }
    if first.end > second.start {
        return text.to_owned();
    }
    let between = &text[first.end..second.start];
    [&text[..first.start], &text[second.clone()], between, &text[first], &text[second.end..]].concat()
}

fn shuffle_lines(random: &mut Random, text: &str) -> String {
    let mut lines: Vec<&str> = text.split('\n').collect();
    for _ in 0..=random.below(4) {
        let (a, b) = (random.below(lines.len()), random.below(lines.len()));
        lines.swap(a, b);
    }
    lines.join("\n")
}

fn replace(text: &str, range: Range<usize>, with: &str) -> String {
    [&text[..range.start], with, &text[range.end..]].concat()
}

/// One change of a text.
fn mutate(random: &mut Random, text: &str, seeds: &[String]) -> String {
    match random.below(10) {
        0 => flip_byte(random, text),
        1 => replace(text, token(random, text), ""),
        2 => {
            let token = token(random, text);
            replace(text, token.end..token.end, &text[token])
        }
        3 => swap_tokens(random, text),
        4 => shuffle_lines(random, text),
        5 => replace(text, digits(random, text), NUMBERS[random.below(NUMBERS.len())]),
        6 => text[..text.floor_char_boundary(random.below(text.len()))].to_owned(),
        7 => {
            let other = random.pick(seeds);
            let piece = range(random, other, 2000);
            replace(text, range(random, text, 200), &other[piece])
        }
        8 => {
            let at = range(random, text, 1);
            replace(text, at, PIECES[random.below(PIECES.len())])
        }
        _ => {
            let piece = range(random, text, 300);
            let copies = text[piece.clone()].repeat(1 + random.below(40));
            replace(text, piece, &copies)
        }
    }
}

/// A seed with some changes; short seeds come more often, for they run faster.
fn input(random: &mut Random, seeds: &[String]) -> String {
    let (a, b) = (random.pick(seeds), random.pick(seeds));
    let mut text = if a.len() < b.len() { a.clone() } else { b.clone() };
    for _ in 0..=random.below(3) {
        text = mutate(random, &text, seeds);
        text.truncate(text.floor_char_boundary(TEXT_LIMIT));
    }
    text
}

/// The most memory that the process ever held, in KiB.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux reports VmHWM");
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Ends the process where the count of texts stands still: a hang gives no other sign.
fn watch(count: Arc<AtomicU64>) {
    std::thread::spawn(move || {
        let (mut last, mut still) = (0, 0);
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let now = count.load(Ordering::Relaxed);
            still = if now == last { still + 1 } else { 0 };
            last = now;
            if still == HANG_SECONDS {
                eprintln!("text {now} has had no answer for {HANG_SECONDS} seconds");
                std::process::abort();
            }
        }
    });
}

/// Asserts that the target answers within the limit. Another process may delay it: only three slow runs count.
fn try_text(text: &str, device: &mut (Machine, u32)) {
    let mut quick = || {
        let start = Instant::now();
        target(text, device);
        start.elapsed() <= TIME_LIMIT
    };
    assert!((0..3).any(|_| quick()), "slower than {TIME_LIMIT:?}");
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect("a whole number"))
}

#[test]
fn mutated_texts_neither_panic_nor_hang_nor_take_much_memory() {
    let (seconds, seed) = (setting("SOFTCUDA_FUZZ_SECONDS", 3), setting("SOFTCUDA_FUZZ_SEED", 1));
    let seeds = seeds();
    let count = Arc::new(AtomicU64::new(0));
    watch(count.clone());
    let (end, memory) = (Instant::now() + Duration::from_secs(seconds), peak_memory());
    let (mut accepted, mut device) = (0_u64, new_device());
    while Instant::now() < end {
        let iteration = count.fetch_add(1, Ordering::Relaxed);
        let text = input(&mut Random(seed ^ iteration.wrapping_mul(0xD605_1F4B_35C2_9EAF)), &seeds);
        let outcome = catch_unwind(AssertUnwindSafe(|| try_text(&text, &mut device)));
        let grown = peak_memory() - memory;
        if outcome.is_err() || grown > MEMORY_LIMIT {
            let kept = std::env::temp_dir().join(format!("softcuda_fuzz_{seed}_{iteration}.ptx"));
            std::fs::write(&kept, &text).unwrap();
            panic!("seed {seed}, text {iteration}, memory grown by {grown} KiB: see {}", kept.display());
        }
        accepted += u64::from(parse(&text).is_ok());
    }
    let tried = count.load(Ordering::Relaxed);
    println!("seed {seed}: {tried} texts, {accepted} of them valid, {} KiB more memory", peak_memory() - memory);
    assert!(accepted > 0 && accepted < tried, "the mutations are too strong or too weak: {accepted} of {tried} valid");
}

#[test]
fn every_seed_by_hand_is_valid() {
    for text in BY_HAND {
        assert_eq!(parse(text).err(), None);
    }
}
