//! A WebSocket client, as much of one as the signaling server needs: text out, text in, over a loopback connection.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use serde_json::Value;

use super::support::PATIENCE;

/// Stands for a length in the two bytes that follow.
const EXTENDED: u8 = 0x7e;

pub(super) struct WebSocket {
    stream: TcpStream,
}

impl WebSocket {
    /// Connects and shakes hands. What the server proves by its answer is of no interest here.
    pub(super) fn connect(address: SocketAddr, path: &str, agent: &str) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nUser-Agent: {agent}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
        WebSocket { stream }
    }

    /// Sends a message in one frame. Its mask is 0, so that it is sent as it is.
    pub(super) fn send(&mut self, message: &Value) {
        let text = message.to_string();
        let length = u16::try_from(text.len()).unwrap();
        let mut frame = vec![0x81];
        if length < 126 {
            frame.push(0x80 | length as u8);
        } else {
            frame.push(0x80 | EXTENDED);
            frame.extend_from_slice(&length.to_be_bytes());
        }
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(text.as_bytes());
        self.stream.write_all(&frame).unwrap();
    }

    /// The next message; `None`: the server has closed the connection.
    pub(super) fn receive(&mut self) -> Option<Value> {
        loop {
            let mut head = [0; 2];
            self.stream.read_exact(&mut head).ok()?;
            let length = match head[1] {
                EXTENDED => u64::from(u16::from_be_bytes(self.bytes()?)),
                0x7f => u64::from_be_bytes(self.bytes()?),
                short => u64::from(short),
            };
            let mut text = vec![0; usize::try_from(length).unwrap()];
            self.stream.read_exact(&mut text).ok()?;
            match head[0] & 0x0f {
                1 => return Some(serde_json::from_slice(&text).unwrap()),
                8 => return None,
                _ => {}
            }
        }
    }

    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes).ok().map(|()| bytes)
    }

    /// The next message of this type, or the error that comes instead.
    pub(super) fn wait_for(&mut self, kind: &str) -> Value {
        loop {
            let message = self.receive().unwrap_or_else(|| panic!("closed, expected {kind}"));
            if message["type"] == kind || message["type"] == "error" {
                return message;
            }
        }
    }

    /// Ends the connection without a word.
    pub(super) fn drop_connection(self) {
        self.stream.shutdown(Shutdown::Both).unwrap();
    }
}
