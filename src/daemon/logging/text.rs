//! The text of a message as the log shows it: nothing that a terminal obeys.

/// Appends a message with everything escaped that does not print: control characters, escape sequences, marks
/// that turn the direction of text.
pub(crate) fn push_printable(out: &mut String, message: &str) {
    for c in message.chars() {
        if c.is_ascii_graphic() || c == ' ' {
            out.push(c);
            continue;
        }
        // Behind another character an accent belongs to that one, and prints.
        let pair = String::from_iter(['a', c]);
        out.extend(pair.escape_debug().skip(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_obeyed_by_a_terminal() {
        let cases = [
            ("\u{1b}[31mred\u{7}", r"\u{1b}[31mred\u{7}"),
            ("a\u{202e}b\u{2066}c\u{200f}", r"a\u{202e}b\u{2066}c\u{200f}"),
            ("one\ntwo\r\0", r"one\ntwo\r\0"),
            ("\u{9b}2J\u{7f}\u{feff}\u{2028}\u{ad}", r"\u{9b}2J\u{7f}\u{feff}\u{2028}\u{ad}"),
            ("\"quoted\" \\ 'as it is'", "\"quoted\" \\ 'as it is'"),
            ("Grüße 会議 हिन्दी e\u{301} 🎥…", "Grüße 会議 हिन्दी e\u{301} 🎥…"),
        ];
        for (message, expected) in cases {
            let mut out = String::new();
            push_printable(&mut out, message);
            assert_eq!(out, expected);
        }
    }
}
