//! A strict reader of INI text, for the configuration and the catalogs.
//!
//! The `ini` library reads every line by itself, so no line can swallow, continue or join another one. Lines
//! that other readers understand differently (an indented line, a byte-order mark, a backslash at the end)
//! are refused, so that no setting reads as empty by accident. The callers decide what the keys mean.

use std::collections::HashSet;
use std::fmt;

use crate::limits;

/// A file's sections in the order written.
#[derive(Debug)]
pub(crate) struct Document {
    /// The sections that the caller knows.
    pub(crate) sections: Vec<Section>,
    /// The names of all others, whose lines are skipped.
    pub(crate) ignored: Vec<String>,
}

/// One `[name]` with its entries in the order written.
#[derive(Debug)]
pub(crate) struct Section {
    /// The text between the brackets, trimmed.
    pub(crate) name: String,
    /// The number of its first line, counted from 1.
    pub(crate) line: usize,
    pub(crate) entries: Vec<Entry>,
}

/// One `key = value` line.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Trimmed, as written.
    pub(crate) key: String,
    /// Trimmed, otherwise as written: no quoting, no escapes.
    pub(crate) value: String,
    /// The number of its line, counted from 1.
    pub(crate) line: usize,
}

/// A line that is refused.
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

/// Whether ` ; …` after a value is a comment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum InlineComments {
    /// Removed, with the white space before it (catalogs).
    Stripped,
    /// Part of the value (configuration).
    AsWritten,
}

impl Section {
    /// The entry of a key that may be written once. The error names the second line.
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

/// Reads INI text. `knows` says which sections the caller reads; the others are skipped whole, whatever they
/// hold. The error holds every line at fault.
pub(crate) fn parse(
    text: &str,
    comments: InlineComments,
    knows: impl Fn(&str) -> bool,
) -> Result<Document, Vec<IniError>> {
    let mut document = Document { sections: Vec::new(), ignored: Vec::new() };
    let mut errors = Vec::new();
    let mut names = HashSet::new();
    // In an unknown section, and after a section line that cannot be read.
    let mut skips = false;
    for (index, raw) in text.split('\n').enumerate() {
        let line = index + 1;
        if skips && !raw.starts_with(['[', BYTE_ORDER_MARK]) {
            continue;
        }
        let mut refuse = |what| errors.push(IniError { line, what });
        match (parse_line(raw, comments), document.sections.last_mut()) {
            (Err(what), _) => {
                refuse(what);
                skips = raw.starts_with(['[', BYTE_ORDER_MARK]);
            }
            (Ok(Line::Blank), _) => {}
            (Ok(Line::Section(name)), _) => {
                skips = !knows(&name);
                if skips {
                    document.ignored.push(name);
                    continue;
                }
                if !names.insert(name.clone()) {
                    refuse(format!("[{name}]: written twice, expected one section of that name"));
                }
                document.sections.push(Section { name, line, entries: Vec::new() });
            }
            (Ok(Line::Entry(key, value)), Some(section)) => {
                section.entries.push(Entry { key, value, line });
            }
            (Ok(Line::Entry(..)), None) => {
                refuse(format!("{:?}: expected a section, [name], before it", raw.trim()));
            }
        }
    }
    if errors.is_empty() { Ok(document) } else { Err(errors) }
}

const BYTE_ORDER_MARK: char = '\u{feff}';

enum Line {
    /// Empty, or a comment.
    Blank,
    Section(String),
    Entry(String, String),
}

/// Reads one line. The error says what was expected.
fn parse_line(raw: &str, comments: InlineComments) -> Result<Line, String> {
    let raw = raw.strip_suffix('\r').unwrap_or(raw);
    if raw.len() > limits::INI_LINE_BYTES_MAX {
        let (bytes, expected) = (raw.len(), limits::INI_LINE_BYTES_MAX);
        return Err(format!("a line of {bytes} bytes, expected at most {expected}"));
    }
    if raw.contains(BYTE_ORDER_MARK) {
        return Err("a byte-order mark, expected plain UTF-8 text without one".to_owned());
    }
    let whole = raw.trim();
    let text = without_comment(whole, comments);
    if whole.is_empty() || whole.starts_with(['#', ';']) {
        return Ok(Line::Blank);
    }
    if raw.starts_with(char::is_whitespace) {
        return Err(format!(
            "{whole:?}: an indented line; values cannot be continued on a second line, expected \
             KEY = VALUE at the start of the line"
        ));
    }
    if whole.contains(|c: char| c.is_control() && c != '\t') {
        return Err(format!("{whole:?}: a control character, expected plain text"));
    }
    if whole.ends_with('\\') || text.ends_with('\\') {
        return Err(format!("{whole:?}: a backslash at the end would join the next line, expected none"));
    }
    read_alone(text).ok_or_else(|| match text.chars().next() {
        Some('[') => format!("{text:?}: expected a section, [name], and nothing after it"),
        Some(delimiter @ ('=' | ':')) => format!("{whole:?}: expected a key before the {delimiter:?}"),
        _ => format!("{whole:?}: expected KEY = VALUE"),
    })
}

/// What the library reads in a line that holds nothing else, if that is one section or one entry.
fn read_alone(text: &str) -> Option<Line> {
    let options =
        ini::ParseOption { enabled_quote: false, enabled_escape: false, ..ini::ParseOption::default() };
    let read = ini::Ini::load_from_str_opt(text, options).ok()?;
    let mut found = read.iter().filter(|(name, entries)| name.is_some() || !entries.is_empty());
    let (name, entries) = found.next().filter(|_| found.next().is_none())?;
    let mut entries = entries.iter();
    match (name, entries.next()) {
        (Some(name), None) if !name.is_empty() && !name.contains('[') => Some(Line::Section(name.to_owned())),
        (None, Some((key, value))) if entries.next().is_none() => {
            Some(Line::Entry(key.to_owned(), value.to_owned()))
        }
        _ => None,
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
            (&format!("[a]\nx = {}\n", "1".repeat(limits::INI_LINE_BYTES_MAX)), 2, "bytes, expected at most"),
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
    fn no_line_joins_the_next_one() {
        for (text, line) in [
            ("[a\\]\nallowed_ips = ::1\n[b]\n", 1),
            ("[a]\nallowed_ips\\\n= ::1\n", 2),
            ("[a]\nx = 1\\\r\nallowed_ips = ::1\n", 2),
            ("[a]\nx\\=\nallowed_ips = ::1\n", 2),
            ("[a] x = 1\n", 1),
            ("[a] [b]\n", 1),
        ] {
            assert_eq!(read(text).expect_err(text)[0].line, line, "{text:?}");
        }
        let document = read("[a]\nx = \\ y\nallowed_ips = ::1\n").unwrap();
        let entries = document.sections[0].entries.iter();
        let entries: Vec<_> = entries.map(|entry| (entry.key.as_str(), entry.value.as_str())).collect();
        assert_eq!(entries, [("x", "\\ y"), ("allowed_ips", "::1")]);
    }

    #[test]
    fn every_line_at_fault_is_named() {
        let errors = read("[a]\nx\n  y = 1\n[b\nz = 2\n").unwrap_err();
        assert_eq!(errors.iter().map(|error| error.line).collect::<Vec<_>>(), [2, 3, 4]);
    }

    #[test]
    fn catalogs_may_have_comments_after_values() {
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
