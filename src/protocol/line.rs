//! Splits one line of the feed into its fields without copying: where each key and value is.
//!
//! The scanner reads flat objects, which is what producers write. It leaves what is rare to `serde_json`:
//! values that are objects or arrays (skipped, never used) and strings with escapes. It accepts exactly what
//! RFC 8259 calls JSON objects; a property test compares it with `serde_json`.
//!
//! Lines like an earlier one do not come here: see `shape`.

use serde::de::IgnoredAny;

use super::number;
use super::rejection::{Reason, Rejection};
use crate::special_bytes::first_special;

/// The fields of a line. Reused from line to line, so that splitting does not allocate.
#[derive(Default)]
pub(crate) struct Fields {
    head: Head,
    /// All fields but those of the head.
    list: Vec<Field>,
    /// Strings that had escapes, one after the other.
    unescaped: String,
}

/// The fields that every event may have.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Head {
    pub(crate) event: Option<Value>,
    pub(crate) time: Option<Value>,
    /// The key of one of them that occurs twice.
    pub(crate) twice: Option<&'static str>,
}

#[derive(Clone, Copy)]
struct Field {
    key: Span,
    value: Value,
}

/// Where a text is: in the line, or among the unescaped strings. Start and end share one word, which avoids
/// store-forwarding stalls when it is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span(u64);

const UNESCAPED: u64 = 1 << 63;

impl Span {
    pub(super) fn new(start: usize, end: usize) -> Self {
        Span((start as u64) << 32 | end as u64)
    }

    /// Whether it is there with escapes.
    pub(crate) fn is_unescaped(self) -> bool {
        self.0 & UNESCAPED != 0
    }

    /// Where it is in the line; `None` if it is there with escapes.
    pub(crate) fn in_line(self) -> Option<std::ops::Range<usize>> {
        (!self.is_unescaped()).then(|| self.range())
    }

    fn range(self) -> std::ops::Range<usize> {
        ((self.0 & !UNESCAPED) >> 32) as usize..(self.0 & u64::from(u32::MAX)) as usize
    }
}

/// A value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// A string.
    String(Span),
    /// A number as it is written.
    Number(Span),
    /// `true` or `false`.
    Boolean(Span),
    /// Equivalent to an absent field.
    Null,
    /// An object, an array, or a string with a lone surrogate.
    Unsupported,
}

impl Value {
    /// The text of a string, a number or a boolean.
    pub(crate) fn text(self) -> Option<Span> {
        match self {
            Value::String(text) | Value::Number(text) | Value::Boolean(text) => Some(text),
            Value::Null | Value::Unsupported => None,
        }
    }
}

impl Fields {
    /// Splits a line. The error says at which byte the line stops being a JSON object.
    pub(crate) fn scan(&mut self, line: &str) -> Result<(), Rejection> {
        self.list.clear();
        self.head = Head::default();
        self.unescaped.clear();
        let mut scanner = Scanner { bytes: line.as_bytes(), at: 0, line };
        scanner.object(self).map_err(|expected| {
            let at = scanner.at;
            Rejection::worded(Reason::Malformed, move |out| write!(out, "at byte {at}: expected {expected}"))
        })
    }

    /// `event` and `time`.
    pub(crate) fn head(&self) -> Head {
        self.head
    }

    #[inline]
    fn push(&mut self, line: &str, key: Span, value: Value) {
        let (place, name) = match self.bytes(line, key) {
            b"event" => (&mut self.head.event, "event"),
            b"time" => (&mut self.head.time, "time"),
            _ => return self.list.push(Field { key, value }),
        };
        if place.replace(value).is_some() {
            self.head.twice = Some(name);
        }
    }

    /// Keys and values of all fields but `event` and `time`, in the order of the line.
    pub(crate) fn iter<'a>(&'a self, line: &'a str) -> impl Iterator<Item = (&'a [u8], Value)> {
        self.list.iter().map(move |field| (self.bytes(line, field.key), field.value))
    }

    #[inline]
    pub(crate) fn bytes<'a>(&'a self, line: &'a str, text: Span) -> &'a [u8] {
        let source = if text.is_unescaped() { &self.unescaped } else { line };
        &source.as_bytes()[text.range()]
    }

    pub(crate) fn text<'a>(&'a self, line: &'a str, text: Span) -> &'a str {
        let source = if text.is_unescaped() { &self.unescaped } else { line };
        &source[text.range()]
    }
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    line: &'a str,
}

/// What was expected at the byte where scanning stopped.
type Expected = &'static str;

impl Scanner<'_> {
    fn object(&mut self, fields: &mut Fields) -> Result<(), Expected> {
        self.white_space();
        self.take(b'{', "a JSON object")?;
        self.white_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
        } else {
            loop {
                self.white_space();
                let key = self.string(&mut fields.unescaped)?;
                self.white_space();
                self.take(b':', "\":\" after the key")?;
                self.white_space();
                let value = self.value(&mut fields.unescaped)?;
                // No field has a key with a lone surrogate.
                if let Value::String(key) = key {
                    fields.push(self.line, key, value);
                }
                self.white_space();
                match self.peek() {
                    Some(b',') => self.at += 1,
                    Some(b'}') => {
                        self.at += 1;
                        break;
                    }
                    _ => return Err("\",\" or \"}\""),
                }
            }
        }
        self.white_space();
        if self.at == self.bytes.len() { Ok(()) } else { Err("nothing after the object") }
    }

    fn value(&mut self, unescaped: &mut String) -> Result<Value, Expected> {
        match self.peek() {
            Some(b'"') => self.string(unescaped),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true").map(Value::Boolean),
            Some(b'f') => self.word("false").map(Value::Boolean),
            Some(b'n') => self.word("null").map(|_| Value::Null),
            Some(b'{' | b'[') => self.nested(),
            _ => Err("a JSON value"),
        }
    }

    fn string(&mut self, unescaped: &mut String) -> Result<Value, Expected> {
        self.take(b'"', "a string in double quotes")?;
        let start = self.at;
        self.skip_ordinary();
        if self.peek() == Some(b'"') {
            let text = self.text(start);
            self.at += 1;
            return Ok(Value::String(text));
        }
        self.string_with_escapes(start, unescaped)
    }

    #[cold]
    fn string_with_escapes(&mut self, start: usize, unescaped: &mut String) -> Result<Value, Expected> {
        while self.peek() == Some(b'\\') {
            // The byte after a backslash belongs to the escape, even if it is a quote.
            self.at = (self.at + 2).min(self.bytes.len());
            self.skip_ordinary();
        }
        self.take(b'"', "the end of a string, without control characters in it")?;
        let raw = &self.line[start - 1..self.at];
        if let Ok(text) = serde_json::from_str::<String>(raw) {
            let start = unescaped.len();
            unescaped.push_str(&text);
            Ok(Value::String(Span(Span::new(start, unescaped.len()).0 | UNESCAPED)))
        } else if serde_json::from_str::<IgnoredAny>(raw).is_ok() {
            Ok(Value::Unsupported)
        } else {
            Err("only JSON's escapes in a string")
        }
    }

    /// Advances to the next quote, backslash or control character.
    fn skip_ordinary(&mut self) {
        self.at = first_special(self.bytes, self.at);
    }

    fn number(&mut self) -> Result<Value, Expected> {
        let start = self.at;
        let end = number::end(self.bytes, start);
        self.at = end.unwrap_or_else(|at| at);
        end.map(|_| Value::Number(self.text(start))).map_err(|_| "a digit")
    }

    fn word(&mut self, word: &str) -> Result<Span, Expected> {
        let start = self.at;
        if self.bytes[start..].starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(self.text(start))
        } else {
            Err("true, false or null")
        }
    }

    fn nested(&mut self) -> Result<Value, Expected> {
        let mut values = serde_json::Deserializer::from_str(&self.line[self.at..]).into_iter::<IgnoredAny>();
        match values.next() {
            Some(Ok(_)) => {
                self.at += values.byte_offset();
                Ok(Value::Unsupported)
            }
            _ => Err("a whole JSON object or array"),
        }
    }

    fn text(&self, start: usize) -> Span {
        Span::new(start, self.at)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8, expected: Expected) -> Result<(), Expected> {
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(expected)
        }
    }

    fn white_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(line: &str) -> Result<String, String> {
        let mut fields = Fields::default();
        fields.scan(line).map_err(|rejection| rejection.to_string())?;
        let show = |(key, value): (&[u8], Value)| {
            let key = std::str::from_utf8(key).unwrap();
            match value {
                Value::String(text) => format!("{key}=s:{}", fields.text(line, text)),
                Value::Number(text) | Value::Boolean(text) => format!("{key}={}", fields.text(line, text)),
                Value::Null => format!("{key}=null"),
                Value::Unsupported => format!("{key}=?"),
            }
        };
        Ok(fields.iter(line).map(show).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn fields_of_every_kind() {
        let cases = [
            ("{}", ""),
            (" {\"a\" : \"x\" , \"b\":-1.50e+3}\r", "a=s:x b=-1.50e+3"),
            (r#"{"a":true,"b":false,"c":null,"d":0}"#, "a=true b=false c=null d=0"),
            (r#"{"a":{"b":[1,{}]},"c":[],"d":1}"#, "a=? c=? d=1"),
            (r#"{"\u0061\"":"\ud83d\ude00\n","ü":"é"}"#, "a\"=s:😀\n ü=s:é"),
            (r#"{"a":"\ud800","b":"x"}"#, "a=? b=s:x"),
            (r#"{"\ud800":1,"b":"a long one, past eight bytes"}"#, "b=s:a long one, past eight bytes"),
        ];
        for (line, expected) in cases {
            assert_eq!(shown(line).as_deref(), Ok(expected), "{line}");
        }
    }

    #[test]
    fn other_lines_are_malformed() {
        let cases = [
            "",
            "[]",
            "1",
            "null",
            "{",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\":1}x",
            "{\"a\":01}",
            "{\"a\":1.}",
            "{\"a\":.5}",
            "{\"a\":-}",
            "{\"a\":1e}",
            "{\"a\":+1}",
            "{\"a\":tru}",
            "{\"a\":NaN}",
            "{a:1}",
            "{'a':1}",
            "{\"a\":\"\t\"}",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"x}",
            "{\"a\":\"\\\"}",
            "{\"a\":[}",
            "{\"a\":{\"b\":1}",
            "{\"a\":1 \"b\":2}",
            "{\"a\":\"\\u12\"}",
            "{\"a\":\"x\u{1f}\"}",
            "{\"a\":[1,]}",
        ];
        for line in cases {
            let error = shown(line).expect_err(line);
            assert!(error.starts_with("malformed: at byte "), "{line}: {error}");
        }
    }

    #[test]
    fn deep_nesting_does_not_need_a_deep_stack() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(30_000), "]".repeat(30_000));
        assert_eq!(shown(&deep).as_deref(), Ok("a=?"));
    }

    proptest! {
        #[test]
        fn accepts_what_serde_json_accepts(
            line in r#"[ -~]{0,4}\{("[a-z\\"]{1,3}"|[a-z0-9:,"{}\[\]. \\-]){0,20}\}?"#,
        ) {
            let oracle = serde_json::from_str::<std::collections::HashMap<String, serde_json::Value>>(&line);
            prop_assert_eq!(shown(&line).is_ok(), oracle.is_ok(), "{}", line);
        }

        #[test]
        fn never_panics(line in any::<String>()) {
            let _ = shown(&line);
        }
    }
}
