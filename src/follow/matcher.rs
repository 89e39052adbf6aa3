//! Which event a line of a log is, by the `[line]` sections of a catalog. The first section that matches counts.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use memchr::{memchr, memrchr};
use regex::bytes::Regex;
use regex_automata::{Input, PatternSet, meta};

use crate::catalog::lines::{compile, compile_all};
use crate::catalog::model::{Catalog, FieldUse};
use crate::limits;
use crate::protocol::shorthand::EventSpec;

/// The patterns of a catalog, compiled.
pub(crate) struct Matcher {
    catalog: Arc<Catalog>,
    /// All patterns at once: most lines of a log match none.
    all: meta::Regex,
    /// Whether that finds the same in many lines as in each of them.
    takes_many: bool,
    /// Each pattern with the index of its section.
    patterns: Vec<(usize, Regex)>,
    /// The fields that tell what an event that waits is about: each list once.
    abouts: Vec<Vec<String>>,
}

/// What a line is.
#[derive(Debug, PartialEq)]
pub(crate) struct Found {
    /// An index into [`Catalog::lines`].
    pub(crate) section: usize,
    /// `None`: the line is known and means nothing.
    pub(crate) event: Option<Event>,
}

/// An event that a line tells of.
#[derive(Debug, PartialEq)]
pub(crate) struct Event {
    /// The line of the feed.
    pub(crate) line: String,
    /// What it is about: the keys of events that wait for one like it.
    pub(crate) about: Vec<String>,
    /// The server has been restarted: nothing waits for anything any more.
    pub(crate) ends_all: bool,
    /// It waits itself, under this key, for so long.
    pub(crate) waits: Option<(String, Duration)>,
}

impl Matcher {
    pub(crate) fn new(catalog: &Arc<Catalog>) -> Result<Self, String> {
        let lines = catalog.lines.iter().enumerate();
        let (sections, texts): (Vec<usize>, Vec<&str>) = lines
            .flat_map(|(section, line)| line.patterns.iter().map(move |text| (section, text.as_str())))
            .unzip();
        let patterns: Result<Vec<_>, String> = texts.iter().map(|text| compile(text)).collect();
        let wrong = |error: String| format!("{}: [line] patterns: {error}", catalog.name);
        let waiting = catalog.lines.iter().filter(|line| line.after.is_some());
        let mut abouts: Vec<_> = waiting.filter_map(|line| Some(about(catalog, line.event?))).collect();
        abouts.sort();
        abouts.dedup();
        Ok(Matcher {
            catalog: Arc::clone(catalog),
            abouts,
            all: compile_all(&texts).map_err(wrong)?,
            takes_many: texts.iter().all(|text| keeps_to_its_line(text)),
            patterns: sections.into_iter().zip(patterns?).collect(),
        })
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Calls `on` with each event in whole lines, and with how many of their bytes end with it.
    pub(crate) fn events<E>(
        &self,
        lines: &[u8],
        mut on: impl FnMut(Event, usize) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut at = 0;
        while let Some(line) = self.next_possible(lines, at) {
            at = line.end;
            if let Some(event) = self.find(&lines[line], None).and_then(|found| found.event) {
                on(event, at)?;
            }
        }
        Ok(())
    }

    /// The next line from here on that may match, with its end.
    fn next_possible(&self, lines: &[u8], from: usize) -> Option<Range<usize>> {
        let rest = &lines[from..];
        if rest.is_empty() {
            return None;
        }
        // No match ends before this one, so no line before matches by itself.
        let first = Input::new(rest).earliest(true);
        let hit = if self.takes_many { self.all.search_half(&first)?.offset() } else { 0 };
        let start = memrchr(b'\n', &rest[..hit]).map_or(0, |end| end + 1);
        let end = memchr(b'\n', &rest[hit..]).map_or(rest.len(), |end| hit + end + 1);
        (start < rest.len()).then_some(from + start..from + end)
    }

    /// Finds out what a line is. `time`: when it was written, Unix seconds as text, where the log says so.
    pub(crate) fn find(&self, line: &[u8], time: Option<&str>) -> Option<Found> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = &line[..line.len().min(limits::LOG_LINE_BYTES_MAX)];
        let mut matching = PatternSet::new(self.patterns.len());
        self.all.which_overlapping_matches(&Input::new(line), &mut matching);
        let (section, pattern) = &self.patterns[matching.iter().next()?];
        let def = &self.catalog.lines[*section];
        let Some(event) = def.event else { return Some(Found { section: *section, event: None }) };
        let groups = pattern.captures(line)?;
        let named = pattern.capture_names().flatten();
        let values: Vec<_> = named
            .filter_map(|name| Some((name, String::from_utf8_lossy(groups.name(name)?.as_bytes()))))
            .collect();
        let set = def.set.iter().map(|(field, value)| (field.as_str(), value.as_str()));
        let fields = time.map(|time| ("time", time)).into_iter();
        let fields = fields.chain(values.iter().map(|(name, value)| (*name, &**value))).chain(set).collect();
        let spec = EventSpec { event: &self.catalog.events[event].name, fields };
        let keys = self.abouts.iter().filter_map(|names| key(names, &spec.fields)).collect();
        let waits =
            def.after.and_then(|after| Some((key(&about(&self.catalog, event), &spec.fields)?, after)));
        let ends_all = self.catalog.events[event].abandons();
        let event = Event { line: spec.to_line(), about: keys, ends_all, waits };
        Some(Found { section: *section, event: Some(event) })
    }
}

/// The fields that say what an event is about.
fn about(catalog: &Catalog, event: usize) -> Vec<String> {
    let mut names: Vec<String> =
        catalog.events[event].fields_used_as(FieldUse::Required).map(ToOwned::to_owned).collect();
    names.sort();
    names
}

/// These fields as one text, if the event has them all.
fn key(names: &[String], fields: &[(&str, &str)]) -> Option<String> {
    let value = |name: &String| fields.iter().find(|(field, _)| field == name).map(|(_, value)| *value);
    let parts: Option<Vec<String>> =
        names.iter().map(|name| Some(format!("{name}={}", value(name)?))).collect();
    Some(parts?.join("\u{1f}"))
}

/// Whether a pattern finds in many lines what it finds in each: it does not where it looks for the beginning or the
/// end of the text, or sets flags that change what a line is. In doubt it does not.
fn keeps_to_its_line(pattern: &str) -> bool {
    let looks_beyond = ["\\A", "\\z"].iter().any(|anchor| pattern.contains(anchor));
    let flags = pattern.match_indices("(?").all(|(at, _)| {
        let rest = &pattern[at + 2..];
        let flags = rest.trim_start_matches(['i', 's', 'U', 'x', 'u']);
        rest.starts_with("P<") || rest.starts_with('<') || flags.starts_with([':', ')'])
    });
    flags && !looks_beyond
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::read_catalog;

    const HEAD: &str = "[system]\nname = t\ntitle = t\n[entity a]\nkey = id\nlabels = kind\n\
                        [event t.on]\noptional = kind\nopen = a\n[event t.off]\nclose = a\n";

    fn matcher(lines: &str) -> Matcher {
        Matcher::new(&Arc::new(read_catalog("t.ini", &format!("{HEAD}{lines}")).unwrap())).unwrap()
    }

    #[test]
    fn the_first_section_that_matches_counts() {
        let matcher = matcher(
            "[line on]\nmatch = start (?P<id>\\S+)( as (?P<kind>\\w+))?$\nmatch = begin (?P<id>\\S+)\nevent = t.on\n\
             [line quiet]\nmatch = start\nevent =\n[line off]\nmatch = end\nevent = t.off\nset = id=7\n",
        );
        let found = |line: &[u8]| {
            matcher.find(line, Some("1.5")).map(|found| (found.section, found.event.map(|event| event.line)))
        };
        let on = |fields: &str| Some((0, Some(format!("{{\"event\":\"t.on\",\"time\":1.5,{fields}}}"))));
        assert_eq!(found(b"x start r1 as x"), on(r#""id":"r1","kind":"x""#));
        // A group that took no part is no field.
        assert_eq!(found(b"start 12"), on(r#""id":12"#));
        assert_eq!(found(b"begin r2\r\n"), on(r#""id":"r2""#));
        assert_eq!(found(b"start r1 as x y"), Some((1, None)));
        assert_eq!(found(b"the end"), Some((2, Some(r#"{"event":"t.off","time":1.5,"id":7}"#.to_owned()))));
        assert_eq!(found(b"nothing"), None);
        assert_eq!(found(b"start \xff"), on("\"id\":\"\u{fffd}\""));
    }

    #[test]
    fn among_many_lines_the_same_are_found_as_one_by_one() {
        let log = b"start a\nx\n\n end\nstart\nb start c\n  start d \xff\r\nx end of it\nend";
        for patterns in [
            vec!["start (?P<id>\\w+)", "end"],
            vec!["^start (?P<id>\\w+)", "^end"],
            vec!["\\s+(?P<id>c)", "[^x]+d"],
            vec!["(?P<id>\\w+)$", "end\\z"],
            vec!["(?m-s:^start)(?P<id>.*)", "\\Aend"],
            vec!["(?i)START (?P<id>.)", "(?s:end.*)"],
            vec!["(?P<id>.*)", "x*"],
        ] {
            let sections = format!(
                "[line on]\nmatch = {}\nevent = t.on\n[line off]\nmatch = {}\nevent = t.off\nset = id=7\n",
                patterns[0], patterns[1]
            );
            let matcher = matcher(&sections);
            let one_by_one = log.split(|byte| *byte == b'\n');
            let expected: Vec<String> =
                one_by_one.filter_map(|line| Some(matcher.find(line, None)?.event?.line)).collect();
            let mut found = Vec::new();
            let _ = matcher.events(log, |event, _| {
                found.push(event.line);
                Ok::<(), ()>(())
            });
            assert_eq!(found, expected, "{patterns:?}");
        }
    }
}
