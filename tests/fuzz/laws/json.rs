//! What `serde_json` reads in a line of the feed: the fields in their order, duplicates included, with the
//! types that the exporter knows. It shares no code with the scanner.

use lifecycle_exporter::internals::fuzz::Value;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Fields of an object, each still as JSON.
struct Fields(Vec<(Box<RawValue>, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Fields;

            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// The fields of a line; `None`: it is no JSON object. A field whose name is no Unicode text is left out,
/// since nothing can be called that.
pub(crate) fn fields(line: &str) -> Option<Vec<(String, Value)>> {
    let Fields(fields) = serde_json::from_str(line).ok()?;
    let named = fields.iter().filter_map(|(key, value)| {
        let key = serde_json::from_str::<String>(key.get()).ok()?;
        Some((key, read_value(value.get())))
    });
    Some(named.collect())
}

fn read_value(text: &str) -> Value {
    match text.as_bytes()[0] {
        b'"' => serde_json::from_str(text).map_or(Value::Unsupported, Value::String),
        b'{' | b'[' => Value::Unsupported,
        b't' => Value::Boolean(true),
        b'f' => Value::Boolean(false),
        b'n' => Value::Null,
        _ => Value::Number(text.to_owned()),
    }
}
