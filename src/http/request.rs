//! Request heads: bytes in, a small request or a refusal out. Bodies are never read, so a request with one is
//! refused.

use super::accept_encoding::prefers_gzip;
use super::host::Host;
use super::response::Refusal;
use super::target::{self, InvalidEscape, Query, Target};
use crate::limits;

/// What a response depends on. Equal requests get the same response.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: Method,
    /// Normalized, without the query.
    pub(super) path: String,
    pub(super) query: Query,
    pub(super) accepts_gzip: bool,
}

impl Request {
    /// Health is asked for when something else is wrong, and the responses are always small.
    pub(super) fn is_for_health(&self) -> bool {
        self.path.starts_with("/-/")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Head,
    Other,
}

/// A request, who sent it, and to whom.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) request: Request,
    /// The `X-Forwarded-For` headers, in order.
    pub(super) forwarded: Vec<String>,
    pub(super) host: Option<Host>,
    /// In HTTP/1.0 a request may lack the host.
    pub(super) is_http_1_0: bool,
    /// Why the request is refused, whichever client sent it.
    pub(super) refusal: Option<Refusal>,
}

/// The result of parsing the bytes received so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    Incomplete,
    Complete(Head),
    Invalid(Refusal),
}

pub(super) fn parse(bytes: &[u8]) -> Parsed {
    let mut headers = [httparse::EMPTY_HEADER; limits::HTTP_HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length <= limits::HTTP_HEAD_BYTES_MAX => {}
        Ok(httparse::Status::Complete(_)) => return Parsed::Invalid(Refusal::HeadTooLong),
        Ok(httparse::Status::Partial) if bytes.len() >= limits::HTTP_HEAD_BYTES_MAX => {
            return Parsed::Invalid(Refusal::HeadTooLong);
        }
        Ok(httparse::Status::Partial) => return Parsed::Incomplete,
        Err(httparse::Error::TooManyHeaders) => return Parsed::Invalid(Refusal::HeadTooLong),
        Err(httparse::Error::Version) => return Parsed::Invalid(Refusal::UnknownVersion),
        Err(_) => return Parsed::Invalid(Refusal::Malformed),
    }
    let values = |name: &'static str| -> Vec<String> {
        let named = request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        named.map(|header| String::from_utf8_lossy(header.value).into_owned()).collect()
    };
    let mut refusal = body_refusal(&values("Content-Length"), &values("Transfer-Encoding"));
    let target = target::parse(request.path.unwrap_or_default()).unwrap_or_else(|InvalidEscape| {
        refusal = Some(Refusal::InvalidEscape);
        Target::default()
    });
    let host = parse_host(target.authority, &values("Host")).unwrap_or_else(|invalid| {
        refusal = Some(invalid);
        None
    });
    let method = match request.method {
        Some("GET") => Method::Get,
        Some("HEAD") => Method::Head,
        _ => Method::Other,
    };
    let accepts_gzip = prefers_gzip(values("Accept-Encoding").iter().map(String::as_str));
    Parsed::Complete(Head {
        request: Request { method, path: target.path, query: target.query, accepts_gzip },
        forwarded: values("X-Forwarded-For"),
        host,
        is_http_1_0: request.version == Some(0),
        refusal,
    })
}

/// Whether a head begins a `HEAD` request, be it complete, valid, or neither.
pub(super) fn is_head(bytes: &[u8]) -> bool {
    // The parser skips empty lines before a request, too.
    bytes.trim_ascii_start().starts_with(b"HEAD ")
}

fn body_refusal(lengths: &[String], encodings: &[String]) -> Option<Refusal> {
    match lengths {
        _ if !encodings.is_empty() => Some(Refusal::HasBody),
        [] => None,
        [length] if !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit()) => {
            length.bytes().any(|byte| byte != b'0').then_some(Refusal::HasBody)
        }
        _ => Some(Refusal::Malformed),
    }
}

/// The host of an absolute target, or else that of the header, which has to be valid in any case.
fn parse_host(authority: Option<&str>, headers: &[String]) -> Result<Option<Host>, Refusal> {
    let parse = |text: &str| Host::parse(text).ok_or(Refusal::InvalidHost);
    let header = match headers {
        [] => None,
        [header] => Some(parse(header)?),
        _ => return Err(Refusal::InvalidHost),
    };
    Ok(authority.map(parse).transpose()?.or(header))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn complete(text: &str) -> Head {
        match parse(text.as_bytes()) {
            Parsed::Complete(head) => head,
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn requests() {
        let head = complete(
            "GET /metrics?system=b&x=1&system=a&system=b HTTP/1.1\r\nHost: x\r\n\
             accept-encoding: br, GZIP;q=0.5\r\nx-forwarded-for: 1.2.3.4\r\n\
             X-Forwarded-For: 5.6.7.8\r\nContent-Length: 0\r\n\r\n",
        );
        let expected = Head {
            request: Request {
                method: Method::Get,
                path: "/metrics".to_owned(),
                query: Query { systems: vec!["a".to_owned(), "b".to_owned()], ..Query::default() },
                accepts_gzip: true,
            },
            forwarded: vec!["1.2.3.4".to_owned(), "5.6.7.8".to_owned()],
            host: Some(Host::Name("x".to_owned())),
            is_http_1_0: false,
            refusal: None,
        };
        assert_eq!(head, expected);
        let head = complete("HEAD http://Host:1/?q HTTP/1.0\r\nHost: x\r\n\r\n");
        assert_eq!((head.request.method, head.request.path.as_str()), (Method::Head, "/"));
        assert_eq!((head.host, head.is_http_1_0), (Some(Host::Name("host".to_owned())), true));
        assert_eq!(complete("GET / HTTP/1.1\r\n\r\n").host, None);
    }

    #[test]
    fn one_valid_host_and_valid_escapes() {
        let cases = [
            ("/?%", "Host: x", Refusal::InvalidEscape),
            ("/metrics", "Host: x\r\nhost: x", Refusal::InvalidHost),
            ("/metrics", "Host: x y", Refusal::InvalidHost),
            ("/metrics", "Host: \u{e4}", Refusal::InvalidHost),
            ("http://user@x/", "Host: x", Refusal::InvalidHost),
            ("http://x/", "Host: x:y", Refusal::InvalidHost),
        ];
        for (target, headers, refusal) in cases {
            let head = complete(&format!("GET {target} HTTP/1.1\r\n{headers}\r\n\r\n"));
            assert_eq!(head.refusal, Some(refusal), "{target} {headers}");
        }
    }

    #[test]
    fn a_head_request_is_known_before_its_head_is_complete() {
        for bytes in ["HEAD ", "HEAD /x", "\r\nHEAD / HTTP/9\r\n"] {
            assert!(is_head(bytes.as_bytes()), "{bytes:?}");
        }
        for bytes in ["", "HEAD", "HEADER / HTTP/1.1", "GET / HTTP/1.1\r\nHEAD "] {
            assert!(!is_head(bytes.as_bytes()), "{bytes:?}");
        }
    }

    #[test]
    fn bodies_are_refused() {
        let cases = [
            ("Content-Length: 1", Refusal::HasBody),
            ("Content-Length: 1000000000000000000", Refusal::HasBody),
            ("Content-Length: 99999999999999999999999999", Refusal::HasBody),
            ("Transfer-Encoding: chunked", Refusal::HasBody),
            ("Content-Length: -1", Refusal::Malformed),
            ("Content-Length: +1", Refusal::Malformed),
            ("Content-Length:", Refusal::Malformed),
            ("Content-Length: 0\r\nContent-Length: 0", Refusal::Malformed),
        ];
        for (header, refusal) in cases {
            assert_eq!(
                complete(&format!("POST / HTTP/1.1\r\n{header}\r\n\r\n")).refusal,
                Some(refusal),
                "{header}"
            );
        }
    }

    #[test]
    fn malformed_requests_are_refused() {
        let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(9_000));
        let many = format!("GET / HTTP/1.1\r\n{}", "a: b\r\n".repeat(200));
        let cases = [
            ("\x16\x03\x01\x02\x00\x01", Refusal::Malformed),
            ("GET / HTTP/1.1\nBad Header: x\r\n\r\n", Refusal::Malformed),
            ("GET / HTTP/2.0\r\n\r\n", Refusal::UnknownVersion),
            (long.as_str(), Refusal::HeadTooLong),
            (many.as_str(), Refusal::HeadTooLong),
        ];
        for (text, refusal) in cases {
            assert_eq!(parse(text.as_bytes()), Parsed::Invalid(refusal), "{text:.40}");
        }
        for partial in ["", "G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: x\r\n"] {
            assert_eq!(parse(partial.as_bytes()), Parsed::Incomplete);
        }
    }

    proptest! {
        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            parse(&bytes);
        }
    }
}
