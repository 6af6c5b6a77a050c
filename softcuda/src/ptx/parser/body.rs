//! The bodies of functions: declarations, labels, scopes and instructions.

use super::Parser;
use super::names::{Meaning, Names, Pending, User};
use super::operand::{rename, rename_symbols};
use super::variable::space_of;
use crate::ptx::ast::{Body, Instruction, Operand, Type};
use crate::ptx::error::Error;
use crate::ptx::lexer::{Kind, Token};
use std::collections::HashMap;

/// The most registers of one body.
const REGISTER_LIMIT: u64 = 1_000_000;

/// Parses one body.
pub(super) struct BodyParser<'p, 't> {
    pub parser: &'p mut Parser<'t>,
    pub names: Names<'t>,
    /// Symbols of the present instruction that stand for no variable.
    pub unresolved: Vec<&'t str>,
    body: Body,
    source: Option<(u32, u32)>,
}

impl<'p, 't> BodyParser<'p, 't> {
    /// A body in which the parameters are declared.
    pub fn new(parser: &'p mut Parser<'t>, parameters: &[Token<'t>]) -> Result<Self, Error> {
        let mut names = Names::new();
        for parameter in parameters {
            if names.declare(parameter.text, Meaning::Variable).is_none() {
                return Err(parser.error_at(*parameter, "this name is declared twice: rename one"));
            }
        }
        Ok(BodyParser { parser, names, unresolved: Vec::new(), body: Body::default(), source: None })
    }

    /// `{ ... }`.
    pub fn body(mut self) -> Result<Body, Error> {
        self.parser.expect('{', "before the body of a function")?;
        while self.statement()? {}
        Ok(self.body)
    }

    /// One statement; false after the brace that ends the body.
    fn statement(&mut self) -> Result<bool, Error> {
        match self.parser.token.kind {
            Kind::Punctuation('}') => {
                self.parser.take()?;
                if self.names.outermost() {
                    return Ok(false);
                }
                self.close_scope();
            }
            Kind::Punctuation('{') => self.open_scope()?,
            Kind::Punctuation(';') => drop(self.parser.take()?),
            Kind::Punctuation('@') => self.instruction()?,
            Kind::Word(_) => self.label_or_instruction()?,
            Kind::Dot(word) => self.directive(word)?,
            Kind::End => return Err(self.parser.error("the text ends within a body: close it with '}'")),
            _ => return Err(self.parser.error("expected an instruction, a label, a directive or '}'")),
        }
        Ok(true)
    }

    fn open_scope(&mut self) -> Result<(), Error> {
        let brace = self.parser.take()?;
        if self.names.open() {
            Ok(())
        } else {
            Err(self.parser.error_at(brace, "more than 64 scopes within each other: take some away"))
        }
    }

    /// Closes the innermost scope and gives the uses of its labels their unique names.
    fn close_scope(&mut self) {
        let renamed = self.names.close();
        for uses in renamed.chunk_by(|a, b| a.pending.user == b.pending.user) {
            let unique: HashMap<&str, &str> = uses.iter().map(|r| (r.pending.name, r.unique.as_str())).collect();
            match uses[0].pending.user {
                User::Instruction(index) => rename_symbols(&mut self.body.instructions[index].operands, &unique),
                User::BranchTargets(index) => {
                    self.body.branch_targets[index].1.iter_mut().for_each(|label| rename(label, &unique));
                }
            }
        }
    }

    fn directive(&mut self, word: &str) -> Result<(), Error> {
        match word {
            "reg" => self.registers(),
            "loc" => {
                self.source = self.parser.loc()?;
                Ok(())
            }
            "pragma" => self.parser.pragma(),
            "branchtargets" | "callprototype" | "calltargets" => {
                Err(self.parser.error("a label must stand before this directive, such as 'name: .branchtargets a, b;'"))
            }
            _ if space_of(word).is_some() => self.variables(),
            _ => Err(self.parser.error("unknown directive: expected one of a body, such as '.reg' or '.shared'")),
        }
    }

    fn variables(&mut self) -> Result<(), Error> {
        let first = self.body.variables.len();
        let names = self.parser.variables(false, &mut self.body.variables)?;
        for (name, variable) in names.into_iter().zip(&mut self.body.variables[first..]) {
            let unique = self.names.declare(name.text, Meaning::Variable);
            variable.name = unique.ok_or_else(|| twice(self.parser, name))?.into_owned();
        }
        Ok(())
    }

    /// `.reg .b32 %r<5>, %a;`.
    fn registers(&mut self) -> Result<(), Error> {
        self.parser.take()?;
        let Kind::Dot(word) = self.parser.token.kind else {
            return Err(self.parser.error("expected the type of the registers, such as '.b32'"));
        };
        let Some(ty) = Type::parse(word) else {
            return Err(self.parser.error(match word {
                "v2" | "v4" => "registers that are vectors are not supported: declare one register for each element",
                _ => "unknown type of a register: expected one such as '.b32' or '.pred'",
            }));
        };
        self.parser.take()?;
        loop {
            self.register(ty)?;
            if !self.parser.list_goes_on(';')? {
                return Ok(());
            }
        }
    }

    fn register(&mut self, ty: Type) -> Result<(), Error> {
        let name = self.parser.expect_word("the name of a register")?;
        if !self.parser.accept('<')? {
            self.spend(name, 1)?;
            let unique = self.names.declare(name.text, Meaning::Register).ok_or_else(|| twice(self.parser, name))?;
            self.body.registers.push((unique.into_owned(), ty));
            return Ok(());
        }
        let count = self.parser.expect_u32("the number of registers")?;
        self.parser.expect('>', "after the number of registers")?;
        self.spend(name, count)?;
        let names = self.names.declare_range(name.text, count).ok_or_else(|| twice(self.parser, name))?;
        self.body.registers.extend(names.into_iter().map(|name| (name, ty)));
        Ok(())
    }

    /// Takes registers from what the text may have.
    fn spend(&mut self, name: Token<'t>, count: u32) -> Result<(), Error> {
        let count = u64::from(count);
        if self.body.registers.len() as u64 + count > REGISTER_LIMIT {
            let what = format!("this body declares more than {REGISTER_LIMIT} registers: declare fewer");
            return Err(self.parser.error_at(name, what));
        }
        let budget = &mut self.parser.budget;
        let registers = budget.registers.checked_sub(count);
        let bytes = count.checked_mul(name.text.len() as u64).and_then(|n| budget.register_names.checked_sub(n));
        let (Some(registers), Some(bytes)) = (registers, bytes) else {
            return Err(self
                .parser
                .error_at(name, "the registers of this module take too much memory: split the module"));
        };
        (budget.registers, budget.register_names) = (registers, bytes);
        Ok(())
    }

    /// `name:` with what it names, or an instruction.
    fn label_or_instruction(&mut self) -> Result<(), Error> {
        let word = self.parser.take()?;
        if !self.parser.accept(':')? {
            return self.unguarded(word, word, None);
        }
        if word.text.starts_with('%') {
            return Err(self.parser.error_at(word, "a label has no '%': remove it"));
        }
        let unique =
            self.names.declare(word.text, Meaning::Label).ok_or_else(|| twice(self.parser, word))?.into_owned();
        match self.parser.token.kind {
            Kind::Dot("branchtargets") => self.branch_targets(unique),
            Kind::Dot("callprototype") => self.prototype(unique),
            Kind::Dot("calltargets") => self.call_targets(),
            _ => {
                self.body.labels.push((unique, self.body.instructions.len()));
                Ok(())
            }
        }
    }

    /// `.branchtargets a, b;`.
    fn branch_targets(&mut self, name: String) -> Result<(), Error> {
        let user = User::BranchTargets(self.body.branch_targets.len());
        self.parser.take()?;
        let mut labels = Vec::new();
        loop {
            let label = self.parser.expect_name("a label")?;
            self.names.wait(Pending { user, name: label.text });
            labels.push(label.text.to_owned());
            if !self.parser.list_goes_on(';')? {
                break;
            }
        }
        self.body.branch_targets.push((name, labels));
        Ok(())
    }

    /// `.calltargets f, g;`: which functions a call may reach, which the call itself finds out.
    fn call_targets(&mut self) -> Result<(), Error> {
        self.parser.take()?;
        loop {
            self.parser.expect_name("the name of a function")?;
            if !self.parser.list_goes_on(';')? {
                return Ok(());
            }
        }
    }

    /// `.callprototype (.param .b32 _) _ (.param .b32 _);`.
    fn prototype(&mut self, name: String) -> Result<(), Error> {
        self.parser.take()?;
        let returns = if self.parser.at('(') { self.parser.parameters()?.0 } else { Vec::new() };
        match self.parser.token.kind {
            Kind::Word("_") => self.parser.take()?,
            _ => return Err(self.parser.error("expected '_' in place of the function's name")),
        };
        let parameters = if self.parser.at('(') { self.parser.parameters()?.0 } else { Vec::new() };
        while let Kind::Dot(word) = self.parser.token.kind {
            let directive = self.parser.take()?;
            match word {
                "noreturn" => {}
                "abi_preserve" | "abi_preserve_control" => drop(self.parser.expect_u32("a number of registers")?),
                _ => return Err(self.parser.error_at(directive, "unknown directive: expected one of a prototype")),
            }
        }
        self.parser.expect(';', "after this prototype")?;
        self.body.prototypes.push((name, returns, parameters));
        Ok(())
    }

    /// An instruction behind its guard.
    fn instruction(&mut self) -> Result<(), Error> {
        let first = self.parser.take()?;
        let negated = self.parser.accept('!')?;
        let guard = self.register_name("the predicate of the guard")?;
        let opcode = self.parser.expect_word("an instruction after its guard")?;
        self.unguarded(first, opcode, Some((guard, negated)))
    }

    /// What follows the opcode.
    fn unguarded(&mut self, first: Token<'t>, opcode: Token<'t>, guard: Option<(String, bool)>) -> Result<(), Error> {
        if !opcode.text.starts_with(|c: char| c.is_ascii_lowercase()) {
            return Err(self.parser.error_at(opcode, "expected an instruction, or a label with ':' behind it"));
        }
        let mut modifiers = Vec::new();
        while let Kind::Dot(word) = self.parser.token.kind {
            modifiers.push(word.to_owned());
            self.parser.take()?;
        }
        let operands = if opcode.text == "call" { self.call_operands()? } else { self.operands()? };
        self.push(Instruction {
            position: first.position,
            source: self.source,
            guard,
            opcode: opcode.text.to_owned(),
            modifiers,
            operands,
        });
        Ok(())
    }

    /// Operands up to the semicolon.
    fn operands(&mut self) -> Result<Vec<Operand>, Error> {
        let mut operands = Vec::new();
        if self.parser.accept(';')? {
            return Ok(operands);
        }
        loop {
            operands.push(self.operand()?);
            if !self.parser.list_goes_on(';')? {
                return Ok(operands);
            }
        }
    }

    fn push(&mut self, instruction: Instruction) {
        let user = User::Instruction(self.body.instructions.len());
        for name in self.unresolved.drain(..) {
            self.names.wait(Pending { user, name });
        }
        self.body.instructions.push(instruction);
    }
}

/// An error at a name that its scope has already.
fn twice(parser: &Parser<'_>, name: Token<'_>) -> Error {
    let what = format!("'{}' is declared twice in this scope: rename one", name.text);
    Error::new(parser.lexer.text(), name.offset, name.position, what)
}
