//! PTX text to tokens, one at a time: the tokens of a large text would take many times its memory.

use super::ast::Position;
use super::error::Error;

/// A token and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'t> {
    pub kind: Kind<'t>,
    /// The token as written.
    pub text: &'t str,
    /// Byte at which it begins.
    pub offset: usize,
    pub position: Position,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind<'t> {
    /// A name: of an instruction, register, variable, label; any percent sign included.
    Word(&'t str),
    /// `.reg`, `.s32`, `.shared::cta`: without the first dot.
    Dot(&'t str),
    Integer(u64),
    /// Bits of an f32, from `0f3F800000`.
    Float32(u32),
    /// Bits of an f64, from `0d3FF0000000000000` or a decimal fraction.
    Float64(u64),
    /// What stands between quotation marks, escapes kept as written.
    Text(&'t str),
    Punctuation(char),
    /// The end of the PTX text.
    End,
}

/// Cuts a text into tokens.
pub(super) struct Lexer<'t> {
    text: &'t str,
    offset: usize,
    position: Position,
}

impl<'t> Lexer<'t> {
    pub fn new(text: &'t str) -> Self {
        Lexer { text, offset: 0, position: Position { line: 1, column: 1 } }
    }

    /// The text that is cut.
    pub fn text(&self) -> &'t str {
        self.text
    }

    /// The next token; [`Kind::End`] again and again at the end.
    pub fn next(&mut self) -> Result<Token<'t>, Error> {
        self.skip_blanks()?;
        let rest = self.rest();
        let (kind, length) = match rest.as_bytes() {
            [] => (Kind::End, 0),
            [b'0'..=b'9', ..] => self.number(rest)?,
            [b'"', ..] => self.quoted(rest)?,
            [b'.', ..] => self.dotted(rest)?,
            [b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'$' | b'%', ..] => self.word(rest)?,
            [
                c @ (b',' | b';' | b':' | b'{' | b'}' | b'[' | b']' | b'(' | b')' | b'<' | b'>' | b'@' | b'!' | b'|'
                | b'=' | b'+' | b'-'),
                ..,
            ] => (Kind::Punctuation(char::from(*c)), 1),
            _ => return Err(self.error("unexpected character: remove it")),
        };
        let token = Token { kind, text: &rest[..length], offset: self.offset, position: self.position };
        self.advance(length);
        Ok(token)
    }

    fn rest(&self) -> &'t str {
        &self.text[self.offset..]
    }

    /// An error at the place where the lexer stands.
    fn error(&self, what: impl Into<String>) -> Error {
        Error::new(self.text, self.offset, self.position, what)
    }

    /// Passes `length` bytes, counting lines and columns.
    fn advance(&mut self, length: usize) {
        for &byte in &self.text.as_bytes()[self.offset..self.offset + length] {
            if byte == b'\n' {
                self.position.line += 1;
                self.position.column = 1;
            } else if byte & 0xC0 != 0x80 {
                // Continuation bytes of UTF-8 belong to the character before.
                self.position.column += 1;
            }
        }
        self.offset += length;
    }

    /// Passes white space and comments.
    fn skip_blanks(&mut self) -> Result<(), Error> {
        loop {
            let rest = self.rest();
            let length = if rest.starts_with("//") {
                rest.find('\n').unwrap_or(rest.len())
            } else if let Some(comment) = rest.strip_prefix("/*") {
                match comment.find("*/") {
                    Some(end) => end + 4,
                    None => return Err(self.error("this comment does not end: close it with '*/'")),
                }
            } else {
                run_length(rest, |c| matches!(c, b' ' | b'\t' | b'\n' | b'\r' | b'\x0b' | b'\x0c'))
            };
            if length == 0 {
                return Ok(());
            }
            self.advance(length);
        }
    }

    fn word(&self, rest: &'t str) -> Result<(Kind<'t>, usize), Error> {
        let length = 1 + run_length(&rest[1..], in_word);
        match &rest[..length] {
            "%" | "$" => Err(self.error("a name must follow this character")),
            word => Ok((Kind::Word(word), length)),
        }
    }

    fn dotted(&self, rest: &'t str) -> Result<(Kind<'t>, usize), Error> {
        let mut length = 1 + run_length(&rest[1..], in_word);
        if length == 1 {
            return Err(self.error("a directive, type or modifier must follow this dot"));
        }
        while rest[length..].starts_with("::") {
            let part = run_length(&rest[length + 2..], in_word);
            if part == 0 {
                return Err(self.error("a word must follow '::' in this modifier"));
            }
            length += 2 + part;
        }
        Ok((Kind::Dot(&rest[1..length]), length))
    }

    fn quoted(&self, rest: &'t str) -> Result<(Kind<'t>, usize), Error> {
        let mut escaped = false;
        for (at, byte) in rest.bytes().enumerate().skip(1) {
            match byte {
                b'\n' => break,
                b'"' if !escaped => return Ok((Kind::Text(&rest[1..at]), at + 1)),
                _ => escaped = byte == b'\\' && !escaped,
            }
        }
        Err(self.error("this string does not end on its line: close it with '\"'"))
    }

    fn number(&self, rest: &'t str) -> Result<(Kind<'t>, usize), Error> {
        let (kind, length) = match rest.as_bytes() {
            [b'0', b'x' | b'X', ..] => self.integer(rest, 2, 16)?,
            [b'0', b'b' | b'B', ..] => self.integer(rest, 2, 2)?,
            [b'0', b'f' | b'F', ..] => {
                (Kind::Float32(self.float_bits(rest, 8)? as u32), 10) // Eight digits fill a u32 exactly.
            }
            [b'0', b'd' | b'D', ..] => (Kind::Float64(self.float_bits(rest, 16)?), 18),
            bytes => match decimal_float_length(bytes) {
                Some(length) => (self.decimal_float(&rest[..length])?, length),
                None if bytes[0] == b'0' && bytes.get(1).is_some_and(u8::is_ascii_digit) => self.integer(rest, 1, 8)?,
                None => self.integer(rest, 0, 10)?,
            },
        };
        if rest.as_bytes().get(length).is_some_and(|&c| in_word(c) || c == b'.') {
            return Err(self.error("malformed number: expected digits such as 12, 0x1F, 017, 0b11, 1.5 or 0f3F800000"));
        }
        Ok((kind, length))
    }

    /// An integer in base `radix` after a prefix; the suffix `U` changes nothing.
    fn integer(&self, rest: &'t str, prefix: usize, radix: u32) -> Result<(Kind<'t>, usize), Error> {
        let digits = run_length(&rest[prefix..], |c| char::from(c).is_digit(radix));
        let end = prefix + digits;
        if digits == 0 || rest.as_bytes().get(end).is_some_and(u8::is_ascii_digit) {
            return Err(self.error(format!("malformed number: expected digits of base {radix}")));
        }
        let value = u64::from_str_radix(&rest[prefix..end], radix)
            .map_err(|_| self.error("this integer does not fit 64 bits: write a smaller one"))?;
        Ok((Kind::Integer(value), end + usize::from(rest.as_bytes().get(end) == Some(&b'U'))))
    }

    /// The bits in exactly `digits` hexadecimal digits after `0f` or `0d`.
    fn float_bits(&self, rest: &str, digits: usize) -> Result<u64, Error> {
        let found = run_length(&rest[2..], |c| c.is_ascii_hexdigit());
        let bits = if found == digits { u64::from_str_radix(&rest[2..2 + digits], 16).ok() } else { None };
        bits.ok_or_else(|| {
            self.error(format!("malformed number: exactly {digits} hexadecimal digits must follow '{}'", &rest[..2]))
        })
    }

    fn decimal_float(&self, text: &str) -> Result<Kind<'t>, Error> {
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Kind::Float64(value.to_bits())),
            _ => Err(self.error("this number does not fit an f64: write its bits as 0d and 16 hexadecimal digits")),
        }
    }
}

/// How many bytes at the start of `text` are such that `is` holds.
fn run_length(text: &str, is: impl Fn(u8) -> bool) -> usize {
    text.bytes().position(|byte| !is(byte)).unwrap_or(text.len())
}

/// Whether a byte can stand within a name.
fn in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$'
}

/// The length of a number with a fraction or an exponent; none where it is an integer.
fn decimal_float_length(bytes: &[u8]) -> Option<usize> {
    let digits = |from: usize| bytes[from..].iter().take_while(|c| c.is_ascii_digit()).count();
    let whole = digits(0);
    let mut end = whole;
    if bytes.get(end) == Some(&b'.') {
        end += 1 + digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits((end + 1 + sign).min(bytes.len()));
        if exponent > 0 {
            end += 1 + sign + exponent;
        }
    }
    (end > whole).then_some(end)
}
