//! The modules of the library stand in layers: each uses only those that `lib.rs` lists below it.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};

/// The modules in the order of `lib.rs`, the highest first.
fn layers() -> Vec<String> {
    let text = fs::read_to_string(sources().join("lib.rs")).unwrap();
    let declared = |line: &str| {
        line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';').map(str::to_owned)
    };
    text.lines().filter_map(declared).collect()
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// All files of a folder and those below it.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The top-level modules that a file names, with the numbers of the lines: `crate::x`, and `crate::{x, y}`.
fn used(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for (at, _) in line.match_indices("crate::") {
            let rest = &line[at + "crate::".len()..];
            let names = rest.strip_prefix('{').map_or(vec![rest], |list| list.split(',').collect());
            let word = |name: &str| -> String {
                name.trim().chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect()
            };
            found.extend(names.into_iter().map(|name| (number + 1, word(name))));
        }
    }
    found
}

#[test]
fn a_module_uses_only_modules_below_it() {
    let layers = layers();
    let layer = |module: &str| layers.iter().position(|other| other == module);
    let mut paths = Vec::new();
    files(&sources(), &mut paths);
    let (mut arrows, mut turned) = (0, Vec::new());
    for path in paths {
        let relative = path.strip_prefix(sources()).unwrap();
        let module = relative.components().next().unwrap().as_os_str().to_str().unwrap();
        let module = module.trim_end_matches(".rs");
        // What stands above all layers may use each of them; what is there for benchmarks stands beside them.
        let Some(from) = layer(module).filter(|_| module != "internals") else { continue };
        for (line, name) in used(&fs::read_to_string(&path).unwrap()) {
            let Some(to) = layer(&name) else { continue };
            arrows += 1;
            if to < from {
                turned.push(format!(
                    "{}:{line}: {module} uses {name}, which stands above it",
                    relative.display()
                ));
            }
        }
    }
    assert!(arrows > 100, "{arrows} arrows were found");
    assert!(turned.is_empty(), "{}", turned.join("\n"));
}
