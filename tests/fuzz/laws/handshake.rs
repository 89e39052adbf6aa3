//! A line begins or ends a session if, and only if, `serde_json` reads it as one that does.

use lifecycle_exporter::internals::fuzz::{Control, Value, control_line};

use super::json;

/// Bytes of a name, as the manual has them.
const NAME_BYTES_MAX: usize = 200;

pub(crate) fn check(bytes: &[u8]) {
    let Ok(line) = std::str::from_utf8(bytes) else { return };
    assert_eq!(control_line(line), expected(line));
}

/// What the line is by the contract. No field that is used may occur twice, and `null` is the same as absent.
fn expected(line: &str) -> Option<Result<Control, &'static str>> {
    let fields = json::fields(line)?;
    let all = |name: &str| -> Vec<&Value> {
        fields.iter().filter(|(key, _)| key == name).map(|(_, value)| value).collect()
    };
    let has = |name: &str| all(name).iter().any(|value| **value != Value::Null);
    // Every line may have these two, each once.
    if has("event") || all("event").len() > 1 || all("time").len() > 1 {
        return None;
    }
    if !has("hello") {
        return (all("bye") == [&Value::Boolean(true)]).then_some(Ok(Control::Bye));
    }
    let hello = || {
        let producer = name(&all("hello"))?;
        let instance = name(&all("instance"))?;
        let owner = match *single(&all("owner"))? {
            Value::Null => true,
            Value::Boolean(owner) => owner,
            _ => return Err("bad_value"),
        };
        Ok(Control::Hello(producer, instance, owner))
    };
    Some(hello())
}

fn single<'a>(values: &[&'a Value]) -> Result<&'a Value, &'static str> {
    match values {
        [] => Ok(&Value::Null),
        [value] => Ok(value),
        _ => Err("malformed"),
    }
}

fn name(values: &[&Value]) -> Result<String, &'static str> {
    match single(values)? {
        Value::Null => Err("missing_field"),
        Value::String(text) | Value::Number(text) if (1..=NAME_BYTES_MAX).contains(&text.len()) => {
            Ok(text.clone())
        }
        _ => Err("bad_value"),
    }
}
