//! `open`: shows what the running exporter has open, as `/api/v1/open` lists it.

use std::fmt;
use std::io::Write;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::args::Format;
use super::ask::{self, printable};
use super::table::columns;
use crate::clock;
use crate::daemon::configuration::{Overrides, load_settings};
use crate::limits;

/// An open entity, as far as it is shown.
#[derive(Deserialize)]
struct Entity {
    system: String,
    entity: String,
    key: Fields,
    labels: Fields,
    /// Unix seconds.
    opened: f64,
    producer: Option<String>,
}

/// Names and values in the order of the answer, which is that of the catalog.
struct Fields(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Fields;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object whose values are strings")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Fields, M::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Fields(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

impl Fields {
    fn shown(&self) -> String {
        let pairs: Vec<String> =
            self.0.iter().map(|(name, value)| format!("{}={}", printable(name), word(value))).collect();
        if pairs.is_empty() { NOTHING.to_owned() } else { pairs.join(" ") }
    }
}

/// What stands in an empty cell.
const NOTHING: &str = "-";

/// Returns the text to print.
pub(super) fn run(
    overrides: &Overrides,
    system: Option<&str>,
    entity: Option<&str>,
    format: Format,
) -> Result<String, String> {
    let (settings, _) = load_settings(overrides)?;
    let address = ask::address(&settings)?;
    let max = limits::OPEN_SHOWN_MAX.to_string();
    let named = [("system", system), ("entity", entity), ("limit", Some(&max))];
    let query: Vec<(&str, &str)> =
        named.iter().filter_map(|(name, value)| value.map(|value| (*name, value))).collect();
    let answer = ask::get(address, &ask::target("/api/v1/open", &query), limits::ASK_MAX)?;
    if answer.status != 200 {
        return Err(answer.refusal(address));
    }
    let entities: Vec<Entity> = serde_json::from_slice(&answer.body).map_err(|error| {
        format!("{address}: no exporter answers there ({error}); --listen names the exporter's address")
    })?;
    if entities.len() >= limits::OPEN_SHOWN_MAX {
        let _ = writeln!(
            std::io::stderr(),
            "warning: only the oldest {max} are shown; name a SYSTEM or an ENTITY to see others"
        );
    }
    Ok(match format {
        Format::Json => {
            let text = String::from_utf8_lossy(&answer.body);
            if text.ends_with('\n') { text.into_owned() } else { format!("{text}\n") }
        }
        _ if entities.is_empty() => "nothing is open\n".to_owned(),
        _ => table(&entities, clock::unix_seconds()),
    })
}

fn table(entities: &[Entity], now: f64) -> String {
    let row = |entity: &Entity| {
        vec![
            age(now - entity.opened),
            word(&entity.system),
            word(&entity.entity),
            entity.key.shown(),
            entity.labels.shown(),
            entity.producer.as_deref().map_or(NOTHING.to_owned(), word),
        ]
    };
    let rows: Vec<Vec<String>> = entities.iter().map(row).collect();
    let mut out = String::new();
    columns(&mut out, &["AGE", "SYSTEM", "ENTITY", "KEY", "LABELS", "PRODUCER"], &rows);
    out
}

/// A value in a cell with others: in quotes where its end would not be clear, and harmless to a terminal.
fn word(value: &str) -> String {
    if value.is_empty() || value.contains(|c: char| c == '"' || c.is_whitespace()) {
        printable(&format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")))
    } else {
        printable(value)
    }
}

/// `3d 4h`, `2h 5m`, `7m` or `12s`.
fn age(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    let (days, hours, minutes) = (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{whole}s"),
        (0, 0, _) => format!("{minutes}m"),
        (0, _, _) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_at_most_two_units() {
        let ages = [-5.0, 12.9, 59.0, 60.0, 3_599.0, 7_500.0, 86_399.0, 273_600.0].map(age);
        assert_eq!(ages, ["0s", "12s", "59s", "1m", "59m", "2h 5m", "23h 59m", "3d 4h"]);
    }

    #[test]
    fn a_table_keeps_the_order_of_fields_and_nothing_that_a_terminal_obeys() {
        let answer = "[{\"system\":\"s\",\"entity\":\"e\",\"key\":{\"z\":\"1\",\"a\":\"https://b/?x=y\"},\"opened\":40,\
                      \"labels\":{\"l\":\"\\u001b[31m \\u009b\\u202e\\n\\\"é\",\"m\":\"\"},\"producer\":\"p q\"},\
                      {\"system\":\"s\",\"entity\":\"e\",\"key\":{},\"labels\":{},\"opened\":95.5,\"producer\":null,\
                      \"new\":1}]";
        let entities: Vec<Entity> = serde_json::from_str(answer).unwrap();
        assert_eq!(
            table(&entities, 100.0),
            "AGE  SYSTEM  ENTITY  KEY                   LABELS                                   PRODUCER\n\
             1m   s       e       z=1 a=https://b/?x=y  l=\"\\u{1b}[31m \\u{9b}\\u{202e}\\n\\\"é\" m=\"\"  \"p q\"\n\
             4s   s       e       -                     -                                        -\n"
        );
    }
}
