//! Others that turn lines into metrics, fed with as much of the same as they take: events per CPU-second of the exporter
//! and of each, in the same run.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::mix;
use crate::report::{report, skipped};
use crate::support::{sum, wait_until};
use crate::tools::{ROOM, blocks, cpu_seconds, feed, opened};

/// Ends with the measurement.
pub struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Peer {
    fn start(command: &mut Command) -> Self {
        Peer(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// What it takes for some events: CPU-seconds per million.
    fn cpu_of(&self, events: usize, work: impl FnOnce()) -> f64 {
        let before = cpu_seconds(self.0.id());
        work();
        (cpu_seconds(self.0.id()) - before) * 1e6 / events as f64
    }
}

fn has(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
    found.is_ok_and(|output| output.status.success())
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn get(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}

pub fn peers() {
    let lines = mix::lines(1_000_000, 1_000);
    let ours = feed(&opened(ROOM), &blocks(&lines, 65_536), lines.len()).0;
    report("beside others: the exporter, CPU-s per million", vec![ours]);
    let compare = |what: &str, theirs: Result<f64, &str>| match theirs {
        Ok(theirs) => {
            report(&format!("{what}: CPU-s per million"), vec![theirs]);
            report("  times the CPU of the exporter", vec![theirs / ours]);
        }
        Err(why) => skipped(what, why),
    };
    compare("Python: socket, json, prometheus_client", python(&lines));
    compare("mtail, three patterns on a Unix stream", mtail(&lines));
    compare("collectd, PUTVAL pipelined into its unixsock plugin", collectd());
    compare("pushgateway, a push for each event", pushgateway());
}

fn python_with_client() -> Result<&'static str, &'static str> {
    let python = ["python3", "/usr/bin/python3"].into_iter().find(|python| {
        let import = Command::new(python).args(["-c", "import prometheus_client"]).output();
        import.is_ok_and(|output| output.status.success())
    });
    python.ok_or("apt-get install python3-prometheus-client")
}

/// Python's client library with so many series.
pub fn exposition(series: usize) -> Result<(Peer, SocketAddr), &'static str> {
    let python = python_with_client()?;
    let port = free_port();
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/peers/exposition.py");
    let peer = Peer::start(Command::new(python).arg(program).args([port.to_string(), series.to_string()]));
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    wait_until(|| TcpStream::connect(address).is_ok(), || "Python does not start".to_owned());
    Ok((peer, address))
}

fn python(lines: &[String]) -> Result<f64, &'static str> {
    let python = python_with_client()?;
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("s");
    let daemon = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/peers/daemon.py");
    let peer = Peer::start(Command::new(python).arg(daemon).arg(&socket));
    wait_until(|| socket.exists(), || "the daemon does not start".to_owned());
    let lines = [mix::opening(), lines[..200_000].concat()].concat();
    Ok(peer.cpu_of(200_000 + mix::SESSIONS, || {
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream.write_all(lines.as_bytes()).unwrap();
        drop(stream);
        let done = directory.path().join("s.done");
        wait_until(|| done.exists(), || "the daemon does not end".to_owned());
    }))
}

fn mtail(lines: &[String]) -> Result<f64, &'static str> {
    if !has("mtail") {
        return Err("apt-get install mtail");
    }
    let directory = tempfile::tempdir().unwrap();
    let (socket, port) = (directory.path().join("s"), free_port());
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/peers/feed.mtail");
    let peer = Peer::start(
        Command::new("mtail")
            .arg("--progs")
            .arg(program)
            .arg("--logs")
            .arg(format!("unix://{}", socket.display()))
            .args(["--address", "127.0.0.1", "--poll_interval", "100us", "--port", &port.to_string()]),
    );
    wait_until(|| socket.exists(), || "mtail does not start".to_owned());
    let events = 100_000;
    Ok(peer.cpu_of(events, || {
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream.write_all(lines[..events].concat().as_bytes()).unwrap();
        drop(stream);
        let read = || get(port).map_or(0.0, |text| sum(&text, "mtail_lines_total"));
        wait_until(|| read() >= events as f64, || format!("mtail has read {} lines", read()));
    }))
}

fn collectd() -> Result<f64, &'static str> {
    if !has("collectd") {
        return Err("apt-get install collectd-core");
    }
    let directory = tempfile::tempdir().unwrap();
    let (socket, config) = (directory.path().join("s"), directory.path().join("collectd.conf"));
    let base = directory.path().display();
    fs::write(
        &config,
        format!(
            "BaseDir \"{base}\"\nPIDFile \"{base}/pid\"\nTypesDB \"/usr/share/collectd/types.db\"\nInterval 3600\n\
             LoadPlugin unixsock\n<Plugin unixsock>\n  SocketFile \"{}\"\n</Plugin>\n",
            socket.display()
        ),
    )
    .unwrap();
    let peer = Peer::start(Command::new("collectd").arg("-f").arg("-C").arg(&config));
    wait_until(|| UnixStream::connect(&socket).is_ok(), || "collectd does not start".to_owned());
    let events = 200_000;
    let commands: String = (0..events)
        .map(|event| format!("PUTVAL \"host/signaling/counter-type-{:06}\" N:{event}\n", event % 1_000))
        .collect();
    Ok(peer.cpu_of(events, || {
        let mut stream = UnixStream::connect(&socket).unwrap();
        let replies = BufReader::new(stream.try_clone().unwrap());
        let reader = std::thread::spawn(move || replies.lines().map_while(Result::ok).take(events).count());
        stream.write_all(commands.as_bytes()).unwrap();
        assert_eq!(reader.join().unwrap(), events);
    }))
}

fn pushgateway() -> Result<f64, &'static str> {
    if !has("prometheus-pushgateway") {
        return Err("apt-get install prometheus-pushgateway");
    }
    let port = free_port();
    let address = format!("--web.listen-address=127.0.0.1:{port}");
    let peer = Peer::start(Command::new("prometheus-pushgateway").arg(address));
    wait_until(|| get(port).is_some(), || "the pushgateway does not start".to_owned());
    let events = 5_000;
    Ok(peer.cpu_of(events, || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let mut replies = BufReader::new(stream.try_clone().unwrap());
        for event in 0..events {
            let body = format!("# TYPE messages_total counter\nmessages_total {event}\n");
            let request = format!(
                "POST /metrics/job/signaling/type/{} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}",
                event % 1_000,
                body.len()
            );
            stream.write_all(request.as_bytes()).unwrap();
            let mut line = String::new();
            // Its answer is a head without a body.
            while !line.ends_with("\r\n") || line != "\r\n" {
                line.clear();
                assert!(
                    replies.read_line(&mut line).unwrap() > 0,
                    "the pushgateway has closed the connection"
                );
            }
        }
    }))
}
