//! Named f32 tensors in a safetensors file, with a checksum of everything in it.

use std::collections::{BTreeMap, HashMap};

use safetensors::tensor::{Metadata, TensorView};
use safetensors::{Dtype, SafeTensorError, SafeTensors};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Our one entry in a file's metadata. One, because the format does not fix the order of several.
const ENTRY: &str = "latent";

/// Why bytes are not a file of tensors.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Not safetensors.
    #[error("not a whole safetensors file ({0}); it may be truncated: copy it again, or use another checkpoint")]
    Format(#[from] SafeTensorError),
    /// The checksum does not fit the contents.
    #[error("damaged: the contents do not match the file's own checksum; copy it again, or use another checkpoint")]
    Damaged,
    /// Another type of numbers.
    #[error("tensor `{name}` holds {found:?}, not F32; convert the model with .float() before saving it")]
    Type {
        /// The tensor.
        name: String,
        /// Its type.
        found: Dtype,
    },
}

/// A tensor's dimensions and its elements, row-major.
pub type Tensor = (Vec<usize>, Vec<f32>);

/// The contents of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TensorFile {
    /// What the writer added, if one of ours wrote the file.
    pub note: Option<String>,
    /// The tensors by name.
    pub tensors: BTreeMap<String, Tensor>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    note: String,
    /// SHA-256 of everything else, in hexadecimal.
    sha256: String,
}

impl TensorFile {
    /// The file's bytes. Equal contents give equal bytes.
    ///
    /// # Errors
    /// [`FileError::Format`] where the format cannot hold the tensors.
    pub fn to_bytes(&self) -> Result<Vec<u8>, FileError> {
        let note = self.note.clone().unwrap_or_default();
        let entry = Entry { sha256: self.checksum(&note), note };
        let entry = serde_json::to_string(&entry).map_err(SafeTensorError::from)?;
        let views: Vec<(&str, TensorView<'_>)> = self
            .tensors
            .iter()
            .map(|(name, (dims, values))| {
                let bytes = bytemuck::cast_slice(values);
                Ok((name.as_str(), TensorView::new(Dtype::F32, dims.clone(), bytes)?))
            })
            .collect::<Result<_, SafeTensorError>>()?;
        Ok(safetensors::serialize(views, Some(HashMap::from([(ENTRY.to_owned(), entry)])))?)
    }

    /// Reads a file, also one that another program wrote (which then has no checksum to verify).
    ///
    /// # Errors
    /// The bytes are no such file, are damaged, or hold other numbers than f32.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FileError> {
        let (_, metadata) = SafeTensors::read_metadata(bytes)?;
        let entry = Self::entry(&metadata)?;
        let mut file = Self { note: entry.as_ref().map(|entry| entry.note.clone()), ..Self::default() };
        for (name, view) in SafeTensors::deserialize(bytes)?.iter() {
            if view.dtype() != Dtype::F32 {
                return Err(FileError::Type { name: name.to_owned(), found: view.dtype() });
            }
            file.tensors.insert(name.to_owned(), (view.shape().to_vec(), bytemuck::pod_collect_to_vec(view.data())));
        }
        match entry {
            Some(entry) if entry.sha256 != file.checksum(&entry.note) => Err(FileError::Damaged),
            _ => Ok(file),
        }
    }

    fn entry(metadata: &Metadata) -> Result<Option<Entry>, FileError> {
        let text = metadata.metadata().as_ref().and_then(|entries| entries.get(ENTRY));
        text.map(|text| serde_json::from_str(text).map_err(|_| FileError::Damaged)).transpose()
    }

    /// Every part goes in behind its length, so that no two contents give the same stream.
    fn checksum(&self, note: &str) -> String {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        part(note.as_bytes());
        for (name, (dims, values)) in &self.tensors {
            part(name.as_bytes());
            let dims: Vec<u64> = dims.iter().map(|d| *d as u64).collect();
            part(bytemuck::cast_slice(&dims));
            part(bytemuck::cast_slice(values));
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> TensorFile {
        let tensors =
            [("b", (vec![2], vec![1.5, -2.0])), ("a", (vec![2, 3], vec![0.0; 6])), ("c", (vec![1], vec![3.0]))];
        let tensors = tensors.map(|(name, tensor)| (name.to_owned(), tensor)).into();
        TensorFile { note: Some("{\"step\":7}".to_owned()), tensors }
    }

    #[test]
    fn what_was_written_is_read_and_equal_contents_are_equal_bytes() {
        let bytes = example().to_bytes().expect("writes");
        assert_eq!(TensorFile::from_bytes(&bytes).expect("reads"), example());
        assert_eq!(example().to_bytes().expect("writes"), bytes);
    }

    #[test]
    fn every_flipped_bit_and_every_truncation_is_noticed() {
        let bytes = example().to_bytes().expect("writes");
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            // In the name of our own entry, a flip leaves a whole file that says nothing about its checksum.
            match TensorFile::from_bytes(&damaged) {
                Err(_) => {}
                Ok(file) => assert_eq!(file, TensorFile { note: None, ..example() }, "bit {bit}"),
            }
        }
        for len in 0..bytes.len() {
            assert!(TensorFile::from_bytes(&bytes[..len]).is_err(), "{len} bytes");
        }
    }
}
