//! A stand-in for systemd, which receives what the exporter tells it.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use super::PATIENCE;

pub struct Notify {
    socket: UnixDatagram,
    /// For `NOTIFY_SOCKET`.
    pub path: PathBuf,
}

impl Notify {
    pub fn listen(directory: &Path) -> Self {
        let path = directory.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Notify { socket, path }
    }

    /// The next message.
    pub fn receive(&self) -> String {
        let mut buffer = [0; 4_096];
        loop {
            match self.socket.recv(&mut buffer) {
                Ok(count) => return String::from_utf8_lossy(&buffer[..count]).trim_end().to_owned(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("no message: {error}"),
            }
        }
    }

    /// Waits for a message that holds a text, and passes over others.
    pub fn wait_for(&self, wanted: &str) -> String {
        loop {
            let text = self.receive();
            if text.contains(wanted) {
                return text;
            }
        }
    }
}
