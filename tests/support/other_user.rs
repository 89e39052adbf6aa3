//! A producer that belongs to another user.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::{has_program, switches};

/// A connection of user `nobody`, made by socat. It ends when it is dropped.
pub struct OtherUser {
    child: Child,
    input: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
}

impl OtherUser {
    /// Whether this process may act as another user; says so if not.
    pub fn is_possible() -> bool {
        let is_root = own_uid() == Some(0);
        assert!(is_root || !switches::in_ci(), "acting as another user takes root, and CI is set");
        if !is_root {
            println!("skipped: acting as another user takes root");
        }
        is_root && has_program("setpriv") && has_program("socat")
    }

    /// Connects. The socket has to be open to everyone (`[events] mode = 0666`).
    pub fn connect(socket: &Path) -> Self {
        let directory = socket.parent().unwrap();
        std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut child = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "socat", "-t", "0", "-"])
            .arg(format!("UNIX-CONNECT:{}", socket.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let replies = BufReader::new(child.stdout.take().unwrap());
        OtherUser { child, input, replies }
    }

    pub fn send(&mut self, line: &str) {
        self.input.as_mut().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// The next line of the exporter; `None`: it has closed the connection.
    pub fn reply(&mut self) -> Option<String> {
        let mut line = String::new();
        let bytes = self.replies.read_line(&mut line).unwrap();
        (bytes > 0).then(|| line.trim_end().to_owned())
    }
}

impl Drop for OtherUser {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The user of this process.
fn own_uid() -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").ok().map(|process| process.uid())
}
