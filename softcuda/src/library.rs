//! The shared library from the outside: finding it, loading it into this process or giving it to another one, and asking
//! it for what it found. The library has its own state; that of this crate, linked into a program, is another.

use crate::check::Report;
use crate::counts::{LaunchCounts, Summary};
use crate::driver::BUILD;
use crate::settings::Settings;
use libloading::os::unix::{Library as Handle, RTLD_GLOBAL, RTLD_NOW, Symbol};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, c_char};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

const FILE: &str = "libsoftcuda.so";
/// The names under which programs look for their driver.
const NAMES: [&str; 2] = ["libcuda.so", "libcuda.so.1"];
/// Everything that says what the device is like.
const VARIABLES: [&str; 9] = [
    "SOFTCUDA_CC",
    "SOFTCUDA_MEMORY",
    "SOFTCUDA_PTX",
    "SOFTCUDA_DEVICES",
    "SOFTCUDA_THREADS",
    "SOFTCUDA_CHECK",
    "SOFTCUDA_REPORT",
    "SOFTCUDA_COUNTS",
    "SOFTCUDA_LIMIT",
];
const BUILD_COMMAND: &str =
    if cfg!(debug_assertions) { "cargo build -p softcuda" } else { "cargo build --release -p softcuda" };

/// Why the library cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// It is nowhere.
    #[error("{FILE} is in none of {}: build it with `{BUILD_COMMAND}`, or name it in SOFTCUDA_LIB", list(.0))]
    Missing(Vec<PathBuf>),
    /// It was built from other sources.
    #[error("{} was not built from the same sources as this program: run `{BUILD_COMMAND}`", .0.display())]
    Identity(PathBuf),
    /// A file or folder that cannot be read or made.
    #[error("{}: {source}", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The loader refuses it, or lacks one of its functions.
    #[error("{} cannot be loaded: {source}; run `{BUILD_COMMAND}`", path.display())]
    Load {
        /// Its path.
        path: PathBuf,
        /// What the loader says.
        source: libloading::Error,
    },
    /// It does not take the settings.
    #[error("the software device cannot be set up: {0}")]
    Configure(String),
    /// What it tells is not what this program understands.
    #[error("{} tells what this program does not understand ({source}): run `{BUILD_COMMAND}`", path.display())]
    Answer {
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// Where the library may lie: a dependency's library is only in `deps`; tests run there, programs run above, examples beside.
fn candidates() -> Vec<PathBuf> {
    if let Some(path) = std::env::var_os("SOFTCUDA_LIB").filter(|path| !path.is_empty()) {
        return vec![PathBuf::from(path)];
    }
    let executable = std::env::current_exe().unwrap_or_default();
    let folder = executable.parent().unwrap_or(Path::new("."));
    let above = folder.parent().unwrap_or(Path::new("."));
    [&folder.join("deps"), folder, &above.join("deps"), above].map(|folder| folder.join(FILE)).into()
}

/// The library's absolute path, after a look whether it is of this build.
fn find() -> Result<PathBuf, LibraryError> {
    let candidates = candidates();
    let Some(path) = candidates.iter().find(|path| path.is_file()) else {
        return Err(LibraryError::Missing(candidates));
    };
    let error = |source| LibraryError::File { path: path.clone(), source };
    let absolute = path.canonicalize().map_err(error)?;
    let bytes = std::fs::read(&absolute).map_err(error)?;
    // The file is asked rather than the loaded library, whose mere presence would hide a real driver.
    if contains(&bytes, BUILD.as_bytes()) { Ok(absolute) } else { Err(LibraryError::Identity(absolute)) }
}

fn contains(text: &[u8], wanted: &[u8]) -> bool {
    // SAFETY: both ranges are those of slices, and the function only reads them.
    let found = unsafe { libc::memmem(text.as_ptr().cast(), text.len(), wanted.as_ptr().cast(), wanted.len()) };
    !found.is_null()
}

/// Loads the library into this process and sets the device up, so that whatever looks for `libcuda.so` from now on finds
/// it. The process keeps one device: further calls must have the same settings.
///
/// # Errors
/// See [`LibraryError`].
pub fn preload(settings: &Settings) -> Result<Library, LibraryError> {
    let path = find()?;
    // SAFETY: loading runs no initialiser that has a precondition; the file was checked to be of this build.
    let opened = unsafe { Handle::open(Some(&path), RTLD_NOW | RTLD_GLOBAL) };
    let handle = opened.map_err(|source| LibraryError::Load { path: path.clone(), source })?;
    // It stays for good: its threads and the clients that found it know no end.
    let library = Library { path, handle: Box::leak(Box::new(handle)) };
    library.configure(settings)?;
    Ok(library)
}

/// The library in this process.
#[derive(Debug)]
pub struct Library {
    path: PathBuf,
    handle: &'static Handle,
}

impl Library {
    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All findings so far. Those of work that is still queued come once it is done.
    ///
    /// # Errors
    /// The library is of another build.
    pub fn reports(&self) -> Result<Vec<Report>, LibraryError> {
        self.ask("softcuda_reports_json")
    }

    /// All counts so far: sums by kernel, and calls of the driver by name.
    ///
    /// # Errors
    /// The library is of another build.
    pub fn counts(&self) -> Result<Summary, LibraryError> {
        self.ask("softcuda_counts_json")
    }

    /// The counts of each launch so far.
    ///
    /// # Errors
    /// The library is of another build.
    pub fn launches(&self) -> Result<Vec<LaunchCounts>, LibraryError> {
        self.ask("softcuda_launches_json")
    }

    /// How often each function of the driver was called.
    ///
    /// # Errors
    /// The library is of another build.
    pub fn calls(&self) -> Result<BTreeMap<String, u64>, LibraryError> {
        Ok(self.counts()?.calls)
    }

    /// Forgets all findings.
    ///
    /// # Errors
    /// The library is of another build.
    pub fn reset_reports(&self) -> Result<(), LibraryError> {
        self.tell("softcuda_reset_reports")
    }

    /// Begins all counts anew.
    ///
    /// # Errors
    /// The library is of another build.
    pub fn reset_counts(&self) -> Result<(), LibraryError> {
        self.tell("softcuda_reset_counts")
    }

    fn function<T>(&self, name: &str) -> Result<Symbol<T>, LibraryError> {
        // SAFETY: each caller names a function together with the type that this build gives it.
        let found = unsafe { self.handle.get(name) };
        found.map_err(|source| LibraryError::Load { path: self.path.clone(), source })
    }

    fn tell(&self, name: &str) -> Result<(), LibraryError> {
        let function = self.function::<unsafe extern "C" fn()>(name)?;
        // SAFETY: such functions take nothing and can be called at any time.
        unsafe { function() };
        Ok(())
    }

    fn ask<T: DeserializeOwned>(&self, name: &str) -> Result<T, LibraryError> {
        let function = self.function::<unsafe extern "C" fn(*mut u8, usize) -> usize>(name)?;
        let mut text = Vec::new();
        loop {
            // SAFETY: the function writes no more than the bytes that the buffer is said to have.
            let needed = unsafe { function(text.as_mut_ptr(), text.len()) };
            if needed <= text.len() {
                text.truncate(needed.saturating_sub(1));
                break;
            }
            // Room for what other threads may add meanwhile.
            text.resize(needed + needed / 4, 0);
        }
        serde_json::from_slice(&text).map_err(|source| LibraryError::Answer { path: self.path.clone(), source })
    }

    fn configure(&self, settings: &Settings) -> Result<(), LibraryError> {
        type Configure = unsafe extern "C" fn(*const c_char, *mut u8, usize) -> u32;
        let function = self.function::<Configure>("softcuda_configure")?;
        let variables: BTreeMap<&str, String> = settings.to_environment().into_iter().collect();
        let text = serde_json::to_string(&variables).map_err(|error| LibraryError::Configure(error.to_string()))?;
        let text = CString::new(text).map_err(|error| LibraryError::Configure(error.to_string()))?;
        let mut message = vec![0u8; 1024];
        // SAFETY: the text ends with a zero, and no more of the buffer is written than it has.
        let refused = unsafe { function(text.as_ptr(), message.as_mut_ptr(), message.len()) } != 0;
        let end = message.iter().position(|byte| *byte == 0).unwrap_or(message.len());
        let message = String::from_utf8_lossy(&message[..end]).into_owned();
        if refused { Err(LibraryError::Configure(message)) } else { Ok(()) }
    }
}

/// A command that runs `program` on the software device: its environment makes the loader find the library under both
/// names of the driver, and gives it the settings.
///
/// # Errors
/// See [`LibraryError`].
pub fn command(program: impl AsRef<OsStr>, settings: &Settings) -> Result<Command, LibraryError> {
    let path = find()?;
    let folder = links(&path)?;
    let mut folders = vec![folder];
    folders.extend(std::env::var_os("LD_LIBRARY_PATH").iter().flat_map(std::env::split_paths));
    let search = std::env::join_paths(folders).map_err(|error| LibraryError::File {
        path: path.clone(),
        source: io::Error::new(io::ErrorKind::InvalidInput, error),
    })?;
    let mut command = Command::new(program);
    VARIABLES.iter().for_each(|variable| {
        command.env_remove(variable);
    });
    command.envs(settings.to_environment()).env("LD_LIBRARY_PATH", search).env("SOFTCUDA_LIB", path);
    Ok(command)
}

/// The user's folder for what can be made again.
fn cache() -> PathBuf {
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
    cache.unwrap_or_else(|| std::env::temp_dir().join(format!("cache-{}", std::process::id())))
}

/// A folder that holds nothing but links of the driver's names to `library`. It appears whole or not at all, and is used
/// again for the same library.
fn links(library: &Path) -> Result<PathBuf, LibraryError> {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    library.hash(&mut hasher);
    let parent = cache().join("softcuda");
    let folder = parent.join(format!("{:016x}", hasher.finish()));
    let is_right = || NAMES.iter().all(|name| folder.join(name).read_link().is_ok_and(|target| target == library));
    if is_right() {
        return Ok(folder);
    }
    let error = |source| LibraryError::File { path: folder.clone(), source };
    std::fs::create_dir_all(&parent).map_err(error)?;
    let fresh = tempfile::tempdir_in(&parent).map_err(error)?;
    for name in NAMES {
        std::os::unix::fs::symlink(library, fresh.path().join(name)).map_err(error)?;
    }
    let renamed = std::fs::rename(fresh.path(), &folder);
    // Another process may have been first.
    if is_right() { Ok(folder) } else { Err(error(renamed.err().unwrap_or(io::ErrorKind::AlreadyExists.into()))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_links_holds_both_names_and_nothing_else() {
        let library = tempfile::NamedTempFile::new().unwrap();
        let folder = links(library.path()).unwrap();
        assert_eq!(links(library.path()).unwrap(), folder, "it is used again");
        let mut names: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, NAMES);
        assert_eq!(folder.join("libcuda.so.1").read_link().unwrap(), library.path());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn every_setting_is_among_the_variables() {
        let every = Settings {
            ptx: Some((8, 0)),
            report: Some("r".into()),
            counts: Some("c".into()),
            limit: Some(1),
            ..Settings::default()
        };
        let names: Vec<&str> = every.to_environment().into_iter().map(|(name, _)| name).collect();
        assert!(names.iter().all(|name| VARIABLES.contains(name)), "{names:?}");
        assert_eq!(names.len(), VARIABLES.len());
    }
}
