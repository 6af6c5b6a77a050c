//! The program as a person runs it, on small models and drawn digits.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use safetensors::SafeTensors;
use serde_json::Value;
use tempfile::TempDir;

/// Settings of a model that trains an epoch in a fraction of a second.
pub const SMALL: [&str; 8] = ["--dataset", "digits", "--hidden-dim", "16", "--latent-dim", "4", "--batch-size", "500"];

/// A folder of its own, in which the program runs.
pub struct Place {
    pub dir: TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self { dir: TempDir::new().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_latent"));
        command.args(arguments).current_dir(self.dir.path());
        command
    }

    /// Runs the program, whatever comes of it.
    pub fn latent(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).output().unwrap();
        assert!(!stderr(&output).contains("panicked"), "{arguments:?} panicked:\n{}", stderr(&output));
        output
    }

    /// Runs it on a small model and expects it to succeed.
    pub fn train(&self, command: &str, arguments: &[&str]) -> Output {
        self.succeed(&[&[command][..], &SMALL, arguments].concat())
    }

    pub fn succeed(&self, arguments: &[&str]) -> Output {
        let output = self.latent(arguments);
        assert!(output.status.success(), "{arguments:?}: {}\n{}", output.status, stderr(&output));
        output
    }

    /// The bytes of a file of a run.
    pub fn read(&self, file: &str) -> Vec<u8> {
        std::fs::read(self.path(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
    }

    pub fn records(&self, run: &str) -> Vec<Value> {
        let text = String::from_utf8(self.read(&format!("{run}/metrics.jsonl"))).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The records of one split without what depends on the clock.
    pub fn losses(&self, run: &str, split: &str) -> Vec<Value> {
        let mut records = self.records(run);
        records.retain(|record| record["split"] == split);
        for record in &mut records {
            let fields = record.as_object_mut().unwrap();
            fields.remove("seconds");
            fields.remove("images_per_second");
        }
        records
    }

    /// The loss of the last record of one split.
    pub fn loss(&self, run: &str, split: &str) -> f64 {
        self.losses(run, split).last().unwrap()["loss"].as_f64().unwrap()
    }

    /// Everything below the folder, as paths relative to it.
    pub fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        collect(self.dir.path(), self.dir.path(), &mut found);
        found.sort();
        found
    }
}

fn collect(root: &Path, dir: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, found);
        } else {
            found.push(path.strip_prefix(root).unwrap().to_string_lossy().into_owned());
        }
    }
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Names and shapes of a safetensors file.
pub fn shapes(bytes: &[u8]) -> Vec<(String, Vec<usize>)> {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let mut shapes: Vec<_> = file.iter().map(|(name, view)| (name.to_owned(), view.shape().to_vec())).collect();
    shapes.sort();
    shapes
}
