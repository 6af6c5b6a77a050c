//! PTX text to a syntax tree.

pub mod ast;
mod error;
mod lexer;
mod parser;

pub use error::Error;
pub use parser::parse;
