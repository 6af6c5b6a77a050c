//! The sets by name.

use std::fmt;
use std::fs;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::thread;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Error, Fault, Split, digits, idx};

/// The digests of the sets as published.
const PUBLISHED: [(DatasetName, &str); 2] = [
    (DatasetName::Mnist, "b2d8f5bf39174ee5ffeefa97e42d673c35432b411bb5d1f74fbbeddae7f1690a"),
    (DatasetName::FashionMnist, "14410854cf7a289477dcfc7df3f8ec24741e281cdcc425ede0d9a748ca630214"),
];

/// A set that can be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DatasetName {
    /// Handwritten digits (LeCun, Cortes, Burges 1998).
    Mnist,
    /// Clothes (Xiao, Rasul, Vollgraf 2017), in the same format and size.
    FashionMnist,
    /// Digits of the same size, drawn on the spot from the seed: no file is needed.
    Digits,
}

impl fmt::Display for DatasetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Mnist => "mnist",
            Self::FashionMnist => "fashion-mnist",
            Self::Digits => "digits",
        })
    }
}

impl FromStr for DatasetName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let all = [Self::Mnist, Self::FashionMnist, Self::Digits];
        let found = all.into_iter().find(|set| set.to_string() == name);
        found.ok_or_else(|| Error::UnknownSet { name: name.to_owned() })
    }
}

/// A training and a test part, in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// Which set it is.
    pub name: DatasetName,
    /// To learn from: 60,000 images in each of the published sets.
    pub train: Split,
    /// To judge by: 10,000 images.
    pub test: Split,
    /// Names the contents: the SHA-256, in hexadecimal, of the uncompressed IDX files of the training images, training labels,
    /// test images and test labels, one after the other. Drawn digits have the digest of the files that they would make.
    pub digest: String,
}

impl DatasetName {
    /// Loads the set, 28x28 pixels an image, at least one image in each part.
    ///
    /// The files lie in `data_dir`/mnist or `data_dir`/fashion-mnist, or in `data_dir` itself, under their published names with
    /// `.gz` or without; where both are, the one with `.gz` counts. All four are checked. `seed` decides what
    /// [`Digits`](Self::Digits) draws and nothing else.
    ///
    /// # Errors
    /// A file is missing, unreadable or malformed, or the files are those of the other published set.
    pub fn load(self, data_dir: &Path, seed: u64) -> Result<Dataset, Error> {
        match self {
            Self::Mnist | Self::FashionMnist => Folder::find(self, data_dir)?.load(),
            Self::Digits => {
                let threads = thread::available_parallelism().map_or(1, usize::from);
                let (train, test) = digits::draw(seed, threads);
                Ok(Dataset { name: self, digest: digest(&train, &test), train, test })
            }
        }
    }
}

/// Where the four files of a set lie.
struct Folder {
    set: DatasetName,
    path: PathBuf,
    /// The command that fetches the set to where it was looked for.
    fetch: String,
}

impl Folder {
    fn find(set: DatasetName, data_dir: &Path) -> Result<Self, Error> {
        let fetch = fetch_command(set, data_dir);
        let own = data_dir.join(set.to_string());
        if own.is_dir() {
            return Ok(Self { set, path: own, fetch });
        }
        let holds_files = ["train", "t10k"].iter().any(|part| {
            let images = format!("{part}-images-idx3-ubyte");
            data_dir.join(format!("{images}.gz")).exists() || data_dir.join(images).exists()
        });
        if holds_files {
            Ok(Self { set, path: data_dir.to_owned(), fetch })
        } else {
            Err(Error::File { path: own, fault: Fault::MissingFolder, fetch })
        }
    }

    fn load(&self) -> Result<Dataset, Error> {
        let (train, test) = thread::scope(|scope| {
            let test = scope.spawn(|| self.split("t10k"));
            (self.split("train"), test.join().unwrap_or_else(|panic| resume_unwind(panic)))
        });
        let (train, test) = (train?, test?);
        let digest = digest(&train, &test);
        match PUBLISHED.into_iter().find(|&(set, published)| set != self.set && published == digest) {
            Some((found, _)) => {
                let (folder, asked, fetch) = (self.path.clone(), self.set, self.fetch.clone());
                Err(Error::OtherSet { folder, asked, found, fetch })
            }
            None => Ok(Dataset { name: self.set, train, test, digest }),
        }
    }

    /// The images and labels of `part`, "train" or "t10k".
    fn split(&self, part: &str) -> Result<Split, Error> {
        let (images_path, images) = self.read(&format!("{part}-images-idx3-ubyte"), idx::read_images)?;
        let (labels_path, labels) = self.read(&format!("{part}-labels-idx1-ubyte"), idx::read_labels)?;
        if images.len() == labels.len() {
            return Ok(Split { images, labels });
        }
        let (images, labels, fetch) = (images.len(), labels.len(), self.fetch.clone());
        Err(Error::CountsDiffer { images_path, images, labels_path, labels, fetch })
    }

    /// Reads the file called `name`, with `.gz` or without; also says which it was.
    fn read<T>(&self, name: &str, read: fn(&Path) -> Result<T, Fault>) -> Result<(PathBuf, T), Error> {
        let gzip = self.path.join(format!("{name}.gz"));
        let plain = self.path.join(name);
        let is_missing = |path: &Path| fs::metadata(path).is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound);
        let path = if is_missing(&gzip) && !is_missing(&plain) { plain } else { gzip };
        match read(&path) {
            Ok(contents) => Ok((path, contents)),
            Err(fault) => Err(Error::File { path, fault, fetch: self.fetch.clone() }),
        }
    }
}

/// The command that puts `set` into `data_dir`; `data` is where it goes unless told.
fn fetch_command(set: DatasetName, data_dir: &Path) -> String {
    if data_dir == Path::new("data") {
        format!("./data-fetch.sh {set}")
    } else {
        format!("./data-fetch.sh {set} --to {}", data_dir.display())
    }
}

/// See [`Dataset::digest`]. A header says nothing that images and labels do not, so the files need not be at hand.
fn digest(train: &Split, test: &Split) -> String {
    let mut hash = Sha256::new();
    for Split { images, labels } in [train, test] {
        hash.update(idx::header(&[images.len(), images.rows(), images.columns()]));
        hash.update(images.pixels());
        hash.update(idx::header(&[labels.len()]));
        hash.update(labels);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for set in [DatasetName::Mnist, DatasetName::FashionMnist, DatasetName::Digits] {
            assert_eq!(set.to_string().parse::<DatasetName>().unwrap(), set);
        }
    }

    #[test]
    fn the_command_names_the_folder_unless_it_is_the_usual_one() {
        let command = |folder: &str| fetch_command(DatasetName::FashionMnist, Path::new(folder));
        assert_eq!(command("data"), "./data-fetch.sh fashion-mnist");
        assert_eq!(command("data/"), "./data-fetch.sh fashion-mnist");
        assert_eq!(command("/srv/sets"), "./data-fetch.sh fashion-mnist --to /srv/sets");
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_three_there_are() {
        for name in ["MNIST", "", "cifar10"] {
            let message = name.parse::<DatasetName>().unwrap_err().to_string();
            assert!(message.contains(&format!("`{name}`")), "{message}");
            assert!(message.ends_with("mnist, fashion-mnist, digits"), "{message}");
        }
    }
}
