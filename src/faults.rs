//! Faults of files and settings: all of them at once, so that a reader can mend them in one go. And what
//! tables of keys share.

use std::fmt;

/// One or more faults, each a line for people.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Faults(Vec<String>);

impl Faults {
    /// Adds one.
    pub(crate) fn add(&mut self, fault: impl Into<String>) {
        self.0.push(fault.into());
    }

    /// Adds those of a result, and returns its value.
    pub(crate) fn take<T>(&mut self, result: Result<T, impl Into<Faults>>) -> Option<T> {
        result.map_err(|faults| self.0.extend(faults.into().0)).ok()
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
        Faults(faults.into_iter().map(|fault| fault.to_string()).collect())
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
    let words: Vec<&str> = words.into_iter().collect();
    match words.as_slice() {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        words => words.concat(),
    }
}

/// Assigns the value of a result, for tables that say what each key sets.
pub(crate) fn put<T, E>(place: &mut T, value: Result<T, E>) -> Result<(), E> {
    *place = value?;
    Ok(())
}
