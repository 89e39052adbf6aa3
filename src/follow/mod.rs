//! `follow`: reads the log of a server that cannot be changed, and sends the events that it tells of, each line exactly
//! once.
//!
//! ```text
//!  log ──▶ source ──▶ line_buffer ──▶ batch ──▶ session ──▶ exporter
//!                                       │          │
//!                                    matcher    position
//! ```
//!
//! `source` reads on a thread of its own, `matcher` knows the `[line]` sections of a system, `batch` gathers events,
//! `waiting` keeps back those that may yet turn out otherwise, and `session` sends them once `position` has kept where
//! they lie. `trial` shows what the patterns find, without sending.

mod batch;
pub(crate) mod line_buffer;
pub(crate) mod matcher;
mod position;
mod session;
mod source;
pub(crate) mod trial;
mod waiting;

use std::path::PathBuf;
use std::thread;

use crossbeam_channel::{Receiver, bounded};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::format::position::{Place, Position};
use batch::{Gatherer, Input, Stop};
use matcher::Matcher;
use position::PositionFile;
use session::Session;
use source::{file, input, journal};

/// What to follow, and how.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Orders {
    pub(crate) system: String,
    pub(crate) log: Log,
    /// The position file; none: how far it is, is not kept.
    pub(crate) position: Option<PathBuf>,
    pub(crate) from_start: bool,
    /// The name of the session.
    pub(crate) producer: String,
}

/// Where lines come from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Log {
    /// The journal of a systemd unit.
    Unit(String),
    File(PathBuf),
    StandardInput,
}

impl Log {
    /// As it is kept in a position, and shown.
    fn name(&self) -> String {
        match self {
            Log::Unit(unit) => format!("unit {unit}"),
            Log::File(path) => format!("file {}", path.display()),
            Log::StandardInput => "standard input".to_owned(),
        }
    }

    /// Where it begins to be read that was not read before.
    fn start(&self, from_start: bool) -> Result<Place, String> {
        Ok(match self {
            Log::Unit(_) => Place::Journal(journal::start(from_start)?),
            Log::File(path) => Place::File(file::start(path, from_start)?),
            Log::StandardInput => Place::Input,
        })
    }

    /// Reads it from here on.
    fn read(&self, from: &Place, out: &mut Gatherer) -> Result<(), Stop> {
        match (self, from) {
            (Log::Unit(unit), Place::Journal(cursor)) => journal::follow(unit, cursor, out),
            (Log::File(path), Place::File(place)) => file::follow(path, place, out),
            (Log::StandardInput, _) => input::follow(std::io::stdin(), out),
            _ => Err(Stop::Failed("the position is one of another log".to_owned())),
        }
    }
}

/// Follows a log until a signal comes or standard input ends.
pub(crate) fn run(orders: &Orders, matcher: Matcher, socket: PathBuf) -> Result<(), String> {
    let signals = signals()?;
    let file = orders.position.clone().map(PositionFile::open).transpose()?;
    if file.is_none() && orders.log != Log::StandardInput {
        log::warn!(
            "how far the log is read is not kept: the next start begins at its end (--position FILE or --state DIR)"
        );
    }
    let position = position(orders, file.as_ref())?;
    log::info!("following {} for {}", orders.log.name(), orders.system);
    let mut session = Session::new(socket, file, position, signals);
    let Some((place, waiters)) = session.begin() else { return Ok(()) };
    let (sender, inputs) = bounded(1);
    let log = orders.log.clone();
    thread::spawn(move || {
        let mut gatherer = Gatherer::new(matcher, place.clone(), waiters, sender.clone());
        if let Err(Stop::Failed(what)) = log.read(&place, &mut gatherer) {
            let _ = sender.send(Input::Failed(what));
        }
    });
    session.run(&inputs)
}

fn signals() -> Result<Receiver<i32>, String> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(|error| format!("signals: {error}"))?;
    let (sender, receiver) = bounded(1);
    thread::spawn(move || {
        for signal in signals.forever() {
            let _ = sender.try_send(signal);
        }
    });
    Ok(receiver)
}

/// Where the last run ended, or where a first one begins.
fn position(orders: &Orders, file: Option<&PositionFile>) -> Result<Position, String> {
    let log = orders.log.name();
    let mut why = String::new();
    if let Some(file) = file {
        match file.read()? {
            Ok(kept) if kept.log == log && kept.producer == orders.producer => return Ok(kept),
            Ok(kept) => why = format!("the position in {} is that of {}", file.path().display(), kept.log),
            Err(what) => why = what,
        }
    }
    if !why.is_empty() {
        let from = if orders.from_start { "start" } else { "end" };
        log::info!("beginning at the {from} of the log: {why}");
    }
    let place = orders.log.start(orders.from_start)?;
    let instance = format!("{:016x}", fastrand::u64(..));
    Ok(Position {
        log,
        producer: orders.producer.clone(),
        instance,
        number: 0,
        place,
        places: Vec::new(),
        waiting: Vec::new(),
        changes: Vec::new(),
    })
}
