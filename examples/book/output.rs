//! What a command prints: `<!-- output latent ARGUMENTS -->` runs the program that was built beside this one, in the repository's root.
//! `<!-- markdown latent ARGUMENTS -->` is for commands that print Markdown, which becomes part of the page.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::blocks::fenced;

/// The command, and below it what it prints.
///
/// # Errors
/// There is no such program, or it fails.
pub fn block(root: &Path, _page: &Path, command: &str) -> Result<String, String> {
    Ok(fenced("console", &format!("$ {command}\n{}", printed(root, command)?)))
}

/// The command, and below it the Markdown that it prints.
///
/// # Errors
/// There is no such program, or it fails.
pub fn markdown(root: &Path, _page: &Path, command: &str) -> Result<String, String> {
    Ok(format!("{}\n{}\n\n", fenced("console", &format!("$ {command}")), printed(root, command)?.trim_end()))
}

/// What a command prints.
fn printed(root: &Path, command: &str) -> Result<String, String> {
    let arguments = command.strip_prefix("latent ").ok_or("only `latent ...` is run")?;
    let program = program()?;
    let output = Command::new(&program).args(arguments.split_whitespace()).current_dir(root).output();
    let output = output.map_err(|error| format!("{}: {error}; `cargo build --release` makes it", program.display()))?;
    if !output.status.success() {
        return Err(format!("`{command}` failed: {}", String::from_utf8_lossy(&output.stderr).trim_end()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// `latent` beside the folder of the examples.
fn program() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let built = own.ancestors().nth(2).ok_or("this program does not lie among a build's examples")?;
    Ok(built.join(format!("latent{}", std::env::consts::EXE_SUFFIX)))
}
