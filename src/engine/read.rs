//! Finds what a line reports: its event by its shape or by its name, and its time.

use super::Engine;
use crate::catalog::model::EventPlan;
use crate::faults::cut;
use crate::limits;
use crate::protocol::line::{Fields, Head, Value};
use crate::protocol::rejection::{Reason, Rejection};
use crate::protocol::shape::Shapes;

/// The indices of a system and of one of its events.
pub(super) type EventIndices = (usize, usize);

/// What a line reports.
#[derive(Clone, Copy)]
pub(super) struct Reported {
    pub(super) event: EventIndices,
    pub(super) time: Option<f64>,
    /// Its values are bound, since its shape is known.
    pub(super) is_bound: bool,
}

impl Engine {
    /// Finds the event of a text's first line by the line's shape, if that is known. Returns the line's length, too.
    #[inline]
    pub(super) fn read_known(&mut self, text: &str) -> Option<(Reported, usize)> {
        let values = self.scratch.values();
        let (&event, length) = self.shapes.split(text, values)?;
        // The last slot is that of the time, as `learn` has it.
        let time = match values.last() {
            Some(Some(Value::Number(time))) => time.in_line().map(|time| read_time(&text[time])),
            _ => None,
        };
        Some((Reported { event, time, is_bound: true }, length))
    }

    /// Finds the event of a line by its name.
    pub(super) fn read(&mut self, line: &str) -> Result<Reported, Rejection> {
        self.fields.scan(line)?;
        let (name, time) = read_head(line, &self.fields)?;
        let Some(&event) = self.events.get(name) else {
            // It may be as long as the line.
            let name = cut(name, limits::LOGGED_LINE_CHARS_MAX);
            return Err(Rejection::worded(Reason::UnknownEvent, move |out| {
                write!(
                    out,
                    "{name:?}: expected an event of a catalog (lifecycle-exporter catalog lists them)"
                )
            }));
        };
        Ok(Reported { event, time, is_bound: false })
    }
}

/// Remembers the shape of a line that was scanned and has all that its event needs. The values go to the slots of the
/// plan's fields; those that the event does not use and the time go to two behind them.
pub(super) fn learn(
    shapes: &mut Shapes<EventIndices>,
    line: &str,
    fields: &Fields,
    event: EventIndices,
    plan: &EventPlan,
) {
    let (ignored, time) = (plan.fields.len(), plan.fields.len() + 1);
    let slot = |key: &&[u8]| if *key == b"time" { time } else { plan.field(key).unwrap_or(ignored) };
    shapes.learn(line, fields, time + 1, |keys| (event, keys.iter().map(slot).collect()));
}

/// Returns when an event happened, and whether its own time is trusted. A time in the future counts as the
/// time of arrival. A time that is too far from it is a fault and is ignored.
pub(super) fn event_time(time: Option<f64>, arrived: f64) -> (f64, bool) {
    match time {
        None => (arrived, true),
        Some(time) if (time - arrived).abs() <= limits::EVENT_TIME_SKEW_SECONDS_MAX => {
            (time.min(arrived), true)
        }
        Some(_) => (arrived, false),
    }
}

/// Reads a number. One that no `f64` can hold is a time that is too far away.
fn read_time(number: &str) -> f64 {
    number.parse().unwrap_or(f64::INFINITY)
}

/// Reads an event's name and time.
pub(super) fn read_head<'a>(line: &'a str, fields: &'a Fields) -> Result<(&'a str, Option<f64>), Rejection> {
    let Head { event, time, twice } = fields.head();
    if let Some(key) = twice {
        return Err(Rejection::new(Reason::Malformed, format!("{key}: occurs twice, expected once")));
    }
    let name = match event {
        Some(Value::String(text)) => fields.text(line, text),
        None | Some(Value::Null) => {
            return Err(Rejection::new(
                Reason::MissingField,
                "event: missing, expected the name of an event",
            ));
        }
        Some(_) => {
            return Err(Rejection::new(Reason::BadValue, "event: expected a string, the name of an event"));
        }
    };
    let time = match time {
        None | Some(Value::Null) => None,
        Some(Value::Number(text)) => Some(read_time(fields.text(line, text))),
        Some(_) => return Err(Rejection::new(Reason::BadValue, "time: expected a number, Unix seconds")),
    };
    Ok((name, time))
}
