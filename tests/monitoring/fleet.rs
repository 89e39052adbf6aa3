//! A fleet: three exporters at addresses of their own, a Prometheus and an agent that both scrape all of them, `VictoriaMetrics`
//! behind. With one
//! exporter killed in between, the sums over the fleet are what was fed.

use std::fs;
use std::path::Path;

use crate::project;
use crate::servers::Server;
use crate::support::{Exporter, binary, has_program};

const BACKENDS: [&str; 2] = ["https://one.example.com/", "https://two.example.com/"];

/// An exporter of the fleet, and the next number of a recording.
struct Host {
    name: &'static str,
    exporter: Exporter,
    recordings: usize,
}

impl Host {
    fn start(name: &'static str, ip: &str) -> Self {
        let exporter = Exporter::start_at(
            ip,
            "[state]\ndirectory = {directory}/state\nsync = always\n",
            |_| {},
            binary(),
        );
        Host { name, exporter, recordings: 0 }
    }

    /// As many recordings begin, each in turn on one of the backends; a reliable session, so that none is lost.
    fn record(&mut self, count: usize) {
        let instance = format!("{}-{}", self.name, self.recordings);
        let hello = format!("{{\"hello\":\"{}\",\"instance\":\"{instance}\",\"owner\":false}}", self.name);
        let (mut session, _) = crate::support::session::Session::begin_with(&self.exporter.socket, &hello);
        for _ in 0..count {
            self.recordings += 1;
            let backend = BACKENDS[self.recordings % BACKENDS.len()];
            session.send(&format!(
                "{{\"event\":\"recording.started\",\"backend\":\"{backend}\",\"recording\":\"{}\"}}",
                self.recordings
            ));
        }
        session.wait_for_ack(count as u64);
    }

    fn of(&self, backend: usize) -> usize {
        (1..=self.recordings).filter(|number| number % BACKENDS.len() == backend).count()
    }
}

/// The file that names the exporters.
fn write_targets(path: &Path, hosts: &[Host]) {
    let targets: Vec<String> = hosts
        .iter()
        .map(|host| {
            format!(
                "{{\"targets\":[\"{}\"],\"labels\":{{\"instance\":\"{}\"}}}}",
                host.exporter.address, host.name
            )
        })
        .collect();
    // Renamed into its place, so that nobody reads half of it.
    let fresh = path.with_extension("new");
    fs::write(&fresh, format!("[{}]", targets.join(","))).unwrap();
    fs::rename(&fresh, path).unwrap();
}

/// A configuration as it is shipped, with the paths and the speed of the test.
fn shipped(name: &str, targets: &Path, rules: &Path, receiver: &Server) -> String {
    let text = fs::read_to_string(project(&format!("packaging/prometheus/{name}"))).unwrap();
    let text = text
        .replace("/etc/prometheus/lifecycles/*.json", &targets.display().to_string())
        .replace("/etc/prometheus/rules/*.yml", &rules.display().to_string())
        .replace("metrics.example.com:8428", &receiver.address.to_string())
        .replace("15s", "200ms");
    if text.contains("remote_write") {
        text
    } else {
        // The sites' agents and the Prometheus with the rules write to the same place.
        format!("{text}remote_write: [{{url: \"http://{}/api/v1/write\"}}]\n", receiver.address)
    }
}

#[test]
fn the_sums_over_a_fleet_are_what_was_fed() {
    if !has_program("prometheus") || !has_program("victoria-metrics") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (targets, rules) = (directory.path().join("fleet.json"), directory.path().join("fleet.yml"));
    let text = fs::read_to_string(project("packaging/prometheus/rules/fleet.yml")).unwrap();
    fs::write(&rules, text.replace("interval: 30s", "interval: 200ms")).unwrap();
    let mut hosts = [
        Host::start("recorder-1", "127.0.1.1"),
        Host::start("recorder-2", "127.0.1.2"),
        Host::start("recorder-3", "127.0.1.3"),
    ];
    write_targets(&targets, &hosts);
    let victoria = Server::victoria_metrics();
    let prometheus = Server::prometheus(&shipped("prometheus-file.yml", &targets, &rules, &victoria), &[]);
    let agent = Server::prometheus(
        &shipped("prometheus-agent.yml", &targets, &rules, &victoria),
        &["--enable-feature=agent"],
    );
    hosts.iter_mut().zip([3, 5, 8]).for_each(|(host, count)| host.record(count));
    prometheus.wait_for("job:lifecycle_exporter_build_info:count", 3.0);
    assert_sums(&victoria, &hosts);

    // One is killed; the others go on; it comes back at another port, with what it had.
    hosts[1].exporter.kill();
    prometheus.wait_for("count(up{job=\"lifecycles\"} == 0)", 1.0);
    prometheus.wait_for("job:lifecycle_exporter_build_info:count", 2.0);
    hosts[0].record(4);
    hosts[1].exporter.spawn_again();
    hosts[1].exporter.wait_for_start();
    hosts[1].record(6);
    write_targets(&targets, &hosts);
    assert_sums(&victoria, &hosts);
    prometheus.wait_for("job:lifecycle_exporter_build_info:count", 3.0);
    assert_eq!(victoria.value("max(resets(recording_recordings_total[5m]))"), Some(0.0), "{}", agent.log());
}

/// Both ways to `VictoriaMetrics`, over the Prometheus with the rules and over the agent, end in the same sums.
fn assert_sums(victoria: &Server, hosts: &[Host]) {
    for (number, backend) in BACKENDS.iter().enumerate() {
        let fed: usize = hosts.iter().map(|host| host.of(number)).sum();
        let scraped = format!("sum(recording_recordings_total{{backend=\"{backend}\",site=\"\"}})");
        victoria.wait_for(&scraped, fed as f64);
        let agents = format!("sum(recording_recordings_total{{backend=\"{backend}\",site=\"frankfurt\"}})");
        victoria.wait_for(&agents, fed as f64);
    }
}
