//! A producer that has said hello.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::PATIENCE;

/// One connection of a session.
pub struct Session {
    pub stream: UnixStream,
    replies: BufReader<UnixStream>,
}

impl Session {
    /// Connects and says hello. Returns the acknowledgement, too.
    pub fn begin(socket: &Path, producer: &str, instance: &str) -> (Self, u64) {
        Self::begin_with(socket, &format!("{{\"hello\":\"{producer}\",\"instance\":\"{instance}\"}}"))
    }

    /// Connects and says this hello.
    pub fn begin_with(socket: &Path, hello: &str) -> (Self, u64) {
        let mut session = Self::connect(socket);
        session.send(hello);
        let reply = session.reply().expect("an answer to the hello");
        let ack = ack(&reply).unwrap_or_else(|| panic!("{reply} is no acknowledgement"));
        (session, ack)
    }

    /// Connects without a word.
    pub fn connect(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let replies = BufReader::new(stream.try_clone().unwrap());
        Session { stream, replies }
    }

    /// Writes a line.
    pub fn send(&mut self, line: &str) {
        self.stream.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// The next line of the exporter; `None`: it has closed the connection.
    pub fn reply(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.replies.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(line.trim_end().to_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => None,
            Err(error) => panic!("no reply: {error}"),
        }
    }

    /// Reads replies up to the acknowledgement of this line. Returns those before it that are none.
    pub fn wait_for_ack(&mut self, number: u64) -> Vec<String> {
        let mut others = Vec::new();
        loop {
            let reply = self.reply().expect("an acknowledgement, not the end of the connection");
            match ack(&reply) {
                Some(acked) if acked >= number => return others,
                Some(_) => {}
                None => others.push(reply),
            }
        }
    }

    /// Reads replies until the exporter closes the connection.
    pub fn wait_for_end(&mut self) {
        while self.reply().is_some() {}
    }
}

/// The number of an acknowledgement.
pub fn ack(reply: &str) -> Option<u64> {
    reply.strip_prefix("{\"ack\":")?.strip_suffix('}')?.parse().ok()
}
