//! Splits what is read from a log into whole lines, and knows where in the log each ends. A line that is too long is
//! cut: its beginning is kept until its end has come, so it counts as one line, whatever is read at once.

use memchr::{memchr, memrchr};

use crate::limits;

#[derive(Debug, Default)]
pub(crate) struct LineBuffer {
    /// The line in progress.
    bytes: Vec<u8>,
    /// Where in the log it begins.
    start: u64,
    /// Bytes of it that are passed over, behind `bytes`.
    cut: u64,
}

impl LineBuffer {
    /// One that begins here in the log.
    pub(crate) fn at(start: u64) -> Self {
        LineBuffer { start, ..Self::default() }
    }

    /// Up to where the log has been read.
    pub(crate) fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64 + self.cut
    }

    /// Takes what was read next, and calls `lines` with the whole lines in it and a function that tells where in the
    /// log so many of their bytes end.
    pub(crate) fn take<E>(
        &mut self,
        mut new: &[u8],
        mut lines: impl FnMut(&[u8], &dyn Fn(usize) -> u64) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.cut > 0 {
            let Some(end) = memchr(b'\n', new) else {
                self.cut += new.len() as u64;
                return Ok(());
            };
            self.cut += end as u64 + 1;
            new = &new[end + 1..];
            self.finish(&mut lines)?;
        }
        let whole = memrchr(b'\n', new).map_or(0, |end| end + 1);
        if whole > 0 && self.bytes.is_empty() {
            let start = self.start;
            lines(&new[..whole], &|end| start + end as u64)?;
            self.start += whole as u64;
        } else if whole > 0 {
            self.bytes.extend_from_slice(&new[..whole]);
            let start = self.start;
            lines(&self.bytes, &|end| start + end as u64)?;
            self.start += self.bytes.len() as u64;
            self.bytes.clear();
        }
        self.bytes.extend_from_slice(&new[whole..]);
        self.cut = self.bytes.len().saturating_sub(limits::LOG_LINE_BYTES_MAX) as u64;
        self.bytes.truncate(limits::LOG_LINE_BYTES_MAX);
        Ok(())
    }

    /// The log has ended: what is left is a line, too.
    pub(crate) fn finish<E>(
        &mut self,
        mut lines: impl FnMut(&[u8], &dyn Fn(usize) -> u64) -> Result<(), E>,
    ) -> Result<(), E> {
        let end = self.end();
        if !self.bytes.is_empty() {
            lines(&self.bytes, &|_| end)?;
        }
        *self = Self::at(end);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of a log that is read in pieces of this size, cut to 3 characters, each with its end.
    fn read(log: &[u8], piece: usize) -> Vec<(String, u64)> {
        let (mut buffer, mut found) = (LineBuffer::at(100), Vec::new());
        let mut lines = |lines: &[u8], place: &dyn Fn(usize) -> u64| -> Result<(), ()> {
            let mut end = 0;
            for line in lines.split_inclusive(|byte| *byte == b'\n') {
                end += line.len();
                let text = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(line))
                    .chars()
                    .take(3)
                    .collect();
                found.push((text, place(end)));
            }
            Ok(())
        };
        for new in log.chunks(piece) {
            buffer.take(new, &mut lines).unwrap();
            assert!(buffer.bytes.capacity() <= 2 * (limits::LOG_LINE_BYTES_MAX + piece));
        }
        buffer.finish(&mut lines).unwrap();
        assert_eq!(buffer.end(), 100 + log.len() as u64);
        found
    }

    #[test]
    fn lines_are_the_same_however_they_are_read() {
        let line = |text: &str, end| (text.to_owned(), end);
        for piece in 1..10 {
            assert_eq!(
                read(b"abc\n\nde\nfg", piece),
                [line("abc", 104), line("", 105), line("de", 108), line("fg", 110)]
            );
        }
        let log = ["a\n", &"x".repeat(10 << 20), "\nb\n"].concat();
        let long = 100 + 2 + (10 << 20) + 1;
        for piece in [1_000, 65_536, 65_537, 300_000] {
            assert_eq!(read(log.as_bytes(), piece), [line("a", 102), line("xxx", long), line("b", long + 2)]);
        }
    }
}
