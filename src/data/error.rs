//! What can go wrong between a name and a set in memory.

use std::io;
use std::path::PathBuf;

use super::DatasetName;

/// Why there is no data. Every message ends with what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No set has that name.
    #[error("unknown data set `{name}`; choose one of mnist, fashion-mnist, digits")]
    UnknownSet {
        /// The name as given.
        name: String,
    },
    /// A file or folder of the set is missing, unreadable or not what it should be.
    #[error("{}: {fault}; {}", path.display(), fault.remedy(fetch))]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        fault: Fault,
        /// The command that fetches the set.
        fetch: String,
    },
    /// Images and labels do not pair up.
    #[error(
        "{} holds {images} images, but {} holds {labels} labels; delete both and run `{fetch}`",
        images_path.display(),
        labels_path.display()
    )]
    CountsDiffer {
        /// The file of the images.
        images_path: PathBuf,
        /// How many images it holds.
        images: usize,
        /// The file of the labels.
        labels_path: PathBuf,
        /// How many labels it holds.
        labels: usize,
        /// The command that fetches the set.
        fetch: String,
    },
    /// The files are those of another published set: both use the same four names.
    #[error("{} holds the files of {found}, not of {asked}; ask for {found}, or run `{fetch}`", folder.display())]
    OtherSet {
        /// Where the files lie.
        folder: PathBuf,
        /// The set that was asked for.
        asked: DatasetName,
        /// The set that the files are.
        found: DatasetName,
        /// The command that fetches the set that was asked for.
        fetch: String,
    },
    /// More images were to be held out than can be spared.
    #[error("cannot hold out {asked} of {available} images; hold out fewer than {available}")]
    HoldOut {
        /// How many were to be held out.
        asked: usize,
        /// How many there are.
        available: usize,
    },
    /// An array that is not a whole number of images.
    #[error("{values} values are not a whole number of images of {rows} x {columns}; check the array's shape")]
    Ragged {
        /// How many values there are.
        values: usize,
        /// Rows of an image.
        rows: usize,
        /// Columns of an image.
        columns: usize,
    },
    /// A value that is no brightness.
    #[error(
        "value {pixel} of image {image} is {value}, and the models take values from 0 to 1; scale the array first, such as \
         (x - min) / (max - min)"
    )]
    Value {
        /// The value.
        value: f32,
        /// The image, from 0.
        image: usize,
        /// The value's place in it, from 0.
        pixel: usize,
    },
}

impl Error {
    /// Whether the user can mend it: a wrong name, or missing or bad files. Otherwise the machine failed (disk, memory).
    pub fn is_input_fault(&self) -> bool {
        !matches!(self, Self::File { fault: Fault::Read { .. } | Fault::Memory { .. }, .. })
    }
}

/// What is wrong with one file of a set. Offsets count uncompressed bytes from the file's beginning.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The set's folder does not exist.
    #[error("no such folder")]
    MissingFolder,
    /// The file does not exist, neither with `.gz` nor without.
    #[error("no such file, nor one without .gz")]
    MissingFile,
    /// A folder, a pipe or a device has the file's name.
    #[error("not a regular file")]
    NotAFile,
    /// The file may not be read.
    #[error("permission denied")]
    Denied,
    /// The operating system failed to read it.
    #[error("reading failed at byte {offset}: {source}")]
    Read {
        /// How many bytes were read before.
        offset: u64,
        /// The system's own words.
        source: io::Error,
    },
    /// There is no memory for what the file holds.
    #[error("no memory for its {bytes} bytes")]
    Memory {
        /// How many were asked for.
        bytes: u64,
    },
    /// The compressed stream is damaged or ends early.
    #[error("the gzip stream is {} after {offset} uncompressed bytes ({source})",
        if source.kind() == io::ErrorKind::UnexpectedEof { "cut off" } else { "damaged" })]
    Gzip {
        /// How many uncompressed bytes came out before.
        offset: u64,
        /// The decoder's own words.
        source: io::Error,
    },
    /// The file holds no byte.
    #[error("empty")]
    Empty,
    /// The file ends inside its header.
    #[error("ends at byte {held}, inside the header of {header} bytes")]
    HeaderCut {
        /// How many bytes there are.
        held: u64,
        /// How long the header is.
        header: u64,
    },
    /// The first two bytes are not those of an IDX file.
    #[error("not an IDX file: it begins with bytes {:02x} {:02x}, not 00 00", found[0], found[1])]
    NotIdx {
        /// The first two bytes.
        found: [u8; 2],
    },
    /// The elements are not unsigned bytes.
    #[error("element type 0x{found:02x} at byte 2, where unsigned bytes (0x08) belong")]
    ElementType {
        /// The type code.
        found: u8,
    },
    /// An array of another number of dimensions: labels have one, images three.
    #[error("{found} dimensions at byte 3, where {expected} belong (labels have 1, images 3)")]
    Dimensions {
        /// How many the file has.
        found: u8,
        /// How many it should have.
        expected: u8,
    },
    /// The images are not of the size that the models take.
    #[error("images of {rows}x{columns} pixels at bytes 8 to 15, where 28x28 belong")]
    ImageSize {
        /// Their height in pixels.
        rows: u32,
        /// Their width in pixels.
        columns: u32,
    },
    /// The header promises no element.
    #[error("a count of 0 at bytes 4 to 7")]
    NoElements,
    /// The file ends before what its header promises.
    #[error("ends at byte {held}, where its header promises {promised} bytes")]
    Truncated {
        /// How many bytes there are.
        held: u64,
        /// How many there should be, header included.
        promised: u64,
    },
    /// The header promises more than a gzip file of this size can hold.
    #[error("its header promises {promised} bytes, more than {compressed} compressed bytes can hold")]
    Overstated {
        /// How many uncompressed bytes there should be, header included.
        promised: u64,
        /// How long the compressed file is.
        compressed: u64,
    },
    /// Bytes follow the last element.
    #[error("goes on after byte {promised}, where its header says it ends")]
    TrailingBytes {
        /// How many bytes there should be, header included.
        promised: u64,
    },
    /// A label is no digit.
    #[error("label {label} at byte {offset} (image {index}), where 0 to 9 belong")]
    Label {
        /// The label.
        label: u8,
        /// Whose label it is, counted from 0.
        index: usize,
        /// Where it stands.
        offset: u64,
    },
}

impl Fault {
    fn remedy(&self, fetch: &str) -> String {
        match self {
            Self::MissingFolder | Self::MissingFile => format!("fetch the set with `{fetch}`"),
            Self::Denied => "change its permissions".to_owned(),
            Self::Read { .. } => "check the disk and try again".to_owned(),
            Self::Memory { .. } => "free some memory and try again".to_owned(),
            _ => format!("delete it and run `{fetch}`"),
        }
    }
}
