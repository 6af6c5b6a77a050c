//! The exercises of the book fail as they are shipped, each for its reason, and pass with their solutions.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../softcuda/tests/device/mod.rs"]
mod device;
#[path = "exercises/grader.rs"]
mod grader;

use std::collections::BTreeSet;
use std::path::Path;

use grader::{EXERCISES, folder};
use nvrtc::Nvrtc;

/// What the file of each exercise fails with.
const REASONS: [(&str, &str); 12] = [
    ("1_naive", "out-of-bounds"),
    ("2_coalesced", "32 sectors a request are taken by the global load of line 14"),
    ("3_shared_tile", "32 sectors a request are taken by the global store of line 19"),
    ("4_tile1d", "2 floats loaded from shared memory for each FMA"),
    ("5_tile2d", "2 floats loaded from shared memory for each FMA"),
    ("6_vectorised", "384 requests"),
    ("7_async_copy", "before the wait for the copy"),
    ("8_split_k", "parts[0]"),
    ("9_tf32", "C["),
    ("10_bf16", "C["),
    ("11_reduction", "9 barriers a warp"),
    ("12_epilogue", "3 stores for each element of y"),
];

#[test]
fn every_exercise_fails_as_it_is_and_passes_with_its_solution() {
    let nvrtc = match Nvrtc::find() {
        Ok(nvrtc) => nvrtc,
        Err(error) => return println!("skipped, no exercise can be compiled: {error}"),
    };
    for (exercise, (name, reason)) in EXERCISES.iter().zip(REASONS) {
        assert_eq!(exercise.name, name);
        let wrong = exercise.grade(nvrtc, &exercise.file()).expect_err(name);
        println!("{name} as it is: {}", wrong.lines().take(2).collect::<Vec<_>>().join(" "));
        assert!(wrong.contains(reason), "{name}: {wrong}");
        assert_eq!(exercise.grade(nvrtc, &exercise.solution()), Ok(()), "the solution of {name}");
    }
}

/// Answers that dodge the task, as changes to a solution, and what they are told.
const DODGES: [(&str, [&str; 2], &str); 4] = [
    ("1_naive", ["void scale_rows", "void scale"], "there is no kernel scale_rows"),
    ("7_async_copy", ["wait_group 1", "wait_group 0"], "none is in flight"),
    ("11_reduction", ["fmaxf(value, ", "(value - value) / (value - value) + (0.0f * "], "out[0] is NaN"),
    ("12_epilogue", ["sum + bias[column]", "sum"], "y[2] is"),
];

#[test]
fn answers_that_dodge_the_task_are_turned_away() {
    let Ok(nvrtc) = Nvrtc::find() else { return println!("skipped, no exercise can be compiled") };
    let folder = tempfile::tempdir().unwrap();
    for (name, [from, to], reason) in DODGES {
        let exercise = EXERCISES.iter().find(|exercise| exercise.name == name).unwrap();
        let solution = std::fs::read_to_string(exercise.solution()).unwrap();
        assert!(solution.contains(from), "{name}");
        let file = folder.path().join("answer.cu");
        std::fs::write(&file, solution.replace(from, to)).unwrap();
        let wrong = exercise.grade(nvrtc, &file).expect_err(name);
        assert!(wrong.contains(reason), "{name}: {wrong}");
    }
}

/// The names of the files of a folder that are CUDA C++, without their ending.
fn names(folder: &Path) -> BTreeSet<String> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let kernels = paths.filter(|path| path.extension().is_some_and(|extension| extension == "cu"));
    kernels.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn every_file_is_an_exercise_with_a_solution_a_chapter_and_a_place_in_the_list() {
    let known: BTreeSet<String> = EXERCISES.iter().map(|exercise| exercise.name.to_owned()).collect();
    assert_eq!(names(&folder()), known);
    assert_eq!(names(&folder().join("solutions")), known);
    let list = std::fs::read_to_string(folder().join("README.md")).unwrap();
    for exercise in &EXERCISES {
        assert!(list.contains(&format!("({}.cu)", exercise.name)), "{} is not in the list", exercise.name);
        let chapter = folder().join("../staircase").join(exercise.chapter);
        let text = std::fs::read_to_string(&chapter).unwrap_or_else(|error| panic!("{}: {error}", chapter.display()));
        let test = format!("exercise_{}", exercise.name);
        assert!(text.contains(&test), "{} does not say how to run {test}", exercise.chapter);
    }
}
