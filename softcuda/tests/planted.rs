//! For each check a planted bug that it catches, at the right line, and the repaired twin that passes without a report.
//! The kernels stand in `kernels/planted.cu`; here they run from their snapshot, without a driver.

#![allow(clippy::unwrap_used, reason = "a failure of the test's own helpers is a failure of the test")]

mod device;

use device::Argument::{self, Floats, Freed, Int, Unwritten, Zeros};
use device::{Device, order};
use softcuda::check::global::Order;
use softcuda::check::{Check, Report};
use softcuda::exec::Fault;
use softcuda::memory::Kind;
use softcuda::settings::{Checks, Settings};
use std::collections::BTreeMap;
use std::sync::Arc;

const SOURCE: &str = include_str!("kernels/planted.cu");
const PTX: &str = include_str!("ptx/planted.sm_80.ptx");

/// The line of the kernels' source that ends in the comment `label`.
fn line_of(label: &str) -> u32 {
    let at = SOURCE.lines().position(|line| line.ends_with(&format!("// {label}")));
    at.unwrap_or_else(|| panic!("no line ends in '// {label}'")) as u32 + 1
}

/// The planted kernels on a device with all checks.
fn checked(threads: usize) -> Device {
    device_with(Settings { checks: Checks::ALL, threads, ..Settings::default() })
}

fn device_with(settings: Settings) -> Device {
    Device::new(settings, PTX)
}

/// The bug is caught at its line, each time and with any number of threads; the twin passes without a report.
#[track_caller]
fn caught(name: &str, check: Check, fault: Option<Fault>, blocks: u32, threads: u32, arguments: &[Argument]) -> Report {
    let mut caught = None;
    for workers in [1, 2, 3, 8] {
        let (result, reports) = checked(workers).run(name, blocks, threads, arguments);
        assert_eq!(result.err(), fault, "{name}: {reports:#?}");
        let bug = line_of(&format!("bug: {name}"));
        let at_bug =
            |report: &&Report| report.line == bug || report.other.as_ref().is_some_and(|other| other.line == bug);
        let found = reports.iter().filter(|report| report.check == check).find(at_bug);
        let report = found.unwrap_or_else(|| panic!("{name} with {workers} threads: {reports:#?}"));
        assert_eq!((report.kernel.as_str(), report.file.as_deref()), (name, Some("softcuda/tests/kernels/planted.cu")));
        assert!(!report.instruction.is_empty() && !report.message.is_empty(), "{report:#?}");
        if matches!(check, Check::SharedRace | Check::GlobalRace | Check::Async) {
            assert!(report.other.is_some(), "{report:#?}");
        }
        caught = Some(report.clone());
    }
    let twin = format!("{name}_fixed");
    if SOURCE.contains(&format!("void {twin}(")) {
        let (result, reports) = checked(2).run(&twin, blocks, threads, arguments);
        assert_eq!((result, reports), (Ok(()), Vec::new()), "{twin}");
    }
    caught.unwrap()
}

/// Both lines of a race: which access came second depends on the order in which warps and blocks run.
#[track_caller]
fn between(report: &Report, name: &str) {
    let mut lines = [report.line, report.other.as_ref().unwrap().line];
    let mut expected = [line_of(&format!("bug: {name}")), line_of(&format!("other: {name}"))];
    lines.sort_unstable();
    expected.sort_unstable();
    assert_eq!(lines, expected, "{report:#?}");
}

#[test]
fn stray_accesses_of_every_space_are_caught_and_fail_the_launch() {
    let fault = Some(Fault::IllegalAddress);
    let report = caught("bounds_global", Check::OutOfBounds, fault, 2, 64, &[Zeros(100), Int(100)]);
    assert_eq!((report.block, report.thread), ([1, 0, 0], [36, 0, 0]));
    assert!(
        report.message.contains("0 bytes behind the end of allocation") && report.message.contains("400 bytes"),
        "{report}"
    );
    let report = caught("bounds_shared", Check::OutOfBounds, fault, 1, 32, &[Zeros(32), Int(3)]);
    assert_eq!((report.thread, report.address), ([29, 0, 0], 128));
    caught("bounds_local", Check::OutOfBounds, fault, 1, 32, &[Zeros(32), Int(1 << 20)]);
    caught("bounds_const", Check::OutOfBounds, fault, 1, 4, &[Zeros(32), Int(2)]);
}

#[test]
fn misaligned_accesses_of_every_space_are_caught_and_fail_the_launch() {
    let fault = Some(Fault::MisalignedAddress);
    for name in ["misaligned_global", "misaligned_shared", "misaligned_local"] {
        caught(name, Check::Misaligned, fault, 1, 1, &[Zeros(32), Int(6)]);
    }
}

#[test]
fn freed_memory_is_told_from_memory_that_never_was() {
    let report = caught("freed", Check::UseAfterFree, Some(Fault::IllegalAddress), 1, 1, &[Zeros(4), Freed]);
    assert!(report.message.contains("of freed allocation"), "{report}");
    let (result, reports) = checked(1).run("freed", 1, 1, &[Zeros(4), Zeros(4)]);
    assert_eq!((result, reports), (Ok(()), Vec::new()));
}

#[test]
fn a_second_free_and_a_free_of_nothing_are_caught() {
    let device = checked(1);
    let address = device.machine.allocate(16, Kind::Device).unwrap();
    device.machine.free(address).unwrap();
    device.machine.free(address).unwrap_err();
    device.machine.free(address + 4).unwrap_err();
    let checks: Vec<Check> = device.machine.reporter.take().iter().map(|report| report.check).collect();
    assert!(checks.contains(&Check::DoubleFree) && checks.contains(&Check::InvalidFree), "{checks:?}");
}

#[test]
fn reads_of_memory_that_nothing_wrote_are_reported_and_the_kernel_goes_on() {
    caught("unwritten_global", Check::Uninitialised, None, 1, 1, &[Zeros(4), Unwritten(2, 1)]);
    let report = caught("unwritten_shared", Check::Uninitialised, None, 1, 32, &[Zeros(32), Int(7)]);
    assert_eq!(report.thread, [7, 0, 0]);
    caught("unwritten_local", Check::Uninitialised, None, 1, 1, &[Zeros(4), Int(3)]);
}

#[test]
fn races_in_shared_memory_are_caught_with_both_lines() {
    for name in ["read_after_write", "write_after_read"] {
        between(&caught(name, Check::SharedRace, None, 1, 64, &[Zeros(64)]), name);
    }
    caught("write_after_write", Check::SharedRace, None, 1, 64, &[Zeros(64)]);
    between(&caught("warp_race", Check::SharedRace, None, 1, 32, &[Zeros(32)]), "warp_race");
}

#[test]
fn a_tiled_product_without_either_barrier_is_caught_every_time() {
    for workers in [1, 2, 3, 8] {
        for repetition in 0..5 {
            for (name, races) in [("tiled_without_first", true), ("tiled_without_second", true), ("tiled_fixed", false)]
            {
                let device = checked(workers);
                let operands = [Zeros(48 * 48), Zeros(48 * 48), Unwritten(48 * 48, 0), Int(48)];
                device.launch(name, [3, 3, 1], [16, 16, 1], device.parameters(&operands), order(0, 1)).unwrap();
                let reports = device.machine.reporter.take();
                let caught = reports.iter().any(|report| report.check == Check::SharedRace);
                assert_eq!(caught, races, "{name}, {workers} threads, repetition {repetition}: {reports:#?}");
                assert_eq!(reports.is_empty(), !races);
            }
        }
    }
}

#[test]
fn races_between_blocks_are_caught_whichever_runs_first() {
    for _ in 0..10 {
        caught("block_race", Check::GlobalRace, None, 4, 1, &[Zeros(4)]);
    }
    for workers in [1, 2, 8] {
        let (_, reports) = checked(workers).run("block_race_read", 4, 1, &[Zeros(4), Zeros(4)]);
        between(reports.iter().find(|report| report.check == Check::GlobalRace).unwrap(), "block_race_read");
        let twin = checked(workers).run("block_race_read_fixed", 4, 1, &[Zeros(4), Zeros(4)]);
        assert_eq!(twin, (Ok(()), Vec::new()));
    }
}

#[test]
fn the_last_block_needs_a_fence_to_see_what_others_wrote() {
    let arguments = [Zeros(8), Zeros(1), Zeros(1)];
    for workers in [1, 2, 3, 8] {
        let (_, reports) = checked(workers).run("last_block", 8, 1, &arguments);
        let race =
            reports.iter().find(|report| report.check == Check::GlobalRace).unwrap_or_else(|| panic!("{reports:#?}"));
        let other = race.other.as_ref().unwrap();
        assert!([race.line, other.line].contains(&line_of("bug: last_block")), "{race:#?}");
        let twin = checked(workers).run("last_block_fixed", 8, 1, &arguments);
        assert_eq!(twin, (Ok(()), Vec::new()));
    }
}

#[test]
fn streams_that_nothing_orders_race_and_those_that_an_event_orders_do_not() {
    for ordered in [false, true] {
        let device = checked(2);
        let parameters = device.parameters(&[Zeros(32)]);
        let after = |pairs: &[(u32, u64)]| Arc::new(pairs.iter().copied().collect::<BTreeMap<_, _>>());
        let first = Order { after: after(&[(0, 0)]), ..order(1, 0) };
        let second = Order { after: after(if ordered { &[(0, 0), (1, 0)] } else { &[(0, 0)] }), ..order(2, 0) };
        device.launch("stream_write", [1, 1, 1], [32, 1, 1], parameters.clone(), first).unwrap();
        device.launch("stream_write", [1, 1, 1], [32, 1, 1], parameters, second).unwrap();
        let reports = device.machine.reporter.take();
        assert_eq!(reports.is_empty(), ordered, "{reports:#?}");
        assert!(
            reports
                .iter()
                .all(|report| report.check == Check::GlobalRace && report.line == line_of("bug: stream_write"))
        );
    }
}

#[test]
fn barriers_that_not_all_threads_reach_are_reported_and_the_kernel_goes_on() {
    caught("divergent_barrier", Check::Barrier, None, 1, 64, &[Zeros(64)]);
    let report = caught("early_exit", Check::Barrier, None, 1, 64, &[Zeros(64), Int(40)]);
    assert!(report.message.contains("(40, 0, 0)"), "{report}");
}

#[test]
fn a_copy_that_is_read_before_its_wait_is_caught_and_has_not_arrived() {
    caught("early_read", Check::Async, None, 1, 32, &[Zeros(32), Zeros(32)]);
}

#[test]
fn an_endless_kernel_is_stopped_by_the_limit_with_a_report() {
    let device = device_with(Settings { checks: Checks::ALL, limit: Some(100_000), ..Settings::default() });
    let (result, reports) = device.run("endless", 1, 32, &[Zeros(1)]);
    assert_eq!(result, Err(Fault::Limit));
    assert!(
        reports.iter().any(|report| report.check == Check::Limit && report.line == line_of("bug: endless")),
        "{reports:#?}"
    );
}

#[test]
fn a_trap_fails_the_launch_with_a_report() {
    caught("trapped", Check::Trap, Some(Fault::LaunchFailed), 1, 1, &[Zeros(1)]);
}

#[test]
fn a_failed_assertion_fails_the_launch_with_its_text() {
    let settings = Settings { checks: Checks::ALL, ..Settings::default() };
    let device = Device::new(settings, include_str!("ptx/features.sm_80.ptx"));
    let (result, reports) = device.run("assert_positive", 1, 32, &[Floats(vec![-1.0; 32]), Zeros(32)]);
    assert_eq!(result, Err(Fault::Assert));
    let report = reports.iter().find(|report| report.check == Check::Assert).unwrap_or_else(|| panic!("{reports:#?}"));
    assert!(report.message.contains("in[i] >= 0") && report.message.contains("features.cu"), "{report}");
}

#[test]
fn without_checks_nothing_is_reported_and_pages_are_the_bounds_as_on_hardware() {
    let device = device_with(Settings::default());
    for (name, arguments) in [
        ("bounds_global", &[Zeros(100), Int(100)][..]),
        ("read_after_write", &[Zeros(64)]),
        ("block_race", &[Zeros(4)]),
        ("unwritten_local", &[Zeros(4), Int(3)]),
    ] {
        assert_eq!(device.run(name, 2, 64, arguments), (Ok(()), Vec::new()), "{name}");
    }
    let (result, reports) = device.run("bounds_global", 1 << 14, 256, &[Zeros(100), Int(i32::MAX)]);
    assert_eq!((result, reports), (Err(Fault::IllegalAddress), Vec::new()));
}

#[test]
fn a_report_is_one_json_object_on_a_line_with_every_part_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reports.jsonl");
    let settings = Settings { checks: Checks::ALL, report: Some(path.clone()), ..Settings::default() };
    let (result, _) = device_with(settings).run("read_after_write", 1, 64, &[Zeros(64)]);
    result.unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!lines.is_empty());
    for part in ["check", "kernel", "file", "line", "block", "thread", "address", "message", "other"] {
        assert!(lines[0].get(part).is_some_and(|value| !value.is_null()), "{part} is not in {}", lines[0]);
    }
}
