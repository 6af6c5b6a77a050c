//! Where NVRTC may lie, in the order in which the places are tried.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{Error, LoadError};
use crate::library::{Library, resolve_bare_name};

/// The variable that names NVRTC's library or its folder.
pub(crate) const VARIABLE: &str = "LATENT_NVRTC";

/// The folder of `./data-fetch.sh nvrtc`, relative to a workspace's root.
const DATA_FOLDER: &str = "data/nvrtc";

/// Library names in the order of preference; what has a longer version follows, newest first.
const NAMES: [&str; 3] = ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"];

/// Full versions that the system's loader is asked for, newest first, where a toolkit set up no shorter name.
const NEWEST_MINORS: [(u32, u32); 2] = [(13, 9), (12, 9)];

/// Where NVIDIA's wheels put the library, beneath a folder of Python packages.
const PACKAGE_FOLDERS: [&str; 2] = ["nvidia/cu13/lib", "nvidia/cuda_nvrtc/lib"];

/// A Python program that prints the folders of installed packages, one a line.
const PRINT_SITE_FOLDERS: &str = "import site, sysconfig
folders = [sysconfig.get_path('purelib'), sysconfig.get_path('platlib')]
folders += getattr(site, 'getsitepackages', list)() + [site.getusersitepackages()]
print('\\n'.join(dict.fromkeys(folders)))";

/// How a library was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Given as a path.
    Path,
    /// Named by `$LATENT_NVRTC`.
    Variable,
    /// On the system's library path.
    SystemPath,
    /// In a CUDA toolkit: `$CUDA_HOME`, `$CUDA_PATH` or `/usr/local/cuda*`.
    CudaHome,
    /// In `data/nvrtc`, where `./data-fetch.sh nvrtc` puts it.
    DataFolder,
    /// Among Python's packages.
    SitePackages,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Path => "given path",
            Self::Variable => "$LATENT_NVRTC",
            Self::SystemPath => "system library path",
            Self::CudaHome => "CUDA toolkit",
            Self::DataFolder => "data folder",
            Self::SitePackages => "Python packages",
        })
    }
}

/// A place that may hold NVRTC: a file, a folder, or a bare name for the system's loader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// What kind of place it is.
    pub found: Found,
    /// The file, folder or bare name.
    pub path: PathBuf,
}

/// The places that are searched. [`Search::of_this_process`] reads them from the environment; the fields can be changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Search {
    /// `$LATENT_NVRTC`: a library or a folder. Where set, nothing else is tried.
    pub variable: Option<PathBuf>,
    /// Bare names for the system's loader.
    pub system_names: Vec<String>,
    /// Roots of CUDA toolkits.
    pub toolkits: Vec<PathBuf>,
    /// Folders like `data/nvrtc`.
    pub data_folders: Vec<PathBuf>,
    /// Folders of Python packages, searched before Python is asked for more.
    pub site_folders: Vec<PathBuf>,
    /// The command that is asked for its folders of packages, when all else failed.
    pub python: Option<OsString>,
}

impl Search {
    /// The places of this process: its environment, its current folder, and this system's usual folders.
    #[must_use]
    pub fn of_this_process() -> Self {
        let folder = |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
        let named = [folder("CUDA_HOME"), folder("CUDA_PATH")].into_iter().flatten();
        Self {
            variable: folder(VARIABLE),
            system_names: system_names(),
            toolkits: named.chain(installed_toolkits(Path::new("/usr/local"))).collect(),
            data_folders: data_folders(std::env::current_dir().ok().as_deref()),
            site_folders: folder("VIRTUAL_ENV").map(|root| environment_folders(&root)).unwrap_or_default(),
            python: Some("python3".into()),
        }
    }

    /// The places in the order of the search. Folders of Python packages that only Python knows are not among them.
    #[must_use]
    pub fn candidates(&self) -> Vec<Candidate> {
        if let Some(path) = &self.variable {
            return vec![Candidate { found: Found::Variable, path: path.clone() }];
        }
        let of = |found, paths: &[PathBuf]| -> Vec<Candidate> {
            paths.iter().map(|path| Candidate { found, path: path.clone() }).collect()
        };
        let names: Vec<PathBuf> = self.system_names.iter().map(PathBuf::from).collect();
        let packages: Vec<PathBuf> = self.site_folders.iter().flat_map(|site| package_folders(site)).collect();
        [
            of(Found::SystemPath, &names),
            of(Found::CudaHome, &self.toolkits),
            of(Found::DataFolder, &self.data_folders),
            of(Found::SitePackages, &packages),
        ]
        .concat()
    }

    /// The first usable library, and how it was found.
    pub(crate) fn first(&self) -> Result<(&'static Library, Found), Error> {
        let mut failures = Vec::new();
        let mut tried = self.candidates();
        for candidate in &tried {
            if let Some(library) = candidate.load(&mut failures) {
                return Ok((library, candidate.found));
            }
        }
        if let Some(path) = &self.variable {
            let empty = LoadError::EmptyFolder { path: path.clone() };
            return Err(Error::Variable(failures.into_iter().next().unwrap_or(empty)));
        }
        for candidate in self.asked_of_python() {
            if let Some(library) = candidate.load(&mut failures) {
                return Ok((library, candidate.found));
            }
            tried.push(candidate);
        }
        Err(Error::NotFound { tried, failures })
    }

    /// Starting Python takes a while, so that this is asked last.
    fn asked_of_python(&self) -> Vec<Candidate> {
        let Some(python) = &self.python else { return Vec::new() };
        let output = Command::new(python).args(["-c", PRINT_SITE_FOLDERS]).stdin(Stdio::null()).output();
        let Ok(output) = output else { return Vec::new() };
        let sites = String::from_utf8_lossy(&output.stdout);
        sites
            .lines()
            .flat_map(|site| package_folders(Path::new(site)))
            .map(|path| Candidate { found: Found::SitePackages, path })
            .collect()
    }
}

impl Candidate {
    /// The place's first library that loads. Why others do not is added to `failures`; a place that does not exist is no
    /// failure unless a variable names it.
    fn load(&self, failures: &mut Vec<LoadError>) -> Option<&'static Library> {
        for file in self.files() {
            match Library::at(&file) {
                Ok(library) => return Some(library),
                Err(error) => failures.push(error),
            }
        }
        None
    }

    fn files(&self) -> Vec<PathBuf> {
        match self.found {
            Found::SystemPath => self.path.to_str().and_then(resolve_bare_name).into_iter().collect(),
            Found::Path | Found::Variable if self.path.is_dir() => libraries_beneath(&self.path),
            Found::Path | Found::Variable => vec![self.path.clone()],
            Found::CudaHome | Found::DataFolder | Found::SitePackages => libraries_beneath(&self.path),
        }
    }
}

/// The library that is `path` or lies in the folder `path`.
pub(crate) fn at(path: &Path) -> Result<&'static Library, LoadError> {
    let mut failures = Vec::new();
    let candidate = Candidate { found: Found::Path, path: path.to_owned() };
    let empty = || LoadError::EmptyFolder { path: path.to_owned() };
    candidate.load(&mut failures).ok_or_else(|| failures.into_iter().next().unwrap_or_else(empty))
}

fn system_names() -> Vec<String> {
    let full = NEWEST_MINORS
        .iter()
        .flat_map(|&(major, newest)| (0..=newest).rev().map(move |minor| format!("libnvrtc.so.{major}.{minor}")));
    NAMES.iter().map(|&name| name.to_owned()).chain(full).collect()
}

/// The libraries in a folder or in a toolkit of which it is the root.
fn libraries_beneath(root: &Path) -> Vec<PathBuf> {
    let targets = subfolders(&root.join("targets")).into_iter().map(|target| target.join("lib"));
    let folders = [root.to_owned(), root.join("lib64"), root.join("lib")].into_iter().chain(targets);
    folders.flat_map(|folder| libraries_in(&folder)).collect()
}

fn libraries_in(folder: &Path) -> Vec<PathBuf> {
    let short = NAMES.iter().map(|name| folder.join(name)).filter(|path| path.is_file());
    let mut long: Vec<(Vec<u32>, PathBuf)> = entries(folder)
        .into_iter()
        .filter_map(|path| {
            let version = path.file_name()?.to_str()?.strip_prefix("libnvrtc.so.")?;
            let parts: Vec<u32> = version.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
            (parts.len() > 1).then_some((parts, path))
        })
        .collect();
    long.sort_by(|one, other| other.cmp(one));
    short.chain(long.into_iter().map(|(_, path)| path)).collect()
}

/// `cuda` and every `cuda-*` in `folder`: the link that the system's owner chose comes first, then the newest.
fn installed_toolkits(folder: &Path) -> Vec<PathBuf> {
    let version = |path: &Path| -> Option<Vec<u32>> {
        let version = path.file_name()?.to_str()?.strip_prefix("cuda-")?;
        version.split('.').map(|part| part.parse().ok()).collect()
    };
    let mut versioned: Vec<(Vec<u32>, PathBuf)> =
        subfolders(folder).into_iter().filter_map(|path| Some((version(&path)?, path))).collect();
    versioned.sort_by(|one, other| other.cmp(one));
    let chosen = Some(folder.join("cuda")).filter(|path| path.is_dir());
    chosen.into_iter().chain(versioned.into_iter().map(|(_, path)| path)).collect()
}

/// `data/nvrtc` in the current folder, in every package's or workspace's folder above it, and in the workspace that this
/// crate was built in. Other folders above are left alone: anybody may have written there.
fn data_folders(current: Option<&Path>) -> Vec<PathBuf> {
    let above = current.into_iter().flat_map(|current| {
        current.ancestors().filter(move |&folder| folder == current || folder.join("Cargo.toml").is_file())
    });
    let mut folders: Vec<PathBuf> = Vec::new();
    for root in above.chain(Path::new(env!("CARGO_MANIFEST_DIR")).parent()) {
        let folder = root.join(DATA_FOLDER);
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    folders
}

/// The folders of packages of a virtual environment.
fn environment_folders(root: &Path) -> Vec<PathBuf> {
    subfolders(&root.join("lib")).into_iter().map(|python| python.join("site-packages")).collect()
}

fn package_folders(site: &Path) -> Vec<PathBuf> {
    PACKAGE_FOLDERS.iter().map(|folder| site.join(folder)).collect()
}

fn subfolders(folder: &Path) -> Vec<PathBuf> {
    entries(folder).into_iter().filter(|path| path.is_dir()).collect()
}

/// The folder's entries by name; none where it cannot be read.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths
}
