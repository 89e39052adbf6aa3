//! Transforms the values of labels: paths, slugs, addresses and values that `[privacy]` hides. Cuts long
//! values.

use std::net::IpAddr;

use crate::catalog::model::Transform;
use crate::config::Privacy;
use crate::{limits, series};

use super::rdns_cache::RdnsCache;

impl Transform {
    /// Whether it may change a value at all.
    pub(super) fn changes(&self, privacy: Privacy) -> bool {
        match self {
            Transform::Path(_) | Transform::Slug => true,
            Transform::Address => privacy.deidentify || !privacy.numeric,
            Transform::Quiet => privacy.quiet,
        }
    }
}

/// Appends the transformed value to `out`, not yet escaped.
pub(super) fn apply(
    transform: &Transform,
    value: &str,
    privacy: Privacy,
    names: &mut RdnsCache,
    out: &mut Vec<u8>,
) {
    match transform {
        Transform::Path(parents) => push_path(parents, value, out),
        Transform::Slug => push_slug(value, out),
        Transform::Quiet => {
            if !privacy.quiet {
                out.extend_from_slice(value.as_bytes());
            }
        }
        Transform::Address => out.extend_from_slice(address(value, privacy, names).as_bytes()),
    }
}

fn push_path(parents: &[String], value: &str, out: &mut Vec<u8>) {
    let path = value.split(['?', '#']).next().unwrap_or_default();
    let mut previous = "";
    for (index, segment) in path.split('/').enumerate() {
        if index > 0 {
            out.push(b'/');
        }
        let variable = !segment.is_empty()
            && ((index > 0 && parents.iter().any(|parent| parent == previous))
                || segment.chars().all(char::is_numeric)
                || is_uuid(segment)
                || is_long_slug(segment));
        out.extend_from_slice(if variable { b"{id}" } else { segment.as_bytes() });
        previous = segment;
    }
    if path.is_empty() {
        out.push(b'/');
    }
}

fn is_uuid(segment: &str) -> bool {
    let groups: Vec<&str> = segment.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// More than 20 characters in three or more groups of lower-case letters and digits.
fn is_long_slug(segment: &str) -> bool {
    segment.len() > 20
        && segment.split('-').count() >= 3
        && segment.split('-').all(|group| {
            !group.is_empty() && group.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9'))
        })
}

fn push_slug(value: &str, out: &mut Vec<u8>) {
    const CHARS_MAX: usize = 50;
    for c in value.chars().take(CHARS_MAX) {
        let keep = c.is_ascii_alphanumeric() || c == '_' || c == '-';
        out.push(if keep { c as u8 } else { b'_' });
    }
    if value.is_empty() {
        out.extend_from_slice(b"unknown");
    }
}

/// Transforms an address with an optional port.
fn address(value: &str, privacy: Privacy, names: &mut RdnsCache) -> String {
    if privacy.deidentify {
        return masked(value);
    }
    if let Some((ip, port)) = series::parse_address(value).filter(|_| !privacy.numeric)
        && let Some(name) = names.known_or_request(ip)
    {
        return name.to_owned() + &port.map_or(String::new(), |port| format!(":{port}"));
    }
    value.to_owned()
}

/// An address with an optional port as `deidentify` shows it. What is masked already stays so; a value that is no
/// address is hidden completely.
pub(super) fn masked(value: &str) -> String {
    if value.is_empty() || ["xx.xx.", "xx:xx:", "[xx:xx:"].iter().any(|start| value.starts_with(start)) {
        return value.to_owned();
    }
    let Some((ip, port)) = series::parse_address(value) else { return "xx".to_owned() };
    match (masked_address(ip), port) {
        (masked, None) => masked,
        (masked, Some(port)) if ip.is_ipv6() => format!("[{masked}]:{port}"),
        (masked, Some(port)) => format!("{masked}:{port}"),
    }
}

/// An address of which only the last two parts are shown.
pub(crate) fn masked_address(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => format!("xx.xx.{}.{}", ip.octets()[2], ip.octets()[3]),
        IpAddr::V6(ip) => format!("xx:xx:xx:xx:xx:xx:{:x}:{:x}", ip.segments()[6], ip.segments()[7]),
    }
}

pub(super) fn is_too_long(value: &[u8]) -> bool {
    value.len() > limits::LABEL_BYTES_MAX
}

/// Ends a label that was cut.
const ELLIPSIS: &str = "…";

/// Appends a label's value. One that is too long is cut between two characters.
pub(super) fn push_cut(out: &mut Vec<u8>, value: &[u8]) {
    if is_too_long(value) {
        out.extend_from_slice(cut(value));
        out.extend_from_slice(ELLIPSIS.as_bytes());
    } else {
        out.extend_from_slice(value);
    }
}

/// The beginning of a long value that leaves room for [`ELLIPSIS`].
fn cut(value: &[u8]) -> &[u8] {
    let is_boundary = |at: &usize| value[*at] & 0b1100_0000 != 0b1000_0000;
    let end = (0..=limits::LABEL_BYTES_MAX - ELLIPSIS.len()).rev().find(is_boundary).unwrap_or(0);
    &value[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transformed(transform: &Transform, value: &str, privacy: Privacy) -> String {
        let mut out = Vec::new();
        apply(transform, value, privacy, &mut RdnsCache::default(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn paths_lose_their_query_and_their_variable_segments() {
        let path = Transform::Path(vec!["videos".to_owned(), "worker".to_owned()]);
        let cases = [
            ("", "/"),
            ("/", "/"),
            ("/api/videos", "/api/videos"),
            ("/api/videos/", "/api/videos/"),
            ("/api/videos/my-slug?token=1", "/api/videos/{id}"),
            ("/api/worker/7/progress#x", "/api/worker/{id}/progress"),
            ("/x/550e8400-E29B-41d4-a716-446655440000", "/x/{id}"),
            ("/x/550e8400-e29b-41d4-a716-44665544000g", "/x/{id}"),
            ("/x/123", "/x/{id}"),
            ("/x/123a", "/x/123a"),
            ("/x/a-rather-long-name-of-a-film", "/x/{id}"),
            ("/x/A-rather-long-name-of-a-film", "/x/A-rather-long-name-of-a-film"),
            ("/x/٣٤", "/x/{id}"),
            ("/x/exactly-20-chars-abc", "/x/exactly-20-chars-abc"),
            ("/x/averyverylongname-withonehyphen", "/x/averyverylongname-withonehyphen"),
            ("?q", "/"),
        ];
        for (value, expected) in cases {
            assert_eq!(transformed(&path, value, Privacy::default()), expected, "{value}");
        }
    }

    #[test]
    fn slugs_are_short_and_plain() {
        let cases = [("worker-1_A", "worker-1_A"), ("ä b\"", "__b_"), ("", "unknown")];
        for (value, expected) in cases {
            assert_eq!(transformed(&Transform::Slug, value, Privacy::default()), expected, "{value}");
        }
        assert_eq!(transformed(&Transform::Slug, &"é".repeat(60), Privacy::default()), "_".repeat(50));
    }

    #[test]
    fn addresses_are_shown_as_privacy_says() {
        let open = Privacy::default();
        let masked = Privacy { deidentify: true, numeric: false, ..open };
        let cases = [
            ("10.1.2.3:5000", "10.1.2.3:5000", "xx.xx.2.3:5000"),
            ("10.1.2.3", "10.1.2.3", "xx.xx.2.3"),
            ("::ffff:10.1.2.3", "::ffff:10.1.2.3", "xx.xx.2.3"),
            ("[2001:db8::a:b]:80", "[2001:db8::a:b]:80", "[xx:xx:xx:xx:xx:xx:a:b]:80"),
            ("2001:db8::1", "2001:db8::1", "xx:xx:xx:xx:xx:xx:0:1"),
            ("host.example:1", "host.example:1", "xx"),
            ("", "", ""),
        ];
        for (value, plain, hidden) in cases {
            assert_eq!(transformed(&Transform::Address, value, open), plain, "{value}");
            assert_eq!(transformed(&Transform::Address, value, masked), hidden, "{value}");
            assert_eq!(transformed(&Transform::Address, hidden, masked), hidden, "a second time");
        }
    }

    #[test]
    fn what_is_too_long_is_cut_at_a_character() {
        for (character, times) in [("x", 1_025), ("é", 600), ("€", 500), ("😀", 17_000)] {
            let mut out = Vec::new();
            push_cut(&mut out, character.repeat(times).as_bytes());
            let text = String::from_utf8(out).unwrap();
            let kept = text.strip_suffix('…').unwrap();
            assert!((1_021..=1_024).contains(&text.len()), "{character}: {} bytes", text.len());
            assert_eq!(kept, character.repeat(kept.len() / character.len()), "whole characters");
        }
        let mut out = Vec::new();
        push_cut(&mut out, "x".repeat(1_024).as_bytes());
        assert_eq!(out.len(), 1_024, "it fits");
    }

    #[test]
    fn quiet_blanks() {
        assert_eq!(transformed(&Transform::Quiet, "t1", Privacy::default()), "t1");
        assert_eq!(transformed(&Transform::Quiet, "t1", Privacy { quiet: true, ..Privacy::default() }), "");
    }
}
