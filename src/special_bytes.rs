//! Finds the bytes that are special in JSON strings and in the text format: quotes, backslashes and control
//! characters.
//!
//! It looks at eight bytes at a time. If it searched byte by byte, or with `memchr`, an applied event would
//! take 18 % more instructions: keys and values are short, and `memchr` does not find control characters. See
//! tests/bench/README.md.

/// The index of the first special byte at or after `from`; the length if there is none.
#[inline]
pub(crate) fn first_special(bytes: &[u8], from: usize) -> usize {
    let mut rest = bytes.get(from..).unwrap_or_default();
    while let Some((chunk, more)) = rest.split_first_chunk::<8>() {
        let found = special(u64::from_le_bytes(*chunk));
        if found != 0 {
            return bytes.len() - rest.len() + (found.trailing_zeros() / 8) as usize;
        }
        rest = more;
    }
    let searched = bytes.len() - rest.len();
    match bytes.last_chunk::<8>() {
        _ if rest.is_empty() => searched,
        // The last bytes, with those already searched shifted out. The shift brings in zeros, which are
        // control characters.
        Some(chunk) => {
            let word = u64::from_le_bytes(*chunk) >> (8 * (8 - rest.len()));
            searched + (special(word).trailing_zeros() / 8) as usize
        }
        None => {
            let is_special = |&byte: &u8| byte < 0x20 || byte == b'"' || byte == b'\\';
            searched + rest.iter().position(is_special).unwrap_or(rest.len())
        }
    }
}

/// Sets the highest bit of each special byte. Only the lowest one set is exact: its borrow can mark bytes
/// above it.
#[inline]
fn special(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = ONES << 7;
    let has_zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (control | has_zero(word ^ (ONES * 0x22)) | has_zero(word ^ (ONES * 0x5c))) & HIGHS
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
        }
    }
}
