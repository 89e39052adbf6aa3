//! The lines of a reliable session that are no events: the hello that begins it and the bye that ends it.
//!
//! Only lines without an `event` are looked at here. What a greeting does is `state`'s.

use super::line::{Fields, Value};
use super::rejection::{Reason, Rejection};
use crate::limits;

/// A line that is no event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ControlLine {
    /// `{"hello":PRODUCER,"instance":INSTANCE}`, with `"owner":false` for one whose entities belong to nobody.
    Hello(Hello),
    /// `{"bye":true}`.
    Bye,
}

/// Who a producer says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hello {
    /// The same over restarts: a unit, a host.
    pub(crate) producer: String,
    /// This run of it.
    pub(crate) instance: String,
    /// Whether what it opens is its own, to be abandoned with it.
    pub(crate) owner: bool,
}

impl ControlLine {
    /// Reads a line; `None` where it is no greeting. One that is not as it should be is the error.
    pub(crate) fn read(line: &str) -> Option<Result<Self, Rejection>> {
        let mut fields = Fields::default();
        fields.scan(line).ok()?;
        let has = |name: &str| fields.iter(line).any(|(key, value)| key == name && value != Value::Null);
        if has("event") {
            None
        } else if has("hello") {
            Some(read_hello(line, &fields).map(ControlLine::Hello))
        } else if has("bye") {
            let bye = fields.iter(line).find(|(key, _)| *key == "bye").map(|(_, value)| value);
            let is_true = matches!(bye, Some(Value::Boolean(text)) if fields.text(line, text) == "true");
            is_true.then_some(Ok(ControlLine::Bye))
        } else {
            None
        }
    }
}

fn read_hello(line: &str, fields: &Fields) -> Result<Hello, Rejection> {
    let single = |name: &str| {
        let mut found = fields.iter(line).filter(|(key, _)| *key == name).map(|(_, value)| value);
        match (found.next().filter(|value| *value != Value::Null), found.next()) {
            (_, Some(_)) => {
                Err(Rejection::new(Reason::Malformed, format!("{name}: stands twice, expected once")))
            }
            (value, None) => Ok(value),
        }
    };
    let name = |key: &str, what: &str| match single(key)? {
        None => Err(Rejection::new(Reason::MissingField, format!("{key}: missing, expected {what}"))),
        Some(Value::String(text) | Value::Number(text)) => {
            let name = fields.text(line, text);
            if (1..=limits::PRODUCER_NAME_BYTES_MAX).contains(&name.len()) {
                Ok(name.to_owned())
            } else {
                let what =
                    format!("{key}: expected {what} of 1 to {} bytes", limits::PRODUCER_NAME_BYTES_MAX);
                Err(Rejection::new(Reason::BadValue, what))
            }
        }
        Some(_) => Err(Rejection::new(Reason::BadValue, format!("{key}: expected {what}, a string"))),
    };
    let producer = name("hello", "the producer's name")?;
    let instance = name("instance", "the name of this run of the producer")?;
    let owner = match single("owner")? {
        None => true,
        Some(Value::Boolean(text)) => fields.text(line, text) == "true",
        Some(_) => return Err(Rejection::new(Reason::BadValue, "owner: expected true or false")),
    };
    Ok(Hello { producer, instance, owner })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greetings_and_what_is_none() {
        let hello = |producer: &str, instance: &str, owner| {
            Some(Ok(ControlLine::Hello(Hello {
                producer: producer.to_owned(),
                instance: instance.to_owned(),
                owner,
            })))
        };
        assert_eq!(ControlLine::read(r#"{"hello":"p","instance":"i"}"#), hello("p", "i", true));
        assert_eq!(
            ControlLine::read(r#"{"owner":false,"hello":"p","x":1,"instance":7}"#),
            hello("p", "7", false)
        );
        assert_eq!(ControlLine::read(r#"{"bye":true}"#), Some(Ok(ControlLine::Bye)));
        for line in ["", "garbage", "{}", r#"{"bye":false}"#, r#"{"event":"a.b","hello":"p","bye":true}"#] {
            assert_eq!(ControlLine::read(line), None, "{line}");
        }
    }

    #[test]
    fn a_faulty_hello_says_what_was_expected() {
        let long = "x".repeat(201);
        let cases = [
            (r#"{"hello":"p"}"#.to_owned(), Reason::MissingField),
            (r#"{"hello":"p","instance":null}"#.to_owned(), Reason::MissingField),
            (r#"{"hello":"","instance":"i"}"#.to_owned(), Reason::BadValue),
            (r#"{"hello":true,"instance":"i"}"#.to_owned(), Reason::BadValue),
            (format!("{{\"hello\":\"{long}\",\"instance\":\"i\"}}"), Reason::BadValue),
            (r#"{"hello":"p","instance":"i","owner":"no"}"#.to_owned(), Reason::BadValue),
            (r#"{"hello":"p","hello":"q","instance":"i"}"#.to_owned(), Reason::Malformed),
        ];
        for (line, reason) in cases {
            let rejection = ControlLine::read(&line).unwrap().unwrap_err();
            assert_eq!(rejection.reason, reason, "{line}");
            assert!(rejection.detail.contains("expected"), "{rejection}");
        }
    }
}
