//! The loaded shared library: its entry points, and the table that keeps each library loaded for the process.

use std::collections::HashMap;
use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use libloading::os::unix::{Library as Handle, RTLD_LOCAL, RTLD_NOW};

use crate::error::LoadError;

/// The oldest major version whose entry points and options this crate relies on.
const OLDEST_MAJOR: u32 = 12;

/// NVRTC's status of a call; zero is success.
pub(crate) type Status = c_int;

/// NVRTC's opaque program.
pub(crate) type RawProgram = *mut c_void;

/// NVRTC's statuses that this crate tells apart.
pub(crate) const SUCCESS: Status = 0;
pub(crate) const INVALID_OPTION: Status = 5;
pub(crate) const COMPILATION: Status = 6;
pub(crate) const NAME_EXPRESSION_NOT_VALID: Status = 10;

/// Declares the table of entry points, each looked up once, by name.
macro_rules! entry_points {
    ($($field:ident = $symbol:literal: fn($($argument:ty),*) -> $result:ty;)*) => {
        /// NVRTC's C functions, as they stand in its header since version 12.0.
        pub(crate) struct EntryPoints {
            $(pub(crate) $field: unsafe extern "C" fn($($argument),*) -> $result,)*
        }

        impl EntryPoints {
            fn look_up(handle: &Handle, path: &Path) -> Result<Self, LoadError> {
                Ok(Self {$(
                    // SAFETY: The symbol is NVRTC's, whose header declares it with this signature; the pointer stays
                    // valid because a handle that passes is never closed.
                    $field: *unsafe { handle.get::<unsafe extern "C" fn($($argument),*) -> $result>($symbol) }
                        .map_err(|_| LoadError::NotNvrtc {
                            path: path.to_owned(),
                            symbol: String::from_utf8_lossy($symbol).into_owned(),
                        })?,
                )*})
            }
        }
    };
}

entry_points! {
    version = b"nvrtcVersion": fn(*mut c_int, *mut c_int) -> Status;
    count_architectures = b"nvrtcGetNumSupportedArchs": fn(*mut c_int) -> Status;
    architectures = b"nvrtcGetSupportedArchs": fn(*mut c_int) -> Status;
    error_string = b"nvrtcGetErrorString": fn(Status) -> *const c_char;
    create_program = b"nvrtcCreateProgram": fn(
        *mut RawProgram, *const c_char, *const c_char, c_int, *const *const c_char, *const *const c_char
    ) -> Status;
    destroy_program = b"nvrtcDestroyProgram": fn(*mut RawProgram) -> Status;
    compile_program = b"nvrtcCompileProgram": fn(RawProgram, c_int, *const *const c_char) -> Status;
    log_size = b"nvrtcGetProgramLogSize": fn(RawProgram, *mut usize) -> Status;
    log = b"nvrtcGetProgramLog": fn(RawProgram, *mut c_char) -> Status;
    ptx_size = b"nvrtcGetPTXSize": fn(RawProgram, *mut usize) -> Status;
    ptx = b"nvrtcGetPTX": fn(RawProgram, *mut c_char) -> Status;
    cubin_size = b"nvrtcGetCUBINSize": fn(RawProgram, *mut usize) -> Status;
    cubin = b"nvrtcGetCUBIN": fn(RawProgram, *mut c_char) -> Status;
    add_name_expression = b"nvrtcAddNameExpression": fn(RawProgram, *const c_char) -> Status;
    lowered_name = b"nvrtcGetLoweredName": fn(RawProgram, *const c_char, *mut *const c_char) -> Status;
}

/// A library that passed: loaded, complete and new enough.
pub(crate) struct Library {
    pub(crate) path: PathBuf,
    pub(crate) version: (u32, u32),
    pub(crate) architectures: Vec<u32>,
    pub(crate) calls: EntryPoints,
}

/// Every library this process has loaded, by its path. They are never unloaded: a client that later opens NVRTC by its bare
/// name is given the one whose `SONAME` matches, and closing a library of this size under running threads gains nothing.
static LOADED: Mutex<Option<HashMap<PathBuf, &'static Library>>> = Mutex::new(None);

impl Library {
    /// The library at `path`, loaded now or earlier.
    pub(crate) fn at(path: &Path) -> Result<&'static Self, LoadError> {
        let absolute = path
            .canonicalize()
            .map_err(|error| LoadError::Unreadable { path: path.to_owned(), reason: error.to_string() })?;
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = loaded.get_or_insert_default();
        if let Some(library) = loaded.get(&absolute) {
            return Ok(library);
        }
        let library: &'static Self = Box::leak(Box::new(Self::open(absolute.clone())?));
        loaded.insert(absolute, library);
        Ok(library)
    }

    fn open(path: PathBuf) -> Result<Self, LoadError> {
        let handle =
            open_handle(path.as_os_str()).map_err(|reason| LoadError::Unloadable { path: path.clone(), reason })?;
        let calls = EntryPoints::look_up(&handle, &path)?;
        let version = calls.read_version().filter(|(major, _)| *major >= OLDEST_MAJOR);
        let Some(version) = version else {
            return Err(LoadError::TooOld { version: calls.read_version(), path });
        };
        let architectures = calls.read_architectures();
        // Kept open for the process: the handle has no other owner.
        let _ = handle.into_raw();
        Ok(Self { path, version, architectures, calls })
    }
}

impl EntryPoints {
    fn read_version(&self) -> Option<(u32, u32)> {
        let (mut major, mut minor): (c_int, c_int) = (0, 0);
        // SAFETY: Both pointers are to integers that live across the call, which only writes them.
        let status = unsafe { (self.version)(&mut major, &mut minor) };
        (status == SUCCESS).then_some((u32::try_from(major).ok()?, u32::try_from(minor).ok()?))
    }

    fn read_architectures(&self) -> Vec<u32> {
        let mut count: c_int = 0;
        // SAFETY: The pointer is to an integer that lives across the call, which only writes it.
        let status = unsafe { (self.count_architectures)(&mut count) };
        let Some(count) = usize::try_from(count).ok().filter(|_| status == SUCCESS) else {
            return Vec::new();
        };
        let mut values: Vec<c_int> = vec![0; count];
        // SAFETY: The buffer holds as many integers as the library said it will write.
        if unsafe { (self.architectures)(values.as_mut_ptr()) } != SUCCESS {
            return Vec::new();
        }
        values.into_iter().filter_map(|value| u32::try_from(value).ok()).collect()
    }

    /// NVRTC's own name of a status, such as `NVRTC_ERROR_COMPILATION`.
    pub(crate) fn status_name(&self, status: Status) -> String {
        // SAFETY: The function accepts any status and returns a string constant of the library or null.
        let name = unsafe { (self.error_string)(status) };
        if name.is_null() {
            return format!("status {status}");
        }
        // SAFETY: Not null, thus a constant that ends in NUL and outlives the process's use of the library.
        unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned()
    }
}

/// Opens by path or bare name; the error is the loader's text.
fn open_handle(name: &OsStr) -> Result<Handle, String> {
    // SAFETY: Loading runs the initialisers of the library. Names come from the places where toolkits install NVRTC or from
    // the user, whose own libraries are as trustworthy as the program.
    unsafe { Handle::open(Some(name), RTLD_NOW | RTLD_LOCAL) }.map_err(|error| error.to_string())
}

/// The file that the system's loader opens for a bare name.
pub(crate) fn resolve_bare_name(name: &str) -> Option<PathBuf> {
    let handle = open_handle(OsStr::new(name)).ok()?;
    // SAFETY: Only the address is used; the function is not called through this type.
    let symbol = unsafe { handle.get::<*const c_void>(b"nvrtcVersion") }.ok()?;
    let mut info = MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: `info` is writable for the call, and any address may be asked.
    if unsafe { libc::dladdr(symbol.as_raw_ptr(), info.as_mut_ptr()) } == 0 {
        return None;
    }
    // SAFETY: All-zero bytes are a valid `Dl_info`, and the call succeeded.
    let file = unsafe { info.assume_init() }.dli_fname;
    if file.is_null() {
        return None;
    }
    // SAFETY: The loader's name of an open library ends in NUL and lives while the handle is open.
    let file = unsafe { CStr::from_ptr(file) }.to_owned();
    // Left open, which spares loading a library of this size twice: its path is loaded next.
    let _ = handle.into_raw();
    Some(PathBuf::from(OsStr::from_bytes(file.to_bytes()))).filter(|path| path.is_absolute())
}
