//! What the patterns make of a log, without sending anything: the tool to write patterns with.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::time::Instant;

use serde::Serialize;

use super::Log;
use super::line_buffer::LineBuffer;
use super::matcher::Matcher;
use super::source::journal;
use super::waiting::{Waiters, Waiting};
use crate::faults::cut;
use crate::{limits, regular_file};

/// How the result is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs: the same, each line an object.
    Json,
}

/// What came of a log.
#[derive(Debug, Default, Serialize)]
struct Report {
    lines: u64,
    matched: Vec<Matched>,
    unmatched: u64,
    first_unmatched: Vec<Unmatched>,
}

#[derive(Debug, Serialize)]
struct Matched {
    section: String,
    /// `None`: lines that are known and mean nothing.
    event: Option<String>,
    lines: u64,
}

#[derive(Debug, Serialize)]
struct Unmatched {
    line: u64,
    text: String,
}

/// Reads a log to its end. `out` gets the events, then what was counted.
pub(crate) fn run(matcher: &Matcher, log: &Log, format: Format, out: &mut impl Write) -> Result<(), String> {
    let mut trial = Trial::new(matcher, out);
    match log {
        Log::StandardInput => trial.read(io::stdin().lock(), "standard input")?,
        Log::File(path) => {
            let shown = path.display().to_string();
            let file =
                regular_file::open(path).map_err(|error| format!("{shown}: {error}; expected a log"))?;
            trial.read(file, &shown)?;
        }
        Log::Unit(unit) => {
            for (text, time) in journal::entries(unit)? {
                trial.line(&text, Some(&time))?;
            }
        }
    }
    trial.happen(None, Some(Instant::now() + limits::WAIT_MAX))?;
    let report = trial.report;
    let shown = match format {
        Format::Json => serde_json::to_string(&report).map_err(|error| error.to_string())? + "\n",
        Format::Text => text(&report, io::stdout().is_terminal()),
    };
    written(out.write_all(shown.as_bytes()).and_then(|()| out.flush()))
}

struct Trial<'a, W> {
    matcher: &'a Matcher,
    out: &'a mut W,
    waiting: Waiting,
    report: Report,
}

impl<'a, W: Write> Trial<'a, W> {
    fn new(matcher: &'a Matcher, out: &'a mut W) -> Self {
        let catalog = matcher.catalog();
        let matched = catalog.lines.iter().map(|line| Matched {
            section: line.name.clone(),
            event: line.event.map(|event| catalog.events[event].name.to_string()),
            lines: 0,
        });
        Trial {
            matcher,
            out,
            waiting: Waiting::new(Waiters::new()),
            report: Report { matched: matched.collect(), ..Report::default() },
        }
    }

    fn read(&mut self, log: impl Read, name: &str) -> Result<(), String> {
        let mut log = BufReader::with_capacity(limits::LOG_READ_BYTES, log);
        let mut buffer = LineBuffer::default();
        loop {
            let read = log.fill_buf().map_err(|error| format!("{name}: {error}"))?;
            let count = read.len();
            let mut lines = |lines: &[u8], _: &dyn Fn(usize) -> u64| {
                lines.split_inclusive(|byte| *byte == b'\n').try_for_each(|line| self.line(line, None))
            };
            if count == 0 {
                return buffer.finish(&mut lines);
            }
            buffer.take(read, &mut lines)?;
            log.consume(count);
        }
    }

    /// Shows the events that have waited long enough.
    fn happen(&mut self, log_time: Option<f64>, now: Option<Instant>) -> Result<(), String> {
        while let Some((line, _)) = self.waiting.next_due(log_time, now) {
            written(writeln!(self.out, "{line}"))?;
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8], time: Option<&str>) -> Result<(), String> {
        self.report.lines += 1;
        if let Some(found) = self.matcher.find(line, time) {
            self.report.matched[found.section].lines += 1;
            let Some(event) = found.event else { return Ok(()) };
            let seconds = time.and_then(|time| time.parse().ok());
            self.happen(seconds, None)?;
            let line = self.waiting.take(event, seconds, &mut Vec::new());
            return line.map_or(Ok(()), |line| written(writeln!(self.out, "{line}")));
        }
        self.report.unmatched += 1;
        if self.report.first_unmatched.len() < limits::TRIAL_LINES_MAX {
            let text = String::from_utf8_lossy(line);
            let text = cut(text.trim_end(), limits::LOGGED_LINE_CHARS_MAX);
            self.report.first_unmatched.push(Unmatched { line: self.report.lines, text });
        }
        Ok(())
    }
}

/// That nobody reads the result to its end is no fault.
fn written(result: io::Result<()>) -> Result<(), String> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(format!("standard output: {error}")),
        _ => Ok(()),
    }
}

/// A table of the sections, then the first lines that matched none. What a server wrote is shown without its control
/// characters.
fn text(report: &Report, in_colour: bool) -> String {
    let paint =
        |colour: u8, text: String| if in_colour { format!("\x1b[{colour}m{text}\x1b[0m") } else { text };
    let width = report.matched.iter().map(|matched| matched.section.len()).max().unwrap_or(0).max(7);
    let mut shown = format!("\n{:>9}  {:width$}  event\n", "lines", "section");
    for Matched { section, event, lines } in &report.matched {
        let row = format!("{lines:>9}  {section:width$}  {}", event.as_deref().unwrap_or("none"));
        let _ = writeln!(shown, "{}", paint(if *lines > 0 { 32 } else { 33 }, row));
    }
    let matched = report.lines - report.unmatched;
    let _ = writeln!(shown, "{} lines: {matched} matched, {} did not", report.lines, report.unmatched);
    if !report.first_unmatched.is_empty() {
        let _ = writeln!(shown, "\nthe first lines that matched no section:");
    }
    for Unmatched { line, text } in &report.first_unmatched {
        let text: String = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        let _ = writeln!(shown, "{line:>9}  {}", paint(33, text));
    }
    shown
}
