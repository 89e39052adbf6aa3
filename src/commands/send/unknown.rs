//! Warns of events that are probably misspelt, and of fields that an event does not use. The exporter ignores
//! such fields, so a misspelt one would go unnoticed.
//!
//! Each is reported once, if the catalogs can be read here. Missing fields are reported by the exporter.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::catalog::{Catalog, Catalogs};
use crate::faults::nearest;
use crate::protocol::line::{Fields, Value};

const WARNINGS_MAX: usize = 100;

/// Looks at lines before they are sent.
#[derive(Default)]
pub(in crate::commands) struct Unknown {
    catalogs: Vec<Arc<Catalog>>,
    /// Catalog and event by the event's name.
    events: HashMap<Arc<str>, (usize, usize)>,
    fields: Fields,
    /// Events and fields that were looked for; of an event that is unknown, no field.
    warned: HashSet<(Arc<str>, String)>,
}

impl Unknown {
    pub(in crate::commands) fn new(catalogs: &Catalogs) -> Self {
        let catalogs = catalogs.all.clone();
        let events = catalogs.iter().enumerate().flat_map(|(system, catalog)| {
            let names = catalog.events.iter().map(|plan| plan.name.clone());
            names.enumerate().map(move |(event, name)| (name, (system, event)))
        });
        Unknown { events: events.collect(), catalogs, ..Unknown::default() }
    }

    /// Calls `warn` for the unknown event of a line, or for each unknown field.
    pub(in crate::commands) fn look(&mut self, line: &str, warn: &mut dyn FnMut(&str)) {
        if self.warned.len() >= WARNINGS_MAX || self.fields.scan(line).is_err() {
            return;
        }
        let Some(Value::String(name)) = self.fields.head().event else { return };
        let name = self.fields.text(line, name);
        let Some(&(system, event)) = self.events.get(name) else {
            // Looked for once a name: it takes a hundred times as long as a line.
            if self.warned.insert((name.into(), String::new())) {
                let known: Vec<&str> = self.events.keys().map(|name| &**name).collect();
                if let Some(near) = nearest(name, &known) {
                    warn(&format!("{name}: did you mean {near}?"));
                }
            }
            return;
        };
        let plan = &self.catalogs[system].events[event];
        for (name, warning) in
            plan.unknown_fields(self.fields.iter(line).filter_map(|(name, _)| std::str::from_utf8(name).ok()))
        {
            if self.warned.insert((plan.name.clone(), name.to_owned())) {
                warn(&warning);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog;

    #[test]
    fn each_unknown_field_of_an_event_is_named_once() {
        let mut unknown = Unknown::new(&catalog::load(None).unwrap());
        let mut said = Vec::new();
        let lines = [
            r#"{"event":"recording.stopped","backend":"b","recording":"r","duraton":5,"time":1}"#,
            r#"{"event":"recording.stopped","backend":"b","recording":"r","duraton":6}"#,
            r#"{"event":"recording.stoped","duraton":6}"#,
            r#"{"event":"recording.started","backend":"b","recording":"r","duraton":6}"#,
            "garbage",
        ];
        for line in lines {
            unknown.look(line, &mut |warning| said.push(warning.to_owned()));
        }
        let about: Vec<&str> = said.iter().map(|text| text.split(':').next().unwrap()).collect();
        assert_eq!(about, ["recording.stopped", "recording.stoped", "recording.started"], "{said:?}");
        assert_eq!(said[1], "recording.stoped: did you mean recording.stopped?");
        assert!(said[0].ends_with("; did you mean duration?"), "{said:?}");
    }
}
