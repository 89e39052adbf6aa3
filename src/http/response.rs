//! Responses as they are sent.
//!
//! `tiny_http` prints the head, as HTTP/1.0: that announces the length, never uses chunks, and the connection
//! ends with the response by definition. The body is sent from where it is, without a copy. The rest of
//! `tiny_http` is not used, because its server must not face a network: a large `Content-Length` aborts the
//! process, nothing has a time-out or a bound, and an accept error ends it.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tiny_http::{HTTPVersion, Header, Response as Printed, StatusCode};

use super::access::Verdict;
use super::host::Host;
use crate::faults::cut;
use crate::limits;

pub(super) const TEXT: &str = "text/plain; charset=utf-8";

#[derive(Debug, Clone)]
pub(super) struct Response {
    pub(super) status: u16,
    head: Vec<u8>,
    /// Shared by everyone who waited for the same call.
    body: Arc<Body>,
    /// The client, if it is not allowed.
    pub(super) denied: Option<IpAddr>,
}

#[derive(Debug, Default)]
struct Body {
    bytes: Vec<u8>,
    /// Where the bytes are counted.
    counter: Option<Arc<BodyBytes>>,
}

/// Bytes of the bodies that were counted and that somebody still holds.
#[derive(Debug, Default)]
pub(super) struct BodyBytes(AtomicUsize);

impl BodyBytes {
    pub(super) fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Some(counter) = &self.counter {
            counter.0.fetch_sub(self.bytes.capacity(), Ordering::Relaxed);
        }
    }
}

/// Everything about a response but its body.
pub(super) struct ResponseMeta<'a> {
    pub(super) status: u16,
    pub(super) content_type: &'a str,
    pub(super) headers: &'a [(&'a str, &'a str)],
}

/// Why a connection gets a response without a worker having seen a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Malformed,
    InvalidEscape,
    InvalidHost,
    MissingHost,
    HeadTimeout,
    HasBody,
    HeadTooLong,
    TooManyConnections,
    ResponseTimeout,
    TooManyBytes,
    UnknownVersion,
}

impl Refusal {
    fn status(self) -> u16 {
        match self {
            Refusal::Malformed | Refusal::InvalidEscape | Refusal::InvalidHost | Refusal::MissingHost => 400,
            Refusal::HeadTimeout => 408,
            Refusal::HasBody => 413,
            Refusal::HeadTooLong => 431,
            Refusal::TooManyConnections | Refusal::ResponseTimeout | Refusal::TooManyBytes => 503,
            Refusal::UnknownVersion => 505,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Refusal::Malformed => "malformed request",
            Refusal::InvalidEscape => "a % in the target is not followed by two hexadecimal digits",
            Refusal::InvalidHost => "expected one Host header, with a host name or an address",
            Refusal::MissingHost => "the Host header is missing",
            Refusal::HeadTimeout => "the request did not arrive in time",
            Refusal::HasBody => "requests must not have a body",
            Refusal::HeadTooLong => "the request head is too long",
            Refusal::TooManyConnections => "too many connections; try again later",
            Refusal::ResponseTimeout => "the response was not ready in time; try again later",
            Refusal::TooManyBytes => {
                "the memory is full of responses that their clients have not read; try again later"
            }
            Refusal::UnknownVersion => "only HTTP/1.0 and HTTP/1.1 are supported",
        }
    }
}

impl Response {
    pub(super) fn new(meta: &ResponseMeta<'_>, mut body: Vec<u8>) -> Self {
        // A little room stays. Whoever gives a block back smaller than the next one that he asks for gets each of them
        // from the kernel, page by page.
        if body.capacity() > body.len() + body.len() / 8 {
            body.shrink_to_fit();
        }
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
        let body = Arc::new(Body { bytes: body, counter: None });
        Response { status: meta.status, head, body, denied: None }
    }

    /// A line of text after the status.
    pub(super) fn plain(status: u16, text: &str) -> Self {
        let meta = ResponseMeta { status, content_type: TEXT, headers: &[] };
        Response::new(&meta, format!("{status}: {text}\n").into_bytes())
    }

    pub(super) fn refusal(refusal: Refusal) -> Self {
        Response::plain(refusal.status(), refusal.text())
    }

    /// The response to a client that is not allowed.
    pub(super) fn denied(verdict: &Verdict) -> Self {
        Response { denied: Some(verdict.client), ..Response::plain(403, &verdict.to_string()) }
    }

    /// The response to a request for a host that is not this machine.
    pub(super) fn misdirected(host: &Host) -> Self {
        let shown = cut(&host.to_string(), limits::HOST_CHARS_SHOWN_MAX);
        let text = format!(
            "the host {shown:?} is not known to be this machine; if it is, add it to [http] hosts, or use an \
             address, localhost or the machine's own name"
        );
        Response::plain(421, &text)
    }

    /// The response to `HEAD` where this is that to `GET`: the length of the body is sent, the body is not.
    pub(super) fn without_body(self) -> Self {
        Response { body: Arc::default(), ..self }
    }

    /// Counts the body until nobody holds it any more. No other connection shares the response yet.
    pub(super) fn counted(mut self, counter: &Arc<BodyBytes>) -> Self {
        if let Some(body) = Arc::get_mut(&mut self.body) {
            counter.0.fetch_add(body.bytes.capacity(), Ordering::Relaxed);
            body.counter = Some(Arc::clone(counter));
        }
        self
    }

    /// Bytes of head and body together.
    pub(super) fn length(&self) -> usize {
        self.head.len() + self.body.bytes.len()
    }

    /// What is left of head and body after so many bytes.
    pub(super) fn after(&self, written: usize) -> (&[u8], &[u8]) {
        let in_head = written.min(self.head.len());
        let in_body = (written - in_head).min(self.body.bytes.len());
        (&self.head[in_head..], &self.body.bytes[in_body..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_states_its_length_and_ends_with_the_connection() {
        let meta = ResponseMeta { status: 200, content_type: "x/y", headers: &[("Allow", "GET")] };
        let response = Response::new(&meta, vec![b'x'; 100_000]);
        let head = String::from_utf8(response.head.clone()).unwrap();
        assert!(head.starts_with("HTTP/1.0 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
        assert!(head.contains("Content-Length: 100000\r\n") && head.contains("Allow: GET\r\n"), "{head}");
        assert!(!head.contains("chunked"), "{head}");
        assert_eq!(response.length(), head.len() + 100_000);
    }

    #[test]
    fn what_is_left_after_a_write_begins_in_head_or_body() {
        let response = Response::plain(404, "x");
        let head = response.head.len();
        let left = |written| {
            let (head, body) = response.after(written);
            (head.len(), body.len())
        };
        assert_eq!(
            [0, 1, head, head + 1, head + 7].map(left),
            [(head, 7), (head - 1, 7), (0, 7), (0, 6), (0, 0)]
        );
    }

    #[test]
    fn a_response_to_head_has_no_body_but_its_length() {
        let get = Response::plain(404, "not found");
        let head = get.clone().without_body();
        assert_eq!((&head.head, head.length()), (&get.head, get.head.len()));
    }

    #[test]
    fn a_body_is_counted_once_and_until_nobody_holds_it() {
        let counter = Arc::new(BodyBytes::default());
        let response = Response::plain(200, "x").counted(&counter);
        let shared = response.clone();
        drop(response);
        assert_eq!(counter.get(), "200: x\n".len());
        drop(shared.without_body());
        assert_eq!(counter.get(), 0);
    }

    #[test]
    fn a_body_keeps_a_little_room_and_no_more() {
        let meta = ResponseMeta { status: 200, content_type: TEXT, headers: &[] };
        let room_of = |capacity| {
            let mut body = Vec::with_capacity(capacity);
            body.resize(16_000, b'x');
            Response::new(&meta, body).body.bytes.capacity()
        };
        assert_eq!((room_of(17_000), room_of(32_000)), (17_000, 16_000));
    }

    #[test]
    fn a_host_is_shown_up_to_a_bound() {
        let host = Host::parse(&"x".repeat(8_000)).unwrap();
        let response = Response::misdirected(&host);
        assert!(response.length() < 1_000);
        assert!(
            String::from_utf8_lossy(&response.body.bytes).contains("…\" is not known"),
            "it is cut, and says so"
        );
    }
}
