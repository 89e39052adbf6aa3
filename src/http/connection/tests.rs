use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::config::{Networks, Settings};

/// Allowed, trusted as a proxy but not allowed itself, and neither.
const PEERS: [&str; 3] = ["127.0.0.1", "192.0.2.1", "198.51.100.1"];

fn access() -> Access {
    let trusted_proxies = Networks::parse("192.0.2.1");
    Access::new(&Settings { trusted_proxies, ..Settings::default() }, &[])
}

/// A connection, and the world around it: what is sent, and the promises that no input may break.
struct Client {
    access: Access,
    peer: IpAddr,
    now: Instant,
    state: State,
    received: Vec<u8>,
    /// Head and body of the only response.
    response: Vec<u8>,
    sent: Vec<u8>,
    statuses: Vec<u16>,
    requests: Vec<Request>,
    denied: Vec<IpAddr>,
    write_half_is_open: bool,
    is_closed: bool,
}

impl Client {
    fn new(peer: &str) -> Self {
        let now = Instant::now();
        Client {
            access: access(),
            peer: peer.parse().unwrap(),
            now,
            state: State::new(now),
            received: Vec::new(),
            response: Vec::new(),
            sent: Vec::new(),
            statuses: Vec::new(),
            requests: Vec::new(),
            denied: Vec::new(),
            write_half_is_open: true,
            is_closed: false,
        }
    }

    /// One transition. Returns whether the server is asked to write.
    fn step(&mut self, input: Input<'_>) -> bool {
        let was_closed = self.is_closed;
        if let (State::ReadingHead { .. }, Input::Received(bytes)) = (&self.state, &input) {
            self.received.extend_from_slice(bytes);
        }
        let state = std::mem::replace(&mut self.state, State::Closed);
        let context = Context { now: self.now, peer: self.peer, access: &self.access };
        let (state, actions) = state.step(input, &context);
        self.state = state;
        assert!(actions.is_empty() || !was_closed, "{actions:?} after the close");
        let mut writes = false;
        for action in actions {
            assert!(!self.is_closed, "{action:?} after the close");
            match action {
                Action::Poll(interest) => assert_eq!(interest, self.state.interest()),
                Action::Read => assert_eq!(self.state.interest(), Interest::Readable),
                Action::Write => writes = true,
                Action::ShutDownWrite => {
                    assert_eq!(self.sent, self.response, "shut down before everything was sent");
                    self.write_half_is_open = false;
                }
                Action::HandOver(request) => self.requests.push(request),
                Action::CountStatus(status) => {
                    self.statuses.push(status);
                    self.response = self.unwritten();
                    // Every answer of a worker has the status 200 here, and a body even for `HEAD`.
                    let is_refusal_of_head = status != 200 && request::is_head(&self.received);
                    assert!(!is_refusal_of_head || self.response.ends_with(b"\r\n\r\n"));
                }
                Action::NoteDenied(client) => self.denied.push(client),
                Action::Close => self.is_closed = true,
            }
        }
        assert_eq!(self.is_closed, matches!(self.state, State::Closed));
        assert_eq!(self.is_closed, self.state.deadline().is_none());
        let is_writing = matches!(self.state, State::Writing { .. });
        assert_eq!(is_writing, !self.unwritten().is_empty());
        assert!(!writes || is_writing);
        if is_writing {
            assert!(self.write_half_is_open);
            assert_eq!([self.sent.clone(), self.unwritten()].concat(), self.response);
        }
        assert!(self.response.starts_with(&self.sent));
        let has_response = is_writing || !self.sent.is_empty();
        assert!(
            self.statuses.len() <= 1 && (!has_response || self.statuses.len() == 1),
            "{:?}",
            self.statuses
        );
        assert!(self.requests.len() <= 1, "{:?}", self.requests);
        writes
    }

    fn unwritten(&self) -> Vec<u8> {
        self.state.unwritten().iter().flat_map(|slice| slice.to_vec()).collect()
    }

    /// The kernel takes so many bytes, or all that are left.
    fn write(&mut self, count: usize) -> bool {
        let unwritten = self.unwritten();
        if unwritten.is_empty() {
            return false;
        }
        let count = count.clamp(1, unwritten.len());
        self.sent.extend_from_slice(&unwritten[..count]);
        self.step(Input::Wrote(count))
    }

    fn pass_deadline(&mut self) {
        self.now = self.state.deadline().unwrap_or(self.now);
        self.step(Input::DeadlinePassed);
    }

    fn answer(&mut self) {
        self.step(Input::Answered(Response::plain(200, "an answer")));
    }
}

const HEAD: &[u8] = b"HEAD / HTTP/1.0\r\nX-Forwarded-For: 127.0.0.1\r\nHost: rebound.example\r\n\r\n";
const REQUEST: &[u8] = b"GET /metrics HTTP/1.1\r\nX-Forwarded-For: 127.0.0.1\r\n\r\n";

#[derive(Debug, Clone)]
enum Event {
    Received(Vec<u8>),
    Write(usize),
    Answered(usize),
    DeadlinePassed,
    EndOfStream,
    ReadFailed,
    WriteBlocked,
    WriteFailed,
    HungUp,
    Denied,
    Evicted,
    Aborted,
}

fn event() -> impl Strategy<Value = Event> {
    let part = (0..REQUEST.len(), 0..REQUEST.len());
    let start_of_head = 0..=HEAD.len();
    prop_oneof![
        8 => Just(Event::Received(REQUEST.to_vec())),
        8 => part.prop_map(|(a, b)| Event::Received(REQUEST[a.min(b)..=a.max(b)].to_vec())),
        4 => start_of_head.prop_map(|end| Event::Received(HEAD[..end.max(1)].to_vec())),
        2 => prop::collection::vec(any::<u8>(), 1..20).prop_map(Event::Received),
        1 => Just(Event::Received(b"GET / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx".to_vec())),
        1 => (1..200_000_usize).prop_map(|length| Event::Received(vec![b'x'; length])),
        12 => (1..300_usize).prop_map(Event::Write),
        8 => (0..100_usize).prop_map(Event::Answered),
        1 => Just(Event::DeadlinePassed),
        1 => Just(Event::EndOfStream),
        1 => Just(Event::ReadFailed),
        4 => Just(Event::WriteBlocked),
        1 => Just(Event::WriteFailed),
        1 => Just(Event::HungUp),
        1 => Just(Event::Denied),
        1 => Just(Event::Evicted),
        1 => Just(Event::Aborted),
    ]
}

proptest! {
    /// `Client::step` checks what must hold after each input.
    #[test]
    fn no_input_breaks_a_promise(
        peer in prop::sample::select(&PEERS[..]),
        events in prop::collection::vec(event(), 0..40),
    ) {
        let mut client = Client::new(peer);
        for event in events {
            client.now += Duration::from_millis(1);
            match event {
                Event::Received(bytes) => drop(client.step(Input::Received(&bytes))),
                Event::Write(count) => drop(client.write(count)),
                Event::Answered(length) => {
                    client.step(Input::Answered(Response::plain(200, &"x".repeat(length))));
                }
                Event::DeadlinePassed => client.pass_deadline(),
                Event::EndOfStream => drop(client.step(Input::EndOfStream)),
                Event::ReadFailed => drop(client.step(Input::ReadFailed)),
                Event::WriteBlocked => drop(client.step(Input::WriteBlocked)),
                Event::WriteFailed => drop(client.step(Input::WriteFailed)),
                Event::HungUp => drop(client.step(Input::HungUp)),
                Event::Denied => drop(client.step(Input::Denied)),
                Event::Evicted => drop(client.step(Input::Evicted)),
                Event::Aborted => drop(client.step(Input::Aborted)),
            }
            if let Some(deadline) = client.state.deadline() {
                prop_assert!(deadline <= client.now + limits::HTTP_RESPONSE_TIME_MAX);
            }
        }
        // Every state has a way out: a response is owed at most once, and then has to be read in time.
        client.pass_deadline();
        client.pass_deadline();
        prop_assert!(client.is_closed, "{:?}", client.state);
    }
}

#[test]
fn a_request_is_handed_over_answered_and_lingers() {
    let mut client = Client::new("127.0.0.1");
    let (start, rest) = REQUEST.split_at(20);
    client.step(Input::Received(start));
    assert_eq!(client.state.deadline(), Some(client.now + limits::HTTP_HEAD_TIME_MAX));
    client.step(Input::Received(rest));
    assert_eq!(client.requests[0].path, "/metrics");
    assert_eq!(client.state.deadline(), Some(client.now + limits::HTTP_RESPONSE_TIME_MAX));
    client.answer();
    assert!(client.write(10), "the rest has to be written");
    client.step(Input::WriteBlocked);
    assert!(!client.write(usize::MAX));
    assert!(client.state.is_lingering() && client.sent.ends_with(b"200: an answer\n"));
    assert_eq!(client.state.deadline(), Some(client.now + limits::HTTP_LINGER_TIME_MAX));
    client.step(Input::EndOfStream);
    assert!(client.is_closed);
    assert_eq!(client.statuses, [200]);
}

#[test]
fn each_state_has_its_status_for_a_passed_deadline() {
    let mut silent = Client::new("127.0.0.1");
    silent.pass_deadline();
    let mut unanswered = Client::new("127.0.0.1");
    unanswered.step(Input::Received(REQUEST));
    unanswered.pass_deadline();
    // Too late.
    unanswered.answer();
    let mut answered = Client::new("127.0.0.1");
    answered.step(Input::Received(REQUEST));
    answered.answer();
    answered.pass_deadline();
    assert_eq!([&silent, &unanswered, &answered].map(|client| client.statuses[0]), [408, 503, 200]);
    assert_eq!([silent, unanswered, answered].map(|client| client.is_closed), [false, false, true]);
}

#[test]
fn only_the_allowed_learn_what_is_wrong() {
    let cases: [(&str, &[u8], Option<u16>); 7] = [
        ("127.0.0.1", REQUEST, None),
        ("127.0.0.1", b"garbage\0", Some(400)),
        ("127.0.0.1", b"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\n", Some(413)),
        ("192.0.2.1", REQUEST, None),
        ("192.0.2.1", b"garbage\0", Some(403)),
        ("192.0.2.1", b"GET / HTTP/1.1\r\n\r\n", Some(403)),
        (
            "192.0.2.1",
            b"GET / HTTP/1.1\r\nX-Forwarded-For: 203.0.113.1\r\nContent-Length: 1\r\n\r\n",
            Some(403),
        ),
    ];
    for (peer, request, status) in cases {
        let mut client = Client::new(peer);
        client.step(Input::Received(request));
        assert_eq!(client.statuses.first().copied(), status, "{peer} {}", request.escape_ascii());
        assert_eq!(client.requests.len(), usize::from(status.is_none()));
    }
}

#[test]
fn a_head_is_bounded_and_so_is_what_comes_after_the_response() {
    let mut client = Client::new("127.0.0.1");
    client.step(Input::Received(b"GET /"));
    client.step(Input::Received(&vec![b'x'; limits::HTTP_HEAD_BYTES_MAX - 6]));
    assert!(client.statuses.is_empty());
    client.step(Input::Received(b"xx"));
    assert_eq!(client.statuses, [431]);
    client.write(usize::MAX);
    client.step(Input::Received(&vec![b'x'; limits::HTTP_LINGER_BYTES_MAX]));
    assert!(!client.is_closed);
    client.step(Input::Received(b"x"));
    assert!(client.is_closed);
}

#[test]
fn equal_requests_of_different_clients_may_share_a_response() {
    let requests = [
        ("127.0.0.1", "system=b&system=a", "Host: x\r\nAccept-Encoding: gzip\r\n"),
        (
            "192.0.2.1",
            "system=%61&system=b&system=b&x",
            "Accept-Encoding: *\r\nX-Forwarded-For: 127.0.0.1\r\n",
        ),
    ]
    .map(|(peer, query, headers)| {
        let mut client = Client::new(peer);
        client.step(Input::Received(format!("GET /metrics?{query} HTTP/1.1\r\n{headers}\r\n").as_bytes()));
        client.requests.remove(0)
    });
    assert_eq!(requests[0], requests[1]);
}

#[test]
fn a_page_is_for_hosts_of_this_machine_unless_a_proxy_asks() {
    let cases = [
        ("127.0.0.1", "/", "1.1\r\nHost: localhost", None),
        ("127.0.0.1", "/", "1.1\r\nHost: rebound.example", Some(421)),
        ("127.0.0.1", "/api/nothing", "1.0\r\nHost: rebound.example", Some(421)),
        ("127.0.0.1", "/api/nothing", "1.1", Some(400)),
        ("127.0.0.1", "/", "1.0", None),
        ("127.0.0.1", "/metrics", "1.1\r\nHost: rebound.example", None),
        ("127.0.0.1", "/metrics", "1.1", None),
        ("127.0.0.1", "/metrics", "1.1\r\nHost: a\r\nHost: a", Some(400)),
        ("192.0.2.1", "/", "1.1\r\nX-Forwarded-For: 127.0.0.1\r\nHost: public.example", None),
        ("192.0.2.1", "/", "1.1\r\nX-Forwarded-For: 203.0.113.1\r\nHost: public.example", Some(403)),
        ("192.0.2.1", "/", "1.1\r\nX-Forwarded-For: 127.0.0.1\r\nHost: a b", Some(400)),
    ];
    for (peer, path, rest, status) in cases {
        let mut client = Client::new(peer);
        client.step(Input::Received(format!("GET {path} HTTP/{rest}\r\n\r\n").as_bytes()));
        assert_eq!(client.statuses.first().copied(), status, "{peer} {path} {rest:?}");
    }
}

#[test]
fn a_refusal_of_head_has_no_body_whatever_its_reason() {
    let request: &[u8] = b"HEAD /metrics HTTP/1.1\r\n";
    let steps: [(&[u8], Input<'_>); 5] = [
        (request, Input::Evicted),
        (request, Input::DeadlinePassed),
        (request, Input::Received(b"garbage\0")),
        (request, Input::Received(b"Content-Length: 1\r\n\r\n")),
        (b"HEAD /metrics HTTP/1.1\r\n\r\n", Input::DeadlinePassed),
    ];
    for (bytes, input) in steps {
        let mut client = Client::new("127.0.0.1");
        client.step(Input::Received(bytes));
        client.step(input);
        assert_eq!(client.statuses.len(), 1);
        assert!(client.response.ends_with(b"\r\n\r\n"), "{}", client.response.escape_ascii());
    }
}

#[test]
fn a_403_names_the_address() {
    let mut client = Client::new("198.51.100.1");
    client.step(Input::Denied);
    let text = String::from_utf8_lossy(&client.response).into_owned();
    assert!(client.statuses == [403] && text.contains("198.51.100.1"), "{text}");
    assert_eq!(client.denied, [client.peer]);
}

#[test]
fn whoever_has_waited_longest_may_be_evicted_first_but_not_at_once() {
    let started = Instant::now();
    let evictable_from = |bytes: &[u8], second: u64| {
        let mut client = Client::new("127.0.0.1");
        client.state = State::new(started + Duration::from_secs(second));
        if !bytes.is_empty() {
            client.step(Input::Received(bytes));
        }
        client.state.evictable_from()
    };
    let from = [evictable_from(b"G", 1), evictable_from(b"", 2), evictable_from(b"GET", 3)];
    assert!(from.is_sorted(), "{from:?}");
    assert_eq!(from[0], Some(started + Duration::from_secs(1) + limits::HTTP_HEAD_TIME_MIN));
    assert_eq!(evictable_from(REQUEST, 9), None);
}
