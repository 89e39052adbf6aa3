//! `[line]` sections: which lines of a log are which events.
//!
//! Patterns are compiled here to find their faults and their groups, and again by `follow`, which alone needs
//! them compiled.

use std::time::Duration;

use regex::bytes::{Regex, RegexBuilder};
use regex_automata::nfa::thompson::WhichCaptures;
use regex_automata::util::syntax;
use regex_automata::{MatchKind, meta};

use super::fault::{Fault, fault};
use super::model::{EventPlan, FieldUse, LineDef};
use super::sections::{check_field_name, check_keys, is_name, single};
use crate::config::duration;
use crate::config::ini::Section;
use crate::limits;

/// The keys of `[line NAME]`: what a line looks like, which event it is, and what the event has beside the groups.
pub(super) const LINE_KEYS: [&str; 4] = ["match", "event", "set", "after"];

/// Compiles a pattern. Lines are bytes: what is no UTF-8 matches like anything else, and classes like `\d` are
/// those of ASCII. `^` and `$` are the ends of a line, with or without a carriage return.
pub(crate) fn compile(pattern: &str) -> Result<Regex, String> {
    let mut builder = RegexBuilder::new(pattern);
    builder.unicode(false).multi_line(true).crlf(true).size_limit(limits::PATTERN_BYTES_MAX);
    builder.build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "takes too much memory, expected a simpler pattern".to_owned(),
        // The last line says what is wrong; those before it draw where.
        error => {
            error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
        }
    })
}

/// Compiles patterns to find out which of them match, and where the first one does.
pub(crate) fn compile_all(patterns: &[&str]) -> Result<meta::Regex, String> {
    let lines = syntax::Config::new().unicode(false).utf8(false).multi_line(true).crlf(true);
    let config = meta::Config::new()
        .match_kind(MatchKind::All)
        .utf8_empty(false)
        .which_captures(WhichCaptures::Implicit)
        .nfa_size_limit(Some(limits::PATTERN_BYTES_MAX));
    let built = meta::Builder::new().syntax(lines).configure(config).build_many(patterns);
    built.map_err(|error| format!("{error}; expected fewer or simpler patterns"))
}

pub(super) fn read_line(name: &str, section: &Section, events: &[EventPlan]) -> Result<LineDef, Fault> {
    if !is_name(name) {
        return Err(fault("", "expected a name of letters, digits and _"));
    }
    check_keys(section, LINE_KEYS.into_iter())?;
    let event = match single(section, "event")? {
        None => {
            return Err(fault("event", "missing, expected an event, or nothing for lines that mean none"));
        }
        Some(entry) if entry.value.is_empty() => None,
        Some(entry) => {
            let known = events.iter().position(|event| *event.name == *entry.value);
            let unknown = || format!("{}: unknown event, expected one of this catalog", entry.value);
            Some(known.ok_or_else(|| fault("event", unknown()))?)
        }
    };
    let set = constants(section, event.map(|event| &events[event]))?;
    let patterns: Vec<String> = section.repeated("match").map(|entry| entry.value.clone()).collect();
    if patterns.iter().all(String::is_empty) {
        return Err(fault("match", "missing, expected a regular expression"));
    }
    let after = after(section, event.map(|event| &events[event]))?;
    Ok(LineDef { name: name.to_owned(), patterns, event, set, after })
}

/// How long the event waits for another one about the same.
fn after(section: &Section, event: Option<&EventPlan>) -> Result<Option<Duration>, Fault> {
    let Some(entry) = single(section, "after")? else { return Ok(None) };
    let after = duration::parse(&entry.value).map_err(|what| fault("after", what))?;
    let wrong = |what: &str| Err(fault("after", format!("{}: {what}", entry.value)));
    match event {
        None => wrong("the line is no event, expected an event with it"),
        Some(event) if event.fields_used_as(FieldUse::Required).next().is_none() => {
            wrong("the event requires no field that says what it is about, expected one that does")
        }
        Some(_) if after.is_zero() || after > limits::WAIT_MAX => wrong("expected 1ms to 1h"),
        Some(_) => Ok(Some(after)),
    }
}

/// Compiles the patterns of a line, to find their faults and those of their groups.
pub(super) fn check_patterns(line: &LineDef, events: &[EventPlan]) -> Result<(), Fault> {
    let LineDef { patterns, set, .. } = line;
    for pattern in patterns {
        let wrong = |what: String| fault("match", format!("{pattern}: {what}"));
        let compiled =
            compile(pattern).map_err(|what| wrong(format!("{what}; expected a regular expression")))?;
        let Some(plan) = line.event.map(|event| &events[event]) else { continue };
        let groups: Vec<&str> = compiled.capture_names().flatten().collect();
        for group in &groups {
            check_known(plan, group).map_err(&wrong)?;
            if set.iter().any(|(field, _)| field == group) {
                return Err(wrong(format!("{group}: set has it, too, expected it once")));
            }
        }
        let is_given = |field: &str| groups.contains(&field) || set.iter().any(|(given, _)| given == field);
        if let Some(field) = plan.fields_used_as(FieldUse::Required).find(|field| !is_given(field)) {
            let what =
                format!("{} needs {field}, expected a group (?P<{field}>…) or set = {field}=…", plan.name);
            return Err(wrong(what));
        }
    }
    Ok(())
}

/// The fields of `set`, which may be repeated.
fn constants(section: &Section, event: Option<&EventPlan>) -> Result<Vec<(String, String)>, Fault> {
    let mut set: Vec<(String, String)> = Vec::new();
    for entry in section.repeated("set") {
        let wrong = |what: &str| fault("set", format!("{:?}: {what}", entry.value));
        let (field, value) = entry.value.split_once('=').ok_or_else(|| wrong("expected FIELD=VALUE"))?;
        let (field, value) = (field.trim(), value.trim());
        check_field_name("set", field)?;
        let Some(event) = event else { return Err(wrong("the line is no event, expected an event with it")) };
        check_known(event, field).map_err(|what| wrong(&what))?;
        if set.iter().any(|(other, _)| other == field) {
            return Err(wrong("set twice, expected once"));
        }
        set.push((field.to_owned(), value.to_owned()));
    }
    Ok(set)
}

fn check_known(event: &EventPlan, field: &str) -> Result<(), String> {
    if event.fields.iter().any(|known| *known.name == *field) {
        return Ok(());
    }
    let known: Vec<&str> = event.fields.iter().map(|field| &*field.name).collect();
    Err(format!("{field}: {} has no such field, expected one of {}", event.name, known.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::super::read_catalog;

    const CATALOG: &str = "[system]\nname = t\ntitle = t\n[entity a]\nkey = id\nlabels = kind\n\
                           [event t.on]\noptional = kind\nopen = a\n[event t.off]\nclose = a\n";

    fn read(section: &str) -> Result<super::super::model::Catalog, String> {
        read_catalog("t.ini", &format!("{CATALOG}{section}")).map_err(|faults| faults.to_string())
    }

    #[test]
    fn lines_of_a_log_become_events() {
        let catalog = read(
            "[line on]\nmatch = ^start (?P<id>\\d+) as (?P<kind>\\w+)\nmatch = ^begin (?P<id>\\S+)$\nevent = t.on\n\
             [line off]\nmatch = ^end\nevent = t.off\nset = id=7\n[line noise]\nmatch = heartbeat\nevent =\n",
        );
        let lines = catalog.unwrap().lines;
        let shown: Vec<_> =
            lines.iter().map(|line| (line.name.as_str(), line.patterns.len(), line.event)).collect();
        assert_eq!(shown, [("on", 2, Some(0)), ("off", 1, Some(1)), ("noise", 1, None)]);
        assert_eq!(lines[1].set, [("id".to_owned(), "7".to_owned())]);
    }

    #[test]
    fn faults_name_section_key_value_and_what_was_expected() {
        let on = "match = (?P<id>x)\n";
        for (section, expected) in [
            ("[line on]\nmatch = x\n".to_owned(), "[line on] event: missing, expected an event"),
            (
                format!("[line on]\n{on}event = t.of\n"),
                "event: t.of: unknown event, expected one of this catalog",
            ),
            ("[line on]\nevent = t.on\n".to_owned(), "match: missing, expected a regular expression"),
            (
                "[line on]\nmatch = (x\nevent =\n".to_owned(),
                "match: (x: unclosed group; expected a regular expression",
            ),
            ("[line on]\nmatch = (?=x)\nevent =\n".to_owned(), "look-around"),
            ("[line on]\nmatch = \\pL\nevent =\n".to_owned(), "expected a regular expression"),
            (
                "[line on]\nmatch = x\nevent = t.on\n".to_owned(),
                "t.on needs id, expected a group (?P<id>…) or set = id=…",
            ),
            (
                format!("[line on]\n{on}match = (?P<ip>x)\nevent = t.on\n"),
                "match: (?P<ip>x): ip: t.on has no such field, expected one of id, kind",
            ),
            (format!("[line on]\n{on}event = t.on\nset = kind\n"), "set: \"kind\": expected FIELD=VALUE"),
            (format!("[line on]\n{on}event = t.on\nset = colour=x\n"), "t.on has no such field"),
            (format!("[line on]\n{on}event = t.on\nset = id=1\n"), "id: set has it, too, expected it once"),
            (format!("[line on]\n{on}event =\nset = id=1\n"), "the line is no event"),
            (format!("[line on]\n{on}event =\nafter = 1s\n"), "after: 1s: the line is no event"),
            (
                format!("[line on]\n{on}event = t.on\nafter = 2d\n"),
                "after: \"2d\": expected a duration such as",
            ),
            (format!("[line on]\n{on}event = t.on\nafter = 2h\n"), "after: 2h: expected 1ms to 1h"),
            (
                format!("[line on]\n{on}event = t.on\nseparator = x\n"),
                "separator: unknown key, expected one of match, event, set, after",
            ),
            (
                format!("[line on]\n{on}event = t.on\n[line on]\n{on}event = t.on\n"),
                "[line on]: written twice, expected one section of that name",
            ),
            ("[line on]\nmatch = (\\w{1000}){1000}\nevent =\n".to_owned(), "expected a simpler pattern"),
        ] {
            let error = read(&section).expect_err(&section);
            assert!(error.contains(expected), "{section}: {error}");
        }
    }
}
