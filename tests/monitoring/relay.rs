//! A listener between Prometheus and the exporter: its address stays when the exporter's changes, and it keeps the heads that pass.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Passes each connection on to where the target is just now.
pub struct Relay {
    pub address: SocketAddr,
    target: Arc<Mutex<SocketAddr>>,
    heads: Arc<Mutex<(String, String)>>,
}

impl Relay {
    pub fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let relay = Relay {
            address: listener.local_addr().unwrap(),
            target: Arc::new(Mutex::new(target)),
            heads: Arc::default(),
        };
        let (target, heads) = (Arc::clone(&relay.target), Arc::clone(&relay.heads));
        // Ends with the process of the tests.
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let target = *target.lock().unwrap();
                if let Some(passed) = pass(client, target) {
                    *heads.lock().unwrap() = passed;
                }
            }
        });
        relay
    }

    /// Connections go there from now on.
    pub fn redirect(&self, target: SocketAddr) {
        *self.target.lock().unwrap() = target;
    }

    /// The heads of the latest request and of its response.
    pub fn heads(&self) -> (String, String) {
        self.heads.lock().unwrap().clone()
    }
}

/// One request, and the whole response.
fn pass(mut client: TcpStream, target: SocketAddr) -> Option<(String, String)> {
    let mut request = Vec::new();
    let mut chunk = [0; 8_192];
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        let count = client.read(&mut chunk).ok().filter(|count| *count > 0)?;
        request.extend_from_slice(&chunk[..count]);
    }
    let mut server = TcpStream::connect(target).ok()?;
    server.write_all(&request).ok()?;
    let mut response = Vec::new();
    server.read_to_end(&mut response).ok()?;
    client.write_all(&response).ok()?;
    let head = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        text.split("\r\n\r\n").next().unwrap_or_default().to_lowercase()
    };
    Some((head(&request), head(&response)))
}
