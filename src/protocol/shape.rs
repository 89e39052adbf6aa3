//! Splits lines that look like an earlier one: a producer writes all events of a name alike, and only the values
//! differ. What lies between the values is compared, the values are found, and nothing else is looked at, not even
//! for the end of the line before.
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
}

struct Shape<T> {
    /// What lies before, between and behind the values, one after the other. The event's name is part of it.
    literals: Box<[u8]>,
    pieces: Box<[Piece]>,
    /// How many places its values have.
    slots: usize,
    about: T,
}

/// A value, and the bytes of the literal before it.
#[derive(Clone, Copy)]
struct Piece {
    literal: usize,
    kind: Kind,
    slot: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    String,
    Number,
    Boolean,
}

impl<T> Default for Shapes<T> {
    fn default() -> Self {
        Shapes { places: (0..PLACES).map(|_| Vec::new()).collect(), next: 0 }
    }
}

impl<T> Shapes<T> {
    /// Splits the first line of a text, if its shape is known: what is known about it, and its length. Its values but
    /// for the event's name are put into their slots.
    #[inline]
    pub(crate) fn split(&self, text: &str, slots: &mut Vec<Option<Value>>) -> Option<(&T, usize)> {
        let text = text.as_bytes();
        let shapes = &self.places[place_of(text)?];
        shapes.iter().find_map(|shape| Some((&shape.about, shape.split(text, slots)?)))
    }

    /// Remembers the shape of a line that was scanned into `fields`. `about` makes from the keys of its values, in
    /// their order, what is known about such lines, and into which of so many slots each value is put.
    pub(crate) fn learn(
        &mut self,
        line: &str,
        fields: &Fields,
        slots: usize,
        about: impl FnOnce(&[&[u8]]) -> (T, Vec<usize>),
    ) {
        let Some(place) = place_of(line.as_bytes()) else { return };
        let Some((literals, pieces, keys)) = shape_of(line, fields) else { return };
        let (about, slot_of) = about(&keys);
        let pieces = pieces.into_iter().zip(slot_of).map(|(piece, slot)| Piece { slot, ..piece }).collect();
        let shape = Shape { literals, pieces, slots, about };
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
    /// The length of the first line of a text, if it has this shape.
    #[inline]
    fn split(&self, text: &[u8], slots: &mut Vec<Option<Value>>) -> Option<usize> {
        let (mut at, mut literals) = (0, &*self.literals);
        slots.clear();
        slots.resize(self.slots, None);
        for piece in &self.pieces {
            let (literal, rest) = literals.split_at(piece.literal);
            literals = rest;
            let start = begins_with(&text[at..], literal).then_some(at + literal.len())?;
            let value = match piece.kind {
                Kind::String => {
                    at = first_special(text, start);
                    Value::String(Span::new(start, at))
                }
                Kind::Number => {
                    at = number::end(text, start).ok()?;
                    Value::Number(Span::new(start, at))
                }
                Kind::Boolean => {
                    let is_true = text[start..].starts_with(b"true");
                    at = start + if is_true { 4 } else { 5 };
                    (is_true || text[start..].starts_with(b"false")).then_some(())?;
                    Value::Boolean(Span::new(start, at))
                }
            };
            slots[piece.slot] = Some(value);
        }
        let end = begins_with(&text[at..], literals).then_some(at + literals.len())?;
        matches!(text[end..], [] | [b'\n', ..] | [b'\r'] | [b'\r', b'\n', ..]).then_some(end)
    }
}

/// Literals, pieces and keys of a line. A quote belongs to the literal on its side, so that whatever ends a string
/// is compared, too.
type Parts<'a> = (Box<[u8]>, Vec<Piece>, Vec<&'a [u8]>);

fn shape_of<'a>(line: &'a str, fields: &'a Fields) -> Option<Parts<'a>> {
    let mut found: Vec<(&[u8], std::ops::Range<usize>, Kind)> = Vec::new();
    for (key, value) in fields.iter(line).chain(fields.head().time.map(|time| (&b"time"[..], time))) {
        let kind = match value {
            Value::String(_) => Kind::String,
            Value::Number(_) => Kind::Number,
            Value::Boolean(_) => Kind::Boolean,
            Value::Null | Value::Unsupported => return None,
        };
        found.push((key, value.text()?.in_line()?, kind));
    }
    found.sort_by_key(|(_, text, _)| text.start);
    let (mut literals, mut pieces, mut at) = (Vec::new(), Vec::new(), 0);
    for (_, text, kind) in &found {
        pieces.push(Piece { literal: text.start - at, kind: *kind, slot: 0 });
        literals.extend_from_slice(&line.as_bytes()[at..text.start]);
        at = text.end;
    }
    literals.extend_from_slice(&line.as_bytes()[at..]);
    let is_small = literals.len() <= LITERAL_BYTES_MAX && pieces.len() <= VALUES_MAX;
    is_small.then(|| (literals.into(), pieces, found.iter().map(|(key, ..)| *key).collect()))
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

    /// The keys and values of a line by its shape, whatever follows it.
    fn by_shape(shapes: &Shapes<Vec<Vec<u8>>>, line: &str) -> Option<Vec<(Vec<u8>, Value)>> {
        let found = ["", "\n", "\n{\"event\":\"signaling.session.joined\"}\n", "\r\n"].map(|behind| {
            let mut slots = Vec::new();
            let (keys, length) = shapes.split(&format!("{line}{behind}"), &mut slots)?;
            assert_eq!((length, keys.len()), (line.len(), slots.len()));
            Some(keys.iter().cloned().zip(slots.into_iter().flatten()).collect::<Vec<_>>())
        });
        assert!(found.iter().all(|other| *other == found[0]), "{line}");
        found.into_iter().next()?
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
            let values = fields.iter(line).count() + usize::from(fields.head().time.is_some());
            let about =
                |keys: &[&[u8]]| (keys.iter().map(|key| key.to_vec()).collect(), (0..keys.len()).collect());
            shapes.learn(line, &fields, values, about);
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
        let found = by_shape(&shapes, line).unwrap();
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
            assert!(by_shape(&shapes, line).is_none(), "{line}");
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
            assert!(by_shape(&shapes, line).is_none(), "{line}");
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
        let end = prop_oneof![8 => Just("}"), 1 => Just(" } "), 1 => Just("}}"), 1 => Just("")];
        (opening, prop::collection::vec(field(), 0..4), end)
            .prop_map(|(opening, fields, end)| [&[opening.to_owned()], &*fields].concat().join(",") + end)
    }

    proptest! {
        /// Whatever was learned before, a line that is split by a shape is split as the scanner does.
        #[test]
        fn a_shape_says_what_the_scanner_says(lines in prop::collection::vec(line(), 1..30)) {
            let mut shapes = Shapes::default();
            for line in lines.iter().chain(&lines) {
                if let Some(found) = by_shape(&shapes, line) {
                    let scanned = by_scan(line);
                    prop_assert!(scanned.is_some(), "{line}");
                    prop_assert_eq!(sorted(found), sorted(scanned.unwrap()), "{}", line);
                }
                learn(&mut shapes, line);
            }
        }
    }
}
