//! The log: one line for each message on standard error, with a priority prefix if systemd's journal reads
//! it.

use std::io::{IsTerminal, Write};

use log::{Level, LevelFilter, Log, Metadata, Record};

struct Logger {
    style: Style,
}

#[derive(Clone, Copy)]
enum Style {
    /// `<4>message`; systemd's journal adds the time.
    Journal,
    /// `12:34:56 WARN  message`, in UTC.
    Plain,
}

/// Starts logging. Later calls only change the level.
pub(crate) fn start(level: LevelFilter) {
    let journal = std::env::var_os("JOURNAL_STREAM").is_some() && !std::io::stderr().is_terminal();
    let style = if journal { Style::Journal } else { Style::Plain };
    // Fails only if a former call has set the logger.
    let _ = log::set_boxed_logger(Box::new(Logger { style }));
    log::set_max_level(level);
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with(env!("CARGO_CRATE_NAME"))
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let message = record.args().to_string().replace(['\n', '\r'], " ");
        let line = match self.style {
            Style::Journal => format!("<{}>{message}\n", priority(record.level())),
            Style::Plain => {
                let seconds = crate::clock::unix_seconds() as u64 % 86_400;
                let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
                format!("{hour:02}:{minute:02}:{second:02} {:5} {message}\n", record.level())
            }
        };
        // The process goes on if standard error is closed or full.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }

    fn flush(&self) {}
}

/// The syslog priority.
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}
