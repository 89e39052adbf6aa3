//! Entries of systemd's journal, as `journalctl` prints them. Its cursors say where reading goes on; it reads over
//! rotation, and over restarts of journald and of the machine.
//!
//! Two habits of `journalctl` shape this. With `--follow` it shows entries of the present boot alone, so what there is
//! is read without it first: no entry of a former boot comes later. With `--after-cursor` some versions pass over the
//! first entry of a unit if the cursor is of another one, so reading begins at the cursor with `--cursor`, and the entry
//! that has been read is passed over here.

use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::thread;

use serde::Deserialize;

use super::super::batch::{Gatherer, Stop};
use super::wait;
use crate::format::position::Place;
use crate::limits;

/// What is used of an entry.
#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "__CURSOR")]
    cursor: String,
    /// Microseconds of Unix time.
    #[serde(rename = "__REALTIME_TIMESTAMP")]
    time: String,
    #[serde(rename = "MESSAGE", default)]
    message: Message,
}

/// Text is a string; what is no UTF-8, or has control characters, a list of bytes. Several are a list of these.
#[derive(Deserialize, Default)]
#[serde(untagged)]
enum Message {
    Text(String),
    Bytes(Vec<u8>),
    Several(Vec<Message>),
    #[default]
    None,
}

impl Message {
    fn bytes(&self) -> &[u8] {
        match self {
            Message::Text(text) => text.as_bytes(),
            Message::Bytes(bytes) => bytes,
            Message::Several(several) => several.first().map_or(&[], Message::bytes),
            Message::None => &[],
        }
    }
}

impl Entry {
    /// Unix seconds.
    fn seconds(&self) -> String {
        let (seconds, micros) = self.time.split_at(self.time.len().saturating_sub(6));
        format!("{}.{micros}", if seconds.is_empty() { "0" } else { seconds })
    }
}

fn journalctl(arguments: &[&str]) -> Command {
    let mut command = Command::new("journalctl");
    command.args(["--output=json", "--output-fields=MESSAGE", "--all"]).args(arguments).stdin(Stdio::null());
    command
}

fn cannot_start(error: &io::Error) -> String {
    format!("journalctl: {error}; expected systemd's journalctl")
}

/// The first entry that `journalctl` prints with these arguments, whatever unit it is of.
fn first_entry(arguments: &[&str]) -> Result<Option<Entry>, String> {
    let output = journalctl(arguments).arg("--lines=1").output().map_err(|error| cannot_start(&error))?;
    if !output.status.success() {
        return Err(format!("journalctl: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    let line = output.stdout.split(|byte| *byte == b'\n').find(|line| line.starts_with(b"{"));
    line.map(|line| serde_json::from_slice(line).map_err(|error| format!("journalctl: {error}"))).transpose()
}

/// Where a journal begins to be read that was not read before: its start, or behind its last entry.
pub(in crate::follow) fn start(from_start: bool) -> Result<String, String> {
    let last = if from_start { None } else { first_entry(&[])? };
    Ok(last.map(|entry| entry.cursor).unwrap_or_default())
}

/// Reads all entries of a unit that there are. Returns each line that `journalctl` prints.
pub(in crate::follow) fn entries(unit: &str) -> Result<impl Iterator<Item = (Vec<u8>, String)>, String> {
    let mut child =
        journalctl(&["--unit", unit]).stdout(Stdio::piped()).spawn().map_err(|error| cannot_start(&error))?;
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = Vec::new();
    Ok(std::iter::from_fn(move || {
        while matches!(read_line(&mut lines, &mut line), Ok(true)) {
            if let Ok(entry) = serde_json::from_slice::<Entry>(&line) {
                return Some((entry.message.bytes().to_vec(), entry.seconds()));
            }
        }
        let _ = child.wait();
        None
    }))
}

/// Follows the journal of a unit from behind this cursor, for ever.
pub(in crate::follow) fn follow(unit: &str, cursor: &str, out: &mut Gatherer) -> Result<(), Stop> {
    let mut cursor = cursor.to_owned();
    loop {
        let why = match read_on(unit, &mut cursor, out) {
            Ok(()) => "the exporter was away".to_owned(),
            Err(Ending::Broken(why)) => why,
            Err(Ending::Stop(stop)) => return Err(stop),
        };
        log::warn!("{why}; reading on behind the last entry");
        thread::sleep(limits::FOLLOW_RETRY);
    }
}

/// Why reading ends.
enum Ending {
    Stop(Stop),
    /// It can go on.
    Broken(String),
}

impl From<Stop> for Ending {
    fn from(stop: Stop) -> Self {
        Ending::Stop(stop)
    }
}

/// Reads what there is, then what comes, until the exporter has been away for long.
fn read_on(unit: &str, cursor: &mut String, out: &mut Gatherer) -> Result<(), Ending> {
    say_what_is_lost(cursor)?;
    for follows in [false, true] {
        let from = (!cursor.is_empty()).then(|| format!("--cursor={cursor}"));
        let mut command = journalctl(if follows { &["--follow", "--no-tail"] } else { &["--quiet"] });
        let child = command.args(["--unit", unit]).args(from).stdout(Stdio::piped()).spawn();
        let mut child = child.map(Reading).map_err(|error| Stop::Failed(cannot_start(&error)))?;
        if !read(&mut child.0, cursor, out)? {
            break;
        }
        let status = child.0.wait().map_err(|error| Ending::Broken(format!("journalctl: {error}")))?;
        if follows || !status.success() {
            return Err(Ending::Broken(format!("journalctl has ended: {status}")));
        }
    }
    Ok(())
}

/// A running `journalctl`. It ends when nobody reads it any more.
struct Reading(Child);

impl Drop for Reading {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Reads what `journalctl` prints. Returns whether that was read to its end: it is not if the exporter is away for long.
fn read(child: &mut Child, cursor: &mut String, out: &mut Gatherer) -> Result<bool, Ending> {
    let mut lines = BufReader::with_capacity(limits::LOG_READ_BYTES, child.stdout.take().expect("a pipe"));
    let mut line = Vec::new();
    let mut is_first = true;
    loop {
        if !lines.buffer().contains(&b'\n') {
            wait(lines.get_ref().as_fd(), out)?;
        }
        if !read_line(&mut lines, &mut line)
            .map_err(|error| Ending::Broken(format!("journalctl: {error}")))?
        {
            break;
        }
        match serde_json::from_slice::<Entry>(&line) {
            Ok(entry) if std::mem::take(&mut is_first) && is_same(&entry.cursor, cursor) => {}
            Ok(entry) => {
                let (text, time) = (entry.message.bytes(), entry.seconds());
                out.entry(text, &time, Place::Journal(entry.cursor.clone()))?;
                *cursor = entry.cursor;
            }
            Err(error) => log::warn!("journalctl: an entry is passed over: {error}"),
        }
        if !lines.buffer().contains(&b'\n') {
            out.pause()?;
        }
        if out.take_waited() > limits::JOURNAL_PAUSE_MAX {
            return Ok(false);
        }
    }
    out.pause()?;
    Ok(true)
}

/// Reads a line. One that is too long is cut. Returns whether there was one.
fn read_line(lines: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let most = limits::JOURNAL_ENTRY_BYTES_MAX as u64;
    let count = lines.by_ref().take(most).read_until(b'\n', line)?;
    if count as u64 == most && line.last() != Some(&b'\n') {
        while !skip_line(lines)? {}
    }
    Ok(count > 0)
}

/// Passes over what is buffered, at most to the end of the line. Returns whether that has come.
fn skip_line(lines: &mut impl BufRead) -> io::Result<bool> {
    let buffer = lines.fill_buf()?;
    let end = memchr::memchr(b'\n', buffer);
    let (count, is_end) = (end.map_or(buffer.len(), |end| end + 1), end.is_some() || buffer.is_empty());
    lines.consume(count);
    Ok(is_end)
}

/// Says so if the journal does not have the entry any more behind which reading goes on. Where it cannot go on there,
/// it goes on at the end.
fn say_what_is_lost(cursor: &mut String) -> Result<(), Ending> {
    if cursor.is_empty() {
        return Ok(());
    }
    match first_entry(&[&format!("--cursor={cursor}"), "--quiet"]) {
        Ok(Some(entry)) if is_same(&entry.cursor, cursor) => {}
        Ok(found) => {
            let count = match found.and_then(|entry| between(cursor, &entry.cursor)) {
                Some(0) => return Ok(()),
                Some(count) => format!("at most {count}"),
                None => "an unknown number of".to_owned(),
            };
            log::warn!(
                "the journal no longer has the entry at which reading ended, {cursor}: {count} entries of all units are lost"
            );
        }
        Err(why) if why.contains(UNKNOWN_CURSOR) => {
            let end = start(false).map_err(Stop::Failed)?;
            log::warn!(
                "starting anew at the end of the journal: it does not know the cursor {cursor}: {why}"
            );
            *cursor = end;
        }
        Err(why) => return Err(Ending::Broken(why)),
    }
    Ok(())
}

/// What `journalctl` says where it takes a text for no cursor. Other failures pass.
const UNKNOWN_CURSOR: &str = "seek to cursor";

/// Whether two cursors are those of one entry. It gets another number when journald moves it from /run to the disk.
fn is_same(one: &str, other: &str) -> bool {
    let split = |cursor| str::split_once(cursor, ";b=");
    let (Some((one_number, one_rest)), Some((other_number, other_rest))) = (split(one), split(other)) else {
        return one == other;
    };
    one_rest == other_rest && (one_number == other_number || numbers(one_number).0 != numbers(other_number).0)
}

/// The number of an entry and of the numbering that it belongs to.
fn numbers(cursor: &str) -> (Option<&str>, Option<u64>) {
    let part = |name: &str| cursor.split(';').find_map(|part| part.strip_prefix(name));
    (part("s="), part("i=").and_then(|number| u64::from_str_radix(number, 16).ok()))
}

/// How many entries were between these two; `None` if they are not numbered together.
fn between(former: &str, later: &str) -> Option<u64> {
    let ((numbering, former), (other, later)) = (numbers(former), numbers(later));
    later?.checked_sub(former? + 1).filter(|_| numbering == other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_have_text_bytes_or_nothing() {
        for (message, expected) in [
            (r#""MESSAGE":"a b","#, "a b"),
            (r#""MESSAGE":[97,27,98],"#, "a\x1bb"),
            (r#""MESSAGE":["a","b"],"#, "a"),
            (r#""MESSAGE":[[97],[98]],"#, "a"),
            (r#""MESSAGE":null,"#, ""),
            ("", ""),
        ] {
            let json = format!(
                r#"{{{message}"__CURSOR":"c","__REALTIME_TIMESTAMP":"1790000001997000","_BOOT_ID":"b"}}"#
            );
            let entry: Entry = serde_json::from_str(&json).unwrap();
            assert_eq!(entry.message.bytes(), expected.as_bytes(), "{message}");
            assert_eq!(entry.seconds(), "1790000001.997000");
        }
    }

    #[test]
    fn what_lies_between_two_cursors_is_counted() {
        assert_eq!(between("s=a;i=7cb;b=x", "s=a;i=7d0;b=x"), Some(4));
        assert_eq!(between("s=a;i=7cb;b=x", "s=b;i=7d0;b=x"), None);
        assert_eq!(between("s=a;i=7d0;b=x", "s=a;i=7cb;b=x"), None);
        assert_eq!(between("nonsense", "s=a;i=1"), None);
    }

    #[test]
    fn an_entry_is_the_same_wherever_the_journal_keeps_it() {
        let read = "s=a;i=7cb;b=x;m=1;t=2;x=3";
        for (cursor, expected) in [
            (read, true),
            ("s=b;i=1;b=x;m=1;t=2;x=3", true),
            ("s=b;i=1;b=x;m=1;t=2;x=4", false),
            ("s=a;i=7cc;b=x;m=1;t=2;x=3", false),
            ("nonsense", false),
        ] {
            assert_eq!(is_same(cursor, read), expected, "{cursor}");
        }
    }

    #[test]
    fn an_entry_without_end_is_passed_over() {
        let text = format!("{{}}\n{}\n{{}}\n", "x".repeat(limits::JOURNAL_ENTRY_BYTES_MAX + 100_000));
        let (mut lines, mut line, mut lengths) = (BufReader::new(text.as_bytes()), Vec::new(), Vec::new());
        while read_line(&mut lines, &mut line).unwrap() {
            lengths.push(line.len());
        }
        assert_eq!(lengths, [3, limits::JOURNAL_ENTRY_BYTES_MAX, 3]);
    }
}
