//! Arguments of a kernel, as the command line describes them: `i32:7`, `f32[64,64]=random:1`.

use super::element::Element;
use super::fill::Fill;
use std::str::FromStr;

/// One argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// A number, given by value.
    Scalar {
        /// Its type.
        element: Element,
        /// Its bits.
        bits: u64,
    },
    /// A buffer in device memory, whose address is given.
    Buffer(Buffer),
}

/// A buffer to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// The type of its elements.
    pub element: Element,
    /// Its sides, the last one running fastest; none where the file that fills it tells them.
    pub shape: Option<Vec<u64>>,
    /// What it holds at first.
    pub fill: Fill,
}

/// A text that describes no argument.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentError {
    /// Neither a scalar nor a buffer.
    #[error("it is neither a scalar nor a buffer: write it like i32:7, f32:1.5 or f32[1024]=ramp")]
    Form,
    /// An unknown type.
    #[error("there is no type '{name}': use one of {}", Element::names())]
    Element {
        /// What stands for the type.
        name: String,
    },
    /// A value that the type does not have.
    #[error("'{value}' is not a value of {element}: give a number in its range")]
    Value {
        /// The text of the value.
        value: String,
        /// The type.
        element: &'static str,
    },
    /// Sides that are not numbers, or too many elements.
    #[error("[{shape}] is not a shape: give whole numbers separated by commas, of fewer than 2^63 bytes in all")]
    Shape {
        /// What stands between the brackets.
        shape: String,
    },
    /// A buffer without a size.
    #[error("the number of elements is missing: write it between the brackets; only a .npy file tells it by itself")]
    Open,
    /// An unknown way to fill.
    #[error(
        "'{fill}' does not fill a buffer of {element}: use zeros, ramp, random:SEED, normal:SEED (of floats), a value, \
         or FILE.npy"
    )]
    Fill {
        /// What stands after `=`.
        fill: String,
        /// The type of the elements.
        element: &'static str,
    },
}

impl FromStr for Argument {
    type Err = ArgumentError;

    fn from_str(text: &str) -> Result<Argument, ArgumentError> {
        let mark = text.find(['[', ':']).ok_or(ArgumentError::Form)?;
        let (name, rest) = text.split_at(mark);
        let element = Element::parse(name).ok_or_else(|| ArgumentError::Element { name: name.to_owned() })?;
        match rest.strip_prefix(':') {
            Some(value) => {
                let error = || ArgumentError::Value { value: value.to_owned(), element: element.name() };
                Ok(Argument::Scalar { element, bits: element.read(value).ok_or_else(error)? })
            }
            None => parse_buffer(element, &rest[1..]).map(Argument::Buffer),
        }
    }
}

/// Reads what follows the opening bracket.
fn parse_buffer(element: Element, text: &str) -> Result<Buffer, ArgumentError> {
    let (shape, rest) = text.split_once(']').ok_or(ArgumentError::Form)?;
    let fill = match rest.strip_prefix('=') {
        Some(fill) => {
            let error = || ArgumentError::Fill { fill: fill.to_owned(), element: element.name() };
            Fill::parse(fill, element).ok_or_else(error)?
        }
        None if rest.is_empty() => Fill::Unwritten,
        None => return Err(ArgumentError::Form),
    };
    if shape.is_empty() {
        return match fill {
            Fill::File(_) => Ok(Buffer { element, shape: None, fill }),
            _ => Err(ArgumentError::Open),
        };
    }
    let error = || ArgumentError::Shape { shape: shape.to_owned() };
    let sides: Option<Vec<u64>> = shape.split(',').map(|side| side.trim().parse().ok()).collect();
    let sides = sides.ok_or_else(error)?;
    byte_count(element, &sides).ok_or_else(error)?;
    Ok(Buffer { element, shape: Some(sides), fill })
}

/// Bytes of a buffer of that shape; none beyond 2^63.
pub fn byte_count(element: Element, shape: &[u64]) -> Option<u64> {
    let elements = shape.iter().try_fold(1u64, |product, side| product.checked_mul(*side))?;
    elements.checked_mul(element.bytes() as u64).filter(|bytes| *bytes < 1 << 63)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(element: Element, shape: &[u64], fill: Fill) -> Result<Argument, ArgumentError> {
        Ok(Argument::Buffer(Buffer { element, shape: Some(shape.to_vec()), fill }))
    }

    #[test]
    fn scalars_and_buffers_are_read() {
        assert_eq!("i32:-7".parse(), Ok(Argument::Scalar { element: Element::Signed(32), bits: -7i64 as u64 }));
        assert_eq!("f32:1.5".parse(), Ok(Argument::Scalar { element: Element::F32, bits: 0x3fc0_0000 }));
        assert_eq!("f32[4]=ramp".parse(), buffer(Element::F32, &[4], Fill::Ramp));
        assert_eq!("u8[2, 3]".parse(), buffer(Element::Unsigned(8), &[2, 3], Fill::Unwritten));
        assert_eq!("f64[0]=zeros".parse(), buffer(Element::F64, &[0], Fill::Constant(0)));
        let open = Buffer { element: Element::F32, shape: None, fill: Fill::File("a:b=[].npy".into()) };
        assert_eq!("f32[]=a:b=[].npy".parse(), Ok(Argument::Buffer(open)));
    }

    #[test]
    fn each_mistake_is_named() {
        for (text, part) in [
            ("7", "neither a scalar nor a buffer"),
            ("", "neither a scalar nor a buffer"),
            ("f32[4", "neither a scalar nor a buffer"),
            ("f32[4]ramp", "neither a scalar nor a buffer"),
            ("float:7", "no type 'float': use one of u8"),
            ("[4]=ramp", "no type ''"),
            ("i8:300", "'300' is not a value of i8"),
            ("i32:1.5", "'1.5' is not a value of i32"),
            ("f32:x", "'x' is not a value of f32"),
            ("f32[-1]=ramp", "[-1] is not a shape"),
            ("f32[2,,2]", "[2,,2] is not a shape"),
            ("f32[4294967296,4294967296]", "is not a shape"),
            ("f32[2305843009213693952]", "fewer than 2^63 bytes"),
            ("f32[]=ramp", "number of elements is missing"),
            ("f32[]", "number of elements is missing"),
            ("f32[4]=ones", "'ones' does not fill a buffer of f32"),
            ("i32[4]=normal:1", "'normal:1' does not fill a buffer of i32"),
        ] {
            let error = text.parse::<Argument>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
