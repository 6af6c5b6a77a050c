//! Every kernel of `kernels/`, compiled by NVRTC for each architecture and launched through cudarc with all checks: its
//! results are those of a plain reference, and nothing is reported.

#![allow(clippy::unwrap_used, reason = "a failure of the test's own helpers is a failure of the test")]

mod features;
mod launcher;

use launcher::Argument::{Float, Int, Long};
use launcher::{Argument, Element, Target, data, for_each_target, output, shape};

/// Integers from -5 to 5, of which sums of products are exact.
fn integers(seed: usize, count: usize) -> Vec<f32> {
    (0..count).map(|index| ((index * 7 + index / 11 + seed * 3) % 11) as f32 - 5.0).collect()
}

/// Holds `actual` against `expected` within `bound`, relative to one or the expected value if that is larger.
#[track_caller]
fn assert_close(actual: impl IntoIterator<Item = f64>, expected: &[f64], bound: f64) {
    let actual: Vec<f64> = actual.into_iter().collect();
    assert_eq!(actual.len(), expected.len());
    for (index, (actual, expected)) in actual.iter().zip(expected).enumerate() {
        let off = (actual - expected).abs() / expected.abs().max(1.0);
        assert!(off <= bound, "element {index} is {actual}, not {expected}");
    }
}

fn widen(values: Vec<f32>) -> impl Iterator<Item = f64> {
    values.into_iter().map(f64::from)
}

/// The row-major product of an m x k and a k x n matrix.
fn product(a: &[f32], b: &[f32], [m, n, k]: [usize; 3]) -> Vec<f32> {
    let element = |row, column| (0..k).map(|i| a[row * k + i] * b[i * n + column]).sum();
    (0..m).flat_map(|row| (0..n).map(move |column| (row, column))).map(|(row, column)| element(row, column)).collect()
}

/// Multiplies integers with a kernel whose blocks own `tile` of the product, as they are or as `convert` makes them.
fn check_product<T: Element>(
    kernel: &str,
    tile: [usize; 2],
    block: (u32, u32),
    sizes: [usize; 3],
    convert: fn(f32) -> T,
) {
    let [m, n, k] = sizes;
    let (a, b) = (integers(1, m * k), integers(2, k * n));
    let expected = product(&a, &b, sizes);
    let operand = |values: &[f32]| data(&values.iter().map(|value| convert(*value)).collect::<Vec<T>>());
    let grid = (n.div_ceil(tile[1]) as u32, m.div_ceil(tile[0]) as u32);
    for_each_target(kernel, |target| {
        let size = |size| Int(size as i32);
        let arguments = [operand(&a), operand(&b), output::<f32>(m * n), size(m), size(n), size(k)];
        let results = target.run(kernel, shape(grid, block), &arguments);
        assert_eq!(results.get::<f32>(2), expected, "{kernel} for sm_{}", target.architecture);
    });
}

fn as_it_is(value: f32) -> f32 {
    value
}

/// Small integers have no bits in the half that bfloat16 leaves out.
fn to_bf16(value: f32) -> u16 {
    (value.to_bits() >> 16) as u16
}

#[test]
fn naive_products_are_exact_at_any_size() {
    check_product("sgemm_naive", [16, 16], (16, 16), [37, 50, 29], as_it_is);
}

#[test]
fn tiled_products_are_exact_at_any_size() {
    check_product("sgemm_tiled", [32, 32], (32, 32), [70, 45, 33], as_it_is);
}

#[test]
fn blocked_products_are_exact() {
    check_product("sgemm_blocked", [128, 128], (256, 1), [128, 256, 40], as_it_is);
}

#[test]
fn products_through_asynchronous_copies_are_exact() {
    check_product("gemm_cp_async", [64, 64], (256, 1), [64, 128, 80], as_it_is);
    check_product("gemm_cp_async", [64, 64], (256, 1), [64, 64, 16], as_it_is);
}

#[test]
fn products_of_tf32_on_tensor_cores_are_exact() {
    check_product("gemm_tf32", [32, 32], (128, 1), [64, 96, 40], as_it_is);
}

#[test]
fn products_of_bf16_on_tensor_cores_are_exact() {
    check_product("gemm_bf16", [32, 32], (128, 1), [64, 96, 48], to_bf16);
}

#[test]
fn sums_by_blocks_and_by_the_last_block_are_exact() {
    let (count, blocks, threads) = (5003, 7, 128);
    let values = integers(3, count);
    for_each_target("reduce", |target| {
        let input = || data(&values);
        let config = shape(blocks, threads);
        let partial = target.run("reduce_partial", config, &[input(), output::<f32>(7), Int(count as i32)]);
        let of_block = |block: u32| {
            let place = |index: usize| index as u32 / threads % blocks;
            values.iter().enumerate().filter(|(index, _)| place(*index) == block).map(|(_, value)| value).sum()
        };
        assert_eq!(partial.get::<f32>(1), (0..blocks).map(of_block).collect::<Vec<f32>>());
        let arguments = [input(), output::<f32>(7), output::<f32>(1), data(&[0u32]), Int(count as i32)];
        let whole = target.run("reduce_last_block", config, &arguments);
        assert_eq!(whole.get::<f32>(2), [values.iter().sum::<f32>()]);
        assert_eq!(whole.get::<u32>(3), [0], "the counter is ready for the next launch");
    });
}

/// Philox4x32-10 of a counter whose upper half is zero.
fn philox(counter: u64, seed: u64) -> [u32; 4] {
    let mut words = [counter as u32, (counter >> 32) as u32, 0, 0];
    let mut key = [seed as u32, (seed >> 32) as u32];
    for _ in 0..10 {
        let products = [u64::from(words[0]) * 0xD251_1F53, u64::from(words[2]) * 0xCD9E_8D57];
        let high = products.map(|product| (product >> 32) as u32);
        words = [high[1] ^ words[1] ^ key[0], products[1] as u32, high[0] ^ words[3] ^ key[1], products[0] as u32];
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    words
}

#[test]
fn random_words_are_the_known_ones() {
    let (count, seed, offset) = (300, 0x1234_5678_9ABC_DEF0, 0xFFFF_FFF0);
    for_each_target("philox", |target| {
        let run = |kernel, seed, offset| {
            target.run(kernel, shape(2, 256), &[output::<u32>(4 * count), Long(seed), Long(offset), Int(count as i32)])
        };
        let known = run("philox_words", 0, 0).get::<u32>(0);
        assert_eq!(known[..4], [0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8]);
        let words: Vec<u32> = (0..count as u64).flat_map(|index| philox(offset + index, seed)).collect();
        assert_eq!(run("philox_words", seed, offset).get::<u32>(0), words);
        let uniforms: Vec<f32> = words.iter().map(|word| ((word >> 8) + 1) as f32 / 16_777_216.0).collect();
        assert_eq!(run("philox_uniform", seed, offset).get::<f32>(0), uniforms);
    });
}

#[test]
fn a_step_of_adam_is_that_of_its_formula() {
    let count = 1000;
    let scaled = |seed, scale: f32| -> Vec<f32> { integers(seed, count).iter().map(|value| value * scale).collect() };
    let (parameters, gradients, firsts) = (scaled(1, 0.3), scaled(2, 0.01), scaled(3, 0.02));
    let seconds: Vec<f32> = scaled(4, 0.05).iter().map(|value| value * value).collect();
    let (rate, beta1, beta2, epsilon, correction1, correction2) = (1e-3, 0.9, 0.999, 1e-8, 0.271, 0.002997);
    let wide = |value: f32| f64::from(value);
    let mut expected: [Vec<f64>; 3] = Default::default();
    for index in 0..count {
        let (gradient, beta1, beta2) = (wide(gradients[index]), wide(beta1), wide(beta2));
        let first = beta1 * wide(firsts[index]) + (1.0 - beta1) * gradient;
        let second = beta2 * wide(seconds[index]) + (1.0 - beta2) * gradient * gradient;
        let root = (second / wide(correction2)).sqrt() + wide(epsilon);
        expected[0].push(wide(parameters[index]) - wide(rate) * (first / wide(correction1)) / root);
        expected[1].push(first);
        expected[2].push(second);
    }
    for_each_target("adam", |target| {
        let buffers = [data(&parameters), data(&gradients), data(&firsts), data(&seconds)];
        let scalars = [rate, beta1, beta2, epsilon, correction1, correction2].map(Float);
        let arguments: Vec<Argument> = buffers.into_iter().chain([Int(count as i32)]).chain(scalars).collect();
        let results = target.run("adam", shape(1, 256), &arguments);
        for (buffer, expected) in [0, 2, 3].into_iter().zip(&expected) {
            assert_close(widen(results.get(buffer)), expected, 1e-6);
        }
    });
}

#[test]
fn blocks_of_a_cooperative_launch_meet_at_a_barrier_of_the_grid() {
    let (count, phases) = (500, 5);
    let start = integers(5, count);
    let mut expected = start.clone();
    for _ in 0..phases {
        let mean = |index| {
            let at = |step: usize| expected[(index + step) % count];
            (at(count - 1) + at(0) + at(1)) / 3.0
        };
        expected = (0..count).map(mean).collect::<Vec<f32>>();
    }
    for_each_target("grid_barrier", |target| {
        let arguments = [data(&start), output::<f32>(count), data(&[0u32]), Int(count as i32), Int(phases)];
        let results = target.run_cooperatively("grid_barrier", shape(6, 64), &arguments);
        assert_eq!(results.get::<f32>(1), expected, "an odd number of phases ends in the scratch");
        assert_eq!(results.get::<u32>(2), [30], "each block arrives once a phase");
    });
}

#[test]
fn histograms_count_every_value() {
    let count = 5000;
    let bytes: Vec<u8> = (0..count).map(|index: usize| (index * index % 253) as u8).collect();
    let words: Vec<u32> = (0..count as u32).map(|index| index.wrapping_mul(2_654_435_761)).collect();
    let mut of_bytes = vec![1u32; 256];
    bytes.iter().for_each(|byte| of_bytes[usize::from(*byte)] += 1);
    let mut of_words = vec![1u32; 100];
    words.iter().for_each(|word| of_words[*word as usize % 100] += 1);
    for_each_target("histogram", |target| {
        let counted = target.run("histogram_shared", shape(5, 96), &[data(&bytes), data(&[1u32; 256]), Int(5000)]);
        assert_eq!(counted.get::<u32>(1), of_bytes);
        let arguments = [data(&words), data(&[1u32; 100]), Int(5000), Int(100)];
        assert_eq!(target.run("histogram_global", shape(5, 96), &arguments).get::<u32>(1), of_words);
    });
}

#[test]
fn rows_of_softmax_are_those_of_its_formula() {
    let (rows, columns) = (9, 77);
    let input: Vec<f32> = integers(6, rows * columns).iter().map(|value| value * 1.7).collect();
    let softmax = |row: &[f32]| {
        let largest = row.iter().fold(f32::MIN, |a, b| a.max(*b));
        let powers: Vec<f64> = row.iter().map(|value| f64::from(value - largest).exp()).collect();
        let sum: f64 = powers.iter().sum();
        powers.into_iter().map(move |power| power / sum)
    };
    let expected: Vec<f64> = input.chunks(columns).flat_map(softmax).collect();
    for_each_target("softmax", |target| {
        for kernel in ["softmax", "softmax_online"] {
            let arguments = [data(&input), output::<f32>(input.len()), Int(columns as i32)];
            let results = target.run(kernel, shape(rows as u32, 32), &arguments);
            // Relative to the value itself, which is below one.
            let ratios = widen(results.get(1)).zip(&expected).map(|(actual, expected)| actual / expected);
            assert_close(ratios, &vec![1.0; input.len()], 1e-5);
        }
    });
}

#[test]
fn prefix_sums_of_blocks_are_exact() {
    let (count, threads, blocks) = (1200, 128, 10);
    let input: Vec<i32> = (0..count).map(|index| index * 37 % 101 - 40).collect();
    let mut expected = Vec::new();
    let mut sums = Vec::new();
    for block in input.chunks(threads) {
        let mut sum = 0;
        expected.extend(block.iter().map(|value| {
            sum += value;
            sum
        }));
        sums.push(sum);
    }
    for_each_target("scan", |target: &Target| {
        let arguments = [data(&input), output::<i32>(input.len()), output::<i32>(blocks), Int(count)];
        let results = target.run("scan", shape(blocks as u32, threads as u32), &arguments);
        assert_eq!(results.get::<i32>(1), expected);
        assert_eq!(results.get::<i32>(2), sums);
    });
}
