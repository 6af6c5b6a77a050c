//! What known kernels execute and move is what is counted.

#![allow(clippy::unwrap_used, reason = "a failure of the test's own helpers is a failure of the test")]

mod device;

use device::Argument::{Floats, Int, Zeros};
use device::{Device, integers, order};
use softcuda::counts::{AccessKind, LaunchCounts, Traffic};
use softcuda::settings::Settings;
use std::sync::Arc;

/// Counts of one launch of the only kernel of `ptx`, of one block of 32 threads.
fn counts_of(body: &str) -> Arc<LaunchCounts> {
    let text = format!(
        ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k(.param .u64 data)\n{{\n.reg .b32 %r<9>;\n.reg .b64 %rd<9>;\n\
         .reg .pred %p<3>;\n.reg .f32 %f<2>;\n.shared .align 16 .b8 tile[8192];\nld.param.u64 %rd0, [data];\nmov.u32 %r0, %tid.x;\nmov.u64 %rd1, tile;\n{body}\nret;\n}}\n"
    );
    let device = Device::new(Settings::default(), &text);
    device.launch("k", [1, 1, 1], [32, 1, 1], device.parameters(&[Zeros(8192)]), order(0, 0)).unwrap();
    device.machine.counts.launches()[0].clone()
}

#[test]
fn a_product_has_two_operations_for_each_multiplication() {
    let (m, n, k) = (48, 32, 20);
    let device = Device::new(Settings::default(), include_str!("ptx/sgemm_naive.sm_80.ptx"));
    let sizes = [Int(m), Int(n), Int(k)];
    let operands =
        [Floats(integers(1, (m * k) as usize)), Floats(integers(2, (k * n) as usize)), Zeros((m * n) as usize)];
    let parameters = device.parameters(&[&operands[..], &sizes].concat());
    device.launch("sgemm_naive", [2, 3, 1], [16, 16, 1], parameters, order(0, 0)).unwrap();
    let counts = device.machine.counts.launches()[0].clone();
    assert_eq!((counts.flops, counts.fmas), (2 * (m * n * k) as u64, (m * n * k) as u64));
    assert_eq!((counts.grid, counts.block, counts.launches), ([2, 3, 1], [16, 16, 1], 1));
    assert_eq!(counts.global_stores.bytes, 4 * (m * n) as u64);
    assert_eq!(counts.global_loads.bytes, 8 * (m * n * k) as u64);
}

#[test]
fn sectors_follow_from_the_stride() {
    for (stride, sectors) in [(0, 1), (4, 4), (8, 8), (32, 32), (128, 32)] {
        let counts = counts_of(&format!(
            "mul.wide.u32 %rd2, %r0, {stride};\nadd.u64 %rd2, %rd0, %rd2;\nld.global.u32 %r1, [%rd2];"
        ));
        assert_eq!(counts.global_loads.transactions, sectors, "stride {stride}");
        assert_eq!((counts.global_loads.requests, counts.global_loads.bytes), (1, 128));
        assert_eq!(counts.bytes_moved(), 32 * sectors);
    }
    let counts = counts_of(
        "mul.wide.u32 %rd2, %r0, 16;\nadd.u64 %rd2, %rd0, %rd2;\nst.global.v4.u32 [%rd2], {%r0, %r0, %r0, %r0};",
    );
    assert_eq!((counts.global_stores.transactions, counts.global_stores.bytes), (16, 512));
}

#[test]
fn wavefronts_follow_from_bank_conflicts() {
    for (stride, wavefronts) in [(0, 1), (4, 1), (8, 2), (12, 1), (16, 4), (64, 16), (128, 32), (132, 1)] {
        let counts = counts_of(&format!(
            "mul.wide.u32 %rd2, %r0, {stride};\nadd.u64 %rd2, %rd1, %rd2;\nst.shared.u32 [%rd2], %r0;"
        ));
        assert_eq!(counts.shared_stores.transactions, wavefronts, "stride {stride}");
    }
    let wide = "mul.wide.u32 %rd2, %r0, 16;\nadd.u64 %rd2, %rd1, %rd2;\nld.shared.v4.u32 {%r1, %r2, %r3, %r4}, [%rd2];";
    assert_eq!(counts_of(wide).shared_loads.transactions, 4);
}

#[test]
fn lanes_that_a_branch_leaves_out_are_not_active() {
    let all = counts_of("add.u32 %r1, %r0, 1;\nadd.u32 %r1, %r0, 1;");
    let few =
        counts_of("setp.lt.u32 %p0, %r0, 8;\n@%p0 add.u32 %r1, %r0, 1;\n@!%p0 bra OUT;\nadd.u32 %r1, %r0, 1;\nOUT:");
    assert!((all.active_lanes() - 32.0).abs() < 1e-9);
    assert_eq!(few.classes["integer"], 16, "eight lanes add twice");
    assert!(few.active_lanes() < 32.0);
    assert_eq!(counts_of("bar.sync 0;\nbar.sync 0;").barriers, 2);
}

#[test]
fn fused_multiply_adds_are_told_from_other_arithmetic() {
    let counts = counts_of(
        "mov.f32 %f0, 0f3F800000;\nfma.rn.f32 %f1, %f0, %f0, %f0;\nsetp.lt.u32 %p0, %r0, 8;\n\
         @%p0 fma.rn.f32 %f1, %f0, %f1, %f0;\nmul.f32 %f1, %f0, %f1;\nadd.f32 %f1, %f0, %f1;",
    );
    assert_eq!((counts.fmas, counts.flops), (32 + 8, 2 * (32 + 8) + 32 + 32));
    assert!((counts.fma_share() - 40.0 / counts.lane_instructions as f64).abs() < 1e-12);
    assert!(counts.to_string().contains(" FMA 40 ("), "{counts}");
}

#[test]
fn every_kind_of_product_counts_the_same_operations() {
    let cases = [
        (include_str!("ptx/sgemm_tiled.sm_80.ptx"), "sgemm_tiled", 32, [32, 32, 1]),
        (include_str!("ptx/sgemm_blocked.sm_80.ptx"), "sgemm_blocked", 128, [256, 1, 1]),
        (include_str!("ptx/gemm_cp_async.sm_80.ptx"), "gemm_cp_async", 64, [256, 1, 1]),
        (include_str!("ptx/gemm_tf32.sm_80.ptx"), "gemm_tf32", 32, [128, 1, 1]),
        (include_str!("ptx/gemm_bf16.sm_80.ptx"), "gemm_bf16", 32, [128, 1, 1]),
    ];
    let (m, n, k) = (128, 256, 64);
    for (ptx, kernel, tile, block) in cases {
        let device = Device::new(Settings::default(), ptx);
        let operands = [Zeros(m * k), Zeros(k * n), Zeros(m * n), Int(m as i32), Int(n as i32), Int(k as i32)];
        let grid = [n as u32 / tile, m as u32 / tile, 1];
        device.launch(kernel, grid, block, device.parameters(&operands), order(0, 0)).unwrap();
        assert_eq!(device.machine.counts.launches()[0].flops, 2 * (m * n * k) as u64, "{kernel}");
    }
}

#[test]
fn each_warp_counts_each_barrier_that_it_waits_at() {
    let device = Device::new(Settings::default(), include_str!("ptx/sgemm_tiled.sm_80.ptx"));
    let side = 64;
    let operands = [Zeros(side * side), Zeros(side * side), Zeros(side * side), Int(64), Int(64), Int(64)];
    device.launch("sgemm_tiled", [2, 2, 1], [32, 32, 1], device.parameters(&operands), order(0, 0)).unwrap();
    let (blocks, warps, tiles, barriers_of_a_tile) = (4, 32, 2, 2);
    assert_eq!(device.machine.counts.launches()[0].barriers, blocks * warps * tiles * barriers_of_a_tile);
}

#[test]
fn conflicts_are_the_wavefronts_that_lanes_cost_each_other() {
    let store = |stride: u32| {
        let body = format!("mul.wide.u32 %rd2, %r0, {stride};\nadd.u64 %rd2, %rd1, %rd2;\nst.shared.u32 [%rd2], %r0;");
        counts_of(&body).bank_conflicts()
    };
    assert_eq!([0, 4, 8, 128, 132].map(store), [0, 0, 1, 31, 0]);
    let wide = "mul.wide.u32 %rd2, %r0, 16;\nadd.u64 %rd2, %rd1, %rd2;\nld.shared.v4.u32 {%r1, %r2, %r3, %r4}, [%rd2];";
    assert_eq!(counts_of(wide).bank_conflicts(), 0, "512 bytes take four wavefronts");
    let pairs =
        "and.b32 %r1, %r0, 1;\nmul.wide.u32 %rd2, %r1, 128;\nadd.u64 %rd2, %rd1, %rd2;\nld.shared.u32 %r2, [%rd2];";
    assert_eq!(counts_of(pairs).bank_conflicts(), 1, "two words of one bank, each wanted by half of the lanes");
}

#[test]
fn the_least_sectors_are_those_that_distinct_bytes_fill() {
    for (stride, least) in [(0, 1), (4, 4), (8, 4), (128, 4)] {
        let counts = counts_of(&format!(
            "mul.wide.u32 %rd2, %r0, {stride};\nadd.u64 %rd2, %rd0, %rd2;\nld.global.u32 %r1, [%rd2];"
        ));
        assert_eq!(counts.global_loads.least, least, "stride {stride}");
    }
}

#[test]
fn what_cp_async_writes_is_counted_as_stores_to_shared_memory() {
    let copy = |stride: u32| {
        counts_of(&format!(
            "mul.wide.u32 %rd2, %r0, 16;\nadd.u64 %rd2, %rd0, %rd2;\nmul.wide.u32 %rd3, %r0, {stride};\n\
             add.u64 %rd3, %rd1, %rd3;\ncp.async.cg.shared.global [%rd3], [%rd2], 16;\ncp.async.wait_all;"
        ))
    };
    let counts = copy(16);
    assert_eq!((counts.global_loads.bytes, counts.global_loads.transactions), (512, 16));
    let stores = counts.shared_stores;
    assert_eq!((stores.requests, stores.bytes, stores.transactions, stores.least), (1, 512, 4, 4));
    assert_eq!(copy(128).bank_conflicts(), 28, "all lanes meet in four banks");
}

#[test]
fn branches_at_which_lanes_part_are_told_from_others() {
    let counts = counts_of("setp.lt.u32 %p0, %r0, 8;\n@%p0 bra OUT;\nadd.u32 %r1, %r0, 1;\nOUT:");
    assert_eq!((counts.branches, counts.divergent_branches), (1, 1));
    let counts = counts_of("setp.lt.u32 %p0, %r0, 32;\n@%p0 bra OUT;\nadd.u32 %r1, %r0, 1;\nOUT:");
    assert_eq!((counts.branches, counts.divergent_branches), (1, 0));
}

#[test]
fn accesses_by_line_make_up_the_sums() {
    let cases = [
        (include_str!("ptx/sgemm_tiled.sm_80.ptx"), "sgemm_tiled", 32, [32, 32, 1]),
        (include_str!("ptx/gemm_cp_async.sm_80.ptx"), "gemm_cp_async", 64, [256, 1, 1]),
    ];
    for (ptx, kernel, tile, block) in cases {
        let device = Device::new(Settings { threads: 2, ..Settings::default() }, ptx);
        let (m, n, k) = (64, 128, 64);
        let operands = [Zeros(m * k), Zeros(k * n), Zeros(m * n), Int(m as i32), Int(n as i32), Int(k as i32)];
        let grid = [n as u32 / tile, m as u32 / tile, 1];
        device.launch(kernel, grid, block, device.parameters(&operands), order(0, 0)).unwrap();
        let counts = device.machine.counts.launches()[0].clone();
        let sums = [
            (AccessKind::GlobalLoad, counts.global_loads),
            (AccessKind::GlobalStore, counts.global_stores),
            (AccessKind::SharedLoad, counts.shared_loads),
            (AccessKind::SharedStore, counts.shared_stores),
        ];
        for (kind, sum) in sums {
            let mut of_lines = Traffic::default();
            let lines = counts.accesses.iter().filter(|access| access.kind == kind);
            lines.for_each(|access| of_lines.add(&access.traffic));
            assert_eq!(of_lines, sum, "{kernel} {kind:?}");
            assert!(counts.widest(kind).is_some_and(|access| access.line > 0 && !access.file.is_empty()), "{kernel}");
        }
        assert!(counts.accesses.is_sorted_by_key(|access| (access.file.clone(), access.line, access.kind)));
    }
}
