//! Discovery by DNS: the shipped configuration, a real name server, and two hosts that it names.

use std::fs;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

use crate::project;
use crate::servers::{Process, Server};
use crate::support::{Exporter, has_program, switches};

/// A name server that ends with the test.
struct NameServer {
    address: Ipv4Addr,
    _process: Process,
}

impl NameServer {
    /// Names these ports of this machine as hosts of a service.
    fn start(hosts: &[(&str, u16)]) -> Self {
        // Port 53 of an address that nobody else has.
        let [high, low] = (std::process::id() as u16).to_be_bytes();
        let address = Ipv4Addr::new(127, 53, high, low.max(1));
        let mut command = Command::new("dnsmasq");
        command
            .args([
                "--keep-in-foreground",
                "--conf-file=/dev/null",
                "--no-resolv",
                "--no-hosts",
                "--bind-interfaces",
            ])
            .args(["--user=root", "--pid-file=", "--port=53"])
            .arg(format!("--listen-address={address}"));
        for (host, port) in hosts {
            command
                .arg(format!("--srv-host=_lifecycle-exporter._tcp.example.com,{host}.example.com,{port}"))
                .arg(format!("--host-record={host}.example.com,127.0.0.1"));
        }
        NameServer { address, _process: Process::spawn(command.stderr(Stdio::null())) }
    }
}

#[test]
fn hosts_are_found_by_their_names() {
    if !has_program("dnsmasq") || !has_program("prometheus") || !has_program("unshare") {
        return;
    }
    if !nix::unistd::geteuid().is_root() {
        assert!(!switches::in_ci(), "needs root, and CI is set");
        println!("skipped: needs root, for port 53 and a resolver of its own");
        return;
    }
    let exporters = [Exporter::start(""), Exporter::start("")];
    let names = [("recorder-1", exporters[0].address.port()), ("recorder-2", exporters[1].address.port())];
    let server = NameServer::start(&names);
    let config = fs::read_to_string(project("packaging/prometheus/prometheus-dns.yml")).unwrap();
    let config = config.replace("15s", "200ms").replace("refresh_interval: 30s", "refresh_interval: 1s");
    let config = config.replace("/etc/prometheus/rules/*.yml", "{directory}/none.yml");
    let prometheus = Server::prometheus_asking(server.address.into(), &config);
    for (host, _) in names {
        // Without its port: it stays the same host when that changes.
        prometheus.wait_for(&format!("up{{job=\"lifecycles\",instance=\"{host}.example.com\"}}"), 1.0);
    }
}
