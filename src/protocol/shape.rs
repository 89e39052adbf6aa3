//! Splits lines that look like an earlier one: a producer writes all events of a name alike, and only the values
//! differ. What lies between the values is compared, the values are found, and nothing else is looked at.
//!
//! It is a fast way beside [`Fields::scan`], which decides what a line means: a shape is learned from a line that
//! was scanned, and a line that does not fit is left to the scanner. Strings with escapes, `null`, objects and
//! arrays fit no shape. Whoever deletes this file loses speed only; a property test plays lines through both ways.

use super::line::{Fields, Span, Value};
use super::number;
use crate::special_bytes::first_special;

/// Shapes are looked up by the name of the event: so many places for names, each with room for a few shapes, since
/// optional fields come and go.
const PLACES: usize = 64;
const SHAPES_OF_A_PLACE: usize = 4;
/// A longer line, or one with more values, is not worth remembering.
const LITERAL_BYTES_MAX: usize = 512;
const VALUES_MAX: usize = 24;

/// The shapes of the lines that were learned, each with what the owner knows about its lines.
pub(crate) struct Shapes<T> {
    places: Vec<Vec<Shape<T>>>,
    /// The shape of a full place that the next one replaces.
    next: usize,
    values: Vec<Value>,
}

struct Shape<T> {
    /// What lies before, between and behind the values, one after the other. The event's name is part of it.
    literals: Box<[u8]>,
    pieces: Box<[Piece]>,
    about: T,
}

/// A value, and the bytes of the literal before it.
#[derive(Clone, Copy)]
struct Piece {
    literal: usize,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    String,
    Number,
    Boolean,
}

impl<T> Default for Shapes<T> {
    fn default() -> Self {
        Shapes { places: (0..PLACES).map(|_| Vec::new()).collect(), next: 0, values: Vec::new() }
    }
}

impl<T> Shapes<T> {
    /// Splits a line of a known shape: what is known about it, and its values but for the event's name, in their
    /// order.
    #[inline]
    pub(crate) fn split(&mut self, line: &str) -> Option<(&T, &[Value])> {
        let place = place_of(line.as_bytes())?;
        let values = &mut self.values;
        let shape = self.places[place].iter().find(|shape| shape.split(line, values))?;
        Some((&shape.about, values))
    }

    /// Remembers the shape of a line that was scanned into `fields`. `about` makes what is known about its lines
    /// from the keys of the values that [`Self::split`] will return.
    pub(crate) fn learn(&mut self, line: &str, fields: &Fields, about: impl FnOnce(&[&[u8]]) -> T) {
        let Some(place) = place_of(line.as_bytes()) else { return };
        let Some((literals, pieces, keys)) = shape_of(line, fields) else { return };
        let shape = Shape { literals, pieces, about: about(&keys) };
        let place = &mut self.places[place];
        if place.len() < SHAPES_OF_A_PLACE {
            place.push(shape);
        } else {
            place[self.next % SHAPES_OF_A_PLACE] = shape;
            self.next += 1;
        }
    }

    /// Forgets all shapes: what was known about them is no longer true.
    pub(crate) fn clear(&mut self) {
        self.places.iter_mut().for_each(Vec::clear);
    }
}

impl<T> Shape<T> {
    #[inline]
    fn split(&self, line: &str, values: &mut Vec<Value>) -> bool {
        let bytes = line.as_bytes();
        let (mut at, mut literals) = (0, &*self.literals);
        values.clear();
        for piece in &self.pieces {
            let (literal, rest) = literals.split_at(piece.literal);
            if !begins_with(&bytes[at..], literal) {
                return false;
            }
            literals = rest;
            let start = at + literal.len();
            at = match piece.kind {
                Kind::String => first_special(bytes, start),
                Kind::Number => match number::end(bytes, start) {
                    Ok(end) => end,
                    Err(_) => return false,
                },
                Kind::Boolean if bytes[start..].starts_with(b"true") => start + 4,
                Kind::Boolean if bytes[start..].starts_with(b"false") => start + 5,
                Kind::Boolean => return false,
            };
            let text = Span::new(start, at);
            values.push(match piece.kind {
                Kind::String => Value::String(text),
                Kind::Number => Value::Number(text),
                Kind::Boolean => Value::Boolean(text),
            });
        }
        bytes.len() - at == literals.len() && begins_with(&bytes[at..], literals)
    }
}

/// Literals, pieces and keys of a line. A quote belongs to the literal on its side, so that whatever ends a string
/// is compared, too.
type Parts<'a> = (Box<[u8]>, Box<[Piece]>, Vec<&'a [u8]>);

fn shape_of<'a>(line: &'a str, fields: &'a Fields) -> Option<Parts<'a>> {
    let mut found: Vec<(&[u8], Span, Kind)> = Vec::new();
    for (key, value) in fields.iter(line).chain(fields.head().time.map(|time| (&b"time"[..], time))) {
        let (text, kind) = match value {
            Value::String(text) => (text, Kind::String),
            Value::Number(text) => (text, Kind::Number),
            Value::Boolean(text) => (text, Kind::Boolean),
            Value::Null | Value::Unsupported => return None,
        };
        text.in_line()?;
        found.push((key, text, kind));
    }
    found.sort_by_key(|(_, text, _)| text.in_line().map(|range| range.start));
    let (mut literals, mut pieces, mut at) = (Vec::new(), Vec::new(), 0);
    for (_, text, kind) in &found {
        let range = text.in_line()?;
        pieces.push(Piece { literal: range.start - at, kind: *kind });
        literals.extend_from_slice(&line.as_bytes()[at..range.start]);
        at = range.end;
    }
    literals.extend_from_slice(&line.as_bytes()[at..]);
    let is_small = literals.len() <= LITERAL_BYTES_MAX && pieces.len() <= VALUES_MAX;
    is_small.then(|| (literals.into(), pieces.into(), found.iter().map(|(key, ..)| *key).collect()))
}

/// The place for the shapes of a line's event, which has to be its first field and to have a name of at least eight
/// bytes. Names that share a place cost a comparison.
#[inline]
fn place_of(line: &[u8]) -> Option<usize> {
    if line.first_chunk() != Some(b"{\"event\"") {
        return None;
    }
    // Behind `:"` or `: "`. Whatever else is there is compared with the shapes of the place.
    let start = if line.get(9) == Some(&b' ') { 11 } else { 10 };
    let name = line.get(start..first_special(line, start))?;
    let (first, last) = (name.first_chunk()?, name.last_chunk()?);
    let mixed = u64::from_le_bytes(*first) ^ u64::from_le_bytes(*last).rotate_left(29);
    Some((mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - PLACES.ilog2())) as usize)
}

/// Whether `bytes` begins with `literal`. Literals are short, so that words in place are faster than a call of
/// `memcmp`; the last word overlaps the one before.
#[inline]
fn begins_with(bytes: &[u8], literal: &[u8]) -> bool {
    let Some(head) = bytes.get(..literal.len()) else { return false };
    match literal.len() {
        0..8 => head.iter().zip(literal).all(|(byte, wanted)| byte == wanted),
        8..16 => {
            head.first_chunk::<8>() == literal.first_chunk::<8>()
                && head.last_chunk::<8>() == literal.last_chunk::<8>()
        }
        _ => {
            let chunks = head.as_chunks::<16>().0.iter().zip(literal.as_chunks::<16>().0);
            head.last_chunk::<16>() == literal.last_chunk::<16>()
                && chunks.into_iter().all(|(chunk, wanted)| chunk == wanted)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The keys and values of a line by its shape.
    fn by_shape(shapes: &mut Shapes<Vec<Vec<u8>>>, line: &str) -> Option<Vec<(Vec<u8>, Value)>> {
        let (keys, values) = shapes.split(line)?;
        assert_eq!(keys.len(), values.len());
        Some(keys.iter().cloned().zip(values.iter().copied()).collect())
    }

    /// The same by the scanner, with `event` taken out.
    fn by_scan(line: &str) -> Option<Vec<(Vec<u8>, Value)>> {
        let mut fields = Fields::default();
        fields.scan(line).ok()?;
        let mut found: Vec<_> = fields.iter(line).map(|(key, value)| (key.to_vec(), value)).collect();
        found.extend(fields.head().time.map(|time| (b"time".to_vec(), time)));
        Some(found)
    }

    fn learn(shapes: &mut Shapes<Vec<Vec<u8>>>, line: &str) {
        let mut fields = Fields::default();
        if fields.scan(line).is_ok() {
            shapes.learn(line, &fields, |keys| keys.iter().map(|key| key.to_vec()).collect());
        }
    }

    fn sorted(mut found: Vec<(Vec<u8>, Value)>) -> Vec<(Vec<u8>, String)> {
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found.into_iter().map(|(key, value)| (key, format!("{value:?}"))).collect()
    }

    #[test]
    fn a_line_like_an_earlier_one_is_split_by_its_shape() {
        let mut shapes = Shapes::default();
        learn(&mut shapes, r#"{"event":"signaling.session.joined","session":"s1","mute":true,"time":1.5}"#);
        let line = r#"{"event":"signaling.session.joined","session":"another one","mute":false,"time":-2e3}"#;
        let found = by_shape(&mut shapes, line).unwrap();
        let texts = found.iter().map(|(_, value)| &line[value.text().unwrap().in_line().unwrap()]);
        assert_eq!(texts.collect::<Vec<_>>(), ["another one", "false", "-2e3"]);
    }

    #[test]
    fn another_line_has_no_known_shape() {
        let mut shapes = Shapes::default();
        learn(&mut shapes, r#"{"event":"signaling.session.joined","session":"s1","count":7}"#);
        let others = [
            r#"{"event":"signaling.session.left","session":"s1","count":7}"#,
            r#"{"event":"signaling.session.joined","session":"s1"}"#,
            r#"{"event":"signaling.session.joined","session":"s1","count":"7"}"#,
            r#"{"event":"signaling.session.joined","session":"s\"1","count":7}"#,
            r#"{"event":"signaling.session.joined","session":"s1","count":07}"#,
            r#"{"event":"signaling.session.joined","session":"s1","count":7}x"#,
            r#"{"event":"signaling.session.joined","session":"s1","count":7"#,
            r#"{"event":"signaling.session.joined","session":"s1","count":null}"#,
            "{\"event\":\"signaling.session.joined\",\"session\":\"s\u{7}1\",\"count\":7}",
            r#"{"event":"short"}"#,
            "",
        ];
        for line in others {
            assert!(by_shape(&mut shapes, line).is_none(), "{line}");
        }
    }

    #[test]
    fn lines_that_fit_no_shape_are_not_learned() {
        let mut shapes = Shapes::default();
        let lines = [
            r#"{"event":"signaling.session.joined","session":null}"#.to_owned(),
            r#"{"event":"signaling.session.joined","session":"\n"}"#.to_owned(),
            r#"{"event":"signaling.session.joined","session":[1]}"#.to_owned(),
            format!(r#"{{"event":"signaling.session.joined","{}":1}}"#, "k".repeat(600)),
        ];
        for line in &lines {
            learn(&mut shapes, line);
            assert!(by_shape(&mut shapes, line).is_none(), "{line}");
        }
    }

    /// A field as producers write it, and as none does.
    fn field() -> impl Strategy<Value = String> {
        let value = prop_oneof![
            4 => "\"[ -!#-\\[\\]-~ü😀]{0,20}\"",
            1 => "\"[a-z\\\\\"]{0,4}\"",
            2 => "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,2})?([eE][+-]?[0-9])?",
            1 => "[0-9.eE+-]{1,4}",
            1 => prop::sample::select(vec!["true", "false", "null", "{}", "[1,\"x\"]", "tru"]).prop_map(str::to_owned),
        ];
        let key = prop::sample::select(vec![
            "session",
            "a",
            "b",
            "time",
            "event",
            "\\u0061",
            "a key, a longer one",
        ]);
        let space = prop_oneof![8 => Just(""), 1 => Just(" "), 1 => Just("\t")];
        (key, space, value).prop_map(|(key, space, value)| format!("\"{key}\":{space}{value}"))
    }

    fn line() -> impl Strategy<Value = String> {
        let opening = prop::sample::select(vec![
            r#"{"event":"signaling.session.joined""#,
            r#"{"event":"signaling.session.left""#,
            r#"{"event": "signaling.session.left""#,
            r#"{"event":"x""#,
            r#"{"a":1"#,
        ]);
        let end = prop_oneof![8 => Just("}"), 1 => Just(" }\r"), 1 => Just("}}"), 1 => Just("")];
        (opening, prop::collection::vec(field(), 0..4), end)
            .prop_map(|(opening, fields, end)| [&[opening.to_owned()], &*fields].concat().join(",") + end)
    }

    proptest! {
        /// Whatever was learned before, a line that is split by a shape is split as the scanner does.
        #[test]
        fn a_shape_says_what_the_scanner_says(lines in prop::collection::vec(line(), 1..30)) {
            let mut shapes = Shapes::default();
            for line in lines.iter().chain(&lines) {
                if let Some(found) = by_shape(&mut shapes, line) {
                    let scanned = by_scan(line);
                    prop_assert!(scanned.is_some(), "{line}");
                    prop_assert_eq!(sorted(found), sorted(scanned.unwrap()), "{}", line);
                }
                learn(&mut shapes, line);
            }
        }
    }
}
