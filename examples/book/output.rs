//! What a command prints: `<!-- output latent ARGUMENTS -->` runs the program that was built beside this one, in the repository's root.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::blocks::fenced;

/// The command, and below it what it prints.
///
/// # Errors
/// There is no such program, or it fails.
pub fn block(root: &Path, _page: &Path, command: &str) -> Result<String, String> {
    let arguments = command.strip_prefix("latent ").ok_or("only `latent ...` is run")?;
    let program = program()?;
    let output = Command::new(&program).args(arguments.split_whitespace()).current_dir(root).output();
    let output = output.map_err(|error| format!("{}: {error}; `cargo build --release` makes it", program.display()))?;
    if !output.status.success() {
        return Err(format!("`{command}` failed: {}", String::from_utf8_lossy(&output.stderr).trim_end()));
    }
    Ok(fenced("console", &format!("$ {command}\n{}", String::from_utf8_lossy(&output.stdout))))
}

/// `latent` beside the folder of the examples.
fn program() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let built = own.ancestors().nth(2).ok_or("this program does not lie among a build's examples")?;
    Ok(built.join(format!("latent{}", std::env::consts::EXE_SUFFIX)))
}
