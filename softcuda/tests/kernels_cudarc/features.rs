//! The kernels of `features.cu`, one for each corner of the language.

use crate::launcher::Argument::{self, Int};
use crate::launcher::{Buffers, Element, Structure, Target, data, for_each_target, output, shape};
use crate::{assert_close, integers, widen};
use half::f16;
use std::fmt::Debug;

/// Threads of most launches: two blocks of two warps.
const COUNT: usize = 128;

/// Runs a kernel of `features.cu` and holds its last buffer against `expected`.
#[track_caller]
fn check<T: Element + PartialEq + Debug>(kernel: &str, arguments: impl Fn() -> Vec<Argument>, expected: &[T]) {
    for_each_target("features", |target| {
        let buffers = run(target, kernel, &arguments());
        let last = arguments().iter().filter(|a| matches!(a, Argument::Data(_) | Argument::Output(_))).count() - 1;
        assert_eq!(buffers.get::<T>(last), expected, "{kernel} for sm_{}", target.architecture);
    });
}

fn run(target: &Target, kernel: &str, arguments: &[Argument]) -> Buffers {
    target.run(kernel, shape(2, COUNT as u32 / 2), arguments)
}

/// A value for each thread.
fn each<T>(value: impl Fn(usize) -> T) -> Vec<T> {
    (0..COUNT).map(value).collect()
}

/// Words that differ in all their bits.
fn words(seed: u32) -> Vec<u32> {
    each(|i| (i as u32 + 1).wrapping_mul(2_654_435_761).rotate_left(seed) ^ seed)
}

#[test]
fn constants_have_their_initial_values_or_those_that_the_host_sets() {
    let coefficients = [1.0f32, -0.5, 0.25, -0.125];
    let settable = [3i32, -1, 4, 1, -5, 9, 2, 6];
    let polynomial = |x: f32| coefficients.iter().rev().copied().reduce(|sum, next| sum.mul_add(x, next)).unwrap();
    let expected = each(|i| polynomial(i as f32 * 0.5) + coefficients[i % 4] + settable[i % 8] as f32);
    for_each_target("features", |target| {
        target.set("settable", &settable);
        assert_eq!(run(target, "read_constants", &[output::<f32>(COUNT)]).get::<f32>(0), expected);
    });
}

#[test]
fn variables_of_the_device_outlive_a_launch() {
    for_each_target("features", |target| {
        for launch in 0..2 {
            let mut counted = run(target, "write_globals", &[output::<i32>(COUNT)]).get::<i32>(0);
            counted.sort_unstable();
            let first = 7 + launch * COUNT as i32;
            assert_eq!(counted, (first..first + COUNT as i32).collect::<Vec<_>>());
        }
    });
}

#[test]
fn functions_are_called_by_name_by_pointer_and_by_themselves() {
    let coefficients = [1.0f32, -0.5, 0.25, -0.125];
    let input = integers(1, COUNT);
    let polynomial = |x: f32, terms: usize| (0..terms).map(|i| coefficients[i % 4] * x.powi(i as i32)).sum::<f32>();
    let expected = each(|i| polynomial(input[i], 3 + i % 3));
    check("call_function", || vec![data(&input), output::<f32>(COUNT), Int(3)], &expected);
    let functions = [|x| x * 2.0, |x| x * x, |x: f32| -x];
    let expected = each(|i| functions[i % 3](input[i]));
    check("call_pointers", || vec![data(&input), output::<f32>(COUNT)], &expected);
    let fibonacci = [0u32, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89];
    check("recurse", || vec![output::<u32>(COUNT)], &each(|i| fibonacci[i % 12]));
}

#[test]
fn local_arrays_are_each_threads_own() {
    let input: Vec<i32> = (0..16).flat_map(words).map(|word| word as i32 >> 8).collect();
    let mut expected = input.clone();
    expected.chunks_mut(16).for_each(<[i32]>::sort_unstable);
    check("sort_locally", || vec![data(&input), output::<i32>(input.len())], &expected);
}

#[test]
fn double_precision_follows_the_formula() {
    let input = each(|i| i as f64 * 0.37 - 23.1);
    let formula = |x: f64| {
        x.mul_add(x, 1.0) / (x.abs() + 1.0).sqrt() + x.floor() - x.trunc()
            + f64::from(x as f32)
            + (-x * x).exp()
            + x.sin()
            + (x.abs() + 0.5).powf(0.75)
    };
    let expected: Vec<f64> = input.iter().map(|x| formula(*x)).collect();
    for_each_target("features", |target| {
        let results = run(target, "double_math", &[data(&input), output::<f64>(COUNT)]);
        assert_close(results.get(1), &expected, 1e-13);
    });
}

#[test]
fn single_precision_follows_the_formula_within_the_library_s_bounds() {
    let input: Vec<f32> = each(|i| i as f32 * 0.047 - 2.98);
    let formula = |x: f64| {
        let shifted = x.abs() + 1.0;
        2.0 * (x.sin() + x.cos())
            + shifted.ln()
            + x.tanh()
            + 1.0 / shifted.sqrt()
            + x.round_ties_even()
            + x.trunc()
            + x.ceil()
            + shifted.log2()
            + 1f64.copysign(x)
            + x % 0.75
    };
    let expected: Vec<f64> = input.iter().map(|x| formula(f64::from(*x))).collect();
    for_each_target("features", |target| {
        let results = run(target, "float_math", &[data(&input), output::<f32>(COUNT)]);
        assert_close(widen(results.get(1)), &expected, 3e-6);
    });
}

/// The largest f32 that is not above `x`.
fn down(x: f64) -> f32 {
    let near = x as f32;
    if f64::from(near) > x { near.next_down() } else { near }
}

/// Moves the rounded `value` to where `error`, what it lacks, asks for: the largest f64 not above the exact one.
fn floor(value: f64, error: f64) -> f64 {
    if error < 0.0 { value.next_down() } else { value }
}

#[test]
fn each_rounding_mode_goes_its_way() {
    // Few bits, so that sums and products of f32 are exact as f64.
    let input = each(|i| i as f32 - 63.5);
    let y = 1.1f32;
    let up = |x: f64| -down(-x);
    let zero = |x: f64| if x < 0.0 { up(x) } else { down(x) };
    let wide = f64::from;
    let product = |x: f32| wide(x) * wide(y);
    let single = |x: f32| {
        [
            x * y + y,
            zero(wide(zero(product(x))) + wide(y)),
            up(product(x) + wide(up(wide(x) / 3.0))),
            down(product(x) + wide(down(wide(x.abs()).sqrt()))),
        ]
    };
    let double = |x: f64| {
        let (product, quotient) = (x * 0.1, x / 0.3);
        let error = x.mul_add(0.1, -product);
        let truncated = if x < 0.0 { -floor(-product, -error) } else { floor(product, error) };
        [x + 0.1, truncated, floor(quotient, (-quotient).mul_add(0.3, x))]
    };
    let expected: Vec<f32> = input.iter().flat_map(|x| single(*x)).collect();
    for_each_target("features", |target| {
        let arguments = [data(&input), output::<f32>(4 * COUNT), output::<f64>(4 * COUNT)];
        let results = run(target, "rounding_modes", &arguments);
        assert_eq!(results.get::<f32>(1), expected);
        for (x, actual) in input.iter().zip(results.get::<f64>(2).chunks(4)) {
            let x = wide(*x);
            assert_eq!([actual[0], actual[1], actual[3]], double(x), "{x}");
            let nearest = x.mul_add(0.1, 0.3);
            assert!([nearest, nearest.next_up()].contains(&actual[2]), "{x}: {} for {nearest}", actual[2]);
        }
    });
}

#[test]
fn long_integers_divide_multiply_and_shift() {
    let long = |seed| -> Vec<i64> {
        words(seed).iter().zip(words(seed + 7)).map(|(a, b)| (i64::from(*a) << 32 | i64::from(b)) >> (b % 40)).collect()
    };
    let (a, b) = (long(3), long(5).iter().map(|value| value | 1).collect::<Vec<_>>());
    let formula = |x: i64, y: i64| {
        let (u, v) = (x as u64, y as u64);
        let high = ((i128::from(x) * i128::from(y)) >> 64) as i64;
        let unsigned_high = ((u128::from(u) * u128::from(v)) >> 64) as i64;
        let terms = [x / y, x % y, ((u / v) ^ (u % v)) as i64, high, unsigned_high, x << (v & 63), x >> 5, x.min(y)];
        terms.into_iter().fold(0, i64::wrapping_add).wrapping_sub(x.max(y))
    };
    check("long_integers", || vec![data(&a), data(&b), output::<i64>(COUNT)], &each(|i| formula(a[i], b[i])));
}

#[test]
fn integers_divide_by_variables_and_constants() {
    let (a, b) = (each(|i| words(9)[i] as i32), each(|i| (words(2)[i] as i32 >> (i % 24)) | 1));
    let formula = |x: i32, y: i32| {
        let unsigned = [x as u32 / 3, x as u32 % y as u32];
        let terms = [x / y, x % y, x / 7, x % 10, unsigned[0] as i32, unsigned[1] as i32];
        terms.into_iter().fold(0, i32::wrapping_add)
    };
    check("integer_division", || vec![data(&a), data(&b), output::<i32>(COUNT)], &each(|i| formula(a[i], b[i])));
}

#[test]
fn what_does_not_fail_is_neither_printed_as_a_report_nor_stopped() {
    let squares = each(|i| (i * i) as f32);
    check("assert_positive", || vec![data(&squares), output::<f32>(COUNT)], &each(|i| i as f32));
    let numbers = each(|i| i as i32);
    check("trap_negative", || vec![data(&numbers), output::<i32>(COUNT)], &each(|i| i as i32 + 1));
    for_each_target("features", |target| {
        run(target, "print", &[data(&squares)]);
    });
}

#[test]
fn lanes_take_different_branches_of_a_switch() {
    let input = each(|i| i as i32 * 5 - 200);
    let formula = |x: i32, y: i32| match x & 15 {
        0 => y * 3 + 7,
        2 => x.count_ones() as i32 - 4,
        3 => x / 5,
        4 => y ^ (x << 13),
        5 | 13 => 0,
        6 => -x,
        7 => x.leading_zeros() as i32,
        8 => x * x,
        9 => x + if x > 99 { -99 } else { 99 },
        10 => (x as f32 * 0.5) as i32,
        11 => !x,
        // An atomic gives what was there before.
        1 | 12 => y,
        14 => y + 1000,
        _ => y - x,
    };
    let before = each(|i| i as i32);
    check("jump_table", || vec![data(&input), data(&before)], &each(|i| formula(input[i], before[i])));
    let cases = each(|i| i as u32 * 7 % 3);
    let taken = each(|i| [i as u32 + 1, 2 * i as u32, 0][cases[i] as usize]);
    check("indexed_branch", || vec![data(&cases), output::<u32>(COUNT)], &taken);
}

#[test]
fn dynamic_shared_memory_has_the_size_that_the_launch_asks_for() {
    let input = integers(4, COUNT);
    let expected: Vec<f32> = input.chunks(64).flat_map(|block| block.iter().rev().copied()).collect();
    for_each_target("features", |target| {
        let config = cudarc::driver::LaunchConfig { shared_mem_bytes: 512, ..shape(2, 64) };
        let results = target.run("dynamic_shared", config, &[data(&input), output::<f32>(COUNT)]);
        assert_eq!(results.get::<f32>(1), expected);
    });
}

#[test]
fn narrow_and_vector_types_keep_every_byte() {
    let (bytes, shorts) = (each(|i| i as i8), each(|i| (i * 511) as u16));
    let (pairs, quads) = (integers(1, 2 * COUNT), (0..4 * COUNT as i32).collect::<Vec<_>>());
    let doubles: Vec<f64> = widen(integers(2, 2 * COUNT)).collect();
    for_each_target("features", |target| {
        let outputs = [output::<i32>(COUNT), output::<u8>(COUNT), output::<i16>(COUNT)];
        let arguments: Vec<Argument> = [data(&bytes), data(&shorts)].into_iter().chain(outputs).collect();
        let results = run(target, "narrow_types", &arguments);
        assert_eq!(results.get::<i32>(2), each(|i| i32::from(bytes[i]) + i32::from(shorts[i])));
        assert_eq!(results.get::<u8>(3), each(|i| (i32::from(bytes[i]) * 3) as u8));
        assert_eq!(results.get::<i16>(4), each(|i| (i32::from(shorts[i]) - 5) as i16));

        let outputs = [output::<f32>(2 * COUNT), output::<i32>(4 * COUNT), output::<f64>(2 * COUNT)];
        let inputs = [data(&pairs), data(&quads), data(&doubles)];
        let results = run(target, "vector_types", &inputs.into_iter().chain(outputs).collect::<Vec<_>>());
        let swapped = |pair: &[f32]| [pair[1], pair[0]];
        assert_eq!(results.get::<f32>(3), pairs.chunks(2).flat_map(swapped).collect::<Vec<_>>());
        assert_eq!(results.get::<i32>(4), quads.chunks(4).flat_map(|q| [q[3], q[2], q[1], q[0]]).collect::<Vec<_>>());
        let summed = |pair: &[f64]| [pair[1] + pair[0], pair[0]];
        assert_eq!(results.get::<f64>(5), doubles.chunks(2).flat_map(summed).collect::<Vec<_>>());
    });
}

#[test]
fn pairs_of_halves_are_computed_in_half_precision() {
    let numbers = |seed| integers(seed, 2 * COUNT);
    let (a, b, c) = (numbers(1), numbers(2), numbers(3));
    let pack = |values: &[f32]| -> Vec<u32> {
        let bits = |value: f32| u32::from(f16::from_f32(value).to_bits());
        values.chunks(2).map(|pair| bits(pair[0]) | bits(pair[1]) << 16).collect()
    };
    let fused: Vec<f32> = (0..2 * COUNT).map(|i| (a[i] + b[i]) * b[i] + c[i]).collect();
    for_each_target("features", |target| {
        let inputs = [&a, &b, &c].map(|values| data(&pack(values)));
        let outputs = [output::<u32>(COUNT), output::<f32>(COUNT)];
        let results = run(target, "half_pairs", &inputs.into_iter().chain(outputs).collect::<Vec<_>>());
        assert_eq!(results.get::<u32>(3), pack(&fused));
        assert_eq!(results.get::<f32>(4), fused.iter().step_by(2).copied().collect::<Vec<_>>());
    });
}

#[test]
fn bits_are_reversed_counted_and_moved() {
    let input: Vec<u32> = each(|i| if i == 5 { 0 } else { words(4)[i] });
    let permuted = |low: u32, high: u32, selector: u32| {
        let bytes = [low.to_le_bytes(), high.to_le_bytes()].concat();
        u32::from_le_bytes(std::array::from_fn(|byte| bytes[(selector >> (4 * byte) & 7) as usize]))
    };
    let joined = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low);
    let formula = |x: u32, i: u32| {
        [
            x.reverse_bits(),
            x.leading_zeros(),
            x.count_ones() + (u64::from(x) << 7 | 5).count_ones(),
            if x == 0 { 0 } else { x.trailing_zeros() + 1 },
            permuted(x, !x, i & 0x7777),
            (joined(x, !x) << (i & 31) >> 32) as u32,
            (joined(x, i) >> (x & 63).min(32)) as u32,
            (x >> 5 & 0x3ff) | (x & 0xff) << 20,
        ]
    };
    let expected: Vec<u32> = input.iter().enumerate().flat_map(|(i, x)| formula(*x, i as u32)).collect();
    check("bits", || vec![data(&input), output::<u32>(8 * COUNT)], &expected);
}

/// What the lanes of one warp exchange, the eight values of each lane one after the other.
fn exchanged(warp: &[u32]) -> Vec<u32> {
    let ballot =
        |vote: &dyn Fn(u32) -> bool| (0..32).filter(|lane| vote(warp[*lane])).map(|lane| 1u32 << lane).sum::<u32>();
    let sum = warp.iter().fold(0u32, |sum, x| sum.wrapping_add(*x));
    let extreme = warp.iter().max().unwrap() ^ warp.iter().fold(0, |any, x| any | x);
    let of_lane = |lane: usize| {
        let x = warp[lane];
        [
            ballot(&|x| x & 1 == 1),
            u32::from(warp.iter().any(|x| *x > 1000)) + 2 * u32::from(warp.iter().all(|x| *x > 3)),
            ballot(&|other| other % 4 == x % 4),
            // All lanes and one more wrap to what lanes that differ give.
            0,
            warp[x as usize % 32],
            warp[lane / 8 * 8 + (lane + 1) % 8],
            sum,
            extreme,
        ]
    };
    (0..32).flat_map(of_lane).collect()
}

#[test]
fn lanes_of_a_warp_vote_match_and_exchange() {
    let mixed = words(6);
    let alike = each(|i| (i * 37 % 1000) as u32 + 4);
    for input in [mixed, alike] {
        let expected: Vec<u32> = input.chunks(32).flat_map(exchanged).collect();
        check("warp_operations", || vec![data(&input), output::<u32>(8 * COUNT)], &expected);
    }
}

#[test]
fn lanes_leave_a_loop_one_by_one() {
    let collatz = |start: usize| {
        let next = |x: &usize| Some(if x.is_multiple_of(2) { x / 2 } else { 3 * x + 1 });
        std::iter::successors(Some(start), next).position(|x| x == 1).unwrap() as u32
    };
    for_each_target("features", |target| {
        let actual = run(target, "diverge", &[output::<u32>(COUNT)]).get::<u32>(0);
        for (i, actual) in actual.into_iter().enumerate() {
            let active = actual.checked_sub(collatz(i + 1)).unwrap();
            // How many of the warp's eleven lanes stand there together is the device's choice.
            let possible = if i % 3 == 0 { 1..=11 } else { 0..=0 };
            assert!(active.is_multiple_of(1000) && possible.contains(&(active / 1000)), "thread {i}: {actual}");
        }
    });
}

#[test]
fn atomics_lose_no_update() {
    let count = COUNT as u32;
    let sum = count * (count - 1) / 2;
    for_each_target("features", |target| {
        let cells = [0, u32::MAX, 0, u32::MAX, 0, 0, 0, 0];
        let arguments = [data(&cells), data(&[0u64; 2]), data(&[0f32]), data(&[0f64])];
        let results = run(target, "atomics", &arguments);
        let xor = (0..count).fold(0, |all, i| all ^ i);
        let expected = [sum, 0, count - 1, 0, u32::MAX, xor, count % 10, 10 - count % 10];
        assert_eq!(results.get::<u32>(0), expected);
        assert_eq!(results.get::<u64>(1), [u64::from(sum) << 20, u64::from(count - 1) << 34]);
        assert_eq!(results.get::<f32>(2), [count as f32 / 2.0]);
        assert_eq!(results.get::<f64>(3), [f64::from(count) / 4.0]);
    });
}

#[test]
fn a_lock_lets_one_thread_in_at_a_time() {
    for_each_target("features", |target| {
        let results = run(target, "spin_lock", &[data(&[0i32]), data(&[0i32])]);
        assert_eq!((results.get::<i32>(0), results.get::<i32>(1)), (vec![0], vec![COUNT as i32]));
    });
}

#[test]
fn barriers_have_names_and_count_votes() {
    let input = integers(7, 32);
    let expected: Vec<f32> = input.iter().rev().map(|value| value * 2.0).collect();
    for_each_target("features", |target| {
        let results = target.run("named_barriers", shape(1, 64), &[data(&input), output::<f32>(32)]);
        assert_eq!(results.get::<f32>(1), expected);
    });
    let votes = each(|i| if i < 64 { i as i32 % 7 - 3 } else { i as i32 % 13 - 5 });
    let of_block = |block: &[i32]| {
        let count = block.iter().filter(|x| **x > 0).count() as i32;
        [count, i32::from(block.iter().all(|x| *x > -5)), i32::from(block.iter().any(|x| *x > 5))].repeat(64)
    };
    let expected: Vec<i32> = votes.chunks(64).flat_map(of_block).collect();
    check("barrier_reductions", || vec![data(&votes), output::<i32>(3 * COUNT)], &expected);
}

#[test]
fn carries_go_from_word_to_word() {
    let wide = |seed| -> Vec<u64> {
        let word = |i: usize| u64::MAX >> ((i * seed) % 7) << ((i + seed) % 5);
        (0..2 * COUNT).map(word).collect()
    };
    let (a, b) = (wide(3), wide(5));
    let number = |pair: &[u64]| u128::from(pair[1]) << 64 | u128::from(pair[0]);
    let sum = |(a, b): (&[u64], &[u64])| number(a).wrapping_add(number(b));
    let sums = a.chunks(2).zip(b.chunks(2)).map(sum);
    let expected: Vec<u64> = sums.flat_map(|sum| [sum as u64, (sum >> 64) as u64]).collect();
    check("carry_chain", || vec![data(&a), data(&b), output::<u64>(2 * COUNT)], &expected);
}

#[test]
fn a_structure_is_passed_by_value() {
    let settings = Structure { scale: 0.5, shift: -3, bias: 2.25, weights: [10, 20, 30] };
    let weight = |i: usize| settings.weights[i % 3] as f32;
    let expected = each(|i| 0.5 * i as f32 - 3.0 + 2.25 + weight(i));
    check("structure_argument", || vec![Argument::Structure(settings), output::<f32>(COUNT)], &expected);
}

#[test]
fn threads_know_their_place_in_block_and_grid() {
    let (grid, block) = ([2u32, 3, 2], [8u32, 2, 4]);
    let place = |index: u32, [x, y, _]: [u32; 3]| [index % x, index / x % y, index / x / y];
    let of_thread = |index: u32| {
        let (thread, lane) = (index % 64, index % 32);
        let last = [lane, (1 << lane) - 1, 1, 32];
        [place(thread, block), place(index / 64, grid), block, grid].concat().into_iter().chain(last)
    };
    let expected: Vec<u32> = (0..64 * 12).flat_map(of_thread).collect();
    for_each_target("features", |target| {
        let results = target.run("special_registers", shape((2, 3, 2), (8, 2, 4)), &[output::<u32>(expected.len())]);
        assert_eq!(results.get::<u32>(0), expected);
    });
}
