//! What `protocol::line` does, done with `serde_json`: the library that the scanner has to beat.
//!
//! Keys and values are kept as the scanner keeps them: borrowed from the line, numbers as they are written,
//! strings with escapes unescaped into one buffer, `event` and `time` found on the way, nothing allocated
//! from line to line. A number has to keep its text, since a label takes it, so values are read as `RawValue`
//! and told apart by their first byte.

use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Where a text is: in the line, or among the unescaped strings.
#[derive(Clone)]
#[expect(dead_code, reason = "nothing reads the fields: what is measured is how they are made")]
enum Span {
    Line(Range<usize>),
    Unescaped(Range<usize>),
}

#[derive(Clone)]
#[expect(dead_code, reason = "nothing reads the fields: what is measured is how they are made")]
enum Value {
    String(Span),
    Number(Span),
    Boolean(Span),
    Null,
    Unsupported,
}

/// The fields of a line. Reused from line to line.
#[derive(Default)]
pub(crate) struct SerdeSplitter {
    fields: Vec<(Span, Value)>,
    event: Option<Value>,
    time: Option<Value>,
    twice: Option<&'static str>,
    unescaped: String,
}

impl SerdeSplitter {
    /// Splits one line, which has to be a JSON object.
    pub(crate) fn split(&mut self, line: &str) {
        self.fields.clear();
        self.unescaped.clear();
        (self.event, self.time, self.twice) = (None, None, None);
        let mut input = serde_json::Deserializer::from_str(line);
        input.deserialize_map(Object { line, out: self }).expect("the line is a JSON object");
        input.end().expect("nothing follows the object");
    }

    fn unescape(&mut self, text: &str) -> Span {
        let start = self.unescaped.len();
        self.unescaped.push_str(text);
        Span::Unescaped(start..self.unescaped.len())
    }

    fn value(&mut self, line: &str, raw: &str) -> Value {
        match raw.as_bytes()[0] {
            b'"' if !raw.contains('\\') => Value::String(span(line, &raw[1..raw.len() - 1])),
            b'"' => match serde_json::from_str::<String>(raw) {
                Ok(text) => Value::String(self.unescape(&text)),
                Err(_) => Value::Unsupported,
            },
            b't' | b'f' => Value::Boolean(span(line, raw)),
            b'n' => Value::Null,
            b'{' | b'[' => Value::Unsupported,
            _ => Value::Number(span(line, raw)),
        }
    }
}

/// Where a part of the line is.
fn span(line: &str, text: &str) -> Span {
    let start = text.as_ptr() as usize - line.as_ptr() as usize;
    Span::Line(start..start + text.len())
}

struct Object<'a> {
    line: &'a str,
    out: &'a mut SerdeSplitter,
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Object { line, out } = self;
        while let Some((span, name)) = map.next_key_seed(Key { line, out })? {
            let raw: &RawValue = map.next_value()?;
            let value = out.value(line, raw.get());
            out.fields.push((span, value.clone()));
            let (place, name) = match name {
                Name::Event => (&mut out.event, "event"),
                Name::Time => (&mut out.time, "time"),
                Name::Other => continue,
            };
            if place.replace(value).is_some() {
                out.twice = Some(name);
            }
        }
        Ok(())
    }
}

enum Name {
    Event,
    Time,
    Other,
}

impl From<&str> for Name {
    fn from(key: &str) -> Self {
        match key {
            "event" => Name::Event,
            "time" => Name::Time,
            _ => Name::Other,
        }
    }
}

struct Key<'a> {
    line: &'a str,
    out: &'a mut SerdeSplitter,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = (Span, Name);

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key<'_> {
    type Value = (Span, Name);

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a key")
    }

    fn visit_borrowed_str<E: Error>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok((span(self.line, key), key.into()))
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok((self.out.unescape(key), key.into()))
    }
}
