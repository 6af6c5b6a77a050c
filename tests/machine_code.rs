//! The machine code of the last step of the staircase in f32, as 4096^3 takes it: what its main loop is made of, and how many of its
//! blocks a multiprocessor holds.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod emulated;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use latent::backend::cuda::compile::OPTIONS;
use latent::backend::cuda::gemm::Size;
use latent::backend::cuda::sources;
use latent::lab::staircase::{Step, StepLaunch};
use nvrtc::Program;

const SIZE: Size = Size { m: 4096, n: 4096, k: 4096 };

/// What a multiprocessor of an architecture has: shared memory, in KiB. All have 64 Ki registers.
const MULTIPROCESSORS: [(u32, u32); 2] = [(80, 164), (90, 228)];
const REGISTERS: u32 = 64 * 1024;

/// Bytes of shared memory that every block takes beside its own.
const RESERVED: u32 = 1024;

fn compile(launch: &StepLaunch, architecture: u32) -> Program {
    let mut options: Vec<String> = OPTIONS.iter().map(ToString::to_string).collect();
    options.extend([format!("--gpu-architecture=sm_{architecture}"), "--ptxas-options=-v".to_owned()]);
    options.extend(launch.source.defines.iter().map(|define| format!("-D{define}")));
    let (nvrtc, file) = (nvrtc::Nvrtc::find().unwrap(), launch.source.file);
    nvrtc.compile_with_headers(sources::text(file).unwrap(), file, &sources::headers(), &options).unwrap()
}

/// The number before some words of the compiler's log.
fn number_before(log: &str, words: &str) -> u32 {
    let (before, _) = log.split_once(words).unwrap_or_else(|| panic!("no {words:?} in {log}"));
    before.split_whitespace().last().unwrap().parse().unwrap()
}

#[test]
fn two_blocks_share_a_multiprocessor_and_nothing_is_spilled() {
    if !emulated::has_compiler() {
        return;
    }
    let launch = Step::SplitK.launch(SIZE);
    for (architecture, kibibytes) in MULTIPROCESSORS {
        let program = compile(&launch, architecture);
        let log = program.log();
        assert!(log.contains(" 0 bytes spill stores, 0 bytes spill loads"), "sm_{architecture}: {log}");
        let (registers, shared) = (number_before(log, " registers"), number_before(log, " bytes smem"));
        // A warp's registers are allotted by 256, 8 a lane.
        let by_registers = REGISTERS / (registers.next_multiple_of(8) * launch.block);
        let by_shared = 1024 * kibibytes / (shared + RESERVED);
        println!(
            "sm_{architecture}: {registers} registers, {shared} bytes of shared memory: {by_registers} and {by_shared} blocks of \
             {} threads",
            launch.block
        );
        let blocks = by_registers.min(by_shared);
        assert!(blocks >= 2 || blocks * launch.block / 32 >= 16, "sm_{architecture}: {log}");
    }
}

/// A line of code, as nvdisasm lists it.
#[derive(Debug, PartialEq)]
enum Line<'a> {
    Label(&'a str),
    Instruction(&'a str),
}

/// The labels and the instructions of a listing.
fn lines(listing: &str) -> Vec<Line<'_>> {
    let of_line = |line| {
        let line: &str = str::trim(line);
        if let Some(label) = line.strip_suffix(':').filter(|label| label.starts_with(".L_")) {
            return Some(Line::Label(label));
        }
        // The address, in hexadecimal, then the instruction and a semicolon.
        let (address, instruction) = line.strip_prefix("/*")?.split_once("*/")?;
        let is_address = address.chars().all(|digit| digit.is_ascii_hexdigit());
        let (instruction, _) = instruction.split_once(';')?;
        is_address.then_some(Line::Instruction(instruction.trim()))
    };
    listing.lines().filter_map(of_line).collect()
}

/// The instructions of each loop without a loop in it: from a label to a branch back to it.
fn innermost_loops<'a>(lines: &[Line<'a>]) -> Vec<Vec<&'a str>> {
    let start_of = |end: usize| match lines[end] {
        Line::Instruction(branch) if branch.contains("BRA") => {
            let (_, target) = branch.split_once("`(")?;
            let target = target.split(')').next()?;
            lines[..end].iter().position(|line| *line == Line::Label(target))
        }
        _ => None,
    };
    let loops: Vec<(usize, usize)> =
        (0..lines.len()).filter_map(|end| start_of(end).map(|start| (start, end))).collect();
    let holds =
        |outer: &(usize, usize), inner: &(usize, usize)| outer != inner && outer.0 <= inner.0 && inner.1 <= outer.1;
    let innermost = loops.iter().filter(|outer| !loops.iter().any(|inner| holds(outer, inner)));
    let instruction = |line: &Line<'a>| match line {
        Line::Instruction(text) => Some(*text),
        Line::Label(_) => None,
    };
    innermost.map(|(start, end)| lines[*start..=*end].iter().filter_map(instruction).collect()).collect()
}

/// Multiply-adds among instructions, a guard before them or not.
fn multiply_adds(instructions: &[&str]) -> usize {
    let is_one = |text: &&&str| {
        text.split_whitespace().find(|word| !word.starts_with('@')).is_some_and(|op| op.starts_with("FFMA"))
    };
    instructions.iter().filter(is_one).count()
}

/// The disassembler: $LATENT_NVDISASM, or what `./data-fetch.sh nvdisasm` brought; a line on standard output where there is none.
fn disassembler() -> Option<PathBuf> {
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/nvdisasm/nvdisasm");
    let path = std::env::var_os("LATENT_NVDISASM").map_or(fetched, PathBuf::from);
    let exists = path.is_file();
    if !exists {
        println!("skipped: {} does not exist (./data-fetch.sh nvdisasm brings it)", path.display());
    }
    exists.then_some(path)
}

#[test]
fn a_listing_is_taken_apart() {
    let listing = "
.text.gemm:
        /*0000*/                   MOV R1, c[0x0][0x28] ;
.L_x_0:
        /*0010*/                   FADD R2, R2, R3 ;
.L_x_1:
        /*0020*/              @!P0 FFMA R4, R5, R6, R4 ;
        /*0030*/                   LDS R5, [R7] ;
        /*0040*/               @P1 BRA `(.L_x_1) ;
        /*0050*/               @P2 BRA `(.L_x_0) ;
        /*0060*/                   BRA `(.L_x_2) ;
.L_x_2:
        /*0070*/                   EXIT ;
";
    let lines = lines(listing);
    assert_eq!(lines[..2], [Line::Instruction("MOV R1, c[0x0][0x28]"), Line::Label(".L_x_0")]);
    assert_eq!(lines.len(), 11);
    let loops = innermost_loops(&lines);
    assert_eq!(loops, [["@!P0 FFMA R4, R5, R6, R4", "LDS R5, [R7]", "@P1 BRA `(.L_x_1)"]]);
    assert_eq!(multiply_adds(&loops[0]), 1);
}

#[test]
fn the_main_loop_is_multiply_adds_for_the_most_part() {
    let (true, Some(disassembler)) = (emulated::has_compiler(), disassembler()) else { return };
    let folder = tempfile::tempdir().unwrap();
    for (architecture, _) in MULTIPROCESSORS {
        let program = compile(&Step::SplitK.launch(SIZE), architecture);
        let path = folder.path().join(format!("sm_{architecture}.cubin"));
        fs::write(&path, program.cubin().unwrap()).unwrap();
        let output = Command::new(&disassembler).arg("-c").arg(&path).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let listing = String::from_utf8(output.stdout).unwrap();
        let loops = innermost_loops(&lines(&listing));
        let main = loops.iter().max_by_key(|instructions| multiply_adds(instructions)).unwrap();
        let share = multiply_adds(main) as f64 / main.len() as f64;
        println!(
            "sm_{architecture}: {} of the main loop's {} instructions are FFMA, {:.1} %",
            multiply_adds(main),
            main.len(),
            100.0 * share
        );
        assert!(share >= 0.85, "sm_{architecture}: {main:#?}");
    }
}
