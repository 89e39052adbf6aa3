//! `send`: events into the feed, from words or from standard input, each counted once whatever breaks in between.
//!
//! `input` cuts what comes in into lines, `unknown` looks for misspelt fields in them, `unacked` keeps them until they are acknowledged, `client` is the session.

mod client;
mod input;
mod unacked;
mod unknown;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use crate::catalog;
use crate::daemon::configuration::Overrides;
use crate::daemon::configuration::load_settings;
use crate::feed::listener;
use crate::protocol::shorthand::EventSpec;

use client::Client;
use input::{Block, Input};
use unknown::Unknown;

/// Sends one event made of words, or every line of standard input for `-`. The error says what was not sent, or that
/// lines were rejected. `progress` shows how far it is; where lines are shown on a terminal it is shown anyhow.
pub(crate) fn run(overrides: &Overrides, words: &[String], progress: bool) -> Result<(), String> {
    let (settings, _) = load_settings(overrides)?;
    let told = std::env::var_os("LIFECYCLE_EVENTS_SOCKET").filter(|path| !path.is_empty()).map(PathBuf::from);
    let configured = overrides.socket.clone().or(told).or_else(|| settings.socket.clone());
    let path = listener::find_path(configured.as_deref());
    let catalogs = catalog::load(settings.catalog_directory.as_deref()).unwrap_or_default();
    let mut unknown = Unknown::new(&catalogs);
    if words == ["-"] {
        let shown = progress || std::io::stderr().is_terminal();
        Client::connect(path, shown)?.send(&input::read_standard_input(unknown))
    } else {
        let words = EventSpec::from_words(words.iter().map(String::as_str))?;
        let line = words.to_line();
        unknown.look(&line, &mut warn);
        let (sender, inputs) = crossbeam_channel::bounded(1);
        let block = Block { first: 1, lines: 1, bytes: (line + "\n").into_bytes() };
        sender.send(Input::Block(block)).map_err(|error| error.to_string())?;
        drop(sender);
        Client::connect(path, progress)?.send(&inputs)
    }
}

fn warn(what: &str) {
    let _ = writeln!(std::io::stderr(), "warning: {what}");
}
