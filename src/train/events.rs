//! Event files, as TensorBoard reads them.
//!
//! A file is a row of records: the length of an event (8 bytes), its checksum, the event, its checksum; little-endian. An event is a
//! protocol-buffer message, of which the few fields that are used here are declared below under their numbers (TensorFlow's
//! `event.proto` and `summary.proto`).

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;

use super::{Error, Record, Which};
use crate::files::{self, write_atomically};

/// What the file is called: TensorBoard takes files with `tfevents` in their names.
const NAME: &str = "events.out.tfevents.latent";

#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    values: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, tag = "2")]
    simple_value: f32,
}

/// The event file of a run.
#[derive(Debug)]
pub struct EventFile {
    path: PathBuf,
}

impl EventFile {
    /// Begins the file in `folder` with what was recorded before.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn begin(folder: &Path, records: &[Record]) -> Result<Self, Error> {
        std::fs::create_dir_all(folder).map_err(|source| Error::CreateRun { path: folder.to_owned(), source })?;
        let path = folder.join(NAME);
        let version = Event { file_version: Some("brain.Event:2".to_owned()), ..at(0) };
        let mut bytes = framed(&version);
        records.iter().for_each(|record| bytes.extend(framed(&event(record))));
        write_atomically(&path, &bytes)?;
        Ok(Self { path })
    }

    /// Adds a record at the end, so that a TensorBoard that has the file open sees it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn add(&self, record: &Record) -> Result<(), Error> {
        let append = || OpenOptions::new().append(true).open(&self.path)?.write_all(&framed(&event(record)));
        append().map_err(|cause| files::Error { path: self.path.clone(), cause }.into())
    }
}

/// An empty event of this moment.
fn at(step: i64) -> Event {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Event { wall_time: now.as_secs_f64(), step, file_version: None, summary: None }
}

/// The scalars of a record, at its epoch.
fn event(record: &Record) -> Event {
    let split = match record.which {
        Which::Train => "train",
        Which::Validation => "validation",
    };
    let averages = &record.averages;
    let value = |name: &str, value: f64| Value { tag: format!("{name}/{split}"), simple_value: value as f32 };
    let mut values = vec![value("loss", averages.loss), value("bce", averages.bce), value("kl", averages.kl)];
    values.extend(averages.active_units.map(|units| value("active_units", units as f64)));
    if record.which == Which::Train {
        values.push(Value { tag: "learning_rate".to_owned(), simple_value: record.learning_rate as f32 });
    }
    Event { summary: Some(Summary { values }), ..at(i64::from(record.epoch)) }
}

/// An event between its length and its checksums.
fn framed(event: &Event) -> Vec<u8> {
    let event = event.encode_to_vec();
    let length = (event.len() as u64).to_le_bytes();
    [&length[..], &masked_checksum(&length), &event, &masked_checksum(&event)].concat()
}

/// CRC-32C, turned and shifted so that a checksum of data that hold checksums is not a special case.
fn masked_checksum(data: &[u8]) -> [u8; 4] {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}
