//! Where NVRTC is looked for, with made-up environments: no process's variables are changed.
#![allow(clippy::unwrap_used)]
#![cfg(unix)]

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nvrtc::{Error, Found, LoadError, Nvrtc, Search};
use tempfile::TempDir;

/// A folder with a link to this machine's NVRTC at `place`.
fn folder_with(nvrtc: &Nvrtc, place: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join(place);
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    symlink(nvrtc.path(), link).unwrap();
    folder
}

fn found(search: &Search) -> Found {
    Nvrtc::find_in(search).unwrap().found()
}

#[test]
fn a_wrong_variable_is_an_error_that_names_it_even_where_another_library_is_there() {
    let empty = tempfile::tempdir().unwrap();
    let text = empty.path().join("text.so");
    let rest = Search::of_this_process();
    let missing = Search { variable: Some("/no/such/libnvrtc.so".into()), ..rest.clone() };
    let message = Nvrtc::find_in(&missing).unwrap_err().to_string();
    assert!(message.starts_with("LATENT_NVRTC: /no/such/libnvrtc.so cannot be read"), "{message}");

    let folder = Search { variable: Some(empty.path().to_owned()), ..rest.clone() };
    let path = empty.path().to_owned();
    assert_eq!(Nvrtc::find_in(&folder).unwrap_err(), Error::Variable(LoadError::EmptyFolder { path }));

    fs::write(&text, "not a library").unwrap();
    let file = Search { variable: Some(text), ..rest };
    let error = Nvrtc::find_in(&file).unwrap_err();
    assert!(matches!(&error, Error::Variable(LoadError::Unloadable { .. })), "{error:?}");
    assert!(error.to_string().ends_with("name NVRTC's library or its folder, or unset LATENT_NVRTC"), "{error}");
}

#[test]
fn nothing_found_lists_the_places_and_the_mend() {
    let search = Search {
        system_names: vec!["libnvrtc-that-nobody-has.so".to_owned()],
        toolkits: vec!["/no/toolkit".into()],
        data_folders: (1..=6).map(|number| PathBuf::from(format!("/no/data/{number}"))).collect(),
        site_folders: vec!["/no/site".into()],
        ..Search::default()
    };
    let message = Nvrtc::find_in(&search).unwrap_err().to_string();
    for part in [
        "system library path (libnvrtc-that-nobody-has.so)",
        "CUDA toolkit (/no/toolkit)",
        "data folder (/no/data/1, /no/data/2, /no/data/3, /no/data/4, 2 more)",
        "Python packages (/no/site/nvidia/cu13/lib, /no/site/nvidia/cuda_nvrtc/lib)",
        "./data-fetch.sh nvrtc",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
}

#[test]
fn a_library_that_cannot_be_used_is_told_and_the_search_goes_on() {
    let broken = tempfile::tempdir().unwrap();
    fs::write(broken.path().join("libnvrtc.so.13"), "not a library").unwrap();
    let alone = Search { data_folders: vec![broken.path().to_owned()], ..Search::default() };
    let message = Nvrtc::find_in(&alone).unwrap_err().to_string();
    assert!(message.contains("libnvrtc.so.13 cannot be loaded"), "{message}");

    let Some(nvrtc) = common::nvrtc() else { return };
    let good = folder_with(&nvrtc, "libnvrtc.so.13");
    let both = Search { data_folders: vec![broken.path().to_owned(), good.path().to_owned()], ..Search::default() };
    assert_eq!(Nvrtc::find_in(&both).unwrap().path(), nvrtc.path());
}

#[test]
fn a_library_of_another_kind_is_refused_by_the_function_it_lacks() {
    let other = ["/lib/x86_64-linux-gnu/libm.so.6", "/lib/aarch64-linux-gnu/libm.so.6", "/lib64/libm.so.6"];
    let Some(other) = other.into_iter().find(|path| Path::new(path).exists()) else {
        println!("skipped: libm.so.6 is in an unusual place");
        return;
    };
    let message = Nvrtc::load(other).unwrap_err().to_string();
    assert!(message.contains("is not NVRTC 12 or newer: it has no nvrtcVersion"), "{message}");
}

#[test]
fn every_layout_of_a_toolkit_is_searched() {
    let Some(nvrtc) = common::nvrtc() else { return };
    for place in
        ["lib64/libnvrtc.so.13", "lib/libnvrtc.so.12", "targets/sbsa-linux/lib/libnvrtc.so", "libnvrtc.so.13.5"]
    {
        let folder = folder_with(&nvrtc, place);
        let path = folder.path().to_owned();
        assert_eq!(found(&Search { toolkits: vec![path.clone()], ..Search::default() }), Found::CudaHome, "{place}");
        assert_eq!(found(&Search { variable: Some(path), ..Search::default() }), Found::Variable, "{place}");
    }
}

#[test]
fn places_are_tried_in_the_documented_order() {
    let Some(nvrtc) = common::nvrtc() else { return };
    let folder = folder_with(&nvrtc, "libnvrtc.so.13");
    let site = folder_with(&nvrtc, "nvidia/cu13/lib/libnvrtc.so.13");
    let path = folder.path().to_owned();
    let mut search = Search {
        variable: Some(path.join("libnvrtc.so.13")),
        system_names: Vec::new(),
        toolkits: vec![path.clone()],
        data_folders: vec![path],
        site_folders: vec![site.path().to_owned()],
        python: None,
    };
    assert_eq!(found(&search), Found::Variable);
    search.variable = None;
    assert_eq!(found(&search), Found::CudaHome);
    search.toolkits.clear();
    assert_eq!(found(&search), Found::DataFolder);
    search.data_folders.clear();
    assert_eq!(found(&search), Found::SitePackages);
}

#[test]
fn a_bare_name_finds_the_library_that_the_loader_knows_by_its_absolute_path() {
    let Some(nvrtc) = common::nvrtc() else { return };
    // It is loaded by now, so that the loader gives it for its SONAME.
    let name = format!("libnvrtc.so.{}", nvrtc.version().0);
    let by_name = Nvrtc::find_in(&Search { system_names: vec![name], ..Search::default() }).unwrap();
    assert_eq!((by_name.found(), by_name.path()), (Found::SystemPath, nvrtc.path()));
}

#[test]
fn python_is_asked_for_its_folders_last() {
    let Some(nvrtc) = common::nvrtc() else { return };
    let site = folder_with(&nvrtc, "nvidia/cuda_nvrtc/lib/libnvrtc.so.12");
    let python = site.path().join("python");
    fs::write(&python, format!("#!/bin/sh\necho {}\n", site.path().display())).unwrap();
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
    let mut search = Search { python: Some(python.into()), ..Search::default() };
    assert_eq!(found(&search), Found::SitePackages);
    search.python = Some("/no/such/python".into());
    assert!(matches!(Nvrtc::find_in(&search), Err(Error::NotFound { .. })));
}

#[test]
fn the_data_folder_of_the_workspace_is_searched_from_every_member() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let search = Search::of_this_process();
    assert!(search.data_folders.contains(&workspace.join("data/nvrtc")), "{:?}", search.data_folders);
    assert!(search.data_folders.iter().all(|folder| folder.ends_with("data/nvrtc")));
}

#[test]
fn bare_names_begin_with_the_newest_major_version() {
    let names = Search::of_this_process().system_names;
    assert_eq!(names[..3], ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"]);
    let place = |name: &str| names.iter().position(|other| other == name).unwrap();
    assert!(place("libnvrtc.so.13.0") < place("libnvrtc.so.12.9"));
}
