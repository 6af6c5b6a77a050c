//! Variables, parameters and initial values.

use super::Parser;
use crate::ptx::ast::{Initial, Space, Type, Variable};
use crate::ptx::error::Error;
use crate::ptx::lexer::{Kind, Token};

/// The largest variable, in bytes.
const SIZE_LIMIT: u64 = 1 << 40;
/// The most dimensions of an array.
const DIMENSION_LIMIT: usize = 16;

/// The state space that a directive names.
pub(super) fn space_of(word: &str) -> Option<Space> {
    Some(match word {
        "global" => Space::Global,
        "shared" | "shared::cta" => Space::Shared,
        "local" => Space::Local,
        "const" => Space::Const,
        "param" => Space::Param,
        _ => return None,
    })
}

/// What stands before the names of a declaration.
struct Specifiers {
    space: Space,
    align: Option<u32>,
    ty: Type,
    vector: u32,
    external: bool,
}

/// The dimensions of an array, the length of a vector as the last of them.
struct Shape {
    /// 0 where there is no length: the first alone.
    dimensions: Vec<u64>,
    unsized_array: bool,
}

impl<'t> Parser<'t> {
    /// `.space .align 4 .v2 .b32 name[3] = {...}, ...;` into `variables`; gives the names.
    pub(super) fn variables(&mut self, external: bool, variables: &mut Vec<Variable>) -> Result<Vec<Token<'t>>, Error> {
        let specifiers = self.specifiers(external)?;
        let mut names = Vec::new();
        loop {
            let name = self.expect_name("the name of a variable")?;
            let variable = self.variable(&specifiers, name)?;
            variables.push(variable);
            names.push(name);
            if !self.accept(',')? {
                break;
            }
        }
        self.expect(';', "after this declaration")?;
        Ok(names)
    }

    /// `(.param .b32 a, .param .align 8 .b8 b[24])`; gives the names too.
    pub(super) fn parameters(&mut self) -> Result<(Vec<Variable>, Vec<Token<'t>>), Error> {
        let (mut parameters, mut names) = (Vec::new(), Vec::new());
        self.expect('(', "before the parameters")?;
        if self.accept(')')? {
            return Ok((parameters, names));
        }
        loop {
            match self.token.kind {
                Kind::Dot("param") => {}
                Kind::Dot("reg") => return Err(self.error("parameters in registers are not supported: use '.param'")),
                _ => return Err(self.error("expected a parameter, such as '.param .b32 name'")),
            }
            let specifiers = self.specifiers(false)?;
            self.pointer()?;
            let name = self.expect_name("the name of a parameter")?;
            if self.at('=') {
                return Err(self.error("a parameter has no initial value"));
            }
            parameters.push(self.variable(&specifiers, name)?);
            names.push(name);
            if !self.list_goes_on(')')? {
                return Ok((parameters, names));
            }
        }
    }

    /// The state space, the alignment, the attributes and the type of a declaration.
    fn specifiers(&mut self, external: bool) -> Result<Specifiers, Error> {
        let space = match self.token.kind {
            Kind::Dot(word) => space_of(word),
            _ => None,
        };
        let space = space.ok_or_else(|| self.error("expected a state space, such as '.global'"))?;
        self.take()?;
        let (mut align, mut vector) = (None, 1);
        loop {
            match self.token.kind {
                Kind::Dot("align") => align = Some(self.align()?),
                Kind::Dot("attribute") => self.attribute()?,
                Kind::Dot("v2") => vector = self.take().map(|_| 2)?,
                Kind::Dot("v4") => vector = self.take().map(|_| 4)?,
                _ => break,
            }
        }
        let ty = self.stored_type()?;
        Ok(Specifiers { space, align, ty, vector, external })
    }

    fn stored_type(&mut self) -> Result<Type, Error> {
        let Kind::Dot(word) = self.token.kind else {
            return Err(self.error("expected a type, such as '.b32'"));
        };
        match Type::parse(word) {
            Some(Type::Pred) => Err(self.error("predicates lie in registers only: use '.b8'")),
            Some(ty) => self.take().map(|_| ty),
            None if matches!(word, "texref" | "samplerref" | "surfref") => {
                Err(self.error("textures and surfaces are not supported: read through a '.global' pointer"))
            }
            None => Err(self.error("unknown type: expected one such as '.b32', '.u64' or '.f32'")),
        }
    }

    /// `.align 16`.
    fn align(&mut self) -> Result<u32, Error> {
        self.take()?;
        let token = self.token;
        let align = self.expect_u32("an alignment")?;
        if !align.is_power_of_two() {
            return Err(self.error_at(token, "an alignment is a power of two, such as 8"));
        }
        Ok(align)
    }

    /// `.attribute(.managed)` or `.attribute(.unified(1, 2))`: managed memory is as any other here.
    pub(super) fn attribute(&mut self) -> Result<(), Error> {
        self.take()?;
        self.expect('(', "after '.attribute'")?;
        loop {
            match self.token.kind {
                Kind::Dot("managed") => self.take().map(drop)?,
                Kind::Dot("unified") => self.unified()?,
                _ => return Err(self.error("unknown attribute: expected '.managed' or '.unified(a, b)'")),
            }
            if !self.list_goes_on(')')? {
                return Ok(());
            }
        }
    }

    fn unified(&mut self) -> Result<(), Error> {
        self.take()?;
        self.expect('(', "after '.unified'")?;
        for close in [',', ')'] {
            match self.token.kind {
                Kind::Integer(_) => self.take()?,
                _ => return Err(self.error("expected an integer of the identifier")),
            };
            self.expect(close, "in '.unified'")?;
        }
        Ok(())
    }

    /// `.ptr .global .align 16`: what a parameter points to, which the check of each access finds out by itself.
    fn pointer(&mut self) -> Result<(), Error> {
        if !self.accept_dot("ptr")? {
            return Ok(());
        }
        if let Kind::Dot(word) = self.token.kind
            && space_of(word).is_some()
        {
            self.take()?;
        }
        if self.token.kind == Kind::Dot("align") {
            self.align()?;
        }
        Ok(())
    }

    /// What follows the name of a variable: dimensions and the initial value.
    fn variable(&mut self, specifiers: &Specifiers, name: Token<'t>) -> Result<Variable, Error> {
        if self.at('<') {
            return Err(self.error("only registers are numbered by '<N>': declare an array"));
        }
        let mut shape = self.shape(specifiers)?;
        let initial = if self.accept('=')? { self.initial(specifiers, &mut shape)? } else { Vec::new() };
        let element = u64::from(specifiers.ty.bytes());
        let size = shape.dimensions.iter().try_fold(element, |size, n| size.checked_mul(*n));
        let size = size.filter(|size| *size <= SIZE_LIMIT).ok_or_else(|| {
            self.error_at(name, format!("this variable takes more than {SIZE_LIMIT} bytes: make it smaller"))
        })?;
        Ok(Variable {
            name: name.text.to_owned(),
            space: specifiers.space,
            align: specifiers.align.unwrap_or(specifiers.ty.bytes() * specifiers.vector),
            ty: specifiers.ty,
            size,
            unsized_array: shape.unsized_array,
            initial,
            external: specifiers.external,
            position: name.position,
        })
    }

    /// `[2][3]`, or `[]` for the first.
    fn shape(&mut self, specifiers: &Specifiers) -> Result<Shape, Error> {
        let (mut dimensions, mut unsized_array) = (Vec::new(), false);
        while self.at('[') {
            if dimensions.len() == DIMENSION_LIMIT {
                return Err(self.error(format!("an array has at most {DIMENSION_LIMIT} dimensions")));
            }
            let open = self.take()?;
            match self.token.kind {
                Kind::Integer(length) => {
                    self.take()?;
                    dimensions.push(length);
                }
                _ if self.at(']') && dimensions.is_empty() => {
                    unsized_array = true;
                    dimensions.push(0);
                }
                _ if self.at(']') => return Err(self.error_at(open, "only the first dimension has no length")),
                _ => return Err(self.error("expected the length of an array, an integer")),
            }
            self.expect(']', "after the length of an array")?;
        }
        if specifiers.vector > 1 {
            dimensions.push(u64::from(specifiers.vector));
        }
        Ok(Shape { dimensions, unsized_array })
    }

    /// What follows the equals sign; gives an array without a length the one of its value.
    fn initial(&mut self, specifiers: &Specifiers, shape: &mut Shape) -> Result<Vec<Initial>, Error> {
        if specifiers.external || !matches!(specifiers.space, Space::Global | Space::Const) {
            return Err(
                self.error("only '.global' and '.const' variables that are not '.extern' have an initial value")
            );
        }
        if !self.at('{') {
            if !shape.dimensions.is_empty() {
                return Err(self.error("the initial value of an array stands in braces"));
            }
            return Ok(vec![self.initial_element(specifiers.ty)?]);
        }
        let mut elements = Vec::new();
        let token = self.token;
        self.initial_list(specifiers.ty, &shape.dimensions, &mut elements)?;
        if shape.unsized_array {
            let row = shape.dimensions[1..].iter().try_fold(1_u64, |row, n| row.checked_mul(*n)).unwrap_or(u64::MAX);
            shape.dimensions[0] = (elements.len() as u64).div_ceil(row.max(1));
            shape.unsized_array = false;
        }
        if capacity(&shape.dimensions) < elements.len() as u64 {
            return Err(self.error_at(token, "more initial values than the variable has elements: remove some"));
        }
        Ok(elements)
    }

    /// `{1, {2, 3}}`: a row in braces is filled up with zeros where another follows.
    fn initial_list(&mut self, ty: Type, dimensions: &[u64], elements: &mut Vec<Initial>) -> Result<(), Error> {
        let token = self.expect('{', "before the initial values")?;
        let Some((_, inner)) = dimensions.split_first() else {
            return Err(self.error_at(token, "more braces than the variable has dimensions: remove some"));
        };
        if self.accept('}')? {
            return Ok(());
        }
        let mut missing = 0;
        loop {
            self.pad(missing, elements)?;
            let before = elements.len();
            missing = 0;
            if self.at('{') {
                let token = self.token;
                self.initial_list(ty, inner, elements)?;
                let found = (elements.len() - before) as u64;
                missing = capacity(inner).checked_sub(found).ok_or_else(|| {
                    self.error_at(token, "more initial values than this row has elements: remove some")
                })?;
            } else {
                elements.push(self.initial_element(ty)?);
            }
            if !self.list_goes_on('}')? {
                return Ok(());
            }
        }
    }

    fn pad(&mut self, zeros: u64, elements: &mut Vec<Initial>) -> Result<(), Error> {
        let left = self.budget.padding.checked_sub(zeros);
        self.budget.padding = left.ok_or_else(|| {
            self.error("too many zeros are left out between the rows of initial values: order the array otherwise")
        })?;
        elements.extend((0..zeros).map(|_| Initial::Bits(0)));
        Ok(())
    }

    fn initial_element(&mut self, ty: Type) -> Result<Initial, Error> {
        let token = self.token;
        if let Kind::Word(_) = token.kind {
            return self.initial_address(ty);
        }
        let negative = self.accept('-')?;
        let value = self.token;
        let bits = match value.kind {
            Kind::Integer(magnitude) => integer_bits(ty, negative, magnitude).ok_or_else(|| {
                self.error_at(token, "this integer does not fit the variable's type: use a wider type")
            })?,
            Kind::Float32(_) | Kind::Float64(_) => float_bits(ty, negative, value.kind).ok_or_else(|| {
                self.error_at(token, "the variable's type cannot hold this number: write its bits as an integer")
            })?,
            _ => return Err(self.error("expected an initial value: a number, a symbol or 'generic(symbol)'")),
        };
        self.take()?;
        Ok(Initial::Bits(bits))
    }

    /// `symbol`, `symbol+4`, `generic(symbol)+4`.
    fn initial_address(&mut self, ty: Type) -> Result<Initial, Error> {
        if !matches!(ty, Type::B(32 | 64) | Type::U(32 | 64) | Type::S(32 | 64)) {
            return Err(self.error("an address needs a variable of 32 or 64 bits: use '.u64'"));
        }
        let mut symbol = self.expect_name("the name of a variable or function")?;
        let generic = symbol.text == "generic" && self.at('(');
        if generic {
            self.take()?;
            symbol = self.expect_name("the name of a variable or function")?;
            self.expect(')', "after the symbol")?;
        }
        Ok(Initial::Address { symbol: symbol.text.to_owned(), offset: self.offset()?, generic })
    }
}

/// Elements of an array of these dimensions.
fn capacity(dimensions: &[u64]) -> u64 {
    dimensions.iter().fold(1, |product, n| product.saturating_mul(*n))
}

/// The bits of an integer in a type, none where it does not fit. Zero is the same in every type.
fn integer_bits(ty: Type, negative: bool, magnitude: u64) -> Option<u64> {
    let width = match ty {
        Type::B(width) | Type::U(width) | Type::S(width) => u32::from(width).min(64),
        Type::F(16) | Type::Bf16 => 16,
        Type::F16x2 | Type::Bf16x2 => 32,
        Type::F(_) | Type::Tf32 | Type::Pred => return (magnitude == 0).then_some(0),
    };
    let mask = u64::MAX >> (64 - width);
    let fits = if negative { magnitude <= mask / 2 + 1 } else { magnitude <= mask };
    fits.then(|| (if negative { magnitude.wrapping_neg() } else { magnitude }) & mask)
}

/// The bits of a float in a type, none where they do not belong there.
fn float_bits(ty: Type, negative: bool, number: Kind<'_>) -> Option<u64> {
    let bits = match (ty, number) {
        (Type::F(32) | Type::Tf32 | Type::B(32), Kind::Float32(bits)) => u64::from(bits),
        (Type::F(64) | Type::B(64), Kind::Float64(bits)) => bits,
        (Type::F(32), Kind::Float64(bits)) => u64::from((f64::from_bits(bits) as f32).to_bits()),
        (Type::F(64), Kind::Float32(bits)) => f64::from(f32::from_bits(bits)).to_bits(),
        _ => return None,
    };
    let sign = 1 << (ty.bits() - 1);
    Some(if negative { bits ^ sign } else { bits })
}
