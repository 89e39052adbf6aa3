//! Faults of files and settings: all of them at once, so that a reader can mend them in one go. And what
//! tables of keys share.

use std::fmt;

use crate::limits;

/// One or more faults, each a line for people.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Faults(Vec<String>);

impl Faults {
    /// Adds one, unless there are more than anybody reads.
    pub(crate) fn add(&mut self, fault: impl Into<String>) {
        match self.0.len() {
            ..limits::FAULTS_MAX => self.0.push(fault.into()),
            limits::FAULTS_MAX => self.0.push("there are further faults, which are not named".to_owned()),
            _ => {}
        }
    }

    /// Adds those of a result, and returns its value.
    pub(crate) fn take<T>(&mut self, result: Result<T, impl Into<Faults>>) -> Option<T> {
        result.map_err(|faults| faults.into().0.into_iter().for_each(|fault| self.add(fault))).ok()
    }

    /// The value, if there are no faults.
    pub(crate) fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Faults {
    fn from(fault: String) -> Self {
        Faults(vec![fault])
    }
}

impl<T: fmt::Display> FromIterator<T> for Faults {
    fn from_iter<I: IntoIterator<Item = T>>(faults: I) -> Self {
        let mut all = Faults::default();
        faults.into_iter().for_each(|fault| all.add(fault.to_string()));
        all
    }
}

/// One a line.
impl fmt::Display for Faults {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Faults {}

impl From<Faults> for String {
    fn from(faults: Faults) -> Self {
        faults.to_string()
    }
}

/// `a, b or c`.
pub(crate) fn alternatives<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    // One copy in the program, whatever the words come from.
    #[inline(never)]
    fn joined(words: &[&str]) -> String {
        match words {
            [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
            words => words.concat(),
        }
    }
    joined(&words.into_iter().collect::<Vec<&str>>())
}

/// `unknown key, expected one of a, b; did you mean a?`, for a word that is not among those known.
pub(crate) fn unknown(what: &str, word: &str, known: &[&str]) -> String {
    format!("unknown {what}, expected one of {}{}", known.join(", "), meant(word, known))
}

/// `; did you mean a?` if one of these words is near, for the end of a message about a word that is not among them.
pub(crate) fn meant(word: &str, known: &[&str]) -> String {
    nearest(word, known).map_or_else(String::new, |near| format!("; did you mean {near}?"))
}

/// The word that was probably meant: a letter in five may be wrong, missing, too many or in the other's place.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let letters = word.chars().count();
    if letters > limits::MEANT_LETTERS_MAX {
        return None;
    }
    let distances = known.iter().map(|known| (strsim::osa_distance(word, known), *known));
    let near = distances.filter(|(distance, _)| *distance <= letters.div_ceil(5).min(3));
    near.min_by_key(|(distance, _)| *distance).map(|(_, known)| known)
}

/// A text of at most so many characters, with `…` where it is cut.
pub(crate) fn cut(text: &str, chars: usize) -> String {
    // Most texts have fewer bytes than that, and so fewer characters.
    let end = if text.len() <= chars { None } else { text.char_indices().nth(chars) };
    match end {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// `a, b, c`, cut where there are too many for a message.
pub(crate) fn listed<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    // One copy in the program, whatever the words come from.
    #[inline(never)]
    fn joined(words: &mut dyn Iterator<Item = &str>) -> String {
        let mut list = String::new();
        for word in words {
            if list.len() + word.len() > limits::EXPECTED_BYTES_MAX {
                return list + "…";
            }
            if !list.is_empty() {
                list.push_str(", ");
            }
            list.push_str(word);
        }
        list
    }
    joined(&mut words.into_iter())
}

/// Assigns the value of a result, for tables that say what each key sets.
pub(crate) fn put<T, E>(place: &mut T, value: Result<T, E>) -> Result<(), E> {
    *place = value?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_faults_are_kept_than_anybody_reads() {
        let many: Faults = (0..limits::FAULTS_MAX * 3).collect();
        assert_eq!(many.iter().count(), limits::FAULTS_MAX + 1);
        assert!(many.to_string().ends_with("\nthere are further faults, which are not named"));
        let mut twice = many.clone();
        twice.take(Err::<(), _>(many.clone()));
        assert_eq!(twice, many);
    }

    #[test]
    fn what_was_probably_meant_is_near() {
        let known = ["recording.started", "recording.stopped", "recording.failed", "live", "key"];
        let meant = |word| nearest(word, &known);
        assert_eq!(meant("recording.startd"), Some("recording.started"));
        assert_eq!(meant("recordnig.stoped"), Some("recording.stopped"));
        assert_eq!([meant("lvie"), meant("keys"), meant("Key")], [Some("live"), Some("key"), Some("key")]);
        assert_eq!([meant("x"), meant("recording.paused.again"), meant("")], [None; 3]);
        assert_eq!(meant(&"recording.startd".repeat(100)), None);
        assert_eq!(super::meant("lvie", &known), "; did you mean live?");
        assert_eq!(super::meant("nothing", &known), "");
        assert_eq!(
            unknown("key", "kye", &known[3..]),
            "unknown key, expected one of live, key; did you mean key?"
        );
    }

    #[test]
    fn a_long_list_is_cut() {
        assert_eq!(listed(["a", "b"]), "a, b");
        let name = "x".repeat(400);
        assert_eq!(listed([name.as_str(); 5]), format!("{name}, {name}…"));
    }
}
