//! Hostile neighbours: they write what is no event, say nothing, take sessions over, and sit on HTTP connections. None of it may
//! change a metric of a system.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::feed::{SYSTEMS, hello};

const GARBAGE: usize = 16;
const SILENT: usize = 48;
const READERS: usize = 48;
const GARBAGE_BYTES: usize = 100_000;

/// Those who have come since the last check.
#[derive(Default)]
pub struct Neighbours {
    producers: Vec<UnixStream>,
    clients: Vec<TcpStream>,
}

impl Neighbours {
    /// Where nobody listens, nobody comes.
    fn connect(&mut self, socket: &Path) -> Option<&mut UnixStream> {
        let stream = UnixStream::connect(socket).ok()?;
        stream.set_nonblocking(true).ok()?;
        self.producers.push(stream);
        self.producers.last_mut()
    }

    /// As much as is taken of bytes, rejected lines and a line without an end.
    pub fn write_garbage(&mut self, socket: &Path, random: &mut fastrand::Rng) {
        self.producers.clear();
        let rejected = "{\"event\":\"recording.stopped\",\"backend\":\"nobody\",\"recording\":\"none\"}\n";
        for number in 0..GARBAGE {
            let text = match number % 4 {
                0 => (0..GARBAGE_BYTES).map(|_| random.u8(..)).collect(),
                1 => rejected.repeat(GARBAGE_BYTES / rejected.len()).into_bytes(),
                2 => "1\n".repeat(GARBAGE_BYTES / 16).into_bytes(),
                _ => rejected.as_bytes()[..random.usize(1..rejected.len() - 1)].to_vec(),
            };
            let Some(stream) = self.connect(socket) else { return };
            let _ = stream.write(&text);
        }
    }

    pub fn say_nothing(&mut self, socket: &Path) {
        self.producers.clear();
        for _ in 0..SILENT {
            self.connect(socket);
        }
    }

    /// Says a producer's own hello: its connection is closed, and it has to come back.
    pub fn take_over(&mut self, socket: &Path, random: &mut fastrand::Rng) {
        if let Some(stream) = self.connect(socket) {
            let _ = stream.write(hello(random.usize(..SYSTEMS.len())).as_bytes());
        }
    }

    /// Half a request, or a whole one whose answer is read a byte at a time.
    pub fn read_slowly(&mut self, address: SocketAddr) {
        self.clients.clear();
        for number in 0..READERS {
            let Ok(mut stream) = TcpStream::connect(address) else { return };
            let end = if number % 2 == 0 { "\r\n\r\n" } else { "" };
            let _ = write!(stream, "GET /metrics HTTP/1.1\r\nHost: localhost{end}");
            if number % 8 == 0 {
                let _ = stream.set_read_timeout(Some(std::time::Duration::from_millis(100)));
                let _ = stream.read(&mut [0]);
            }
            self.clients.push(stream);
        }
    }

    pub fn leave(&mut self) {
        *self = Neighbours::default();
    }
}
