//! Frames and files as the format on disk has them, written and read without the library.

/// What begins each frame.
const MARK: &[u8; 4] = b"\xf5LX\xfa";

/// The first line of a file of this kind.
pub(crate) fn first_line(kind: &str) -> Vec<u8> {
    format!("lifecycle-exporter {kind} 1\n").into_bytes()
}

/// Appends a frame.
pub(crate) fn push_frame(out: &mut Vec<u8>, payload: &[u8]) {
    out.extend_from_slice(MARK);
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    out.extend_from_slice(&crc32fast::hash(payload).to_le_bytes());
    out.extend_from_slice(payload);
}

/// The payload of the good frame that a file begins with, and what follows it.
pub(crate) fn split_frame(file: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = file.strip_prefix(MARK)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let (payload, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let good = !payload.is_empty() && crc32fast::hash(payload) == u32::from_le_bytes(*sum);
    good.then_some((payload, rest))
}

/// A directory of state; in memory where the machine has a place for that.
pub(crate) fn directory() -> tempfile::TempDir {
    tempfile::TempDir::new_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a temporary directory")
}
