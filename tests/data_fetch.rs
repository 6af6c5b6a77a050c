//! `data-fetch.sh`, without a network: folders and `file:` mirrors stand in for the world.
#![allow(clippy::unwrap_used)]
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

const FILES: [&str; 4] = [
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
];

/// A run of the script into `to`, which asks no mirror unless it is given one.
fn script(to: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("bash");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("data-fetch.sh")).args(arguments).arg("--to").arg(to);
    command.env_remove("LATENT_DATA_FROM");
    for mirrors in ["LATENT_MNIST_MIRRORS", "LATENT_FASHION_MNIST_MIRRORS"] {
        command.env(mirrors, "file:///no-such-mirror");
    }
    command
}

fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// What a failing run says: it leaves nothing that looks whole, and exits with `code`.
fn complaint(to: &TempDir, code: i32, command: &mut Command) -> String {
    let (status, stdout, stderr) = run(command);
    assert_eq!((status, stdout.as_str()), (Some(code), ""), "{stderr}");
    for file in FILES {
        assert!(!to.path().join("mnist").join(file).exists(), "{file} appeared");
    }
    stderr
}

/// A folder with four files that no set has.
fn fake_set() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in FILES {
        fs::write(folder.path().join(file), b"not what was published").unwrap();
    }
    folder
}

/// A folder with links to these programs of the system and to no other.
fn tools(names: &[&str]) -> Option<TempDir> {
    let tools = tempfile::tempdir().unwrap();
    for tool in names {
        let path =
            ["/usr/bin", "/bin"].map(|folder| Path::new(folder).join(tool)).into_iter().find(|path| path.exists());
        let Some(path) = path else {
            println!("skipped: {tool} is in an unusual place");
            return None;
        };
        symlink(path, tools.path().join(tool)).unwrap();
    }
    Some(tools)
}

/// The folder of the published files, if this machine has them.
fn published() -> Option<PathBuf> {
    let folder = std::env::var_os("LATENT_DATA_FROM").map_or_else(|| PathBuf::from("data"), PathBuf::from);
    let folder = folder.canonicalize().ok().filter(|folder| folder.join("mnist").join(FILES[0]).is_file());
    if folder.is_none() {
        println!("skipped: no mnist/*.gz in LATENT_DATA_FROM or data");
    }
    folder
}

#[test]
fn help_goes_to_standard_output() {
    let (status, stdout, stderr) = run(&mut script(Path::new("unused"), &["--help"]));
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    assert!(stdout.starts_with("Usage: ./data-fetch.sh"), "{stdout}");
}

#[test]
fn wrong_usage_exits_with_2_and_one_line() {
    let to = tempfile::tempdir().unwrap();
    let cases: [(&[&str], &str); 4] = [
        (&["cifar"], "unknown set cifar: choose mnist, fashion-mnist, nvrtc, nvrtc12 or nvdisasm"),
        (&["--form", "x"], "unknown option --form"),
        (&["--from", ""], "--from needs a folder"),
        (&["mnist", "fashion-mnist"], "one set at a time"),
    ];
    for (arguments, want) in cases {
        let stderr = complaint(&to, 2, &mut script(to.path(), arguments));
        assert!(stderr.contains(want) && stderr.lines().count() == 1, "{stderr}");
    }
}

#[test]
fn a_missing_folder_to_copy_from_is_named() {
    let to = tempfile::tempdir().unwrap();
    let stderr = complaint(&to, 1, &mut script(to.path(), &["--from", "/no/such/folder"]));
    assert!(stderr.contains("/no/such/folder: no such folder"), "{stderr}");
}

#[test]
fn a_folder_without_the_files_is_answered_with_the_name_that_is_missing() {
    let (to, from) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let stderr = complaint(&to, 1, script(to.path(), &[]).arg("--from").arg(from.path()));
    assert!(stderr.contains("holds no train-images-idx3-ubyte.gz"), "{stderr}");
}

#[test]
fn a_file_with_another_checksum_is_not_copied() {
    let (to, from) = (tempfile::tempdir().unwrap(), fake_set());
    let stderr = complaint(&to, 1, script(to.path(), &[]).arg("--from").arg(from.path()));
    assert!(stderr.contains("train-images-idx3-ubyte.gz is not mnist's (checksum differs)"), "{stderr}");
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let (folder, from) = (tempfile::tempdir().unwrap(), fake_set());
    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    let (status, _, stderr) = run(script(&file, &[]).arg("--from").arg(from.path()));
    assert_eq!(status, Some(1));
    assert!(stderr.contains("cannot write to") && stderr.lines().count() == 1, "{stderr}");
}

#[test]
fn a_mirror_with_other_files_is_refused_and_leaves_nothing() {
    let (to, mirror) = (tempfile::tempdir().unwrap(), fake_set());
    let url = format!("file://{}", mirror.path().display());
    let stderr = complaint(&to, 1, script(to.path(), &[]).env("LATENT_MNIST_MIRRORS", url));
    assert!(stderr.contains("not the published file (checksum differs)"), "{stderr}");
    assert_eq!(fs::read_dir(to.path().join("mnist")).unwrap().count(), 0);
}

#[test]
fn an_unreachable_mirror_is_told_and_a_part_is_kept() {
    let to = tempfile::tempdir().unwrap();
    let part = to.path().join("mnist/train-images-idx3-ubyte.gz.part");
    fs::create_dir(to.path().join("mnist")).unwrap();
    fs::write(&part, b"begun").unwrap();
    // Nobody listens on port 1 of the local machine.
    let stderr = complaint(&to, 1, script(to.path(), &[]).env("LATENT_MNIST_MIRRORS", "http://127.0.0.1:1"));
    assert!(stderr.contains("cannot connect; offline, or the mirror is down"), "{stderr}");
    assert_eq!(fs::read(part).unwrap(), b"begun");
}

#[test]
fn a_missing_curl_is_named() {
    let Some(tools) = tools(&["bash", "dirname", "mkdir", "rm", "cat"]) else { return };
    let to = tempfile::tempdir().unwrap();
    let stderr = complaint(&to, 1, script(to.path(), &[]).env("PATH", tools.path()));
    assert!(stderr.contains("curl is not installed"), "{stderr}");
}

#[test]
fn the_published_files_are_copied_kept_mended_and_resumed() {
    let Some(from) = published() else { return };
    let to = tempfile::tempdir().unwrap();
    let (status, stdout, stderr) = run(script(to.path(), &[]).arg("--from").arg(&from));
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    assert!(stdout.starts_with("mnist: copied from"), "{stdout}");

    let (status, stdout, _) = run(&mut script(to.path(), &["mnist"]));
    assert_eq!(status, Some(0));
    assert!(stdout.starts_with("mnist: already in"), "{stdout}");

    // A damaged file, and one of which a part was fetched before.
    let set = to.path().join("mnist");
    fs::write(set.join(FILES[1]), b"damaged").unwrap();
    let whole = fs::read(set.join(FILES[2])).unwrap();
    fs::remove_file(set.join(FILES[2])).unwrap();
    fs::write(set.join(format!("{}.part", FILES[2])), &whole[..whole.len() / 2]).unwrap();
    let url = format!("file://{}", from.join("mnist").display());
    let (status, stdout, stderr) = run(script(to.path(), &[]).env("LATENT_MNIST_MIRRORS", url));
    assert_eq!(status, Some(0), "{stderr}");
    assert!(stdout.starts_with("mnist: downloaded to"), "{stdout}");
    assert!(stderr.contains("train-labels-idx1-ubyte.gz is damaged (checksum differs): replacing it"), "{stderr}");
    assert_eq!(fs::read(set.join(FILES[2])).unwrap(), whole);
    assert_eq!(fs::read_dir(set).unwrap().count(), 4);
}

#[test]
fn the_environments_folder_is_used_and_plain_files_are_compressed() {
    let Some(from) = published() else { return };
    let (to, plain) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for file in FILES {
        let output = Command::new("gzip").arg("-dc").arg(from.join("mnist").join(file)).output().unwrap();
        fs::write(plain.path().join(file.trim_end_matches(".gz")), output.stdout).unwrap();
    }
    let (status, stdout, stderr) = run(script(to.path(), &[]).env("LATENT_DATA_FROM", plain.path()));
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    assert!(stdout.starts_with("mnist: copied from"), "{stdout}");
    for file in FILES {
        let bytes = fs::read(to.path().join("mnist").join(file)).unwrap();
        assert_eq!(bytes[..2], [0x1f, 0x8b], "{file}");
    }
}

const LIBRARIES: [&str; 3] = ["libnvrtc.so.13", "libnvrtc-builtins.so.13.5", "License.txt"];

/// A run of the script for NVRTC into `to`, with the programs of `tools` before the system's.
fn nvrtc(to: &TempDir, tools: &TempDir) -> Command {
    let mut command = script(to.path(), &["nvrtc"]);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(tools.path().to_owned()).chain(std::env::split_paths(&path));
    command.env("PATH", std::env::join_paths(folders).unwrap());
    command
}

/// A `python3` whose pip downloads, and whose zipfile unpacks, a wheel with the files of `source`.
fn python_with_wheel(source: &Path) -> TempDir {
    let source = source.display();
    python(&format!(
        r#"case "$*" in
            "-m pip --version") ;;
            "-m pip download"*nvidia-cuda-nvrtc==13.5.37)
                while [ "$1" != --dest ]; do shift; done
                : >"$2/package.whl" ;;
            "-m zipfile -e "*package.whl*)
                mkdir -p "$5/nvidia/cu13" "$5/package.dist-info"
                ln -s "{source}" "$5/nvidia/cu13/lib"
                ln -s "{source}" "$5/package.dist-info/licenses" ;;
            *) echo "unexpected: $*" >&2; exit 1 ;;
        esac"#
    ))
}

fn python(script: &str) -> TempDir {
    let tools = tempfile::tempdir().unwrap();
    let python = tools.path().join("python3");
    fs::write(&python, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
    tools
}

/// `data/nvrtc`, if this workspace has it.
fn fetched_nvrtc() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/nvrtc");
    let there = LIBRARIES.iter().all(|file| folder.join(file).is_file());
    if !there {
        println!("skipped: NVRTC not found (./data-fetch.sh nvrtc brings it)");
    }
    there.then_some(folder)
}

/// What is in the target folder, which holds nothing that looks whole after a failure.
fn nvrtc_files(to: &TempDir) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(to.path().join("nvrtc"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
#[cfg(target_os = "linux")]
fn nvrtc_without_python_says_what_to_do() {
    let Some(tools) = tools(&["bash", "dirname", "mkdir", "rm", "cat", "uname"]) else { return };
    let to = tempfile::tempdir().unwrap();
    let stderr = complaint(&to, 1, script(to.path(), &["nvrtc"]).env("PATH", tools.path()));
    assert!(stderr.contains("python3 is not installed: install it with pip, or name a folder"), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

#[test]
#[cfg(target_os = "linux")]
fn nvrtc_without_pip_says_what_to_do() {
    let (to, tools) = (tempfile::tempdir().unwrap(), python("echo No module named pip >&2; exit 1"));
    let stderr = complaint(&to, 1, &mut nvrtc(&to, &tools));
    assert!(stderr.contains("python3 has no pip: install it"), "{stderr}");
    assert!(stderr.contains("--from DIR") && stderr.lines().count() == 1, "{stderr}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_package_that_pip_does_not_get_leaves_nothing() {
    let to = tempfile::tempdir().unwrap();
    let tools = python("case \"$*\" in *--version) ;; *) exit 1 ;; esac");
    let stderr = complaint(&to, 1, &mut nvrtc(&to, &tools));
    assert!(stderr.contains("pip could not download nvidia-cuda-nvrtc==13.5.37"), "{stderr}");
    assert!(nvrtc_files(&to).is_empty());
    assert_eq!(fs::read_dir(to.path()).unwrap().count(), 1, "a temporary folder was left");
}

#[test]
#[cfg(target_os = "linux")]
fn a_wheel_with_another_library_is_refused_and_leaves_nothing() {
    let (to, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for file in LIBRARIES {
        fs::write(other.path().join(file), b"not what was published").unwrap();
    }
    let stderr = complaint(&to, 1, &mut nvrtc(&to, &python_with_wheel(other.path())));
    assert!(stderr.contains("libnvrtc.so.13 is not of nvidia-cuda-nvrtc==13.5.37 (checksum differs)"), "{stderr}");
    assert!(nvrtc_files(&to).is_empty());
    assert_eq!(fs::read_dir(to.path()).unwrap().count(), 1, "a temporary folder was left");
}

#[test]
#[cfg(target_os = "linux")]
fn nvrtc_is_downloaded_kept_and_mended() {
    let Some(fetched) = fetched_nvrtc() else { return };
    let to = tempfile::tempdir().unwrap();
    let tools = python_with_wheel(&fetched);
    let (status, stdout, stderr) = run(&mut nvrtc(&to, &tools));
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    assert!(stdout.starts_with("nvrtc: nvidia-cuda-nvrtc==13.5.37 downloaded to"), "{stdout}");
    assert_eq!(nvrtc_files(&to), ["License.txt", "libnvrtc-builtins.so.13.5", "libnvrtc.so.13"]);

    // What is there and right asks for nothing.
    let no_pip = python("exit 1");
    let (status, stdout, stderr) = run(&mut nvrtc(&to, &no_pip));
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    assert!(stdout.starts_with("nvrtc: already in"), "{stdout}");

    let builtins = to.path().join("nvrtc/libnvrtc-builtins.so.13.5");
    fs::write(&builtins, b"damaged").unwrap();
    let (status, _, stderr) = run(&mut nvrtc(&to, &tools));
    assert_eq!(status, Some(0), "{stderr}");
    assert!(stderr.contains("libnvrtc-builtins.so.13.5 is damaged (checksum differs): replacing it"), "{stderr}");
    assert_eq!(fs::read(builtins).unwrap(), fs::read(fetched.join("libnvrtc-builtins.so.13.5")).unwrap());
}

#[test]
#[cfg(target_os = "linux")]
fn nvrtc_is_copied_from_a_folder_without_python() {
    let Some(fetched) = fetched_nvrtc() else { return };
    let (to, no_python) = (tempfile::tempdir().unwrap(), python("exit 1"));
    for from in [fetched.as_path(), fetched.parent().unwrap()] {
        let (status, stdout, stderr) = run(nvrtc(&to, &no_python).arg("--from").arg(from));
        assert_eq!((status, stderr.as_str()), (Some(0), ""));
        assert!(stdout.starts_with("nvrtc: copied from"), "{stdout}");
        fs::remove_dir_all(to.path().join("nvrtc")).unwrap();
    }
    let empty = tempfile::tempdir().unwrap();
    let stderr = complaint(&to, 1, nvrtc(&to, &no_python).arg("--from").arg(empty.path()));
    assert!(stderr.contains("no libnvrtc.so.13 in"), "{stderr}");
}
