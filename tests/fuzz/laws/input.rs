//! Takes the input of a fuzz target apart: choices, numbers, texts, and events of a catalog.

use lifecycle_exporter::internals::fuzz::EventShape;

/// What is left of the input. Where nothing is, every choice is the first one.
pub(crate) struct Input<'a>(pub(crate) &'a [u8]);

/// JSON values that an event may be given. `null` is the same as an absent field.
const VALUES: [&str; 16] = [
    "\"x\"",
    "\"y\"",
    "\"10.0.0.1:80\"",
    "\"/videos/12/parts?a=b\"",
    "null",
    "1",
    "2.5",
    "0",
    "-1",
    "1e300",
    "1e999",
    "true",
    "\"\"",
    "\"a \\\"b\\\" \\\\ \\n \\u00e9\"",
    "\"\\ud800\"",
    "[1]",
];

impl<'a> Input<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// The next bytes, as many as the first one says.
    pub(crate) fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes
    }

    /// Seconds by which a clock moves, now and then back or by a day.
    pub(crate) fn seconds(&mut self) -> f64 {
        match self.byte() {
            255 => 86_400.0,
            254 => -86_400.0,
            253 => -1.5,
            seconds => f64::from(seconds) / 4.0,
        }
    }

    /// A line, with its newline: of an event, or as the input has it.
    pub(crate) fn line(&mut self, events: &[EventShape], at: f64, out: &mut Vec<u8>) {
        let choice = self.byte();
        let Some(event) = events.get(usize::from(choice) % (events.len() + 1)) else {
            out.extend(self.bytes().iter().filter(|byte| **byte != b'\n'));
            return out.push(b'\n');
        };
        out.extend_from_slice(format!("{{\"event\":\"{}\"", event.name).as_bytes());
        for field in &event.fields {
            let choice = self.byte();
            // Values that repeat, so that events meet; now and then one that is too long for a label.
            let value = VALUES[usize::from(choice) % VALUES.len()];
            let long = format!("\"{}\"", "é".repeat(600));
            let value = if choice == 255 { &long } else { value };
            out.extend_from_slice(format!(",\"{field}\":{value}").as_bytes());
        }
        if choice >= 240 {
            out.extend_from_slice(format!(",\"time\":{}", at - f64::from(choice - 240)).as_bytes());
        }
        out.extend_from_slice(b"}\n");
    }
}
