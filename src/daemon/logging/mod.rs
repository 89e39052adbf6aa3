//! The log: one line for each message on standard error, with a priority prefix if systemd's journal reads
//! it.
//!
//! Every message passes here, so here is where it is made harmless: `text` escapes what does not print and
//! hides addresses, `limiter` bounds the lines of each kind, and `output` waits for standard error so that nobody
//! else does. What is worth a message is its module's to say.

mod limiter;
mod output;
mod text;

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use log::{Level, Log, Metadata, Record};

use crate::config::Settings;
use crate::engine::mask_addresses;
use crate::limits;
use limiter::Limiter;
use output::Output;
pub(crate) use text::push_printable;

struct Logger {
    style: Style,
    /// `[privacy] deidentify`.
    hides_addresses: AtomicBool,
    limiter: Mutex<Limiter>,
    output: Output,
}

static LOGGER: OnceLock<Logger> = OnceLock::new();

#[derive(Clone, Copy)]
enum Style {
    /// `<4>message`; systemd's journal adds the time.
    Journal,
    /// `12:34:56 WARN  message`, in UTC.
    Plain,
}

/// Starts logging with these settings, or goes on with them.
pub(crate) fn configure(settings: &Settings) {
    let logger = LOGGER.get_or_init(|| {
        let journal = std::env::var_os("JOURNAL_STREAM").is_some() && !std::io::stderr().is_terminal();
        let style = if journal { Style::Journal } else { Style::Plain };
        let hides_addresses = AtomicBool::new(false);
        Logger { style, hides_addresses, limiter: Mutex::default(), output: Output::default() }
    });
    logger.hides_addresses.store(settings.privacy.deidentify, Ordering::Relaxed);
    // Fails only if a former call has set the logger.
    let _ = log::set_logger(logger);
    log::set_max_level(settings.log_level);
}

/// Says how many messages were left out, where that has been going on for a minute; at a stop in any case.
pub(crate) fn summarize(is_last: bool) {
    if let Some(logger) = LOGGER.get() {
        logger.summarize(is_last);
    }
}

/// The thread that writes the log; what is logged before it is written at once. Does nothing without
/// [`configure`].
pub(crate) fn role() -> impl FnOnce() + Send + 'static {
    let logger = LOGGER.get();
    let lines = logger.map(|logger| logger.output.queue());
    move || {
        let (Some(logger), Some(lines)) = (logger, lines) else { return };
        logger.output.run(&lines, std::io::stderr(), |count| {
            let what = format!("{count} messages were left out: nothing has read standard error");
            logger.line(Level::Warn, &what)
        });
    }
}

/// Waits until all is written, unless standard error takes nothing.
pub(crate) fn finish() {
    let until = Instant::now() + limits::LOG_FINISH_MAX;
    while LOGGER.get().is_some_and(|logger| !logger.output.is_written()) && Instant::now() < until {
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

/// Modules whose messages name only addresses of this machine and of the configuration.
const OWN_ADDRESSES: [&str; 2] =
    [concat!(env!("CARGO_CRATE_NAME"), "::daemon"), concat!(env!("CARGO_CRATE_NAME"), "::http::listen")];

impl Logger {
    fn write(&self, level: Level, message: &str) {
        self.output.write(self.line(level, message));
    }

    fn line(&self, level: Level, message: &str) -> String {
        let mut line = match self.style {
            Style::Journal => format!("<{}>", priority(level)),
            Style::Plain => {
                let seconds = crate::clock::unix_seconds() as u64 % 86_400;
                let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
                format!("{hour:02}:{minute:02}:{second:02} {level:5} ")
            }
        };
        text::push_printable(&mut line, message);
        line.push('\n');
        line
    }

    fn message(&self, record: &Record<'_>) -> String {
        let message = record.args().to_string();
        let is_own = OWN_ADDRESSES.iter().any(|module| record.target().starts_with(module));
        if self.hides_addresses.load(Ordering::Relaxed) && !is_own {
            mask_addresses(&message)
        } else {
            message
        }
    }

    fn summarize(&self, is_last: bool) {
        let mut limiter = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
        let due = limiter.summaries(Instant::now(), is_last);
        drop(limiter);
        for left_out in due {
            let count = left_out.count;
            self.write(Level::Warn, &format!("{count} more messages like this: {}", left_out.example));
        }
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with(env!("CARGO_CRATE_NAME"))
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let kind = (record.file_static().unwrap_or_default(), record.line().unwrap_or_default());
        let mut limiter = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
        let is_admitted = limiter.admits(kind, Instant::now(), || self.message(record));
        drop(limiter);
        if is_admitted {
            self.write(record.level(), &self.message(record));
        }
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
