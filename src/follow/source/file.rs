//! Lines of a file that is followed by its name, over rotation by rename, by copy and truncation, and by deletion.
//!
//! The file in hand is read to its end. It is left for the next one when the log's name has come to stand for another
//! file that holds something: until then whoever writes may still write to the one in hand. Where a log was truncated,
//! what had not been read of it is read in the copy that rotation has made.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use super::super::batch::{Gatherer, Stop};
use super::super::line_buffer::LineBuffer;
use super::rotation::{Folder, begins_as, mark, modified};
use crate::format::position::{FileMark, FilePlace, Place};
use crate::{limits, regular_file};

/// Where a log begins to be read that was not read before. It need not be there yet, nor hold anything.
pub(in crate::follow) fn start(path: &Path, from_start: bool) -> Result<FilePlace, String> {
    let fail = |error: io::Error| {
        format!("{}: {error}; expected a regular file that this user can read", path.display())
    };
    let file = match regular_file::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(nothing_yet()),
        opened => opened.map_err(fail)?,
    };
    let mark = mark(&file).map_err(fail)?;
    if mark.head_bytes == 0 {
        return Ok(nothing_yet());
    }
    let offset = if from_start { 0 } else { last_line_end(&file).map_err(fail)? };
    Ok(FilePlace { file: mark, offset })
}

/// Before all that is written from now on. A file without content is none yet: nothing tells it from another.
fn nothing_yet() -> FilePlace {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos() as i64);
    FilePlace { file: FileMark { modified: now, ..FileMark::default() }, offset: 0 }
}

/// Behind the last line that is whole: one that is being written counts when it is.
fn last_line_end(file: &File) -> io::Result<u64> {
    let end = file.metadata()?.len();
    let start = end.saturating_sub(limits::LOG_LINE_BYTES_MAX as u64);
    let mut tail = vec![0; (end - start) as usize];
    let count = file.read_at(&mut tail, start)?;
    Ok(memchr::memrchr(b'\n', &tail[..count]).map_or(start, |last| start + last as u64 + 1))
}

/// Follows a log from a place, for ever.
pub(in crate::follow) fn follow(path: &Path, from: &FilePlace, out: &mut Gatherer) -> Result<(), Stop> {
    let mut tail = Tail::open(path, from);
    let mut read = vec![0; limits::LOG_READ_BYTES];
    loop {
        if tail.advance(&mut read, out)? {
            continue;
        }
        out.pause()?;
        thread::sleep(limits::FOLLOW_POLL);
    }
}

struct Tail<'a> {
    path: &'a Path,
    /// `None`: there is none yet, or it is empty.
    file: Option<File>,
    mark: FileMark,
    buffer: LineBuffer,
    /// Whether it was said that the log cannot be opened.
    said: bool,
}

impl<'a> Tail<'a> {
    fn open(path: &'a Path, from: &FilePlace) -> Self {
        let mut tail = Tail { path, file: None, mark: from.file, buffer: LineBuffer::default(), said: false };
        let shown = path.display();
        if from.file.head_bytes == 0 {
            return tail;
        }
        if let Some((found, file)) = find(path, from) {
            if found != path {
                log::info!("{shown} was rotated: going on in {}", found.display());
            }
            tail.buffer = LineBuffer::at(from.offset);
            tail.take(file);
            return tail;
        }
        log::warn!(
            "{shown}: the file in which reading ended at byte {} is gone; what was written to it since then is lost; \
             going on with what is newer",
            from.offset
        );
        // By now another file may have its inode.
        tail.mark.inode = 0;
        tail
    }

    /// Goes on with this file.
    fn take(&mut self, file: File) {
        self.mark = mark(&file).unwrap_or(self.mark);
        self.file = Some(file);
    }

    /// Reads on, or finds out what has become of the log. Returns whether there may be more at once.
    fn advance(&mut self, read: &mut [u8], out: &mut Gatherer) -> Result<bool, Stop> {
        let Some(file) = &self.file else { return Ok(self.go_to_next()) };
        let Ok(size) = file.metadata().map(|found| found.len()) else { return Ok(false) };
        let end = self.buffer.end();
        if size < end || (size > end && !begins_as(file, &self.mark)) {
            self.look_for_copy(out)?;
            return Ok(true);
        }
        if size == end {
            return self.leave(read, out);
        }
        match file.read_at(read, end) {
            Ok(count) => {
                self.refresh_mark();
                let mark = self.mark;
                self.buffer
                    .take(&read[..count], |lines, end| out.lines(lines, |bytes| place(mark, end(bytes))))?;
                Ok(count > 0)
            }
            Err(error) => {
                log::warn!("{}: {error}; trying again", self.path.display());
                thread::sleep(limits::FOLLOW_RETRY);
                Ok(false)
            }
        }
    }

    /// Its beginning may have been shorter before, and was written earlier.
    fn refresh_mark(&mut self) {
        let Some(file) = &self.file else { return };
        if (self.mark.head_bytes as usize) < limits::FILE_HEAD_BYTES {
            self.mark = mark(file).unwrap_or(self.mark);
        } else if let Ok(metadata) = file.metadata() {
            self.mark.modified = modified(&metadata);
        }
    }

    /// The file in hand has been read. Goes on with the next one, if there is one by now.
    fn leave(&mut self, read: &mut [u8], out: &mut Gatherer) -> Result<bool, Stop> {
        let live = fs::metadata(self.path).ok();
        let is_live = live.as_ref().is_some_and(|live| live.ino() == self.mark.inode);
        let has_next = || {
            live.is_some_and(|live| live.len() > 0)
                || Folder::of(self.path).next_after(&self.mark).0.is_some()
        };
        if is_live || !has_next() {
            return Ok(false);
        }
        // What was written to it before the other one was begun.
        let size = self.file.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |found| found.len());
        if size > self.buffer.end() {
            return self.advance(read, out);
        }
        self.finish(out)?;
        Ok(self.go_to_next())
    }

    /// Without the end of its line, the last one of a file is a line, too.
    fn finish(&mut self, out: &mut Gatherer) -> Result<(), Stop> {
        let mark = self.mark;
        self.buffer.finish(|lines, end| out.lines(lines, |bytes| place(mark, end(bytes))))
    }

    /// The file was truncated. What had not been read of it may be in a copy.
    fn look_for_copy(&mut self, out: &mut Gatherer) -> Result<(), Stop> {
        let (shown, offset) = (self.path.display(), self.buffer.end());
        let former = FileMark { inode: 0, ..self.mark };
        if let Some((copy, file)) = find(self.path, &FilePlace { file: former, offset }) {
            log::info!("{shown} was truncated: reading the rest of it in {}", copy.display());
            self.take(file);
            return Ok(());
        }
        log::info!(
            "{shown} was truncated, and no copy of it lies beside it: what was written behind byte {offset} before \
             that is lost"
        );
        self.finish(out)?;
        self.file = None;
        self.mark = FileMark { inode: 0, ..self.mark };
        Ok(())
    }

    /// Goes on with the oldest file that is newer than the one in hand. Returns whether there is one.
    fn go_to_next(&mut self) -> bool {
        let (rotated, lost) = Folder::of(self.path).next_after(&self.mark);
        for (path, modified) in lost {
            log::warn!(
                "{}: was rotated and compressed before it was read; its lines are lost",
                path.display()
            );
            // This is said once.
            self.mark = FileMark { modified, ..FileMark::default() };
        }
        let is_live = rotated.is_none();
        let next = rotated.unwrap_or_else(|| self.path.to_owned());
        let opened = regular_file::open(&next).and_then(|file| mark(&file).map(|mark| (file, mark)));
        let (file, mark) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                self.say(&next, &error);
                return false;
            }
        };
        // The log may have been rotated between the two looks; then there is a rotated file to be read before.
        let is_overtaken = is_live && Folder::of(self.path).next_after(&self.mark).0.is_some();
        if mark.head_bytes == 0 || is_overtaken {
            return is_overtaken;
        }
        log::info!("reading {}", next.display());
        (self.said, self.buffer) = (false, LineBuffer::default());
        (self.file, self.mark) = (Some(file), mark);
        true
    }

    fn say(&mut self, path: &Path, error: &io::Error) {
        if !std::mem::replace(&mut self.said, true) {
            log::warn!("{}: {error}; waiting for it", path.display());
        }
    }
}

/// The file with this place. A rotation may change all names while they are looked at, so there is a second look.
fn find(path: &Path, place: &FilePlace) -> Option<(PathBuf, File)> {
    Folder::of(path).find(place).or_else(|| Folder::of(path).find(place))
}

fn place(file: FileMark, offset: u64) -> Place {
    Place::File(FilePlace { file, offset })
}
