//! The pages for readers, held against the program: their links lead somewhere, their examples give what they show, and their
//! tables are complete.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a failure here is a failed test")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{Exporter, binary, has_program};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// All pages that are written for readers.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md"), root().join("packaging/container/README.md")];
    pages.extend(fs::read_dir(root().join("packaging/doc")).unwrap().map(|entry| entry.unwrap().path()));
    pages.into_iter().filter(|page| page.exists()).collect()
}

/// The first block of a page in this language that contains the text.
fn block(page: &str, language: &str, text: &str) -> String {
    let fence = format!("```{language}\n");
    let blocks = page.split(&fence).skip(1);
    let mut blocks = blocks.map(|rest| rest.split("```").next().unwrap());
    blocks.find(|block| block.contains(text)).unwrap().to_owned()
}

#[test]
fn the_readme_is_short() {
    assert!(read("README.md").lines().count() <= 350);
}

#[test]
fn every_link_within_the_project_leads_to_a_file() {
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let targets = text
            .split("](")
            .skip(1)
            .chain(text.split("src=\"").skip(1))
            .chain(text.split("srcset=\"").skip(1));
        for target in targets.map(|rest| rest.split([')', '"', '#']).next().unwrap()) {
            if !target.is_empty() && !target.contains("://") {
                let file = page.parent().unwrap().join(target);
                assert!(file.exists(), "{}: {target}", page.display());
            }
        }
    }
}

/// Every setting of the shipped configuration is in the table, and no other.
#[test]
fn the_table_of_settings_is_complete() {
    let page = read("packaging/doc/install.md");
    let table: String = page.lines().filter(|line| line.starts_with("| `[")).collect();
    let mut section = String::new();
    for line in read("packaging/etc/lifecycle-exporter.conf").lines() {
        let line = line.strip_prefix('#').unwrap_or(line);
        if line.starts_with('[') {
            line.clone_into(&mut section);
        } else if let Some((key, _)) = line.split_once(" =").filter(|(key, _)| !key.contains(' ')) {
            let is_scan = section.starts_with("[scan");
            assert!(is_scan || table.contains(key), "{section} {key}");
        }
    }
}

#[test]
fn the_example_of_a_catalog_gives_what_the_page_says() {
    let page = read("packaging/doc/extend.md");
    let catalog = block(&page, "ini", "[system]");
    assert_eq!(catalog, read("packaging/examples/printers.ini"));
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("catalog.d")).unwrap();
    fs::write(directory.path().join("catalog.d/printers.ini"), catalog).unwrap();
    let config = directory.path().join("exporter.conf");
    let line = format!("[systems]\ncatalog_directory = {}/catalog.d\n", directory.path().display());
    fs::write(&config, line).unwrap();
    let events = block(&page, "sh", "check --try");
    let events = events.split("<<'END'\n").nth(1).unwrap().split("END\n").next().unwrap();
    let file = directory.path().join("events.ndjson");
    fs::write(&file, events).unwrap();
    let output = binary().arg("--config").arg(config).args(["check", "--try"]).arg(file).output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    for line in block(&page, "text", "printers_jobs_total").lines().filter(|line| *line != "…") {
        assert!(said.lines().any(|other| other == line), "{line} in {said}");
    }
}

#[test]
fn the_reporter_of_the_page_for_maintainers_reports() {
    if !has_program("python3") {
        return;
    }
    let exporter = Exporter::start("");
    let program = block(&read("packaging/doc/native.md"), "python", "class Reporter");
    let lines = program.lines().count();
    assert!(lines <= 40, "{lines} lines");
    let ending = "while reporter.waiting.qsize(): time.sleep(0.01)\n";
    let mut python = Command::new("python3");
    python.arg("-c").arg(program + ending).env("LIFECYCLE_EVENTS_SOCKET", &exporter.socket);
    support::run(&mut python);
    exporter.wait_for("recording_recordings_current{backend=\"https://cloud.example.com/\"}", 1.0);
}

#[test]
fn the_example_of_an_alert_fires_at_the_first_failure() {
    let examples = root().join("packaging/examples");
    let rule = block(&read("packaging/doc/extend.md"), "yaml", "PrintJobFailed");
    assert_eq!(rule, read("packaging/examples/printers.rules.yml"));
    if has_program("promtool") {
        support::run(
            Command::new("promtool").args(["test", "rules", "printers.test.yml"]).current_dir(examples),
        );
    }
}
