//! `check --try`: applies lines of events to the configured catalogs as the exporter would, and shows the metrics
//! that they make. Nothing is sent, and no state is read or kept.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use super::check::Report;
use super::send::input::read_line;
use super::send::unknown::Unknown;
use super::send::warn;
use crate::clock;
use crate::daemon::configuration::{self, Overrides};
use crate::engine::EngineSettings;
use crate::limits;
use crate::state::record::Record;
use crate::state::{Diagnostic, State};

/// Reads a file of events, or standard input for `-`. The report holds the metrics, and as faults what was rejected.
pub(super) fn run(overrides: &Overrides, file: &Path) -> Report {
    let mut report = Report::default();
    let config = configuration::load_good(overrides, &mut report.faults);
    if !report.faults.is_empty() {
        return report;
    }
    let now = clock::unix_seconds();
    let mut trial = Trial {
        state: State::new(config.catalogs.clone()),
        unknown: Unknown::new(&config.catalogs),
        now,
        report,
    };
    let settings = EngineSettings::from(&config.settings);
    for said in trial.state.configure(&config.catalogs, settings, now) {
        trial.report.faults.add(said);
    }
    let read = if file == Path::new("-") {
        trial.read(&mut io::stdin().lock(), "standard input")
    } else {
        let name = file.display().to_string();
        let opened = File::open(file).map_err(|error| format!("{name}: {error}"));
        opened.and_then(|file| trial.read(&mut BufReader::with_capacity(limits::BATCH_BYTES, file), &name))
    };
    if let Err(fault) = read {
        trial.report.faults.add(fault);
    }
    let mut text = Vec::new();
    if let Err(fault) = trial.state.engine.render(&[], &[], clock::unix_seconds(), &mut text) {
        trial.report.faults.add(fault);
    }
    trial.report.text.push_str(&String::from_utf8_lossy(&text));
    trial.report
}

struct Trial {
    state: State,
    unknown: Unknown,
    now: f64,
    report: Report,
}

impl Trial {
    fn read(&mut self, input: &mut dyn BufRead, name: &str) -> Result<(), String> {
        let mut line = Vec::new();
        for number in 1_u64.. {
            read_line(input, name, number, &mut line)?;
            if line.is_empty() {
                break;
            }
            self.apply(number, &mut line)?;
        }
        Ok(())
    }

    fn apply(&mut self, number: u64, line: &mut Vec<u8>) -> Result<(), String> {
        if let Ok(text) = std::str::from_utf8(line) {
            self.unknown.look(text.trim_end(), &mut |what| warn(&format!("line {number}: {what}")));
        }
        if !line.ends_with(b"\n") {
            line.push(b'\n');
        }
        let faults = &mut self.report.faults;
        let record = Record::Lines { at: self.now, position: None, block: line };
        let applied = self.state.apply(&record, &mut |said| match said {
            Diagnostic::Rejected { rejection, .. } => faults.add(format!("line {number}: {rejection}")),
            Diagnostic::Message(text) => faults.add(format!("line {number}: {text}")),
        });
        applied.map(|_| ()).map_err(|error| error.0)
    }
}
