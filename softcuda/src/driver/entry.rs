//! How clients find the functions: by name and the version of the interface that they were built for.

use super::abi::{Entry, Out, Text, api};
use super::code::{Code, Outcome};
use super::entries;

/// Where a newer form of a function came in that an older client must not get: name, and for each form from the first on
/// its exported name and the version that brought it.
const FORMS: &[(&str, &[(&str, i32)])] = &[
    ("cuCtxCreate", &[("cuCtxCreate_v2", 3020), ("cuCtxCreate_v3", 11040), ("cuCtxCreate_v4", 12050)]),
    ("cuCtxGetDevice", &[("cuCtxGetDevice", 2000), ("cuCtxGetDevice_v2", 13000)]),
    ("cuCtxSynchronize", &[("cuCtxSynchronize", 2000), ("cuCtxSynchronize_v2", 13000)]),
    ("cuDeviceGetUuid", &[("cuDeviceGetUuid", 9020), ("cuDeviceGetUuid_v2", 11040)]),
    ("cuEventElapsedTime", &[("cuEventElapsedTime", 2000), ("cuEventElapsedTime_v2", 12080)]),
    ("cuGetProcAddress", &[("cuGetProcAddress", 11030), ("cuGetProcAddress_v2", 12000)]),
    ("cuGraphAddDependencies", &[("cuGraphAddDependencies", 10000), ("cuGraphAddDependencies_v2", 12030)]),
    ("cuGraphAddKernelNode", &[("cuGraphAddKernelNode", 10000), ("cuGraphAddKernelNode_v2", 12000)]),
    ("cuGraphAddNode", &[("cuGraphAddNode", 12020), ("cuGraphAddNode_v2", 12030)]),
    (
        "cuGraphExecKernelNodeSetParams",
        &[("cuGraphExecKernelNodeSetParams", 10010), ("cuGraphExecKernelNodeSetParams_v2", 12000)],
    ),
    ("cuGraphExecUpdate", &[("cuGraphExecUpdate", 10020), ("cuGraphExecUpdate_v2", 12000)]),
    ("cuGraphGetEdges", &[("cuGraphGetEdges", 10000), ("cuGraphGetEdges_v2", 12030)]),
    ("cuGraphInstantiate", &[("cuGraphInstantiate_v2", 11000), ("cuGraphInstantiateWithFlags", 12000)]),
    ("cuGraphKernelNodeGetParams", &[("cuGraphKernelNodeGetParams", 10000), ("cuGraphKernelNodeGetParams_v2", 12000)]),
    ("cuGraphKernelNodeSetParams", &[("cuGraphKernelNodeSetParams", 10000), ("cuGraphKernelNodeSetParams_v2", 12000)]),
    ("cuGraphNodeGetDependencies", &[("cuGraphNodeGetDependencies", 10000), ("cuGraphNodeGetDependencies_v2", 12030)]),
    (
        "cuGraphNodeGetDependentNodes",
        &[("cuGraphNodeGetDependentNodes", 10000), ("cuGraphNodeGetDependentNodes_v2", 12030)],
    ),
    ("cuGraphRemoveDependencies", &[("cuGraphRemoveDependencies", 10000), ("cuGraphRemoveDependencies_v2", 12030)]),
    ("cuMemAdvise", &[("cuMemAdvise", 8000), ("cuMemAdvise_v2", 12020)]),
    ("cuMemPrefetchAsync", &[("cuMemPrefetchAsync", 8000), ("cuMemPrefetchAsync_v2", 12020)]),
    (
        "cuStreamGetCaptureInfo",
        &[
            ("cuStreamGetCaptureInfo", 10010),
            ("cuStreamGetCaptureInfo_v2", 11030),
            ("cuStreamGetCaptureInfo_v3", 12030),
        ],
    ),
    ("cuStreamGetCtx", &[("cuStreamGetCtx", 9020), ("cuStreamGetCtx_v2", 12050)]),
    (
        "cuStreamUpdateCaptureDependencies",
        &[("cuStreamUpdateCaptureDependencies", 11030), ("cuStreamUpdateCaptureDependencies_v2", 12030)],
    ),
];

fn exported(name: &str) -> Option<&'static Entry> {
    entries().find(|entry| entry.name == name)
}

/// The variant for the thread's own default stream, where there is one.
fn variant(name: &str, per_thread: bool) -> Option<&'static Entry> {
    let variants = if per_thread { ["_ptsz", "_ptds", ""] } else { ["", "", ""] };
    variants.iter().find_map(|ending| exported(&format!("{name}{ending}")))
}

/// What a search for a function comes to.
#[derive(Debug, PartialEq, Eq)]
enum Search {
    Found(&'static str),
    Unknown,
    TooNew,
}

fn search(name: &str, version: i32, per_thread: bool) -> Search {
    let form = match FORMS.iter().find(|(known, _)| *known == name) {
        Some((_, forms)) => match forms.iter().rev().find(|(_, since)| *since <= version) {
            Some((form, _)) => (*form).to_owned(),
            None => return Search::TooNew,
        },
        None if exported(&format!("{name}_v2")).is_some() => format!("{name}_v2"),
        None => name.to_owned(),
    };
    variant(&form, per_thread).map_or(Search::Unknown, |entry| Search::Found(entry.name))
}

fn find(name: Text, target: Out<u64>, version: i32, flags: u64, status: Out<u32>) -> Outcome {
    const PER_THREAD_DEFAULT: u64 = 2;
    const KNOWN_FLAGS: u64 = 3;
    if target.is_null() || flags & !KNOWN_FLAGS != 0 {
        return Err(Code::INVALID_VALUE);
    }
    let (address, answer) = match search(&name.get()?, version, flags & PER_THREAD_DEFAULT != 0) {
        Search::Found(name) => (exported(name).map_or(0, |entry| entry.address.0 as u64), 0),
        Search::Unknown => (0, 1),
        Search::TooNew => (0, 2),
    };
    target.set(address)?;
    status.offer(answer);
    if address == 0 { Err(Code::NOT_FOUND) } else { Ok(()) }
}

/// Tables of functions that no document describes are not there.
fn export_table(target: Out<u64>) -> Outcome {
    target.set(0)?;
    Err(Code::NOT_FOUND)
}

api! {
    cuGetProcAddress: (name: Text, target: Out<u64>, version: i32, flags: u64) =>
        find(name, target, version, flags, Out::at(0));
    cuGetProcAddress_v2: (name: Text, target: Out<u64>, version: i32, flags: u64, status: Out<u32>) =>
        find(name, target, version, flags, status);
    cuGetExportTable: (target: Out<u64>, _id: u64) => export_table(target);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_function_is_listed_once() {
        let names: Vec<&str> = entries().map(|entry| entry.name).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        assert!(names.len() > 300, "{}", names.len());
    }

    #[test]
    fn every_form_is_exported() {
        for (form, _) in FORMS.iter().flat_map(|(_, forms)| *forms) {
            assert!(exported(form).is_some(), "{form}");
        }
    }

    #[test]
    fn a_client_gets_the_form_of_its_version() {
        assert_eq!(search("cuMemAlloc", 3020, false), Search::Found("cuMemAlloc_v2"));
        assert_eq!(search("cuCtxCreate", 12040, false), Search::Found("cuCtxCreate_v3"));
        assert_eq!(search("cuCtxCreate", 13000, false), Search::Found("cuCtxCreate_v4"));
        assert_eq!(search("cuCtxCreate", 3000, false), Search::TooNew);
        assert_eq!(search("cuGraphInstantiate", 12000, false), Search::Found("cuGraphInstantiateWithFlags"));
        assert_eq!(search("cuNoSuchThing", 13000, false), Search::Unknown);
    }

    #[test]
    fn a_client_with_per_thread_streams_gets_their_variants() {
        assert_eq!(search("cuMemcpyHtoD", 7000, true), Search::Found("cuMemcpyHtoD_v2_ptds"));
        assert_eq!(search("cuLaunchKernel", 7000, true), Search::Found("cuLaunchKernel_ptsz"));
        assert_eq!(search("cuMemAlloc", 7000, true), Search::Found("cuMemAlloc_v2"), "it has no stream");
    }
}
