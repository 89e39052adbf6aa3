//! Lines of the feed that are events, field by field, the bounds of what they hold, and what is done to values of labels.

/// A day, in seconds: event times further away do not count.
pub const DAY: f64 = 86_400.0;
/// The greatest amount: above, sums of whole numbers are not exact.
pub const AMOUNT_MAX: f64 = 9_007_199_254_740_992.0;
/// The longest text of a label, in bytes.
pub const LABEL_MAX: usize = 1_024;

/// A line that is an event, field by field.
#[derive(Clone, Debug, Default)]
pub struct Line {
    pub event: String,
    pub time: Option<Value>,
    pub fields: Vec<(String, Value)>,
}

#[derive(Clone, Debug)]
pub enum Value {
    Text(String),
    /// A number with the text that it has in JSON.
    Number(String),
    Bool(bool),
    Null,
    /// An array or object.
    Other(&'static str),
}

impl Value {
    pub fn text(&self) -> Option<String> {
        match self {
            Value::Text(text) | Value::Number(text) => Some(text.clone()),
            Value::Bool(value) => Some(value.to_string()),
            Value::Null | Value::Other(_) => None,
        }
    }

    pub fn number(&self) -> Option<f64> {
        match self {
            Value::Number(text) => text.parse().ok().filter(|number: &f64| number.is_finite()),
            _ => None,
        }
    }

    fn json(&self) -> String {
        match self {
            Value::Text(text) => serde_json::Value::from(text.as_str()).to_string(),
            Value::Number(text) => text.clone(),
            Value::Bool(value) => value.to_string(),
            Value::Null => "null".to_owned(),
            Value::Other(text) => (*text).to_owned(),
        }
    }
}

impl Line {
    pub fn json(&self) -> String {
        let mut text = format!("{{\"event\":{}", serde_json::Value::from(self.event.as_str()));
        for (name, value) in
            self.time.iter().map(|time| ("time", time)).chain(self.fields.iter().map(|(n, v)| (&**n, v)))
        {
            text.push_str(&format!(",\"{name}\":{}", value.json()));
        }
        text + "}"
    }

    /// A field's text, empty where there is none.
    pub fn text(&self, name: &str) -> String {
        self.value(name).and_then(Value::text).unwrap_or_default()
    }

    pub fn set(&mut self, name: &str, value: Value) {
        self.fields.retain(|(field, _)| field != name);
        self.fields.push((name.to_owned(), value));
    }

    pub fn value(&self, name: &str) -> Option<&Value> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value)
    }
}

/// Without the query, and with `{id}` for what varies.
pub fn path(text: &str) -> String {
    let text = text.split('?').next().unwrap_or_default();
    let varies = |segment: &str| {
        let digits = !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit());
        let hyphens = segment.matches('-').count();
        let uuid = segment.len() == 36
            && hyphens == 4
            && segment.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit());
        digits || uuid || segment.len() > 20 && hyphens >= 2
    };
    let segments: Vec<&str> =
        text.split('/').map(|segment| if varies(segment) { "{id}" } else { segment }).collect();
    segments.join("/")
}

pub fn slug(text: &str) -> String {
    let good = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
    let slug: String = text.chars().map(good).take(50).collect();
    if slug.is_empty() { "unknown".to_owned() } else { slug }
}
