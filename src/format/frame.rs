//! Frames: pieces of a file that tell by themselves whether they are whole.
//!
//! A frame is a mark of four bytes, the length of its payload and its payload's CRC-32 (both 32 bits,
//! little-endian), and the payload, which is never empty. The mark is there to find out whether anything good
//! stands behind damage.

use std::io::{self, Read};

pub(crate) const MARK: &[u8; 4] = b"\xf5LX\xfa";
pub(crate) const HEAD_BYTES: usize = 12;
/// No frame is longer; a length beyond it is damage.
const PAYLOAD_BYTES_MAX: usize = 1 << 30;

/// Appends one frame whose payload `write` appends.
pub(crate) fn push(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(MARK);
    out.extend_from_slice(&[0; HEAD_BYTES - 4]);
    write(out);
    let payload = &out[start + HEAD_BYTES..];
    let (length, sum) = (payload.len() as u32, crc32fast::hash(payload));
    out[start + 4..start + 8].copy_from_slice(&length.to_le_bytes());
    out[start + 8..start + HEAD_BYTES].copy_from_slice(&sum.to_le_bytes());
}

/// What stands next in a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next<'a> {
    /// The payload of a good frame.
    Payload(&'a [u8]),
    /// The end of the file, right behind a good frame.
    End,
    /// What stands here is no frame, and no good frame stands behind it: the file was cut off within its last
    /// frame, or that frame is damaged.
    Torn,
    /// What stands here is no frame, but good frames stand behind it.
    Damaged,
}

/// Reads frames one after the other.
pub(crate) struct Frames<R> {
    source: R,
    /// Bytes up to the end of the latest good frame.
    good: u64,
    payload: Vec<u8>,
}

impl<R: Read> Frames<R> {
    /// `read` bytes of the file have been read.
    pub(crate) fn new(source: R, read: u64) -> Self {
        Frames { source, good: read, payload: Vec::new() }
    }

    /// Bytes up to the end of the latest good frame.
    pub(crate) fn good(&self) -> u64 {
        self.good
    }

    /// The next frame. After anything but a payload there is no more.
    pub(crate) fn next(&mut self) -> io::Result<Next<'_>> {
        let mut head = Vec::with_capacity(HEAD_BYTES);
        self.source.by_ref().take(HEAD_BYTES as u64).read_to_end(&mut head)?;
        if head.is_empty() {
            return Ok(Next::End);
        }
        self.payload.clear();
        if let Some((length, sum)) = read_head(&head) {
            self.source.by_ref().take(length as u64).read_to_end(&mut self.payload)?;
            if self.payload.len() == length && crc32fast::hash(&self.payload) == sum {
                self.good += (HEAD_BYTES + length) as u64;
                return Ok(Next::Payload(&self.payload));
            }
        }
        // What was read as a payload may hold good frames: a damaged length hides where they begin.
        let mut rest = head;
        rest.append(&mut self.payload);
        self.source.read_to_end(&mut rest)?;
        let damaged = holds_frame(&rest[1..]);
        Ok(if damaged { Next::Damaged } else { Next::Torn })
    }
}

/// Length and sum.
fn read_head(head: &[u8]) -> Option<(usize, u32)> {
    let rest = head.strip_prefix(MARK)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (sum, _) = rest.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length) as usize;
    (1..=PAYLOAD_BYTES_MAX).contains(&length).then_some((length, u32::from_le_bytes(*sum)))
}

/// Whether a good frame stands anywhere in these bytes. What was planted to look like many takes no more than
/// a few times as long as reading it; then there may be one.
fn holds_frame(bytes: &[u8]) -> bool {
    let mut budget = bytes.len() * 4;
    for at in memchr::memmem::find_iter(bytes, MARK) {
        let Some((length, sum)) = read_head(&bytes[at..]) else { continue };
        let Some(payload) = bytes.get(at + HEAD_BYTES..at + HEAD_BYTES + length) else { continue };
        if length > budget || crc32fast::hash(payload) == sum {
            return true;
        }
        budget -= length;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(payloads: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Vec::new();
        for payload in payloads {
            push(&mut out, |out| out.extend_from_slice(payload));
        }
        out
    }

    /// The payloads and how the file ends.
    fn read(bytes: &[u8]) -> (Vec<Vec<u8>>, String, u64) {
        let (mut frames, mut payloads) = (Frames::new(bytes, 0), Vec::new());
        loop {
            match frames.next().unwrap() {
                Next::Payload(payload) => payloads.push(payload.to_vec()),
                end => {
                    let end = format!("{end:?}");
                    return (payloads, end, frames.good());
                }
            }
        }
    }

    fn payloads() -> impl Strategy<Value = Vec<Vec<u8>>> {
        prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 1..6)
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(payloads in payloads()) {
            let bytes = file(&payloads);
            prop_assert_eq!(read(&bytes), (payloads, "End".to_owned(), bytes.len() as u64));
        }

        #[test]
        fn a_cut_file_is_torn_and_keeps_its_whole_frames(payloads in payloads(), cut in any::<prop::sample::Index>(), zeros in 0_usize..20) {
            let whole = file(&payloads);
            let cut = cut.index(whole.len());
            let mut bytes = whole[..cut].to_vec();
            bytes.extend(vec![0; zeros]);
            let (read, end, good) = read(&bytes);
            prop_assert!(payloads.starts_with(&read));
            prop_assert_eq!(end == "End", good == bytes.len() as u64);
            prop_assert!(end != "Damaged" && file(&read).len() as u64 == good);
        }

        #[test]
        fn a_changed_byte_is_found(payloads in payloads(), at in any::<prop::sample::Index>(), change in 1_u8..) {
            let mut bytes = file(&payloads);
            let at = at.index(bytes.len());
            bytes[at] ^= change;
            let (read, end, good) = read(&bytes);
            prop_assert!(payloads.starts_with(&read) && read.len() < payloads.len(), "{}", end);
            prop_assert!(good <= at as u64);
            prop_assert_eq!(end == "Damaged", read.len() + 1 < payloads.len());
        }
    }
}
