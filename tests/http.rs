//! HTTP before hostile clients. During each attack a good scrape is answered within a second.

#![allow(
    clippy::unwrap_used,
    clippy::format_collect,
    clippy::print_stdout,
    reason = "a failure here is a failed test"
)]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::{Exporter, PATIENCE, Response, wait_until};

/// What a good scrape may take while others misbehave.
const GOOD_SCRAPE: Duration = Duration::from_secs(1);

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
fn what_is_served() {
    let exporter = Exporter::start("[systems]\nenabled = recording, proxy\n");
    let metrics = exporter.get("/metrics");
    assert!(
        metrics.head.contains("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"),
        "{}",
        metrics.head
    );
    assert!(metrics.head.starts_with("HTTP/1.0 200 OK\r\n"), "{}", metrics.head);
    let names: Vec<&str> = metrics.body.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    assert!(
        names.is_sorted() && names.iter().any(|name| name.starts_with("signaling_proxy_load ")),
        "{names:?}"
    );
    let part = exporter.get("/metrics?system=proxy");
    assert!(
        part.body.contains("signaling_proxy_load 0\n") && !part.body.contains("\nsignaling_hub_"),
        "{}",
        part.body
    );
    assert!(part.body.contains("lifecycle_exporter_build_info"), "its own come along: {}", part.body);
    let own = exporter.get("/metrics?system=exporter");
    assert!(own.body.contains("lifecycle_exporter_build_info"), "{}", own.body);
    assert!(!own.body.contains("\nsignaling_"), "and nothing else: {}", own.body);
    assert_eq!(exporter.get("/metrics?system=proxy&system=recording").status, 200);
    let cases = [
        ("/", 200, "/metrics"),
        ("/-/healthy", 200, "ok"),
        ("/-/ready", 200, "ready"),
        ("/metrics?system=nothing", 400, "expected one of recording, signaling"),
        ("/nothing", 404, "404"),
        ("/metrics/", 404, "404"),
    ];
    for (target, status, text) in cases {
        let response = exporter.get(target);
        assert_eq!(response.status, status, "{target}");
        assert!(response.body.contains(text), "{target}: {}", response.body);
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "BREW"] {
        let response =
            Response::of(exporter.address, format!("{method} /metrics HTTP/1.1\r\n\r\n").as_bytes());
        assert_eq!(response.status, 405);
        assert!(response.head.contains("Allow: GET, HEAD\r\n"), "{}", response.head);
    }
    assert_eq!(exporter.value("lifecycle_exporter_http_requests_total{code=\"405\"}"), Some(5.0));
}

#[test]
fn gzip_where_it_is_accepted() {
    let exporter = Exporter::start("");
    let request = b"GET /metrics HTTP/1.1\r\nAccept-Encoding: gzip\r\n\r\n";
    let response = Response::of(exporter.address, request);
    assert!(response.head.contains("Content-Encoding: gzip\r\n"), "{}", response.head);
    let mut text = String::new();
    flate2::read::GzDecoder::new(response.raw_body.as_slice()).read_to_string(&mut text).unwrap();
    assert!(text.contains("process_open_fds"), "{text}");
    assert!(!exporter.get("/metrics").head.contains("Content-Encoding"));
    for refused in ["gzip;q=0, *", "*;q=0", "identity;q=0", "gzip;q=0.0000"] {
        let request = format!("GET /metrics HTTP/1.1\r\nAccept-Encoding: {refused}\r\n\r\n");
        let response = Response::of(exporter.address, request.as_bytes());
        assert!(response.status == 200 && !response.head.contains("Content-Encoding"), "{}", response.head);
    }
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
fn a_trusted_proxy_speaks_for_its_clients() {
    let exporter = Exporter::start("[stats]\nallowed_ips = 10.0.0.0/8\n[app]\ntrustedproxies = 127.0.0.1\n");
    let cases = [
        ("", 403),
        ("X-Forwarded-For: 10.1.2.3\r\n", 200),
        ("X-Forwarded-For: 192.0.2.1\r\n", 403),
        ("X-Forwarded-For: 10.1.2.3\r\nX-Forwarded-For: 192.0.2.1\r\n", 403),
        ("X-Forwarded-For: 192.0.2.1, 10.1.2.3:99\r\n", 200),
        ("X-Real-IP: 10.1.2.3\r\nForwarded: for=10.1.2.3\r\n", 403),
    ];
    for (headers, status) in cases {
        let response = Response::of(exporter.address, format!("GET / HTTP/1.1\r\n{headers}\r\n").as_bytes());
        assert_eq!(response.status, status, "{headers:?}");
    }
}

#[test]
fn systems_are_a_set_of_decoded_names() {
    let exporter = Exporter::start("[systems]\nenabled = recording, proxy\n");
    // The exporter's own metrics, which always come along, change with each request.
    let of_systems = |body: &str| -> Vec<String> {
        let lines =
            body.lines().filter(|line| !line.contains("lifecycle_exporter_") && !line.contains("process_"));
        lines.map(str::to_owned).collect()
    };
    let expected = of_systems(&exporter.get("/metrics?system=proxy&system=recording").body);
    assert!(expected.len() > 10, "{expected:?}");
    for target in [
        "/metrics?system=recording&system=proxy&system=recording",
        "/metrics?system=record%69ng&s%79stem=proxy&other=1",
        "/%6detrics?system=proxy&system=%72ecording",
    ] {
        let response = exporter.get(target);
        assert_eq!((response.status, of_systems(&response.body)), (200, expected.clone()), "{target}");
    }
    let cases = [
        ("/metrics?system=record%ng", 400, "two hexadecimal digits"),
        ("/metrics?x=%4", 400, "two hexadecimal digits"),
        ("/metrics%", 400, "two hexadecimal digits"),
        ("/metrics?system=record+ing", 400, "\"record ing\""),
        ("/%2Fmetrics", 404, "not found"),
        ("/-%2Fhealthy", 404, "not found"),
    ];
    for (target, status, text) in cases {
        let response = exporter.get(target);
        assert_eq!(response.status, status, "{target}");
        assert!(response.body.contains(text), "{target}: {}", response.body);
    }
}

#[test]
fn a_403_names_the_address_that_was_seen() {
    let exporter = Exporter::start("[stats]\nallowed_ips = 10.0.0.0/8\n");
    let text = exporter.get("/metrics").body;
    assert!(text.contains("127.0.0.1 (the address of the connection)"), "{text}");
    let exporter = Exporter::start("[stats]\nallowed_ips = 10.0.0.0/8\n[app]\ntrustedproxies = 127.0.0.1\n");
    let request = b"GET /metrics HTTP/1.1\r\nX-Forwarded-For: 10.0.0.1, ::ffff:192.0.2.7\r\n\r\n";
    let text = Response::of(exporter.address, request).body;
    assert!(text.contains("192.0.2.7 (from the X-Forwarded-For header of a trusted proxy)"), "{text}");
    let text = Response::of(exporter.address, b"garbage\0\r\n\r\n").body;
    assert!(text.contains("127.0.0.1 (the address of the connection)"), "{text}");
}

#[test]
fn a_response_to_head_is_that_to_get_without_its_body() {
    let exporter = Exporter::start("");
    let proxied = Exporter::start("[stats]\nallowed_ips = 10.0.0.0/8\n[app]\ntrustedproxies = 127.0.0.1\n");
    let length = |response: &Response| {
        let line = response.head.lines().find(|line| line.starts_with("Content-Length: ")).unwrap();
        line["Content-Length: ".len()..].parse::<usize>().unwrap()
    };
    let cases = [
        (&exporter, "/-/healthy HTTP/1.1\r\n", 200),
        (&exporter, "/-/ready HTTP/1.1\r\n", 200),
        (&exporter, "/nothing HTTP/1.1\r\n", 404),
        (&exporter, "/metrics?system=nothing HTTP/1.1\r\n", 400),
        (&exporter, "/metrics?%zz HTTP/1.1\r\n", 400),
        (&exporter, "/metrics HTTP/1.1\r\nContent-Length: 7\r\n", 413),
        (&exporter, "/metrics HTTP/1.1\r\nbad header: x\r\n", 400),
        (&exporter, "/metrics HTTP/7.0\r\n", 505),
        (&proxied, "/metrics HTTP/1.1\r\nX-Forwarded-For: 192.0.2.7\r\n", 403),
    ];
    for (exporter, rest, status) in cases {
        let [get, head] = ["GET", "HEAD"]
            .map(|method| Response::of(exporter.address, format!("{method} {rest}\r\n").as_bytes()));
        assert_eq!([get.status, head.status], [status; 2], "{rest}");
        assert_eq!((head.body.as_str(), length(&head)), ("", length(&get)), "{rest}");
        assert_eq!(length(&get), get.raw_body.len(), "{rest}");
    }
    // The metrics of two moments differ in length.
    let metrics = Response::of(exporter.address, b"HEAD /metrics HTTP/1.1\r\n\r\n");
    assert!(metrics.status == 200 && metrics.body.is_empty() && length(&metrics) > 1_000, "{metrics:?}");
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
        let statuses: Vec<u16> = (0..20)
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
        assert_eq!(statuses, [200; 20]);
    });
}

#[test]
fn slow_readers_keep_nobody_out() {
    let exporter = Exporter::start("[limits]\nseries_per_metric = 100000\n");
    let lines: String = (0..30_000)
        .map(|index| format!("{{\"event\":\"signaling.message.received\",\"type\":\"{index:0100}\"}}\n"))
        .collect();
    exporter.feed(&lines);
    exporter.wait_for("lifecycle_exporter_events_total{event=\"signaling.message.received\"}", 30_000.0);
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
