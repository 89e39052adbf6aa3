//! `send`: events into the feed, from words or from standard input.

use std::io::{self, BufRead, Write};
use std::os::unix::net::UnixStream;

use super::Overrides;
use super::settings::load_settings;
use crate::event::words::EventWords;
use crate::feed::socket;

/// Sends one event made of words, or every line of standard input for `-`.
pub fn run(overrides: &Overrides, words: &[String]) -> Result<(), String> {
    let (settings, _) = load_settings(overrides)?;
    let path = socket::find_path(settings.socket.as_deref());
    let connect = || {
        UnixStream::connect(&path).map_err(|error| {
            format!("{}: {error}; is the exporter running? (--socket names another place)", path.display())
        })
    };
    let broken =
        |error: io::Error| format!("{}: {error}; the exporter closed the connection", path.display());
    if words != ["-"] {
        let line = EventWords::from_words(words.iter().map(String::as_str))?.to_line();
        return connect()?.write_all(format!("{line}\n").as_bytes()).map_err(broken);
    }
    let mut stream = connect()?;
    let mut input = io::stdin().lock();
    loop {
        // Whatever is there goes out at once, so that a slow source is not held back.
        let available = input.fill_buf().map_err(|error| format!("standard input: {error}"))?;
        if available.is_empty() {
            return Ok(());
        }
        stream.write_all(available).map_err(broken)?;
        let sent = available.len();
        input.consume(sent);
    }
}
