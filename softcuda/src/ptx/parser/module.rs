//! What stands at the level of the module.

use super::Parser;
use super::variable::space_of;
use crate::ptx::ast::{Function, Module, Variable};
use crate::ptx::error::Error;
use crate::ptx::lexer::{Kind, Token};

/// What may stand before a variable or a function.
#[derive(Clone, Copy, Default)]
pub(super) struct Linkage {
    pub external: bool,
    /// `.weak` or `.common`: several definitions are one.
    pub merged: bool,
}

impl<'t> Parser<'t> {
    /// The whole text.
    pub(super) fn module(mut self) -> Result<Module, Error> {
        let mut module = Module::default();
        self.header(&mut module)?;
        while self.token.kind != Kind::End {
            self.module_statement(&mut module)?;
        }
        Ok(module)
    }

    /// `.version`, `.target` and `.address_size`.
    fn header(&mut self, module: &mut Module) -> Result<(), Error> {
        self.header_directive("version", "a PTX text begins with '.version', such as '.version 8.0'")?;
        module.version = self.version()?;
        self.header_directive("target", "'.target' must follow '.version', such as '.target sm_80'")?;
        module.target = self.target()?;
        let size =
            "'.address_size 64' must follow '.target': without it addresses have 32 bits, which is not supported";
        self.header_directive("address_size", size)?;
        match self.token.kind {
            Kind::Integer(64) => self.take().map(drop),
            Kind::Integer(32) => Err(self.error("addresses of 32 bits are not supported: compile for 64 bits")),
            _ => Err(self.error("expected the size of an address: write '.address_size 64'")),
        }
    }

    fn header_directive(&mut self, word: &str, missing: &str) -> Result<(), Error> {
        if self.accept_dot(word)? { Ok(()) } else { Err(self.error(missing)) }
    }

    fn version(&mut self) -> Result<(u32, u32), Error> {
        let parts = self.token.text.split_once('.');
        match parts.map(|(major, minor)| (major.parse(), minor.parse())) {
            Some((Ok(major), Ok(minor))) => {
                self.take()?;
                Ok((major, minor))
            }
            _ => Err(self.error("expected the version of PTX as MAJOR.MINOR, such as 8.0")),
        }
    }

    fn target(&mut self) -> Result<String, Error> {
        let architecture = self.expect_word("an architecture such as sm_80")?;
        if !architecture.text.starts_with("sm_") {
            return Err(self.error_at(architecture, "expected an architecture such as sm_80"));
        }
        while self.accept(',')? {
            let option = self.expect_word("an option of '.target'")?;
            match option.text {
                "debug" | "texmode_unified" | "texmode_independent" | "map_f64_to_f32" => {}
                _ => {
                    return Err(
                        self.error_at(option, "unknown option of '.target': expected 'debug' or a texture mode")
                    );
                }
            }
        }
        Ok(architecture.text.to_owned())
    }

    fn module_statement(&mut self, module: &mut Module) -> Result<(), Error> {
        match self.token.kind {
            Kind::Punctuation(';') => self.take().map(drop),
            Kind::Dot("file") => {
                let file = self.file()?;
                module.files.push(file);
                Ok(())
            }
            Kind::Dot("loc") => self.loc().map(drop),
            Kind::Dot("section") => self.section(),
            Kind::Dot("pragma") => self.pragma(),
            Kind::Dot("alias") => {
                let alias = self.alias()?;
                module.aliases.push(alias);
                Ok(())
            }
            Kind::Dot(_) => self.declaration(module),
            _ => Err(self.error("expected a directive of the module, such as '.global', '.func' or '.entry'")),
        }
    }

    /// A variable or a function, with what stands before it.
    fn declaration(&mut self, module: &mut Module) -> Result<(), Error> {
        let linkage = self.linkage()?;
        match self.token.kind {
            Kind::Dot("entry" | "func") => {
                let function = self.function(linkage)?;
                module.functions.push(function);
                Ok(())
            }
            Kind::Dot("reg") => Err(self.error("registers of a module are not supported: declare them in a function")),
            Kind::Dot("texref" | "samplerref" | "surfref" | "tex") => {
                Err(self.error("textures and surfaces are not supported: read through a '.global' pointer"))
            }
            Kind::Dot("local" | "param") => {
                Err(self.error("this state space has no variables of a module: use '.global', '.const' or '.shared'"))
            }
            Kind::Dot(word) if space_of(word).is_some() => {
                let first = module.variables.len();
                self.variables(linkage.external, &mut module.variables)?
                    .into_iter()
                    .zip(&module.variables[first..])
                    .try_for_each(|(name, variable)| self.define_variable(name, variable, linkage))
            }
            _ => {
                Err(self.error("unknown directive: expected one of the module, such as '.global', '.func' or '.entry'"))
            }
        }
    }

    fn linkage(&mut self) -> Result<Linkage, Error> {
        let mut linkage = Linkage::default();
        loop {
            match self.token.kind {
                Kind::Dot("visible") => {}
                Kind::Dot("extern") => linkage.external = true,
                Kind::Dot("weak" | "common") => linkage.merged = true,
                _ => return Ok(linkage),
            }
            self.take()?;
        }
    }

    /// Notes the definition of a variable: a second one is an error.
    fn define_variable(&mut self, name: Token<'t>, variable: &Variable, linkage: Linkage) -> Result<(), Error> {
        let declared = variable.external || linkage.merged;
        if !declared && !self.defined_variables.insert(name.text) {
            return Err(self.error_at(name, format!("the variable '{}' is defined twice: rename one", name.text)));
        }
        Ok(())
    }

    /// Notes the definition of a function: a second one is an error.
    pub(super) fn define_function(&mut self, name: Token<'t>, function: &Function) -> Result<(), Error> {
        if function.body.is_some() && !self.defined_functions.insert(name.text) {
            return Err(self.error_at(name, format!("the function '{}' has two bodies: rename one", name.text)));
        }
        Ok(())
    }

    /// `.file 1 "name", timestamp, size`.
    fn file(&mut self) -> Result<(u32, String), Error> {
        self.take()?;
        let index = self.expect_u32("the number of the file")?;
        let Kind::Text(name) = self.token.kind else {
            return Err(self.error("expected the name of the file in quotation marks"));
        };
        self.take()?;
        if self.accept(',')? {
            self.expect_integer("the time stamp of the file")?;
            self.expect(',', "between the time stamp and the size of the file")?;
            self.expect_integer("the size of the file")?;
        }
        Ok((index, name.to_owned()))
    }

    fn expect_integer(&mut self, what: &str) -> Result<(), Error> {
        match self.token.kind {
            Kind::Integer(_) => self.take().map(drop),
            _ => Err(self.error(format!("expected {what}, an integer"))),
        }
    }

    /// `.loc file line column`: the file and the line; none where the line is 0, which says that there is none.
    ///
    /// For inlined code this is the innermost place; the caller's, after `inlined_at`, is passed over.
    pub(super) fn loc(&mut self) -> Result<Option<(u32, u32)>, Error> {
        self.take()?;
        let (file, line) = self.place()?;
        if self.accept(',')? {
            self.attribute_word("function_name")?;
            self.expect_word("the label of the function's name")?;
            self.offset()?;
            self.expect(',', "before 'inlined_at'")?;
            self.attribute_word("inlined_at")?;
            self.place()?;
        }
        Ok((line != 0).then_some((file, line)))
    }

    fn place(&mut self) -> Result<(u32, u32), Error> {
        let file = self.expect_u32("the number of a file")?;
        let line = self.expect_u32("a line")?;
        self.expect_u32("a column")?;
        Ok((file, line))
    }

    fn attribute_word(&mut self, word: &str) -> Result<(), Error> {
        if self.token.kind == Kind::Word(word) {
            self.take().map(drop)
        } else {
            Err(self.error(format!("expected '{word}' in this '.loc'")))
        }
    }

    /// `.pragma "text", "text";`: advice to the compiler, which changes no result.
    pub(super) fn pragma(&mut self) -> Result<(), Error> {
        self.take()?;
        loop {
            match self.token.kind {
                Kind::Text(_) => self.take()?,
                _ => return Err(self.error("expected the text of '.pragma' in quotation marks")),
            };
            if !self.list_goes_on(';')? {
                return Ok(());
            }
        }
    }

    /// `.alias name, function;`.
    fn alias(&mut self) -> Result<(String, String), Error> {
        self.take()?;
        let alias = self.expect_name("the alias")?;
        self.expect(',', "between the alias and its function")?;
        let function = self.expect_name("the function that the alias stands for")?;
        self.expect(';', "after '.alias'")?;
        Ok((alias.text.to_owned(), function.text.to_owned()))
    }

    /// `.section .name { ... }`: data for debuggers, checked and passed over.
    fn section(&mut self) -> Result<(), Error> {
        self.take()?;
        match self.token.kind {
            Kind::Dot(_) => self.take()?,
            _ => return Err(self.error("expected the name of the section, such as .debug_info")),
        };
        self.expect('{', "before the data of the section")?;
        while !self.accept('}')? {
            match self.token.kind {
                Kind::Word(_) => {
                    self.take()?;
                    self.expect(':', "after this label of the section")?;
                }
                Kind::Dot("b8" | "b16" | "b32" | "b64") => self.section_data()?,
                _ => return Err(self.error("expected a label, data such as '.b8 1, 2', or '}' in this section")),
            }
        }
        Ok(())
    }

    fn section_data(&mut self) -> Result<(), Error> {
        self.take()?;
        loop {
            match self.token.kind {
                Kind::Word(_) | Kind::Dot(_) => {
                    self.take()?;
                    self.label_offset()?;
                }
                _ => {
                    self.accept('-')?;
                    self.expect_integer("data of the section")?;
                }
            }
            if !self.accept(',')? {
                return Ok(());
            }
        }
    }

    /// `+4`, `-4` or `-label` behind a label of a section, if there.
    fn label_offset(&mut self) -> Result<(), Error> {
        if !self.accept('+')? && !self.accept('-')? {
            return Ok(());
        }
        match self.token.kind {
            Kind::Word(_) | Kind::Integer(_) => self.take().map(drop),
            _ => Err(self.error("expected a label or an integer after this sign")),
        }
    }
}
