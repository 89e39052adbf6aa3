//! Bytes that stand for themselves, in JSON strings as in the text format: all but quotes, backslashes and control
//! characters. Eight of them at a time.

/// Where the first byte from `from` on stands that is not plain; the length if all are.
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
        // The last bytes, with those before them shifted out: what comes in is 0, a control character.
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

/// The highest bit of each byte that is not plain. Of several only the lowest is exact: a borrow can mark bytes above it.
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
        fn it_is_the_first_byte_that_is_not_plain(
            bytes in prop::collection::vec(prop_oneof![20 => 0x23_u8..0x5c, 1 => any::<u8>()], 0..60), from in 0_usize..60,
        ) {
            let from = from.min(bytes.len());
            let is_special = |&byte: &u8| byte < 0x20 || byte == b'"' || byte == b'\\';
            let expected = bytes[from..].iter().position(is_special).map_or(bytes.len(), |at| from + at);
            prop_assert_eq!(first_special(&bytes, from), expected);
        }
    }
}
