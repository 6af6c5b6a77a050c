//! Operands of instructions.

use super::body::BodyParser;
use super::names::Meaning;
use crate::ptx::ast::{AddressBase, Operand};
use crate::ptx::error::Error;
use crate::ptx::lexer::{Kind, Token};
use std::collections::HashMap;

/// The most elements of `{...}`.
const VECTOR_LIMIT: usize = 256;
/// Threads in a warp, which `WARP_SZ` stands for.
const WARP_SIZE: i64 = 32;

/// Special registers without elements and without a number in their names.
const SPECIAL: [&str; 36] = [
    "%laneid",
    "%warpid",
    "%nwarpid",
    "%smid",
    "%nsmid",
    "%gridid",
    "%is_explicit_cluster",
    "%cluster_ctarank",
    "%cluster_nctarank",
    "%lanemask_eq",
    "%lanemask_le",
    "%lanemask_lt",
    "%lanemask_ge",
    "%lanemask_gt",
    "%clock",
    "%clock_hi",
    "%clock64",
    "%globaltimer",
    "%globaltimer_lo",
    "%globaltimer_hi",
    "%reserved_smem_offset_begin",
    "%reserved_smem_offset_end",
    "%reserved_smem_offset_cap",
    "%reserved_smem_offset_0",
    "%reserved_smem_offset_1",
    "%total_smem_size",
    "%aggr_smem_size",
    "%dynamic_smem_size",
    "%current_graph_exec",
    "%tid",
    "%ntid",
    "%ctaid",
    "%nctaid",
    "%clusterid",
    "%nclusterid",
    "%cluster_ctaid",
];

/// Whether a name is that of a special register.
fn special(name: &str) -> bool {
    let numbered = |prefix: &str, suffix: &str, count: u32| {
        let number = name.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(suffix));
        number.is_some_and(|number| number.parse::<u32>().is_ok_and(|n| n < count && n.to_string() == number))
    };
    SPECIAL.contains(&name)
        || name == "%cluster_nctaid"
        || numbered("%envreg", "", 32)
        || numbered("%pm", "", 8)
        || numbered("%pm", "_64", 8)
}

/// Whether a special register has the elements x, y, z and w.
fn has_elements(name: &str) -> bool {
    matches!(
        name,
        "%tid" | "%ntid" | "%ctaid" | "%nctaid" | "%clusterid" | "%nclusterid" | "%cluster_ctaid" | "%cluster_nctaid"
    )
}

impl<'t> BodyParser<'_, 't> {
    /// An operand of any instruction but a call.
    pub(super) fn operand(&mut self) -> Result<Operand, Error> {
        match self.parser.token.kind {
            Kind::Punctuation('[') => self.address(),
            Kind::Punctuation('{') => self.vector(),
            Kind::Punctuation('!') => {
                self.parser.take()?;
                Ok(Operand::Not(self.register_name("a predicate after '!'")?))
            }
            Kind::Punctuation('(') => {
                Err(self.parser.error("only a call has a list in '()': write the operand itself"))
            }
            _ => self.scalar_or_pair(),
        }
    }

    fn scalar_or_pair(&mut self) -> Result<Operand, Error> {
        let token = self.parser.token;
        let first = self.scalar()?;
        if !self.parser.accept('|')? {
            return Ok(first);
        }
        self.destination(token, &first)?;
        let token = self.parser.token;
        let second = self.scalar()?;
        self.destination(token, &second)?;
        Ok(Operand::Pair(Box::new(first), Box::new(second)))
    }

    /// Checks that a part of a pair, which began at `token`, can be written to.
    fn destination(&self, token: Token<'t>, part: &Operand) -> Result<(), Error> {
        match part {
            Operand::Register(_) | Operand::Sink => Ok(()),
            _ => Err(self.parser.error_at(token, "expected a register or '_' beside '|'")),
        }
    }

    /// A number, a register, a symbol or `_`.
    fn scalar(&mut self) -> Result<Operand, Error> {
        match self.parser.token.kind {
            Kind::Word("_") => self.parser.take().map(|_| Operand::Sink),
            Kind::Word(_) => self.name(),
            Kind::Punctuation('-') | Kind::Integer(_) | Kind::Float32(_) | Kind::Float64(_) => self.number(),
            _ => Err(self.parser.error("expected an operand: a register, a number, a symbol, '[...]' or '{...}'")),
        }
    }

    fn number(&mut self) -> Result<Operand, Error> {
        let negative = self.parser.accept('-')?;
        let operand = match self.parser.token.kind {
            Kind::Integer(magnitude) if !negative => Operand::Integer(magnitude as i64), // The same bits.
            Kind::Integer(magnitude) if magnitude <= 1 << 63 => Operand::Integer(magnitude.wrapping_neg() as i64),
            Kind::Integer(_) => return Err(self.parser.error("this negative integer does not fit 64 bits")),
            Kind::Float32(bits) => Operand::Float32(bits ^ u32::from(negative) << 31),
            Kind::Float64(bits) => Operand::Float64(bits ^ u64::from(negative) << 63),
            _ => return Err(self.parser.error("expected a number after '-'")),
        };
        self.parser.take()?;
        Ok(operand)
    }

    /// A register or a symbol with its offset.
    fn name(&mut self) -> Result<Operand, Error> {
        let name = self.parser.take()?;
        match self.named(name)? {
            Named::Register(register) => {
                if self.parser.at('+') || self.parser.at('-') {
                    return Err(self.parser.error("an offset behind a register stands in '[...]' only: add it before"));
                }
                Ok(Operand::Register(register))
            }
            Named::Constant(value) => Ok(Operand::Integer(value)),
            Named::Symbol(symbol) => Ok(Operand::Symbol(symbol, self.parser.offset()?)),
        }
    }

    /// What a name that was taken stands for; takes the element of a special register.
    fn named(&mut self, name: Token<'t>) -> Result<Named, Error> {
        let found = match self.names.resolve(name.text) {
            Some((Meaning::Register, unique)) => Named::Register(unique.into_owned()),
            Some((_, unique)) => Named::Symbol(unique.into_owned()),
            None if special(name.text) => return self.special_register(name).map(Named::Register),
            None if name.text == "WARP_SZ" => Named::Constant(WARP_SIZE),
            None if name.text.starts_with('%') => {
                let what = format!("the register '{}' is not declared: declare it with '.reg'", name.text);
                return Err(self.parser.error_at(name, what));
            }
            None if name.text == "_" => {
                return Err(self.parser.error_at(name, "'_' cannot stand here: name a register"));
            }
            None => {
                self.unresolved.push(name.text);
                Named::Symbol(name.text.to_owned())
            }
        };
        self.no_element()?;
        Ok(found)
    }

    /// The name of a special register with its element.
    fn special_register(&mut self, name: Token<'t>) -> Result<String, Error> {
        match self.parser.token.kind {
            Kind::Dot(element @ ("x" | "y" | "z" | "w")) if has_elements(name.text) => {
                self.parser.take()?;
                Ok(format!("{}.{element}", name.text))
            }
            _ => self.no_element().map(|()| name.text.to_owned()),
        }
    }

    fn no_element(&self) -> Result<(), Error> {
        match self.parser.token.kind {
            Kind::Dot(_) => Err(self.parser.error(
                "this name has no elements: only special registers such as %tid have them, and they are x, y, z and w",
            )),
            _ => Ok(()),
        }
    }

    /// A register, which must be there.
    pub(super) fn register_name(&mut self, what: &str) -> Result<String, Error> {
        let name = self.parser.expect_word(&format!("{what}, a register"))?;
        match self.named(name)? {
            Named::Register(register) => Ok(register),
            _ => {
                Err(self.parser.error_at(name, format!("expected {what}: '{}' is not a declared register", name.text)))
            }
        }
    }

    /// `[base+offset]`.
    fn address(&mut self) -> Result<Operand, Error> {
        self.parser.take()?;
        let operand = match self.parser.token.kind {
            Kind::Word(_) => {
                let name = self.parser.take()?;
                let base = match self.named(name)? {
                    Named::Register(register) => AddressBase::Register(register),
                    Named::Symbol(symbol) => AddressBase::Symbol(symbol),
                    Named::Constant(_) => return Err(self.parser.error_at(name, "an address begins with no constant")),
                };
                Operand::Address { base, offset: self.parser.offset()? }
            }
            Kind::Integer(_) | Kind::Punctuation('-') => match self.number()? {
                Operand::Integer(offset) => Operand::Address { base: AddressBase::Absolute, offset },
                _ => return Err(self.parser.error("an address is an integer")),
            },
            _ => return Err(self.parser.error("expected an address: a register, a symbol or an integer")),
        };
        if self.parser.at(',') {
            return Err(self.parser.error("texture and tensor addresses '[a, {b}]' are not supported"));
        }
        self.parser.expect(']', "after the address")?;
        Ok(operand)
    }

    /// `{a, b}`.
    fn vector(&mut self) -> Result<Operand, Error> {
        let brace = self.parser.take()?;
        let mut elements = Vec::new();
        loop {
            if elements.len() == VECTOR_LIMIT {
                return Err(self.parser.error_at(brace, format!("more than {VECTOR_LIMIT} elements in these braces")));
            }
            elements.push(self.scalar()?);
            if !self.parser.list_goes_on('}')? {
                return Ok(Operand::Vector(elements));
            }
        }
    }

    /// `(returns), target, (arguments), prototype;`: always the first three, with empty lists for those left out.
    pub(super) fn call_operands(&mut self) -> Result<Vec<Operand>, Error> {
        let mut returns = Vec::new();
        if self.parser.at('(') {
            returns = self.call_list()?;
            self.parser.expect(',', "after the returns of a call")?;
        }
        let target = self.call_target("the function to call")?;
        let mut operands = vec![Operand::List(returns), target, Operand::List(Vec::new())];
        if self.parser.accept(',')? {
            if self.parser.at('(') {
                operands[2] = Operand::List(self.call_list()?);
                if self.parser.accept(',')? {
                    operands.push(self.call_target("the prototype of the call")?);
                }
            } else {
                operands.push(self.call_target("the arguments or the prototype of the call")?);
            }
        }
        self.parser.expect(';', "after this call")?;
        Ok(operands)
    }

    /// A function, a prototype, or a register with the address of a function.
    fn call_target(&mut self, what: &str) -> Result<Operand, Error> {
        let token = self.parser.token;
        match self.scalar()? {
            target @ (Operand::Register(_) | Operand::Symbol(_, 0)) => Ok(target),
            _ => Err(self.parser.error_at(token, format!("expected {what}, a name"))),
        }
    }

    /// `(a, b)`.
    fn call_list(&mut self) -> Result<Vec<Operand>, Error> {
        self.parser.take()?;
        let mut list = Vec::new();
        if self.parser.accept(')')? {
            return Ok(list);
        }
        loop {
            list.push(self.scalar()?);
            if !self.parser.list_goes_on(')')? {
                return Ok(list);
            }
        }
    }
}

/// What a name stands for in an operand.
enum Named {
    Register(String),
    Symbol(String),
    Constant(i64),
}

/// Renames the symbols that are in `unique`. One that has its unique name already is not: it has a `#`.
pub(super) fn rename_symbols(operands: &mut [Operand], unique: &HashMap<&str, &str>) {
    for operand in operands {
        match operand {
            Operand::Symbol(name, _) | Operand::Address { base: AddressBase::Symbol(name), .. } => rename(name, unique),
            Operand::Vector(elements) | Operand::List(elements) => rename_symbols(elements, unique),
            _ => {}
        }
    }
}

/// Renames a symbol if it is in `unique`.
pub(super) fn rename(name: &mut String, unique: &HashMap<&str, &str>) {
    if let Some(unique) = unique.get(name.as_str()) {
        (*unique).clone_into(name);
    }
}
