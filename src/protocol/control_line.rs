//! Control lines of a reliable session: the hello that begins it and the bye that ends it.
//!
//! A line with an `event` is never a control line. `state` decides what a control line changes.

use super::line::{Fields, Value};
use super::rejection::{Reason, Rejection};
use crate::limits;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ControlLine {
    /// `{"hello":PRODUCER,"instance":INSTANCE}`, with `"owner":false` if its entities have no owner.
    Hello(Hello),
    /// `{"bye":true}`.
    Bye,
}

/// The identity that a producer claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hello {
    /// A name that stays the same over restarts, such as a unit or a host.
    pub(crate) producer: String,
    /// A name of this run of the producer.
    pub(crate) instance: String,
    /// Whether the producer owns the entities that it opens, so that they are abandoned with it.
    pub(crate) owner: bool,
}

impl ControlLine {
    /// Reads a line. `None`: it is not a control line. `Some(Err)`: it is a faulty one.
    pub(crate) fn read(line: &str) -> Option<Result<Self, Rejection>> {
        let mut fields = Fields::default();
        fields.scan(line).ok()?;
        Self::of(line, &fields)
    }

    /// The same of a line that was scanned.
    pub(crate) fn of(line: &str, fields: &Fields) -> Option<Result<Self, Rejection>> {
        let has =
            |name: &str| fields.iter(line).any(|(key, value)| key == name.as_bytes() && value != Value::Null);
        let head = fields.head();
        if head.event.is_some_and(|value| value != Value::Null) || head.twice.is_some() {
            None
        } else if has("hello") {
            Some(read_hello(line, fields).map(ControlLine::Hello))
        } else if has("bye") {
            let mut byes = fields.iter(line).filter(|(key, _)| *key == b"bye").map(|(_, value)| value);
            let bye = byes.next().filter(|_| byes.next().is_none());
            let is_true = matches!(bye, Some(Value::Boolean(text)) if fields.text(line, text) == "true");
            is_true.then_some(Ok(ControlLine::Bye))
        } else {
            None
        }
    }
}

fn read_hello(line: &str, fields: &Fields) -> Result<Hello, Rejection> {
    let single = |name: &str| {
        let mut found = fields.iter(line).filter(|(key, _)| *key == name.as_bytes()).map(|(_, value)| value);
        match (found.next().filter(|value| *value != Value::Null), found.next()) {
            (_, Some(_)) => {
                Err(Rejection::new(Reason::Malformed, format!("{name}: occurs twice, expected once")))
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
    fn only_hello_and_bye_are_control_lines() {
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
        for line in [
            "",
            "garbage",
            "{}",
            r#"{"bye":false}"#,
            r#"{"bye":true,"bye":false}"#,
            r#"{"event":"a.b","hello":"p","bye":true}"#,
            r#"{"event":"a.b","event":null,"hello":"p","instance":"i"}"#,
        ] {
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
            assert!(rejection.to_string().contains("expected"), "{rejection}");
        }
    }
}
