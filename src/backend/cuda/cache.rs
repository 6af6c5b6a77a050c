//! Compiled kernels on the disk, so that only the first start compiles.
//!
//! One file an entry. Its name tells what it is for, and it is trusted only as far as the checksum within: whatever is
//! damaged, cut short or of another make is as good as absent, and is replaced.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::compile::Image;
use crate::files::write_atomically;

/// The variable that names the folder.
pub const VARIABLE: &str = "LATENT_CACHE";

/// The first bytes of every entry; the number counts the layouts that there have been.
const MAGIC: [u8; 16] = *b"latent kernel 1\n";

const SUFFIX: &str = ".kernel";

/// A SHA-256 checksum.
pub type Hash = [u8; 32];

/// What an entry is for. The version of NVRTC that made it comes on top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// The device's architecture, as in 80 for `sm_80`.
    pub architecture: u32,
    /// A checksum of all else that the code depends on.
    pub hash: Hash,
}

/// A folder of compiled kernels.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: Option<PathBuf>,
}

/// How much a cache holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Files of entries.
    pub entries: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl Cache {
    /// The cache in `$LATENT_CACHE`, or else in the user's folder for what can be made again.
    pub fn of_this_process() -> Self {
        let named = env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
        Self { folder: named.or_else(|| Some(dirs::cache_dir()?.join("latent").join("kernels"))) }
    }

    /// The cache in `folder`, which need not exist.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: Some(folder.into()) }
    }

    /// Where it lies. None where the system knows no such folder: then nothing is kept.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// The entry of `key` that NVRTC `version` made.
    pub fn get(&self, key: &Key, version: (u32, u32)) -> Option<Image> {
        let bytes = fs::read(self.folder.as_ref()?.join(name(key, version))).ok()?;
        decode(&bytes, key).filter(|image| image.nvrtc == version)
    }

    /// The entry of `key` that the newest NVRTC made.
    pub fn newest(&self, key: &Key) -> Option<Image> {
        let prefix = prefix(key);
        let mut versions: Vec<_> =
            self.names().iter().filter_map(|name| version_in(name.strip_prefix(&prefix)?)).collect();
        versions.sort_unstable();
        versions.into_iter().rev().find_map(|version| self.get(key, version))
    }

    /// Keeps `image` as the entry of `key`. The error says why it cannot be kept, which spoils nothing but the next start.
    ///
    /// # Errors
    /// There is no folder, or it cannot be made or written.
    pub fn put(&self, key: &Key, image: &Image) -> Result<(), String> {
        let folder = self.folder.as_ref().ok_or_else(no_folder)?;
        fs::create_dir_all(folder).map_err(|cause| format!("cannot create {}: {cause}", folder.display()))?;
        let path = folder.join(name(key, image.nvrtc));
        write_atomically(&path, &encode(key, image)).map_err(|error| error.to_string())
    }

    /// What it holds, of any version and for any device.
    pub fn usage(&self) -> Usage {
        let size = |name: &String| self.folder.as_ref().and_then(|folder| fs::metadata(folder.join(name)).ok());
        let sizes: Vec<u64> = self.names().iter().filter_map(size).map(|metadata| metadata.len()).collect();
        Usage { entries: sizes.len(), bytes: sizes.iter().sum() }
    }

    /// Whether an entry could be written.
    ///
    /// # Errors
    /// Says why not.
    pub fn check_writable(&self) -> Result<(), String> {
        let folder = self.folder.as_ref().ok_or_else(no_folder)?;
        // A cache that was never used has no folder yet, and looking must not make one: the nearest that exists decides.
        let existing = folder.ancestors().find(|path| path.exists()).unwrap_or(folder);
        let tried = tempfile::Builder::new().prefix(".latent-").suffix(".tmp").tempfile_in(existing);
        tried.map(drop).map_err(|cause| format!("cannot write to {}: {cause}", existing.display()))
    }

    /// The names of all entries, of whatever make.
    fn names(&self) -> Vec<String> {
        let entries = self.folder.as_ref().and_then(|folder| fs::read_dir(folder).ok());
        let names = entries.into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.filter(|name| name.ends_with(SUFFIX)).collect()
    }
}

fn no_folder() -> String {
    format!("the system names no folder for caches; set {VARIABLE} to one")
}

fn prefix(key: &Key) -> String {
    let hash: String = key.hash[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sm_{}-{hash}-nvrtc", key.architecture)
}

fn name(key: &Key, (major, minor): (u32, u32)) -> String {
    format!("{}{major}.{minor}{SUFFIX}", prefix(key))
}

/// The version in what follows a name's prefix.
fn version_in(rest: &str) -> Option<(u32, u32)> {
    let (major, minor) = rest.strip_suffix(SUFFIX)?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// An entry's bytes: [`MAGIC`], the checksum of what follows, the key's hash, architecture, NVRTC's version (two u32), the
/// length of the machine code (u64, 0 for none), the machine code, and the PTX. Numbers are little-endian.
fn encode(key: &Key, image: &Image) -> Vec<u8> {
    let cubin = image.cubin.as_deref().unwrap_or_default();
    let mut body = key.hash.to_vec();
    for number in [key.architecture, image.nvrtc.0, image.nvrtc.1] {
        body.extend(number.to_le_bytes());
    }
    body.extend((cubin.len() as u64).to_le_bytes());
    body.extend(cubin);
    body.extend(image.ptx.as_bytes());
    [&MAGIC[..], &Sha256::digest(&body)[..], &body].concat()
}

/// What [`encode`] wrote for `key`; none for anything else.
fn decode(bytes: &[u8], key: &Key) -> Option<Image> {
    let rest = bytes.strip_prefix(&MAGIC)?;
    let (checksum, body) = rest.split_first_chunk::<32>()?;
    if Sha256::digest(body)[..] != checksum[..] {
        return None;
    }
    let (hash, body) = body.split_first_chunk::<32>()?;
    let (architecture, body) = split_u32(body)?;
    if (Key { architecture, hash: *hash }) != *key {
        return None;
    }
    let (major, body) = split_u32(body)?;
    let (minor, body) = split_u32(body)?;
    let (length, body) = body.split_first_chunk::<8>()?;
    let (cubin, ptx) = body.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let cubin = Some(cubin.to_vec()).filter(|cubin| !cubin.is_empty());
    Some(Image { cubin, ptx: String::from_utf8(ptx.to_vec()).ok()?, nvrtc: (major, minor) })
}

fn split_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    bytes.split_first_chunk().map(|(number, rest)| (u32::from_le_bytes(*number), rest))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const KEY: Key = Key { architecture: 80, hash: [7; 32] };

    fn image(version: (u32, u32)) -> Image {
        Image { cubin: Some(vec![1, 2, 3]), ptx: ".version 8.0".to_owned(), nvrtc: version }
    }

    fn only_file(folder: &Path) -> PathBuf {
        let mut entries = fs::read_dir(folder).unwrap();
        let path = entries.next().unwrap().unwrap().path();
        assert!(entries.next().is_none());
        path
    }

    #[test]
    fn what_is_put_is_got_with_and_without_machine_code() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path().join("made/when/needed"));
        assert_eq!((cache.get(&KEY, (13, 5)), cache.usage()), (None, Usage::default()));
        for cubin in [Some(vec![9; 1000]), None] {
            let image = Image { cubin, ..image((13, 5)) };
            cache.put(&KEY, &image).unwrap();
            assert_eq!(cache.get(&KEY, (13, 5)).as_ref(), Some(&image));
        }
        assert_eq!(cache.usage().entries, 1);
    }

    #[test]
    fn another_key_or_version_is_another_entry() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        cache.put(&KEY, &image((13, 5))).unwrap();
        assert_eq!(cache.get(&KEY, (12, 9)), None);
        assert_eq!(cache.get(&Key { architecture: 75, ..KEY }, (13, 5)), None);
        assert_eq!(cache.get(&Key { hash: [8; 32], ..KEY }, (13, 5)), None);
    }

    #[test]
    fn the_newest_version_is_that_of_the_greatest_number() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        for version in [(13, 10), (12, 9), (13, 9)] {
            cache.put(&KEY, &image(version)).unwrap();
        }
        assert_eq!(cache.newest(&KEY).unwrap().nvrtc, (13, 10));
        fs::write(folder.path().join(name(&KEY, (13, 10))), b"damaged").unwrap();
        assert_eq!(cache.newest(&KEY).unwrap().nvrtc, (13, 9), "the next one serves");
    }

    #[test]
    fn a_damaged_entry_is_as_good_as_absent() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        cache.put(&KEY, &image((13, 5))).unwrap();
        let path = only_file(folder.path());
        let good = fs::read(&path).unwrap();
        for length in 0..good.len() {
            fs::write(&path, &good[..length]).unwrap();
            assert_eq!(cache.get(&KEY, (13, 5)), None, "cut to {length} bytes");
        }
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            fs::write(&path, bytes).unwrap();
            assert_eq!(cache.get(&KEY, (13, 5)), None, "byte {at} changed");
        }
        fs::write(&path, &good).unwrap();
        assert_eq!(cache.get(&KEY, (13, 5)), Some(image((13, 5))));
    }

    #[test]
    fn an_entry_under_anothers_name_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        cache.put(&KEY, &image((13, 5))).unwrap();
        let path = only_file(folder.path());
        let other = Key { hash: [8; 32], ..KEY };
        fs::copy(&path, folder.path().join(name(&other, (13, 5)))).unwrap();
        fs::copy(&path, folder.path().join(name(&KEY, (12, 9)))).unwrap();
        assert_eq!(cache.get(&other, (13, 5)), None);
        assert_eq!(cache.get(&KEY, (12, 9)), None);
    }

    #[test]
    fn looking_whether_it_is_writable_makes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path().join("a/b"));
        cache.check_writable().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let refused = Cache::at(file.join("cache"));
        assert!(refused.check_writable().is_err() && refused.put(&KEY, &image((13, 5))).is_err());
    }
}
