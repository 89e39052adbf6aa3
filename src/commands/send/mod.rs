//! `send`: sends events from the command line or from standard input in a reliable session, so that each
//! counts once.
//!
//! `input` splits standard input into lines, `unknown` warns of fields that an event does not use, `unacked`
//! keeps lines until they are acknowledged, and `client` runs the session.

mod client;
pub(super) mod input;
mod unacked;
pub(super) mod unknown;

use std::io::{IsTerminal, Write};

use crate::catalog;
use crate::daemon::configuration::Overrides;
use crate::daemon::configuration::load_settings;
use crate::feed::listener;
use crate::protocol::shorthand::EventSpec;

use client::Client;
use input::{Block, Input};
use unknown::Unknown;

/// Sends one event given as words, or every line of standard input for `-`. The error says what was not sent,
/// or that lines were rejected. `progress` reports the progress; lines of standard input always do so on a
/// terminal.
pub(crate) fn run(overrides: &Overrides, words: &[String], progress: bool) -> Result<(), String> {
    let (settings, _) = load_settings(overrides)?;
    let path = listener::find_path(settings.socket.as_deref())?;
    let catalogs = catalog::load(settings.catalog_directory.as_deref()).unwrap_or_default();
    let mut unknown = Unknown::new(&catalogs);
    if words == ["-"] {
        let progress = progress || std::io::stderr().is_terminal();
        Client::connect(path, progress)?.send(&input::read_standard_input(unknown))
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

pub(super) fn warn(what: &str) {
    let _ = writeln!(std::io::stderr(), "warning: {what}");
}
