//! `send`: events into the feed, from words or from standard input, each counted once whatever breaks in between.
//!
//! `input` cuts what comes in into lines, `unacked` keeps them until they are acknowledged, `client` is the session.

mod client;
mod input;
mod unacked;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use super::Overrides;
use super::settings::load_settings;
use crate::catalog;
use crate::config::Settings;
use crate::event::words::EventWords;
use crate::feed::socket;

use client::Client;
use input::{Block, Input};

/// Sends one event made of words, or every line of standard input for `-`. The error says what was not sent, or that
/// lines were rejected. `progress` shows how far it is; where lines are shown on a terminal it is shown anyhow.
pub fn run(overrides: &Overrides, words: &[String], progress: bool) -> Result<(), String> {
    let (settings, _) = load_settings(overrides)?;
    let told = std::env::var_os("LIFECYCLE_EVENTS_SOCKET").filter(|path| !path.is_empty()).map(PathBuf::from);
    let configured = overrides.socket.clone().or(told).or_else(|| settings.socket.clone());
    let path = socket::find_path(configured.as_deref());
    if words == ["-"] {
        let shown = progress || std::io::stderr().is_terminal();
        Client::connect(path, shown)?.send(&input::read_standard_input())
    } else {
        let words = EventWords::from_words(words.iter().map(String::as_str))?;
        warn_of_unknown_fields(&settings, &words);
        let line = words.to_line();
        let (sender, inputs) = crossbeam_channel::bounded(1);
        let block = Block { first: 1, lines: 1, bytes: (line + "\n").into_bytes() };
        sender.send(Input::Block(block)).map_err(|error| error.to_string())?;
        drop(sender);
        Client::connect(path, progress)?.send(&inputs)
    }
}

/// Says which fields the event does not know, as far as its catalog can be read here: the exporter ignores them.
fn warn_of_unknown_fields(settings: &Settings, words: &EventWords<'_>) {
    let Ok(catalogs) = catalog::load(settings.catalog_directory.as_deref()) else { return };
    let names: Vec<String> = words.fields.iter().map(|(name, _)| (*name).to_owned()).collect();
    let plans = catalogs.all.iter().flat_map(|catalog| &catalog.events);
    for warning in plans.filter(|plan| plan.name == words.event).flat_map(|plan| plan.unknown_fields(&names))
    {
        let _ = writeln!(std::io::stderr(), "warning: {warning}");
    }
}
