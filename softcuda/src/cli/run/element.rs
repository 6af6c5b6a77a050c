//! The types that scalars and the elements of buffers can have.

use half::{bf16, f16};

/// A type of numbers; its values are held as bits, the lowest ones of 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// Unsigned, of so many bits.
    Unsigned(u32),
    /// Signed, of so many bits.
    Signed(u32),
    /// IEEE half precision.
    F16,
    /// bfloat16.
    Bf16,
    /// IEEE single precision.
    F32,
    /// IEEE double precision.
    F64,
}

/// Every type by its name.
const NAMES: [(&str, Element); 12] = [
    ("u8", Element::Unsigned(8)),
    ("i8", Element::Signed(8)),
    ("u16", Element::Unsigned(16)),
    ("i16", Element::Signed(16)),
    ("u32", Element::Unsigned(32)),
    ("i32", Element::Signed(32)),
    ("u64", Element::Unsigned(64)),
    ("i64", Element::Signed(64)),
    ("f16", Element::F16),
    ("bf16", Element::Bf16),
    ("f32", Element::F32),
    ("f64", Element::F64),
];

impl Element {
    /// The type of that name.
    pub fn parse(name: &str) -> Option<Element> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, element)| *element)
    }

    /// The names of all types.
    pub fn names() -> String {
        NAMES.map(|(name, _)| name).join(", ")
    }

    /// Its name, such as `f32`.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(_, element)| *element == self).map_or("", |(name, _)| name)
    }

    /// Bits of a value.
    pub fn bits(self) -> u32 {
        match self {
            Element::Unsigned(bits) | Element::Signed(bits) => bits,
            Element::F16 | Element::Bf16 => 16,
            Element::F32 => 32,
            Element::F64 => 64,
        }
    }

    /// Bytes of a value.
    pub fn bytes(self) -> usize {
        self.bits() as usize / 8
    }

    /// Whether it is one of the floating-point types.
    pub fn is_float(self) -> bool {
        !matches!(self, Element::Unsigned(_) | Element::Signed(_))
    }

    /// Digits of the significand of a floating-point type; all digits of an integer.
    pub fn precision(self) -> u32 {
        match self {
            Element::Unsigned(bits) | Element::Signed(bits) => bits,
            Element::F16 => f16::MANTISSA_DIGITS,
            Element::Bf16 => bf16::MANTISSA_DIGITS,
            Element::F32 => f32::MANTISSA_DIGITS,
            Element::F64 => f64::MANTISSA_DIGITS,
        }
    }

    /// The type as a `.npy` file calls it. There is no name for bfloat16, which is kept as 16 bits unsigned.
    pub fn npy(self) -> &'static str {
        match self {
            Element::Unsigned(8) => "|u1",
            Element::Signed(8) => "|i1",
            Element::Unsigned(16) | Element::Bf16 => "<u2",
            Element::Signed(16) => "<i2",
            Element::Unsigned(32) => "<u4",
            Element::Signed(32) => "<i4",
            Element::Unsigned(_) => "<u8",
            Element::Signed(_) => "<i8",
            Element::F16 => "<f2",
            Element::F32 => "<f4",
            Element::F64 => "<f8",
        }
    }

    /// The bits of the value that `text` spells: decimal, or hexadecimal after `0x` for an integer.
    pub fn read(self, text: &str) -> Option<u64> {
        match self {
            Element::Unsigned(bits) => integer(text).filter(|value| (0..1 << bits).contains(value)),
            Element::Signed(bits) => {
                integer(text).filter(|value| (-(1 << (bits - 1))..1 << (bits - 1)).contains(value))
            }
            Element::F16 => text.parse().ok().map(|value| i128::from(f16::from_f64(value).to_bits())),
            Element::Bf16 => text.parse().ok().map(|value| i128::from(bf16::from_f64(value).to_bits())),
            Element::F32 => text.parse::<f32>().ok().map(|value| value.to_bits().into()),
            Element::F64 => text.parse::<f64>().ok().map(|value| value.to_bits().into()),
        }
        .map(|value| value as u64)
    }

    /// The bits of a real number, rounded to the nearest value of a floating-point type, truncated to an integer.
    pub fn round(self, value: f64) -> u64 {
        match self {
            Element::Unsigned(_) => value as u64,
            Element::Signed(_) => value as i64 as u64,
            Element::F16 => f16::from_f64(value).to_bits().into(),
            Element::Bf16 => bf16::from_f64(value).to_bits().into(),
            Element::F32 => (value as f32).to_bits().into(),
            Element::F64 => value.to_bits(),
        }
    }

    /// The value of these bits as people read it.
    pub fn show(self, value: u64) -> String {
        match self {
            Element::Unsigned(bits) => (value & (u64::MAX >> (64 - bits))).to_string(),
            Element::Signed(bits) => (((value << (64 - bits)) as i64) >> (64 - bits)).to_string(),
            Element::F16 => f16::from_bits(value as u16).to_string(),
            Element::Bf16 => bf16::from_bits(value as u16).to_string(),
            Element::F32 => show_float(f32::from_bits(value as u32)),
            Element::F64 => show_float(f64::from_bits(value)),
        }
    }
}

/// As short as can be: very large and very small values with an exponent.
fn show_float<T: std::fmt::Display + std::fmt::LowerExp + Copy + Into<f64>>(value: T) -> String {
    let size = value.into().abs();
    if size != 0.0 && size.is_finite() && !(1e-4..1e9).contains(&size) {
        return format!("{value:e}");
    }
    value.to_string()
}

fn integer(text: &str) -> Option<i128> {
    match text.strip_prefix("0x") {
        // Signs behind the prefix, which the parser would take, are refused.
        Some(digits) if digits.starts_with(|c: char| c.is_ascii_hexdigit()) => i128::from_str_radix(digits, 16).ok(),
        Some(_) => None,
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for (name, element) in NAMES {
            assert_eq!(Element::parse(name), Some(element));
            assert_eq!(element.name(), name);
            assert!(element.npy().ends_with(&element.bytes().to_string()), "{name}");
        }
        assert_eq!(Element::parse("f8"), None);
    }

    #[test]
    fn integers_are_taken_only_within_their_range() {
        for (name, text, bits) in [
            ("u8", "255", Some(255)),
            ("u8", "256", None),
            ("u8", "-1", None),
            ("i8", "-128", Some(-128i64 as u64)),
            ("i8", "128", None),
            ("u32", "0xffffffff", Some(0xffff_ffff)),
            ("u32", "0x+1", None),
            ("u64", "18446744073709551615", Some(u64::MAX)),
            ("i64", "-9223372036854775808", Some(1 << 63)),
            ("i64", "9223372036854775808", None),
            ("i32", "1.5", None),
            ("i32", "", None),
        ] {
            assert_eq!(Element::parse(name).unwrap().read(text), bits, "{name}:{text}");
        }
    }

    #[test]
    fn floats_are_read_with_one_rounding() {
        assert_eq!(Element::F32.read("0.1"), Some(0x3dcc_cccd));
        assert_eq!(Element::F16.read("1.5"), Some(0x3e00));
        assert_eq!(Element::Bf16.read("-2"), Some(0xc000));
        assert_eq!(Element::F64.read("-inf"), Some(0xfff0_0000_0000_0000));
        assert_eq!(Element::F32.read("one"), None);
    }

    #[test]
    fn values_are_shown_as_they_are_read() {
        for (element, text) in [
            (Element::Signed(8), "-3"),
            (Element::Unsigned(64), "18446744073709551615"),
            (Element::F32, "0.1"),
            (Element::F32, "1e-30"),
            (Element::F32, "NaN"),
            (Element::F64, "-inf"),
            (Element::F64, "-0"),
            (Element::F16, "0.5"),
            (Element::Bf16, "3"),
        ] {
            assert_eq!(element.show(element.read(text).unwrap()), text);
        }
        assert_eq!(Element::Signed(16).show(0xffff), "-1", "only the lowest bits count");
    }
}
