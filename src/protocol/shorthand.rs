//! Events written as words, `EVENT KEY=VALUE…`, as `send` and `[startup] event` take them. They become lines
//! of the feed.

use std::collections::HashSet;

use serde_json::value::RawValue;

/// An event and its fields as words.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct EventSpec<'a> {
    pub(crate) event: &'a str,
    pub(crate) fields: Vec<(&'a str, &'a str)>,
}

impl<'a> EventSpec<'a> {
    /// Splits the text at white space.
    pub(crate) fn parse(text: &'a str) -> Result<Self, String> {
        Self::from_words(text.split_whitespace())
    }

    /// Takes words that are already split, so values may contain white space.
    pub(crate) fn from_words(words: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut words = words.into_iter();
        let event = words
            .next()
            .filter(|word| !word.contains('='))
            .ok_or("expected EVENT [KEY=VALUE…], the name of the event first")?;
        let mut fields: Vec<(&str, &str)> = Vec::new();
        let mut taken = HashSet::new();
        for word in words {
            let (key, value) = word
                .split_once('=')
                .filter(|(key, _)| !key.is_empty())
                .ok_or_else(|| format!("{word:?}: expected KEY=VALUE"))?;
            if key == "event" {
                return Err(format!("{word:?}: expected a field; the event is {event}, the first word"));
            }
            if !taken.insert(key) {
                return Err(format!("{key}: given twice, expected once"));
            }
            fields.push((key, value));
        }
        Ok(EventSpec { event, fields })
    }

    /// A line of the feed, without newline. Values that are JSON numbers stay numbers (labels use their text,
    /// so nothing is lost); all others become strings.
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
    fn faulty_words_say_what_was_expected() {
        for text in ["", "a=b", "a.b c", "a.b =c", "a.b event=x", "a.b c=1 c=2"] {
            assert!(EventSpec::parse(text).unwrap_err().contains("expected"), "{text:?}");
        }
    }
}
