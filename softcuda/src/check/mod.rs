//! Placeholder until the checks are merged.
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
/// See the checks.
#[derive(Clone, Debug, Default)]
pub struct Order {
    /// Number of the stream.
    pub stream: u32,
    /// Number of the operation in its stream.
    pub sequence: u64,
    /// Operations of other streams that are done before.
    pub after: Arc<BTreeMap<u32, u64>>,
}
/// Reports.
#[derive(Debug, Default)]
pub struct Reporter {}
impl Reporter {
    /// A sink.
    pub fn new(_file: Option<PathBuf>) -> Self {
        Reporter {}
    }
}
/// Sites.
#[derive(Debug, Default)]
pub struct Sites {}
