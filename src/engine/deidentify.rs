//! Where `[privacy] deidentify` is on, addresses in the lines of producers are masked before the lines are applied.
//! So from then on neither the journal nor a snapshot gets a whole one.
//!
//! What an event uses is masked only where a label shows addresses (`transform = address`): other labels keep
//! their values, and so do keys, which tell entities apart, and labels of `follow`, which tell totals apart. What
//! no event uses is masked like text: further fields, and lines that are rejected as unknown or malformed. Strings
//! with escapes are left as they are.

use std::net::Ipv6Addr;

use super::Engine;
use super::transform::{self, masked_address};
use crate::catalog::Catalog;
use crate::catalog::model::{Change, EventPlan, Step, Transform, Verb};
use crate::protocol::line::{Fields, Value};

impl Engine {
    /// The same lines with addresses masked, one for one. A line that would be longer than lines may be stays as
    /// it is.
    pub(crate) fn deidentified(&self, block: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(block.len() + block.len() / 8);
        let mut fields = Fields::default();
        for line in block.split_inclusive(|byte| *byte == b'\n') {
            let end = line.len() - usize::from(line.ends_with(b"\n"));
            let start = out.len();
            self.push_deidentified(&line[..end], &mut fields, &mut out);
            if out.len() - start > self.settings.line_max {
                out.truncate(start);
                out.extend_from_slice(&line[..end]);
            }
            out.extend_from_slice(&line[end..]);
        }
        out
    }

    fn push_deidentified(&self, line: &[u8], fields: &mut Fields, out: &mut Vec<u8>) {
        let Ok(text) = std::str::from_utf8(line) else {
            // It is rejected all the same; its text could be anything.
            return out.push(0xff);
        };
        let event = fields.scan(text).ok().and_then(|()| match fields.head().event {
            Some(Value::String(name)) => self.events.get(fields.text(text, name)),
            _ => None,
        });
        let Some(&(system, event)) = event else {
            return out.extend_from_slice(mask_addresses(text).as_bytes());
        };
        let (catalog, mut rest) = (&*self.catalogs[system], 0);
        for (name, value) in fields.iter(text) {
            let Value::String(span) = value else { continue };
            let Some(range) = span.in_line() else { continue };
            let value = &text[range.clone()];
            let masked = match use_of(name, catalog, &catalog.events[event]) {
                Use::Kept => continue,
                Use::Address => transform::masked(value),
                Use::None => mask_addresses(value),
            };
            out.extend_from_slice(&line[rest..range.start]);
            out.extend_from_slice(masked.as_bytes());
            rest = range.end;
        }
        out.extend_from_slice(&line[rest..]);
    }
}

/// What an event does with a field.
enum Use {
    /// It tells entities or totals apart, or is shown as it is.
    Kept,
    /// Labels show it as an address.
    Address,
    /// Nothing.
    None,
}

fn use_of(name: &[u8], catalog: &Catalog, event: &EventPlan) -> Use {
    let is = |other: &String| other.as_bytes() == name;
    // Without it, two totals that are kept elsewhere would be one.
    let tells_totals_apart = event.steps.iter().any(|step| match step {
        Step::Change(Change { verb: Verb::Follow, metric, .. }) => {
            catalog.metrics[*metric].labels.iter().any(is)
        }
        _ => false,
    });
    if tells_totals_apart || catalog.entities.iter().any(|entity| entity.key.iter().any(is)) {
        return Use::Kept;
    }
    let is_address = catalog.metrics.iter().any(|metric| {
        let mut labels = metric.labels.iter().zip(&metric.transforms);
        labels.any(|(label, transform)| is(label) && *transform == Some(Transform::Address))
    });
    match event.field(name).is_some() {
        _ if is_address => Use::Address,
        true => Use::Kept,
        false => Use::None,
    }
}

/// Hides all but the last two parts of each address, as labels do.
pub(crate) fn mask_addresses(message: &str) -> String {
    let mut masked = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(at) = rest.find(is_part) {
        masked.push_str(&rest[..at]);
        let end = rest[at..].find(|c| !is_part(c)).map_or(rest.len(), |end| at + end);
        push_masked(&mut masked, &rest[at..end], rest[end..].starts_with('…'));
        rest = &rest[end..];
    }
    masked + rest
}

/// Whether a character may be in an address.
fn is_part(c: char) -> bool {
    c.is_ascii_hexdigit() || matches!(c, '.' | ':')
}

/// Masks what is between characters of no address. `is_cut`: the message was cut behind it.
fn push_masked(out: &mut String, word: &str, is_cut: bool) {
    let bare = word.trim_end_matches([':', '.']);
    // `::` begins and ends addresses, too, and stands in the names of programs.
    let has_parts = word.split(':').filter(|part| !part.is_empty()).count() >= 2;
    let candidates = [word, bare, word.trim_start_matches(':'), bare.trim_start_matches(':')];
    let parsed = candidates.iter().find_map(|text| text.parse::<Ipv6Addr>().ok());
    if let Some(ip) = parsed.filter(|_| has_parts) {
        out.push_str(&masked_address(ip.to_canonical()));
    } else if is_cut && word.matches(':').count() >= 2 {
        out.push_str("xx");
    } else {
        push_masked_v4(out, word, is_cut);
    }
}

/// Masks the first two of four numbers with dots between them, wherever they are.
fn push_masked_v4(out: &mut String, word: &str, is_cut: bool) {
    let mut rest = word;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (run, behind) = rest.split_at(end);
        let parts: Vec<&str> = run.split('.').collect();
        let is_octet = |part: &&str| part.parse::<u8>().is_ok();
        let is_address = parts.len() >= 4 && parts[..4].iter().all(is_octet);
        let is_beginning = is_cut && behind.is_empty() && (2..4).contains(&parts.len());
        if is_address || is_beginning {
            out.push_str("xx.xx");
            for part in &parts[2..] {
                out.push('.');
                out.push_str(part);
            }
        } else {
            out.push_str(run);
        }
        rest = behind;
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keep_their_last_two_parts() {
        let cases = [
            ("{\"ip\":\"203.0.113.7:5000\"}", "{\"ip\":\"xx.xx.113.7:5000\"}"),
            ("from 203.0.113.7.", "from xx.xx.113.7."),
            ("fe10.1.2.3, x10.1.2.3", "fexx.xx.2.3, xxx.xx.2.3"),
            ("[2001:db8::17:1]:443", "[xx:xx:xx:xx:xx:xx:17:1]:443"),
            ("at ::ffff:203.0.113.7", "at xx.xx.113.7"),
            ("ip=2001:db8::1: gone", "ip=xx:xx:xx:xx:xx:xx:0:1 gone"),
            ("cut 203.0.113… and 2001:db8:1…", "cut xx.xx.113… and xx…"),
            ("12:34:56 1.5 v1.2.3 300.1.1.1 a::z", "12:34:56 1.5 v1.2.3 300.1.1.1 a::z"),
        ];
        for (message, expected) in cases {
            assert_eq!(mask_addresses(message), expected, "{message}");
        }
    }
}
