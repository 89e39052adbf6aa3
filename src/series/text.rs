//! Label text as it is exposed: escaping, and the order of two label tuples of one family.

use std::cmp::Ordering;

use crate::special_bytes::first_special;

/// Appends a label value, escaped as the text format 0.0.4 requires.
pub(crate) fn push_escaped(out: &mut Vec<u8>, value: &[u8]) {
    if first_special(value, 0) == value.len() {
        return out.extend_from_slice(value);
    }
    let mut rest = value;
    while let Some(at) = memchr::memchr3(b'\\', b'"', b'\n', rest) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(match rest[at] {
            b'\\' => b"\\\\",
            b'"' => b"\\\"",
            _ => b"\\n",
        });
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// The text of a label tuple, given names and values.
pub(crate) fn of(labels: &[(&str, &str)]) -> Vec<u8> {
    let mut text = Vec::new();
    for (index, (name, value)) in labels.iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        text.extend_from_slice(name.as_bytes());
        text.extend_from_slice(b"=\"");
        push_escaped(&mut text, value.as_bytes());
        text.push(b'"');
    }
    text
}

/// The text of a label tuple whose values are all equal.
pub(crate) fn uniform(labels: &[String], value: &str) -> Vec<u8> {
    of(&labels.iter().map(|label| (label.as_str(), value)).collect::<Vec<_>>())
}

/// The unescaped value of one label.
pub(crate) fn value_of(text: &[u8], label: usize) -> Vec<u8> {
    let mut value = Vec::new();
    let (start, end) = value_range(text, label);
    let mut bytes = text[start..end].iter();
    while let Some(&byte) = bytes.next() {
        value.push(match (byte, byte == b'\\') {
            (_, true) => match bytes.next() {
                Some(b'n') => b'\n',
                Some(&escaped) => escaped,
                None => b'\\',
            },
            (byte, false) => byte,
        });
    }
    value
}

/// A copy of the text with another value for one label. `value` is not escaped.
pub(crate) fn with_value(text: &[u8], label: usize, value: &[u8]) -> Vec<u8> {
    let (start, end) = value_range(text, label);
    let mut changed = text[..start].to_vec();
    push_escaped(&mut changed, value);
    changed.extend_from_slice(&text[end..]);
    changed
}

fn value_range(text: &[u8], label: usize) -> (usize, usize) {
    let mut start = 0;
    for index in 0..=label {
        start += memchr::memchr(b'"', &text[start..]).map_or(text.len() - start, |at| at + 1);
        let end = start + closing_quote(&text[start..]);
        if index == label {
            return (start, end);
        }
        start = (end + 1).min(text.len());
    }
    (text.len(), text.len())
}

fn closing_quote(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &text[at..]) {
        if text[at + found] == b'"' {
            return at + found;
        }
        at += found + 2;
    }
    text.len()
}

/// Compares two label tuples of one family by their unescaped values, the first label first.
pub(crate) fn compare(a: &[u8], b: &[u8]) -> Ordering {
    let Some(at) = a.iter().zip(b).position(|(x, y)| x != y) else {
        return a.len().cmp(&b.len());
    };
    let backslashes = a[..at].iter().rev().take_while(|byte| **byte == b'\\').count();
    let escaped = backslashes % 2 == 1;
    rank(&a[at..], escaped).cmp(&rank(&b[at..], escaped))
}

/// The rank of the first byte of `text` in a value. The end of a value ranks lowest.
fn rank(text: &[u8], escaped: bool) -> u16 {
    let unescape = |byte: u8| u16::from(if byte == b'n' { b'\n' } else { byte }) + 1;
    match text {
        [byte, ..] if escaped => unescape(*byte),
        [b'"', ..] => 0,
        [b'\\', byte, ..] => unescape(*byte),
        [byte, ..] => u16::from(*byte) + 1,
        [] => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tuple(values: &[String]) -> Vec<u8> {
        of(&["a", "b"].into_iter().zip(values.iter().map(String::as_str)).collect::<Vec<_>>())
    }

    proptest! {
        #[test]
        fn the_order_of_texts_is_the_order_of_values(
            a in prop::collection::vec("[ab\"\\\\\n !é]{0,4}", 2),
            b in prop::collection::vec("[ab\"\\\\\n !é]{0,4}", 2),
        ) {
            prop_assert_eq!(compare(&tuple(&a), &tuple(&b)), a.cmp(&b));
        }

        #[test]
        fn a_value_can_be_read_back_and_replaced(
            values in prop::collection::vec("[ab\"\\\\\n,=]{0,5}", 2), other in "[a\"\\\\\n]{0,3}",
        ) {
            let text = tuple(&values);
            for label in 0..2 {
                prop_assert_eq!(value_of(&text, label), values[label].as_bytes());
                let mut changed = values.clone();
                changed[label].clone_from(&other);
                prop_assert_eq!(with_value(&text, label, other.as_bytes()), tuple(&changed));
            }
        }
    }
}
