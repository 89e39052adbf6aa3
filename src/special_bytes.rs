//! Finds the bytes that are special in JSON strings and in the text format: quotes, backslashes and control
//! characters.
//!
//! It looks at sixteen bytes at a time. `memchr` does not find control characters, and keys and values are short;
//! see tests/bench/README.md.

use wide::u8x16;

/// The index of the first special byte at or after `from`; the length if there is none.
#[inline]
pub(crate) fn first_special(bytes: &[u8], from: usize) -> usize {
    first(bytes, from, special)
}

/// The index of the first special byte, or of this one; the length if there is neither.
#[inline]
pub(crate) fn first_special_or(byte: u8, bytes: &[u8]) -> usize {
    first(bytes, 0, |chunk| special(chunk) | chunk.simd_eq(u8x16::splat(byte)))
}

/// The index of the first wanted byte at or after `from`. `is_wanted` sets all bits of those bytes.
#[inline]
fn first(bytes: &[u8], from: usize, is_wanted: impl Fn(u8x16) -> u8x16) -> usize {
    let wanted = |chunk: &[u8; 16]| is_wanted(u8x16::new(*chunk)).to_bitmask();
    let (chunks, rest) = bytes.get(from..).unwrap_or_default().as_chunks::<16>();
    let mut at = from;
    for chunk in chunks {
        let found = wanted(chunk);
        if found != 0 {
            return at + found.trailing_zeros() as usize;
        }
        at += chunk.len();
    }
    let found = if let Some(chunk) = bytes.last_chunk::<16>() {
        // The last bytes, with those already searched shifted out.
        wanted(chunk) >> (chunk.len() - rest.len())
    } else {
        let mut chunk = [b' '; 16];
        chunk[..rest.len()].copy_from_slice(rest);
        wanted(&chunk)
    };
    if found == 0 { bytes.len() } else { at + found.trailing_zeros() as usize }
}

#[inline]
fn special(bytes: u8x16) -> u8x16 {
    let control = bytes.min(u8x16::splat(0x1f)).simd_eq(bytes);
    control | bytes.simd_eq(u8x16::splat(b'"')) | bytes.simd_eq(u8x16::splat(b'\\'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_finds_the_first_special_byte(
            bytes in prop::collection::vec(prop_oneof![20 => 0x23_u8..0x5c, 1 => any::<u8>()], 0..60),
            from in 0_usize..60,
        ) {
            let from = from.min(bytes.len());
            let is_special = |&byte: &u8| byte < 0x20 || byte == b'"' || byte == b'\\';
            let expected = bytes[from..].iter().position(is_special).map_or(bytes.len(), |at| from + at);
            prop_assert_eq!(first_special(&bytes, from), expected);
            let other = bytes.iter().position(|&byte| byte == 0x40).unwrap_or(bytes.len());
            prop_assert_eq!(first_special_or(0x40, &bytes), first_special(&bytes, 0).min(other));
        }
    }
}
