//! What tensor cores make of an operand's element.

/// Rounds to the nearest number of `bits` bits less of fraction; a tie goes up in magnitude, or to even.
fn without_bits(value: f32, bits: u32, ties_to_even: bool) -> f32 {
    let (word, half) = (value.to_bits(), 1 << (bits - 1));
    let down = u32::from(ties_to_even && word >> bits & 1 == 0);
    f32::from_bits((word + half - down) >> bits << bits)
}

/// 10 bits of fraction, halves away from zero.
pub fn to_tf32(value: f32) -> f32 {
    without_bits(value, 13, false)
}

/// 7 bits of fraction, halves to even.
pub fn to_bf16(value: f32) -> f32 {
    without_bits(value, 16, true)
}
