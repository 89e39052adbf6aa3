//! Gathers the events that are found in a log into batches for the session. A batch is handed over when it is full, or
//! when the log has no more for now; while the session has not taken the former one, nothing is read on.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use super::matcher::{Event, Matcher};
use super::waiting::{Waiters, Waiting, cost};
use crate::format::position::{Change, Place};
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
    /// What has become of the events that wait, each with the number of the event, from 1, behind which it counts.
    pub(crate) changes: Vec<(u32, Change)>,
    /// What the changes cost.
    change_bytes: usize,
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

    /// Notes changes that count with the next event, or where reading has gone on without one.
    fn note(&mut self, changes: impl IntoIterator<Item = Change>) {
        let next = self.len() as u32 + 1;
        for change in changes {
            self.change_bytes += cost(&change);
            self.changes.push((next, change));
        }
    }

    fn is_full(&self) -> bool {
        let most = self.len().max(self.changes.len());
        let bytes = self.lines.len() + self.change_bytes;
        most >= limits::FOLLOW_EVENTS_MAX || bytes >= limits::FOLLOW_BYTES_MAX
    }

    /// Leaves out the first events. Returns where reading goes on after them.
    pub(crate) fn drop_first(&mut self, count: usize) -> Option<Place> {
        let bytes = self.ends[..count].last().copied().unwrap_or_default();
        self.lines.drain(..bytes);
        self.ends.drain(..count);
        self.ends.iter_mut().for_each(|end| *end -= bytes);
        self.changes.retain(|(event, _)| *event as usize > count);
        self.changes.iter_mut().for_each(|(event, _)| *event -= count as u32);
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
    waiting: Waiting,
    batch: Batch,
    /// Up to where the log has been read, and whether that is news.
    here: Place,
    has_moved: bool,
    out: Sender<Input>,
    handed_over_at: Instant,
    /// How long the session has kept the source waiting since it was last asked.
    waited: Duration,
}

impl Gatherer {
    /// One that begins here, where these events wait.
    pub(super) fn new(matcher: Matcher, here: Place, waiters: Waiters, out: Sender<Input>) -> Self {
        Gatherer {
            matcher: Arc::new(matcher),
            waiting: Waiting::new(waiters),
            batch: Batch::default(),
            here,
            has_moved: false,
            out,
            handed_over_at: Instant::now(),
            waited: Duration::ZERO,
        }
    }

    /// Takes whole lines with their ends. `place` is the one behind so many of their bytes.
    pub(crate) fn lines(&mut self, lines: &[u8], place: impl Fn(usize) -> Place) -> Result<(), Stop> {
        let matcher = Arc::clone(&self.matcher);
        matcher.events(lines, |event, end| {
            self.move_to(place(end));
            self.take(event, None)
        })?;
        self.move_to(place(lines.len()));
        self.hand_over_if_due()
    }

    /// Takes an entry of a log that is not made of lines. `time`: when it was written, in Unix seconds.
    pub(crate) fn entry(&mut self, text: &[u8], time: &str, place: Place) -> Result<(), Stop> {
        let seconds = time.parse().ok();
        self.happen(seconds, None)?;
        self.move_to(place);
        if let Some(event) = self.matcher.find(text, Some(time)).and_then(|found| found.event) {
            self.take(event, seconds)?;
        }
        self.hand_over_if_due()
    }

    fn take(&mut self, event: Event, time: Option<f64>) -> Result<(), Stop> {
        let mut changes = Vec::new();
        let line = self.waiting.take(event, time, &mut changes);
        self.batch.note(changes);
        if let Some(line) = line {
            self.batch.push(&line, self.here.clone());
        }
        // More may wait now than can.
        self.happen(None, None)?;
        if self.batch.is_full() { self.hand_over() } else { Ok(()) }
    }

    fn move_to(&mut self, place: Place) {
        self.here = place;
        self.has_moved = true;
    }

    /// There is nothing more for now.
    pub(crate) fn pause(&mut self) -> Result<(), Stop> {
        self.happen(None, Some(Instant::now()))?;
        if self.batch.len() > 0 { self.hand_over() } else { self.hand_over_if_due() }
    }

    /// The log has ended: nothing comes that events could wait for.
    pub(crate) fn finish(&mut self) -> Result<(), Stop> {
        self.happen(None, Some(Instant::now() + limits::WAIT_MAX))?;
        self.pause()
    }

    /// Lets events happen that have waited long enough.
    fn happen(&mut self, log_time: Option<f64>, now: Option<Instant>) -> Result<(), Stop> {
        while let Some((line, change)) = self.waiting.next_due(log_time, now) {
            self.batch.note([change]);
            self.batch.push(&line, self.here.clone());
            if self.batch.is_full() {
                self.hand_over()?;
            }
        }
        Ok(())
    }

    /// How long a source may wait for its log before it calls [`Gatherer::pause`]; `None`: for ever.
    pub(crate) fn patience(&self) -> Option<Duration> {
        self.waiting.patience()
    }

    /// A log without events is not read again from far back, either.
    fn hand_over_if_due(&mut self) -> Result<(), Stop> {
        let is_due = self.has_moved && self.handed_over_at.elapsed() >= limits::POSITION_EVERY;
        if is_due { self.hand_over() } else { Ok(()) }
    }

    fn hand_over(&mut self) -> Result<(), Stop> {
        let began = Instant::now();
        let mut batch = std::mem::take(&mut self.batch);
        batch.read_to = Some(self.here.clone());
        self.out.send(Input::Batch(batch)).map_err(|_| Stop::Over)?;
        (self.handed_over_at, self.has_moved) = (Instant::now(), false);
        self.waited = self.waited.max(began.elapsed());
        Ok(())
    }

    /// How long the session has kept the source waiting at most since the last call.
    pub(crate) fn take_waited(&mut self) -> Duration {
        std::mem::take(&mut self.waited)
    }
}
