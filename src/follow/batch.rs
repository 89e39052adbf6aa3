//! Gathers the events that are found in a log into batches for the session. A batch is handed over when it is full, or
//! when the log has no more for now; while the session has not taken the former one, nothing is read on.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use super::matcher::Matcher;
use crate::format::position::Place;
use crate::limits;

/// Consecutive events of a log.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Batch {
    /// Lines of the feed with their line ends.
    lines: Vec<u8>,
    /// The end of each in `lines`.
    ends: Vec<usize>,
    /// Where reading goes on after each.
    pub(crate) places: Vec<Place>,
    /// Where it goes on after all that has been read.
    pub(crate) read_to: Option<Place>,
}

impl Batch {
    fn push(&mut self, line: &str, place: Place) {
        self.lines.extend_from_slice(line.as_bytes());
        self.lines.push(b'\n');
        self.ends.push(self.lines.len());
        self.places.push(place);
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    fn is_full(&self) -> bool {
        self.len() >= limits::FOLLOW_EVENTS_MAX || self.lines.len() >= limits::FOLLOW_BYTES_MAX
    }

    /// Leaves out the first events. Returns where reading goes on after them.
    pub(crate) fn drop_first(&mut self, count: usize) -> Option<Place> {
        let bytes = self.ends[..count].last().copied().unwrap_or_default();
        self.lines.drain(..bytes);
        self.ends.drain(..count);
        self.ends.iter_mut().for_each(|end| *end -= bytes);
        self.places.drain(..count).next_back()
    }

    /// The lines of these events.
    pub(crate) fn lines(&self, events: Range<usize>) -> &[u8] {
        let start = |event: usize| event.checked_sub(1).map_or(0, |former| self.ends[former]);
        &self.lines[start(events.start)..start(events.end)]
    }
}

/// Why a source stops reading.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Nobody takes batches any more.
    Over,
    /// It cannot go on.
    Failed(String),
}

/// What a source hands over.
#[derive(Debug)]
pub(crate) enum Input {
    Batch(Batch),
    Failed(String),
}

/// Takes what a source reads.
pub(crate) struct Gatherer {
    matcher: Arc<Matcher>,
    batch: Batch,
    out: Sender<Input>,
    handed_over_at: Instant,
    /// How long the session has kept the source waiting since it was last asked.
    waited: Duration,
}

impl Gatherer {
    pub(crate) fn new(matcher: Arc<Matcher>, out: Sender<Input>) -> Self {
        Gatherer {
            matcher,
            batch: Batch::default(),
            out,
            handed_over_at: Instant::now(),
            waited: Duration::ZERO,
        }
    }

    /// Takes whole lines with their ends. `place` is the one behind so many of their bytes.
    pub(crate) fn lines(&mut self, lines: &[u8], place: impl Fn(usize) -> Place) -> Result<(), Stop> {
        let matcher = Arc::clone(&self.matcher);
        matcher.events(lines, |event, end| {
            self.batch.push(event, place(end));
            if self.batch.is_full() {
                self.batch.read_to = Some(place(end));
                return self.hand_over();
            }
            Ok(())
        })?;
        self.batch.read_to = Some(place(lines.len()));
        // A log without events is not read again from far back, either.
        if self.handed_over_at.elapsed() >= limits::POSITION_EVERY { self.hand_over() } else { Ok(()) }
    }

    /// Takes an entry of a log that is not made of lines. `time`: when it was written.
    pub(crate) fn entry(&mut self, text: &[u8], time: &str, place: Place) -> Result<(), Stop> {
        if let Some(event) = self.matcher.find(text, Some(time)).and_then(|found| found.event) {
            self.batch.push(&event, place.clone());
        }
        self.batch.read_to = Some(place);
        let is_due = self.batch.is_full() || self.handed_over_at.elapsed() >= limits::POSITION_EVERY;
        if is_due { self.hand_over() } else { Ok(()) }
    }

    /// There is nothing more for now.
    pub(crate) fn pause(&mut self) -> Result<(), Stop> {
        let is_due = self.handed_over_at.elapsed() >= limits::POSITION_EVERY;
        if self.batch.len() > 0 || (is_due && self.batch.read_to.is_some()) {
            self.hand_over()
        } else {
            Ok(())
        }
    }

    fn hand_over(&mut self) -> Result<(), Stop> {
        let began = Instant::now();
        let batch = std::mem::take(&mut self.batch);
        self.out.send(Input::Batch(batch)).map_err(|_| Stop::Over)?;
        self.handed_over_at = Instant::now();
        self.waited = self.waited.max(began.elapsed());
        Ok(())
    }

    /// How long the session has kept the source waiting at most since the last call.
    pub(crate) fn take_waited(&mut self) -> Duration {
        std::mem::take(&mut self.waited)
    }
}
