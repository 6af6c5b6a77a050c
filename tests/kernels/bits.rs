//! What kernels compute with is what the processor computes with, bit for bit: `math.cuh` against `src/math.rs`, `noise.cuh` against
//! `src/noise`.

use cudarc::driver::{DeviceRepr, PushKernelArg};
use latent::backend::NEGATIVE_SLOPE;
use latent::math;
use latent::noise::{Address, Stream, box_muller, philox4x32_10, standard_normal_block};

use crate::device::Device;
use crate::emulated::{assert_no_report, checked};

/// Numbers at which something changes: ends of ranges, signs of zero, what is no number.
const EDGES: [f32; 28] = [
    0.0,
    -0.0,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
    f32::MAX,
    f32::MIN,
    f32::MIN_POSITIVE,
    -f32::MIN_POSITIVE,
    1e-45,
    -1e-45,
    1.0,
    -1.0,
    0.5,
    -0.5,
    0.499_999_97,
    2.0,
    -2.0,
    88.722_84,
    88.722_85,
    89.0,
    89.1,
    -87.336_54,
    -103.972_08,
    -104.0,
    -104.1,
    std::f32::consts::SQRT_2,
    std::f32::consts::FRAC_1_SQRT_2,
];

/// The edges, every range of the format, and the range of e^x densely.
fn numbers() -> Vec<f32> {
    let everywhere = (0..=u32::MAX).step_by(104_729).map(f32::from_bits);
    let dense = (0..20_000).map(|i| -110.0 + i as f32 * 0.01);
    EDGES.into_iter().chain(everywhere).chain(dense).collect()
}

/// Words over the whole range, with the ends of the quadrants.
fn words() -> Vec<u32> {
    let edges = (0..8u32).flat_map(|eighth| [-1, 0, 1].map(|near| (eighth << 29).wrapping_add_signed(near)));
    edges.chain((0..=u32::MAX).step_by(200_003)).collect()
}

/// What the kernel `test` of `text`, of the form (inputs, outputs, count), makes of `inputs`: `each` numbers of one.
fn outputs<T: DeviceRepr>(device: &Device, text: &str, inputs: &[T], each: usize) -> Vec<f32> {
    let (kernel, from) = (device.kernel_of(text, "test"), device.upload(inputs));
    let (mut to, count) = (device.room(inputs.len() * each), inputs.len() as i32);
    device.launch(&kernel, inputs.len(), |launch| {
        launch.arg(&from).arg(&mut to).arg(&count);
    });
    device.download(&to)
}

/// The bits of a number, the same for every NaN, whose sign and payload IEEE leaves open.
fn bits(x: f32) -> u32 {
    if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() }
}

#[track_caller]
fn assert_same<I: std::fmt::Debug + Copy>(name: &str, input: I, got: f32, want: f32) {
    assert_eq!(bits(got), bits(want), "{name} of {input:?} is {got:e} on the device, {want:e} on the processor");
}

#[test]
fn elementary_functions_have_the_bits_of_the_processor() {
    const TEXT: &str = r#"
        #include "math.cuh"
        extern "C" __global__ void test(const float* in, float* out, int count) {
            int i = blockIdx.x * blockDim.x + threadIdx.x;
            if (i >= count) return;
            float x = in[i];
            out += 8 * i;
            out[0] = exp_f(x);
            out[1] = exp_m1_minus_x(x);
            out[2] = ln_1p(x);
            sigmoid_softplus(x, out[3], out[4]);
            out[5] = sigmoid(x);
            out[6] = leaky_relu(x);
            out[7] = is_finite(x) ? 1.0f : 0.0f;
        }"#;
    const NAMES: [&str; 8] =
        ["exp", "exp_m1_minus_x", "ln_1p", "sigmoid", "softplus", "sigmoid alone", "leaky_relu", "is_finite"];
    let Some(device) = Device::open() else { return };
    let inputs = numbers();
    let got = outputs(&device, TEXT, &inputs, NAMES.len());
    for (x, got) in inputs.iter().zip(got.as_chunks::<8>().0) {
        let (s, softplus) = math::sigmoid_softplus(*x);
        let leaky = if *x > 0.0 { *x } else { NEGATIVE_SLOPE * x };
        let finite = f32::from(u8::from(x.is_finite()));
        let want =
            [math::exp(*x), math::exp_m1_minus_x(*x), math::ln_1p(*x), s, softplus, math::sigmoid(*x), leaky, finite];
        for (name, (got, want)) in NAMES.iter().zip(got.iter().zip(want)) {
            assert_same(name, x, *got, want);
        }
    }
    println!("{} functions at {} numbers", NAMES.len(), inputs.len());
    assert_no_report(&checked());
}

#[test]
fn the_logarithm_has_the_bits_of_the_processor() {
    const TEXT: &str = r#"
        #include "math.cuh"
        extern "C" __global__ void test(const float* in, float* out, int count) {
            int i = blockIdx.x * blockDim.x + threadIdx.x;
            if (i < count) out[i] = ln(in[i]);
        }"#;
    let Some(device) = Device::open() else { return };
    let inputs: Vec<f32> = numbers().into_iter().filter(|x| x.is_normal() && *x > 0.0).collect();
    for (x, got) in inputs.iter().zip(outputs(&device, TEXT, &inputs, 1)) {
        assert_same("ln", x, got, math::ln(*x));
    }
    println!("ln at {} numbers", inputs.len());
    assert_no_report(&checked());
}

#[test]
fn sine_and_cosine_have_the_bits_of_the_processor() {
    const TEXT: &str = r#"
        #include "math.cuh"
        extern "C" __global__ void test(const unsigned int* in, float* out, int count) {
            int i = blockIdx.x * blockDim.x + threadIdx.x;
            if (i < count) sin_cos_turns(in[i], out[2 * i], out[2 * i + 1]);
        }"#;
    let Some(device) = Device::open() else { return };
    let inputs = words();
    for (turns, got) in inputs.iter().zip(outputs(&device, TEXT, &inputs, 2).as_chunks::<2>().0) {
        let (sine, cosine) = math::sin_cos_turns(*turns);
        assert_same("sine", turns, got[0], sine);
        assert_same("cosine", turns, got[1], cosine);
    }
    println!("sine and cosine at {} angles", inputs.len());
    assert_no_report(&checked());
}

#[test]
fn box_muller_has_the_bits_of_the_processor() {
    const TEXT: &str = r#"
        #include "noise.cuh"
        extern "C" __global__ void test(const uint2* in, float2* out, int count) {
            int i = blockIdx.x * blockDim.x + threadIdx.x;
            if (i < count) out[i] = box_muller(in[i].x, in[i].y);
        }"#;
    let Some(device) = Device::open() else { return };
    let words = words();
    let pairs: Vec<[u32; 2]> = words.iter().zip(words.iter().rev()).map(|(u, turns)| [*u, *turns]).collect();
    let inputs: Vec<u64> = bytemuck::cast_slice(&pairs).to_vec();
    for (pair, got) in pairs.iter().zip(outputs(&device, TEXT, &inputs, 2).as_chunks::<2>().0) {
        let want = box_muller(pair[0], pair[1]);
        assert_same("first normal", pair, got[0], want.0);
        assert_same("second normal", pair, got[1], want.1);
    }
    println!("{} pairs of normals", pairs.len());
    assert_no_report(&checked());
}

#[test]
fn philox_has_the_words_of_the_processor() {
    const TEXT: &str = r#"
        #include "noise.cuh"
        extern "C" __global__ void test(const unsigned int* in, uint4* out, int count) {
            int i = blockIdx.x * blockDim.x + threadIdx.x;
            if (i >= count) return;
            in += 6 * i;
            out[i] = philox4x32_10(make_uint4(in[0], in[1], in[2], in[3]), in[4], in[5]);
        }"#;
    let Some(device) = Device::open() else { return };
    // The generator's known answers begin with all bits clear and all bits set; the others mix them.
    let mixed = words().into_iter().map(|w| [w, !w, w.rotate_left(7), w ^ 0xdead_beef, w.rotate_left(19), w >> 3]);
    let inputs: Vec<[u32; 6]> = [[0; 6], [u32::MAX; 6]].into_iter().chain(mixed).collect();
    let got = philox_outputs(&device, TEXT, &inputs);
    for (input, got) in inputs.iter().zip(got.as_chunks::<4>().0) {
        let [counter @ .., key_0, key_1] = *input;
        assert_eq!(*got, philox4x32_10(counter, [key_0, key_1]), "counter and key {input:x?}");
    }
    println!("Philox at {} counters", inputs.len());
    assert_no_report(&checked());
}

fn philox_outputs(device: &Device, text: &str, inputs: &[[u32; 6]]) -> Vec<u32> {
    let (kernel, from) = (device.kernel_of(text, "test"), device.upload(inputs.as_flattened()));
    let (mut to, count) = (device.room(inputs.len() * 4), inputs.len() as i32);
    device.launch(&kernel, inputs.len(), |launch| {
        launch.arg(&from).arg(&mut to).arg(&count);
    });
    device.download(&to)
}

#[test]
fn standard_normals_have_the_bits_of_their_address() {
    const TEXT: &str = r#"
        #include "noise.cuh"
        extern "C" __global__ void test(unsigned long long seed, unsigned long long step, int stream, float4* out) {
            Control control;
            control.seed = seed;
            control.steps[stream] = step;
            unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;
            out[i] = standard_normal_block(&control, stream, i);
        }"#;
    const BLOCKS: usize = 512;
    let Some(device) = Device::open() else { return };
    let kernel = device.kernel_of(TEXT, "test");
    for (seed, step) in [(0, 0), (1, 599), (u64::MAX, 1 << 40), (0x0123_4567_89ab_cdef, u64::MAX)] {
        for stream in [Stream::Training, Stream::Validation, Stream::Sampling, Stream::Drawing] {
            let (mut out, number) = (device.room(4 * BLOCKS), stream as i32);
            device.launch(&kernel, BLOCKS, |launch| {
                launch.arg(&seed).arg(&step).arg(&number).arg(&mut out);
            });
            let address = Address { seed, stream, step };
            for (block, got) in device.download(&out).as_chunks::<4>().0.iter().enumerate() {
                let want = standard_normal_block(address, block as u32);
                (0..4).for_each(|i| assert_same("normal", (address, block, i), got[i], want[i]));
            }
        }
    }
    assert_no_report(&checked());
}
