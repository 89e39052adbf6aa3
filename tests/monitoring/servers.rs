//! Prometheus, Alertmanager and `VictoriaMetrics` as the tests run them: on a port of the system's choice, with files that go with them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Response, run, wait_until};

/// Labels and value of a series.
pub type Sample = (BTreeMap<String, String>, f64);

/// Labels of a series, and its values over time.
pub type Curve = (BTreeMap<String, String>, Vec<(f64, f64)>);

/// A process that ends when it is dropped.
pub struct Process(Child);

impl Process {
    pub fn spawn(command: &mut Command) -> Self {
        Process(command.spawn().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server with Prometheus's HTTP interface. Ends, and takes its files with it, when it is dropped.
pub struct Server {
    process: Process,
    directory: TempDir,
    pub address: SocketAddr,
    /// What makes it show at once what it has received.
    flush: Option<&'static str>,
}

impl Server {
    /// Prometheus with this configuration, in which `{directory}` is its own.
    pub fn prometheus(config: &str, args: &[&str]) -> Self {
        Self::prometheus_by(Command::new("prometheus"), config, args)
    }

    /// Prometheus that scrapes nothing and has this past, which is `OpenMetrics` with timestamps.
    pub fn prometheus_with_past(samples: &[u8]) -> Self {
        Self::prometheus_with_past_and_rules(samples, &[])
    }

    /// The same with files of rules.
    pub fn prometheus_with_past_and_rules(samples: &[u8], rules: &[PathBuf]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("past.om");
        fs::write(&file, samples).unwrap();
        let mut promtool = Command::new("promtool");
        promtool.args(["tsdb", "create-blocks-from", "openmetrics"]);
        run(promtool.arg(file).arg(directory.path().join("data")));
        let rules: Vec<_> = rules.iter().map(|path| path.display().to_string()).collect();
        let config = format!("rule_files: [{}]\n", rules.join(", "));
        let server = Self::prometheus_in(directory, Command::new("prometheus"), &config, &[]);
        server.wait_for("vector(1)", 1.0);
        server
    }

    /// Prometheus that asks this name server. Needs root, for a view of `/etc/resolv.conf` of its own.
    pub fn prometheus_asking(name_server: IpAddr, config: &str) -> Self {
        let resolver = tempfile::NamedTempFile::new().unwrap();
        fs::write(resolver.path(), format!("nameserver {name_server}\n")).unwrap();
        let mut command = Command::new("unshare");
        command.args([
            "--mount",
            "sh",
            "-c",
            "mount --bind \"$0\" /etc/resolv.conf && exec prometheus \"$@\"",
        ]);
        command.arg(resolver.path());
        let server = Self::prometheus_by(command, config, &[]);
        drop(resolver);
        server
    }

    fn prometheus_by(command: Command, config: &str, args: &[&str]) -> Self {
        Self::prometheus_in(tempfile::tempdir().unwrap(), command, config, args)
    }

    fn prometheus_in(directory: TempDir, mut command: Command, config: &str, args: &[&str]) -> Self {
        let file = directory.path().join("prometheus.yml");
        fs::write(&file, config.replace("{directory}", &directory.path().display().to_string())).unwrap();
        command
            .arg(format!("--config.file={}", file.display()))
            .arg("--web.listen-address=127.0.0.1:0")
            .args(args);
        let is_agent = args.iter().any(|arg| arg.contains("agent"));
        let storage = if is_agent { "--storage.agent.path" } else { "--storage.tsdb.path" };
        command.arg(format!("{storage}={}", directory.path().join("data").display()));
        Self::start(command, directory)
    }

    /// `VictoriaMetrics` that shows what it has received at once.
    pub fn victoria_metrics() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new("victoria-metrics");
        command.arg(format!("-storageDataPath={}", directory.path().join("data").display())).args([
            "-httpListenAddr=127.0.0.1:0",
            "-search.latencyOffset=1ms",
            "-search.disableCache",
            "-dedup.minScrapeInterval=200ms",
        ]);
        Server { flush: Some("/internal/force_flush"), ..Self::start(command, directory) }
    }

    /// Gives it samples in Prometheus's text format, with timestamps in milliseconds.
    pub fn import(&self, samples: &str) {
        let head = format!(
            "POST /api/v1/import/prometheus HTTP/1.0\r\nHost: x\r\nContent-Length: {}",
            samples.len()
        );
        let response = Response::of(self.address, format!("{head}\r\n\r\n{samples}").as_bytes());
        assert_eq!(response.status, 204, "{response:?}");
    }

    /// Alertmanager with this configuration, alone.
    pub fn alertmanager(config: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("alertmanager.yml");
        fs::write(&file, config).unwrap();
        let mut command = Command::new("prometheus-alertmanager");
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.path={}", directory.path().join("data").display()))
            .args(["--web.listen-address=127.0.0.1:0", "--cluster.listen-address="]);
        Self::start(command, directory)
    }

    fn start(mut command: Command, directory: TempDir) -> Self {
        let log = File::create(directory.path().join("log")).unwrap();
        let process = Process::spawn(command.stdout(Stdio::null()).stderr(log));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let mut server = Server { process, directory, address, flush: None };
        let mut port = None;
        wait_until(
            || {
                port = listening_port(server.process.0.id());
                port.is_some()
            },
            || server.log(),
        );
        server.address.set_port(port.unwrap());
        server
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// An answer of the HTTP interface; none while it is not ready.
    pub fn get(&self, path: &str) -> Option<Value> {
        let request = format!("GET {path} HTTP/1.0\r\nHost: x\r\n\r\n");
        let response = Response::of(self.address, request.as_bytes());
        if response.status == 503 || response.status == 0 {
            return None;
        }
        let answer: Value = serde_json::from_str(&response.body)
            .unwrap_or_else(|error| panic!("{path}: {response:?}: {error}"));
        assert_eq!(answer["status"], "success", "{path}: {answer}");
        Some(answer["data"].clone())
    }

    /// The present value of an expression.
    pub fn query(&self, expression: &str) -> Vec<Sample> {
        self.instant(&format!("query={}", encoded(expression)))
    }

    /// Its value at a time in Unix seconds.
    pub fn query_at(&self, expression: &str, time: f64) -> Vec<Sample> {
        self.instant(&format!("query={}&time={time}", encoded(expression)))
    }

    /// The same of an expression that has one series.
    pub fn value_at(&self, expression: &str, time: f64) -> Option<f64> {
        self.query_at(expression, time).first().map(|(_, value)| *value)
    }

    fn instant(&self, parameters: &str) -> Vec<Sample> {
        if let Some(path) = self.flush {
            Response::of(self.address, format!("GET {path} HTTP/1.0\r\nHost: x\r\n\r\n").as_bytes());
        }
        let found = self.get(&format!("/api/v1/query?{parameters}"));
        let found = found.unwrap_or_default();
        let results = found["result"].as_array().cloned().unwrap_or_default();
        results.iter().map(|result| (labels(&result["metric"]), number(&result["value"][1]))).collect()
    }

    /// The present value of an expression that has one series.
    pub fn value(&self, expression: &str) -> Option<f64> {
        self.query(expression).first().map(|(_, value)| *value)
    }

    /// The values of an expression between two times in Unix seconds.
    pub fn range(&self, expression: &str, start: f64, end: f64, step: f64) -> Vec<Curve> {
        let path =
            format!("/api/v1/query_range?query={}&start={start}&end={end}&step={step}", encoded(expression));
        let found = self.get(&path).unwrap_or_default();
        let results = found["result"].as_array().cloned().unwrap_or_default();
        let points = |result: &Value| {
            let values = result["values"].as_array().cloned().unwrap_or_default();
            values.iter().map(|point| (point[0].as_f64().unwrap(), number(&point[1]))).collect()
        };
        results.iter().map(|result| (labels(&result["metric"]), points(result))).collect()
    }

    /// Waits until an expression has a value.
    pub fn wait_for(&self, expression: &str, expected: f64) {
        let reached = || self.value(expression).is_some_and(|value| (value - expected).abs() < 1e-9);
        wait_until(reached, || {
            format!("{expression} is {:?}, not {expected}\n{}", self.query(expression), self.log())
        });
    }
}

fn labels(metric: &Value) -> BTreeMap<String, String> {
    let all = metric.as_object().cloned().unwrap_or_default();
    all.into_iter().map(|(name, value)| (name, value.as_str().unwrap().to_owned())).collect()
}

fn number(value: &Value) -> f64 {
    let text = value.as_str().unwrap();
    text.replace("Inf", "inf").parse().unwrap()
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// The TCP port that a process listens on, from what `/proc` says of its sockets.
fn listening_port(pid: u32) -> Option<u16> {
    const LISTENING: &str = "0A";
    let own = Path::new("/proc").join(pid.to_string());
    let sockets: Vec<String> = fs::read_dir(own.join("fd"))
        .ok()?
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok()?.to_str().map(str::to_owned))
        .collect();
    ["net/tcp", "net/tcp6"].iter().find_map(|table| {
        let table = fs::read_to_string(own.join(table)).ok()?;
        table.lines().skip(1).find_map(|line| {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let is_own = sockets.contains(&format!("socket:[{}]", columns.get(9)?));
            let port = u16::from_str_radix(columns.get(1)?.rsplit(':').next()?, 16).ok()?;
            (is_own && columns.get(3) == Some(&LISTENING)).then_some(port)
        })
    })
}
