//! Compiling one source: NVRTC's program object, and what is read from it.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr;

use crate::error::{CompileError, Diagnosis};
use crate::library::{COMPILATION, INVALID_OPTION, Library, NAME_EXPRESSION_NOT_VALID, RawProgram, SUCCESS, Status};

/// A compiled source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    ptx: String,
    cubin: Option<Vec<u8>>,
    log: String,
    lowered: BTreeMap<String, String>,
}

impl Program {
    /// The PTX. Empty where an option such as `-dlto` asks for something else.
    #[must_use]
    pub fn ptx(&self) -> &str {
        &self.ptx
    }

    /// The machine code, which only a real architecture (`--gpu-architecture=sm_80`) gives.
    #[must_use]
    pub fn cubin(&self) -> Option<&[u8]> {
        self.cubin.as_deref()
    }

    /// What the compiler wrote: warnings, and what options ask it to tell. Often empty.
    #[must_use]
    pub fn log(&self) -> &str {
        &self.log
    }

    /// The name in the PTX of a name expression that was passed to the compiler.
    #[must_use]
    pub fn lowered_name(&self, expression: &str) -> Option<&str> {
        self.lowered.get(expression).map(String::as_str)
    }
}

/// NVRTC's program object, destroyed with this.
struct Session<'a> {
    library: &'static Library,
    program: RawProgram,
    name: &'a str,
}

/// What is compiled, besides the options.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    pub(crate) source: &'a str,
    pub(crate) name: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) expressions: &'a [&'a str],
}

/// Compiles `input` with the options as they are.
pub(crate) fn compile<S: AsRef<str>>(
    library: &'static Library,
    input: Input<'_>,
    options: &[S],
) -> Result<Program, CompileError> {
    let Input { name, expressions, .. } = input;
    let options = c_strings(options, |index| format!("option {} for {name}", index + 1))?;
    let names = c_strings(expressions, |index| format!("name expression {} for {name}", index + 1))?;
    let session = Session::new(library, input)?;
    for expression in &names {
        session.add_name(expression)?;
    }
    session.compile(&options)?;
    let lowered = expressions
        .iter()
        .zip(&names)
        .map(|(&expression, raw)| Ok((expression.to_owned(), session.lowered_name(raw)?)));
    Ok(Program {
        lowered: lowered.collect::<Result<_, CompileError>>()?,
        ptx: text(session.output("nvrtcGetPTX", library.calls.ptx_size, library.calls.ptx)?),
        cubin: Some(session.output("nvrtcGetCUBIN", library.calls.cubin_size, library.calls.cubin)?)
            .filter(|cubin| !cubin.is_empty()),
        log: session.log(),
    })
}

impl<'a> Session<'a> {
    fn new(library: &'static Library, input: Input<'a>) -> Result<Self, CompileError> {
        let Input { source, name, headers, .. } = input;
        let source = c_string(source, || format!("the source of {name}"))?;
        let c_name = c_string(name, || format!("the name {name:?}"))?;
        let (names, texts): (Vec<&str>, Vec<&str>) = headers.iter().copied().unzip();
        let count = c_int::try_from(headers.len())
            .map_err(|_| CompileError::TooManyHeaders { name: name.to_owned(), count: headers.len() })?;
        let c_texts = c_strings(&texts, |index| format!("the header {}", names[index]))?;
        let c_names = c_strings(&names, |index| format!("the name of header {} for {name}", index + 1))?;
        let (texts, names) = (pointers(&c_texts), pointers(&c_names));
        let mut program: RawProgram = ptr::null_mut();
        // SAFETY: All strings end in NUL and live across the call, which copies them; both arrays hold `count` of them.
        let status = unsafe {
            let create = library.calls.create_program;
            create(&mut program, source.as_ptr(), c_name.as_ptr(), count, texts.as_ptr(), names.as_ptr())
        };
        let session = Self { library, program, name };
        session.check("nvrtcCreateProgram", status)?;
        Ok(session)
    }

    fn add_name(&self, expression: &CStr) -> Result<(), CompileError> {
        // SAFETY: The program is alive and not yet compiled; the string lives across the call, which copies it.
        let status = unsafe { (self.library.calls.add_name_expression)(self.program, expression.as_ptr()) };
        self.check("nvrtcAddNameExpression", status)
    }

    fn compile(&self, options: &[CString]) -> Result<(), CompileError> {
        let pointers = pointers(options);
        let count = c_int::try_from(pointers.len())
            .map_err(|_| CompileError::TooManyOptions { name: self.name.to_owned(), count: pointers.len() })?;
        // SAFETY: The program is alive and only this thread has it; `pointers` holds `count` strings that outlive the call.
        let status = unsafe { (self.library.calls.compile_program)(self.program, count, pointers.as_ptr()) };
        match status {
            COMPILATION | INVALID_OPTION | NAME_EXPRESSION_NOT_VALID => {
                Err(CompileError::Rejected(Diagnosis::parse(self.name, self.log())))
            }
            status => self.check("nvrtcCompileProgram", status),
        }
    }

    fn lowered_name(&self, expression: &CStr) -> Result<String, CompileError> {
        let mut name: *const c_char = ptr::null();
        // SAFETY: The program is alive and compiled; both pointers live across the call.
        let status = unsafe { (self.library.calls.lowered_name)(self.program, expression.as_ptr(), &mut name) };
        self.check("nvrtcGetLoweredName", status)?;
        if name.is_null() {
            return Ok(String::new());
        }
        // SAFETY: Not null, thus a string that ends in NUL and belongs to the program, which is alive.
        Ok(unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned())
    }

    /// The bytes of one kind of output, by its pair of functions.
    fn output(
        &self,
        call: &'static str,
        size: unsafe extern "C" fn(RawProgram, *mut usize) -> Status,
        read: unsafe extern "C" fn(RawProgram, *mut c_char) -> Status,
    ) -> Result<Vec<u8>, CompileError> {
        let mut length = 0;
        // SAFETY: The program is alive; the pointer is to an integer that lives across the call.
        self.check(call, unsafe { size(self.program, &mut length) })?;
        let mut bytes = vec![0_u8; length];
        if length > 0 {
            // SAFETY: The program is alive; the buffer holds as many bytes as the library said it will write.
            self.check(call, unsafe { read(self.program, bytes.as_mut_ptr().cast()) })?;
        }
        Ok(bytes)
    }

    /// The compiler's messages; empty where even those cannot be had.
    fn log(&self) -> String {
        if self.program.is_null() {
            return String::new();
        }
        let mut length = 0;
        // SAFETY: The program is alive; the pointer is to an integer that lives across the call.
        if unsafe { (self.library.calls.log_size)(self.program, &mut length) } != SUCCESS || length == 0 {
            return String::new();
        }
        let mut bytes = vec![0_u8; length];
        // SAFETY: The program is alive; the buffer holds as many bytes as the library said it will write.
        if unsafe { (self.library.calls.log)(self.program, bytes.as_mut_ptr().cast()) } != SUCCESS {
            return String::new();
        }
        text(bytes)
    }

    fn check(&self, call: &'static str, status: Status) -> Result<(), CompileError> {
        if status == SUCCESS {
            return Ok(());
        }
        let status = self.library.calls.status_name(status);
        Err(CompileError::Failed { name: self.name.to_owned(), call, status, log: self.log() })
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        if !self.program.is_null() {
            // SAFETY: The program is alive, and nothing uses it after this.
            unsafe { (self.library.calls.destroy_program)(&mut self.program) };
        }
    }
}

/// Text of the library without the NUL at its end. The compiler copies comments and names of the source, which is UTF-8.
fn text(mut bytes: Vec<u8>) -> String {
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn c_string(text: &str, what: impl FnOnce() -> String) -> Result<CString, CompileError> {
    CString::new(text).map_err(|error| CompileError::Nul { what: what(), at: error.nul_position() })
}

fn c_strings<S: AsRef<str>>(texts: &[S], what: impl Fn(usize) -> String) -> Result<Vec<CString>, CompileError> {
    texts.iter().enumerate().map(|(index, text)| c_string(text.as_ref(), || what(index))).collect()
}

/// The addresses of `texts`, which must outlive their use.
fn pointers(texts: &[CString]) -> Vec<*const c_char> {
    texts.iter().map(|text| text.as_ptr()).collect()
}
