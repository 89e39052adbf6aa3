//! The target of a request line: a path, what the query names, and perhaps a host.
//!
//! Escapes are decoded by RFC 3986. This module knows no routes and refuses only what is no escape.

/// What a request asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Target<'a> {
    /// Host and port of `http://host:port/path`.
    pub(super) authority: Option<&'a str>,
    /// Normalized: `/%6detrics` is `/metrics`. `%2f` stays an escape, because a slash means something else.
    pub(super) path: String,
    pub(super) query: Query,
}

/// What a response depends on of the query, in whatever order it comes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    /// The values of `system`, sorted, each once.
    pub(super) systems: Vec<String>,
    /// The values of `entity`, too.
    pub(super) entities: Vec<String>,
    /// The last value of `limit`.
    pub(super) limit: Option<String>,
}

/// A `%` that two hexadecimal digits do not follow.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InvalidEscape;

pub(super) fn parse(target: &str) -> Result<Target<'_>, InvalidEscape> {
    let target = target.split('#').next().unwrap_or_default();
    let (authority, target) = split_authority(target);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = decode(if path.is_empty() { "/" } else { path }, is_unreserved)?;
    Ok(Target { authority, path, query: parse_query(query)? })
}

fn parse_query(text: &str) -> Result<Query, InvalidEscape> {
    let mut query = Query::default();
    for pair in text.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode_form(name)?, decode_form(value)?);
        match name.as_str() {
            "system" => query.systems.push(value),
            "entity" => query.entities.push(value),
            "limit" => query.limit = Some(value),
            _ => {}
        }
    }
    for names in [&mut query.systems, &mut query.entities] {
        names.sort_unstable();
        names.dedup();
    }
    Ok(query)
}

fn split_authority(target: &str) -> (Option<&str>, &str) {
    match target.split_once("://") {
        Some((scheme, rest)) if ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) => {
            let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
            (Some(authority), rest)
        }
        _ => (None, target),
    }
}

/// Prometheus writes its `params` as forms do: a `+` is a space.
fn decode_form(text: &str) -> Result<String, InvalidEscape> {
    decode(&text.replace('+', " "), |_| true)
}

/// Decodes the escapes of the bytes that `is_decoded` selects. The others get upper-case digits.
fn decode(text: &str, is_decoded: impl Fn(u8) -> bool) -> Result<String, InvalidEscape> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        if *byte != b'%' {
            decoded.push(*byte);
            continue;
        }
        let [high, low, after @ ..] = rest else { return Err(InvalidEscape) };
        let byte = digit(*high)? << 4 | digit(*low)?;
        if is_decoded(byte) {
            decoded.push(byte);
        } else {
            decoded.extend([b'%', high.to_ascii_uppercase(), low.to_ascii_uppercase()]);
        }
        rest = after;
    }
    // No path and no system has a name that is not UTF-8.
    Ok(String::from_utf8_lossy(&decoded).into_owned())
}

fn digit(byte: u8) -> Result<u8, InvalidEscape> {
    let value = char::from(byte).to_digit(16).ok_or(InvalidEscape)?;
    Ok(value as u8)
}

/// RFC 3986, section 2.3: an escape of these means the same as the character itself.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_hosts() {
        let cases = [
            ("/metrics", None, "/metrics"),
            ("/%6Detric%73", None, "/metrics"),
            ("/%2fmetrics", None, "/%2Fmetrics"),
            ("/-%2Fhealthy", None, "/-%2Fhealthy"),
            ("/a%2eb%7E%5f", None, "/a.b~_"),
            ("/%ff", None, "/%FF"),
            ("/+", None, "/+"),
            ("*", None, "*"),
            ("http://host:1/metrics", Some("host:1"), "/metrics"),
            ("HTTPS://host?system=a", Some("host"), "/"),
            ("http://host", Some("host"), "/"),
            ("/http://host/", None, "/http://host/"),
            ("/metrics#fragment%", None, "/metrics"),
        ];
        for (target, authority, path) in cases {
            let parsed = parse(target).unwrap();
            assert_eq!((parsed.authority, parsed.path.as_str()), (authority, path), "{target}");
        }
    }

    #[test]
    fn systems_are_a_set() {
        let cases: [(&str, &[&str]); 10] = [
            ("", &[]),
            ("systems=a&xsystem=b", &[]),
            ("system=b&x=1&system=a&system=b", &["a", "b"]),
            ("system=record%69ng", &["recording"]),
            ("s%79stem=a", &["a"]),
            ("system=a%26system%3Db", &["a&system=b"]),
            ("system=a+b%2B", &["a b+"]),
            ("system=a=b", &["a=b"]),
            ("system", &[""]),
            ("system=%C3%A4%ff", &["ä\u{fffd}"]),
        ];
        for (query, systems) in cases {
            assert_eq!(parse(&format!("/metrics?{query}")).unwrap().query.systems, systems, "{query}");
        }
    }

    #[test]
    fn a_percent_sign_begins_an_escape() {
        for target in ["/%", "/%4", "/%zz", "/%6", "/?%", "/?x=%4", "/?system=%g0", "/?%+1", "/%é"] {
            assert_eq!(parse(target), Err(InvalidEscape), "{target}");
        }
    }
}
