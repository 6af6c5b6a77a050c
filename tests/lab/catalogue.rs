//! What the catalogue has, and what it refuses.

use std::collections::HashSet;

use latent::backend::cuda::sources;
use latent::lab::Error;
use latent::lab::catalogue::{self, Axis, ENTRIES, STAIRCASES, Size};
use latent::lab::header::SECTIONS;

#[test]
fn every_kernel_is_in_it() {
    let own: HashSet<&str> = ENTRIES.iter().map(|entry| entry.files[0]).collect();
    for (file, _) in sources::FILES.iter().filter(|(file, _)| file.ends_with(".cu")) {
        assert!(own.contains(file), "kernels/{file} has no entry");
    }
}

#[test]
fn entries_have_names_of_their_own_and_files_and_headers_that_exist() {
    for entry in ENTRIES {
        assert!(std::ptr::eq(catalogue::find(entry.name).unwrap(), entry), "{} is there twice", entry.name);
        assert!(entry.files.iter().all(|file| sources::text(file).is_some()), "{}", entry.name);
        let header = entry.header();
        assert_eq!(header.name, entry.name);
        let sections: Vec<&str> = header.sections.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(sections, SECTIONS, "{}", entry.name);
        assert!(header.what.ends_with('.'), "{}", entry.name);
        assert_eq!(entry.axes.len(), entry.counted.len(), "{}", entry.name);
    }
    assert!(catalogue::find("gemm").is_none());
}

#[test]
fn launches_are_of_the_files_that_an_entry_names() {
    for entry in ENTRIES {
        let case = entry.case((8, 0), Size { m: 1, n: 1, k: 1 }).unwrap();
        let files: HashSet<&str> = case.launches.iter().map(|launch| launch.source.file).collect();
        assert_eq!(files, entry.files.iter().copied().collect(), "{}", entry.name);
    }
}

#[test]
fn staircases_are_made_of_entries_and_of_all_numbered_ones() {
    let steps: HashSet<&str> = STAIRCASES.iter().flat_map(|staircase| staircase.steps).copied().collect();
    for entry in ENTRIES {
        let file = entry.name.rsplit('/').next().unwrap();
        assert_eq!(steps.contains(entry.name), file.starts_with(|c: char| c.is_ascii_digit()), "{}", entry.name);
    }
    assert_eq!(steps.iter().filter(|step| catalogue::find(step).is_none()).count(), 0);
    for staircase in STAIRCASES {
        assert!(std::ptr::eq(catalogue::staircase(staircase.name).unwrap(), staircase));
        let usual: HashSet<Size> = staircase.steps.iter().map(|step| catalogue::find(step).unwrap().usual).collect();
        assert_eq!(usual.len(), 1, "{}: its steps are compared at one size", staircase.name);
    }
}

/// What is said of a size.
fn refused(name: &str, size: Size) -> String {
    let Err(error) = catalogue::find(name).unwrap().case((8, 0), size) else { panic!("{name} at {size:?} is taken") };
    assert!(matches!(error, Error::Size { .. }) && error.is_input_fault(), "{error:?}");
    error.to_string()
}

#[test]
fn extents_that_make_no_sense_are_refused_before_anything_is_allocated() {
    let size = |m, n, k| Size { m, n, k };
    assert_eq!(refused("gemm/1_naive", size(0, 1, 1)), "--m 0 leaves nothing to compute; choose 1 or more");
    assert_eq!(refused("adam", size(1, 5, 3)), "--k 3 makes no sense: adam has no --k; it has --n (parameters)");
    assert_eq!(
        refused("gemm/1_naive", size(1, 1, 65_537)),
        "--k 65537 is too long a sum to hold an f32 result against; choose at most 65536"
    );
    assert_eq!(
        refused("kl", size(100_000, 1000, 1)),
        "--m 100000 times --n 1000 is more than the 67108864 elements that are run here; choose at most 67108"
    );
    for size in [size(usize::MAX, 2, 1), size(2, usize::MAX, 1), size(usize::MAX, usize::MAX, 1)] {
        assert!(refused("kl", size).contains("is more than"), "{size:?}");
    }
    assert_eq!(
        refused("adam", size(1, 1 << 40, 1)),
        "--n 1099511627776 is more than the 16777216 elements that are run here; choose at most 16777216"
    );
    // A block of 256 threads leaves as many floats; its threads are counted by a number of 32 bits.
    assert!(refused("ceiling/fma", size(1, 1 << 24, 1)).ends_with("choose at most 262144"));
}

#[test]
fn an_extent_that_a_kernel_has_is_none_that_it_lacks() {
    for entry in ENTRIES {
        for axis in [Axis::M, Axis::N, Axis::K] {
            let (mut size, extent) = (Size { m: 1, n: 1, k: 1 }, 2);
            *match axis {
                Axis::M => &mut size.m,
                Axis::N => &mut size.n,
                Axis::K => &mut size.k,
            } = extent;
            assert_eq!(
                entry.case((8, 0), size).is_ok(),
                entry.axes.contains(&axis),
                "{} --{}",
                entry.name,
                axis.name()
            );
        }
    }
}

#[test]
fn a_device_that_is_too_old_is_refused() {
    let entry = catalogue::find("gemm/8_split_k").unwrap();
    let Err(error) = entry.case((7, 5), entry.usual) else { panic!("it is taken") };
    assert!(error.to_string().starts_with("gemm/8_split_k needs compute capability 8.0 or newer"), "{error}");
    assert!(catalogue::find("gemm/6_vectorised").unwrap().case((7, 5), entry.usual).is_ok());
}
