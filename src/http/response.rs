//! Responses as they go over the wire.
//!
//! `tiny_http` prints them, as HTTP/1.0 and without the body: so it announces the length, never sends chunks,
//! and the connection ends with the response by definition. The body is sent as it is, without a copy. The rest of
//! `tiny_http` is not used, because its server must not face a network: a large `Content-Length` aborts the process,
//! nothing has a time-out or a bound, and an accept error ends it.

use std::sync::Arc;

use tiny_http::{HTTPVersion, Header, Response as Printed, StatusCode};

/// A response, ready to be sent: first the head, then the body.
#[derive(Debug, Clone)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) head: Vec<u8>,
    /// Shared by all who asked for the same at the same time.
    pub(super) body: Arc<Vec<u8>>,
}

/// What is said about a body.
pub(super) struct ResponseMeta<'a> {
    pub(super) status: u16,
    pub(super) content_type: &'a str,
    pub(super) headers: &'a [(&'a str, &'a str)],
    /// The client asked for the head alone.
    pub(super) head_only: bool,
}

pub(super) const TEXT: &str = "text/plain; charset=utf-8";

impl Response {
    pub(super) fn new(meta: &ResponseMeta<'_>, body: Vec<u8>) -> Self {
        let fixed = [
            ("Server", "lifecycle-exporter"),
            ("Content-Type", meta.content_type),
            ("X-Content-Type-Options", "nosniff"),
            ("Cache-Control", "no-store"),
        ];
        let headers = fixed
            .iter()
            .chain(meta.headers)
            .filter_map(|(name, value)| Header::from_bytes(*name, *value).ok());
        let printed = Printed::new(
            StatusCode(meta.status),
            headers.collect(),
            std::io::empty(),
            Some(body.len()),
            None,
        );
        let mut head = Vec::with_capacity(320);
        printed
            .raw_print(&mut head, HTTPVersion(1, 0), &[], true, None)
            .expect("writing to memory cannot fail");
        Response { status: meta.status, head, body: Arc::new(if meta.head_only { Vec::new() } else { body }) }
    }

    /// A status with a line that says what it means.
    pub(super) fn plain(status: u16, text: &str) -> Self {
        let meta = ResponseMeta { status, content_type: TEXT, headers: &[], head_only: false };
        Response::new(&meta, format!("{text}\n").into_bytes())
    }

    /// The refusal of a status.
    pub(super) fn refusal(status: u16) -> Self {
        let text = match status {
            400 => "400: this is no request that can be understood",
            403 => "403: this address is not allowed here ([stats] allowed_ips)",
            408 => "408: the request did not arrive in time",
            413 => "413: requests with a body are not taken here",
            431 => "431: the request's head is too long",
            503 => "503: too many connections at once, try again",
            505 => "505: HTTP/1.0 and HTTP/1.1 are spoken here",
            _ => "500: this went wrong here, see the log",
        };
        Response::plain(status, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_states_its_length_and_ends_with_the_connection() {
        let meta =
            ResponseMeta { status: 200, content_type: "x/y", headers: &[("Allow", "GET")], head_only: false };
        let response = Response::new(&meta, vec![b'x'; 100_000]);
        let head = String::from_utf8(response.head).unwrap();
        assert!(head.starts_with("HTTP/1.0 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
        assert!(head.contains("Content-Length: 100000\r\n") && head.contains("Allow: GET\r\n"), "{head}");
        assert!(!head.contains("chunked"), "{head}");
        assert_eq!(response.body.len(), 100_000);
    }
}
