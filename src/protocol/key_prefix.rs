//! The names of fields, in a form that is quick to compare: most are told apart by their first eight bytes and their length.

/// The beginning of a name, and its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyPrefix {
    /// As many of the first eight bytes as there are, the first one lowest.
    beginning: u64,
    length: u64,
}

impl KeyPrefix {
    /// The name that stands at these bytes of a text.
    #[inline]
    pub(crate) fn at(text: &[u8], start: usize, end: usize) -> Self {
        let length = end - start;
        let beginning = match text.get(start..).and_then(|rest| rest.first_chunk::<8>()) {
            Some(chunk) if length >= 8 => u64::from_le_bytes(*chunk),
            Some(chunk) => u64::from_le_bytes(*chunk) & ((1 << (8 * length)) - 1),
            None => text[start..end].iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)),
        };
        KeyPrefix { beginning, length: length as u64 }
    }

    /// The same for a name by itself.
    pub(crate) fn of(name: &str) -> Self {
        Self::at(name.as_bytes(), 0, name.len())
    }

    /// Whether names that are equal in this form are equal.
    #[inline]
    pub(crate) fn is_whole(self) -> bool {
        self.length <= 8
    }
}

/// The name `event`.
pub(crate) const EVENT: KeyPrefix = KeyPrefix { beginning: u64::from_le_bytes(*b"event\0\0\0"), length: 5 };
/// The name `time`.
pub(crate) const TIME: KeyPrefix = KeyPrefix { beginning: u64::from_le_bytes(*b"time\0\0\0\0"), length: 4 };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_wherever_they_stand() {
        let text = b"{\"event\":\"x\",\"clienttype\":1,\"t\":2}";
        for (start, name) in [(2, "event"), (14, "clienttype"), (29, "t")] {
            assert_eq!(KeyPrefix::at(text, start, start + name.len()), KeyPrefix::of(name));
        }
        assert_eq!((KeyPrefix::of("event"), KeyPrefix::of("time")), (EVENT, TIME));
        assert_ne!(KeyPrefix::of("even"), EVENT);
        assert_ne!(KeyPrefix::of("event\0"), EVENT);
        assert_eq!(
            KeyPrefix::of("client_a_b"),
            KeyPrefix::of("client_a_c"),
            "these two have to be compared whole"
        );
        assert!(KeyPrefix::of("12345678").is_whole() && !KeyPrefix::of("123456789").is_whole());
    }
}
