//! The software driver as a dependency: a program that merely depends on it finds its library.

use softcuda::settings::{Checks, Settings};

#[test]
fn a_program_that_depends_on_softcuda_finds_its_library() {
    let library = softcuda::preload(&Settings { checks: Checks::ALL, ..Settings::default() }).unwrap();
    assert!(library.path().ends_with("libsoftcuda.so"), "{}", library.path().display());
    assert_eq!(library.reports().unwrap(), []);
}

#[test]
fn a_child_process_is_given_the_driver_under_both_of_its_names() {
    let command = softcuda::command("true", &Settings::default()).unwrap();
    let folders = command.get_envs().find(|(name, _)| *name == "LD_LIBRARY_PATH").and_then(|(_, value)| value).unwrap();
    let first = std::env::split_paths(folders).next().unwrap();
    for name in ["libcuda.so", "libcuda.so.1"] {
        assert!(first.join(name).is_file(), "{} has no {name}", first.display());
    }
}
