//! The hot path by itself, for a profiler: `hot_path PART COUNT [SYSTEM]` does one part so many times, in this
//! process, with the busy mix or that of a system. Instructions are counted from outside, as differences of runs;
//! `make` is what making the lines takes.

#![allow(clippy::unwrap_used, clippy::format_collect, reason = "a program for a terminal")]

mod mix;
mod serde_split;

use std::hint::black_box;

use lifecycle_exporter::internals::{Bench, Splitter};

/// Bytes of one block, as one read brings them.
const BLOCK_BYTES: usize = 65_536;

fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let (Some(part), Some(count)) = (args.next(), args.next().and_then(|count| count.parse().ok())) else {
        return;
    };
    match part.as_str() {
        "make" => drop(black_box(text(count, args.next()))),
        "parse" => parse(&text(count, args.next())),
        "parse-serde" => parse_serde(&text(count, args.next())),
        "apply" => apply(&text(count, args.next())),
        "render" => render(count),
        "churn" => churn(count),
        other => panic!("{other}: expected make, parse, parse-serde, apply, render or churn"),
    }
}

/// The lines of a text, found as the feed finds them.
fn lines_of(text: &str) -> impl Iterator<Item = &str> {
    let mut start = 0;
    memchr::memchr_iter(b'\n', text.as_bytes()).map(move |end| {
        let line = &text[start..end];
        start = end + 1;
        line
    })
}

/// So many events of a system, or of the busy mix.
fn text(events: usize, system: Option<String>) -> String {
    match system {
        None => mix::lines(events, 1_000).concat(),
        Some(system) => mix::lifecycles(&system, events).concat(),
    }
}

/// Splits lines into fields.
fn parse(mut text: &str) {
    let mut splitter = Splitter::default();
    while !text.is_empty() {
        text = &text[splitter.split(text)..];
        black_box(&splitter);
    }
}

/// Splits the same lines with `serde_json`.
fn parse_serde(text: &str) {
    let mut splitter = serde_split::SerdeSplitter::default();
    for line in lines_of(text) {
        splitter.split(line);
        black_box(&splitter);
    }
}

fn opened() -> Bench {
    let mut bench = Bench::new();
    bench.apply(mix::NOW, mix::opening().as_bytes());
    bench
}

/// Applies lines block by block.
fn apply(text: &str) {
    let mut bench = opened();
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        let most = rest.len().min(BLOCK_BYTES);
        let end = memchr::memrchr(b'\n', &rest[..most]).map_or(rest.len(), |end| end + 1);
        bench.apply(mix::NOW, &rest[..end]);
        rest = &rest[end..];
    }
    black_box(&bench);
}

/// Shows ten thousand series so many times.
fn render(scrapes: usize) {
    let mut bench = opened();
    let lines: String = (0..10_000).map(|index| mix::message(index, 0)).collect();
    bench.apply(mix::NOW, lines.as_bytes());
    let mut text = Vec::new();
    // The first one sorts.
    for _ in 0..=scrapes {
        text.clear();
        bench.render(mix::NOW, &mut text);
    }
    black_box(&text);
}

/// Shows ten thousand series so many times; a hundred more appear before each scrape.
fn churn(scrapes: usize) {
    let mut bench = opened();
    // Spread over the others, as new labels are.
    let spread = |index: usize| mix::message(index * 7_919 % 1_000_000, 0);
    let lines: String = (0..10_000).map(spread).collect();
    bench.apply(mix::NOW, lines.as_bytes());
    let mut text = Vec::new();
    for scrape in 0..=scrapes {
        let first = 10_000 + 100 * scrape;
        let lines: String = (first..first + 100).map(spread).collect();
        bench.apply(mix::NOW, lines.as_bytes());
        text.clear();
        bench.render(mix::NOW, &mut text);
    }
    black_box(&text);
}
