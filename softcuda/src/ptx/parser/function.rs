//! Kernels and device functions: what stands before their bodies.

use super::Parser;
use super::body::BodyParser;
use super::module::Linkage;
use crate::ptx::ast::{Function, Variable};
use crate::ptx::error::Error;
use crate::ptx::lexer::{Kind, Token};

impl<'t> Parser<'t> {
    /// `.entry name (parameters) directives { ... }` or `.func (return) name (parameters) directives { ... }`.
    pub(super) fn function(&mut self, linkage: Linkage) -> Result<Function, Error> {
        let kernel = self.take()?.text == ".entry";
        while self.token.kind == Kind::Dot("attribute") {
            self.attribute()?;
        }
        let mut declared = Vec::new();
        let (mut returns, mut parameters) = (Vec::new(), Vec::new());
        if !kernel && self.at('(') {
            returns = self.named_parameters(&mut declared)?;
        }
        let name = self.expect_name("the name of a function")?;
        if self.at('(') {
            parameters = self.named_parameters(&mut declared)?;
        }
        let mut function = Function {
            name: name.text.to_owned(),
            kernel,
            parameters,
            returns,
            max_threads: None,
            required_block: None,
            min_blocks: None,
            max_registers: None,
            body: None,
            position: name.position,
        };
        self.function_directives(&mut function)?;
        if self.at('{') {
            if linkage.external {
                return Err(self.error("an '.extern' function has no body: end the declaration with ';'"));
            }
            function.body = Some(BodyParser::new(self, &declared)?.body()?);
        } else {
            self.expect(';', "or a body '{ ... }' after the head of this function")?;
        }
        if !linkage.merged {
            self.define_function(name, &function)?;
        }
        Ok(function)
    }

    /// Parameters whose names join `declared`.
    fn named_parameters(&mut self, declared: &mut Vec<Token<'t>>) -> Result<Vec<Variable>, Error> {
        let (parameters, names) = self.parameters()?;
        declared.extend(names.into_iter().filter(|name| name.text != "_"));
        Ok(parameters)
    }

    /// `.maxntid 256, 1, 1` and the like.
    fn function_directives(&mut self, function: &mut Function) -> Result<(), Error> {
        while let Kind::Dot(word) = self.token.kind {
            if word == "pragma" {
                self.pragma()?;
                continue;
            }
            let directive = self.take()?;
            match word {
                "maxntid" => function.max_threads = Some(self.threads(directive)?),
                "reqntid" => function.required_block = Some(self.extents()?),
                "minnctapersm" => function.min_blocks = Some(self.expect_u32("a number of blocks")?),
                "maxnreg" => function.max_registers = Some(self.expect_u32("a number of registers")?),
                "reqnctapercluster" => self.extents().map(drop)?,
                "maxnctapersm" | "maxclusterrank" | "abi_preserve" | "abi_preserve_control" => {
                    self.expect_u32("the value of this directive").map(drop)?;
                }
                "explicitcluster" | "blocksareclusters" | "noreturn" => {}
                _ => {
                    return Err(self.error_at(directive, "unknown directive: expected one of a function or its body"));
                }
            }
        }
        Ok(())
    }

    /// `x`, `x, y` or `x, y, z`, each at least 1.
    fn extents(&mut self) -> Result<[u32; 3], Error> {
        let mut extents = [1; 3];
        for (axis, extent) in extents.iter_mut().enumerate() {
            if axis > 0 && !self.accept(',')? {
                break;
            }
            let token = self.token;
            *extent = self.expect_u32("an extent")?;
            if *extent == 0 {
                return Err(self.error_at(token, "an extent is at least 1"));
            }
        }
        Ok(extents)
    }

    /// The product of the extents.
    fn threads(&mut self, directive: Token<'t>) -> Result<u32, Error> {
        let product = self.extents()?.iter().try_fold(1_u32, |product, extent| product.checked_mul(*extent));
        product.ok_or_else(|| self.error_at(directive, "the product of these extents does not fit 32 bits"))
    }
}
