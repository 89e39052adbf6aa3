//! Producers that write as much as they can, each kind of them the worst of its sort.

use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// What they write.
pub struct Kind {
    pub name: &'static str,
    /// What the exporter is configured with.
    pub config: fn() -> String,
    /// Begins with so many producers.
    pub begin: fn(&Path, usize) -> Flood,
}

pub const KINDS: [Kind; 5] = [
    Kind {
        name: "garbage",
        config: String::new,
        begin: |socket, producers| Flood::of(socket, producers, "1\n".repeat(30_000)),
    },
    Kind {
        name: "rejected lines",
        config: String::new,
        begin: |socket, producers| {
            let line = "{\"event\":\"recording.stopped\",\"backend\":\"b\",\"recording\":\"r\"}\n";
            Flood::of(socket, producers, line.repeat(1_000))
        },
    },
    Kind {
        name: "resets with 100 start-up events",
        config: || {
            let event = |number| format!("event = recording.backend_configured backend=b{number}\n");
            let events: Vec<String> = (0..100).map(event).collect();
            format!("[systems]\nrestart = reset\n[startup]\n{}", events.concat())
        },
        begin: |socket, producers| {
            Flood::of(socket, producers, "{\"event\":\"recording.server_started\"}\n".repeat(1_800))
        },
    },
    Kind { name: "hellos", config: String::new, begin: Flood::of_hellos },
    Kind {
        name: "single bytes",
        config: String::new,
        begin: |socket, producers| Flood::of(socket, producers, "1".to_owned()),
    },
];

/// Producers that write the same over and over, as fast as they are read, until this is dropped.
pub struct Flood {
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Flood {
    /// `write` is called with each producer's number, again and again.
    fn begin(
        producers: usize,
        write: impl Fn(usize, &mut Option<UnixStream>) + Send + Sync + 'static,
    ) -> Self {
        const THREADS: usize = 2;
        let (is_over, write) = (Arc::new(AtomicBool::new(false)), Arc::new(write));
        let threads = (0..THREADS).map(|thread| {
            let (is_over, write) = (Arc::clone(&is_over), Arc::clone(&write));
            std::thread::spawn(move || {
                let mut streams: Vec<Option<UnixStream>> = (0..producers / THREADS).map(|_| None).collect();
                while !is_over.load(Ordering::Relaxed) {
                    for (number, stream) in streams.iter_mut().enumerate() {
                        write(number * THREADS + thread, stream);
                    }
                    wait_until_writable(&streams);
                }
            })
        });
        Flood { threads: threads.collect(), is_over }
    }

    /// Producers that write this text.
    fn of(socket: &Path, producers: usize, text: String) -> Self {
        let socket = socket.to_owned();
        Flood::begin(producers, move |_, stream| {
            let stream = stream.get_or_insert_with(|| connect(&socket));
            // As much as it takes; a line that is cut is one more that is rejected.
            let _ = stream.write(text.as_bytes());
        })
    }

    /// Producers that come back with another instance all the time.
    fn of_hellos(socket: &Path, producers: usize) -> Self {
        let socket = socket.to_owned();
        Flood::begin(producers, move |number, stream| {
            let hello = format!("{{\"hello\":\"p{number}\",\"instance\":\"{}\"}}\n1\n", fastrand::u64(..));
            let _ = stream.insert(connect(&socket)).write(hello.as_bytes());
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

/// Writing on and on to those that take nothing would only keep the exporter from running.
fn wait_until_writable(streams: &[Option<UnixStream>]) {
    let streams = streams.iter().flatten();
    let mut polled: Vec<PollFd<'_>> =
        streams.map(|stream| PollFd::new(stream.as_fd(), PollFlags::POLLOUT)).collect();
    let _ = poll(&mut polled, PollTimeout::from(10_u8));
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
