//! Reads the text format 0.0.4 strictly: families in order and each once, series each once, labels escaped.

use std::collections::HashSet;

/// A series: its name, its labels as they are written, its value.
pub(crate) type Sample = (String, String, f64);

/// All samples. Panics at a line that is none of the format's.
pub(crate) fn samples(text: &str) -> Vec<Sample> {
    let (mut samples, mut seen) = (Vec::new(), HashSet::new());
    let (mut family, mut kind) = (String::new(), String::new());
    assert!(text.is_empty() || text.ends_with('\n'), "the last line has no end");
    let mut lines = text.split_terminator('\n');
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let name = help.split(' ').next().unwrap_or_default();
            assert!(
                is_name(name, true) && name > family.as_str(),
                "{line}: expected a later family than {family}"
            );
            let next = lines.next().unwrap_or_default();
            let of = next.strip_prefix(&format!("# TYPE {name} "));
            of.unwrap_or_else(|| panic!("{next}: expected the type of {name}")).clone_into(&mut kind);
            name.clone_into(&mut family);
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}: expected a value"));
        let value = value.parse().unwrap_or_else(|_| panic!("{line}: expected a number"));
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let suffix = name.strip_prefix(family.as_str());
        let suffixes: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
        assert!(suffix.is_some_and(|suffix| suffixes.contains(&suffix)), "{line}: a series of {family}");
        assert!(series == name || are_labels(labels), "{line}: expected labels");
        assert!(seen.insert(series.to_owned()), "{line}: occurs twice");
        samples.push((name.to_owned(), labels.to_owned(), value));
    }
    samples
}

fn is_name(text: &str, metric: bool) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_' || (metric && c == ':');
    text.starts_with(first) && text.chars().all(|c| first(c) || c.is_ascii_digit())
}

/// Whether this is `name="value",…}`.
fn are_labels(mut rest: &str) -> bool {
    let mut names = HashSet::new();
    loop {
        let Some((name, value)) = rest.split_once("=\"") else { return false };
        if !is_name(name, false) || !names.insert(name.to_owned()) {
            return false;
        }
        let mut chars = value.char_indices();
        let end = loop {
            match chars.next() {
                Some((at, '"')) => break at,
                Some((_, '\\')) if matches!(chars.next(), Some((_, '\\' | '"' | 'n'))) => {}
                None | Some((_, '\\' | '\n')) => return false,
                Some(_) => {}
            }
        };
        match &value[end + 1..] {
            "}" => return true,
            more => match more.strip_prefix(',') {
                Some(more) => rest = more,
                None => return false,
            },
        }
    }
}
