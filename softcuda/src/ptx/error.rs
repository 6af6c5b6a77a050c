//! The error of the lexer and the parser.

use super::ast::Position;
use std::fmt;

/// How many characters of the offending text an error quotes.
const QUOTED: usize = 60;

/// Why a text is not a PTX module.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Error {
    /// Where the offending text begins.
    pub position: Position,
    /// What is wrong, and what to do.
    pub what: String,
    /// The offending text, to the end of its line at most; empty at the end of the text.
    pub near: String,
}

impl Error {
    /// An error at byte `offset` of `text`, which is `position`.
    pub(super) fn new(text: &str, offset: usize, position: Position, what: impl Into<String>) -> Error {
        let line = text.get(offset..).unwrap_or("").split(['\n', '\r']).next().unwrap_or("");
        // The line may be as long as the text: only its beginning is looked at.
        let mut near: String =
            line.chars().take(QUOTED + 1).map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
        if near.chars().nth(QUOTED).is_some() {
            near = near.chars().take(QUOTED - 3).chain("...".chars()).collect();
        }
        Error { position, what: what.into(), near: near.trim_end().to_owned() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PTX {}: {}", self.position, self.what)?;
        if self.near.is_empty() { f.write_str(" at the end of the line") } else { write!(f, " near '{}'", self.near) }
    }
}
