//! The command line: words in, a command out, and what each command does.

pub mod args;
pub mod check;
pub mod demo;
pub mod list;
pub mod send;
pub mod settings;

use std::net::SocketAddr;
use std::path::PathBuf;

/// What the command line says beside the configuration file, and above it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Overrides {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--listen`.
    pub listen: Vec<SocketAddr>,
    /// `--socket`.
    pub socket: Option<PathBuf>,
    /// `--log-level`.
    pub log_level: Option<log::LevelFilter>,
}
