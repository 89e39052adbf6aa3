//! The position file of `follow`: which events of a session are known to lie where in a log. A first line as every file
//! has, then one frame.
//!
//! `follow::position` reads and writes it. A further version gets a further type, as with the other files.

use serde::{Deserialize, Serialize};

/// What the first line calls such a file.
pub(crate) const KIND: &str = "position";

/// How far a log has been read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// What is read, such as `unit ssh.service`. What was kept for another log does not count.
    pub(crate) log: String,
    /// The session that the numbers belong to.
    pub(crate) producer: String,
    pub(crate) instance: String,
    /// The number of the last event before `place`; 0 before the first.
    pub(crate) number: u64,
    /// Where reading goes on if the exporter has that event and no further one.
    pub(crate) place: Place,
    /// The same for each further event that may have been sent.
    pub(crate) places: Vec<Place>,
    /// Events that wait at `place`.
    pub(crate) waiting: Vec<Waiter>,
    /// What has become of these, each with the number of the further event, from 1, behind which it counts.
    pub(crate) changes: Vec<(u32, Change)>,
}

/// An event that waits whether another one comes before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Waiter {
    /// What an event is about that takes its place.
    pub(crate) key: String,
    /// The line of the feed.
    pub(crate) line: String,
    /// How long it waits from when it was read.
    pub(crate) milliseconds: u64,
    /// Up to when it waits by the log's own time, in Unix seconds.
    pub(crate) until: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Change {
    /// It waits from here on, instead of a former one with its key.
    Waits(Waiter),
    /// The one with this key waits no more.
    Ends(String),
}

/// A place between two lines of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Place {
    /// In systemd's journal: behind the entry with this cursor; before the first entry where it is empty.
    Journal(String),
    /// In a file.
    File(FilePlace),
    /// In standard input, where nobody can go back to.
    Input,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FilePlace {
    pub(crate) file: FileMark,
    /// Bytes before it.
    pub(crate) offset: u64,
}

/// By what a file is known again, whatever its name has become.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileMark {
    /// 0: there was no file yet.
    pub(crate) inode: u64,
    /// So many bytes at its beginning, and their CRC-32: an inode is used again, and a copy has another one.
    pub(crate) head_bytes: u32,
    pub(crate) head_crc: u32,
    /// When it was last written as far as it was read, in nanoseconds of Unix time: what was written later is newer.
    pub(crate) modified: i64,
}
