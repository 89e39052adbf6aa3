//! Finds the end of a JSON number. What producers write most, plain decimals of a few digits, takes one look at sixteen
//! bytes; the others are left to a longer way. tests/bench/README.md says what that is worth.

use wide::u8x16;

/// The end of the number that begins at this byte of the line. The error is the byte at which a digit was expected.
pub(super) fn end(bytes: &[u8], start: usize) -> Result<usize, usize> {
    short_end(bytes, start).map_or_else(|| any_end(bytes, start), Ok)
}

/// That of a number without exponent within the next sixteen bytes.
fn short_end(bytes: &[u8], start: usize) -> Option<usize> {
    let (window, seen) = match bytes.get(start..)?.first_chunk::<16>() {
        Some(window) => (window, 0),
        None => (bytes.last_chunk::<16>()?, start - (bytes.len() - 16)),
    };
    let values = u8x16::new(*window) - u8x16::splat(b'0');
    let digits = values.min(u8x16::splat(9)).simd_eq(values).to_bitmask() >> seen;
    let whole = digits.trailing_ones();
    let mut length = whole as usize;
    if bytes.get(start + length) == Some(&b'.') {
        let decimals = (digits >> whole >> 1).trailing_ones() as usize;
        if decimals == 0 {
            return None;
        }
        length += 1 + decimals;
    }
    let is_whole = whole == 1 || (whole > 1 && bytes[start] != b'0');
    let is_over = seen + length < 16 && !matches!(bytes[start + length], b'e' | b'E');
    (is_whole && is_over).then_some(start + length)
}

#[cold]
fn any_end(bytes: &[u8], start: usize) -> Result<usize, usize> {
    let byte = |at: usize| bytes.get(at).copied();
    let digits_end = |first: usize| {
        let is_digit = |byte: &&u8| byte.is_ascii_digit();
        let count = bytes.get(first..).unwrap_or_default().iter().take_while(is_digit).count();
        if count > 0 { Ok(first + count) } else { Err(first) }
    };
    let first = start + usize::from(byte(start) == Some(b'-'));
    let mut end = if byte(first) == Some(b'0') { first + 1 } else { digits_end(first)? };
    if byte(end) == Some(b'.') {
        end = digits_end(end + 1)?;
    }
    if let Some(b'e' | b'E') = byte(end) {
        let is_signed = matches!(byte(end + 1), Some(b'+' | b'-'));
        end = digits_end(end + 1 + usize::from(is_signed))?;
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_end_of_a_number_is_found(
            text in "-?(0|[1-9][0-9]{0,17})(\\.[0-9]{1,17})?([eE][-+]?[0-9]{1,3})?",
            before in " {0,20}",
            after in "[],} ][ a]{0,20}|",
        ) {
            let line = format!("{before}{text}{after}");
            prop_assert_eq!(end(line.as_bytes(), before.len()), Ok(before.len() + text.len()));
        }

        #[test]
        fn both_ways_find_the_same_end(text in "[-+.eE0-9,]{0,20}", start in 0_usize..20) {
            let start = start.min(text.len());
            prop_assert_eq!(end(text.as_bytes(), start), any_end(text.as_bytes(), start));
        }
    }
}
