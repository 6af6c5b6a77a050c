//! The same training step in PyTorch, where `python3` has it and it sees the GPU.

use std::process::Command;

use serde_json::Value;

use crate::bench::Machine;
use crate::{BATCH, DIMS};

/// Exits with 0 only where the comparison can be made, and says on standard output why it cannot.
const PROBE: &str = "
try:
    import torch
except ImportError as error:
    raise SystemExit(print(error) or 1)
if not torch.cuda.is_available():
    raise SystemExit(print(f'PyTorch {torch.__version__} sees no GPU') or 1)
";

/// What `pytorch.py` measured.
///
/// # Errors
/// Why there is nothing to compare with, in one line.
pub fn measure(machine: &Machine) -> Result<Value, String> {
    if machine.software.is_some() {
        return Err("PyTorch is compared with on a real GPU only".to_owned());
    }
    python(PROBE, &[]).map_err(|reason| format!("no comparison with PyTorch: {reason}"))?;
    let sizes = [BATCH, DIMS.input, DIMS.hidden, DIMS.latent].map(|size| size.to_string());
    let text = python(include_str!("pytorch.py"), &sizes).map_err(|reason| format!("PyTorch failed: {reason}"))?;
    serde_json::from_str(&text).map_err(|error| format!("benches/gpu/pytorch.py printed no JSON: {error}"))
}

/// The standard output of a Python program that ends well; else its last words.
fn python(program: &str, arguments: &[String]) -> Result<String, String> {
    let output = Command::new("python3").arg("-c").arg(program).args(arguments).output();
    let output = output.map_err(|error| format!("python3 does not start: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    let said = [text(&output.stderr), text(&output.stdout)].join("\n");
    Err(said.trim().lines().last().unwrap_or("python3 ended without a word").to_owned())
}
