//! What the laws of `tests/fuzz` compare with their own reading: each part of the library that reads what
//! others wrote, behind one function, and the state behind the records that change it.
//!
//! Nothing here decides anything. The laws, and what they feed, stand in `tests/fuzz`.

use std::borrow::Cow;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use crate::catalog::model::MetricKind;
use crate::catalog::{self, CatalogText, Catalogs};
use crate::config::{self, FsyncPolicy, Settings};
use crate::engine::EngineSettings;
use crate::faults::Faults;
use crate::follow::line_buffer::LineBuffer;
use crate::follow::matcher::Matcher;
use crate::journal::Journal;
use crate::journal::disk::RealDisk;
use crate::protocol::control_line::{self, ControlLine};
use crate::protocol::line::{self, Fields};
use crate::protocol::shape::Shapes;
use crate::state::boot::Boot;
use crate::state::record::{Position, Record};
use crate::state::{Diagnostic, State};

/// The value of a field.
#[derive(Debug, PartialEq, Eq)]
pub enum Value {
    /// A string, without its escapes.
    String(String),
    /// A number as it is written.
    Number(String),
    /// `true` or `false`.
    Boolean(bool),
    /// The same as an absent field.
    Null,
    /// What no event can use.
    Unsupported,
}

/// A line of the feed, split.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// The last value of `event`.
    pub event: Option<Value>,
    /// The last value of `time`.
    pub time: Option<Value>,
    /// Whether one of these two occurs more than once.
    pub twice: bool,
    /// All other fields in their order.
    pub fields: Vec<(String, Value)>,
}

fn value_of(value: line::Value, line: &str, fields: &Fields) -> Value {
    match value {
        line::Value::String(text) => Value::String(fields.text(line, text).to_owned()),
        line::Value::Number(text) => Value::Number(fields.text(line, text).to_owned()),
        line::Value::Boolean(text) => Value::Boolean(fields.text(line, text) == "true"),
        line::Value::Null => Value::Null,
        line::Value::Unsupported => Value::Unsupported,
    }
}

/// A line that has met the shapes of those before.
pub struct Shaped<'a> {
    /// Without what ends it.
    pub line: &'a str,
    /// Keys and values but for its event, `time` among them; `None` if no shape fits.
    pub fields: Option<Vec<(String, Value)>>,
}

/// Splits the lines of a text by the shapes of those before, as the feed does.
pub fn split_by_shape(text: &str) -> Vec<Shaped<'_>> {
    let (mut shapes, mut fields) = (Shapes::<Vec<String>>::default(), Fields::default());
    let (nothing, mut values, mut shaped, mut rest) = (Fields::default(), Vec::new(), Vec::new(), text);
    while !rest.is_empty() {
        let (line, next) = rest.split_once('\n').unwrap_or((rest, ""));
        let line = line.strip_suffix('\r').unwrap_or(line);
        if let Some((keys, length)) = shapes.split(rest, &mut values) {
            let values = values.iter().flatten().map(|&value| value_of(value, rest, &nothing));
            let fields = Some(keys.iter().cloned().zip(values).collect());
            shaped.push(Shaped { line: &rest[..length], fields });
        } else {
            // The engine takes no line with one of these twice.
            if fields.scan(line).is_ok() && fields.head().twice.is_none() {
                let named = |key: &&[u8]| String::from_utf8_lossy(key).into_owned();
                let about = |keys: &[&[u8]]| (keys.iter().map(named).collect(), (0..keys.len()).collect());
                shapes.learn(line, &fields, fields.iter(line).count() + 1, about);
            }
            shaped.push(Shaped { line, fields: None });
        }
        rest = next;
    }
    shaped
}

/// Splits a line.
pub fn split(line: &str) -> Result<Line, String> {
    let mut fields = Fields::default();
    fields.scan(line).map_err(|rejection| rejection.to_string())?;
    let value = |value| value_of(value, line, &fields);
    let named = |(key, of): (&[u8], _)| (String::from_utf8_lossy(key).into_owned(), value(of));
    Ok(Line {
        event: fields.head().event.map(value),
        time: fields.head().time.map(value),
        twice: fields.head().twice.is_some(),
        fields: fields.iter(line).map(named).collect(),
    })
}

/// The `[line]` sections of a catalog.
pub struct Patterns(Matcher);

impl Patterns {
    /// Reads a catalog.
    pub fn read(catalog: &str) -> Result<Self, String> {
        let catalog = catalog::read_catalog("fuzz.ini", catalog).map_err(|faults| faults.to_string())?;
        Matcher::new(&Arc::new(catalog)).map(Patterns)
    }

    /// What a line is: an event, nothing (`Some(None)`), or unknown.
    pub fn find(&self, line: &[u8]) -> Option<Option<String>> {
        self.0.find(line, None).map(|found| found.event.map(|event| event.line))
    }

    /// The events of a log that is read in pieces of this size, each with the number of bytes up to its end.
    pub fn events(&self, log: &[u8], piece: usize) -> Vec<(String, u64)> {
        let (mut buffer, mut events) = (LineBuffer::default(), Vec::new());
        let mut lines = |lines: &[u8], place: &dyn Fn(usize) -> u64| {
            self.0.events(lines, |event, end| {
                events.push((event.line, place(end)));
                Ok::<(), ()>(())
            })
        };
        let taken = log.chunks(piece).try_for_each(|piece| buffer.take(piece, &mut lines));
        taken.and_then(|()| buffer.finish(&mut lines)).expect("taking an event does not fail");
        events
    }
}

/// What begins or ends a session.
#[derive(Debug, PartialEq, Eq)]
pub enum Control {
    /// The names of a producer and its run, and whether it owns what it opens.
    Hello(String, String, bool),
    /// The end of a session.
    Bye,
}

/// Reads a control line. The error is the reason of its rejection; `None`: it is none.
pub fn control_line(line: &str) -> Option<Result<Control, &'static str>> {
    let read = ControlLine::read(line)?;
    Some(match read {
        Ok(ControlLine::Hello(control_line::Hello { producer, instance, owner })) => {
            Ok(Control::Hello(producer, instance, owner))
        }
        Ok(ControlLine::Bye) => Ok(Control::Bye),
        Err(rejection) => Err(rejection.reason.name()),
    })
}

/// Reads a configuration named `file`. Returns the settings as text, and the faults.
pub fn configuration(file: &str, text: &str) -> (String, Vec<String>) {
    let mut faults = Faults::default();
    let (settings, _) = config::read_good_settings(file, text, &mut faults);
    (format!("{settings:?}"), faults.iter().map(str::to_owned).collect())
}

/// What the bytes received so far are as a request. `None`: its head is not complete. The error is why it
/// is refused.
pub fn request(bytes: &[u8]) -> Option<Result<String, String>> {
    crate::http::describe_request(bytes)
}

/// An event of a catalog.
pub struct EventShape {
    /// With the system's prefix.
    pub name: String,
    /// The fields that it uses.
    pub fields: Vec<String>,
}

/// A catalog that has no faults.
pub struct Catalog(Catalogs);

impl Catalog {
    /// Reads a catalog named `own.ini`. The error holds its faults.
    pub fn read(text: &str) -> Result<Self, Vec<String>> {
        let texts = [CatalogText { file: "own.ini".into(), text: text.to_owned().into() }];
        let catalogs = catalog::read_texts(&texts);
        catalogs.map(Catalog).map_err(|faults| faults.iter().map(str::to_owned).collect())
    }

    /// Its events.
    pub fn events(&self) -> Vec<EventShape> {
        let plans = self.0.all.iter().flat_map(|catalog| &catalog.events);
        let shapes = plans.map(|plan| EventShape {
            name: plan.name.to_string(),
            fields: plan.fields.iter().map(|field| field.name.to_string()).collect(),
        });
        shapes.collect()
    }
}

/// A gauge that counts what is open.
pub struct LiveGauge {
    /// The name of the metric.
    pub metric: String,
    /// How many of its kind are open.
    pub open: usize,
    /// Whether its series vanish with another entity than the one that is counted.
    pub owned: bool,
}

/// A session and the number of its next line.
pub type NextLine<'a> = Option<(&'a str, &'a str, u64)>;

/// The state, and the records that made it. Times are Unix seconds.
#[derive(Default)]
pub struct Replica {
    state: State,
    records: Vec<Vec<u8>>,
}

impl Replica {
    /// A state with one catalog and the default settings.
    pub fn new(catalog: &Catalog, at: f64) -> Self {
        let mut replica = Replica::default();
        replica.configure(catalog, Limits::default(), at);
        replica
    }

    /// Replaces catalog and settings. Returns messages for the log.
    pub fn configure(&mut self, Catalog(catalogs): &Catalog, limits: Limits, at: f64) -> Vec<String> {
        let mut settings = EngineSettings::from(&Settings::default());
        settings.series_max = limits.series_per_metric;
        settings.entities_max = limits.entities;
        settings.privacy.numeric = !limits.resolves_names;
        settings.restart_resets = limits.restart_resets;
        self.keep(&Record::Configured {
            at,
            settings: Cow::Borrowed(&settings),
            catalogs: Cow::Borrowed(&catalogs.texts),
        });
        // As the feed does: a catalog is read once, not once more from its record.
        self.state.configure(catalogs, settings, at)
    }

    /// A session begins or comes back.
    pub fn hello(&mut self, at: f64, producer: &str, instance: &str, owner: bool) -> Vec<String> {
        self.apply(&Record::Hello { at, producer, instance, owner, uid: Some(1) })
    }

    /// The number of a session's next line, if there is that session.
    pub fn next_line(&self, producer: &str, instance: &str) -> Option<u64> {
        let id = self.state.sessions.find(producer, instance)?;
        Some(self.state.sessions.get(id)?.position + 1)
    }

    /// Applies whole lines. Returns what a producer and the log are told.
    pub fn lines(&mut self, at: f64, from: NextLine<'_>, block: &[u8]) -> Vec<String> {
        let position = from.map(|(producer, instance, line)| Position { producer, instance, line });
        self.apply(&Record::Lines { at, position, block })
    }

    /// A line was rejected before it was complete.
    pub fn rejected(&mut self, from: NextLine<'_>) -> Vec<String> {
        let position = from.map(|(producer, instance, line)| Position { producer, instance, line });
        self.apply(&Record::Rejected { position, reason: Some(crate::protocol::rejection::Reason::TooLong) })
    }

    /// A session's connection ends.
    pub fn disconnected(&mut self, producer: &str, instance: &str) -> Vec<String> {
        self.apply(&Record::Disconnected { producer, instance })
    }

    /// What a session has open is abandoned.
    pub fn abandoned(&mut self, at: f64, producer: &str, instance: &str) -> Vec<String> {
        self.apply(&Record::Abandoned { at, producer, instance })
    }

    /// A session's position is no longer kept.
    pub fn forgotten(&mut self, producer: &str, instance: &str) -> Vec<String> {
        self.apply(&Record::Forgotten { producer, instance })
    }

    /// The name of an address becomes known.
    pub fn named(&mut self, ip: IpAddr, name: &str) -> Vec<String> {
        self.apply(&Record::Named { ip, name })
    }

    /// The exporter starts in this boot of the machine.
    pub fn started(&mut self, at: f64, boot: &str) -> Vec<String> {
        self.apply(&Record::Started { at, boot: Cow::Owned(Boot::Id(boot.to_owned())) })
    }

    fn keep(&mut self, record: &Record<'_>) {
        let mut bytes = Vec::new();
        record.write(&mut bytes);
        self.records.push(bytes);
    }

    fn apply(&mut self, record: &Record<'_>) -> Vec<String> {
        self.keep(record);
        let mut told = Vec::new();
        let applied = self.state.apply(record, &mut |diagnostic| {
            told.push(match diagnostic {
                Diagnostic::Rejected { number, rejection, line } => {
                    format!("rejected {number:?} {rejection} {}", String::from_utf8_lossy(line))
                }
                Diagnostic::Message(text) => text,
            });
        });
        told.push(format!("{applied:?}"));
        told
    }

    /// The records so far in the format on disk.
    pub fn records(&self) -> &[Vec<u8>] {
        &self.records
    }

    /// Applies a record in the format on disk, unless it is damaged or does not fit.
    pub fn replay(&mut self, record: &[u8]) -> Result<(), String> {
        let record = Record::read_v1(record).map_err(|error| error.to_string())?;
        self.state.apply(&record, &mut |_| {}).map(|_| ()).map_err(|error| error.0)
    }

    /// The image of a snapshot.
    pub fn save(&self) -> Vec<u8> {
        self.state.write()
    }

    /// The state of an image.
    pub fn restore(image: &[u8]) -> Result<Self, String> {
        let state = State::read_v1(image, Catalogs::default(), &mut |_| {});
        Ok(Replica { state: state.map_err(|error| error.to_string())?, records: Vec::new() })
    }

    /// The state of a directory, as a start finds it. The error is a reason not to start.
    pub fn recover(directory: &Path) -> Result<Self, String> {
        let opened = Journal::open(directory, FsyncPolicy::Never, Arc::new(RealDisk), &Catalogs::default());
        let (_, _, _, state) = opened?;
        Ok(Replica { state, records: Vec::new() })
    }

    /// The live gauges of the systems that are shown.
    pub fn live_gauges(&self) -> Vec<LiveGauge> {
        let mut gauges = Vec::new();
        for system in self.state.engine.counts(0.0) {
            for metric in &system.catalog.metrics {
                let MetricKind::Live(kind) = metric.kind else { continue };
                let name = &system.catalog.entities[kind].name;
                let Some(count) = system.kinds.iter().find(|count| count.entity == name) else { continue };
                gauges.push(LiveGauge {
                    metric: metric.name.clone(),
                    open: count.open,
                    owned: metric.owner.is_some(),
                });
            }
        }
        gauges
    }

    /// Lines applied and lines rejected, as they are counted.
    pub fn counted(&self) -> (u64, u64) {
        let engine = &self.state.engine;
        let applied = engine.applied().map(|(_, count)| count).sum();
        (applied, engine.rejected().map(|(_, count)| count).sum())
    }

    /// What a scrape gets.
    pub fn render(&mut self, at: f64) -> String {
        let mut out = Vec::new();
        self.state.engine.render(&[], &[], at, &mut out).expect("no system is asked for by name");
        String::from_utf8_lossy(&out).into_owned()
    }

    /// Everything that can be observed.
    pub fn observe(&mut self) -> String {
        observable(&mut self.state)
    }
}

/// Settings that change what lines do.
#[derive(Clone, Copy)]
pub struct Limits {
    /// `[limits] series_per_metric`.
    pub series_per_metric: usize,
    /// `[limits] entities`.
    pub entities: usize,
    /// `[privacy] numeric = no`.
    pub resolves_names: bool,
    /// `[systems] restart = reset`.
    pub restart_resets: bool,
}

impl Default for Limits {
    fn default() -> Self {
        let settings = Settings::default();
        Limits {
            series_per_metric: settings.series_per_metric,
            entities: settings.entities,
            resolves_names: !settings.privacy.numeric,
            restart_resets: settings.restart_resets,
        }
    }
}

/// Everything that can be observed of a state: the metrics, the counts of the engine, and the sessions.
pub(crate) fn observable(state: &mut State) -> String {
    let (now, mut out) = (2e9, Vec::new());
    state.engine.render(&[], &[], now, &mut out).expect("no system is asked for by name");
    let engine = &state.engine;
    let counts: Vec<String> = engine
        .counts(now)
        .iter()
        .flat_map(|system| system.kinds.iter().map(|kind| (&system.catalog.name, kind)))
        .map(|(system, kind)| {
            // Of several that are equally old any may be the one.
            let oldest = kind.oldest_age_seconds;
            format!("{system} {} {} {} {oldest:?}\n", kind.entity, kind.open, kind.abandoned)
        })
        .collect();
    let counted = format!(
        "{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{}\n",
        engine.applied().collect::<Vec<_>>(),
        engine.rejected().collect::<Vec<_>>(),
        engine.series().collect::<Vec<_>>(),
        engine.label_cuts().collect::<Vec<_>>(),
        engine.overflowed().collect::<Vec<_>>(),
        engine.last_events().collect::<Vec<_>>(),
        engine.times_ignored(),
    ) + &format!("{:?}\n", engine.budget());
    let mut sessions: Vec<String> =
        state.sessions.iter().map(|(_, session)| format!("{session:?}\n")).collect();
    sessions.sort();
    String::from_utf8_lossy(&out).into_owned() + &counts.concat() + &counted + &sessions.concat()
}
