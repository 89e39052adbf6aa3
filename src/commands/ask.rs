//! Asks the running exporter one question over HTTP: `GET`, and its answer. `open` and `check --alive` use it.
//!
//! It is a client for this exporter alone: one request a connection, no redirects, no transfer codings, no TLS.
//! It trusts what answers as little as the exporter trusts its clients: the whole exchange has one deadline, and
//! the answer has a bound.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::config::Settings;
use crate::daemon::logging::push_printable;
use crate::faults::cut;
use crate::http::listen::reachable;
use crate::limits;

/// What the exporter answered.
#[derive(Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// Where a client on this machine reaches an exporter with these settings: at its first address.
pub(super) fn address(settings: &Settings) -> Result<SocketAddr, String> {
    let listen = settings.listen.first().ok_or("[http] listen: expected an address, or --listen ADDRESS")?;
    Ok(reachable(*listen))
}

/// The target of a request for a path with a query.
pub(super) fn target(path: &str, query: &[(&str, &str)]) -> String {
    let mut target = path.to_owned();
    for (index, (name, value)) in query.iter().enumerate() {
        target.push(if index == 0 { '?' } else { '&' });
        target.push_str(name);
        target.push('=');
        for byte in value.bytes() {
            // RFC 3986, section 2.3.
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                target.push(char::from(byte));
            } else {
                target.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    target
}

/// Asks, and returns the answer, whatever its status. The error says why there is none.
pub(super) fn get(address: SocketAddr, target: &str, patience: Duration) -> Result<Answer, String> {
    let deadline = Instant::now() + patience;
    let silent = || {
        format!(
            "{address} does not answer within {patience:?}; see what the exporter does: \
             journalctl -u lifecycle-exporter"
        )
    };
    let mut stream = TcpStream::connect_timeout(&address, limits::ASK_CONNECT_MAX.min(patience))
        .map_err(|error| unreachable(address, &error))?;
    let request = format!("GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    // A client that is not allowed gets its answer before its request is read. So what can be read counts, even
    // where writing fails.
    let _ = stream.set_write_timeout(Some(patience)).and_then(|()| stream.write_all(request.as_bytes()));
    let mut bytes = Vec::new();
    let max = limits::ASK_BYTES_MAX;
    let read = Timed { stream, deadline }.take(max as u64 + 1).read_to_end(&mut bytes);
    if bytes.len() > max {
        return Err(format!("{address}: the answer has more than {max} bytes; ask for a part of it"));
    }
    match (parse(&bytes, read.is_ok()), read) {
        (Parsed::Complete(answer), _) => Ok(answer),
        (Parsed::Invalid, _) => {
            Err(format!("{address}: no exporter answers there; --listen names the exporter's address"))
        }
        (Parsed::Incomplete, Err(error)) if is_timeout(&error) => Err(silent()),
        (Parsed::Incomplete, Err(error)) => {
            Err(format!("{address}: the answer broke off ({error}); try again"))
        }
        (Parsed::Incomplete, Ok(_)) => {
            Err(format!("{address}: the connection was closed before the end of the answer; try again"))
        }
    }
}

fn unreachable(address: SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => format!(
            "nobody listens at {address}; is the exporter running? (systemctl status lifecycle-exporter; \
             --listen names another address)"
        ),
        _ => format!("{address} cannot be reached: {error}; --listen names another address"),
    }
}

impl Answer {
    /// What the exporter said of its refusal, on one line that a terminal can show.
    pub(super) fn said(&self) -> String {
        let body = String::from_utf8_lossy(&self.body);
        let line = body.lines().next().unwrap_or_default();
        let line = line.strip_prefix(&format!("{}: ", self.status)).unwrap_or(line);
        printable(&cut(line, limits::ASK_SAID_CHARS_MAX))
    }

    /// The error for an answer that is not the one that was asked for.
    pub(super) fn refusal(&self, address: SocketAddr) -> String {
        let said = self.said();
        match self.status {
            400 => said,
            403 => format!("{address} does not let this machine in: {said}; add its address there"),
            503 => format!("{address}: {said}"),
            status => format!(
                "{address} answers {status} ({said}); --listen names the address of an exporter of version {}",
                env!("CARGO_PKG_VERSION")
            ),
        }
    }
}

/// Text with everything escaped that a terminal would obey.
pub(super) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    push_printable(&mut shown, text);
    shown
}

/// A stream that is read until a deadline.
struct Timed {
    stream: TcpStream,
    deadline: Instant,
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        self.stream.read(buffer)
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}

#[derive(Debug, PartialEq)]
enum Parsed {
    Complete(Answer),
    Incomplete,
    /// It is no response, or none as the exporter sends it.
    Invalid,
}

/// Parses what was read. `has_ended`: the server closed the connection in good order.
fn parse(bytes: &[u8], has_ended: bool) -> Parsed {
    let mut headers = [httparse::EMPTY_HEADER; limits::HTTP_HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let (body, status) = match (response.parse(bytes), response.code) {
        (Ok(httparse::Status::Complete(length)), Some(status)) => (&bytes[length..], status),
        (Ok(_), _) => return Parsed::Incomplete,
        (Err(_), _) => return Parsed::Invalid,
    };
    let header = |name: &str| response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
    if header("Transfer-Encoding").is_some() {
        return Parsed::Invalid;
    }
    let length = match header("Content-Length").map(|header| str::from_utf8(header.value)) {
        None if has_ended => body.len(),
        None => return Parsed::Incomplete,
        Some(text) => match text.ok().and_then(|text| text.trim().parse().ok()) {
            Some(length) => length,
            None => return Parsed::Invalid,
        },
    };
    match body.get(..length) {
        Some(body) => Parsed::Complete(Answer { status, body: body.to_vec() }),
        None => Parsed::Incomplete,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// What comes of a server that answers with these bytes, and the request that it got.
    fn answered(reply: &'static [u8]) -> (Result<Answer, String>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.extend(byte);
            }
            stream.write_all(reply).unwrap();
            String::from_utf8(request).unwrap()
        });
        let answer = get(address, "/x?y=1", PATIENCE);
        (answer, server.join().unwrap().replace(&address.to_string(), "ADDRESS"))
    }

    #[test]
    fn an_answer_has_a_status_and_a_body() {
        let (answer, request) = answered(b"HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\na\nb and more");
        assert_eq!(answer, Ok(Answer { status: 200, body: b"a\nb".to_vec() }));
        assert_eq!(request, "GET /x?y=1 HTTP/1.1\r\nHost: ADDRESS\r\nConnection: close\r\n\r\n");
        let (answer, _) = answered(b"HTTP/1.1 503 Busy\r\n\r\n503: later \x1b[2J\n2");
        assert_eq!(answer.unwrap().said(), "later \\u{1b}[2J");
    }

    #[test]
    fn what_is_no_whole_answer_is_an_error() {
        for (reply, expected) in [
            (&b""[..], "closed before the end"),
            (b"HTTP/1.1 200", "closed before the end"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc", "closed before the end"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nabc", "no exporter answers there"),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "no exporter answers there"),
            (b"SSH-2.0-OpenSSH_9.2\r\n", "no exporter answers there"),
            (&[b'x'; 10_000], "more than 4096 bytes"),
        ] {
            let (answer, _) = answered(reply);
            let error = answer.unwrap_err();
            assert!(error.contains(expected), "{}: {error}", String::from_utf8_lossy(reply));
        }
    }

    #[test]
    fn an_answer_is_not_waited_for_without_end() {
        // The kernel accepts for it.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let error = get(silent.local_addr().unwrap(), "/", Duration::from_millis(50)).unwrap_err();
        assert!(error.contains("does not answer within 50ms"), "{error}");
        let address = silent.local_addr().unwrap();
        drop(silent);
        let error = get(address, "/", PATIENCE).unwrap_err();
        assert!(
            error.starts_with(&format!("nobody listens at {address}; is the exporter running?")),
            "{error}"
        );
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let refusal = |status, body: &str| {
            let answer = Answer { status, body: body.as_bytes().to_vec() };
            answer.refusal("[::1]:1".parse().unwrap())
        };
        assert_eq!(refusal(400, "400: \"x\": unknown system\n"), "\"x\": unknown system");
        assert!(refusal(403, "403: denied\n").starts_with("[::1]:1 does not let this machine in: denied; "));
        assert_eq!(
            refusal(503, "no recent heartbeat from: feed\n"),
            "[::1]:1: no recent heartbeat from: feed"
        );
        assert!(refusal(404, "<html>\n").starts_with("[::1]:1 answers 404 (<html>); --listen names "));
    }

    #[test]
    fn all_of_a_machine_is_asked_at_its_loopback() {
        for (listen, asked) in [
            ("0.0.0.0:7", "127.0.0.1:7"),
            ("[::]:7", "[::1]:7"),
            ("192.0.2.1:7", "192.0.2.1:7"),
            ("[2001:db8::1]:7", "[2001:db8::1]:7"),
        ] {
            let listen = vec![listen.parse().unwrap(), "127.0.0.2:8".parse().unwrap()];
            let settings = Settings { listen, ..Settings::default() };
            assert_eq!(address(&settings), Ok(asked.parse().unwrap()));
        }
        assert!(address(&Settings { listen: Vec::new(), ..Settings::default() }).is_err());
    }

    #[test]
    fn the_values_of_a_query_are_escaped() {
        assert_eq!(target("/a", &[]), "/a");
        assert_eq!(
            target("/a", &[("b", "x-y.z_~0"), ("c", "&=%+ ä\r\n")]),
            "/a?b=x-y.z_~0&c=%26%3D%25%2B%20%C3%A4%0D%0A"
        );
    }
}
