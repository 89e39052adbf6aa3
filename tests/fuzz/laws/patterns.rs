//! Patterns and a log. The lines up to an empty one are the patterns of `[line]` sections, the rest is the log, after
//! one byte that says in which pieces it is read.
//!
//! The law: patterns that are taken find in a log, however it is read, what they find in each of its lines alone; and
//! what they find is a line of the feed.

use lifecycle_exporter::internals::fuzz::{Patterns, split};

const CATALOG: &str = "[system]\nname = t\ntitle = T\n[metric t_total]\ntype = counter\nhelp = Total\nlabels = a, b\n\
                       [event t.on]\noptional = a, b\ninc = t_total\n";
const PATTERNS_MAX: usize = 8;

pub(crate) fn check(bytes: &[u8]) {
    let end = bytes.windows(2).position(|two| two == b"\n\n").unwrap_or(bytes.len());
    let (patterns, rest) = bytes.split_at(end);
    let Ok(patterns) = std::str::from_utf8(patterns) else { return };
    let mut catalog = CATALOG.to_owned();
    for (number, pattern) in patterns.lines().take(PATTERNS_MAX).enumerate() {
        let event = if number % 3 == 2 { "" } else { "t.on" };
        catalog += &format!("[line l{number}]\nmatch = {pattern}\nevent = {event}\n");
    }
    let Ok(patterns) = Patterns::read(&catalog) else { return };
    let Some((piece, log)) = rest.get(2..).and_then(<[u8]>::split_first) else { return };
    let (mut at, mut expected) = (0, Vec::new());
    for line in log.split_inclusive(|byte| *byte == b'\n') {
        at += line.len() as u64;
        expected.extend(patterns.find(line).flatten().map(|event| (event, at)));
    }
    assert_eq!(patterns.events(log, usize::from(*piece) + 1), expected);
    for (event, _) in expected {
        let line = split(&event).expect("an event is a line of the feed");
        assert!(line.event.is_some() && line.fields.len() <= 2, "{event}");
    }
}
