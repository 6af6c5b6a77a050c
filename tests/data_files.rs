//! Loading sets from IDX files: what is accepted, and what each kind of bad file is answered with.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use latent::data::{Dataset, DatasetName, Error, Fault};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const TRAIN_IMAGES: &str = "train-images-idx3-ubyte";
const TRAIN_LABELS: &str = "train-labels-idx1-ubyte";
const TEST_IMAGES: &str = "t10k-images-idx3-ubyte";
const TEST_LABELS: &str = "t10k-labels-idx1-ubyte";

fn idx(dimensions: &[u32], elements: &[u8]) -> Vec<u8> {
    let sizes = dimensions.iter().flat_map(|d| d.to_be_bytes());
    [0, 0, 8, dimensions.len() as u8].into_iter().chain(sizes).chain(elements.iter().copied()).collect()
}

fn images(count: u32) -> Vec<u8> {
    let pixels: Vec<u8> = (0..count * 784).map(|i| (i * 31 % 256) as u8).collect();
    idx(&[count, 28, 28], &pixels)
}

fn labels(count: u32) -> Vec<u8> {
    let labels: Vec<u8> = (0..count).map(|i| (i % 10) as u8).collect();
    idx(&[count], &labels)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A folder with a good `mnist/`: 12 images to train on, 5 to test with.
struct Data(TempDir);

impl Data {
    fn new() -> Self {
        let data = Self(tempfile::tempdir().unwrap());
        fs::create_dir(data.set()).unwrap();
        data.put(&format!("{TRAIN_IMAGES}.gz"), &gzip(&images(12)));
        data.put(&format!("{TRAIN_LABELS}.gz"), &gzip(&labels(12)));
        data.put(TEST_IMAGES, &images(5));
        data.put(TEST_LABELS, &labels(5));
        data
    }

    fn set(&self) -> PathBuf {
        self.0.path().join("mnist")
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        fs::write(self.set().join(name), bytes).unwrap();
    }

    fn load(&self) -> Result<Dataset, Error> {
        DatasetName::Mnist.load(self.0.path(), 0)
    }

    /// What loading fails with, after checks that hold for every bad file: it is named, and so is the command.
    fn fault(&self, name: &str) -> Fault {
        let error = self.load().unwrap_err();
        let message = error.to_string();
        assert!(error.is_input_fault(), "{message}");
        assert!(!message.contains('\n'), "{message}");
        let fetch = format!("`./data-fetch.sh mnist --to {}`", self.0.path().display());
        assert!(message.ends_with(&fetch), "{message}");
        match error {
            Error::File { path, fault, .. } => {
                assert_eq!(path, self.set().join(name), "{message}");
                fault
            }
            other => panic!("{other}"),
        }
    }

    /// The fault of a good set in which the test file `name` holds `bytes`.
    fn fault_with(name: &str, bytes: &[u8]) -> Fault {
        let data = Self::new();
        data.put(name, bytes);
        data.fault(name)
    }
}

#[test]
fn good_files_give_their_pixels_labels_and_digest() {
    let set = Data::new().load().unwrap();
    assert_eq!(set.name, DatasetName::Mnist);
    assert_eq!((set.train.images.len(), set.test.images.len()), (12, 5));
    assert_eq!((set.train.images.rows(), set.train.images.columns()), (28, 28));
    assert_eq!(set.train.images.pixels(), &images(12)[16..]);
    assert_eq!(set.test.images.image(3), &images(5)[16 + 3 * 784..][..784]);
    assert_eq!([set.train.labels, set.test.labels], [&labels(12)[8..], &labels(5)[8..]]);
    let streams = [images(12), labels(12), images(5), labels(5)].concat();
    let digest: String = Sha256::digest(streams).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(set.digest, digest);
}

#[test]
fn compression_folder_and_name_make_no_difference() {
    let want = Data::new().load().unwrap();
    let data = Data::new();
    // A plain file under a compressed file's name, and the reverse; and a stream in two members, as `cat a.gz b.gz` makes.
    data.put(&format!("{TRAIN_IMAGES}.gz"), &images(12));
    fs::remove_file(data.set().join(TEST_IMAGES)).unwrap();
    data.put(&format!("{TEST_IMAGES}.gz"), &[gzip(&images(5)[..99]), gzip(&images(5)[99..])].concat());
    data.put(TEST_LABELS, &gzip(&labels(5)));
    assert_eq!(data.load().unwrap(), want);
    // The folder itself instead of the one that holds it.
    assert_eq!(DatasetName::Mnist.load(&data.set(), 0).unwrap(), want);
}

#[test]
fn the_compressed_file_counts_where_both_are() {
    let data = Data::new();
    data.put(TRAIN_IMAGES, b"not this one");
    data.load().unwrap();
}

#[test]
fn a_missing_folder_or_file_is_answered_with_the_command_that_fetches_it() {
    let empty = tempfile::tempdir().unwrap();
    let error = DatasetName::FashionMnist.load(empty.path(), 0).unwrap_err();
    assert!(matches!(&error, Error::File { fault: Fault::MissingFolder, .. }), "{error}");
    assert!(error.to_string().contains("`./data-fetch.sh fashion-mnist --to "), "{error}");

    for name in [TEST_IMAGES, TEST_LABELS] {
        let data = Data::new();
        fs::remove_file(data.set().join(name)).unwrap();
        assert!(matches!(data.fault(&format!("{name}.gz")), Fault::MissingFile));
    }
}

#[test]
fn a_message_reads_as_a_sentence_with_its_remedy_last() {
    let error = DatasetName::Mnist.load(Path::new("no-such-folder"), 0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no-such-folder/mnist: no such folder; fetch the set with `./data-fetch.sh mnist --to no-such-folder`"
    );
}

#[test]
fn a_folder_in_place_of_a_file_is_named() {
    let data = Data::new();
    fs::remove_file(data.set().join(TEST_LABELS)).unwrap();
    fs::create_dir(data.set().join(TEST_LABELS)).unwrap();
    assert!(matches!(data.fault(TEST_LABELS), Fault::NotAFile));
}

#[test]
fn an_empty_file_is_called_empty() {
    assert!(matches!(Data::fault_with(TEST_IMAGES, b""), Fault::Empty));
    assert!(matches!(Data::fault_with(TEST_LABELS, &gzip(b"")), Fault::Empty));
}

#[test]
fn a_file_that_ends_in_its_header_says_where() {
    for length in [1, 3, 4, 11, 15] {
        let fault = Data::fault_with(TEST_IMAGES, &images(5)[..length]);
        assert!(matches!(fault, Fault::HeaderCut { held, header: 16 } if held == length as u64), "{length}: {fault}");
    }
    assert!(matches!(Data::fault_with(TEST_LABELS, &labels(5)[..7]), Fault::HeaderCut { held: 7, header: 8 }));
}

#[test]
fn another_format_is_told_by_its_first_bytes() {
    let fault = Data::fault_with(TEST_IMAGES, b"<!DOCTYPE html><title>403 Forbidden</title>");
    assert!(matches!(fault, Fault::NotIdx { found: [b'<', b'!'] }), "{fault}");
}

#[test]
fn a_wrong_element_type_is_named() {
    let mut file = images(5);
    file[2] = 0x0d;
    assert!(matches!(Data::fault_with(TEST_IMAGES, &file), Fault::ElementType { found: 0x0d }));
}

#[test]
fn images_where_labels_belong_and_the_reverse_are_told_by_their_dimensions() {
    assert!(matches!(Data::fault_with(TEST_IMAGES, &labels(5)), Fault::Dimensions { found: 1, expected: 3 }));
    assert!(matches!(Data::fault_with(TEST_LABELS, &images(5)), Fault::Dimensions { found: 3, expected: 1 }));
}

#[test]
fn images_of_another_size_are_refused_with_their_size() {
    let fault = Data::fault_with(TEST_IMAGES, &idx(&[2, 32, 30], &[0; 1920]));
    assert!(matches!(fault, Fault::ImageSize { rows: 32, columns: 30 }), "{fault}");
    let fault = Data::fault_with(TEST_IMAGES, &idx(&[u32::MAX, u32::MAX, u32::MAX], &[]));
    assert!(matches!(fault, Fault::ImageSize { .. }), "{fault}");
}

#[test]
fn a_count_of_zero_is_refused() {
    assert!(matches!(Data::fault_with(TEST_IMAGES, &images(0)), Fault::NoElements));
    assert!(matches!(Data::fault_with(TEST_LABELS, &labels(0)), Fault::NoElements));
}

#[test]
fn a_truncated_file_says_where_it_ends_and_where_it_should() {
    let short = &images(5)[..3000];
    for bytes in [short.to_vec(), gzip(short)] {
        let fault = Data::fault_with(TEST_IMAGES, &bytes);
        assert!(matches!(fault, Fault::Truncated { held: 3000, promised: 3936 }), "{fault}");
    }
    assert!(matches!(Data::fault_with(TEST_LABELS, &labels(5)[..8]), Fault::Truncated { held: 8, promised: 13 }));
}

#[test]
fn a_count_that_no_file_of_that_size_can_hold_is_refused() {
    let mut file = images(5);
    file[4..8].copy_from_slice(&[0xff; 4]);
    let promised = 16 + 784 * u64::from(u32::MAX);
    let fault = Data::fault_with(TEST_IMAGES, &file);
    assert!(matches!(fault, Fault::Truncated { held: 3936, promised: p } if p == promised), "{fault}");
    let fault = Data::fault_with(TEST_IMAGES, &gzip(&file));
    assert!(matches!(fault, Fault::Overstated { promised: p, .. } if p == promised), "{fault}");
}

#[test]
fn trailing_bytes_are_refused() {
    let long = [images(5), vec![0]].concat();
    for bytes in [long.clone(), gzip(&long)] {
        let fault = Data::fault_with(TEST_IMAGES, &bytes);
        assert!(matches!(fault, Fault::TrailingBytes { promised: 3936 }), "{fault}");
    }
    let fault = Data::fault_with(TEST_LABELS, &[gzip(&labels(5)), b"rest".to_vec()].concat());
    assert!(matches!(fault, Fault::Gzip { offset: 13, .. }), "{fault}");
}

#[test]
fn a_gzip_stream_that_is_cut_off_is_told_from_a_damaged_one() {
    let whole = gzip(&images(5));
    for length in [2, 9, whole.len() / 2, whole.len() - 1] {
        let message = Data::fault_with(TEST_IMAGES, &whole[..length]).to_string();
        assert!(message.contains("is cut off after"), "{length}: {message}");
    }
    let mut damaged = whole.clone();
    let checksum = damaged.len() - 8;
    damaged[checksum] ^= 1;
    let message = Data::fault_with(TEST_IMAGES, &damaged).to_string();
    assert!(message.contains("is damaged after 3936 uncompressed bytes"), "{message}");
}

#[test]
fn a_label_above_nine_is_named_with_its_place() {
    let fault = Data::fault_with(TEST_LABELS, &idx(&[5], &[0, 9, 3, 10, 200]));
    assert!(matches!(fault, Fault::Label { label: 10, index: 3, offset: 11 }), "{fault}");
}

#[test]
fn images_and_labels_must_be_equally_many() {
    let data = Data::new();
    data.put(TEST_LABELS, &labels(4));
    let error = data.load().unwrap_err();
    assert!(error.is_input_fault());
    assert!(matches!(error, Error::CountsDiffer { images: 5, labels: 4, .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains(TEST_IMAGES) && message.contains(TEST_LABELS), "{message}");
}

#[test]
fn a_bad_test_file_is_found_before_training_could_begin_and_a_bad_training_file_is_named_first() {
    let data = Data::new();
    data.put(TEST_LABELS, b"");
    assert!(matches!(data.fault(TEST_LABELS), Fault::Empty));
    let name = format!("{TRAIN_LABELS}.gz");
    data.put(&name, b"");
    assert!(matches!(data.fault(&name), Fault::Empty));
}

#[cfg(unix)]
#[test]
fn a_file_that_may_not_be_read_is_the_users_to_mend() {
    use std::os::unix::fs::PermissionsExt;
    let data = Data::new();
    let path = data.set().join(TEST_LABELS);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(&path).is_ok() {
        println!("skipped: this user may read everything");
        return;
    }
    let error = data.load().unwrap_err();
    assert!(error.is_input_fault());
    assert!(error.to_string().ends_with("permission denied; change its permissions"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_pipe_in_place_of_a_file_does_not_make_the_program_wait() {
    let data = Data::new();
    let path = data.set().join(TEST_LABELS);
    fs::remove_file(&path).unwrap();
    if !std::process::Command::new("mkfifo").arg(&path).status().is_ok_and(|status| status.success()) {
        println!("skipped: no mkfifo");
        return;
    }
    assert!(matches!(data.fault(TEST_LABELS), Fault::NotAFile));
}

#[test]
fn only_failures_of_the_machine_are_not_the_users_to_mend() {
    let file = |fault| Error::File { path: "f".into(), fault, fetch: String::new() };
    let failing = std::io::Error::from_raw_os_error(5);
    assert!(!file(Fault::Read { offset: 0, source: failing }).is_input_fault());
    assert!(!file(Fault::Memory { bytes: 1 << 60 }).is_input_fault());
    assert!(file(Fault::Empty).is_input_fault());
    assert!("x".parse::<DatasetName>().unwrap_err().is_input_fault());
}

#[test]
fn drawn_digits_need_no_file_and_follow_the_seed() {
    let nowhere = Path::new("no-such-folder");
    let set = DatasetName::Digits.load(nowhere, 7).unwrap();
    assert_eq!((set.train.images.len(), set.train.labels.len()), (60_000, 60_000));
    assert_eq!((set.test.images.len(), set.test.labels.len()), (10_000, 10_000));
    assert_ne!(set.train.images.image(0), set.test.images.image(0));
    assert_eq!(DatasetName::Digits.load(nowhere, 7).unwrap().digest, set.digest);
    assert_ne!(DatasetName::Digits.load(nowhere, 8).unwrap().digest, set.digest);
}

/// Where the published files are, they load: LATENT_DATA_FROM, or `data` in the package's root.
#[test]
fn published_files_load_and_are_known_by_their_digest() {
    let folder = std::env::var_os("LATENT_DATA_FROM").map_or_else(|| PathBuf::from("data"), PathBuf::from);
    let sets = [(DatasetName::Mnist, 45.756_801_792), (DatasetName::FashionMnist, 188.281_064_419)];
    for (name, floor) in sets {
        if !folder.join(name.to_string()).is_dir() {
            println!("skipped: no {name} in {}", folder.display());
            continue;
        }
        let set = name.load(&folder, 0).unwrap();
        assert_eq!((set.train.images.len(), set.test.images.len()), (60_000, 10_000));
        assert!((set.train.images.bce_floor() - floor).abs() <= 1e-6, "{}", set.train.images.bce_floor());
        let other = if name == DatasetName::Mnist { DatasetName::FashionMnist } else { DatasetName::Mnist };
        let error = other.load(&folder.join(name.to_string()), 0).unwrap_err();
        assert!(matches!(error, Error::OtherSet { found, .. } if found == name), "{error}");
    }
}
