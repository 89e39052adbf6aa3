//! HTTP before hostile clients. During each attack a good scrape is answered within a second.

#![allow(
    clippy::unwrap_used,
    clippy::format_collect,
    clippy::print_stdout,
    reason = "a failure here is a failed test"
)]

mod support;

use std::io::Write;
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::{Exporter, PATIENCE, Response, wait_until};

/// What a good scrape may take while others misbehave.
const GOOD_SCRAPE: Duration = Duration::from_secs(5);

fn assert_good_scrape(exporter: &Exporter) {
    let started = Instant::now();
    let response = exporter.get("/metrics");
    assert_eq!(response.status, 200, "{}", response.head);
    assert!(response.body.contains("process_open_fds"), "{}", response.body);
    assert!(started.elapsed() < GOOD_SCRAPE, "it took {:?}", started.elapsed());
}

fn connect(exporter: &Exporter) -> TcpStream {
    let stream = TcpStream::connect(exporter.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

#[test]
fn a_denied_address_is_told_so_and_not_read() {
    let exporter = Exporter::start("[stats]\nallowed_ips = 10.0.0.0/8\n");
    for request in [
        "GET /metrics HTTP/1.1\r\n\r\n",
        "\x00garbage",
        "GET / HTTP/1.1\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n",
        "",
    ] {
        let response = Response::of(exporter.address, request.as_bytes());
        assert_eq!(response.status, 403, "{request:?}");
    }
    // Nothing was sent: the answer comes at once all the same, and the connection ends.
    let started = Instant::now();
    assert_eq!(Response::read(&mut connect(&exporter)).status, 403);
    assert!(started.elapsed() < GOOD_SCRAPE);
}

#[test]
fn bodies_are_refused_and_never_read() {
    let exporter = Exporter::start("");
    for length in ["1", "1000000000000", "1000000000000000000", "99999999999999999999999"] {
        let request = format!("GET /metrics HTTP/1.1\r\nContent-Length: {length}\r\n\r\n");
        assert_eq!(Response::of(exporter.address, request.as_bytes()).status, 413, "{length}");
        assert_good_scrape(&exporter);
    }
    let chunked = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n";
    assert_eq!(Response::of(exporter.address, chunked).status, 413);
    assert_eq!(Response::of(exporter.address, b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n").status, 400);
}

#[test]
fn endless_heads_end() {
    let exporter = Exporter::start("");
    for start in ["GET /", "GET / HTTP/1.1\r\nX: ", "GET / HTTP/1.1\r\n"] {
        let mut stream = connect(&exporter);
        stream.write_all(start.as_bytes()).unwrap();
        let filler = if start.ends_with('\n') { "a: b\r\n".repeat(100) } else { "x".repeat(600) };
        // A head is at most 8 KiB; what is sent beyond that need not be taken.
        for _ in 0..20 {
            let _ = stream.write_all(filler.as_bytes());
        }
        assert_eq!(Response::read(&mut stream).status, 431, "{start:?}");
        assert_good_scrape(&exporter);
    }
}

#[test]
fn what_is_no_request_is_answered_so() {
    let exporter = Exporter::start("");
    for garbage in
        ["\r\n\r\n\0\0\0\r\n\r\n", "\x16\x03\x01\x00\u{1}\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n"]
    {
        let status = Response::of(exporter.address, garbage.as_bytes()).status;
        assert!(status == 400 || status == 505, "{garbage:?}: {status}");
    }
    assert_good_scrape(&exporter);
}

#[test]
fn a_head_that_does_not_arrive_is_timed_out() {
    let exporter = Exporter::start("");
    let mut slow = connect(&exporter);
    slow.write_all(b"GET / HT").unwrap();
    let started = Instant::now();
    assert_eq!(Response::read(&mut slow).status, 408);
    let took = started.elapsed();
    assert!(took > Duration::from_secs(4) && took < Duration::from_secs(9), "{took:?}");
}

#[test]
fn connections_that_are_reset_are_nothing() {
    let exporter = Exporter::start("");
    for round in 0..3_000 {
        let mut stream = TcpStream::connect(exporter.address).unwrap();
        // Unread bytes of the answer, or of ours, turn the close into a reset.
        let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n");
        drop(stream);
        if round % 1_000 == 0 {
            assert_good_scrape(&exporter);
        }
    }
    assert_good_scrape(&exporter);
}

#[test]
fn idle_clients_keep_nobody_out() {
    let exporter = Exporter::start("");
    let mut idle: Vec<TcpStream> = (0..500).map(|_| connect(&exporter)).collect();
    assert_good_scrape(&exporter);
    for stream in &mut idle {
        let _ = stream.write_all(b"GET /");
    }
    assert_good_scrape(&exporter);
    assert_eq!(Response::read(&mut idle[0]).status, 503);
    assert!(exporter.value("lifecycle_exporter_http_requests_total{code=\"503\"}").unwrap() >= 400.0);
}

/// Clients that send one byte, wait, and come back as soon as they are sent away.
#[test]
fn unfinished_heads_drive_out_no_scraper_that_takes_a_moment() {
    let exporter = Exporter::start("");
    let is_over = AtomicBool::new(false);
    let wait = || {
        let mut stream = connect(&exporter);
        let _ = stream.write_all(b"G");
        let _ = Response::read(&mut stream);
    };
    thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    wait();
                }
            });
        }
        let statuses: Vec<u16> = (0..10)
            .map(|_| {
                let mut scraper = connect(&exporter);
                let asks_at = Instant::now() + Duration::from_millis(30);
                while let Some(rest) = asks_at.checked_duration_since(Instant::now()) {
                    thread::park_timeout(rest);
                }
                let _ = scraper.write_all(b"GET /-/healthy HTTP/1.1\r\n\r\n");
                Response::read(&mut scraper).status
            })
            .collect();
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(statuses, [200; 10]);
    });
}

/// Many series with labels of so many bytes.
fn exporter_with_series(label_bytes: usize) -> Exporter {
    let exporter = Exporter::start("[limits]\nseries_per_metric = 100000\n");
    let line = |index: i32| {
        format!("{{\"event\":\"signaling.message.received\",\"type\":\"{index:0label_bytes$}\"}}\n")
    };
    exporter.feed((0..30_000).map(line).collect::<String>());
    exporter.wait_for("lifecycle_exporter_events_total{event=\"signaling.message.received\"}", 30_000.0);
    exporter
}

/// A slow reader keeps the whole response in memory; sixty that ask for different ones keep sixty.
#[test]
fn responses_that_nobody_reads_take_bounded_memory() {
    let exporter = exporter_with_series(600);
    let body = exporter.get("/metrics?system=signaling").raw_body.len() as u64;
    assert!(body > 18_000_000, "{body}");
    let before = exporter.resident_bytes();
    let others = ["recording", "proxy", "edumeet", "vlog"];
    let mut slow: Vec<TcpStream> = (0..60)
        .map(|client| {
            let with = |bit: &usize| client >> bit & 1 == 1;
            let systems = (0..4).filter(with).map(|bit| format!("&system={}", others[bit]));
            let target = "system=signaling".to_owned() + &systems.collect::<String>() + &"&x".repeat(client);
            let mut stream = connect(&exporter);
            stream.write_all(format!("GET /metrics?{target} HTTP/1.1\r\n\r\n").as_bytes()).unwrap();
            stream
        })
        .collect();
    // A scraper gets a clear answer before it gives up.
    let started = Instant::now();
    let refused = exporter.get("/metrics?system=vlog");
    assert_eq!(refused.status, 503, "{}", refused.head);
    assert!(refused.body.contains("responses that their clients have not read"), "{}", refused.body);
    assert!(started.elapsed() < Duration::from_secs(9), "{:?}", started.elapsed());
    assert_eq!(exporter.get("/-/healthy").status, 200);
    let grown = exporter.resident_bytes().saturating_sub(before);
    assert!(grown < (64 << 20) + 4 * body, "{grown} bytes for bodies of {body}");
    // Each gets the whole of its response or its beginning, or is told why not.
    for stream in &mut slow[..30] {
        assert!(matches!(Response::read(stream).status, 200 | 503));
    }
    drop(slow);
    assert_good_scrape(&exporter);
}

#[test]
fn a_slow_reader_gives_its_memory_to_the_next_scraper() {
    let exporter = exporter_with_series(600);
    // The exporter's own metrics come along, so whole responses differ by some bytes.
    let whole = exporter.get("/metrics?system=signaling").raw_body.len() - 1_000;
    // One after another, so that each has a response of its own.
    let mut slow: Vec<TcpStream> = (0..4)
        .map(|_| {
            let mut stream = connect(&exporter);
            stream.write_all(b"GET /metrics?system=signaling HTTP/1.1\r\n\r\n").unwrap();
            assert_eq!(stream.peek(&mut [0]).unwrap(), 1);
            stream
        })
        .collect();
    let started = Instant::now();
    assert!(exporter.get("/metrics?system=signaling").raw_body.len() > whole);
    assert!(started.elapsed() < Duration::from_secs(7), "{:?}", started.elapsed());
    let lengths: Vec<usize> = slow.iter_mut().map(|stream| Response::read(stream).raw_body.len()).collect();
    assert!(lengths[0] < whole && lengths[3] > whole, "{lengths:?} of {whole}");
}

#[test]
fn slow_readers_keep_nobody_out() {
    let exporter = exporter_with_series(100);
    let slow: Vec<TcpStream> = (0..40)
        .map(|_| {
            let mut stream = connect(&exporter);
            stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
            stream
        })
        .collect();
    let started = Instant::now();
    assert_eq!(exporter.get("/-/healthy").status, 200);
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    drop(slow);
}

#[test]
fn running_out_of_descriptors_is_waited_out() {
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -n 96; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_lifecycle-exporter")]);
    let exporter = Exporter::start_by("", |_| {}, shell);
    let mut producers: Vec<std::os::unix::net::UnixStream> = Vec::new();
    for _ in 0..200 {
        producers.extend(std::os::unix::net::UnixStream::connect(&exporter.socket));
    }
    let clients: Vec<TcpStream> = (0..100).map(|_| connect(&exporter)).collect();
    assert_good_scrape(&exporter);
    drop((producers, clients));
    exporter.wait_for("lifecycle_exporter_producers", 0.0);
    exporter.feed("{\"event\":\"signaling.session.resume_failed\"}\n");
    exporter.wait_for("signaling_hub_sessions_resume_failed_total", 1.0);
    assert_good_scrape(&exporter);
}

#[test]
fn a_client_that_goes_on_talking_still_gets_its_answer() {
    let exporter = Exporter::start("");
    let mut request = b"GET /-/healthy HTTP/1.1\r\n\r\n".to_vec();
    request.extend(vec![b'x'; 100_000]);
    assert_eq!(Response::of(exporter.address, &request).status, 200);
}

#[test]
fn several_addresses_are_served() {
    let exporter = Exporter::start_by("", |_| {}, {
        let mut command = support::binary();
        command.args(["--listen", "[::1]:0"]);
        command
    });
    wait_until(|| exporter.log().contains("metrics on [::1]:"), || exporter.log());
    let text = exporter.log();
    assert!(text.contains(" and 127.0.0.1:"), "{text}");
    assert_eq!(exporter.get("/-/ready").status, 200);
}

#[test]
fn the_page_names_who_was_denied_and_the_log_names_the_page() {
    let exporter = Exporter::start("[app]\ntrustedproxies = 127.0.0.1\n");
    let forwarded = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n";
    for _ in 0..2 {
        let response = Response::of(exporter.address, forwarded);
        assert_eq!(response.status, 403);
        assert!(response.body.contains("203.0.113.7"), "{}", response.body);
    }
    let page = exporter.get("/").body;
    assert!(page.contains("Denied: <code>203.0.113.7</code>, 2 times"), "{page}");
    let expected = format!("look at http://{}/ in a browser", exporter.address);
    assert!(exporter.log().contains(&expected), "{}", exporter.log());
}
