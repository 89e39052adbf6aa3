//! INI text, read strictly: the one reader for the configuration and the catalogs.
//!
//! The `ini` library does the reading. What it would mangle in silence (an indented line becomes a key of its
//! own, a byte-order mark hides the first section, a line without `=` swallows the next one) is refused here
//! before the library sees it, so that no setting can ever read as empty by accident. What keys mean is
//! left to the callers.

use std::collections::HashSet;
use std::fmt;

/// A file's sections in the order written.
#[derive(Debug)]
pub(crate) struct Document {
    /// The sections that the caller knows.
    pub(crate) sections: Vec<Section>,
    /// Names of the sections that it does not; nothing in them was looked at.
    pub(crate) ignored: Vec<String>,
}

/// One `[name]` with its entries in the order written.
#[derive(Debug)]
pub(crate) struct Section {
    /// The text between the brackets, trimmed.
    pub(crate) name: String,
    /// Where it begins, counted from 1.
    pub(crate) line: usize,
    /// Its `key = value` lines.
    pub(crate) entries: Vec<Entry>,
}

/// One `key = value` line.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Trimmed, as written.
    pub(crate) key: String,
    /// Trimmed, otherwise as written: no quoting, no escapes.
    pub(crate) value: String,
    /// Where it stands, counted from 1.
    pub(crate) line: usize,
}

/// Why a text is not INI that can be trusted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct IniError {
    /// Counted from 1.
    pub(crate) line: usize,
    /// What is wrong and what was expected.
    pub(crate) what: String,
}

impl fmt::Display for IniError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for IniError {}

/// Whether ` ; …` behind a value is a comment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum InlineComments {
    /// Cut off, with the white space before it (catalogs).
    Stripped,
    /// Part of the value (configuration).
    AsWritten,
}

impl Section {
    /// The entry of a key that may stand once; the error names the second place.
    pub(crate) fn single(&self, key: &str) -> Result<Option<&Entry>, IniError> {
        let mut found = self.entries.iter().filter(|entry| entry.key == key);
        let first = found.next();
        match found.next() {
            Some(second) => Err(IniError {
                line: second.line,
                what: format!("[{}] {key}: written twice, expected once", self.name),
            }),
            None => Ok(first),
        }
    }

    /// Every entry of a key that may be repeated.
    pub(crate) fn repeated<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter(move |entry| entry.key == key)
    }
}

/// Reads INI text. `knows` says which sections are looked at; others are passed over whole, whatever they hold. The error
/// holds every line at fault.
pub(crate) fn parse(
    text: &str,
    comments: InlineComments,
    knows: impl Fn(&str) -> bool,
) -> Result<Document, Vec<IniError>> {
    let (cleaned, places) = check_lines(text, comments, &knows)?;
    let options =
        ini::ParseOption { enabled_quote: false, enabled_escape: false, ..ini::ParseOption::default() };
    let read = ini::Ini::load_from_str_opt(&cleaned, options)
        .map_err(|error| vec![IniError { line: error.line.max(1), what: error.msg.into_owned() }])?;
    let mut sections = Vec::new();
    let mut entry_lines = places.entries.into_iter();
    let mut section_lines = places.sections.into_iter();
    for (name, properties) in &read {
        let Some(name) = name else { continue };
        let entries = properties.iter().map(|(key, value)| Entry {
            key: key.trim().to_owned(),
            value: value.trim().to_owned(),
            line: entry_lines.next().unwrap_or(0),
        });
        sections.push(Section {
            name: name.to_owned(),
            line: section_lines.next().unwrap_or(0),
            entries: entries.collect(),
        });
    }
    Ok(Document { sections, ignored: places.ignored })
}

/// Where sections and entries stand, in order.
#[derive(Default)]
struct Places {
    sections: Vec<usize>,
    entries: Vec<usize>,
    ignored: Vec<String>,
}

/// Refuses what would be mangled, and blanks what is not to be looked at.
fn check_lines(
    text: &str,
    comments: InlineComments,
    knows: &impl Fn(&str) -> bool,
) -> Result<(String, Places), Vec<IniError>> {
    let mut cleaned = String::with_capacity(text.len());
    let mut places = Places::default();
    let mut errors = Vec::new();
    let mut seen: HashSet<&str> = HashSet::new();
    // Outside every section until the first one; `Some(false)` inside one that is passed over.
    let mut looking: Option<bool> = None;
    for (index, raw) in text.split('\n').enumerate() {
        let line = index + 1;
        match classify(raw, comments) {
            // A section's name that cannot be read would hide whose lines follow, wherever it stands.
            Err(what) if looking != Some(false) || raw.starts_with(['[', '\u{feff}']) => {
                errors.push(IniError { line, what });
                if raw.starts_with(['[', '\u{feff}']) {
                    looking = Some(false);
                }
            }
            Err(_) | Ok(Line::Blank) => {}
            Ok(Line::Section(name)) => {
                looking = Some(knows(name));
                if looking == Some(true) {
                    if !seen.insert(name) {
                        let what = format!("[{name}]: written twice, expected one section of that name");
                        errors.push(IniError { line, what });
                    }
                    places.sections.push(line);
                    cleaned.push_str(&format!("[{name}]"));
                } else {
                    places.ignored.push(name.to_owned());
                }
            }
            Ok(Line::Entry(_)) if looking == Some(false) => {}
            Ok(Line::Entry(entry)) if looking.is_none() => {
                errors.push(IniError {
                    line,
                    what: format!("{entry:?}: expected a section, [name], before it"),
                });
            }
            Ok(Line::Entry(entry)) => {
                places.entries.push(line);
                cleaned.push_str(entry);
            }
        }
        cleaned.push('\n');
    }
    if errors.is_empty() { Ok((cleaned, places)) } else { Err(errors) }
}

/// What a line is.
enum Line<'a> {
    /// Nothing, or a comment.
    Blank,
    /// The name between the brackets.
    Section(&'a str),
    /// `KEY = VALUE`, without a comment.
    Entry(&'a str),
}

/// The error says what was expected.
fn classify(raw: &str, comments: InlineComments) -> Result<Line<'_>, String> {
    let raw = raw.strip_suffix('\r').unwrap_or(raw);
    let trimmed = raw.trim();
    if raw.contains('\u{feff}') {
        return Err("a byte-order mark, expected plain UTF-8 text without one".to_owned());
    }
    if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
        return Ok(Line::Blank);
    }
    if trimmed.starts_with('[') && !raw.starts_with(char::is_whitespace) {
        let trimmed = without_comment(trimmed, comments);
        let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) else {
            return Err(format!("{trimmed:?}: expected a section, [name], and nothing behind it"));
        };
        let name = name.trim();
        if name.is_empty() || name.contains(['[', ']']) {
            return Err(format!("{trimmed:?}: expected a section name between the brackets"));
        }
        return Ok(Line::Section(name));
    }
    let entry = without_comment(trimmed, comments);
    check_entry(raw, entry)?;
    Ok(Line::Entry(entry))
}

/// `entry` is the line without its comment: what is read.
fn check_entry(raw: &str, entry: &str) -> Result<(), String> {
    let shown = raw.trim();
    if raw.starts_with(char::is_whitespace) {
        return Err(format!(
            "{shown:?}: an indented line; values cannot be continued on a second line, expected KEY = VALUE at the start of the line"
        ));
    }
    if shown.contains(|c: char| c.is_control() && c != '\t') {
        return Err(format!("{shown:?}: a control character, expected plain text"));
    }
    if shown.ends_with('\\') || entry.ends_with('\\') {
        return Err(format!("{shown:?}: a backslash at the end would join the next line, expected none"));
    }
    match shown.find(['=', ':']) {
        None => Err(format!("{shown:?}: expected KEY = VALUE")),
        Some(0) => Err(format!("{shown:?}: expected a key before the {:?}", &shown[..1])),
        Some(_) => Ok(()),
    }
}

fn without_comment(line: &str, comments: InlineComments) -> &str {
    if comments == InlineComments::AsWritten {
        return line;
    }
    let cut = line
        .char_indices()
        .zip(line.chars().skip(1))
        .find(|((_, c), next)| c.is_whitespace() && *next == ';');
    cut.map_or(line, |((at, _), _)| line[..at].trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Document, Vec<IniError>> {
        parse(text, InlineComments::AsWritten, |name| name != "ffmpeg")
    }

    #[test]
    fn entries_are_taken_as_written_and_know_their_line() {
        let document = read(
            "# first\n[stats]\nallowed_ips = 10.0.0.0/8, ::1\n\n[app]\r\nname: 'a\\b' ; not a comment\r\n",
        )
        .unwrap();
        let names: Vec<_> = document.sections.iter().map(|s| (s.name.as_str(), s.line)).collect();
        assert_eq!(names, [("stats", 2), ("app", 5)]);
        let entry = &document.sections[1].entries[0];
        assert_eq!(
            (entry.key.as_str(), entry.value.as_str(), entry.line),
            ("name", "'a\\b' ; not a comment", 6)
        );
    }

    #[test]
    fn sections_of_others_are_passed_over_whatever_they_hold() {
        let document = read("[ffmpeg]\ncommon = a\n  continued\ngarbage\n[stats]\na = 1\n").unwrap();
        assert_eq!(document.ignored, ["ffmpeg"]);
        assert_eq!((document.sections[0].line, document.sections[0].entries[0].line), (5, 6));
    }

    #[test]
    fn what_the_library_would_mangle_is_refused() {
        let cases = [
            ("\u{feff}[stats]\na = 1\n", 1, "byte-order mark"),
            ("[stats]\nallowed_ips = 10.0.0.1,\n  10.0.0.2\n", 3, "continued on a second line"),
            ("[stats]\nallowed_ips =\n 10.0.0.2 = x\n", 3, "indented"),
            ("[stats]\nallowed_ips\n[app]\n", 2, "expected KEY = VALUE"),
            ("[stats]\n= 1\n", 2, "expected a key"),
            ("[stats\na = 1\n", 1, "expected a section"),
            ("a = 1\n", 1, "before it"),
            ("[a]\nx=1\n[a]\ny=1\n", 3, "written twice"),
            ("[a]\nx=1\0\n", 2, "control character"),
            ("[a]\n [b]\n", 2, "indented"),
            ("[a]\nx = 1\\\nallowed_ips = ::1\n", 2, "a backslash"),
        ];
        for (text, line, what) in cases {
            let [error] = &read(text).expect_err(text)[..] else { panic!("{text:?}: more than one error") };
            assert_eq!(error.line, line, "{text:?}: {error}");
            assert!(error.what.contains(what), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_backslash_before_a_comment_ends_the_line_as_well() {
        let errors = parse("[a]\nx = 1\\ ; why\ny = 2\n", InlineComments::Stripped, |_| true).unwrap_err();
        assert!(errors[0].line == 2 && errors[0].what.contains("a backslash"), "{errors:?}");
    }

    #[test]
    fn every_line_at_fault_is_named() {
        let errors = read("[a]\nx\n  y = 1\n[b\nz = 2\n").unwrap_err();
        assert_eq!(errors.iter().map(|error| error.line).collect::<Vec<_>>(), [2, 3, 4]);
    }

    #[test]
    fn catalogs_may_carry_comments_behind_values() {
        let document = parse(
            "[system] ; a\nname = x  ; events are x.…\nhelp = a;b\n",
            InlineComments::Stripped,
            |_| true,
        )
        .unwrap();
        let values: Vec<_> = document.sections[0].entries.iter().map(|e| e.value.as_str()).collect();
        assert_eq!(values, ["x", "a;b"]);
    }

    #[test]
    fn a_key_that_stands_twice_is_found() {
        let document = read("[a]\nx = 1\nx = 2\n").unwrap();
        assert_eq!(document.sections[0].single("x").unwrap_err().line, 3);
        assert_eq!(document.sections[0].repeated("x").count(), 2);
        assert!(document.sections[0].single("y").unwrap().is_none());
    }
}
