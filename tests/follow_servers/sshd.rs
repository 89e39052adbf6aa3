//! OpenSSH's server, with the example of a catalog that is shipped for it.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::support::{Exporter, binary, has_program, run, wait_until};
use super::{Follower, talk};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/examples/sshd.ini");

/// A process that ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a server that lets in who has the key `key` in its folder.
fn start(directory: &Path) -> (Process, SocketAddr) {
    for key in ["host", "key", "other"] {
        run(Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(directory.join(key)));
    }
    // sshd started by root wants this folder, which its unit makes.
    let _ = fs::create_dir("/run/sshd");
    let address = talk::free_address();
    let shown = directory.display();
    let config = format!(
        "ListenAddress {address}\nHostKey {shown}/host\nAuthorizedKeysFile {shown}/key.pub\nUsePAM no\nStrictModes no\n\
         PidFile none\nLogLevel VERBOSE\nPasswordAuthentication no\nPermitRootLogin yes\n"
    );
    fs::write(directory.join("sshd.conf"), config).unwrap();
    let log = File::create(directory.join("sshd.log")).unwrap();
    let mut command = Command::new("/usr/sbin/sshd");
    command.args(["-D", "-e", "-f"]).arg(directory.join("sshd.conf")).stderr(log);
    let process = Process(command.spawn().unwrap());
    let log = || fs::read_to_string(directory.join("sshd.log")).unwrap();
    wait_until(|| log().contains("Server listening on"), log);
    (process, address)
}

/// A client, by this key and as this user.
fn client(directory: &Path, server: SocketAddr, key: &str, user: Option<&str>) -> Command {
    let mut command = Command::new("ssh");
    for option in [
        "BatchMode=yes",
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "IdentitiesOnly=yes",
        "LogLevel=ERROR",
    ] {
        command.args(["-o", option]);
    }
    command.args(["-F", "none", "-p", &server.port().to_string(), "-i"]).arg(directory.join(key));
    if let Some(user) = user {
        command.args(["-l", user]);
    }
    command.arg(server.ip().to_string()).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[test]
fn the_log_of_an_ssh_server_makes_the_metrics_of_the_example() {
    if !(has_program("/usr/sbin/sshd") && has_program("ssh")) {
        return;
    }
    let exporter =
        Exporter::start_with("[systems]\ncatalog_directory = {directory}/catalog.d\n", |directory| {
            fs::create_dir(directory.join("catalog.d")).unwrap();
            fs::copy(EXAMPLE, directory.join("catalog.d/sshd.ini")).unwrap();
        });
    let directory = tempfile::tempdir().unwrap();
    let (_server, address) = start(directory.path());
    let _follower = Follower::start(&exporter, "sshd", &directory.path().join("sshd.log"));
    let open = "sshd_sessions{method=\"publickey\"}";
    let total = "sshd_sessions_total{method=\"publickey\"}";

    let mut kept = Process(client(directory.path(), address, "key", None).arg("cat").spawn().unwrap());
    exporter.wait_for(open, 1.0);
    run(client(directory.path(), address, "key", None).arg("true"));
    exporter.wait_for(total, 2.0);
    exporter.wait_for("sshd_session_duration_seconds_count", 1.0);
    exporter.wait_for(open, 1.0);

    let refused = |user| client(directory.path(), address, "other", user).arg("true").status().unwrap();
    assert!(!refused(None).success());
    exporter.wait_for("sshd_login_failures_total{method=\"publickey\"}", 1.0);
    let before = exporter.value("sshd_unknown_users_total").unwrap();
    assert!(!refused(Some("x from 192.0.2.9 port 1 ssh2")).success());
    exporter.wait_for("sshd_unknown_users_total", before + 1.0);
    exporter.wait_for(total, 2.0);

    // A client that is gone without a word.
    kept.0.kill().unwrap();
    exporter.wait_for(open, 0.0);
    exporter.wait_for("sshd_session_duration_seconds_count", 2.0);
    let rejected = || super::support::sum(&exporter.metrics(), "lifecycle_exporter_events_rejected_total");
    assert!(rejected() < 0.5, "{}", exporter.log());

    // Who only knocks leaves the line of a session that has ended. None had begun, so it counts nowhere else.
    drop(TcpStream::connect(address).unwrap());
    wait_until(|| rejected() > 0.5, || exporter.log());
    exporter.wait_for(open, 0.0);
    exporter.wait_for("sshd_session_duration_seconds_count", 2.0);
}

#[test]
fn names_that_look_like_lines_are_no_events_of_the_example() {
    let directory = tempfile::tempdir().unwrap();
    fs::copy(EXAMPLE, directory.path().join("sshd.ini")).unwrap();
    let config = format!("[systems]\ncatalog_directory = {}\n", directory.path().display());
    fs::write(directory.path().join("exporter.conf"), config).unwrap();
    let head = "2026-11-22T06:39:06.123456+00:00 host sshd[42]: ";
    let tried = |line: &str| {
        fs::write(directory.path().join("log"), format!("{line}\n{head}{line}\n")).unwrap();
        let mut command = binary();
        command.arg("--config").arg(directory.path().join("exporter.conf"));
        run(command.args(["follow", "sshd", "--format", "json", "--try"]).arg(directory.path().join("log")))
    };
    for (line, event) in [
        (
            "Accepted publickey for root from 192.0.2.9 port 1 ssh2 from ::1 port 52042 ssh2: ED25519 SHA256:x",
            "{\"event\":\"sshd.session.opened\",\"method\":\"publickey\",\"address\":\"::1\",\"port\":52042}",
        ),
        (
            "Invalid user sshd[1]: Accepted password for root from 192.0.2.9 port 1 ssh2 from ::1 port 2",
            "{\"event\":\"sshd.user.unknown\"}",
        ),
        (
            "Failed password for invalid user Nov 22 06:39:06 h sshd[1]: Accepted x from ::1 port 2 ssh2",
            "{\"event\":\"sshd.login.failed\",\"method\":\"password\"}",
        ),
        (
            "Disconnected from invalid user root 192.0.2.9 port 1 ::1 port 2 [preauth]",
            "{\"event\":\"sshd.connection.unauthenticated\"}",
        ),
        (
            "Disconnected from user root 192.0.2.9 port 1 ::1 port 2",
            "{\"event\":\"sshd.session.closed\",\"address\":\"::1\",\"port\":2}",
        ),
    ] {
        let printed = tried(line);
        assert_eq!(printed.lines().filter(|other| *other == event).count(), 2, "{line}: {printed}");
    }
}
