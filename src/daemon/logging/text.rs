//! The text of a message as the log shows it: nothing that a terminal obeys, and no address where `[privacy]`
//! hides them.

use std::net::Ipv6Addr;

use crate::engine::masked_address;

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

/// Hides all but the last two parts of each address, as labels do.
pub(super) fn mask_addresses(message: &str) -> String {
    let mut masked = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(at) = rest.find(is_part) {
        masked.push_str(&rest[..at]);
        let end = rest[at..].find(|c| !is_part(c)).map_or(rest.len(), |end| at + end);
        push_masked(&mut masked, &rest[at..end], rest[end..].starts_with('…'));
        rest = &rest[end..];
    }
    masked + rest
}

/// Whether a character may be in an address.
fn is_part(c: char) -> bool {
    c.is_ascii_hexdigit() || matches!(c, '.' | ':')
}

/// Masks what is between characters of no address. `is_cut`: the message was cut behind it.
fn push_masked(out: &mut String, word: &str, is_cut: bool) {
    let bare = word.trim_end_matches([':', '.']);
    // `::` begins and ends addresses, too, and stands in the names of programs.
    let has_parts = word.split(':').filter(|part| !part.is_empty()).count() >= 2;
    let candidates = [word, bare, word.trim_start_matches(':'), bare.trim_start_matches(':')];
    let parsed = candidates.iter().find_map(|text| text.parse::<Ipv6Addr>().ok());
    if let Some(ip) = parsed.filter(|_| has_parts) {
        out.push_str(&masked_address(ip.to_canonical()));
    } else if is_cut && word.matches(':').count() >= 2 {
        out.push_str("xx");
    } else {
        push_masked_v4(out, word, is_cut);
    }
}

/// Masks the first two of four numbers with dots between them, wherever they are.
fn push_masked_v4(out: &mut String, word: &str, is_cut: bool) {
    let mut rest = word;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (run, behind) = rest.split_at(end);
        let parts: Vec<&str> = run.split('.').collect();
        let is_octet = |part: &&str| part.parse::<u8>().is_ok();
        let is_address = parts.len() >= 4 && parts[..4].iter().all(is_octet);
        let is_beginning = is_cut && behind.is_empty() && (2..4).contains(&parts.len());
        if is_address || is_beginning {
            out.push_str("xx.xx");
            for part in &parts[2..] {
                out.push('.');
                out.push_str(part);
            }
        } else {
            out.push_str(run);
        }
        rest = behind;
    }
    out.push_str(rest);
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

    #[test]
    fn addresses_keep_their_last_two_parts() {
        let cases = [
            ("{\"ip\":\"203.0.113.7:5000\"}", "{\"ip\":\"xx.xx.113.7:5000\"}"),
            ("from 203.0.113.7.", "from xx.xx.113.7."),
            ("fe10.1.2.3, x10.1.2.3", "fexx.xx.2.3, xxx.xx.2.3"),
            ("[2001:db8::17:1]:443", "[xx:xx:xx:xx:xx:xx:17:1]:443"),
            ("at ::ffff:203.0.113.7", "at xx.xx.113.7"),
            ("ip=2001:db8::1: gone", "ip=xx:xx:xx:xx:xx:xx:0:1 gone"),
            ("cut 203.0.113… and 2001:db8:1…", "cut xx.xx.113… and xx…"),
            ("12:34:56 1.5 v1.2.3 300.1.1.1 a::z", "12:34:56 1.5 v1.2.3 300.1.1.1 a::z"),
        ];
        for (message, expected) in cases {
            assert_eq!(mask_addresses(message), expected, "{message}");
        }
    }
}
