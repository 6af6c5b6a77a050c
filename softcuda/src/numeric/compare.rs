//! The comparisons of `setp` and `set`.

/// A comparison operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// Equal.
    Eq,
    /// Not equal, and for floats ordered.
    Ne,
    /// Less.
    Lt,
    /// Less or equal.
    Le,
    /// Greater.
    Gt,
    /// Greater or equal.
    Ge,
    /// Lower: less, as unsigned numbers.
    Lo,
    /// Lower or the same, as unsigned numbers.
    Ls,
    /// Higher: greater, as unsigned numbers.
    Hi,
    /// Higher or the same, as unsigned numbers.
    Hs,
    /// Equal or unordered.
    Equ,
    /// Not equal or unordered.
    Neu,
    /// Less or unordered.
    Ltu,
    /// Less, equal or unordered.
    Leu,
    /// Greater or unordered.
    Gtu,
    /// Greater, equal or unordered.
    Geu,
    /// Ordered: neither operand is NaN.
    Num,
    /// Unordered: an operand is NaN.
    Nan,
}

impl Comparison {
    /// The comparison that a modifier names.
    pub fn parse(modifier: &str) -> Option<Self> {
        Some(match modifier {
            "eq" => Self::Eq,
            "ne" => Self::Ne,
            "lt" => Self::Lt,
            "le" => Self::Le,
            "gt" => Self::Gt,
            "ge" => Self::Ge,
            "lo" => Self::Lo,
            "ls" => Self::Ls,
            "hi" => Self::Hi,
            "hs" => Self::Hs,
            "equ" => Self::Equ,
            "neu" => Self::Neu,
            "ltu" => Self::Ltu,
            "leu" => Self::Leu,
            "gtu" => Self::Gtu,
            "geu" => Self::Geu,
            "num" => Self::Num,
            "nan" => Self::Nan,
            _ => return None,
        })
    }

    /// Whether the operator asks for unsigned operands.
    pub fn is_unsigned(self) -> bool {
        matches!(self, Self::Lo | Self::Ls | Self::Hi | Self::Hs)
    }
}

/// Compares two operands of one type; `unordered` says that an operand is NaN.
#[inline(always)]
fn compare<T: PartialOrd>(comparison: Comparison, a: T, b: T, unordered: bool) -> bool {
    match comparison {
        Comparison::Eq => a == b,
        Comparison::Ne => (a != b) & !unordered,
        Comparison::Lt | Comparison::Lo => a < b,
        Comparison::Le | Comparison::Ls => a <= b,
        Comparison::Gt | Comparison::Hi => a > b,
        Comparison::Ge | Comparison::Hs => a >= b,
        Comparison::Equ => (a == b) | unordered,
        Comparison::Neu => a != b,
        Comparison::Ltu => (a < b) | unordered,
        Comparison::Leu => (a <= b) | unordered,
        Comparison::Gtu => (a > b) | unordered,
        Comparison::Geu => (a >= b) | unordered,
        Comparison::Num => !unordered,
        Comparison::Nan => unordered,
    }
}

/// Compares two integers of one type, whose signedness decides the order; integers are never unordered.
///
/// `lo`, `ls`, `hi` and `hs` need operands of an unsigned type.
#[inline(always)]
pub fn integer<T: Ord + Copy>(comparison: Comparison, a: T, b: T) -> bool {
    compare(comparison, a, b, false)
}

/// Compares two `f32`.
#[inline(always)]
pub fn float32(comparison: Comparison, a: f32, b: f32) -> bool {
    compare(comparison, a, b, a.is_nan() | b.is_nan())
}

/// Compares two `f64`.
#[inline(always)]
pub fn float64(comparison: Comparison, a: f64, b: f64) -> bool {
    compare(comparison, a, b, a.is_nan() | b.is_nan())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::testing::{Bits, EDGES32};
    use std::cmp::Ordering;

    const NAMES: [&str; 18] = [
        "eq", "ne", "lt", "le", "gt", "ge", "lo", "ls", "hi", "hs", "equ", "neu", "ltu", "leu", "gtu", "geu", "num",
        "nan",
    ];

    /// What an operator accepts, read off its name: the relation, and `u` for unordered.
    fn model(name: &str, order: Option<Ordering>) -> bool {
        let Some(order) = order else {
            return name.len() == 3 && name != "num";
        };
        match &name[..2] {
            "eq" => order.is_eq(),
            "ne" => order.is_ne(),
            "lt" | "lo" => order.is_lt(),
            "le" | "ls" => order.is_le(),
            "gt" | "hi" => order.is_gt(),
            "ge" | "hs" => order.is_ge(),
            _ => name == "num",
        }
    }

    #[test]
    fn float_comparisons_follow_their_names_over_all_edge_cases() {
        for name in NAMES {
            let comparison = Comparison::parse(name).unwrap();
            for a in EDGES32.map(f32::from_bits) {
                for b in EDGES32.map(f32::from_bits) {
                    let want = model(name, a.partial_cmp(&b));
                    assert_eq!(float32(comparison, a, b), want, "{name} {a:e} {b:e}");
                    assert_eq!(float64(comparison, a.into(), b.into()), want, "{name} {a:e} {b:e} in f64");
                }
            }
        }
    }

    #[test]
    fn integer_comparisons_follow_the_signedness_of_their_type() {
        let mut bits = Bits::new(4);
        for _ in 0..5_000 {
            let (a, b) = (bits.integer(), bits.integer());
            for name in NAMES {
                let comparison = Comparison::parse(name).unwrap();
                assert_eq!(integer(comparison, a, b), model(name, Some(a.cmp(&b))), "{name} {a} {b}");
                let (x, y) = (a as i32, b as i32);
                assert_eq!(integer(comparison, x, y), model(name, Some(x.cmp(&y))), "{name} {x} {y}");
            }
        }
    }

    #[test]
    fn an_unknown_comparison_has_no_meaning() {
        assert_eq!(Comparison::parse("lte"), None);
        assert!(Comparison::parse("hs").is_some_and(Comparison::is_unsigned));
        assert!(!Comparison::Ge.is_unsigned());
    }
}
