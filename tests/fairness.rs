//! What one producer can do to others, and to scrapes, by writing as much as it can: little.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::format_collect,
    reason = "a failure here is a failed test"
)]

mod support;

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use support::Exporter;
use support::session::Session;

const PRODUCERS: usize = 128;

/// Producers that write the same over and over, as fast as they are read, until this is dropped.
struct Flood {
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Flood {
    /// `write` is called with each producer's number, again and again.
    fn begin(
        producers: usize,
        write: impl Fn(usize, &mut Option<UnixStream>) + Send + Sync + 'static,
    ) -> Self {
        let (is_over, write) = (Arc::new(AtomicBool::new(false)), Arc::new(write));
        let threads = (0..4).map(|thread| {
            let (is_over, write) = (Arc::clone(&is_over), Arc::clone(&write));
            std::thread::spawn(move || {
                let mut streams: Vec<Option<UnixStream>> = (0..producers / 4).map(|_| None).collect();
                while !is_over.load(Ordering::Relaxed) {
                    for (number, stream) in streams.iter_mut().enumerate() {
                        write(number * 4 + thread, stream);
                    }
                }
            })
        });
        Flood { threads: threads.collect(), is_over }
    }

    /// Producers that write this text.
    fn of(socket: &Path, text: String) -> Self {
        let socket = socket.to_owned();
        Flood::begin(PRODUCERS, move |_, stream| {
            let stream = stream.get_or_insert_with(|| connect(&socket));
            // As much as it takes; a line that is cut is one more that is rejected.
            let _ = stream.write(text.as_bytes());
        })
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }
}

/// Connects, and never waits again.
fn connect(socket: &Path) -> UnixStream {
    let stream = loop {
        // The queue of the socket may be full for a moment.
        if let Ok(stream) = UnixStream::connect(socket) {
            break stream;
        }
    };
    stream.set_nonblocking(true).unwrap();
    stream
}

/// Scrapes are answered and sessions get their acknowledgements meanwhile.
fn assert_served(exporter: &Exporter) {
    let (mut session, _) = Session::begin(&exporter.socket, "honest", "i");
    for number in 1..=10 {
        session.send(r#"{"event":"signaling.session.resume_failed"}"#);
        session.wait_for_ack(number);
        let response = exporter.get("/metrics?system=exporter");
        assert_eq!(response.status, 200, "{}", response.body);
    }
    exporter.wait_for("signaling_hub_sessions_resume_failed_total", 10.0);
}

#[test]
fn garbage_holds_nobody_up() {
    let exporter = Exporter::start("");
    let _flood = Flood::of(&exporter.socket, "1\n".repeat(30_000));
    assert_served(&exporter);
}

#[test]
fn rejected_lines_hold_nobody_up() {
    let exporter = Exporter::start("");
    let line = "{\"event\":\"recording.stopped\",\"backend\":\"b\",\"recording\":\"r\"}\n";
    let _flood = Flood::of(&exporter.socket, line.repeat(1_000));
    assert_served(&exporter);
}

#[test]
fn resets_with_many_startup_events_hold_nobody_up() {
    let startup: String =
        (0..100).map(|number| format!("event = recording.backend_configured backend=b{number}\n")).collect();
    let exporter = Exporter::start(&format!("[systems]\nrestart = reset\n[startup]\n{startup}"));
    let _flood = Flood::of(&exporter.socket, "{\"event\":\"recording.server_started\"}\n".repeat(1_800));
    assert_served(&exporter);
}

#[test]
fn hellos_hold_nobody_up() {
    let exporter = Exporter::start("");
    let socket = exporter.socket.clone();
    let _flood = Flood::begin(PRODUCERS, move |number, stream| {
        let hello = format!("{{\"hello\":\"p{number}\",\"instance\":\"{}\"}}\n1\n", fastrand::u64(..));
        let _ = stream.insert(connect(&socket)).write(hello.as_bytes());
    });
    assert_served(&exporter);
}

#[test]
fn single_bytes_hold_nobody_up() {
    let exporter = Exporter::start("");
    let _flood = Flood::of(&exporter.socket, "1".to_owned());
    assert_served(&exporter);
}
