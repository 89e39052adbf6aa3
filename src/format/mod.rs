//! The format on disk: every type that is written, and nothing else. It is a promise (see `v1`).
//!
//! This module knows no type that works with the data. Those that do convert to and from it: `series`,
//! `engine` and `state` in their `persist`. Which files there are, and when they are written, is decided by
//! `journal`.
//!
//! To change the format: copy `v1.rs` to `v2.rs` and change the copy, raise [`VERSION`], write the new version in
//! `state::record` and in each `persist`, let `journal::recover` read each file by the version of its first line,
//! and store an example among the tests (`UPDATE_STORED_STATE=1 cargo test --test stored_state`). `v1.rs` and its
//! example never change.

pub(crate) mod frame;
pub(crate) mod position;
pub(crate) mod v1;

use std::fmt;

use serde::{Deserialize, Serialize};

/// The version that is written. All versions up to it are read.
pub(crate) const VERSION: u32 = 1;

/// The first line of a file of this kind, `journal` or `snapshot`.
pub(crate) fn first_line(kind: &str) -> String {
    format!("lifecycle-exporter {kind} {VERSION}\n")
}

/// What the beginning of a file says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FirstLine {
    /// A version that can be read. The file goes on behind this many bytes.
    Readable { bytes: usize },
    /// A later version wrote it.
    Newer(u32),
    /// The file ends within its first line.
    Torn,
    /// Something else wrote it.
    Foreign,
}

/// More bytes than a first line of any version has.
pub(crate) const FIRST_LINE_BYTES_MAX: usize = 64;

/// Reads the first line of a file of this kind from its first [`FIRST_LINE_BYTES_MAX`] bytes.
pub(crate) fn read_first_line(kind: &str, beginning: &[u8]) -> FirstLine {
    let prefix = format!("lifecycle-exporter {kind} ");
    let Some(end) = memchr::memchr(b'\n', beginning) else {
        let possible = beginning.starts_with(prefix.as_bytes()) || prefix.as_bytes().starts_with(beginning);
        let is_whole = beginning.len() >= FIRST_LINE_BYTES_MAX;
        return if possible && !is_whole { FirstLine::Torn } else { FirstLine::Foreign };
    };
    let version = std::str::from_utf8(&beginning[..end]).ok().and_then(|line| line.strip_prefix(&prefix));
    match version.and_then(|version| version.parse().ok()) {
        Some(1..=VERSION) => FirstLine::Readable { bytes: end + 1 },
        Some(version) if version > VERSION => FirstLine::Newer(version),
        _ => FirstLine::Foreign,
    }
}

/// Bytes that are not what was written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Corrupt(pub(crate) String);

impl fmt::Display for Corrupt {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// The error where a condition does not hold.
pub(crate) fn ensure(holds: bool, expected: &str) -> Result<(), Corrupt> {
    if holds { Ok(()) } else { Err(Corrupt(format!("expected {expected}"))) }
}

/// Appends a value.
pub(crate) fn put(out: &mut Vec<u8>, value: &impl Serialize) {
    postcard::to_io(value, out).expect("memory takes every value whose length is known");
}

/// Reads one value and nothing behind it.
pub(crate) fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Corrupt> {
    let mut reader = Reader::new(bytes);
    let value = reader.take()?;
    reader.end()?;
    Ok(value)
}

/// Reads values in the order in which they were put.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    /// The next value.
    pub(crate) fn take<T: Deserialize<'a>>(&mut self) -> Result<T, Corrupt> {
        let (value, rest) = postcard::take_from_bytes(self.rest)
            .map_err(|error| Corrupt(format!("expected a {}: {error}", std::any::type_name::<T>())))?;
        self.rest = rest;
        Ok(value)
    }

    /// There is nothing behind the last value.
    pub(crate) fn end(&self) -> Result<(), Corrupt> {
        ensure(self.rest.is_empty(), "nothing behind the last value")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_says_who_can_read_a_file() {
        let cases: [(&[u8], FirstLine); 8] = [
            (b"lifecycle-exporter journal 1\nrest", FirstLine::Readable { bytes: 29 }),
            (b"lifecycle-exporter journal 2\nrest", FirstLine::Newer(2)),
            (b"lifecycle-exporter journal 10", FirstLine::Torn),
            (b"lifecycle-exp", FirstLine::Torn),
            (b"", FirstLine::Torn),
            (b"lifecycle-exporter snapshot 1\n", FirstLine::Foreign),
            (b"lifecycle-exporter journal 0\n", FirstLine::Foreign),
            (b"garbage\n", FirstLine::Foreign),
        ];
        for (bytes, expected) in cases {
            assert_eq!(read_first_line("journal", bytes), expected, "{bytes:?}");
        }
        assert_eq!(
            read_first_line("journal", first_line("journal").as_bytes()),
            FirstLine::Readable { bytes: 29 }
        );
    }
}
