//! Grades the exercises of the book, a test each: `cargo test --release --features exercises --test exercises`.
//!
//! The files of `docs/exercises` fail as they are; that is where the reader begins. With LATENT_SOLUTIONS=1 the solutions beside them
//! are graded. One exercise alone: add its name to the command.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../softcuda/tests/device/mod.rs"]
mod device;
mod grader;

use std::fmt;

use grader::EXERCISES;
use nvrtc::Nvrtc;

/// What is wrong with a file. A test that returns it fails with its words alone.
struct Wrong(String);

impl fmt::Debug for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Grades an exercise.
fn grade(name: &str) -> Result<(), Wrong> {
    let exercise = EXERCISES.iter().find(|exercise| exercise.name == name).unwrap();
    let nvrtc = Nvrtc::find().map_err(|error| Wrong(error.to_string()))?;
    let file = if std::env::var_os("LATENT_SOLUTIONS").is_some() { exercise.solution() } else { exercise.file() };
    exercise.grade(nvrtc, &file).map_err(|wrong| {
        Wrong(format!("{}\n{wrong}\n(docs/staircase/{} explains it)", file.display(), exercise.chapter))
    })
}

/// A test for each exercise, named after it.
macro_rules! exercises {
    ($($test:ident: $name:literal),* $(,)?) => {
        $(#[test]
        fn $test() -> Result<(), Wrong> {
            grade($name)
        })*

        #[test]
        fn every_exercise_is_graded() {
            assert_eq!([$($name),*], EXERCISES.map(|exercise| exercise.name));
        }
    };
}

exercises! {
    exercise_1_naive: "1_naive",
    exercise_2_coalesced: "2_coalesced",
    exercise_3_shared_tile: "3_shared_tile",
    exercise_4_tile1d: "4_tile1d",
    exercise_5_tile2d: "5_tile2d",
    exercise_6_vectorised: "6_vectorised",
    exercise_7_async_copy: "7_async_copy",
    exercise_8_split_k: "8_split_k",
    exercise_9_tf32: "9_tf32",
    exercise_10_bf16: "10_bf16",
    exercise_11_reduction: "11_reduction",
    exercise_12_epilogue: "12_epilogue",
}
