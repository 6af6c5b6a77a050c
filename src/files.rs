//! Files that are either the old content or the new, never something between.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

/// A file that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {cause}; {}", path.display(), advice(cause.kind()))]
pub struct Error {
    /// The file that was to be written.
    pub path: PathBuf,
    /// What the system answered.
    pub cause: io::Error,
}

/// What a person can do about a write that failed with `kind`.
fn advice(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free some space or write to another disk",
        ErrorKind::PermissionDenied => "change the folder's permissions or write to a folder of your own",
        ErrorKind::ReadOnlyFilesystem => "the disk is mounted read-only: write to another one",
        ErrorKind::NotFound => "create the folder first",
        ErrorKind::NotADirectory => "a part of the path is a file, not a folder: correct the path",
        ErrorKind::IsADirectory | ErrorKind::InvalidInput => "name an ordinary file",
        ErrorKind::InvalidFilename => "choose a shorter or simpler name",
        ErrorKind::FileTooLarge => "raise the limit on file sizes (ulimit -f) or write to another disk",
        _ => "check the disk and try again",
    }
}

/// Makes `bytes` the content of `path`, whole or not at all, and returns when they are on the disk.
///
/// The bytes go to a temporary file in the same folder, which then takes the name: a reader, a crash or a power cut meets
/// the old content or the new. A link is followed. The file gets the permissions of any newly created file.
///
/// # Errors
/// The folder is missing or not writable, the disk is full, or `path` is something other than a file. The old content
/// stays, and no temporary file. (Should the disk fail at the last step, the new name itself, the new content is in place.)
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    replace(path, |file| file.write_all(bytes)).map_err(|cause| Error { path: path.to_owned(), cause })
}

/// Finds out whether [`write_atomically`] could write to `path`, before there is anything to write.
///
/// # Errors
/// It could not.
pub fn can_be_written(path: &Path) -> Result<(), Error> {
    let opened = open(path).map_err(|cause| Error { path: path.to_owned(), cause });
    opened.map(drop)
}

/// Replaces `path` by what `fill` writes, if `fill` succeeds.
fn replace(path: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let (target, mut temporary) = open(path)?;
    fill(temporary.as_file_mut())?;
    temporary.as_file().sync_all()?;
    temporary.persist(&target)?;
    sync_folder(target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

/// The file that `path` stands for, and a temporary one beside it.
fn open(path: &Path) -> io::Result<(PathBuf, NamedTempFile)> {
    // Renaming onto a link would replace the link and leave its target alone.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let Some(folder) = target.parent().filter(|_| target.file_name().is_some()) else {
        return Err(io::Error::new(ErrorKind::InvalidInput, "the path does not end in a file's name"));
    };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    // Renaming onto a device such as /dev/null would put a file in its place.
    if fs::metadata(&target).is_ok_and(|old| !old.is_file() && !old.is_dir()) {
        return Err(io::Error::new(ErrorKind::InvalidInput, "the path names a device, a pipe or a socket"));
    }
    if fs::metadata(&target).is_ok_and(|old| old.is_dir()) {
        return Err(ErrorKind::IsADirectory.into());
    }
    let temporary = temporary_file(folder)?;
    Ok((target, temporary))
}

/// A new file in `folder`, removed when dropped.
fn temporary_file(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    builder.prefix(".latent-").suffix(".tmp");
    // Temporary files are private by default; this one becomes a result that others may read.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

/// Puts the new name on the disk. The content is in place already, so a system that cannot do it (no permission to read the
/// folder, a filesystem that does not know the operation) is no failure.
fn sync_folder(folder: &Path) -> io::Result<()> {
    let Ok(handle) = File::open(folder) else { return Ok(()) };
    match handle.sync_all() {
        Err(e) if matches!(e.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
        result => result,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn new_content_replaces_the_old_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.bin");
        for content in [&b"first and long"[..], b"second", b""] {
            write_atomically(&path, content).unwrap();
            assert_eq!(fs::read(&path).unwrap(), content);
            assert_eq!(names(folder.path()), ["model.bin"]);
        }
    }

    #[test]
    fn a_write_that_fails_midway_keeps_the_old_content_and_no_temporary_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.bin");
        write_atomically(&path, b"old").unwrap();
        let failure = replace(&path, |file| {
            file.write_all(b"ne")?;
            Err(ErrorKind::StorageFull.into())
        });
        assert_eq!(failure.unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["model.bin"]);
    }

    #[test]
    fn errors_name_the_path_and_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        let subfolder = folder.path().join("subfolder");
        fs::write(&file, b"old").unwrap();
        fs::create_dir(&subfolder).unwrap();
        let cases = [
            (folder.path().join("missing/loss.svg"), "create the folder first"),
            (file.join("loss.svg"), "correct the path"),
            (subfolder, "name an ordinary file"),
            (PathBuf::new(), "name an ordinary file"),
            (folder.path().join("x".repeat(1000)), "shorter"),
        ];
        for (path, advice) in cases {
            let message = write_atomically(&path, b"new").unwrap_err().to_string();
            assert!(message.contains(&path.display().to_string()), "{message}");
            assert!(message.contains(advice), "{message}");
        }
        assert_eq!(names(folder.path()), ["file", "subfolder"]);
    }

    #[test]
    fn a_full_disk_and_a_read_only_one_have_advice_of_their_own() {
        let kinds = [ErrorKind::StorageFull, ErrorKind::ReadOnlyFilesystem, ErrorKind::PermissionDenied];
        for (i, kind) in kinds.into_iter().enumerate() {
            for other in kinds.into_iter().skip(i + 1).chain([ErrorKind::Other]) {
                assert_ne!(advice(kind), advice(other));
            }
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_systems_full_disk_is_told_as_such() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.bin");
        let full = |_: &mut File| File::options().write(true).open("/dev/full")?.write_all(b"new");
        let cause = replace(&path, full).unwrap_err();
        let message = Error { path, cause }.to_string();
        assert!(message.ends_with("free some space or write to another disk"), "{message}");
        assert!(names(folder.path()).is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn something_other_than_a_file_is_refused_instead_of_replaced() {
        // A socket of our own, so that a failing test spoils no real device.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let message = write_atomically(&path, b"x").unwrap_err().to_string();
        assert!(message.contains("device"), "{message}");
        assert!(!fs::metadata(&path).unwrap().is_file());
    }

    #[cfg(unix)]
    #[test]
    fn the_file_has_the_permissions_of_any_new_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let [ours, ordinary] = ["ours", "ordinary"].map(|name| folder.path().join(name));
        write_atomically(&ours, b"x").unwrap();
        fs::write(&ordinary, b"x").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&ordinary));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let [target, link] = ["target", "link"].map(|name| folder.path().join(name));
        fs::write(&target, b"old").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        write_atomically(&link, b"new").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }
}
