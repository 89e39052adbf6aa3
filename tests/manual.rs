//! The manual pages, held against the program: they are made from the shipped configuration, from `--help`,
//! from the catalogs and from the table of effects (`UPDATE_GOLDEN=1` writes them anew), and nothing in them
//! may be missing.

#![allow(
    clippy::unwrap_used,
    clippy::format_push_string,
    clippy::print_stdout,
    reason = "a failure here is a failed test"
)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lifecycle_exporter::internals::{catalog_words, effects};
use serde_json::Value;
use support::{Exporter, catalogs, has_program, output};

fn packaged(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(packaged(path)).unwrap()
}

/// Compares a page with what it has to be, or writes it where `UPDATE_GOLDEN` is set.
fn assert_page(path: &str, expected: &str) {
    if support::switches::updates_golden() {
        fs::write(packaged(path), expected).unwrap();
    }
    let differs =
        read(path).lines().zip(expected.lines()).find(|(a, b)| a != b).map(|(a, b)| format!("{a} | {b}"));
    assert!(read(path) == expected, "{path} is out of date ({differs:?}); UPDATE_GOLDEN=1 writes it anew");
}

/// Text as roff takes it.
fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

fn head(name: &str, section: u8, about: &str) -> String {
    format!(
        ".TH {name} {section} \"\" \"lifecycle-exporter\" \"lifecycle-exporter\"\n.SH NAME\n{} \\- {about}\n",
        roff(name)
    )
}

/// The page of the configuration, from the file that is shipped: its comments are the descriptions.
fn configuration_page() -> String {
    let mut page = head("lifecycle-exporter.conf", 5, "configuration of lifecycle-exporter");
    page.push_str(".SH SYNOPSIS\n.I /etc/lifecycle-exporter/lifecycle-exporter.conf\n.SH DESCRIPTION\n");
    let mut comments: Vec<String> = Vec::new();
    let mut in_section = false;
    for line in read("etc/lifecycle-exporter.conf").lines().chain([""]) {
        let uncommented = line.strip_prefix('#').unwrap_or(line);
        if uncommented.starts_with('[') {
            page.push_str(&format!(".SH \"{}\"\n", roff(uncommented)));
            for comment in comments.drain(..) {
                page.push_str(&format!("{}\n", roff(&comment)));
            }
            in_section = true;
        } else if let Some(comment) = line.strip_prefix("# ") {
            comments.push(comment.to_owned());
        } else if line == "#" || (line.is_empty() && !in_section) {
            comments.drain(..).for_each(|comment| page.push_str(&format!("{}\n", roff(&comment))));
            page.push_str(".PP\n");
        } else if let Some((key, value)) = uncommented.split_once('=') {
            let value = value.trim();
            let default = if value.is_empty() { "empty".to_owned() } else { roff(value) };
            page.push_str(&format!(".TP\n.BR {} \" = {default}\"\n", roff(key.trim())));
            comments.drain(..).for_each(|comment| page.push_str(&format!("{}\n", roff(&comment))));
        }
    }
    page.push_str(".SH SEE ALSO\n.BR lifecycle-exporter (8),\n.BR lifecycle-exporter-catalog (5)\n");
    page
}

/// The page of catalogs, with the table of effects amid what is written by hand.
fn catalog_page() -> String {
    let mut list = String::new();
    for group in effects().chunk_by(|(_, _, help), (_, _, other)| help == other) {
        let (key, operand, help) = group[0];
        let operand = match operand.split_once(" from ") {
            Some((target, value)) => format!("\"{target} \" from \" {value}\""),
            None => operand.to_owned(),
        };
        list.push_str(&format!(".TP\n.BI \"{key} = \" {operand}"));
        for (index, (key, ..)) in group.iter().enumerate().skip(1) {
            list.push_str(&format!("{}\\fR,\\ {key}", if index == 1 { " " } else { "" }));
        }
        list.push('\n');
        for (index, text) in help.split('*').enumerate() {
            let text = roff(text);
            list.push_str(&if index % 2 == 1 { format!("\\fI{text}\\fR") } else { text });
        }
        list.push('\n');
    }
    let page = head("lifecycle-exporter-catalog", 5, "systems, their events and their metrics");
    page + &read("man/lifecycle-exporter-catalog.in").replace("@EFFECTS@\n", &list)
}

/// The page of the events, from the catalogs, between the parts that are written by hand.
fn events_page() -> String {
    let mut page = head("lifecycle-events", 7, "events of media servers that lifecycle-exporter counts");
    page.push_str(&read("man/lifecycle-events.in"));
    let text = |value: &Value| roff(value.as_str().unwrap());
    for system in catalogs() {
        page.push_str(&format!(".SH \"{}\"\n", text(&system["title"]).to_uppercase()));
        for event in system["events"].as_array().unwrap() {
            let fields = |key: &str| {
                event[key].as_array().unwrap().iter().map(text).collect::<Vec<String>>().join(", ")
            };
            page.push_str(&format!(".TP\n.B {}\n", text(&event["name"])));
            let (required, optional) = (fields("fields"), fields("optional"));
            page.push_str(&match (required.is_empty(), optional.is_empty()) {
                (true, true) => "No fields.\n".to_owned(),
                (false, true) => format!("{required}\n"),
                (true, false) => format!("optional: {optional}\n"),
                (false, false) => format!("{required}; optional: {optional}\n"),
            });
        }
    }
    page.push_str(".SH SEE ALSO\n.BR lifecycle-exporter (8),\n.BR lifecycle-exporter-catalog (5)\n");
    page
}

/// The page of the commands, from `--help`, behind the part that is written by hand.
fn commands_page() -> String {
    let mut page =
        head("lifecycle-exporter", 8, "follows the lifecycles of media servers, serves their metrics");
    page.push_str(".SH SYNOPSIS\n.B lifecycle\\-exporter\n.RI [ command ]\\ [ options ]\n");
    let help = output(&["--help"]);
    for block in help.split("\n\n").skip(2) {
        let (title, lines) = block.split_once('\n').unwrap_or((block, ""));
        page.push_str(&format!(".SH {}\n.nf\n", title.trim_end_matches(':').to_uppercase()));
        lines.lines().for_each(|line| page.push_str(&format!("{}\n", roff(line))));
        page.push_str(".fi\n");
    }
    page + &read("man/lifecycle-exporter.in")
}

#[test]
fn the_manual_pages_say_what_the_program_does() {
    assert_page("man/lifecycle-exporter.conf.5", &configuration_page());
    assert_page("man/lifecycle-exporter-catalog.5", &catalog_page());
    assert_page("man/lifecycle-events.7", &events_page());
    assert_page("man/lifecycle-exporter.8", &commands_page());
}

#[test]
fn the_page_of_catalogs_names_every_key_type_and_transform() {
    let page = read("man/lifecycle-exporter-catalog.5").replace("\\-", "-");
    let words = catalog_words();
    assert!(words.len() > 20, "{words:?}");
    for word in words.into_iter().chain(["now", "elapsed"]) {
        let is_there =
            page.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|other| other == word);
        assert!(is_there, "{word} is not in the page");
    }
}

#[test]
fn the_page_of_follow_says_of_each_metric_what_a_log_gives() {
    const WORTH: [&str; 5] = ["exact", "late", "lower bound", "upper bound", NOT_IN_THE_LOG];
    const NOT_IN_THE_LOG: &str = "not in the log: scrape the server's own /metrics";
    let page = read("man/lifecycle-follow.7").replace("\\-", "-");
    let said = |metric: &str| {
        let text = page.split(&format!(".TP\n.B {metric}\n")).nth(1)?.lines().next()?;
        WORTH.into_iter().find(|worth| text == *worth || text.starts_with(&format!("{worth}; ")))
    };
    for system in ["signaling", "proxy"] {
        let made = made_from_the_log(system);
        let catalog = catalogs().into_iter().find(|catalog| catalog["name"] == system).unwrap();
        for metric in catalog["metrics"].as_array().unwrap() {
            let name = metric["name"].as_str().unwrap();
            let said = said(name).unwrap_or_else(|| panic!("{name}: expected one of {WORTH:?}"));
            assert_eq!(said != NOT_IN_THE_LOG, made.contains(name), "{name}: {said}");
        }
    }
}

/// The metrics that the golden log of a system sets to something, at its end or before.
fn made_from_the_log(system: &str) -> BTreeSet<String> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{system}.log.events"));
    let golden = fs::read_to_string(golden).unwrap();
    let exporter = Exporter::start("");
    let mut made = BTreeSet::new();
    for event in golden.lines().filter(|line| line.starts_with('{')) {
        exporter.feed(format!("{event}\n"));
        let metrics = exporter.system(system);
        let set = metrics.lines().filter(|line| !line.starts_with('#') && !line.ends_with(" 0"));
        made.extend(set.filter_map(|line| line.split(['{', ' ']).next()).map(|name| {
            let ends = ["_bucket", "_sum", "_count"];
            ends.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name).to_owned()
        }));
    }
    made
}

#[test]
fn the_manual_pages_are_good_roff() {
    if !has_program("man") {
        return;
    }
    for page in [
        "lifecycle-exporter.8",
        "lifecycle-exporter.conf.5",
        "lifecycle-exporter-catalog.5",
        "lifecycle-events.7",
        "lifecycle-follow.7",
        "lifecycle-exporter-protocol.7",
        "lifecycle-exporter-promises.7",
    ] {
        let path = packaged("man").join(page);
        let output = Command::new("man")
            .args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"])
            .arg(&path)
            .output()
            .unwrap();
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{page}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
