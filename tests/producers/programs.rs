//! The clients as programs: each installed from its folder as its people would, and run against a socket.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::python::python;
use crate::support::{has_program, run};

/// A path below `packaging/producers`.
pub fn shipped(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/producers").join(path)
}

fn program(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/producers/programs").join(path)
}

/// A program that emits events with one of the clients; holds what had to be installed for it.
pub struct Emitter {
    pub language: &'static str,
    command: Vec<PathBuf>,
    environment: Vec<(&'static str, PathBuf)>,
    _directory: TempDir,
}

impl Emitter {
    /// All whose languages are on this machine.
    pub fn all() -> Vec<Self> {
        [Self::python(), Self::node(), Self::go()].into_iter().flatten().collect()
    }

    fn python() -> Option<Self> {
        let python = python()?;
        Some(Emitter {
            language: "Python",
            command: vec![python, program("emit.py")],
            environment: vec![("PYTHONPATH", shipped("python"))],
            _directory: tempfile::tempdir().unwrap(),
        })
    }

    fn node() -> Option<Self> {
        if !has_program("node") || !has_program("npm") {
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("package.json"), "{\"private\":true}").unwrap();
        run(Command::new("npm")
            .args(["install", "--offline", "--no-audit", "--no-fund", "--install-links"])
            .arg(shipped("node"))
            .current_dir(directory.path()));
        fs::copy(program("emit.js"), directory.path().join("emit.js")).unwrap();
        Some(Emitter {
            language: "Node",
            command: vec!["node".into(), directory.path().join("emit.js")],
            environment: vec![("NODE_PATH", shipped("node/node_modules"))],
            _directory: directory,
        })
    }

    fn go() -> Option<Self> {
        if !has_program("go") {
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let binary = directory.path().join("emit");
        run(Command::new("go").args(["build", "-o"]).arg(&binary).arg(".").current_dir(program("go")));
        Some(Emitter {
            language: "Go",
            command: vec![binary],
            environment: Vec::new(),
            _directory: directory,
        })
    }

    /// The command that emits as many events to this socket.
    pub fn command(&self, socket: &Path, count: usize) -> Command {
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).arg(count.to_string());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.env("LIFECYCLE_EVENTS_SOCKET", socket);
        command
    }
}

/// What a program has printed of itself.
pub fn result(printed: &str) -> Value {
    serde_json::from_str(printed.trim()).unwrap_or_else(|error| panic!("{printed}: {error}"))
}
