//! The signaling server of the Debian package, its clients, and a backend of Nextcloud Talk that lets everybody in.

use std::fs::{self, File};
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::thread;

use serde_json::{Value, json};

use super::support::{Response, request_body, wait_until};
use super::websocket::WebSocket;

/// A port that was free a moment ago.
pub(super) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Answers the requests of the signaling server until the test ends. Returns its address.
pub(super) fn start_backend() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || answer(stream));
        }
    });
    address
}

fn answer(mut stream: TcpStream) {
    let body = request_body(&stream).unwrap();
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let data = match request["type"].as_str() {
        Some("auth") => {
            json!({"type": "auth", "auth": {"version": "1.0", "userid": request["auth"]["params"]["userid"]}})
        }
        Some("room") => {
            json!({"type": "room", "room": {"version": "1.0", "roomid": request["room"]["roomid"]}})
        }
        _ => json!({"capabilities": {"spreed": {"features": [], "config": {}}}}),
    };
    let body = json!({"ocs": {"meta": {"status": "ok", "statuscode": 200, "message": "OK"}, "data": data}})
        .to_string();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
    let _ = write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
}

/// A running signaling server, which writes its log to a file.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    backend: String,
    child: Child,
}

impl Server {
    /// Starts one whose only backend, `cloud`, lets in this many sessions.
    pub(super) fn start(directory: &Path, backend: SocketAddr, sessions_max: u32) -> Self {
        let (address, backend) = (free_address(), format!("http://{backend}/"));
        let config = format!(
            "[http]\nlisten = {address}\n[sessions]\nhashkey = {}\nblockkey = {}\n[clients]\ninternalsecret = s\n\
             [backend]\nbackends = cloud\nallowall = false\ntimeout = 10\nconnectionsperhost = 8\n\
             [cloud]\nurl = {backend}\nsecret = s\nsessionlimit = {sessions_max}\n[nats]\nurl = :loopback:\n\
             [stats]\nallowed_ips = 127.0.0.1\n",
            "h".repeat(32),
            "b".repeat(32),
        );
        fs::write(directory.join("server.conf"), config).unwrap();
        Server { address, backend, child: spawn(directory) }.started()
    }

    /// Kills it and starts it again.
    pub(super) fn crash(mut self, directory: &Path) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = spawn(directory);
        self.started()
    }

    fn started(self) -> Self {
        wait_until(|| TcpStream::connect(self.address).is_ok(), || format!("{} is not served", self.address));
        self
    }

    /// Its own `/metrics`.
    pub(super) fn metrics(&self) -> String {
        let request = format!("GET /metrics HTTP/1.0\r\nHost: {}\r\n\r\n", self.address);
        let response = Response::of(self.address, request.as_bytes());
        assert_eq!(response.status, 200, "{response:?}");
        response.body
    }

    /// A client that has said hello, with the answer.
    pub(super) fn join(&self, user: &str) -> (WebSocket, Value) {
        let auth = json!({"url": self.backend, "params": {"userid": user}});
        self.hello(&json!({"version": "1.0", "auth": auth}))
    }

    /// A client that has taken its session up again.
    pub(super) fn resume(&self, hello: &Value) -> (WebSocket, Value) {
        self.hello(&json!({"version": "1.0", "resumeid": hello["hello"]["resumeid"]}))
    }

    fn hello(&self, hello: &Value) -> (WebSocket, Value) {
        let mut client = WebSocket::connect(self.address, "/spreed", "x) victim|1 (private=z|1)");
        client.send(&json!({"id": "1", "type": "hello", "hello": hello}));
        let answer = client.wait_for("hello");
        (client, answer)
    }
}

fn spawn(directory: &Path) -> Child {
    let log = File::options().create(true).append(true).open(directory.join("server.log")).unwrap();
    let mut command = Command::new("nextcloud-spreed-signaling-server");
    command.arg("--config").arg(directory.join("server.conf"));
    command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
