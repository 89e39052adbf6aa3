//! Events as words: `EVENT KEY=VALUE…`, as `send` and `[startup] event` take them, turned into a line of the feed.

use serde_json::value::RawValue;

/// An event with its fields, still words.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct EventSpec<'a> {
    /// The event's name.
    pub(crate) event: &'a str,
    /// Its fields in the order given.
    pub(crate) fields: Vec<(&'a str, &'a str)>,
}

impl<'a> EventSpec<'a> {
    /// Reads words separated by white space.
    pub(crate) fn parse(text: &'a str) -> Result<Self, String> {
        Self::from_words(text.split_whitespace())
    }

    /// Reads words that are separated already, so that values may hold white space.
    pub(crate) fn from_words(words: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut words = words.into_iter();
        let event = words.next().filter(|word| !word.contains('=')).ok_or("expected EVENT [KEY=VALUE…]")?;
        let mut fields: Vec<(&str, &str)> = Vec::new();
        for word in words {
            let (key, value) = word
                .split_once('=')
                .filter(|(key, _)| !key.is_empty() && *key != "event")
                .ok_or_else(|| format!("{word:?}: expected KEY=VALUE"))?;
            if fields.iter().any(|(other, _)| *other == key) {
                return Err(format!("{key}: given twice, expected once"));
            }
            fields.push((key, value));
        }
        Ok(EventSpec { event, fields })
    }

    /// One line of the feed, without its end. A value that is a JSON number is written as that number
    /// (a label takes its text, so nothing is lost), every other value as a string.
    pub(crate) fn to_line(&self) -> String {
        let quote = |text: &str| serde_json::to_string(text).expect("a string is always JSON");
        let mut line = format!("{{\"event\":{}", quote(self.event));
        for (key, value) in &self.fields {
            line.push(',');
            line.push_str(&quote(key));
            line.push(':');
            line.push_str(&if is_json_number(value) { (*value).to_owned() } else { quote(value) });
        }
        line.push('}');
        line
    }
}

fn is_json_number(text: &str) -> bool {
    text.starts_with(|c: char| c == '-' || c.is_ascii_digit())
        && text.ends_with(|c: char| c.is_ascii_digit())
        && serde_json::from_str::<&RawValue>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_a_line() {
        let words = EventSpec::parse("a.b backend=https://x/?a=b n=-1.5e3 zip=007 e= t=1e999").unwrap();
        assert_eq!(
            words.to_line(),
            r#"{"event":"a.b","backend":"https://x/?a=b","n":-1.5e3,"zip":"007","e":"","t":1e999}"#
        );
        let words = EventSpec::from_words(["a.b", "name=with \"white\" space"]).unwrap();
        assert_eq!(words.to_line(), r#"{"event":"a.b","name":"with \"white\" space"}"#);
    }

    #[test]
    fn what_is_no_event_says_what_was_expected() {
        for text in ["", "a=b", "a.b c", "a.b =c", "a.b event=x", "a.b c=1 c=2"] {
            assert!(EventSpec::parse(text).unwrap_err().contains("expected"), "{text:?}");
        }
    }
}
