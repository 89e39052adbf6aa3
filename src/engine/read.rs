//! Finds what a line reports: its event by its shape or by its name, and its time.

use super::Engine;
use super::apply::Use;
use crate::catalog::model::EventPlan;
use crate::limits;
use crate::protocol::line::{Fields, Head, Value};
use crate::protocol::rejection::{Reason, Rejection};

/// What is known of the lines of a shape: the indices of their system and event, and what their values are for.
pub(super) struct Known {
    system: usize,
    event: usize,
    uses: Box<[Use]>,
}

impl Known {
    /// `keys` are those of the values, in their order.
    pub(super) fn new(system: usize, event: usize, plan: &EventPlan, keys: &[&[u8]]) -> Self {
        Known { system, event, uses: keys.iter().map(|key| Use::of(key, plan)).collect() }
    }
}

/// What a line reports: the indices of its system and event, and its time.
pub(super) struct Reported {
    pub(super) system: usize,
    pub(super) event: usize,
    pub(super) time: Option<f64>,
    /// Its values are bound, since its shape is known.
    pub(super) is_bound: bool,
}

impl Engine {
    /// Finds the event of a line by its shape, or by its name.
    #[inline]
    pub(super) fn read(&mut self, line: &str) -> Result<Reported, Rejection> {
        if let Some((&Known { system, event, ref uses }, values)) = self.shapes.split(line) {
            let time = self.scratch.bind_known(&self.catalogs[system].events[event], uses, values);
            return Ok(Reported {
                system,
                event,
                time: time.map(|time| read_time(&line[time])),
                is_bound: true,
            });
        }
        self.fields.scan(line)?;
        let (name, time) = read_head(line, &self.fields)?;
        let Some(&(system, event)) = self.events.get(name) else {
            let what =
                format!("{name:?}: expected an event of a catalog (lifecycle-exporter catalog lists them)");
            return Err(Rejection::new(Reason::UnknownEvent, what));
        };
        Ok(Reported { system, event, time, is_bound: false })
    }
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
