//! Branches, calls, special registers, and what the decoder refuses.

use super::harness::{EDGES, Shape, exact, operands};
use crate::device::Device;
use softcuda::machine::Machine;
use softcuda::program::{LoadError, Program};
use softcuda::settings::Settings;

const ONE: Shape = Shape { from: &[32], to: 32 };

#[test]
fn loops_of_differing_length_meet_again() {
    let body = "and.b32 %s0, %a, 63;\nmov.b32 %d, 0;\nAGAIN:\nsetp.eq.u32 %p, %s0, 0;\n@%p bra OUT;\nadd.u32 %d, %d, %s0;\n\
                sub.u32 %s0, %s0, 1;\nbra AGAIN;\nOUT:\nactivemask.b32 %s1;\npopc.b32 %s1, %s1;\nshl.b32 %s1, %s1, 16;\nor.b32 %d, %d, %s1;";
    let inputs = &operands(&EDGES, 1)[..1024];
    exact(body, ONE, inputs, |[a, ..]| (a & 63) * ((a & 63) + 1) / 2 | 32 << 16);
}

#[test]
fn a_table_of_branches_is_followed_lane_by_lane() {
    let body = "and.b32 %s0, %a, 3;\nTABLE: .branchtargets T0, T1, T2, T3;\nbrx.idx %s0, TABLE;\nT0: mov.b32 %d, 10;\nbra OUT;\n\
                T1: mov.b32 %d, 21;\nbra OUT;\nT2: mov.b32 %d, 32;\nbra OUT;\nT3: mov.b32 %d, 43;\nOUT:\n";
    exact(body, ONE, &operands(&EDGES, 1), |[a, ..]| 10 + 11 * (a & 3));
}

#[test]
fn special_registers_tell_the_place() {
    let places: Vec<[u64; 4]> = (0..200).map(|index| [index, 0, 0, 0]).collect();
    let own = |text: &str| format!("mov.u32 %d, {text};");
    exact(&own("%tid.x"), ONE, &places, |[i, ..]| i % 64);
    exact(&own("%ctaid.x"), ONE, &places, |[i, ..]| i / 64);
    exact(&own("%laneid"), ONE, &places, |[i, ..]| i % 32);
    exact(&own("%warpid"), ONE, &places, |[i, ..]| i % 64 / 32);
    exact(&own("%ntid.x"), ONE, &places, |_| 64);
    exact(&own("%nctaid.x"), ONE, &places, |_| 4);
    exact(&own("%lanemask_lt"), ONE, &places, |[i, ..]| (1 << (i % 32)) - 1);
    exact(&own("%lanemask_ge"), ONE, &places, |[i, ..]| !((1 << (i % 32)) - 1));
}

#[test]
fn what_the_decoder_does_not_know_is_an_error_with_its_place() {
    let machine = Machine::new(Settings::default()).unwrap();
    for (line, what) in [
        ("frobnicate.b32 %r0, %r1;", "does not know"),
        ("add.s33 %r0, %r1, %r2;", ""),
        ("add.s32.turbo %r0, %r1, %r2;", "turbo"),
        ("add.s32 %r0, %r1;", "operands"),
        ("add.s32 %r0, %r1, %rd0;", "bits of its type"),
        ("add.f64 %rd0, %r1, %rd0;", "bits of its type"),
        ("bra NOWHERE;", "NOWHERE"),
        ("mov.u64 %rd0, nothing;", "nothing"),
        ("call missing;", "missing"),
        ("ld.global.v4.f32 {%r0, %r1}, [%rd0];", "vector of 4"),
        ("cp.async.ca.shared.global [%rd0], [%rd0], 5;", "4, 8 or 16"),
        ("mma.sync.aligned.m3n3k3.row.col.f32.f16.f16.f32 {%r0}, {%r0}, {%r0}, {%r0};", "shape"),
    ] {
        let text = format!(
            ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k()\n{{\n.reg .b32 %r<4>;\n.reg .b64 %rd<2>;\n  {line}\nret;\n}}\n"
        );
        let error = Program::load(&machine, &text).unwrap_err();
        let LoadError::Ptx(error) = error else { panic!("{line}: {error}") };
        assert_eq!((error.position.line, error.position.column > 2), (8, true), "{line}: {error}");
        assert!(error.to_string().contains(what), "{line}: {error}");
    }
}

#[test]
fn an_empty_program_has_no_kernels() {
    let device = Device::new(Settings::default(), ".version 8.0\n.target sm_80\n.address_size 64\n");
    assert!(device.program.kernels().is_empty() && device.program.kernel("k").is_none());
}
