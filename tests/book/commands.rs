//! Commands in a page can be typed as they stand: programs, examples, tests and benchmarks exist, and `latent` takes the options.

use std::path::Path;

use crate::markdown::Page;

/// Options of Cargo that a command may have, without what follows them.
const FLAGS: [&str; 4] = ["--release", "--workspace", "--all-targets", "--quiet"];

/// Commands of `page` that cannot be carried out. Beside them, how many were looked at.
pub fn faults(root: &Path, path: &Path, page: &Page) -> (Vec<String>, usize) {
    let blocks = page.code.iter().map(|(line, _, code)| (*line, code.as_str(), false));
    let spans = page.spans.iter().map(|span| (span.line, span.code.as_str(), true));
    let commands = blocks
        .chain(spans)
        .flat_map(|(line, code, in_prose)| commands(code).map(move |command| (line, command, in_prose)));
    let (mut faults, mut looked_at) = (Vec::new(), 0);
    for (line, command, in_prose) in commands {
        let words: Vec<&str> = command.split_whitespace().collect();
        let result = match words.as_slice() {
            ["latent", arguments @ ..] => parses(arguments),
            ["cargo", "run", rest @ ..] => run(root, rest),
            ["cargo", "test" | "bench", rest @ ..] => cargo(root, rest).map(drop),
            _ => continue,
        };
        looked_at += 1;
        // Prose may name a command without all that it needs.
        let fault = result.err().filter(|problem| !(in_prose && problem.contains("required arguments")));
        faults.extend(fault.map(|problem| format!("{}:{line}: `{command}`: {problem}", path.display())));
    }
    (faults, looked_at)
}

/// The commands of a line: without a prompt, a comment, or variables that are set before them.
fn commands(line: &str) -> impl Iterator<Item = &str> {
    let line = line.trim().trim_start_matches("$ ");
    let line = line.split_once(" #").map_or(line, |(command, _)| command);
    line.split("&&").flat_map(|part| part.split(" | ")).map(|command| {
        let mut rest = command.trim();
        while let Some((word, after)) = rest.split_once(' ').filter(|(word, _)| word.contains('=')) {
            debug_assert!(!word.is_empty());
            rest = after.trim_start();
        }
        rest
    })
}

/// Whether `latent` takes these arguments. `...` stands for more of them.
fn parses(arguments: &[&str]) -> Result<(), String> {
    let arguments: Vec<&str> = arguments.iter().copied().filter(|word| *word != "...").collect();
    if arguments.is_empty() { Ok(()) } else { latent::cli::parses(&arguments) }
}

/// A `cargo run`: its target exists, and where that is `latent` it takes the arguments.
fn run(root: &Path, words: &[&str]) -> Result<(), String> {
    let split = words.iter().position(|word| *word == "--");
    let (cargo_words, arguments) = split.map_or((words, None), |at| (&words[..at], Some(&words[at + 1..])));
    match (cargo(root, cargo_words)?, arguments) {
        (Target::Latent, Some(arguments)) => parses(arguments),
        _ => Ok(()),
    }
}

/// What a command of Cargo is for.
enum Target {
    /// The program `latent`, or all of its package.
    Latent,
    Other,
}

/// Looks at a command's options up to `--`.
fn cargo(root: &Path, words: &[&str]) -> Result<Target, String> {
    let words: Vec<&str> = words.iter().copied().take_while(|word| *word != "--").collect();
    let package = words.iter().position(|word| *word == "-p").and_then(|at| words.get(at + 1));
    let folder = package.map_or(root.to_owned(), |package| root.join(package));
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml"));
    let manifest = manifest.map_err(|_| format!("there is no package {}", package.unwrap_or(&"here")))?;
    let mut target = if package.is_none() { Target::Latent } else { Target::Other };
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a name"));
        let found = match word {
            "--example" | "--test" | "--bench" => {
                let (kind, names) = (&word[2..], value()?);
                target = Target::Other;
                let kind = if kind == "bench" { "benches".to_owned() } else { format!("{kind}s") };
                let kind = folder.join(kind);
                let exists =
                    |name: &str| kind.join(format!("{name}.rs")).is_file() || kind.join(name).join("main.rs").is_file();
                // A name in capitals stands for any, `a|b` for either.
                names.split('|').all(|name| name.chars().all(|c| c.is_ascii_uppercase()) || exists(name))
            }
            "--bin" => [folder.file_name().and_then(|name| name.to_str()), Some("latent")].contains(&Some(value()?)),
            "--features" => manifest.contains(&format!("\n{} =", value()?)),
            "-p" => value().is_ok(),
            word => FLAGS.contains(&word) || !word.starts_with('-'),
        };
        if !found {
            return Err(format!("{word} names nothing that there is"));
        }
    }
    Ok(target)
}

#[test]
fn commands_that_cannot_be_typed_are_found() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let faults = |text: &str| faults(root, Path::new("docs/x.md"), &Page::parse(text));
    for (good, commands) in [
        ("    cargo run --release -- vae --epochs 3\n    $ latent doctor --json   # what there is\n", 2),
        ("    ./data-fetch.sh && cargo run --release --example figures -- runs/full docs\n", 1),
        ("    A=1 B=2 cargo test --release --test operations cuda\n    ls\n", 1),
        ("`cargo bench --bench epoch`, `latent vae --help`, `latent`, `latent eval`", 4),
        ("`cargo bench --bench epoch|gpu`, `cargo run --example NAME`", 2),
        ("`cargo run --release -p softcuda -- run FILE.cu ...`, `cargo run -p nvrtc --example snapshot`", 2),
    ] {
        assert_eq!(faults(good), (Vec::new(), commands), "{good}");
    }
    for bad in [
        "    latent eval\n",
        "`latent vea`",
        "`cargo run --release -- vae --epoch 3`",
        "`cargo run --release --example figure`",
        "`cargo test --test operation`",
        "`cargo bench --bench epochs`",
        "`cargo bench --bench epoch|epochs`",
        "`cargo run --relase -- vae`",
        "`cargo run -p hardcuda`",
        "`cargo test --features nothing`",
    ] {
        assert_eq!(faults(bad).0.len(), 1, "{bad}");
    }
}
