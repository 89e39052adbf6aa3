//! `send`: events into the feed, from words or from standard input, each counted once whatever breaks in between.
//!
//! `input` cuts what comes in into lines, `unacked` keeps them until they are acknowledged, `client` is the session.

mod client;
mod input;
mod unacked;

use std::io::IsTerminal;

use super::Overrides;
use super::settings::load_settings;
use crate::event::words::EventWords;
use crate::feed::socket;

use client::Client;
use input::{Block, Input};

/// Sends one event made of words, or every line of standard input for `-`. The error says what was not sent, or that
/// lines were rejected. `progress` shows how far it is; where lines are shown on a terminal it is shown anyhow.
pub fn run(overrides: &Overrides, words: &[String], progress: bool) -> Result<(), String> {
    let (settings, _) = load_settings(overrides)?;
    let path = socket::find_path(settings.socket.as_deref());
    if words == ["-"] {
        let shown = progress || std::io::stderr().is_terminal();
        Client::connect(path, shown)?.send(&input::read_standard_input())
    } else {
        let line = EventWords::from_words(words.iter().map(String::as_str))?.to_line();
        let (sender, inputs) = crossbeam_channel::bounded(1);
        let block = Block { first: 1, lines: 1, bytes: (line + "\n").into_bytes() };
        sender.send(Input::Block(block)).map_err(|error| error.to_string())?;
        drop(sender);
        Client::connect(path, progress)?.send(&inputs)
    }
}
