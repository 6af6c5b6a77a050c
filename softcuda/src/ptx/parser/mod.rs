//! Tokens to the syntax tree. Each file here adds the methods for one part of the grammar to [`Parser`].

mod body;
mod function;
mod module;
mod names;
mod operand;
mod variable;

use super::ast::{Module, Position};
use super::error::Error;
use super::lexer::{Kind, Lexer, Token};
use std::collections::HashSet;

/// The longest text that is parsed, in bytes.
const TEXT_LIMIT: usize = 64 << 20;

/// Parses a PTX text of at most 64 MiB.
///
/// Names in inner scopes (`{ .reg .pred p; ... }`) get `#` and the number of the scope behind them, so that all names
/// of a body differ; `#` stands in no name of a text.
pub fn parse(text: &str) -> Result<Module, Error> {
    if text.len() > TEXT_LIMIT {
        let what = format!("the text has {} bytes, more than {TEXT_LIMIT}: split the module", text.len());
        return Err(Error::new(text, 0, Position { line: 1, column: 1 }, what));
    }
    Parser::new(text)?.module()
}

/// The most tokens of a text. Compiled kernels have four bytes or more for each, and the tree some 80 at most.
const TOKEN_LIMIT: u32 = 20_000_000;

/// What a text may still take of memory: a few bytes of PTX can ask for a great deal.
struct Budget {
    tokens: u32,
    /// Registers in all bodies.
    registers: u64,
    /// Bytes of their names.
    register_names: u64,
    /// Zeros between the rows of an initial value.
    padding: u64,
}

/// The state of parsing: the token to be looked at, and the lexer behind it.
struct Parser<'t> {
    lexer: Lexer<'t>,
    token: Token<'t>,
    budget: Budget,
    /// Variables that have a definition.
    defined_variables: HashSet<&'t str>,
    /// Functions that have a body.
    defined_functions: HashSet<&'t str>,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str) -> Result<Self, Error> {
        let mut lexer = Lexer::new(text);
        let token = lexer.next()?;
        let budget = Budget { tokens: TOKEN_LIMIT, registers: 2_000_000, register_names: 64 << 20, padding: 1 << 20 };
        let (defined_variables, defined_functions) = Default::default();
        Ok(Parser { lexer, token, budget, defined_variables, defined_functions })
    }

    /// Takes the present token and moves on to the next.
    fn take(&mut self) -> Result<Token<'t>, Error> {
        let tokens = self.budget.tokens.checked_sub(1);
        self.budget.tokens =
            tokens.ok_or_else(|| self.error(format!("more than {TOKEN_LIMIT} tokens: split the module")))?;
        let next = self.lexer.next()?;
        Ok(std::mem::replace(&mut self.token, next))
    }

    /// An error at the present token.
    fn error(&self, what: impl Into<String>) -> Error {
        self.error_at(self.token, what)
    }

    /// An error at a token that was taken.
    fn error_at(&self, token: Token<'t>, what: impl Into<String>) -> Error {
        Error::new(self.lexer.text(), token.offset, token.position, what)
    }

    /// Whether the present token is this punctuation.
    fn at(&self, punctuation: char) -> bool {
        self.token.kind == Kind::Punctuation(punctuation)
    }

    /// Takes this punctuation if it is there.
    fn accept(&mut self, punctuation: char) -> Result<bool, Error> {
        let there = self.at(punctuation);
        if there {
            self.take()?;
        }
        Ok(there)
    }

    /// Takes this punctuation, which must be there; `place` says where, such as "after the operands".
    fn expect(&mut self, punctuation: char, place: &str) -> Result<Token<'t>, Error> {
        if self.at(punctuation) { self.take() } else { Err(self.error(format!("expected '{punctuation}' {place}"))) }
    }

    /// Takes a word, which must be there.
    fn expect_word(&mut self, what: &str) -> Result<Token<'t>, Error> {
        match self.token.kind {
            Kind::Word(_) => self.take(),
            _ => Err(self.error(format!("expected {what}"))),
        }
    }

    /// Takes the name of something that is declared.
    fn expect_name(&mut self, what: &str) -> Result<Token<'t>, Error> {
        if self.token.text.starts_with('%') {
            return Err(self.error(format!("expected {what}: a name without '%', which marks registers")));
        }
        self.expect_word(what)
    }

    /// Takes `.word` if it is there.
    fn accept_dot(&mut self, word: &str) -> Result<bool, Error> {
        let there = self.token.kind == Kind::Dot(word);
        if there {
            self.take()?;
        }
        Ok(there)
    }

    /// Takes an integer without a sign, of at most 32 bits.
    fn expect_u32(&mut self, what: &str) -> Result<u32, Error> {
        match self.token.kind {
            Kind::Integer(value) => {
                let value = u32::try_from(value).map_err(|_| self.error(format!("{what} does not fit 32 bits")))?;
                self.take()?;
                Ok(value)
            }
            _ => Err(self.error(format!("expected {what}, an integer"))),
        }
    }

    /// Takes `+4`, `-4` or `+-4` if one is there, else gives 0.
    fn offset(&mut self) -> Result<i64, Error> {
        let mut negative = self.accept('-')?;
        if !negative {
            if !self.accept('+')? {
                return Ok(0);
            }
            negative = self.accept('-')?;
        }
        let Kind::Integer(value) = self.token.kind else {
            return Err(self.error("expected an offset, an integer in bytes"));
        };
        let value = i64::try_from(value).map_err(|_| self.error("this offset does not fit 63 bits"))?;
        self.take()?;
        Ok(if negative { -value } else { value })
    }

    /// Takes a comma, or the punctuation that closes a list; whether the list goes on.
    fn list_goes_on(&mut self, close: char) -> Result<bool, Error> {
        if self.accept(',')? {
            return Ok(true);
        }
        if self.accept(close)? {
            return Ok(false);
        }
        Err(self.error(format!("expected ',' or '{close}' in this list")))
    }
}
