//! HTTP requests and their responses: routes, methods, codings, escapes, hosts and who may ask. `http` has
//! the attacks.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a failure here is a failed test")]

mod support;

use std::io::Read;

use support::{Exporter, Response, wait_until};

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
        (&exporter, "/ HTTP/1.1\r\nHost: elsewhere.example\r\n", 421),
        (&exporter, "/metrics HTTP/1.1\r\nHost: a\r\nHost: b\r\n", 400),
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
fn the_page_and_the_api_answer_to_hosts_of_this_machine_only() {
    let exporter = Exporter::start("[http]\nhosts = Metrics.example.com., other.example\n");
    let status = |target: &str, host: &str| {
        let response = Response::of(exporter.address, format!("GET {target}\r\n{host}\r\n").as_bytes());
        (response.status, response.body)
    };
    let name = nix::sys::utsname::uname().unwrap().nodename().to_string_lossy().to_uppercase();
    let own = format!("Host: {name}:10048\r\n");
    for host in [
        "Host: 127.0.0.1\r\n",
        "Host: 192.0.2.9:80\r\n",
        "Host: [::1]:10048\r\n",
        "Host: LocalHost.:1\r\n",
        "Host: metrics.example.com:10048\r\n",
        "Host: OTHER.example.\r\n",
        own.as_str(),
    ] {
        assert_eq!(status("/ HTTP/1.1", host).0, 200, "{host}");
        assert_eq!(status("/api/nothing HTTP/1.1", host).0, 404, "{host}");
    }
    for target in ["/ HTTP/1.1", "/?x HTTP/1.0", "/api/v1/open HTTP/1.1", "/%61pi/nothing HTTP/1.1"] {
        let (code, text) = status(target, "Host: rebound.example:10048\r\n");
        assert_eq!(code, 421, "{target}");
        assert!(text.contains("rebound.example") && text.contains("[http] hosts"), "{text}");
    }
    // The host of an absolute target counts, not the header.
    assert_eq!(status("http://rebound.example/ HTTP/1.1", "Host: localhost\r\n").0, 421);
    assert_eq!(status("http://localhost/ HTTP/1.1", "Host: rebound.example\r\n").0, 200);
    for target in ["/metrics HTTP/1.1", "/-/healthy HTTP/1.1", "/-/ready HTTP/1.0"] {
        assert_eq!(status(target, "Host: rebound.example\r\n").0, 200, "{target}");
    }
    // A browser always names the host.
    assert_eq!(status("/ HTTP/1.0", "").0, 200);
    assert_eq!(status("/ HTTP/1.1", "").0, 400);
    assert_eq!(status("/metrics HTTP/1.0", "").0, 200);
    for malformed in ["Host: a\r\nHost: a\r\n", "Host: a b\r\n", "Host: a:b\r\n", "Host: [::1\r\n"] {
        assert_eq!(status("/metrics HTTP/1.1", malformed).0, 400, "{malformed}");
    }
    exporter.configure("[http]\nhosts = rebound.example\n");
    exporter.signal("HUP");
    let reached = || status("/ HTTP/1.1", "Host: rebound.example\r\n").0 == 200;
    wait_until(reached, || exporter.log());
    assert_eq!(status("/ HTTP/1.1", "Host: other.example\r\n").0, 421);
}

#[test]
fn a_trusted_proxy_may_name_any_host() {
    let exporter = Exporter::start("[app]\ntrustedproxies = 127.0.0.1\n");
    let request = b"GET / HTTP/1.1\r\nHost: public.example\r\nX-Forwarded-For: 127.0.0.1\r\n\r\n";
    assert_eq!(Response::of(exporter.address, request).status, 200);
}
